// ListOffsets, versions 1-11. The offset at an end of each partition's log, or of the first record at or after a timestamp.
//
//   2   isolation level (KIP-98)      4   leader epochs (KIP-320)          5   OFFSET_NOT_AVAILABLE (KIP-207)
//   7   -3 max timestamp (KIP-734)    8   -4 earliest local (KIP-405)      9   -5 latest tiered (KIP-1005)
//   10  timeout (KIP-1075)            11  -6 earliest not yet uploaded (KIP-1023)
//
// There is no remote storage: the earliest local offset is the earliest, and -5 and -6 find nothing. Looking up a timestamp reads the
// log on the thread pool; the timeout is not looked at, since no remote read is waited for.

import { DiskError } from "@blumfeld/core/base";
import type { TimestampedOffset } from "@blumfeld/core/log";
import { type ApiKey, ErrorCode, type ListOffsetsRequestListOffsetsPartition } from "@blumfeld/core/protocol";
import type { Partition } from "../partition/partition.ts";
import type { BrokerParts } from "../parts.ts";
import type { Handler, RequestContext } from "../request-context.ts";
import { AclOperation, ResourceType } from "../security-seam.ts";

type Context = RequestContext<typeof ApiKey.ListOffsets>;

const latest = -1n;
const earliest = -2n;
const maxTimestamp = -3n;
const earliestLocal = -4n;
const latestTiered = -5n;
const earliestPendingUpload = -6n;

/** The first version that knows each special timestamp. */
const versionOfSpecial = new Map<bigint, number>([
  [latest, 1],
  [earliest, 1],
  [maxTimestamp, 7],
  [earliestLocal, 8],
  [latestTiered, 9],
  [earliestPendingUpload, 11],
]);

const leaderEpochVersion = 4;
const offsetNotAvailableVersion = 5;
const readCommitted = 1;
const consumerReplicaId = -1;
/** Kafka's debugging consumer: may ask a follower. */
const debuggingReplicaId = -2;

interface Answer {
  partitionIndex: number;
  errorCode: number;
  timestamp: bigint | number;
  offset: bigint | number;
  leaderEpoch: number;
}

function answerOf(partitionIndex: number, errorCode: number): Answer {
  return { partitionIndex, errorCode, timestamp: -1, offset: -1, leaderEpoch: -1 };
}

export function createListOffsetsHandler(parts: BrokerParts): Handler<typeof ApiKey.ListOffsets> {
  return (request, context) => {
    const lookups: Promise<void>[] = [];
    const duplicates = duplicatePartitions(request.topics);
    const topics = request.topics.map((topic) => {
      const mayDescribe = parts.authorizer.authorize(context, AclOperation.Describe, ResourceType.Topic, topic.name);
      const partitions = topic.partitions.map((asked) => {
        const answer = answerOf(asked.partitionIndex, ErrorCode.NONE);
        if (duplicates?.has(`${topic.name}-${asked.partitionIndex}`)) answer.errorCode = ErrorCode.INVALID_REQUEST;
        else if (!mayDescribe) answer.errorCode = ErrorCode.TOPIC_AUTHORIZATION_FAILED;
        else {
          const lookup = find(parts, context, request.replicaId, request.isolationLevel, topic.name, asked, answer);
          if (lookup !== null) lookups.push(lookup);
        }
        return answer;
      });
      return { name: topic.name, partitions };
    });
    const respond = () => {
      if (context.apiVersion < leaderEpochVersion)
        for (const topic of topics) for (const one of topic.partitions) one.leaderEpoch = -1;
      return { throttleTimeMs: 0, topics };
    };
    return lookups.length === 0 ? respond() : Promise.all(lookups).then(respond);
  };
}

function duplicatePartitions(
  topics: readonly { name: string; partitions: readonly { partitionIndex: number }[] }[],
): Set<string> | null {
  const seen = new Set<string>();
  let duplicates: Set<string> | null = null;
  for (const topic of topics) {
    for (const { partitionIndex } of topic.partitions) {
      const key = `${topic.name}-${partitionIndex}`;
      if (seen.has(key)) {
        duplicates ??= new Set();
        duplicates.add(key);
      }
      seen.add(key);
    }
  }
  return duplicates;
}

/** Fills `answer`; a promise where the log has to be read. */
function find(
  parts: BrokerParts,
  context: Context,
  replicaId: number,
  isolationLevel: number,
  topic: string,
  asked: ListOffsetsRequestListOffsetsPartition,
  answer: Answer,
): Promise<void> | null {
  const { timestamp } = asked;
  if (timestamp < 0n && context.apiVersion < (versionOfSpecial.get(timestamp) ?? Number.POSITIVE_INFINITY)) {
    answer.errorCode = ErrorCode.UNSUPPORTED_VERSION;
    return null;
  }
  const partition = parts.partitions.get(topic, asked.partitionIndex);
  if (partition === null) {
    const isKnown = parts.metadata.image.topics.partition(topic, asked.partitionIndex) !== undefined;
    answer.errorCode = isKnown ? ErrorCode.NOT_LEADER_OR_FOLLOWER : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
    return null;
  }
  answer.errorCode = problemOf(partition, asked.currentLeaderEpoch, replicaId);
  if (answer.errorCode !== ErrorCode.NONE) return null;
  const log = partition.log!;
  const isConsumer = replicaId === consumerReplicaId;
  const end = !isConsumer
    ? log.logEndOffset
    : isolationLevel === readCommitted
      ? log.lastStableOffset
      : log.highWatermark;
  const isBehindEpoch = isConsumer && log.highWatermark < partition.leaderEpochStartOffset;
  switch (timestamp) {
    case earliest:
    case earliestLocal:
      answer.offset = log.logStartOffset;
      answer.leaderEpoch = log.epochForOffset(log.logStartOffset);
      return null;
    case latestTiered:
    case earliestPendingUpload:
      return null;
    default:
  }
  if (isBehindEpoch) {
    // KIP-207: a new leader whose high watermark has not come up to its epoch might answer with an offset that goes back.
    answer.errorCode =
      context.apiVersion >= offsetNotAvailableVersion ? ErrorCode.OFFSET_NOT_AVAILABLE : ErrorCode.LEADER_NOT_AVAILABLE;
    return null;
  }
  if (timestamp === latest) {
    answer.offset = end;
    answer.leaderEpoch = partition.leaderEpoch;
    return null;
  }
  const found =
    timestamp === maxTimestamp ? log.maxTimestampOffsetLater() : log.offsetForTimestampLater(Number(timestamp));
  return found.then(
    (at) => fillFound(answer, at, end),
    (error: unknown) => {
      if (!(error instanceof DiskError)) throw error;
      parts.logger.error({ partition: partition.name, code: error.code }, `look-up failed: ${error.message}`);
      answer.errorCode = ErrorCode.KAFKA_STORAGE_ERROR;
    },
  );
}

function problemOf(partition: Partition, currentLeaderEpoch: number, replicaId: number): number {
  if (replicaId !== debuggingReplicaId) return partition.leaderProblem(currentLeaderEpoch);
  const problem = partition.epochProblem(currentLeaderEpoch);
  if (problem !== ErrorCode.NONE) return problem;
  return partition.log === null ? ErrorCode.KAFKA_STORAGE_ERROR : ErrorCode.NONE;
}

/** What lies past the last offset that the asker may read is not there for it. */
function fillFound(answer: Answer, at: TimestampedOffset | null, end: number): void {
  if (at === null || at.offset >= end) return;
  answer.timestamp = at.timestamp;
  answer.offset = at.offset;
  answer.leaderEpoch = at.leaderEpoch;
}
