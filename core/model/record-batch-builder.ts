// Builds a record batch in one growing buffer: records are written where they will lie, the header in front of them at the end. Used by
// producers, coordinators, the cleaner and the load generator; no object per record. Compresses with what it is given.
//
//   const builder = new RecordBatchBuilder();
//   builder.append(timestampMs, key, value, headers);
//   const bytes = builder.build({ producerId, producerEpoch, baseSequence, compressor });
//
// Who owns what: inputs are copied at once. A built batch belongs to the caller; the builder is then empty and may be filled again.
import { assert } from "../base/index.ts";
import { crc32c } from "./crc32c.ts";
import { writeInt64 } from "./int64.ts";
import { attributeBits, batchAt, batchHeaderBytes, batchLogOverheadBytes, batchMagic } from "./record-batch.ts";
import {
  textBytes,
  varintBytes,
  varlongBytes,
  writeBytes,
  writeText,
  writeVarint,
  writeVarlong,
} from "./record-writer.ts";

export type RecordBytes = Uint8Array | string | null;

export interface RecordHeaderInput {
  readonly key: string | Uint8Array;
  readonly value: RecordBytes;
}

/** Anything that packs record bytes: the codecs of core/compression are. */
export interface BatchCompressor {
  /** As in the batch's attributes: 1 gzip, 2 snappy, 3 lz4, 4 zstd. */
  readonly id: number;
  compress(bytes: Buffer, level?: number): Uint8Array;
}

export interface RecordBatchBuilderOptions {
  /** Room to begin with. */
  readonly bytesInitial?: number;
  /** Takes the place of the base timestamp (KIP-534), so it must be known before the first record. */
  readonly deleteHorizonMs?: number;
}

export interface BatchBuildOptions {
  /** Default 0, as producers send it. */
  readonly baseOffset?: number;
  /** Default -1. */
  readonly leaderEpoch?: number;
  /** Left out, or with id 0: not compressed. */
  readonly compressor?: BatchCompressor;
  /** The compressor's own default where left out. */
  readonly level?: number;
  /** Default -1, -1, -1. */
  readonly producerId?: number;
  readonly producerEpoch?: number;
  readonly baseSequence?: number;
  readonly transactional?: boolean;
  readonly control?: boolean;
  /** Marks the batch LogAppendTime with this time; readers give it to every record. */
  readonly logAppendTimeMs?: number;
  /** The offset range is kept when the cleaner removes records: default is the last record's delta. */
  readonly lastOffsetDelta?: number;
  /** Base and max timestamp of a batch without records; default -1. The cleaner keeps the max timestamp that the batch had. */
  readonly emptyTimestampMs?: number;
}

/** Kafka's batch length is an int32. */
export const batchBytesMax = 0x7fff_ffff;
/** What a record has at most besides its key, value and headers: a length, attributes, a varlong, four varints. */
export const recordOverheadBytesMax = 5 + 1 + 10 + 5 + 5 + 5 + 5;

const bytesInitialDefault = 16 * 1024;
const noHeaders: readonly RecordHeaderInput[] = [];

function inputBytes(input: RecordBytes): number {
  if (input === null) return -1;
  return typeof input === "string" ? textBytes(input) : input.length;
}

function headerBytes(header: RecordHeaderInput): number {
  const keyLength = inputBytes(header.key);
  const valueLength = inputBytes(header.value);
  return varintBytes(keyLength) + keyLength + varintBytes(valueLength) + Math.max(valueLength, 0);
}

/** An upper bound of what the record adds to a batch. Cheap enough to ask before each append. */
export function recordBytesMax(
  key: RecordBytes,
  value: RecordBytes,
  headers: readonly RecordHeaderInput[] = noHeaders,
): number {
  let bytes = recordOverheadBytesMax + Math.max(inputBytes(key), 0) + Math.max(inputBytes(value), 0);
  for (const header of headers) bytes += headerBytes(header);
  return bytes;
}

