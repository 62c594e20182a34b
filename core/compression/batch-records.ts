// Batches whose records are packed: reading their records, and packing them anew with another codec, as a topic's `compression.type` asks.
// Offsets, timestamps, producer fields and the record bytes themselves stay as they are. Inputs are only read.
import {
  attributeBits,
  batchAt,
  batchHeaderBytes,
  batchLogOverheadBytes,
  batchRefreshCrc,
  type LogRecord,
  type RecordBatchView,
  type RecordProblem,
  readRecords,
  writeInt64,
} from "../model/index.ts";
import { type Codec, type DecompressionOptions, DecompressionProblem } from "./codec.ts";
import { codecById } from "./codecs.ts";

function unknownCodec(id: number): DecompressionProblem {
  return new DecompressionProblem("unsupported", `codec ${id}`, "the id names no codec");
}

/** The record bytes of `batch`, unpacked; for an uncompressed batch a view into it. */
export function batchRecordsBytes(
  batch: RecordBatchView,
  options: DecompressionOptions,
): Buffer | DecompressionProblem {
  const codec = codecById(batch.codecId);
  return codec === null ? unknownCodec(batch.codecId) : codec.decompress(batch.recordsBytes, options);
}

/** As batchRecordsBytes, on the thread pool. The batch must stay as it is until the promise settles. */
export async function batchRecordsBytesLater(
  batch: RecordBatchView,
  options: DecompressionOptions,
): Promise<Buffer | DecompressionProblem> {
  const codec = codecById(batch.codecId);
  return codec === null ? unknownCodec(batch.codecId) : codec.decompressLater(batch.recordsBytes, options);
}

/** All records of `batch`, whatever its codec. */
export function readBatchRecords(
  batch: RecordBatchView,
  options: DecompressionOptions,
): LogRecord[] | RecordProblem | DecompressionProblem {
  const records = batchRecordsBytes(batch, options);
  return records instanceof DecompressionProblem ? records : readRecords(batch, records);
}

export interface RepackOptions {
  readonly codec: Codec;
  /** The codec's own default where left out. */
  readonly level?: number;
  /** Given: the batch is marked LogAppendTime with this time. */
  readonly logAppendTimeMs?: number;
  /** Given: replaces the header's, for a batch whose records were found to have another. */
  readonly maxTimestampMs?: number;
}

/** A new batch with the header of `batch` and `records`, its unpacked record bytes, packed by `codec`. It belongs to the caller. */
export function repackBatch(batch: RecordBatchView, records: Buffer, options: RepackOptions): Buffer {
  return assemble(batch, options.codec.compress(records, options.level), options);
}

/** As repackBatch, on the thread pool. Batch and records must stay as they are until the promise settles. */
export async function repackBatchLater(
  batch: RecordBatchView,
  records: Buffer,
  options: RepackOptions,
): Promise<Buffer> {
  return assemble(batch, await options.codec.compressLater(records, options.level), options);
}

/** Unpacks `batch` and packs it by another codec. */
export function recompressBatch(
  batch: RecordBatchView,
  options: RepackOptions & DecompressionOptions,
): Buffer | DecompressionProblem {
  const records = batchRecordsBytes(batch, options);
  return records instanceof DecompressionProblem ? records : repackBatch(batch, records, options);
}

function assemble(batch: RecordBatchView, packed: Buffer, options: RepackOptions): Buffer {
  const result = Buffer.allocUnsafeSlow(batchHeaderBytes + packed.length);
  batch.buffer.copy(result, 0, batch.position, batch.position + batchHeaderBytes);
  packed.copy(result, batchHeaderBytes);
  result.writeInt32BE(result.length - batchLogOverheadBytes, batchAt.batchLength);
  let attributes = (batch.attributes & ~attributeBits.codecMask) | options.codec.id;
  const { logAppendTimeMs, maxTimestampMs } = options;
  if (maxTimestampMs !== undefined) writeInt64(result, batchAt.maxTimestamp, maxTimestampMs);
  if (logAppendTimeMs !== undefined) {
    attributes |= attributeBits.logAppendTime;
    writeInt64(result, batchAt.maxTimestamp, logAppendTimeMs);
  }
  result.writeInt16BE(attributes, batchAt.attributes);
  batchRefreshCrc(result, 0);
  return result;
}
