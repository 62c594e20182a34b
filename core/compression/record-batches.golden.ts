// Kafka's own compressed batches: each must unpack to the records that Kafka says are in it, and survive being packed anew by every codec.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { missingShared, sharedPath } from "../../testing/shared.ts";
import { batchDamage, type LogRecord, RecordBatchBuilder, RecordBatchView } from "../model/index.ts";
import {
  batchRecordsBytesLater,
  type Codec,
  codecByName,
  codecs,
  readBatchRecords,
  recompressBatch,
  repackBatch,
  repackBatchLater,
} from "./index.ts";
import { zstdOn } from "./zstd.ts";
import { zstdNodeLibrary, zstdPackageLibrary } from "./zstd-library.ts";

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
  records: GoldenRecord[];
  hex: string;
}

const batches: GoldenBatch[] = missingShared
  ? []
  : readFileSync(sharedPath("protocol/record-batches.jsonl"), "utf8")
      .split("\n")
      .filter((line) => line.startsWith('{"compression"'))
      .map((line) => JSON.parse(line));

const outputBytesMax = 1 << 20;
const node = zstdNodeLibrary();
const zstdLibraries: Codec[] = [zstdOn(zstdPackageLibrary), ...(node === null ? [] : [zstdOn(() => node)])];

function asGolden(record: LogRecord): GoldenRecord {
  return {
    offset: String(record.offset),
    timestamp: String(record.timestamp),
    key: record.key?.toString("hex") ?? null,
    value: record.value?.toString("hex") ?? null,
    headers: record.headers.map((header) => [header.key, header.value?.toString("hex") ?? null]),
  };
}

function goldenRecords(batch: RecordBatchView): unknown {
  const records = readBatchRecords(batch, { outputBytesMax });
  return Array.isArray(records) ? records.map(asGolden) : records;
}

describe.skipIf(missingShared)("Kafka's compressed batches", () => {
  test("each codec is there", () => {
    expect(new Set(batches.map((batch) => batch.compression))).toEqual(new Set(codecs.map((codec) => codec.name)));
  });

  test.each(batches.map((golden, index) => [index, golden.compression, golden] as const))(
    "batch %i (%s) has Kafka's records",
    (_index, _codec, golden) => {
      expect(goldenRecords(new RecordBatchView(Buffer.from(golden.hex, "hex")))).toEqual(golden.records);
    },
  );

  test.each(batches.map((golden, index) => [index, golden.compression, golden] as const))(
    "batch %i (%s) keeps its records under every codec",
    (_index, _codec, golden) => {
      const batch = new RecordBatchView(Buffer.from(golden.hex, "hex"));
      for (const codec of codecs) {
        const packed = recompressBatch(batch, { codec, outputBytesMax }) as Buffer;
        expect(batchDamage(packed, 0)).toBeNull();
        const again = new RecordBatchView(packed);
        expect(again.codecId).toBe(codec.id);
        expect(goldenRecords(again)).toEqual(golden.records);
        for (const field of ["baseOffset", "lastOffset", "producerId", "baseSequence", "timestampType"] as const) {
          expect([field, again[field]]).toEqual([field, batch[field]]);
        }
      }
    },
  );

  test("the builder packs by each codec what readers read back", () => {
    for (const golden of batches.filter((batch) => batch.timestampType === "CreateTime")) {
      const builder = new RecordBatchBuilder();
      for (const record of golden.records) {
        const headers = record.headers.map(([key, value]) => ({
          key,
          value: value === null ? null : Buffer.from(value, "hex"),
        }));
        const key = record.key === null ? null : Buffer.from(record.key, "hex");
        const value = record.value === null ? null : Buffer.from(record.value, "hex");
        builder.append(Number(record.timestamp), key, value, headers);
      }
      const compressor = codecByName(golden.compression)!;
      const baseOffset = Number(golden.records[0]!.offset);
      const bytes = builder.build({ baseOffset, compressor });
      expect(batchDamage(bytes, 0)).toBeNull();
      expect(goldenRecords(new RecordBatchView(bytes))).toEqual(golden.records);
    }
  });

  test("LogAppendTime gives every record the time of its append", () => {
    const golden = batches.find((batch) => batch.timestampType === "CreateTime" && batch.records.length > 1)!;
    const batch = new RecordBatchView(Buffer.from(golden.hex, "hex"));
    const stamped = recompressBatch(batch, { codec: codecByName("lz4")!, outputBytesMax, logAppendTimeMs: 1234 });
    const expected = golden.records.map((record) => ({ ...record, timestamp: "1234" }));
    expect(goldenRecords(new RecordBatchView(stamped as Buffer))).toEqual(expected);
  });

  test("the thread pool gives the same, a wrong max timestamp can be set right, an unknown codec is refused", async () => {
    const golden = batches.find((batch) => batch.compression === "gzip" && batch.records.length > 1)!;
    const batch = new RecordBatchView(Buffer.from(golden.hex, "hex"));
    const records = (await batchRecordsBytesLater(batch, { outputBytesMax })) as Buffer;
    const options = { codec: codecByName("snappy")!, maxTimestampMs: 9_999 };
    const packed = await repackBatchLater(batch, records, options);
    expect(packed.equals(repackBatch(batch, records, options))).toBe(true);
    expect(new RecordBatchView(packed).maxTimestamp).toBe(9_999);
    expect(goldenRecords(new RecordBatchView(packed))).toEqual(golden.records);
    batch.buffer[22]! |= 0x07;
    expect(readBatchRecords(batch, { outputBytesMax })).toMatchObject({ code: "unsupported" });
    expect(await batchRecordsBytesLater(batch, { outputBytesMax })).toMatchObject({ code: "unsupported" });
  });

  test("every zstd library reads Kafka's zstd", () => {
    for (const golden of batches.filter((batch) => batch.compression === "zstd")) {
      const batch = new RecordBatchView(Buffer.from(golden.hex, "hex"));
      const outputs = zstdLibraries.map((codec) => codec.decompress(batch.recordsBytes, { outputBytesMax }));
      for (const output of outputs) {
        expect(output).toBeInstanceOf(Buffer);
        expect((output as Buffer).equals(outputs[0] as Buffer)).toBe(true);
      }
    }
  });
});