export class RecordBatchBuilder {
  private buffer: Buffer;
  private at = batchHeaderBytes;
  private count = 0;
  private offsetDeltaNext = 0;
  private baseTimestamp = -1;
  private maxTimestamp = -1;
  private readonly deleteHorizonMs: number | undefined;

  constructor(options: RecordBatchBuilderOptions = {}) {
    this.buffer = Buffer.allocUnsafeSlow(Math.max(options.bytesInitial ?? bytesInitialDefault, batchHeaderBytes));
    this.deleteHorizonMs = options.deleteHorizonMs;
  }

  get recordCount(): number {
    return this.count;
  }

  /** What `build` would give without compression, header and all. */
  get sizeBytes(): number {
    return this.at;
  }

  /** What `build` is expected to give when records shrink to `ratio` of their size. */
  estimatedBytes(ratio: number): number {
    return batchHeaderBytes + Math.ceil((this.at - batchHeaderBytes) * ratio);
  }

  /** Adds a record at the next offset; returns its offset delta. */
  append(
    timestampMs: number,
    key: RecordBytes,
    value: RecordBytes,
    headers: readonly RecordHeaderInput[] = noHeaders,
  ): number {
    return this.appendAt(this.offsetDeltaNext, timestampMs, key, value, headers);
  }

  /** Adds a record `offsetDelta` after the base offset: the cleaner leaves gaps. Deltas go up. */
  appendAt(
    offsetDelta: number,
    timestampMs: number,
    key: RecordBytes,
    value: RecordBytes,
    headers: readonly RecordHeaderInput[] = noHeaders,
  ): number {
    assert(offsetDelta >= this.offsetDeltaNext, "records must be appended in the order of their offsets");
    if (this.count === 0) this.baseTimestamp = this.deleteHorizonMs ?? timestampMs;
    const timestampDelta = timestampMs - this.baseTimestamp;
    assert(Number.isSafeInteger(timestampDelta), "a timestamp that is not a safe integer");
    const keyLength = inputBytes(key);
    const valueLength = inputBytes(value);
    let bodyBytes =
      1 +
      varlongBytes(timestampDelta) +
      varintBytes(offsetDelta) +
      varintBytes(keyLength) +
      varintBytes(valueLength) +
      varintBytes(headers.length);
    if (keyLength > 0) bodyBytes += keyLength;
    if (valueLength > 0) bodyBytes += valueLength;
    for (let index = 0; index < headers.length; index++) bodyBytes += headerBytes(headers[index]!);
    this.reserve(bodyBytes + 5);

    const { buffer } = this;
    let at = writeVarint(buffer, this.at, bodyBytes);
    buffer[at++] = 0;
    at = writeVarlong(buffer, at, timestampDelta);
    at = writeVarint(buffer, at, offsetDelta);
    at = writeInput(buffer, at, key, keyLength);
    at = writeInput(buffer, at, value, valueLength);
    at = writeVarint(buffer, at, headers.length);
    for (let index = 0; index < headers.length; index++) {
      const header = headers[index]!;
      at = writeInput(buffer, at, header.key, inputBytes(header.key));
      at = writeInput(buffer, at, header.value, inputBytes(header.value));
    }
    this.at = at;
    this.count++;
    this.offsetDeltaNext = offsetDelta + 1;
    if (timestampMs > this.maxTimestamp) this.maxTimestamp = timestampMs;
    return offsetDelta;
  }

  /** Writes the header and hands the batch over. A batch without records is allowed where `lastOffsetDelta` says what it stands for. */
  build(options: BatchBuildOptions = {}): Buffer {
    const lastOffsetDelta = options.lastOffsetDelta ?? this.offsetDeltaNext - 1;
    assert(
      lastOffsetDelta >= this.offsetDeltaNext - 1 && lastOffsetDelta >= 0,
      "a batch that ends before its last record",
    );
    const { compressor } = options;
    let batch: Buffer;
    if (compressor === undefined || compressor.id === 0) {
      batch = this.handOver();
    } else {
      const packed = compressor.compress(this.buffer.subarray(batchHeaderBytes, this.at), options.level);
      batch = Buffer.allocUnsafeSlow(batchHeaderBytes + packed.length);
      batch.set(packed, batchHeaderBytes);
    }
    this.writeHeader(batch, lastOffsetDelta, options);
    this.reset();
    return batch;
  }

