// What becomes of one batch when a log is compacted, by Kafka's rules: dropped, kept as it is, emptied to its header, or written anew with the
// records that stay. Synchronous; the caller unpacks the records and packs what comes back. Offsets are never changed, and neither is what
// a producer's state is rebuilt from.
import {
  attributeBits,
  batchAt,
  batchBaseTimestamp,
  batchDeleteHorizon,
  batchHeaderBytes,
  batchIsControl,
  batchIsLogAppendTime,
  batchLastOffset,
  batchLogOverheadBytes,
  batchMaxTimestamp,
  batchProducerEpoch,
  batchProducerId,
  batchRecordCount,
  batchRefreshCrc,
  RecordCursor,
  varlongBytes,
  writeInt64,
  writeVarint,
  writeVarlong,
} from "../../model/index.ts";
import type { CleanedTransactions } from "./cleaned-transactions.ts";
import type { OffsetMap } from "./offset-map.ts";

/** Where the last sequence, or the last epoch, of a producer stands: what must outlive compaction while it is active. */
export interface LastOfProducer {
  /** -1: all that is left of it are markers. */
  readonly dataOffset: number;
  readonly epoch: number;
}

export interface FilterRound {
  readonly map: OffsetMap;
  readonly transactions: CleanedTransactions;
  readonly lastOf: (producerId: number) => LastOfProducer | undefined;
  /** Where the round ends: the last batch stays, if only as a header, so that the log's offsets are not forgotten. */
  readonly endOffset: number;
  readonly nowMs: number;
  readonly deleteRetentionMs: number;
}

export type BatchFate =
  | { readonly kind: "dropped" }
  /** Byte for byte. */
  | { readonly kind: "kept" }
  /** A header without records. */
  | { readonly kind: "emptied"; readonly bytes: Buffer }
  /** A header (length and checksum to be set) and the records, not packed. */
  | { readonly kind: "rewritten"; readonly header: Buffer; readonly records: Buffer };

const dropped: BatchFate = { kind: "dropped" };
const kept: BatchFate = { kind: "kept" };

/** The records of the batch are not what its header says. */
export class DamagedRecords extends Error {
  override name = "DamagedRecords";
}

/** Of the records that stay: where each begins and ends, and its timestamp. Reused from batch to batch. */
class Retained {
  count = 0;
  starts = new Int32Array(1024);
  ends = new Int32Array(1024);
  timestamps = new Float64Array(1024);

  add(start: number, end: number, timestamp: number): void {
    if (this.count === this.starts.length) this.grow();
    this.starts[this.count] = start;
    this.ends[this.count] = end;
    this.timestamps[this.count++] = timestamp;
  }

  private grow(): void {
    const size = this.starts.length * 2;
    const larger = <T extends Int32Array | Float64Array>(made: T, from: T): T => {
      made.set(from as never);
      return made;
    };
    this.starts = larger(new Int32Array(size), this.starts);
    this.ends = larger(new Int32Array(size), this.ends);
    this.timestamps = larger(new Float64Array(size), this.timestamps);
  }
}

export class BatchFilter {
  /** Records seen and kept, for the cleaner's figures. */
  recordsRead = 0;
  recordsKept = 0;
  private readonly round: FilterRound;
  private readonly cursor = new RecordCursor();
  private readonly retained = new Retained();

  constructor(round: FilterRound) {
    this.round = round;
  }

  /** `records`: those of the batch at `at`, unpacked. Throws DamagedRecords. */
  filter(bytes: Buffer, at: number, records: Buffer, start: number, end: number): BatchFate {
    const { round, cursor } = this;
    const isControl = batchIsControl(bytes, at);
    cursor.open(bytes, at, records, start, end);
    const canDiscard = isControl
      ? round.transactions.onControl(bytes, at, cursor)
      : round.transactions.onData(bytes, at);
    const horizon = batchDeleteHorizon(bytes, at);
    // A marker waits for its horizon as a tombstone does, and never goes before the data of its transaction.
    const isDiscarded = canDiscard && (!isControl || (horizon !== null && horizon <= round.nowMs));
    const keepsHeader = batchLastOffset(bytes, at) + 1 === round.endOffset || this.isLastOfProducer(bytes, at);
    if (isDiscarded) {
      this.recordsRead += batchRecordCount(bytes, at);
      return keepsHeader ? emptied(bytes, at) : dropped;
    }
    cursor.open(bytes, at, records, start, end);
    const hasTombstone = isControl ? this.retainAll() : this.retainRecords(horizon);
    const { count } = this.retained;
    this.recordsKept += count;
    if (count === 0) return keepsHeader ? emptied(bytes, at) : dropped;
    const needsHorizon = horizon === null && (hasTombstone || (isControl && canDiscard));
    if (count === batchRecordCount(bytes, at) && !needsHorizon) return kept;
    return this.rewritten(bytes, at, records, needsHorizon ? round.nowMs + round.deleteRetentionMs : horizon);
  }

  private isLastOfProducer(bytes: Buffer, at: number): boolean {
    const producerId = batchProducerId(bytes, at);
    const last = producerId < 0 ? undefined : this.round.lastOf(producerId);
    if (last === undefined) return false;
    if (last.dataOffset >= 0) return batchLastOffset(bytes, at) === last.dataOffset;
    return batchIsControl(bytes, at) && batchProducerEpoch(bytes, at) === last.epoch;
  }

