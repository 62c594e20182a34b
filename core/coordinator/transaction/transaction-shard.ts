// The coordinator of transactions: one shard for one partition of `__transaction_state`. Decides who may write under a transactional id, takes up
// partitions, decides ends; the markers that follow are the host's to write. Decides only; see ../runtime for how it comes to be.
//
//   state           → state            cause
//   (none), Empty,
//   Complete*       → Empty            InitProducerId
//   Empty, Complete*→ Ongoing          AddPartitionsToTxn, AddOffsetsToTxn, or the first write of a client of transactions v2
//   Ongoing         → Prepare*         EndTxn
//   Ongoing         → PrepareAbort     InitProducerId of another producer, or the timeout: both fence the epoch
//   Empty, Complete*→ PrepareAbort     EndTxn of a client of transactions v2 that does not know whether it wrote anything
//   Ongoing         → Ongoing          InitProducerId that keeps what is prepared: its producer decides in place of the writer
//   Prepare*        → Complete*        all markers are written
//   Empty, Complete*→ (none)           the id was not used for transactional.id.expiration.ms
import { ErrorCode, transactionCoordinatorRecords } from "../../protocol/index.ts";
import { type Decision, type EncodedRecord, type Shard, UndoMap } from "../runtime/index.ts";
import { endTransition } from "./end-transition.ts";
import {
  hasPartitions,
  hasTimedOut,
  isEpochExhausted,
  isKept,
  isNextOwner,
  noPartitions,
  noProducerEpoch,
  noProducerId,
  ownerOf,
  type ProducerIdAndEpoch,
  producersOfEnd,
  type Transaction,
  type TransactionPartitions,
  timeoutMsNone,
  transactionOfValue,
  transactionValue,
  withPartitions,
} from "./transaction.ts";
import type { TransactionShardPorts, TransactionTimer } from "./transaction-config.ts";

/** Ids that one expiry takes away: the rest has its turn at once after it. */
export const idsExpiredPerDecisionMax = 500;
const expiryKey = "id-expiry";
const flexibleValueFrom = 1;

/** A record of the shard: the id's state, or null where the id is gone. */
export interface TransactionEntry {
  readonly transactionalId: string;
  readonly transaction: Transaction | null;
}

export type TransactionDecision<Answer> = Decision<Answer, TransactionEntry>;

/** `needsProducerId`: nothing was decided; ask again with an id that no one has. */
export type ProducerAnswer =
  | ({
      readonly kind: "producer";
      /** The writer of the prepared transaction that this producer has to decide. */
      readonly kept?: ProducerIdAndEpoch;
    } & ProducerIdAndEpoch)
  | { readonly kind: "refused"; readonly errorCode: number }
  | { readonly kind: "needs-producer-id" };

export interface InitProducerAsk {
  readonly transactionalId: string;
  readonly timeoutMs: number;
  /** What the client had before; null where it begins. */
  readonly expected: ProducerIdAndEpoch | null;
  readonly isTwoPhaseCommit: boolean;
  readonly keepsPrepared: boolean;
  /** Where the last answer was `needs-producer-id`. */
  readonly freshProducerId: bigint | null;
}

export interface TransactionAsk extends ProducerIdAndEpoch {
  readonly transactionalId: string;
}

export interface AddPartitionsAsk extends TransactionAsk {
  readonly partitions: TransactionPartitions;
  /** transaction.version that the request speaks for. */
  readonly clientVersion: number;
}

export interface EndTransactionAsk extends TransactionAsk {
  readonly isCommit: boolean;
  readonly clientVersion: number;
  readonly freshProducerId: bigint | null;
}

export class TransactionShard implements Shard<TransactionEntry, TransactionTimer> {
  private readonly ports: TransactionShardPorts;
  private readonly byId: UndoMap<string, Transaction>;
  /** Timers run from the end of the load on. */
  private isLoaded = false;

  constructor(ports: TransactionShardPorts) {
    this.ports = ports;
    this.byId = new UndoMap(ports.undo);
  }

  transaction(transactionalId: string): Transaction | undefined {
    return this.byId.get(transactionalId);
  }

  get transactions(): MapIterator<Transaction> {
    return this.byId.values();
  }

