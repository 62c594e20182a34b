// What a log knows of its producers: epoch, the last five batches, the open transaction. Decides whether a batch is new, a repeat or
// wrong (KIP-98, KIP-890); keeps the transactions that hold back the last stable offset. Touches no disk.
//
// Entries are replaced, never changed in place, and every change is noted, so that what was appended but could not be written is undone.
import {
  batchBaseOffset,
  batchBaseSequence,
  batchIsControl,
  batchIsTransactional,
  batchLastOffset,
  batchLastSequence,
  batchMaxTimestamp,
  batchProducerEpoch,
  batchProducerId,
  parseControlKey,
  parseEndTxnMarker,
  RecordCursor,
} from "../model/index.ts";
import { ErrorCode } from "../protocol/index.ts";
import type { AbortedEntry } from "./segment-indexes.ts";

/** A repeat of any of these is recognised. */
export const producerBatchCountMax = 5;
/** From this transaction.version on a marker's epoch is above its transaction's. */
const epochAboveDataFrom = 2;
const sequenceMax = 0x7fff_ffff;

export interface ProducerBatch {
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly lastOffset: number;
  readonly offsetDelta: number;
  readonly timestamp: number;
}

export interface ProducerEntry {
  readonly producerId: number;
  /** -1: none known. */
  readonly epoch: number;
  readonly coordinatorEpoch: number;
  readonly lastTimestamp: number;
  /** -1: no transaction is open. */
  readonly transactionFirstOffset: number;
  /** Oldest first. */
  readonly batches: readonly ProducerBatch[];
}

export interface CompletedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
  readonly lastOffset: number;
  readonly isAborted: boolean;
}

export type ProducerVerdict =
  | { readonly kind: "new"; readonly entry: ProducerEntry; readonly completed: CompletedTransaction | null }
  | { readonly kind: "duplicate"; readonly batch: ProducerBatch }
  | { readonly kind: "refused"; readonly errorCode: ErrorCode; readonly message: string };

export interface ProducerCheck {
  /** Only clients are held to sequences and their repeats recognised; what comes by replication was checked by the leader. */
  readonly origin: "client" | "coordinator" | "replication";
  /** The offset that the batch gets; the batch's own where left out. */
  readonly firstOffset?: number;
  /** A transaction that would begin here has not been confirmed by its coordinator. */
  readonly isUnverified?: boolean;
  /** Of a marker: the transaction.version that its transaction was ended by. */
  readonly transactionVersion?: number;
}

interface OpenTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
  /** Of the marker; -1 while undecided. */
  readonly lastOffset: number;
}

interface Change {
  readonly producerId: number;
  readonly previous: ProducerEntry | undefined;
  readonly begunAt: number;
  readonly completed: CompletedTransaction | null;
}

const noBatches: readonly ProducerBatch[] = [];

function unknownProducer(producerId: number): ProducerEntry {
  return {
    producerId,
    epoch: -1,
    coordinatorEpoch: -1,
    lastTimestamp: -1,
    transactionFirstOffset: -1,
    batches: noBatches,
  };
}

export class ProducerState {
  private producers = new Map<number, ProducerEntry>();
  /** Both by first offset, ascending. */
  private undecided: OpenTransaction[] = [];
  /** Decided, but the marker is not below the high watermark yet. */
  private unreplicated: OpenTransaction[] = [];
  private changes: Change[] = [];
  /** All batches below have been taken into account. */
  endOffset = 0;

  get producerCount(): number {
    return this.producers.size;
  }

  entries(): IterableIterator<ProducerEntry> {
    return this.producers.values();
  }

  entry(producerId: number): ProducerEntry | null {
    return this.producers.get(producerId) ?? null;
  }

