// One transactional id as its coordinator knows it: who may write under it, in which epoch, and how far its transaction is. Immutable: a change
// makes another object, so that what could not be appended is undone by taking the former one back.
import type { TransactionLogValue } from "../../protocol/index.ts";

/** In the order of their numbers in the log. */
export const transactionStates = [
  "Empty",
  "Ongoing",
  "PrepareCommit",
  "PrepareAbort",
  "CompleteCommit",
  "CompleteAbort",
  "Dead",
  "PrepareEpochFence",
] as const;
export type TransactionStateName = (typeof transactionStates)[number];

export const noProducerId = -1n;
export const noProducerEpoch = -1;
/** The highest epoch; given to nobody, so that whoever has the one before can always be fenced. */
export const producerEpochMax = 0x7fff;
/** The timeout of a transaction under two-phase commit: none. */
export const timeoutMsNone = 0x7fff_ffff;

/** From this transaction.version on every end of a transaction raises the epoch (KIP-890). */
export const epochBumpVersion = 2;

export type TransactionPartitions = ReadonlyMap<string, readonly number[]>;

export interface Transaction {
  readonly transactionalId: string;
  readonly producerId: bigint;
  /** The one before, so that the repeat of a request that changed it is recognised. */
  readonly previousProducerId: bigint;
  /** Taken when the transaction completes; -1: the present one stays. */
  readonly nextProducerId: bigint;
  /** -1 before the first producer. */
  readonly producerEpoch: number;
  /** For repeats of InitProducerId; is in no record, and so unknown after a load. */
  readonly lastProducerEpoch: number;
  /** With `nextProducerId`, the producer that took over a prepared transaction and decides it (KIP-939); -1: none did. */
  readonly nextProducerEpoch: number;
  readonly timeoutMs: number;
  readonly state: TransactionStateName;
  readonly partitions: TransactionPartitions;
  /** -1 before the first transaction. */
  readonly startMs: number;
  readonly updateMs: number;
  /** transaction.version that the client works by: 2 raises the epoch at every end. */
  readonly clientVersion: number;
}

export const noPartitions: TransactionPartitions = new Map();

export interface ProducerIdAndEpoch {
  readonly producerId: bigint;
  readonly producerEpoch: number;
}

/** Who may act on the id: the producer that took over where one did. */
export function ownerOf(transaction: Transaction): ProducerIdAndEpoch {
  const { nextProducerEpoch, nextProducerId, producerEpoch, producerId } = transaction;
  return nextProducerEpoch < 0
    ? { producerId, producerEpoch }
    : { producerId: nextProducerId, producerEpoch: nextProducerEpoch };
}

/** A transaction that another producer than its writer will decide: nothing is added to it. */
export function isKept(transaction: Transaction): boolean {
  return transaction.state === "Ongoing" && transaction.nextProducerEpoch >= 0;
}

/** A producer whose epochs ran out knows its next id from the answer to its end, before the transaction completes and the id becomes its own. */
export function isNextOwner(transaction: Transaction, { producerId }: ProducerIdAndEpoch): boolean {
  const isDecided = transaction.state === "PrepareCommit" || transaction.state === "PrepareAbort";
  return isDecided && producerId !== noProducerId && transaction.nextProducerId === producerId;
}

/**
 * The producers of a transaction that is decided, its owner's epoch raised by `raise`: who the markers are of, and, where that is another, who goes
 * on. `freshProducerId`: for an owner whose epochs have run out.
 */
export function producersOfEnd(
  before: Transaction,
  raise: number,
  freshProducerId: bigint,
): Pick<Transaction, "producerId" | "producerEpoch" | "nextProducerId" | "nextProducerEpoch"> {
  const { producerId } = before;
  const owner = ownerOf(before);
  const raised = Math.min(owner.producerEpoch + raise, producerEpochMax);
  const isSame = owner.producerId === producerId;
  // Where another id decides, the markers are one epoch above the writer's, so that it writes no more.
  const producerEpoch = isSame ? raised : Math.min(before.producerEpoch + 1, producerEpochMax);
  if (freshProducerId !== noProducerId)
    return {
      producerId,
      producerEpoch,
      nextProducerId: freshProducerId,
      nextProducerEpoch: isSame ? noProducerEpoch : 0,
    };
  if (isSame) return { producerId, producerEpoch, nextProducerId: noProducerId, nextProducerEpoch: noProducerEpoch };
  return { producerId, producerEpoch, nextProducerId: owner.producerId, nextProducerEpoch: raised };
}

/** Whether this epoch can be raised no more without becoming the one that nobody gets. */
export function isEpochExhausted(epoch: number): boolean {
  return epoch >= producerEpochMax - 1;
}

export function hasPartitions(partitions: TransactionPartitions, asked: TransactionPartitions): boolean {
  for (const [topic, indexes] of asked) {
    const present = partitions.get(topic);
    if (present === undefined || indexes.some((index) => !present.includes(index))) return false;
  }
  return true;
}

export function withPartitions(partitions: TransactionPartitions, added: TransactionPartitions): TransactionPartitions {
  const all = new Map(partitions);
  for (const [topic, indexes] of added) all.set(topic, [...new Set([...(all.get(topic) ?? []), ...indexes])]);
  return all;
}

/** Under two-phase commit a transaction waits for its decision for ever. */
export function hasTimedOut(transaction: Transaction, nowMs: number): boolean {
  const { startMs, state, timeoutMs } = transaction;
  return state === "Ongoing" && timeoutMs !== timeoutMsNone && startMs + timeoutMs < nowMs;
}

export function transactionValue(transaction: Transaction): TransactionLogValue {
  const { partitions, state } = transaction;
  const topics = [...partitions].map(([topic, partitionIds]) => ({ topic, partitionIds: [...partitionIds] }));
  return {
    producerId: transaction.producerId,
    previousProducerId: transaction.previousProducerId,
    nextProducerId: transaction.nextProducerId,
    producerEpoch: transaction.producerEpoch,
    nextProducerEpoch: transaction.nextProducerEpoch,
    transactionTimeoutMs: transaction.timeoutMs,
    transactionStatus: transactionStates.indexOf(state),
    transactionPartitions: state === "Empty" ? null : topics,
    transactionLastUpdateTimestampMs: BigInt(transaction.updateMs),
    transactionStartTimestampMs: BigInt(transaction.startMs),
    clientTransactionVersion: transaction.clientVersion,
  };
}

/** Null where the state is none that is written. */
export function transactionOfValue(transactionalId: string, value: TransactionLogValue): Transaction | null {
  const state = transactionStates[value.transactionStatus];
  if (state === undefined || state === "Dead" || state === "PrepareEpochFence") return null;
  const partitions = new Map(
    (value.transactionPartitions ?? []).map(({ topic, partitionIds }) => [topic, partitionIds]),
  );
  return {
    transactionalId,
    producerId: value.producerId,
    previousProducerId: value.previousProducerId,
    nextProducerId: value.nextProducerId,
    producerEpoch: value.producerEpoch,
    lastProducerEpoch: noProducerEpoch,
    nextProducerEpoch: value.nextProducerEpoch,
    timeoutMs: value.transactionTimeoutMs,
    state,
    partitions: partitions.size === 0 ? noPartitions : partitions,
    startMs: Number(value.transactionStartTimestampMs),
    updateMs: Number(value.transactionLastUpdateTimestampMs),
    clientVersion: value.clientTransactionVersion,
  };
}
