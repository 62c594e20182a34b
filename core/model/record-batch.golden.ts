// Kafka's own record batches: every uncompressed one must read as Kafka says, and the builder must give the same bytes again.
// The compressed ones are in core/compression.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { missingShared, sharedPath } from "../../testing/shared.ts";
import {
  batchDamage,
  batchProduceProblem,
  batchSetBaseOffset,
  controlKey,
  cursorHeaders,
  endTxnMarkerValue,
  iterateBatches,
  type LogRecord,
  parseControlKey,
  parseEndTxnMarker,
  RecordBatchBuilder,
  RecordBatchView,
  RecordCursor,
  readRecords,
} from "./index.ts";

interface GoldenRecord {
  offset: string;
  timestamp: string;
  key: string | null;
  value: string | null;
  headers: [string, string | null][];
}

interface GoldenBatch {
  compression: string;
  timestampType: string;
  baseOffset: string;
  lastOffset: string;
  maxTimestamp: string;
  producerId: string;
  producerEpoch: number;
  baseSequence: number;
  transactional: boolean;
  leaderEpoch: number;
  crc: number;
  records: GoldenRecord[];
  hex: string;
}

interface GoldenControl {
  control: "COMMIT" | "ABORT";
  producerId: string;
  producerEpoch: number;
  coordinatorEpoch: number;
  baseOffset: string;
  hex: string;
}

const lines: (GoldenBatch | GoldenControl)[] = missingShared
  ? []
  : readFileSync(sharedPath("protocol/record-batches.jsonl"), "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line));

const batches = lines.filter((line): line is GoldenBatch => "compression" in line);
const plain = batches.filter((batch) => batch.compression === "none");
const controls = lines.filter((line): line is GoldenControl => "control" in line);
const codecs = ["none", "gzip", "snappy", "lz4", "zstd"];

function asGolden(record: LogRecord): GoldenRecord {
  return {
    offset: String(record.offset),
    timestamp: String(record.timestamp),
    key: record.key?.toString("hex") ?? null,
    value: record.value?.toString("hex") ?? null,
    headers: record.headers.map((header) => [header.key, header.value?.toString("hex") ?? null]),
  };
}

describe.skipIf(missingShared)("Kafka's record batches", () => {
  test("all kinds are there", () => {
    expect(batches.length).toBeGreaterThanOrEqual(60);
    expect(new Set(batches.map((batch) => batch.compression))).toEqual(new Set(codecs));
    expect(controls.map((control) => control.control).sort()).toEqual(["ABORT", "COMMIT"]);
  });

  test.each(batches.map((golden, index) => [index, golden.compression, golden] as const))(
    "batch %i (%s) has Kafka's fields and checksum",
    (_index, _codec, golden) => {
      const buffer = Buffer.from(golden.hex, "hex");
      expect(batchDamage(buffer, 0)).toBeNull();
      const [batch, ...others] = [...iterateBatches(buffer)];
      expect(others).toEqual([]);
      expect({
        compression: codecs[batch!.codecId],
        timestampType: batch!.timestampType,
        baseOffset: String(batch!.baseOffset),
        lastOffset: String(batch!.lastOffset),
        maxTimestamp: String(batch!.maxTimestamp),
        producerId: String(batch!.producerId),
        producerEpoch: batch!.producerEpoch,
        baseSequence: batch!.baseSequence,
        transactional: batch!.isTransactional,
        leaderEpoch: batch!.leaderEpoch,
        crc: batch!.crc,
        recordCount: batch!.recordCount,
        isControl: batch!.isControl,
      }).toEqual({
        compression: golden.compression,
        timestampType: golden.timestampType,
        baseOffset: golden.baseOffset,
        lastOffset: golden.lastOffset,
        maxTimestamp: golden.maxTimestamp,
        producerId: golden.producerId,
        producerEpoch: golden.producerEpoch,
        baseSequence: golden.baseSequence,
        transactional: golden.transactional,
        leaderEpoch: golden.leaderEpoch,
        crc: golden.crc,
        recordCount: golden.records.length,
        isControl: false,
      });
    },
  );

  test("a client could have produced each, once it begins at offset 0", () => {
    for (const golden of batches) {
      const buffer = Buffer.from(golden.hex, "hex");
      expect(batchProduceProblem(buffer, 0)).toBe("base-offset-not-zero");
      batchSetBaseOffset(buffer, 0, 0);
      expect(batchProduceProblem(buffer, 0)).toBeNull();
    }
  });

  test.each(plain.map((golden, index) => [index, golden] as const))(
    "plain batch %i has Kafka's records",
    (_i, golden) => {
      const records = readRecords(new RecordBatchView(Buffer.from(golden.hex, "hex")));
      expect(Array.isArray(records) ? records.map(asGolden) : records).toEqual(golden.records);
    },
  );

  test.each(plain.map((golden, index) => [index, golden] as const))(
    "plain batch %i is built again to the byte",
    (_i, golden) => {
      const bytes = Buffer.from(golden.hex, "hex");
      const batch = new RecordBatchView(bytes);
      const builder = new RecordBatchBuilder({ bytesInitial: 61 });
      const cursor = new RecordCursor().openBatch(bytes, 0);
      while (cursor.next()) {
        const own = batch.baseTimestamp + cursor.timestampDelta;
        builder.append(own, cursor.key, cursor.value, cursorHeaders(cursor));
      }
      const rebuilt = builder.build({
        baseOffset: batch.baseOffset,
        leaderEpoch: batch.leaderEpoch,
        producerId: batch.producerId,
        producerEpoch: batch.producerEpoch,
        baseSequence: batch.baseSequence,
        transactional: batch.isTransactional,
        logAppendTimeMs: batch.timestampType === "LogAppendTime" ? batch.maxTimestamp : undefined,
      });
      expect(rebuilt.toString("hex")).toBe(golden.hex);
    },
  );

  test.each(controls.map((golden) => [golden.control, golden] as const))(
    "a %s marker reads and is built again",
    (_t, golden) => {
      const bytes = Buffer.from(golden.hex, "hex");
      expect(batchDamage(bytes, 0)).toBeNull();
      const batch = new RecordBatchView(bytes);
      expect([batch.isControl, batch.isTransactional, batch.producerEpoch]).toEqual([true, true, golden.producerEpoch]);
      expect([String(batch.producerId), String(batch.baseOffset)]).toEqual([golden.producerId, golden.baseOffset]);
      const cursor = new RecordCursor().openBatch(bytes, 0);
      expect(cursor.next()).toBe(true);
      const type = golden.control === "COMMIT" ? "commit" : "abort";
      expect(parseControlKey(bytes, cursor.keyPosition, cursor.keyLength)).toMatchObject({ version: 0, type });
      expect(parseEndTxnMarker(bytes, cursor.valuePosition, cursor.valueLength)).toEqual({
        version: 0,
        coordinatorEpoch: golden.coordinatorEpoch,
      });
      const builder = new RecordBatchBuilder();
      builder.append(cursor.timestamp, controlKey(type), endTxnMarkerValue(golden.coordinatorEpoch));
      const rebuilt = builder.build({
        baseOffset: batch.baseOffset,
        leaderEpoch: batch.leaderEpoch,
        producerId: batch.producerId,
        producerEpoch: batch.producerEpoch,
        transactional: true,
        control: true,
      });
      expect(rebuilt.toString("hex")).toBe(golden.hex);
    },
  );
});
