// Walks the records of a batch (uncompressed bytes) one after another without an object, a copy or a bigint per record. Every field is
// bounded by its record, every record by the bytes there are. The bytes belong to the caller; positions are into them.
//
//   cursor.openBatch(buffer, at);
//   while (cursor.next()) use(cursor.offset, buffer, cursor.valuePosition, cursor.valueLength);
//   if (cursor.problem !== null) …

import type { Offset, TimestampMs } from "./ids.ts";
import {
  batchAt,
  batchBaseOffset,
  batchBaseTimestamp,
  batchHeaderBytes,
  batchIsLogAppendTime,
  batchMaxTimestamp,
  batchSize,
  type RecordBatchView,
} from "./record-batch.ts";
import { RecordProblem, type RecordProblemCode } from "./record-problem.ts";

/** Attributes, two deltas, key length, value length, header count: one byte each. */
export const recordBodyBytesMin = 6;

const noBytes = Buffer.alloc(0);
const two28 = 0x1000_0000;
const two56 = two28 * two28;

export class RecordCursor {
  /** The bytes that the positions below are in. */
  buffer: Buffer = noBytes;
  /** What went wrong; null while nothing has. */
  problem: RecordProblem | null = null;

  /** Of the record that `next` stopped at, from 0; -1 before the first. */
  index = -1;
  /** Where the record begins, with its length, and where it ends. */
  recordPosition = 0;
  recordEnd = 0;
  attributes = 0;
  timestampDelta = 0;
  offsetDelta = 0;
  keyPosition = 0;
  /** -1: null. */
  keyLength = -1;
  valuePosition = 0;
  /** -1: null. */
  valueLength = -1;
  headersPosition = 0;
  headerCount = 0;

  private baseOffset = 0;
  private baseTimestamp = 0;
  /** NaN: records have timestamps of their own. */
  private appendTime = Number.NaN;
  private count = 0;
  private end = 0;
  /** Where the next byte is read, and what bounds it. */
  private at = 0;
  private limit = 0;

  /** Begins with the records of the uncompressed batch at `position`. */
  openBatch(buffer: Buffer, position: number): this {
    return this.open(buffer, position, buffer, position + batchHeaderBytes, position + batchSize(buffer, position));
  }

  /** Begins with `records`, the decompressed records of `batch`. */
  openRecords(batch: RecordBatchView, records: Buffer): this {
    return this.open(batch.buffer, batch.position, records, 0, records.length);
  }

  /** Begins with the records in `records` from `start` to `end`, of the batch whose header is at `position` of `header`. */
  open(header: Buffer, position: number, records: Buffer, start: number, end: number): this {
    this.buffer = records;
    this.at = start;
    this.limit = end;
    this.end = end;
    this.recordEnd = start;
    this.index = -1;
    this.count = header.readInt32BE(position + batchAt.recordCount);
    this.baseOffset = batchBaseOffset(header, position);
    this.baseTimestamp = batchBaseTimestamp(header, position);
    this.appendTime = batchIsLogAppendTime(header, position) ? batchMaxTimestamp(header, position) : Number.NaN;
    this.problem = this.count < 0 ? new RecordProblem("count-negative", -1, start) : null;
    return this;
  }

  get offset(): Offset {
    return (this.baseOffset + this.offsetDelta) as Offset;
  }

  /** The record's own timestamp, or the time of its append where the batch says so. */
  get timestamp(): TimestampMs {
    const { appendTime } = this;
    return (Number.isNaN(appendTime) ? this.baseTimestamp + this.timestampDelta : appendTime) as TimestampMs;
  }

  /** How many records the header counts. */
  get recordCount(): number {
    return this.count;
  }

  /** A view; valid as long as the record bytes are. */
  get key(): Buffer | null {
    return this.keyLength < 0 ? null : this.buffer.subarray(this.keyPosition, this.keyPosition + this.keyLength);
  }

  /** A view; valid as long as the record bytes are. */
  get value(): Buffer | null {
    return this.valueLength < 0
      ? null
      : this.buffer.subarray(this.valuePosition, this.valuePosition + this.valueLength);
  }

  /** Moves to the next record. False after the last one, and where something is wrong: then `problem` says what. */
  next(): boolean {
    if (this.problem !== null) return false;
    const start = this.recordEnd;
    const index = this.index + 1;
    if (index >= this.count) {
      if (start !== this.end) this.fail("bytes-left-over", start);
      return false;
    }
    if (start >= this.end) return this.fail("records-missing", start);
    this.index = index;
    this.recordPosition = start;
    this.at = start;
    this.limit = this.end;
    const length = this.varint();
    const bodyStart = this.at;
    if (bodyStart < 0) return this.fail("varint-malformed", start);
    if (length < recordBodyBytesMin || length > this.end - bodyStart) return this.fail("record-length-invalid", start);
    const recordEnd = bodyStart + length;
    this.recordEnd = recordEnd;
    this.limit = recordEnd;
    this.attributes = this.buffer[bodyStart]!;
    this.at = bodyStart + 1;
    return this.readFields(recordEnd);
  }

