// Looks at each partition of a fetch and names the bytes that it would get; reads none of them. May be done again for a fetch that waits.
import { DiskError } from "@blumfeld/core/base";
import type { MetadataImage } from "@blumfeld/core/controller";
import { type Offset, offsetOf } from "@blumfeld/core/model";
import { ErrorCode } from "@blumfeld/core/protocol";
import type { Partition } from "../partition/partition.ts";
import type { PartitionManager } from "../partition/partition-manager.ts";
import type { FetchItem } from "./fetch-item.ts";

export interface FetchBounds {
  readonly bytesMax: number;
  readonly isReadCommitted: boolean;
  /** -1 for a consumer. */
  readonly replicaId: number;
  /** Followers, and consumers that do not know that they might read elsewhere. */
  readonly onlyFromLeader: boolean;
}

/** What a fetch is given besides the log's own answer. */
export interface FetchGuide {
  /** Where a consumer should rather read (KIP-392); -1: here. */
  readReplicaOf(partition: Partition, fetchOffset: number): number;
  /** Whether a follower of this partition gets no records while its throttle is used up (KIP-73). */
  isHeldBack(partition: Partition): boolean;
}

export interface FetchPlanner {
  readonly partitions: PartitionManager;
  readonly image: MetadataImage;
  readonly usesTopicIds: boolean;
  /** Asked once for each topic in a row. */
  readonly mayRead: (topic: string) => boolean;
}

