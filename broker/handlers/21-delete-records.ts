// DeleteRecords, versions 0-2. Moves each log's start up to an offset, or to the high watermark (-1). What lies below is gone for readers at
// once, and answered when every replica that takes part begins there; segments below go with retention.
import { DiskError } from "@blumfeld/core/base";
import { isInternalTopic, type Offset, offsetFromInt64 } from "@blumfeld/core/model";
import { type ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import type { Partition } from "../partition/partition.ts";
import type { BrokerParts } from "../parts.ts";
import type { Handler } from "../request-context.ts";
import { AclOperation, ResourceType } from "../security-seam.ts";

const lowWatermarkNone = -1;
const toHighWatermark = -1n;

export function createDeleteRecordsHandler(parts: BrokerParts): Handler<typeof ApiKey.DeleteRecords> {
  return (request, context) => {
    const waits: Promise<void>[] = [];
    const topics = request.topics.map((topic) => {
      const mayDelete = parts.authorizer.authorize(context, AclOperation.Delete, ResourceType.Topic, topic.name);
      return {
        name: topic.name,
        partitions: topic.partitions.map(({ partitionIndex, offset }) => {
          const outcome = mayDelete
            ? deleteBefore(parts, topic.name, partitionIndex, offset)
            : ErrorCode.TOPIC_AUTHORIZATION_FAILED;
          if (typeof outcome === "number")
            return { partitionIndex, lowWatermark: lowWatermarkNone, errorCode: outcome };
          const answer = { partitionIndex, lowWatermark: outcome.lowWatermark, errorCode: ErrorCode.NONE as number };
          const { partition } = outcome;
          if (partition.lowWatermark < outcome.lowWatermark)
            waits.push(waitForReplicas(parts, partition, outcome.lowWatermark, request.timeoutMs, answer));
          return answer;
        }),
      };
    });
    const response = { throttleTimeMs: 0, topics };
    return waits.length === 0 ? response : Promise.all(waits).then(() => response);
  };
}

/** Fills the answer once all replicas have followed, or the time is up. */
function waitForReplicas(
  parts: BrokerParts,
  partition: Partition,
  requiredOffset: number,
  timeoutMs: number,
  answer: { lowWatermark: number; errorCode: number },
): Promise<void> {
  return new Promise((resolve) => {
    const finish = (errorCode: number): void => {
      timer.cancel();
      partition.forgetDeletion(deletion);
      answer.errorCode = errorCode;
      answer.lowWatermark = errorCode === ErrorCode.NONE ? partition.lowWatermark : lowWatermarkNone;
      resolve();
    };
    const deletion = { requiredOffset, onDeleted: finish };
    const timer = parts.timers.after(timeoutMs, () => finish(ErrorCode.REQUEST_TIMED_OUT));
    partition.waitForDeletion(deletion);
  });
}

/** An error code, or where the log starts now. */
function deleteBefore(
  parts: BrokerParts,
  topic: string,
  index: number,
  offset: bigint,
): number | { lowWatermark: number; partition: Partition } {
  if (parts.metadata.image.topics.partition(topic, index) === undefined) return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
  if (isInternalTopic(topic)) return ErrorCode.INVALID_TOPIC_EXCEPTION;
  const partition = parts.partitions.get(topic, index);
  if (partition === null) return ErrorCode.NOT_LEADER_OR_FOLLOWER;
  const problem = partition.leaderProblem(-1);
  if (problem !== ErrorCode.NONE) return problem;
  const log = partition.leaderLog;
  const target: Offset | null = offset === toHighWatermark ? log.highWatermark : offsetFromInt64(offset);
  if (target === null || target < 0) return ErrorCode.OFFSET_OUT_OF_RANGE;
  try {
    const outcome = log.deleteRecordsBefore(target);
    if (outcome.kind === "policy-violation") return ErrorCode.POLICY_VIOLATION;
    if (outcome.kind === "out-of-range") return ErrorCode.OFFSET_OUT_OF_RANGE;
    // A fetch may be waiting at an offset that is no more.
    partition.wakeFetches();
    return { lowWatermark: outcome.logStartOffset, partition };
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    parts.logger.error({ partition: partition.name, code: error.code }, `delete records failed: ${error.message}`);
    return ErrorCode.KAFKA_STORAGE_ERROR;
  }
}
