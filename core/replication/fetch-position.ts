// Where a follower stands in its leader's log, and what each answer of the leader means for it. Pure: it says what to do with the log and when to
// ask again; the fetcher does it.
//
//   fetching → fetching: records, or nothing new        fetching → fetching: logs have parted; the log was cut (KIP-595)
//   fetching → resolving: the offset is out of range    resolving → fetching: the leader told its ends; the log was cut or emptied
//   truncating → fetching: no epochs are known; the log was cut to the high watermark
//   any → delayed: an error that may pass               any → fenced: the leader knows a later epoch; metadata will come
//   any → failed: the log cannot take what comes
import { ErrorCode } from "../protocol/index.ts";

/** What a position asks of the log. */
export interface FollowerLog {
  readonly logEndOffset: number;
  readonly highWatermark: number;
  /** -1 where there is none. */
  readonly latestLeaderEpoch: number;
  /** The end of the largest epoch that is not above `epoch`; -1 and -1 where none is known. */
  endOffsetForEpoch(epoch: number): { readonly epoch: number; readonly endOffset: number };
}

export type FetchState = "fetching" | "truncating" | "resolving" | "fenced" | "failed";

export interface FetchPosition {
  state: FetchState;
  fetchOffset: number;
  /** -1 where no epoch is known: the leader then cannot tell whether the logs have parted. */
  lastFetchedEpoch: number;
  readonly leaderEpoch: number;
  /** No request names the partition before. */
  readyAtMs: number;
}

/** Where a follower begins under a leader, in its epoch. Without any epoch it can trust its log only up to the high watermark. */
export function positionAtStart(log: FollowerLog, leaderEpoch: number): FetchPosition {
  const { highWatermark, latestLeaderEpoch, logEndOffset } = log;
  const hasEpochs = latestLeaderEpoch >= 0;
  return {
    state: hasEpochs || logEndOffset === highWatermark ? "fetching" : "truncating",
    fetchOffset: hasEpochs ? logEndOffset : highWatermark,
    lastFetchedEpoch: latestLeaderEpoch,
    leaderEpoch,
    readyAtMs: 0,
  };
}

export interface Truncation {
  readonly offset: number;
  /** False: the logs may part earlier still, and the leader must be asked once more. */
  readonly isComplete: boolean;
}

/**
 * Where to cut a log that has parted from the leader's, which says that its largest epoch not above ours ends at `leader.endOffset`. If we have
 * that epoch, the logs agree up to the smaller of both ends of it; if not, up to the end of our largest epoch below it, and that one has to be
 * compared in turn.
 */
export function truncationOf(
  leader: { epoch: number; endOffset: number },
  log: FollowerLog,
  fetchOffset: number,
): Truncation {
  const { logEndOffset } = log;
  if (leader.endOffset < 0) return { offset: Math.min(fetchOffset, logEndOffset), isComplete: true };
  if (leader.epoch < 0) return { offset: Math.min(leader.endOffset, logEndOffset), isComplete: true };
  const own = log.endOffsetForEpoch(leader.epoch);
  if (own.endOffset < 0) return { offset: Math.min(leader.endOffset, logEndOffset), isComplete: true };
  if (own.epoch !== leader.epoch) return { offset: Math.min(own.endOffset, logEndOffset), isComplete: false };
  return { offset: Math.min(own.endOffset, leader.endOffset, logEndOffset), isComplete: true };
}

/** After the log was cut: where to go on. The next fetch carries the last epoch again, so an incomplete cut is found out by it. */
export function afterTruncation(position: FetchPosition, log: FollowerLog): void {
  position.state = "fetching";
  position.fetchOffset = log.logEndOffset;
  position.lastFetchedEpoch = log.latestLeaderEpoch;
}

export interface FetchedPartition {
  readonly errorCode: number;
  /** -1 and -1 where the logs have not parted. */
  readonly divergingEpoch: { readonly epoch: number; readonly endOffset: number | bigint };
}

export type FetchStep =
  /** Take the records, if there are any, and the leader's offsets. */
  | { readonly kind: "take" }
  | { readonly kind: "truncate"; readonly truncation: Truncation }
  /** Ask the leader where its log ends and begins. */
  | { readonly kind: "resolve" }
  | { readonly kind: "delay" }
  /** Wait for the metadata. */
  | { readonly kind: "fence" };

/** What an answer means. */
export function stepOf(position: FetchPosition, fetched: FetchedPartition, log: FollowerLog): FetchStep {
  switch (fetched.errorCode) {
    case ErrorCode.NONE: {
      const { divergingEpoch } = fetched;
      const endOffset = Number(divergingEpoch.endOffset);
      if (divergingEpoch.epoch < 0 && endOffset < 0) return { kind: "take" };
      const leader = { epoch: divergingEpoch.epoch, endOffset };
      return { kind: "truncate", truncation: truncationOf(leader, log, position.fetchOffset) };
    }
    case ErrorCode.OFFSET_OUT_OF_RANGE:
      return { kind: "resolve" };
    case ErrorCode.FENCED_LEADER_EPOCH:
      return { kind: "fence" };
    default:
      return { kind: "delay" };
  }
}

export type RangeStep =
  /** The leader's log ends before ours does: it was elected uncleanly, or lost its tail. */
  | { readonly kind: "truncate"; readonly offset: number }
  /** The leader's log begins after ours ends: all we have is gone from it. */
  | { readonly kind: "start-over"; readonly offset: number }
  | { readonly kind: "go-on" };

/** What follows from the leader's ends for a follower that was out of range. */
export function rangeStepOf(log: FollowerLog, leader: { startOffset: number; endOffset: number }): RangeStep {
  if (leader.endOffset < log.logEndOffset) return { kind: "truncate", offset: leader.endOffset };
  if (leader.startOffset > log.logEndOffset) return { kind: "start-over", offset: leader.startOffset };
  return { kind: "go-on" };
}