  /** Notes the records that stay; whether one of them is a tombstone. */
  private retainRecords(horizon: number | null): boolean {
    const { cursor, retained, round } = this;
    const { map } = round;
    const keepsTombstones = horizon === null || round.nowMs < horizon;
    let hasTombstone = false;
    retained.count = 0;
    while (cursor.next()) {
      this.recordsRead++;
      const isTombstone = cursor.valueLength < 0;
      if (cursor.offset <= map.latestOffset) {
        // No key: nothing can ever replace it, and Kafka drops it.
        if (cursor.keyLength < 0) continue;
        if (isTombstone && !keepsTombstones) continue;
        if (cursor.offset < map.get(cursor.buffer, cursor.keyPosition, cursor.keyLength)) continue;
      }
      retained.add(cursor.recordPosition, cursor.recordEnd, cursor.timestamp);
      hasTombstone ||= isTombstone;
    }
    if (cursor.problem !== null) throw new DamagedRecords(cursor.problem.code);
    return hasTombstone;
  }

  private retainAll(): boolean {
    const { cursor, retained } = this;
    retained.count = 0;
    while (cursor.next()) {
      this.recordsRead++;
      retained.add(cursor.recordPosition, cursor.recordEnd, cursor.timestamp);
    }
    if (cursor.problem !== null) throw new DamagedRecords(cursor.problem.code);
    return false;
  }

  private rewritten(bytes: Buffer, at: number, records: Buffer, horizon: number | null): BatchFate {
    const { retained } = this;
    // As Kafka's builder counts: from the horizon, else from the first record that stays.
    const baseTimestamp = horizon ?? retained.timestamps[0]!;
    const isShifted = batchIsLogAppendTime(bytes, at) || baseTimestamp !== batchBaseTimestamp(bytes, at);
    const body = isShifted ? this.shifted(records, baseTimestamp) : this.copied(records);
    const header = Buffer.from(bytes.subarray(at, at + batchHeaderBytes));
    let maxTimestamp: number = batchMaxTimestamp(bytes, at);
    if (!batchIsLogAppendTime(bytes, at)) {
      maxTimestamp = -1;
      for (let index = 0; index < retained.count; index++)
        maxTimestamp = Math.max(maxTimestamp, retained.timestamps[index]!);
    }
    if (horizon !== null) header[batchAt.attributes + 1]! |= attributeBits.deleteHorizon;
    writeInt64(header, batchAt.baseTimestamp, baseTimestamp);
    writeInt64(header, batchAt.maxTimestamp, maxTimestamp);
    header.writeInt32BE(retained.count, batchAt.recordCount);
    return { kind: "rewritten", header, records: body };
  }

  /** The records as they are, in runs. */
  private copied(records: Buffer): Buffer {
    const { retained } = this;
    let size = 0;
    for (let index = 0; index < retained.count; index++) size += retained.ends[index]! - retained.starts[index]!;
    const body = Buffer.allocUnsafe(size);
    let to = 0;
    for (let index = 0; index < retained.count; ) {
      const start = retained.starts[index]!;
      let end = retained.ends[index++]!;
      while (index < retained.count && retained.starts[index] === end) end = retained.ends[index++]!;
      to += records.copy(body, to, start, end);
    }
    return body;
  }

  /** The records with timestamps counted from `baseTimestamp`; all else of them as it is. */
  private shifted(records: Buffer, baseTimestamp: number): Buffer {
    const { retained } = this;
    let sizeMax = 0;
    // A delta may take nine bytes more than before, and then the length another four.
    for (let index = 0; index < retained.count; index++)
      sizeMax += retained.ends[index]! - retained.starts[index]! + 14;
    const body = Buffer.allocUnsafe(sizeMax);
    let to = 0;
    for (let index = 0; index < retained.count; index++) {
      const end = retained.ends[index]!;
      const attributesAt = varintEnd(records, retained.starts[index]!);
      const restAt = varintEnd(records, attributesAt + 1);
      const delta = retained.timestamps[index]! - baseTimestamp;
      to = writeVarint(body, to, 1 + varlongBytes(delta) + end - restAt);
      body[to++] = records[attributesAt]!;
      to = writeVarlong(body, to, delta);
      to += records.copy(body, to, restAt, end);
    }
    return body.subarray(0, to);
  }
}

/** Header and packed records as one batch, with the right length, codec bits as they are, and checksum. */
export function assembledBatch(header: Buffer, packed: Buffer): Buffer {
  const batch = Buffer.allocUnsafe(batchHeaderBytes + packed.length);
  header.copy(batch, 0);
  packed.copy(batch, batchHeaderBytes);
  batch.writeInt32BE(batch.length - batchLogOverheadBytes, batchAt.batchLength);
  batchRefreshCrc(batch, 0);
  return batch;
}

/** What a batch says besides its records: offsets, epoch, producer and sequences, the latest timestamp. */
function emptied(bytes: Buffer, at: number): BatchFate {
  const batch = Buffer.from(bytes.subarray(at, at + batchHeaderBytes));
  batch.writeInt32BE(batchHeaderBytes - batchLogOverheadBytes, batchAt.batchLength);
  batch[batchAt.attributes + 1]! &= ~(attributeBits.codecMask | attributeBits.deleteHorizon);
  writeInt64(batch, batchAt.baseTimestamp, -1);
  batch.writeInt32BE(0, batchAt.recordCount);
  batchRefreshCrc(batch, 0);
  return { kind: "emptied", bytes: batch };
}

function varintEnd(bytes: Buffer, position: number): number {
  let at = position;
  while (bytes[at]! >= 0x80) at++;
  return at + 1;
}