  // --- requests --------------------------------------------------------------------------------

  initProducer(ask: InitProducerAsk, nowMs: number): TransactionDecision<ProducerAnswer> {
    const { config } = this.ports;
    if (ask.transactionalId === "") return refused(ErrorCode.INVALID_REQUEST);
    if (ask.isTwoPhaseCommit && !config.isTwoPhaseCommitEnabled)
      return refused(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    if (ask.keepsPrepared && !config.isTwoPhaseCommitEnabled) return refused(ErrorCode.UNSUPPORTED_VERSION);
    if (!ask.isTwoPhaseCommit && (ask.timeoutMs <= 0 || ask.timeoutMs > config.timeoutMsMax))
      return refused(ErrorCode.INVALID_TRANSACTION_TIMEOUT);
    const timeoutMs = ask.isTwoPhaseCommit ? timeoutMsNone : ask.timeoutMs;
    const known = this.byId.get(ask.transactionalId);
    if (known === undefined && ask.freshProducerId === null) return needsProducerId;
    const before = known ?? emptyTransaction(ask.transactionalId, ask.freshProducerId!);
    if (ask.expected !== null && isNextOwner(before, ask.expected)) return refused(ErrorCode.CONCURRENT_TRANSACTIONS);
    if (ask.expected !== null && !isOwnProducer(before, ask.expected)) return refused(ErrorCode.PRODUCER_FENCED);
    switch (before.state) {
      case "PrepareCommit":
      case "PrepareAbort":
        return refused(ErrorCode.CONCURRENT_TRANSACTIONS);
      case "Ongoing":
        if (ask.keepsPrepared) return keptBy(before, ask, nowMs);
        // The epoch that fences is given to nobody: the client asks again and gets the one after it.
        return this.fencingAbort(before, nowMs, concurrent);
      default:
        return this.nextProducer(before, ask, timeoutMs, nowMs);
    }
  }

  private nextProducer(
    before: Transaction,
    ask: InitProducerAsk,
    timeoutMs: number,
    nowMs: number,
  ): TransactionDecision<ProducerAnswer> {
    const { expected, freshProducerId } = ask;
    const idle = {
      ...before,
      previousProducerId: before.producerId,
      nextProducerId: noProducerId,
      nextProducerEpoch: noProducerEpoch,
      timeoutMs,
      state: "Empty" as const,
      partitions: noPartitions,
      startMs: -1,
      updateMs: nowMs,
    };
    const isCurrent = expected === null || expected.producerEpoch === before.producerEpoch;
    if (isEpochExhausted(before.producerEpoch) && isCurrent) {
      if (freshProducerId === null) return needsProducerId;
      const lastProducerEpoch = expected === null ? noProducerEpoch : before.producerEpoch;
      return decided({ ...idle, producerId: freshProducerId, producerEpoch: 0, lastProducerEpoch });
    }
    const bumped = before.producerEpoch + 1;
    if (expected === null) return decided({ ...idle, producerEpoch: bumped, lastProducerEpoch: noProducerEpoch });
    if (before.producerEpoch === noProducerEpoch || isCurrent)
      return decided({ ...idle, producerEpoch: bumped, lastProducerEpoch: before.producerEpoch });
    // The repeat of a request whose answer was lost: no other producer came between, or the last epoch would be unknown.
    return expected.producerEpoch === before.lastProducerEpoch ? decided(idle) : refused(ErrorCode.PRODUCER_FENCED);
  }

  /** AddPartitionsToTxn and AddOffsetsToTxn. */
  addPartitions(ask: AddPartitionsAsk, nowMs: number): TransactionDecision<number> {
    const before = this.byId.get(ask.transactionalId);
    const problem = ownerProblem(before, ask);
    if (problem !== ErrorCode.NONE || before === undefined) return { records: [], answer: problem };
    if (before.state === "PrepareCommit" || before.state === "PrepareAbort")
      return { records: [], answer: ErrorCode.CONCURRENT_TRANSACTIONS };
    const isOngoing = before.state === "Ongoing";
    if (isOngoing && hasPartitions(before.partitions, ask.partitions)) return { records: [], answer: ErrorCode.NONE };
    const transaction: Transaction = {
      ...before,
      previousProducerId: before.producerId,
      state: "Ongoing",
      partitions: withPartitions(before.partitions, ask.partitions),
      startMs: isOngoing ? before.startMs : nowMs,
      updateMs: nowMs,
      clientVersion: ask.clientVersion,
    };
    return { records: [entryOf(transaction)], answer: ErrorCode.NONE };
  }

  /** Whether a write to each of the partitions belongs to the transaction that goes on: an error code, or a test of each partition. */
  verify(ask: TransactionAsk): number | ((topic: string, partition: number) => boolean) {
    const known = this.byId.get(ask.transactionalId);
    const problem = ownerProblem(known, ask);
    if (problem !== ErrorCode.NONE || known === undefined) return problem;
    if (known.state === "PrepareCommit" || known.state === "PrepareAbort") return ErrorCode.CONCURRENT_TRANSACTIONS;
    return (topic, partition) => known.partitions.get(topic)?.includes(partition) ?? false;
  }

  /** EndTxn of a client. The answer's producer is the one to go on with. */
  endTransaction(ask: EndTransactionAsk, nowMs: number): TransactionDecision<ProducerAnswer> {
    if (ask.transactionalId === "") return refused(ErrorCode.INVALID_REQUEST);
    const before = this.byId.get(ask.transactionalId);
    if (before === undefined) return refused(ErrorCode.INVALID_PRODUCER_ID_MAPPING);
    const transition = endTransition(before, ask, nowMs);
    if (transition.kind === "needs-producer-id") return needsProducerId;
    if (transition.kind === "refused") return refused(transition.errorCode);
    if (transition.kind === "repeat") return { records: [], answer: producerOf(before) };
    const { transaction } = transition;
    return this.prepared(transaction, producerOf(completed(transaction, nowMs)));
  }

  /** All markers of the transaction are written. Answers false where it is not the one that waits for them. */
  complete(prepared: Transaction, nowMs: number): TransactionDecision<boolean> {
    const before = this.byId.get(prepared.transactionalId);
    const isSame =
      before !== undefined &&
      before.state === prepared.state &&
      before.producerId === prepared.producerId &&
      before.producerEpoch === prepared.producerEpoch;
    if (!isSame || !(before.state === "PrepareCommit" || before.state === "PrepareAbort"))
      return { records: [], answer: false };
    return { records: [entryOf(completed(before, nowMs))], answer: true };
  }

  // --- the runtime's side ----------------------------------------------------------------------

  encode(entry: TransactionEntry): EncodedRecord {
    const { transactionalId, transaction } = entry;
    const key = { transactionalId };
    if (transaction === null)
      return transactionCoordinatorRecords.encode({ type: "TransactionLog", key, valueVersion: 0, value: null });
    const value = transactionValue(transaction);
    if (this.ports.config.transactionVersion >= flexibleValueFrom)
      return transactionCoordinatorRecords.encode({ type: "TransactionLog", key, valueVersion: 1, value });
    const { previousProducerId, nextProducerId, nextProducerEpoch, clientTransactionVersion, ...plain } = value;
    return transactionCoordinatorRecords.encode({ type: "TransactionLog", key, valueVersion: 0, value: plain });
  }

  decode(key: Buffer, value: Buffer | null): TransactionEntry | null {
    const record = transactionCoordinatorRecords.decode(key, value);
    if (record === null) return null;
    const { transactionalId } = record.key;
    if (record.value === null) return { transactionalId, transaction: null };
    const transaction = transactionOfValue(transactionalId, record.value);
    return transaction === null ? null : { transactionalId, transaction };
  }

  replay(entry: TransactionEntry): void {
    const { transactionalId, transaction } = entry;
    if (transaction === null) this.byId.delete(transactionalId);
    else {
      const wasOngoing = this.byId.get(transactionalId)?.state === "Ongoing";
      this.byId.set(transactionalId, transaction);
      if (!this.isLoaded) return;
      if (transaction.state === "Empty") this.ports.timers.cancel(timeoutKey(transaction));
      else if (!wasOngoing && transaction.state === "Ongoing") this.startTimeout(transaction, transaction.startMs);
    }
  }

  /** Nothing here is written in a transaction; a marker that somebody had written into this topic ends nothing. */
  replayTransactionEnd(): void {}

  onLoaded(nowMs: number): void {
    this.isLoaded = true;
    for (const transaction of this.byId.values()) {
      if (transaction.state === "PrepareCommit" || transaction.state === "PrepareAbort")
        this.ports.sendMarkers(transaction);
      else if (transaction.state === "Ongoing") this.startTimeout(transaction, nowMs);
    }
    this.scheduleExpiry(this.ports.config.idExpirationIntervalMs);
  }

  onUnloaded(): void {}

  onTimer(timer: TransactionTimer, nowMs: number): TransactionDecision<void> {
    if (timer.kind === "id-expiry") return this.expire(nowMs);
    const transaction = this.byId.get(timer.transactionalId);
    if (transaction === undefined || transaction.state !== "Ongoing") return nothing;
    if (hasTimedOut(transaction, nowMs)) {
      // Where the abort cannot be written it is tried again.
      this.ports.timers.set(timeoutKey(transaction), abortRetryMs, timer);
      return this.fencingAbort(transaction, nowMs, undefined);
    }
    this.startTimeout(transaction, nowMs);
    return nothing;
  }

  // --- inside ----------------------------------------------------------------------------------

  /** One timer an id, for the earliest transaction that it was set for; one that finds another transaction waits for that one's end. */
  private startTimeout(transaction: Transaction, nowMs: number): void {
    const { startMs, timeoutMs, transactionalId } = transaction;
    if (timeoutMs === timeoutMsNone) return;
    const { timers } = this.ports;
    const key = timeoutKey(transaction);
    const delayMs = Math.max(0, startMs + timeoutMs - nowMs) + 1;
    if (!timers.has(key)) timers.set(key, delayMs, { kind: "timeout", transactionalId });
  }

  /** Aborts in an epoch above the producer's, so that what it still sends is refused everywhere. */
  private fencingAbort<Answer>(before: Transaction, nowMs: number, answer: Answer): TransactionDecision<Answer> {
    const transaction: Transaction = {
      ...before,
      ...producersOfEnd(before, 1, noProducerId),
      previousProducerId: before.producerId,
      lastProducerEpoch: noProducerEpoch,
      state: "PrepareAbort",
      updateMs: nowMs,
      clientVersion: this.ports.config.transactionVersion,
    };
    return this.prepared(transaction, answer);
  }

  private prepared<Answer>(transaction: Transaction, answer: Answer): TransactionDecision<Answer> {
    return {
      records: [entryOf(transaction)],
      answer,
      settled: (errorCode) => {
        if (errorCode === null) this.ports.sendMarkers(transaction);
      },
    };
  }

  private expire(nowMs: number): TransactionDecision<void> {
    const { idExpirationMs, idExpirationIntervalMs } = this.ports.config;
    const records: TransactionEntry[] = [];
    for (const { transactionalId, state, updateMs } of this.byId.values()) {
      if (state !== "Empty" && state !== "CompleteCommit" && state !== "CompleteAbort") continue;
      if (updateMs + idExpirationMs > nowMs) continue;
      records.push({ transactionalId, transaction: null });
      if (records.length === idsExpiredPerDecisionMax) break;
    }
    this.scheduleExpiry(records.length === idsExpiredPerDecisionMax ? 1 : idExpirationIntervalMs);
    return { records, answer: undefined };
  }

  private scheduleExpiry(delayMs: number): void {
    this.ports.timers.set(expiryKey, delayMs, { kind: "id-expiry" });
  }
}

/** After an abort for a timeout could not be written. */
export const abortRetryMs = 10_000;
const nothing: TransactionDecision<void> = { records: [], answer: undefined };
const needsProducerId: TransactionDecision<ProducerAnswer> = { records: [], answer: { kind: "needs-producer-id" } };
const concurrent: ProducerAnswer = { kind: "refused", errorCode: ErrorCode.CONCURRENT_TRANSACTIONS };

function refused(errorCode: number): TransactionDecision<ProducerAnswer> {
  return { records: [], answer: { kind: "refused", errorCode } };
}

function entryOf(transaction: Transaction): TransactionEntry {
  return { transactionalId: transaction.transactionalId, transaction };
}

function producerOf({ producerId, producerEpoch }: Transaction): ProducerAnswer {
  return { kind: "producer", producerId, producerEpoch };
}

function decided(transaction: Transaction): TransactionDecision<ProducerAnswer> {
  return { records: [entryOf(transaction)], answer: producerOf(transaction) };
}

function timeoutKey({ transactionalId }: Transaction): string {
  return `timeout ${transactionalId}`;
}

function emptyTransaction(transactionalId: string, producerId: bigint): Transaction {
  return {
    transactionalId,
    producerId,
    previousProducerId: noProducerId,
    nextProducerId: noProducerId,
    producerEpoch: noProducerEpoch,
    lastProducerEpoch: noProducerEpoch,
    nextProducerEpoch: noProducerEpoch,
    timeoutMs: 0,
    state: "Empty",
    partitions: noPartitions,
    startMs: -1,
    updateMs: -1,
    clientVersion: 0,
  };
}

/** KIP-939: the open transaction stays as it was prepared; the producer that asks fences the one before and will decide it. */
function keptBy(before: Transaction, ask: InitProducerAsk, nowMs: number): TransactionDecision<ProducerAnswer> {
  const owner = ownerOf(before);
  const isExhausted = isEpochExhausted(owner.producerEpoch);
  if (isExhausted && ask.freshProducerId === null) return needsProducerId;
  const next: ProducerIdAndEpoch = isExhausted
    ? { producerId: ask.freshProducerId!, producerEpoch: 0 }
    : { producerId: owner.producerId, producerEpoch: owner.producerEpoch + 1 };
  const transaction: Transaction = {
    ...before,
    nextProducerId: next.producerId,
    nextProducerEpoch: next.producerEpoch,
    timeoutMs: ask.isTwoPhaseCommit ? timeoutMsNone : before.timeoutMs,
    updateMs: nowMs,
  };
  const { producerEpoch, producerId } = before;
  return {
    records: [entryOf(transaction)],
    answer: { kind: "producer", ...next, kept: { producerId, producerEpoch } },
  };
}

/** Whether the producer that a client says it was can still be the id's: the present one, or the one that ran out of epochs just before. */
function isOwnProducer(known: Transaction, expected: ProducerIdAndEpoch): boolean {
  return (
    known.producerEpoch === noProducerEpoch ||
    expected.producerId === known.producerId ||
    expected.producerId === ownerOf(known).producerId ||
    (expected.producerId === known.previousProducerId && isEpochExhausted(expected.producerEpoch))
  );
}

function ownerProblem(known: Transaction | undefined, ask: TransactionAsk): number {
  if (ask.transactionalId === "") return ErrorCode.INVALID_REQUEST;
  if (known === undefined) return ErrorCode.INVALID_PRODUCER_ID_MAPPING;
  if (isNextOwner(known, ask)) return ErrorCode.CONCURRENT_TRANSACTIONS;
  const owner = ownerOf(known);
  const isOwner = owner.producerId === ask.producerId && owner.producerEpoch === ask.producerEpoch;
  if (isOwner) return isKept(known) ? ErrorCode.INVALID_TXN_STATE : ErrorCode.NONE;
  return ask.producerId === owner.producerId || ask.producerId === known.producerId
    ? ErrorCode.PRODUCER_FENCED
    : ErrorCode.INVALID_PRODUCER_ID_MAPPING;
}

function completed(prepared: Transaction, nowMs: number): Transaction {
  const isRotated = prepared.nextProducerId !== noProducerId;
  return {
    ...prepared,
    producerId: isRotated ? prepared.nextProducerId : prepared.producerId,
    previousProducerId: prepared.producerId,
    nextProducerId: noProducerId,
    nextProducerEpoch: noProducerEpoch,
    producerEpoch: isRotated ? Math.max(0, prepared.nextProducerEpoch) : prepared.producerEpoch,
    state: prepared.state === "PrepareCommit" ? "CompleteCommit" : "CompleteAbort",
    partitions: noPartitions,
    updateMs: nowMs,
  };
}