  /** Forgets the records. */
  reset(): void {
    this.at = batchHeaderBytes;
    this.count = 0;
    this.offsetDeltaNext = 0;
    this.baseTimestamp = -1;
    this.maxTimestamp = -1;
  }

  private writeHeader(batch: Buffer, lastOffsetDelta: number, options: BatchBuildOptions): void {
    const { logAppendTimeMs } = options;
    let attributes = options.compressor?.id ?? 0;
    if (logAppendTimeMs !== undefined) attributes |= attributeBits.logAppendTime;
    if (options.transactional === true) attributes |= attributeBits.transactional;
    if (options.control === true) attributes |= attributeBits.control;
    if (this.deleteHorizonMs !== undefined) attributes |= attributeBits.deleteHorizon;
    writeInt64(batch, batchAt.baseOffset, options.baseOffset ?? 0);
    batch.writeInt32BE(batch.length - batchLogOverheadBytes, batchAt.batchLength);
    batch.writeInt32BE(options.leaderEpoch ?? -1, batchAt.partitionLeaderEpoch);
    batch[batchAt.magic] = batchMagic;
    batch.writeInt16BE(attributes, batchAt.attributes);
    batch.writeInt32BE(lastOffsetDelta, batchAt.lastOffsetDelta);
    const emptyTimestampMs = options.emptyTimestampMs ?? -1;
    const baseTimestamp = this.count === 0 ? (this.deleteHorizonMs ?? emptyTimestampMs) : this.baseTimestamp;
    const maxTimestamp = this.count === 0 ? emptyTimestampMs : this.maxTimestamp;
    writeInt64(batch, batchAt.baseTimestamp, baseTimestamp);
    writeInt64(batch, batchAt.maxTimestamp, logAppendTimeMs ?? maxTimestamp);
    writeInt64(batch, batchAt.producerId, options.producerId ?? -1);
    batch.writeInt16BE(options.producerEpoch ?? -1, batchAt.producerEpoch);
    batch.writeInt32BE(options.baseSequence ?? -1, batchAt.baseSequence);
    batch.writeInt32BE(this.count, batchAt.recordCount);
    batch.writeUInt32BE(crc32c(batch.subarray(batchAt.attributes)), batchAt.crc);
  }

  /** The buffer itself where it is mostly full, else a copy of what is used: a batch never keeps twice its size alive. */
  private handOver(): Buffer {
    const used = this.buffer.subarray(0, this.at);
    if (this.at * 2 <= this.buffer.length) {
      const copy = Buffer.allocUnsafeSlow(this.at);
      copy.set(used);
      return copy;
    }
    this.buffer = Buffer.allocUnsafeSlow(this.buffer.length);
    return used;
  }

  private reserve(bytes: number): void {
    const needed = this.at + bytes;
    if (needed <= this.buffer.length) return;
    assert(needed <= batchBytesMax, `a batch of ${needed} bytes is above ${batchBytesMax}`);
    const larger = Buffer.allocUnsafeSlow(Math.min(Math.max(needed, this.buffer.length * 2), batchBytesMax));
    larger.set(this.buffer.subarray(0, this.at));
    this.buffer = larger;
  }
}

function writeInput(buffer: Buffer, position: number, input: RecordBytes, length: number): number {
  const at = writeVarint(buffer, position, length);
  if (input === null) return at;
  return typeof input === "string" ? writeText(buffer, at, input, length) : writeBytes(buffer, at, input);
}
