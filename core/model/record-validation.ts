// What may be wrong with the records that a client produces, beyond the header: for topics and settings that demand it (compaction,
// timestamp bounds, recompression). One walk over the decompressed bytes, no object per record unless one is refused.
import type { RecordBatchView } from "./record-batch.ts";
import { RecordCursor } from "./record-cursor.ts";
import type { RecordProblem } from "./record-problem.ts";

/** Most refused records that one answer names; Kafka names them all, which a hostile batch could make a long list. */
export const recordRefusalCountMax = 1000;

export interface RecordRules {
  /** A compacted topic: a record without a key could never be replaced. */
  readonly keyRequired: boolean;
  /** Records with a timestamp of their own must lie within; -1 (none) is exempt. Not looked at where `logAppendTime`. */
  readonly timestampMin: number;
  readonly timestampMax: number;
  /** The topic stamps the time of append, so that the records' own timestamps do not matter. */
  readonly logAppendTime: boolean;
}

export type RecordRefusalCode =
  /** INVALID_RECORD. */
  | "key-null"
  /** INVALID_RECORD: a client's records count their offsets 0, 1, 2 … */
  | "offset-delta-not-next"
  /** INVALID_TIMESTAMP. */
  | "timestamp-out-of-range";

export interface RecordRefusal {
  readonly code: RecordRefusalCode;
  /** Within the batch, from 0. */
  readonly recordIndex: number;
}

export type RecordsVerdict =
  | {
      readonly type: "valid";
      readonly recordCount: number;
      /** The latest timestamp of a record, -1 for none, and how far after the base offset the first record with it is. */
      readonly maxTimestamp: number;
      readonly maxTimestampOffsetDelta: number;
    }
  | { readonly type: "malformed"; readonly problem: RecordProblem }
  | { readonly type: "refused"; readonly refusals: readonly RecordRefusal[] };

/** Judges all records of `batch`, whose decompressed record bytes are `records`. */
export function validateRecords(batch: RecordBatchView, records: Buffer, rules: RecordRules): RecordsVerdict {
  const cursor = new RecordCursor().openRecords(batch, records);
  let refusals: RecordRefusal[] | null = null;
  let maxTimestamp = -1;
  let maxTimestampOffsetDelta = -1;
  while (cursor.next()) {
    const { timestamp } = cursor;
    if (timestamp > maxTimestamp) {
      maxTimestamp = timestamp;
      maxTimestampOffsetDelta = cursor.offsetDelta;
    }
    const code = recordRefusal(cursor, timestamp, rules);
    if (code === null) continue;
    refusals ??= [];
    refusals.push({ code, recordIndex: cursor.index });
    if (refusals.length >= recordRefusalCountMax) break;
  }
  if (cursor.problem !== null) return { type: "malformed", problem: cursor.problem };
  if (refusals !== null) return { type: "refused", refusals };
  return { type: "valid", recordCount: cursor.recordCount, maxTimestamp, maxTimestampOffsetDelta };
}

function recordRefusal(cursor: RecordCursor, timestamp: number, rules: RecordRules): RecordRefusalCode | null {
  if (cursor.offsetDelta !== cursor.index) return "offset-delta-not-next";
  if (rules.keyRequired && cursor.keyLength < 0) return "key-null";
  if (rules.logAppendTime || timestamp === -1) return null;
  return timestamp < rules.timestampMin || timestamp > rules.timestampMax ? "timestamp-out-of-range" : null;
}