  private readFields(recordEnd: number): boolean {
    this.timestampDelta = this.varlong();
    this.offsetDelta = this.at < 0 ? 0 : this.varint();
    const keyLength = this.at < 0 ? 0 : this.varint();
    if (this.at < 0) return this.fail("varint-malformed", this.recordPosition);
    if (keyLength > recordEnd - this.at) return this.fail("key-length-invalid", this.at);
    this.keyPosition = this.at;
    // Kafka reads every negative length as null.
    this.keyLength = keyLength < 0 ? -1 : keyLength;
    if (keyLength > 0) this.at += keyLength;
    const valueLength = this.varint();
    if (this.at < 0) return this.fail("varint-malformed", this.recordPosition);
    if (valueLength > recordEnd - this.at) return this.fail("value-length-invalid", this.at);
    this.valuePosition = this.at;
    this.valueLength = valueLength < 0 ? -1 : valueLength;
    if (valueLength > 0) this.at += valueLength;
    const headerCount = this.varint();
    if (this.at < 0) return this.fail("varint-malformed", this.recordPosition);
    this.headersPosition = this.at;
    this.headerCount = headerCount;
    if (headerCount !== 0 && !this.skipHeaders(headerCount, recordEnd)) return false;
    if (this.at !== recordEnd) return this.fail("record-length-lies", this.at);
    if (!Number.isSafeInteger(this.timestampDelta) || !Number.isSafeInteger(this.timestamp)) {
      return this.fail("timestamp-out-of-range", this.recordPosition);
    }
    return true;
  }

  private skipHeaders(headerCount: number, recordEnd: number): boolean {
    // A header is two bytes at least; Kafka's own check is the weaker one byte.
    if (headerCount < 0 || headerCount > (recordEnd - this.at) / 2) return this.fail("header-count-invalid", this.at);
    for (let header = 0; header < headerCount; header++) {
      const keyLength = this.varint();
      if (this.at < 0) return this.fail("varint-malformed", this.recordPosition);
      if (keyLength < 0) return this.fail("header-key-null", this.at);
      if (keyLength > recordEnd - this.at) return this.fail("header-length-invalid", this.at);
      this.at += keyLength;
      const valueLength = this.varint();
      if (this.at < 0) return this.fail("varint-malformed", this.recordPosition);
      if (valueLength > recordEnd - this.at) return this.fail("header-length-invalid", this.at);
      if (valueLength > 0) this.at += valueLength;
    }
    return true;
  }

  private fail(code: RecordProblemCode, position: number): false {
    this.problem = new RecordProblem(code, Math.max(this.index, 0), position);
    return false;
  }

  /** A zigzag int32 of at most five bytes; bits past the 32nd are dropped, as Kafka does. Malformed: `at` becomes -1. */
  private varint(): number {
    const { buffer, limit } = this;
    let at = this.at;
    let byte = at < limit ? buffer[at]! : 0x80;
    if (byte < 0x80) {
      this.at = at + 1;
      return (byte >>> 1) ^ -(byte & 1);
    }
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      if (at >= limit) break;
      byte = buffer[at++]!;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.at = at;
        return (value >>> 1) ^ -(value & 1);
      }
    }
    this.at = -1;
    return 0;
  }

  /** A zigzag int64 of at most ten bytes; NaN or an unsafe number where no number holds it. Malformed: `at` becomes -1. */
  private varlong(): number {
    const { buffer, limit } = this;
    let at = this.at;
    let low = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = at < limit ? buffer[at++]! : 0x100;
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.at = at;
        return (low >>> 1) ^ -(low & 1);
      }
      if (byte === 0x100) {
        this.at = -1;
        return 0;
      }
    }
    return this.varlongRest(low, at);
  }

  /** From the fifth byte on: two more groups of 28 bits, the second cut to what 64 bits leave. */
  private varlongRest(low: number, from: number): number {
    const { buffer, limit } = this;
    let at = from;
    let middle = 0;
    let high = 0;
    for (let group = 4; group < 10 && at < limit; group++) {
      const byte = buffer[at++]!;
      if (group < 8) middle |= (byte & 0x7f) << (7 * (group - 4));
      else if (group === 8) high = byte & 0x7f;
      else high |= (byte & 0x01) << 7;
      if (byte >= 0x80) continue;
      this.at = at;
      // The sum is halved, so it must be exact up to 2^54 only: even sums of that size are.
      const odd = low & 1;
      const half = (high * two56 + middle * two28 + (low + odd)) / 2;
      return odd === 1 ? -half : half;
    }
    this.at = -1;
    return 0;
  }
}
