// The record batch (magic 2) as a view over bytes: where each field lies, readers that allocate nothing, a small view class.
// Reads only; patches are in record-batch-patch.ts. Never checks what it reads: a batch is checked once, by batchProblem, when it enters.
// The bytes belong to the caller; a view is valid as long as they are.
//
//   for (let at = start; ; at += batchSize(buffer, at)) …                 // the hot way: a buffer and a position
//   for (const batch of iterateBatches(buffer)) batch.baseOffset …        // the easy way: views over whole batches
//
// int64 fields read as numbers: a batch that passed batchProblem has safe ones only.
import type { LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs } from "./ids.ts";
import { readInt64 } from "./int64.ts";

/** Byte positions within a batch. */
export const batchAt = {
  baseOffset: 0,
  batchLength: 8,
  partitionLeaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  recordCount: 57,
  records: 61,
} as const;

/** The header of a batch: the smallest batch there is. */
export const batchHeaderBytes = 61;
/** The base offset and the length field, which the length does not count. */
export const batchLogOverheadBytes = 12;
/** A message of magic 0 has no less than this after its length: with it a walk over old data still finds the next entry. */
export const batchLengthMin = 14;
export const batchMagic = 2;

export const attributeBits = {
  codecMask: 0x07,
  logAppendTime: 0x08,
  transactional: 0x10,
  control: 0x20,
  deleteHorizon: 0x40,
} as const;

export type TimestampType = "CreateTime" | "LogAppendTime";

/** The whole size of the batch at `position`, by its length field. Not checked: see batchSizeAt. */
export function batchSize(buffer: Buffer, position: number): number {
  return batchLogOverheadBytes + buffer.readInt32BE(position + batchAt.batchLength);
}

/**
 * The whole size of the batch that begins at `position`, which may reach past `end`. -1 where fewer than 12 bytes are left, -2 where
 * the length field cannot be one.
 */
export function batchSizeAt(buffer: Buffer, position: number, end: number = buffer.length): number {
  if (end - position < batchLogOverheadBytes) return -1;
  const length = buffer.readInt32BE(position + batchAt.batchLength);
  return length < batchLengthMin ? -2 : batchLogOverheadBytes + length;
}

export function batchBaseOffset(buffer: Buffer, position: number): Offset {
  return readInt64(buffer, position) as Offset;
}

export function batchLeaderEpoch(buffer: Buffer, position: number): LeaderEpoch {
  return buffer.readInt32BE(position + batchAt.partitionLeaderEpoch) as LeaderEpoch;
}

export function batchMagicByte(buffer: Buffer, position: number): number {
  return buffer.readInt8(position + batchAt.magic);
}

export function batchCrc(buffer: Buffer, position: number): number {
  return buffer.readUInt32BE(position + batchAt.crc);
}

export function batchAttributes(buffer: Buffer, position: number): number {
  return buffer.readInt16BE(position + batchAt.attributes);
}

/** 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd; 5 to 7 name nothing. */
export function batchCodecId(buffer: Buffer, position: number): number {
  return buffer[position + batchAt.attributes + 1]! & attributeBits.codecMask;
}

export function batchIsLogAppendTime(buffer: Buffer, position: number): boolean {
  return (buffer[position + batchAt.attributes + 1]! & attributeBits.logAppendTime) !== 0;
}

export function batchIsTransactional(buffer: Buffer, position: number): boolean {
  return (buffer[position + batchAt.attributes + 1]! & attributeBits.transactional) !== 0;
}

export function batchIsControl(buffer: Buffer, position: number): boolean {
  return (buffer[position + batchAt.attributes + 1]! & attributeBits.control) !== 0;
}

export function batchHasDeleteHorizon(buffer: Buffer, position: number): boolean {
  return (buffer[position + batchAt.attributes + 1]! & attributeBits.deleteHorizon) !== 0;
}

export function batchLastOffsetDelta(buffer: Buffer, position: number): number {
  return buffer.readInt32BE(position + batchAt.lastOffsetDelta);
}

export function batchLastOffset(buffer: Buffer, position: number): Offset {
  return (readInt64(buffer, position) + buffer.readInt32BE(position + batchAt.lastOffsetDelta)) as Offset;
}

/** One past the last offset of the batch. */
export function batchNextOffset(buffer: Buffer, position: number): Offset {
  return (batchLastOffset(buffer, position) + 1) as Offset;
}

/** What record timestamps are counted from; with a delete horizon it is the horizon itself (KIP-534). */
export function batchBaseTimestamp(buffer: Buffer, position: number): TimestampMs {
  return readInt64(buffer, position + batchAt.baseTimestamp) as TimestampMs;
}

