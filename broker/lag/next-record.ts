// The next record that a group will read, found in the log from the offset that it committed. Headers are enough for most batches; where they
// are not, one batch is read and unpacked. What was written lately is read here and now, the rest on the thread pool.
import { batchRecordsBytesLater, DecompressionProblem } from "@blumfeld/core/compression";
import type { LogSlice, PartitionLog } from "@blumfeld/core/log";
import { batchHeaderBytes, batchSizeAt, offsetOf, RecordBatchView, RecordCursor } from "@blumfeld/core/model";

export interface NextRecord {
  readonly offset: number;
  /** -1: the record has none. */
  readonly timestampMs: number;
}

/** Read at once for a look at headers. */
export const headerReadBytes = 4096;
/** Transaction markers in a row that one look-up passes over; the last of them then stands for the record. */
export const markersInARowMax = 1000;
/** A batch larger than this, unpacked, is not looked into: its largest timestamp stands for the record's. */
export const unpackedBatchBytesMax = 64 * 1024 * 1024;

/** The first record from `from` up to `end` that a reader is given; null where only transaction markers are left, or nothing. Throws DiskError. */
export async function nextRecord(log: PartitionLog, from: number, end: number): Promise<NextRecord | null> {
  let offset = Math.max(from, log.logStartOffset);
  let markerCount = 0;
  while (offset < end) {
    const slice = log.read(offsetOf(offset), { bytesMax: headerReadBytes, upTo: offsetOf(end), minOneBatch: false });
    if (slice.kind !== "slice") return null;
    const bytes = await readSlice(slice, Math.max(slice.sizeBytes, batchHeaderBytes));
    let position = 0;
    for (;;) {
      if (position + batchHeaderBytes > bytes.length) break;
      const batch = new RecordBatchView(bytes, position);
      const size = batchSizeAt(bytes, position);
      if (size < batchHeaderBytes) return null;
      const { nextOffset } = batch;
      if (nextOffset > offset) {
        if (batch.baseOffset >= end) return null;
        if (!batch.isControl) {
          const found = byHeader(batch, offset) ?? (await byRecords(slice, slice.position + position, size, offset));
          // Null: what the batch had from there on was compacted away.
          if (found !== null) return found;
        } else if (++markerCount >= markersInARowMax) return { offset, timestampMs: batch.maxTimestamp };
        offset = nextOffset;
      }
      position += size;
    }
    // Not one header fitted: the slice ends in the middle of one, and the next read begins with it.
    if (position === 0) return null;
  }
  return null;
}

async function readSlice(slice: LogSlice, sizeBytes: number, position: number = slice.position): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(sizeBytes);
  const isQuick = slice.isRecent && sizeBytes <= headerReadBytes;
  const count = isQuick ? slice.file.read(bytes, position) : await slice.file.readLater(bytes, position);
  return bytes.subarray(0, count);
}

/** Where the header says it: all records have one timestamp, or the record is the first of a batch that still has all of its records. */
function byHeader(batch: RecordBatchView, offset: number): NextRecord | null {
  const { baseOffset, lastOffsetDelta, maxTimestamp, recordCount } = batch;
  if (recordCount !== lastOffsetDelta + 1) return null;
  const next = Math.max(offset, baseOffset);
  if (batch.timestampType === "LogAppendTime") return { offset: next, timestampMs: maxTimestamp };
  return next === baseOffset && batch.deleteHorizon === null
    ? { offset: next, timestampMs: batch.baseTimestamp }
    : null;
}

async function byRecords(slice: LogSlice, position: number, size: number, offset: number): Promise<NextRecord | null> {
  const bytes = await readSlice(slice, size, position);
  if (bytes.length < size) return null;
  const batch = new RecordBatchView(bytes);
  const cursor = new RecordCursor();
  if (batch.codecId === 0) cursor.openBatch(bytes, 0);
  else {
    const records = await batchRecordsBytesLater(batch, { outputBytesMax: unpackedBatchBytesMax });
    if (records instanceof DecompressionProblem) return { offset, timestampMs: batch.maxTimestamp };
    cursor.openRecords(batch, records);
  }
  while (cursor.next()) if (cursor.offset >= offset) return { offset: cursor.offset, timestampMs: cursor.timestamp };
  return cursor.problem === null ? null : { offset, timestampMs: batch.maxTimestamp };
}
