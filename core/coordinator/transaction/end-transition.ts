// What EndTxn does to a transaction, by the version that its client works by. Up to version 1 the epoch stays, and a repeat is told by the state
// alone; from version 2 on every end raises the epoch, so that a repeat is told by the epoch, and an abort is allowed where nothing was written.
import { ErrorCode } from "../../protocol/index.ts";
import { epochBumpVersion, isEpochExhausted, noProducerId, producerEpochMax, type Transaction } from "./transaction.ts";

export interface EndAsk {
  readonly producerId: bigint;
  readonly producerEpoch: number;
  readonly isCommit: boolean;
  readonly clientVersion: number;
  /** Null until one was asked for. */
  readonly freshProducerId: bigint | null;
}

export type EndTransition =
  | { readonly kind: "refused"; readonly errorCode: number }
  /** Done before: the answer is the same again. */
  | { readonly kind: "repeat" }
  | { readonly kind: "needs-producer-id" }
  | { readonly kind: "prepared"; readonly transaction: Transaction };

const invalidState: EndTransition = { kind: "refused", errorCode: ErrorCode.INVALID_TXN_STATE };
const concurrent: EndTransition = { kind: "refused", errorCode: ErrorCode.CONCURRENT_TRANSACTIONS };
const fenced: EndTransition = { kind: "refused", errorCode: ErrorCode.PRODUCER_FENCED };
const unknownProducer: EndTransition = { kind: "refused", errorCode: ErrorCode.INVALID_PRODUCER_ID_MAPPING };
const repeat: EndTransition = { kind: "repeat" };

export function endTransition(before: Transaction, ask: EndAsk, nowMs: number): EndTransition {
  return ask.clientVersion >= epochBumpVersion ? endWithBump(before, ask, nowMs) : endInEpoch(before, ask, nowMs);
}

function endInEpoch(before: Transaction, ask: EndAsk, nowMs: number): EndTransition {
  if (before.producerId !== ask.producerId) return unknownProducer;
  if (before.producerEpoch !== ask.producerEpoch) return fenced;
  switch (before.state) {
    case "Ongoing":
      return prepared(before, ask, nowMs, before.producerEpoch, noProducerId);
    case "CompleteCommit":
      return ask.isCommit ? repeat : invalidState;
    case "CompleteAbort":
      return ask.isCommit ? invalidState : repeat;
    case "PrepareCommit":
      return ask.isCommit ? concurrent : invalidState;
    case "PrepareAbort":
      return ask.isCommit ? invalidState : concurrent;
    default:
      return invalidState;
  }
}

function endWithBump(before: Transaction, ask: EndAsk, nowMs: number): EndTransition {
  // The producer id changed at the end that is asked for again, as its epochs had run out.
  const isRepeatOfRotation =
    before.previousProducerId === ask.producerId &&
    before.previousProducerId !== before.producerId &&
    ask.producerEpoch === producerEpochMax - 1 &&
    before.producerEpoch === 0;
  if (before.producerId !== ask.producerId && !isRepeatOfRotation) return unknownProducer;
  const isRepeat = isRepeatOfRotation || before.producerEpoch === ask.producerEpoch + 1;
  const isCurrent = before.producerEpoch === ask.producerEpoch;
  switch (before.state) {
    case "Ongoing":
      return isCurrent ? bumped(before, ask, nowMs, false) : fenced;
    case "Empty":
      if (!isCurrent) return fenced;
      return ask.isCommit ? invalidState : bumped(before, ask, nowMs, true);
    case "PrepareCommit":
      if (!isRepeat) return fenced;
      return ask.isCommit ? concurrent : invalidState;
    case "PrepareAbort":
      if (!isRepeat) return fenced;
      return ask.isCommit ? invalidState : concurrent;
    case "CompleteCommit":
    case "CompleteAbort": {
      if (!isRepeat && !isCurrent) return fenced;
      const isSameEnd = ask.isCommit === (before.state === "CompleteCommit");
      if (isRepeat) return isSameEnd ? repeat : invalidState;
      return ask.isCommit ? invalidState : bumped(before, ask, nowMs, true);
    }
    default:
      return invalidState;
  }
}

function bumped(before: Transaction, ask: EndAsk, nowMs: number, isEmpty: boolean): EndTransition {
  let nextProducerId = noProducerId;
  if (isEpochExhausted(before.producerEpoch)) {
    if (ask.freshProducerId === null) return { kind: "needs-producer-id" };
    nextProducerId = ask.freshProducerId;
  }
  const epoch = Math.min(before.producerEpoch + 1, producerEpochMax);
  // Nothing was written: the transaction begins with its end.
  return prepared(isEmpty ? { ...before, startMs: nowMs } : before, ask, nowMs, epoch, nextProducerId);
}

function prepared(
  before: Transaction,
  ask: EndAsk,
  nowMs: number,
  producerEpoch: number,
  nextProducerId: bigint,
): EndTransition {
  const isBumped = producerEpoch !== before.producerEpoch;
  return {
    kind: "prepared",
    transaction: {
      ...before,
      previousProducerId: before.producerId,
      nextProducerId,
      producerEpoch,
      lastProducerEpoch: isBumped ? before.producerEpoch : before.lastProducerEpoch,
      state: ask.isCommit ? "PrepareCommit" : "PrepareAbort",
      updateMs: nowMs,
      clientVersion: ask.clientVersion,
    },
  };
}