export function batchMaxTimestamp(buffer: Buffer, position: number): TimestampMs {
  return readInt64(buffer, position + batchAt.maxTimestamp) as TimestampMs;
}

/** Null where the batch carries none. Tombstones and transaction markers in it go once this time has passed. */
export function batchDeleteHorizon(buffer: Buffer, position: number): TimestampMs | null {
  return batchHasDeleteHorizon(buffer, position) ? batchBaseTimestamp(buffer, position) : null;
}

export function batchProducerId(buffer: Buffer, position: number): ProducerId {
  return readInt64(buffer, position + batchAt.producerId) as ProducerId;
}

export function batchProducerEpoch(buffer: Buffer, position: number): ProducerEpoch {
  return buffer.readInt16BE(position + batchAt.producerEpoch) as ProducerEpoch;
}

export function batchBaseSequence(buffer: Buffer, position: number): number {
  return buffer.readInt32BE(position + batchAt.baseSequence);
}

/** The sequence of the last record: past 2^31-1 sequences begin again at 0. -1 for a batch without sequences. */
export function batchLastSequence(buffer: Buffer, position: number): number {
  const base = batchBaseSequence(buffer, position);
  if (base < 0) return base;
  const last = base + batchLastOffsetDelta(buffer, position);
  return last > 0x7fff_ffff ? last - 0x8000_0000 : last;
}

export function batchRecordCount(buffer: Buffer, position: number): number {
  return buffer.readInt32BE(position + batchAt.recordCount);
}

/** One batch as an object. Fields are read from the bytes at each use. */
export class RecordBatchView {
  readonly buffer: Buffer;
  readonly position: number;

  constructor(buffer: Buffer, position = 0) {
    this.buffer = buffer;
    this.position = position;
  }

  get baseOffset(): Offset {
    return batchBaseOffset(this.buffer, this.position);
  }
  /** With the header and the length field. */
  get sizeBytes(): number {
    return batchSize(this.buffer, this.position);
  }
  get leaderEpoch(): LeaderEpoch {
    return batchLeaderEpoch(this.buffer, this.position);
  }
  get magic(): number {
    return batchMagicByte(this.buffer, this.position);
  }
  get crc(): number {
    return batchCrc(this.buffer, this.position);
  }
  get attributes(): number {
    return batchAttributes(this.buffer, this.position);
  }
  get codecId(): number {
    return batchCodecId(this.buffer, this.position);
  }
  get timestampType(): TimestampType {
    return batchIsLogAppendTime(this.buffer, this.position) ? "LogAppendTime" : "CreateTime";
  }
  get isTransactional(): boolean {
    return batchIsTransactional(this.buffer, this.position);
  }
  get isControl(): boolean {
    return batchIsControl(this.buffer, this.position);
  }
  get lastOffsetDelta(): number {
    return batchLastOffsetDelta(this.buffer, this.position);
  }
  get lastOffset(): Offset {
    return batchLastOffset(this.buffer, this.position);
  }
  get nextOffset(): Offset {
    return batchNextOffset(this.buffer, this.position);
  }
  get baseTimestamp(): TimestampMs {
    return batchBaseTimestamp(this.buffer, this.position);
  }
  get maxTimestamp(): TimestampMs {
    return batchMaxTimestamp(this.buffer, this.position);
  }
  get deleteHorizon(): TimestampMs | null {
    return batchDeleteHorizon(this.buffer, this.position);
  }
  get producerId(): ProducerId {
    return batchProducerId(this.buffer, this.position);
  }
  get producerEpoch(): ProducerEpoch {
    return batchProducerEpoch(this.buffer, this.position);
  }
  get baseSequence(): number {
    return batchBaseSequence(this.buffer, this.position);
  }
  get lastSequence(): number {
    return batchLastSequence(this.buffer, this.position);
  }
  get recordCount(): number {
    return batchRecordCount(this.buffer, this.position);
  }
  /** The whole batch, a view. */
  get bytes(): Buffer {
    return this.buffer.subarray(this.position, this.position + this.sizeBytes);
  }
  /** What follows the header, compressed as `codecId` says; a view. */
  get recordsBytes(): Buffer {
    return this.buffer.subarray(this.position + batchHeaderBytes, this.position + this.sizeBytes);
  }
}

/**
 * The whole batches from `start` on, one after another. Ends before a batch that is cut (the normal end of a fetch) or whose length
 * cannot be one; returns the position where it ended.
 */
export function* iterateBatches(
  buffer: Buffer,
  start = 0,
  end: number = buffer.length,
): Generator<RecordBatchView, number, undefined> {
  let position = start;
  for (;;) {
    const size = batchSizeAt(buffer, position, end);
    if (size < batchHeaderBytes || size > end - position) return position;
    yield new RecordBatchView(buffer, position);
    position += size;
  }
}
