// The records that dead letters hold, read from the source partition's log: one read at a time, bounded in bytes, packed batches unpacked. What is not
// in the log any more, or cannot be unpacked, has no copy.
import { batchRecordsBytesLater, DecompressionProblem } from "@blumfeld/core/compression";
import { type PartitionLog, unpackedRecordsBytesMax } from "@blumfeld/core/log";
import { batchHeaderBytes, batchSizeAt, offsetOf, RecordBatchView, RecordCursor } from "@blumfeld/core/model";

export const copyReadBytesMax = 1024 * 1024;
/** What is unpacked for one batch of letters; the batch that passes it is the last. */
export const copyUnpackedBytesMax = 16 * 1024 * 1024;

export interface RecordCopy {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}

export interface FoundCopies {
  readonly records: ReadonlyMap<number, RecordCopy>;
  /** What lies beyond was not looked at. */
  readonly through: number;
}

const nothing: ReadonlyMap<number, RecordCopy> = new Map();

/** Of `offsets` (in rising order), as far as one read goes. Throws DiskError. */
export async function recordCopies(log: PartitionLog, offsets: readonly number[]): Promise<FoundCopies> {
  const [from = 0] = offsets;
  const last = offsets[offsets.length - 1] ?? 0;
  // Deleted since: whatever is still there comes with the next read.
  if (from < log.logStartOffset) return { records: nothing, through: Math.min(last, log.logStartOffset - 1) };
  // Where a batch ends: a bound in the middle of one leaves it out.
  const upTo = offsetOf(log.highWatermark);
  const slice = log.read(offsetOf(from), { bytesMax: copyReadBytesMax, upTo, minOneBatch: true });
  if (slice.kind !== "slice" || slice.sizeBytes === 0) return { records: nothing, through: last };
  const target = Buffer.allocUnsafe(slice.sizeBytes);
  const bytes = target.subarray(0, await slice.file.readLater(target, slice.position));
  const wanted = new Set(offsets);
  const records = new Map<number, RecordCopy>();
  let through = from - 1;
  let unpackedBytes = 0;
  for (let at = 0; at + batchHeaderBytes <= bytes.length && unpackedBytes < copyUnpackedBytesMax; ) {
    const size = batchSizeAt(bytes, at);
    if (size < batchHeaderBytes || at + size > bytes.length) break;
    const batch = new RecordBatchView(bytes, at);
    if (batch.baseOffset > last) break;
    if (!batch.isControl) unpackedBytes += await takeFrom(batch, wanted, records, unpackedRecordsBytesMax(log.config));
    through = batch.nextOffset - 1;
    at += size;
  }
  return { records, through: through < from ? last : Math.min(through, last) };
}

/** How many bytes it had to unpack. */
async function takeFrom(
  batch: RecordBatchView,
  wanted: ReadonlySet<number>,
  records: Map<number, RecordCopy>,
  outputBytesMax: number,
): Promise<number> {
  let unpackedBytes = 0;
  const cursor = new RecordCursor();
  if (batch.codecId === 0) cursor.openBatch(batch.buffer, batch.position);
  else {
    const unpacked = await batchRecordsBytesLater(batch, { outputBytesMax });
    if (unpacked instanceof DecompressionProblem) return 0;
    unpackedBytes = unpacked.length;
    cursor.openRecords(batch, unpacked);
  }
  while (cursor.next())
    if (wanted.has(cursor.offset)) records.set(cursor.offset, { key: cursor.key, value: cursor.value });
  return unpackedBytes;
}
