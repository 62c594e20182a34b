// Changes to a batch where it lies. The base offset and the leader epoch are outside the checksum, so that a leader stamps them for
// free; every other change ends with a new checksum. Writes into the caller's bytes and keeps nothing.
// A delete horizon is not among them: it takes the place of the base timestamp, so every record's delta changes with it (RecordBatchBuilder).
import { assert } from "../base/index.ts";
import { crc32c } from "./crc32c.ts";
import { writeInt64 } from "./int64.ts";
import { attributeBits, batchAt, batchHeaderBytes, batchSize } from "./record-batch.ts";

/** The checksum that the batch should carry: of all from its attributes to its end. */
export function batchComputeCrc(buffer: Buffer, position: number): number {
  return crc32c(buffer.subarray(position + batchAt.attributes, position + batchSize(buffer, position)));
}

/** Makes the checksum true again after a change. */
export function batchRefreshCrc(buffer: Buffer, position: number): void {
  buffer.writeUInt32BE(batchComputeCrc(buffer, position), position + batchAt.crc);
}

/** Outside the checksum. */
export function batchSetBaseOffset(buffer: Buffer, position: number, baseOffset: number): void {
  writeInt64(buffer, position + batchAt.baseOffset, baseOffset);
}

/** Outside the checksum. */
export function batchSetLeaderEpoch(buffer: Buffer, position: number, leaderEpoch: number): void {
  buffer.writeInt32BE(leaderEpoch, position + batchAt.partitionLeaderEpoch);
}

/** What a leader writes into each batch that it appends. Outside the checksum. */
export function batchStamp(buffer: Buffer, position: number, baseOffset: number, leaderEpoch: number): void {
  writeInt64(buffer, position + batchAt.baseOffset, baseOffset);
  buffer.writeInt32BE(leaderEpoch, position + batchAt.partitionLeaderEpoch);
}

/** Gives every record the time of its append: readers then take the batch's max timestamp for all its records. */
export function batchSetLogAppendTime(buffer: Buffer, position: number, timestampMs: number): void {
  buffer[position + batchAt.attributes + 1]! |= attributeBits.logAppendTime;
  writeInt64(buffer, position + batchAt.maxTimestamp, timestampMs);
  batchRefreshCrc(buffer, position);
}

/** Says that the records' own timestamps count, and which is the latest. */
export function batchSetCreateTime(buffer: Buffer, position: number, maxTimestampMs: number): void {
  buffer[position + batchAt.attributes + 1]! &= ~attributeBits.logAppendTime;
  writeInt64(buffer, position + batchAt.maxTimestamp, maxTimestampMs);
  batchRefreshCrc(buffer, position);
}

export interface ProducerFields {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
}

/** A producer stamps a batch when it is sent first, or again after its epoch was bumped. */
export function batchSetProducer(buffer: Buffer, position: number, fields: ProducerFields): void {
  assert(batchSize(buffer, position) >= batchHeaderBytes, "a batch shorter than its header");
  writeInt64(buffer, position + batchAt.producerId, fields.producerId);
  buffer.writeInt16BE(fields.producerEpoch, position + batchAt.producerEpoch);
  buffer.writeInt32BE(fields.baseSequence, position + batchAt.baseSequence);
  batchRefreshCrc(buffer, position);
}
