// The records of Kafka's own logs, as a broker left them on disk: read to what Kafka's tool says of them, and written to the same bytes.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { missingShared, sharedPath } from "../../testing/shared.ts";
import { iterateBatches, iterateRecords } from "../model/index.ts";
import {
  decodeControlRecord,
  decodeMetadataRecord,
  encodeControlRecord,
  encodeMetadataRecord,
  groupCoordinatorRecords,
  readConsumerAssignment,
  readConsumerSubscription,
  shareCoordinatorRecords,
  transactionCoordinatorRecords,
  writeConsumerAssignment,
  writeConsumerSubscription,
} from "./index.ts";

interface Dumped {
  readonly offset: string;
  readonly control?: string;
  readonly key?: { readonly type: string; readonly data: unknown };
  readonly value?: { readonly type?: string; readonly version: string | number; readonly data: unknown } | null;
}

interface LogRecord {
  readonly offset: number;
  readonly isControl: boolean;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}

function recordsOf(path: string): Map<string, LogRecord> {
  const records = new Map<string, LogRecord>();
  for (const batch of iterateBatches(readFileSync(path))) {
    for (const { offset, key, value } of iterateRecords(batch)) {
      records.set(String(offset), { offset, isControl: batch.isControl, key, value });
    }
  }
  return records;
}

/** Every field that the tool printed has the same value; the tool prints int64 as a number, rounded above 2^53. */
function expectPrinted(decoded: unknown, printed: unknown): void {
  if (typeof decoded === "bigint") expect(Number(decoded)).toBe(Number(printed));
  else if (Buffer.isBuffer(decoded)) expectPrintedBytes(decoded, printed);
  else if (Array.isArray(printed)) {
    expect((decoded as unknown[]).length).toBe(printed.length);
    for (const [index, one] of printed.entries()) expectPrinted((decoded as unknown[])[index], one);
  } else if (typeof printed === "object" && printed !== null) {
    for (const [name, value] of Object.entries(printed))
      expectPrinted((decoded as Record<string, unknown>)[name], value);
  } else expect(decoded).toEqual(printed);
}

/** Of a classic member's subscription and assignment the tool prints what is in them. */
function expectPrintedBytes(decoded: Buffer, printed: unknown): void {
  if (typeof printed === "string") expect(decoded.toString("base64")).toBe(printed);
  else if (Object.hasOwn(printed as object, "topics")) {
    const { version, ...subscription } = readConsumerSubscription(decoded);
    expectPrinted(subscription, printed);
    expect(writeConsumerSubscription(subscription, version)).toEqual(decoded);
  } else {
    const assignment = readConsumerAssignment(decoded);
    expectPrinted(assignment, printed);
    expect(writeConsumerAssignment(assignment, decoded.readInt16BE(0))).toEqual(decoded);
  }
}

function checkMetadata(record: LogRecord, dumped: Dumped): void {
  const decoded = decodeMetadataRecord(record.value!);
  expect(decoded.type.replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase()).toBe(dumped.value!.type);
  expect(decoded.version).toBe(Number(dumped.value!.version));
  expectPrinted(decoded.value, dumped.value!.data);
  expect(encodeMetadataRecord(decoded)).toEqual(record.value);
}

interface CoordinatorRecords {
  decode(
    key: Buffer,
    value: Buffer | null,
  ): { type: string; key: object; valueVersion: number; value: object | null } | null;
  encode(record: { type: string; key: object; valueVersion: number; value: object | null }): {
    key: Buffer;
    value: Buffer | null;
  };
}

function checkCoordinator(table: CoordinatorRecords, record: LogRecord, dumped: Dumped): void {
  const decoded = table.decode(record.key!, record.value)!;
  expect(record.key!.readInt16BE(0)).toBe(Number(dumped.key!.type));
  expectPrinted(decoded.key, dumped.key!.data);
  if (decoded.value === null) expect(dumped.value).toBeNull();
  else {
    expect(decoded.valueVersion).toBe(Number(dumped.value!.version));
    expectPrinted(decoded.value, dumped.value!.data);
  }
  expect(table.encode(decoded)).toEqual({ key: record.key, value: record.value });
}

function checkControl(record: LogRecord, dumped: Dumped): void {
  const decoded = decodeControlRecord(record.key!, record.value!);
  if (decoded.type === "Unknown") throw new Error(`control record type ${decoded.key}`);
  const marker = /^endTxnMarker: (COMMIT|ABORT) coordinatorEpoch: (\d+)$/.exec(dumped.control!);
  if (marker !== null) {
    expect(decoded.type.toUpperCase()).toBe(marker[1]);
    expect(decoded.value).toEqual({ coordinatorEpoch: Number(marker[2]) });
  } else {
    const [, name, json] = /^(\w+):? (\{.*\})$/.exec(dumped.control!)!;
    expect(decoded.type).toBe(name!.replace("KRaftVoters", "Voters"));
    expectPrinted(decoded.value, JSON.parse(json!));
  }
  expect(encodeControlRecord(decoded)).toEqual({ key: record.key, value: record.value });
}

const tables: Record<string, CoordinatorRecords> = {
  __consumer_offsets: groupCoordinatorRecords as CoordinatorRecords,
  __transaction_state: transactionCoordinatorRecords as CoordinatorRecords,
  __share_group_state: shareCoordinatorRecords as CoordinatorRecords,
};

describe.skipIf(missingShared).each(["data-clean", "data-killed"])("%s", (name) => {
  let directory = "";
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "blumfeld-records-"));
    execFileSync("tar", ["-xzf", sharedPath(`protocol/data-dirs/${name}.tar.gz`), "-C", directory]);
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test("the decoded records", () => {
    const expected = JSON.parse(readFileSync(sharedPath(`protocol/data-dirs/${name}.expected.json`), "utf8"));
    const counts = new Map<string, number>();
    for (const [folder, { decoded }] of Object.entries<{ decoded?: Record<string, Dumped[]> }>(expected.disk)) {
      const topic = folder.replace(/-\d+$/, "");
      for (const [file, dumps] of Object.entries(decoded ?? {})) {
        const records = recordsOf(join(directory, "data", folder, file));
        for (const dumped of dumps) {
          const record = records.get(dumped.offset);
          if (record === undefined) continue;
          if (dumped.control !== undefined) checkControl(record, dumped);
          else if (topic === "__cluster_metadata") checkMetadata(record, dumped);
          else checkCoordinator(tables[topic]!, record, dumped);
          counts.set(topic, (counts.get(topic) ?? 0) + 1);
        }
      }
    }
    const total = Object.values<{ decoded?: Record<string, Dumped[]> }>(expected.disk)
      .flatMap(({ decoded }) => Object.values(decoded ?? {}))
      .reduce((sum, dumps) => sum + dumps.filter((one) => one.offset !== undefined).length, 0);
    expect([...counts.keys()].sort()).toEqual([
      "__cluster_metadata",
      "__consumer_offsets",
      "__share_group_state",
      "__transaction_state",
    ]);
    expect([...counts.values()].reduce((sum, one) => sum + one, 0)).toBe(total);
  });
});