  /** Where the earliest transaction begins that is open or not known to be replicated; -1 where there is none. */
  get firstUnstableOffset(): number {
    const undecided = this.undecided[0]?.firstOffset ?? -1;
    const unreplicated = this.unreplicated[0]?.firstOffset ?? -1;
    if (undecided < 0) return unreplicated;
    return unreplicated < 0 ? undecided : Math.min(undecided, unreplicated);
  }

  hasOngoingTransaction(producerId: number, epoch: number): boolean {
    const entry = this.producers.get(producerId);
    return entry !== undefined && entry.transactionFirstOffset >= 0 && entry.epoch === epoch;
  }

  /** What the batch (with a producer id) at `position` is to this log. Changes nothing. */
  check(buffer: Buffer, position: number, check: ProducerCheck): ProducerVerdict {
    const producerId = batchProducerId(buffer, position);
    const current = this.producers.get(producerId) ?? unknownProducer(producerId);
    const firstOffset = check.firstOffset ?? batchBaseOffset(buffer, position);
    if (batchIsControl(buffer, position)) return checkMarker(buffer, position, current, firstOffset, check);
    return checkData(buffer, position, current, firstOffset, check);
  }

  /** Takes a new batch into account. For an aborted transaction, returns what its segment's index must say. */
  commit(entry: ProducerEntry, completed: CompletedTransaction | null): AbortedEntry | null {
    const previous = this.producers.get(entry.producerId);
    const wasOpen = (previous?.transactionFirstOffset ?? -1) >= 0;
    const begunAt = !wasOpen && entry.transactionFirstOffset >= 0 ? entry.transactionFirstOffset : -1;
    this.changes.push({ producerId: entry.producerId, previous, begunAt, completed });
    this.producers.set(entry.producerId, entry);
    if (begunAt >= 0) insert(this.undecided, { producerId: entry.producerId, firstOffset: begunAt, lastOffset: -1 });
    return completed === null ? null : this.complete(completed);
  }

  /** How many changes there are to undo: a savepoint. */
  get changeCount(): number {
    return this.changes.length;
  }

  /** Undoes the changes after a savepoint. */
  undoTo(changeCount: number): void {
    while (this.changes.length > changeCount) {
      const { producerId, previous, begunAt, completed } = this.changes.pop()!;
      if (completed !== null) {
        remove(this.unreplicated, completed.firstOffset);
        insert(this.undecided, { producerId, firstOffset: completed.firstOffset, lastOffset: -1 });
      }
      if (begunAt >= 0) remove(this.undecided, begunAt);
      if (previous === undefined) this.producers.delete(producerId);
      else this.producers.set(producerId, previous);
    }
  }

  /** The first `count` changes are on disk and will not be undone. */
  settle(count: number): void {
    if (count === this.changes.length) this.changes = [];
    else this.changes.splice(0, count);
  }

  /** Markers below the high watermark are replicated: their transactions hold nothing back any more. */
  onHighWatermark(highWatermark: number): void {
    if (this.unreplicated.length === 0) return;
    this.unreplicated = this.unreplicated.filter((transaction) => transaction.lastOffset >= highWatermark);
  }

  /** What ended below the log's start holds nothing back. */
  onLogStartOffset(logStartOffset: number): void {
    this.unreplicated = this.unreplicated.filter((transaction) => transaction.lastOffset >= logStartOffset);
    this.endOffset = Math.max(this.endOffset, logStartOffset);
  }

  /** Forgets producers that have been idle too long; one with an open transaction stays. Returns how many went. */
  expire(nowMs: number, expirationMs: number): number {
    let count = 0;
    for (const [producerId, entry] of this.producers) {
      if (!isExpired(entry, nowMs, expirationMs)) continue;
      this.producers.delete(producerId);
      count++;
    }
    return count;
  }

