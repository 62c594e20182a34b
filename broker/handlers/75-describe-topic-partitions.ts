// DescribeTopicPartitions v0 (KIP-966): topics by name in order, page by page, with eligible leader replicas. No names stands for all. A
// page ends at the limit of partitions, of the request or of max.request.partition.size.limit; the cursor says where the next begins.
import { leaderNone, type PartitionImage, type TopicImage } from "@blumfeld/core/controller";
import { isInternalTopic, topicNameProblem } from "@blumfeld/core/model";
import { type ApiKey, ErrorCode, type RequestOf, type ResponseInitOf } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import { type Handler, type RequestContext, RequestError } from "../request-context.ts";
import { AclOperation, authorizedOperations, ResourceType } from "../security-seam.ts";

type Parts = Pick<BrokerParts, "authorizer" | "metadata" | "cluster">;
type Context = RequestContext<typeof ApiKey.DescribeTopicPartitions>;
type Topic = ResponseInitOf<typeof ApiKey.DescribeTopicPartitions>["topics"][number];
type Cursor = { readonly topicName: string; readonly partitionIndex: number };

export function createDescribeTopicPartitionsHandler(parts: Parts): Handler<typeof ApiKey.DescribeTopicPartitions> {
  return (request, context) => {
    const { cursor } = request;
    if (cursor !== null && cursor.partitionIndex < 0) {
      throw new RequestError(ErrorCode.INVALID_REQUEST, `the cursor's partition is ${cursor.partitionIndex}`);
    }
    const limit = Math.min(
      Math.max(request.responsePartitionLimit, 0),
      parts.cluster.settings.get("max.request.partition.size.limit"),
    );
    const names = namesOf(parts, request);
    const isAll = request.topics.length === 0;
    const topics: Topic[] = [];
    let left = limit;
    let nextCursor: Cursor | null = null;
    for (const name of names) {
      const isAllowed = parts.authorizer.authorize(context, AclOperation.Describe, ResourceType.Topic, name);
      if (!isAllowed && isAll) continue;
      const topic = isAllowed ? parts.metadata.image.topicsByName.get(name) : undefined;
      if (topic === undefined) {
        topics.push(failedTopic(parts, context, name, isAllowed));
        continue;
      }
      const start = cursor?.topicName === name ? cursor.partitionIndex : 0;
      if (left === 0) {
        nextCursor = { topicName: name, partitionIndex: start };
        break;
      }
      const end = Math.min(topic.partitions.length, start + left);
      topics.push(describedTopic(parts, context, topic, start, end));
      left -= Math.max(0, end - start);
      if (end < topic.partitions.length) {
        nextCursor = { topicName: name, partitionIndex: end };
        break;
      }
    }
    return { throttleTimeMs: 0, topics, nextCursor };
  };
}

/** In the order of their characters, from the cursor's topic on. */
function namesOf(parts: Parts, request: RequestOf<typeof ApiKey.DescribeTopicPartitions>): string[] {
  const asked =
    request.topics.length === 0
      ? [...parts.metadata.image.topicsByName.keys()]
      : request.topics.map(({ name }) => name);
  const from = request.cursor?.topicName ?? "";
  return [...new Set(asked)].filter((name) => name >= from).sort();
}

function failedTopic(parts: Parts, context: Context, name: string, isAllowed: boolean): Topic {
  const errorCode = !isAllowed
    ? ErrorCode.TOPIC_AUTHORIZATION_FAILED
    : topicNameProblem(name) === null
      ? ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
      : ErrorCode.INVALID_TOPIC_EXCEPTION;
  const topicAuthorizedOperations = authorizedOperations(parts.authorizer, context, ResourceType.Topic, name);
  return { errorCode, name, isInternal: isInternalTopic(name), partitions: [], topicAuthorizedOperations };
}

function describedTopic(parts: Parts, context: Context, topic: TopicImage, start: number, end: number): Topic {
  const { name } = topic;
  return {
    errorCode: ErrorCode.NONE,
    name,
    topicId: topic.id,
    isInternal: isInternalTopic(name),
    partitions: topic.partitions
      .slice(start, end)
      .map((partition, step) => describedPartition(parts, partition, start + step, context.listenerName)),
    topicAuthorizedOperations: authorizedOperations(parts.authorizer, context, ResourceType.Topic, name),
  };
}

function describedPartition(
  parts: Parts,
  partition: PartitionImage,
  partitionIndex: number,
  listenerName: string,
): Topic["partitions"][number] {
  const { cluster } = parts.metadata.image;
  const { leader } = partition;
  const isReachable = cluster.isUnfenced(leader) && cluster.broker(leader)?.endpoints.has(listenerName) === true;
  return {
    errorCode: isReachable
      ? ErrorCode.NONE
      : cluster.isUnfenced(leader)
        ? ErrorCode.LISTENER_NOT_FOUND
        : ErrorCode.LEADER_NOT_AVAILABLE,
    partitionIndex,
    leaderId: isReachable ? leader : leaderNone,
    leaderEpoch: partition.leaderEpoch,
    replicaNodes: partition.replicas,
    isrNodes: partition.isr,
    eligibleLeaderReplicas: partition.elr,
    lastKnownElr: partition.lastKnownElr,
    offlineReplicas: partition.replicas.filter((replica) => !cluster.isUnfenced(replica)),
  };
}
