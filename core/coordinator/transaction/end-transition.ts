// What EndTxn does to a transaction, by the version that its client works by. Up to version 1 the epoch stays, and a repeat is told by the state
// alone; from version 2 on every end raises the epoch, so that a repeat is told by the epoch, and an abort is allowed where nothing was written.
import { ErrorCode } from "../../protocol/index.ts";
import {
  epochBumpVersion,
  isEpochExhausted,
  isNextOwner,
  noProducerId,
  ownerOf,
  producerEpochMax,
  producersOfEnd,
  type Transaction,
} from "./transaction.ts";

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
  const owner = ownerOf(before);
  if (owner.producerId !== ask.producerId) return unknownProducer;
  if (owner.producerEpoch !== ask.producerEpoch) return fenced;
  switch (before.state) {
    case "Ongoing":
      return prepared(before, ask, nowMs, 0, noProducerId);
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
  if (isNextOwner(before, ask)) return concurrent;
  const owner = ownerOf(before);
  // The producer id changed at the end that is asked for again, as its epochs had run out.
  const isRepeatOfRotation =
    before.previousProducerId === ask.producerId &&
    before.previousProducerId !== before.producerId &&
    ask.producerEpoch === producerEpochMax - 1 &&
    before.producerEpoch === 0;
  if (owner.producerId !== ask.producerId && !isRepeatOfRotation) return unknownProducer;
  // The last epoch only ever fences: a producer that had the one before, and was aborted by the coordinator, does not go on in it.
  const isFencedForGood = owner.producerEpoch === producerEpochMax && before.nextProducerId === noProducerId;
  const isRepeat = isRepeatOfRotation || (owner.producerEpoch === ask.producerEpoch + 1 && !isFencedForGood);
  const isCurrent = owner.producerEpoch === ask.producerEpoch;
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
  let freshProducerId = noProducerId;
  if (isEpochExhausted(ownerOf(before).producerEpoch)) {
    if (ask.freshProducerId === null) return { kind: "needs-producer-id" };
    freshProducerId = ask.freshProducerId;
  }
  // Nothing was written: the transaction begins with its end.
  return prepared(isEmpty ? { ...before, startMs: nowMs } : before, ask, nowMs, 1, freshProducerId);
}

function prepared(
  before: Transaction,
  ask: EndAsk,
  nowMs: number,
  raise: number,
  freshProducerId: bigint,
): EndTransition {
  return {
    kind: "prepared",
    transaction: {
      ...before,
      ...producersOfEnd(before, raise, freshProducerId),
      previousProducerId: before.producerId,
      lastProducerEpoch: raise > 0 ? before.producerEpoch : before.lastProducerEpoch,
      state: ask.isCommit ? "PrepareCommit" : "PrepareAbort",
      updateMs: nowMs,
      clientVersion: ask.clientVersion,
    },
  };
}