/** Finds the partitions, and refuses those that are unknown or not for this client. True where one was refused. */
export function resolveItems(items: readonly FetchItem[], planner: FetchPlanner): boolean {
  let topic: string | null = null;
  let mayRead = false;
  let isRefused = false;
  for (const item of items) {
    if (planner.usesTopicIds && item.topic === "") {
      refuseEarly(item, ErrorCode.UNKNOWN_TOPIC_ID);
      isRefused = true;
      continue;
    }
    if (item.topic !== topic) {
      topic = item.topic;
      mayRead = planner.mayRead(topic);
    }
    if (!mayRead) refuseEarly(item, ErrorCode.TOPIC_AUTHORIZATION_FAILED);
    else if (planner.image.topics.partition(item.topic, item.index) === undefined)
      refuseEarly(item, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
    else {
      item.partition = planner.partitions.get(item.topic, item.index);
      continue;
    }
    isRefused = true;
  }
  return isRefused;
}

export function refuseEarly(item: FetchItem, errorCode: number): void {
  item.refuse(errorCode);
  item.isRefusedEarly = true;
}

export interface FetchPlan {
  readonly bytes: number;
  /** An error, or a follower whose log has diverged: answered without waiting. */
  readonly isUrgent: boolean;
}

/** Serves whatever is asked. */
export const noGuide: FetchGuide = { readReplicaOf: () => -1, isHeldBack: () => false };

/** Names the bytes for each item in turn, within the bounds of the request and of the partition. */
export function planFetch(items: readonly FetchItem[], bounds: FetchBounds, guide: FetchGuide = noGuide): FetchPlan {
  let left = bounds.bytesMax;
  // Whatever the bounds are, the first batch comes whole, so that a consumer never gets stuck before a large one.
  let minOneBatch = true;
  let bytes = 0;
  let isUrgent = false;
  for (const item of items) {
    if (item.isRefusedEarly) continue;
    planItem(item, bounds, guide, Math.min(item.bytesMax, left), minOneBatch);
    if (item.errorCode !== ErrorCode.NONE || item.divergingEpoch !== null || item.preferredReadReplica >= 0)
      isUrgent = true;
    const size = item.recordsBytes;
    if (size > 0) minOneBatch = false;
    bytes += size;
    left = Math.max(0, left - size);
  }
  return { bytes, isUrgent };
}

function planItem(
  item: FetchItem,
  bounds: FetchBounds,
  guide: FetchGuide,
  bytesMax: number,
  minOneBatch: boolean,
): void {
  const { partition } = item;
  item.slice = null;
  item.divergingEpoch = null;
  item.preferredReadReplica = -1;
  item.errorCode = ErrorCode.NONE;
  if (partition === null) {
    item.refuse(ErrorCode.NOT_LEADER_OR_FOLLOWER);
    return;
  }
  const { currentLeaderEpoch } = item;
  const problem = bounds.onlyFromLeader
    ? partition.leaderProblem(currentLeaderEpoch)
    : partition.replicaProblem(currentLeaderEpoch);
  if (problem !== ErrorCode.NONE) {
    item.refuse(problem);
    return;
  }
  if (bounds.replicaId >= 0 && !partition.replicas.includes(bounds.replicaId)) {
    // Right in its epoch, but the metadata that made it a replica is not here yet: it asks again.
    item.refuse(currentLeaderEpoch >= 0 ? ErrorCode.UNKNOWN_LEADER_EPOCH : ErrorCode.NOT_LEADER_OR_FOLLOWER);
    return;
  }
  try {
    readItem(item, partition, bounds, guide, bytesMax, minOneBatch);
  } catch (error) {
    // A batch header that had to be looked at cannot be read.
    if (!(error instanceof DiskError)) throw error;
    item.refuse(ErrorCode.KAFKA_STORAGE_ERROR);
  }
}

function readItem(
  item: FetchItem,
  partition: Partition,
  bounds: FetchBounds,
  guide: FetchGuide,
  bytesMax: number,
  minOneBatch: boolean,
): void {
  const log = partition.log!;
  item.highWatermark = log.highWatermark;
  item.lastStableOffset = log.lastStableOffset;
  item.logStartOffset = log.logStartOffset;
  item.abortedTransactions = bounds.isReadCommitted ? [] : null;
  if (bounds.replicaId < 0 && partition.isLeader) {
    item.preferredReadReplica = guide.readReplicaOf(partition, item.fetchOffset);
    if (item.preferredReadReplica >= 0) return;
  }
  if (item.lastFetchedEpoch >= 0 && hasDiverged(item, partition)) return;
  const upTo =
    bounds.replicaId >= 0 ? log.writtenEndOffset : bounds.isReadCommitted ? log.lastStableOffset : log.highWatermark;
  if (item.fetchOffset < log.logStartOffset || item.fetchOffset > log.logEndOffset) {
    item.refuse(ErrorCode.OFFSET_OUT_OF_RANGE);
    item.abortedTransactions = null;
    return;
  }
  if (item.fetchOffset >= upTo || (bytesMax <= 0 && !minOneBatch)) return;
  if (bounds.replicaId >= 0 && guide.isHeldBack(partition)) return;
  const outcome = log.read(offsetOf(item.fetchOffset), {
    bytesMax: Math.max(0, bytesMax),
    upTo: upTo as Offset,
    minOneBatch,
  });
  if (outcome.kind === "slice") {
    // What is left of the answer's room cannot hold a batch: nobody could use a part of one.
    if (outcome.isFirstBatchWhole) item.slice = outcome;
  } else if (outcome.kind === "out-of-range") {
    item.refuse(ErrorCode.OFFSET_OUT_OF_RANGE);
    item.abortedTransactions = null;
  }
}

/** KIP-595: the last epoch that the fetcher has ends earlier here, or is not known: it has to cut its log back. */
function hasDiverged(item: FetchItem, partition: Partition): boolean {
  const log = partition.log!;
  const known = log.endOffsetForEpoch(item.lastFetchedEpoch);
  if (known.epoch < 0 || known.endOffset < 0 || item.fetchOffset < log.logStartOffset) {
    item.refuse(ErrorCode.OFFSET_OUT_OF_RANGE);
    return true;
  }
  if (known.epoch >= item.lastFetchedEpoch && known.endOffset >= item.fetchOffset) return false;
  item.divergingEpoch = { epoch: known.epoch, endOffset: known.endOffset };
  return true;
}
