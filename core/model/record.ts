// Records as objects, for those who read few of them: coordinators that load, tools, tests, consumers that hand them on. Keys, values and
// header values are views into the record bytes, which belong to the caller; who keeps a record past their life copies it.
import type { Offset, TimestampMs } from "./ids.ts";
import type { RecordBatchView } from "./record-batch.ts";
import { RecordCursor } from "./record-cursor.ts";
import { MalformedRecords, type RecordProblem } from "./record-problem.ts";

export interface RecordHeader {
  readonly key: string;
  readonly value: Buffer | null;
}

export interface LogRecord {
  readonly offset: Offset;
  readonly timestamp: TimestampMs;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly RecordHeader[];
}

const noHeaders: readonly RecordHeader[] = [];

/** The headers of the record that the cursor stands at; it has checked them. Shares one empty array between records without. */
export function cursorHeaders(
  cursor: Pick<RecordCursor, "buffer" | "headersPosition" | "headerCount">,
): readonly RecordHeader[] {
  if (cursor.headerCount === 0) return noHeaders;
  const { buffer } = cursor;
  const headers: RecordHeader[] = [];
  let at = cursor.headersPosition;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = buffer[at++]!;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1);
    }
  };
  for (let index = 0; index < cursor.headerCount; index++) {
    const keyLength = varint();
    const key = buffer.toString("utf8", at, at + keyLength);
    at += keyLength;
    const valueLength = varint();
    const value = valueLength < 0 ? null : buffer.subarray(at, at + valueLength);
    if (valueLength > 0) at += valueLength;
    headers.push({ key, value });
  }
  return headers;
}

/** The record that the cursor stands at, as an object. */
export function cursorRecord(cursor: RecordCursor): LogRecord {
  return {
    offset: cursor.offset,
    timestamp: cursor.timestamp,
    key: cursor.key,
    value: cursor.value,
    headers: cursorHeaders(cursor),
  };
}

/**
 * The records of `batch`, one after another. `records` are its decompressed record bytes; left out, the batch must be uncompressed.
 * Throws MalformedRecords at the record that is not one: those before it have been handed out.
 */
export function* iterateRecords(
  batch: RecordBatchView,
  records: Buffer = batch.recordsBytes,
): Generator<LogRecord, void, undefined> {
  const cursor = new RecordCursor().openRecords(batch, records);
  while (cursor.next()) yield cursorRecord(cursor);
  if (cursor.problem !== null) throw new MalformedRecords(cursor.problem);
}

/** All records of `batch` at once, or what is wrong with them. */
export function readRecords(batch: RecordBatchView, records: Buffer = batch.recordsBytes): LogRecord[] | RecordProblem {
  const cursor = new RecordCursor().openRecords(batch, records);
  const all: LogRecord[] = [];
  while (cursor.next()) all.push(cursorRecord(cursor));
  return cursor.problem ?? all;
}