  /** Forgets everything and goes on from `entries`, as a snapshot at `endOffset` holds them. */
  load(entries: readonly ProducerEntry[], endOffset: number): void {
    this.producers = new Map();
    this.undecided = [];
    this.unreplicated = [];
    this.changes = [];
    this.endOffset = endOffset;
    for (const entry of entries) {
      this.producers.set(entry.producerId, entry);
      const { producerId, transactionFirstOffset } = entry;
      if (transactionFirstOffset >= 0) {
        insert(this.undecided, { producerId, firstOffset: transactionFirstOffset, lastOffset: -1 });
      }
    }
  }

  private complete(completed: CompletedTransaction): AbortedEntry | null {
    const { producerId, firstOffset, lastOffset, isAborted } = completed;
    const next = this.undecided.find((transaction) => transaction.producerId !== producerId);
    const lastStableOffset = next?.firstOffset ?? lastOffset + 1;
    remove(this.undecided, firstOffset);
    insert(this.unreplicated, { producerId, firstOffset, lastOffset });
    return isAborted ? { producerId, firstOffset, lastOffset, lastStableOffset } : null;
  }
}

export function isExpired(entry: ProducerEntry, nowMs: number, expirationMs: number): boolean {
  return entry.transactionFirstOffset < 0 && nowMs - entry.lastTimestamp >= expirationMs;
}

function insert(transactions: OpenTransaction[], transaction: OpenTransaction): void {
  let index = transactions.length;
  while (index > 0 && transactions[index - 1]!.firstOffset > transaction.firstOffset) index--;
  transactions.splice(index, 0, transaction);
}

function remove(transactions: OpenTransaction[], firstOffset: number): void {
  const index = transactions.findIndex((transaction) => transaction.firstOffset === firstOffset);
  if (index >= 0) transactions.splice(index, 1);
}

function refused(errorCode: ErrorCode, message: string): ProducerVerdict {
  return { kind: "refused", errorCode, message };
}

function checkData(
  buffer: Buffer,
  position: number,
  current: ProducerEntry,
  firstOffset: number,
  check: ProducerCheck,
): ProducerVerdict {
  const { producerId } = current;
  const epoch = batchProducerEpoch(buffer, position);
  const firstSequence = batchBaseSequence(buffer, position);
  const lastSequence = batchLastSequence(buffer, position);
  const isTransactional = batchIsTransactional(buffer, position);
  if (check.origin === "client") {
    if (epoch === current.epoch) {
      for (let index = current.batches.length - 1; index >= 0; index--) {
        const batch = current.batches[index]!;
        if (batch.firstSequence === firstSequence && batch.lastSequence === lastSequence)
          return { kind: "duplicate", batch };
      }
    }
    if (check.isUnverified === true && isTransactional && current.transactionFirstOffset < 0) {
      return refused(
        ErrorCode.INVALID_TXN_STATE,
        `producer ${producerId} has no ongoing transaction that its coordinator confirms`,
      );
    }
    const wrong = sequenceProblem(current, epoch, firstSequence);
    if (wrong !== null) return wrong;
  } else if (epoch < current.epoch && check.origin === "coordinator") {
    return staleEpoch(current, epoch);
  }
  if (current.transactionFirstOffset >= 0 && !isTransactional && check.origin !== "replication") {
    return refused(
      ErrorCode.INVALID_TXN_STATE,
      `producer ${producerId} sent a batch outside its open transaction, which began at ${current.transactionFirstOffset}`,
    );
  }
  const offsetDelta = batchLastOffset(buffer, position) - batchBaseOffset(buffer, position);
  const timestamp = batchMaxTimestamp(buffer, position);
  const batch: ProducerBatch = {
    firstSequence: sequenceMinus(lastSequence, offsetDelta),
    lastSequence,
    lastOffset: firstOffset + offsetDelta,
    offsetDelta,
    timestamp,
  };
  const kept = epoch !== current.epoch ? noBatches : current.batches;
  const isBeginning = isTransactional && current.transactionFirstOffset < 0;
  return {
    kind: "new",
    entry: {
      producerId,
      epoch,
      coordinatorEpoch: current.coordinatorEpoch,
      lastTimestamp: timestamp,
      transactionFirstOffset: isBeginning ? firstOffset : current.transactionFirstOffset,
      batches: [...(kept.length < producerBatchCountMax ? kept : kept.slice(1)), batch],
    },
    completed: null,
  };
}

function staleEpoch(current: ProducerEntry, epoch: number): ProducerVerdict {
  return refused(
    ErrorCode.INVALID_PRODUCER_EPOCH,
    `epoch ${epoch} of producer ${current.producerId} is older than the last seen ${current.epoch}`,
  );
}

/**
 * A known producer goes on where it stopped, or at 0 in a new epoch. One that is not known (its records went with retention, or its
 * state expired) may begin anywhere: Kafka has not answered UNKNOWN_PRODUCER_ID since 2.5 (KIP-360).
 */
function sequenceProblem(current: ProducerEntry, epoch: number, firstSequence: number): ProducerVerdict | null {
  if (current.epoch < 0) return null;
  if (epoch < current.epoch) return staleEpoch(current, epoch);
  if (epoch > current.epoch) {
    if (firstSequence === 0) return null;
    return refused(
      ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
      `producer ${current.producerId} begins epoch ${epoch} at sequence ${firstSequence} instead of 0`,
    );
  }
  const last = current.batches.at(-1)?.lastSequence ?? -1;
  const next = last === sequenceMax ? 0 : last + 1;
  if (firstSequence === next) return null;
  return refused(
    ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
    `producer ${current.producerId} in epoch ${epoch} sent sequence ${firstSequence}, expected ${next}`,
  );
}

function checkMarker(
  buffer: Buffer,
  position: number,
  current: ProducerEntry,
  offset: number,
  { origin, transactionVersion = 0 }: ProducerCheck,
): ProducerVerdict {
  const cursor = new RecordCursor().openBatch(buffer, position);
  const hasRecord = cursor.next();
  const key = hasRecord ? parseControlKey(buffer, cursor.keyPosition, cursor.keyLength) : null;
  const isEnd = key !== null && (key.type === "commit" || key.type === "abort");
  const marker = isEnd ? parseEndTxnMarker(buffer, cursor.valuePosition, cursor.valueLength) : null;
  // The cleaner may have taken the marker itself and left the empty batch.
  if (marker === null || key === null) return { kind: "new", entry: current, completed: null };
  const epoch = batchProducerEpoch(buffer, position);
  if (origin !== "replication") {
    if (epoch < current.epoch) return staleEpoch(current, epoch);
    const isRepeat = transactionVersion >= epochAboveDataFrom && epoch === current.epoch;
    if (isRepeat && current.transactionFirstOffset >= 0) return staleEpoch(current, epoch);
    if (marker.coordinatorEpoch < current.coordinatorEpoch) {
      return refused(
        ErrorCode.TRANSACTION_COORDINATOR_FENCED,
        `coordinator epoch ${marker.coordinatorEpoch} for producer ${current.producerId} is older than ${current.coordinatorEpoch}`,
      );
    }
  }
  const firstOffset = current.transactionFirstOffset;
  // A marker without data changes no stable offset and has no place in the transaction index.
  const completed =
    firstOffset < 0
      ? null
      : { producerId: current.producerId, firstOffset, lastOffset: offset, isAborted: key.type === "abort" };
  return {
    kind: "new",
    entry: {
      producerId: current.producerId,
      epoch,
      coordinatorEpoch: marker.coordinatorEpoch,
      lastTimestamp: cursor.timestamp,
      transactionFirstOffset: -1,
      batches: epoch !== current.epoch ? noBatches : current.batches,
    },
    completed,
  };
}

/** The sequence `distance` before `sequence`: before 0 comes 2^31-1. */
export function sequenceMinus(sequence: number, distance: number): number {
  if (sequence < 0) return sequence;
  return sequence >= distance ? sequence - distance : sequenceMax - (distance - sequence) + 1;
}
