// DescribeProducers v0 (KIP-664): the producers that a partition's leader keeps state of, idle ones included.
import { type ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { Handler } from "../request-context.ts";
import { AclOperation, ResourceType } from "../security-seam.ts";

type Parts = Pick<BrokerParts, "authorizer" | "metadata" | "partitions">;

export function createDescribeProducersHandler(parts: Parts): Handler<typeof ApiKey.DescribeProducers> {
  return (request, context) => ({
    throttleTimeMs: 0,
    topics: request.topics.map(({ name, partitionIndexes }) => {
      const mayRead = parts.authorizer.authorize(context, AclOperation.Read, ResourceType.Topic, name);
      return {
        name,
        partitions: partitionIndexes.map((index) =>
          mayRead ? describe(parts, name, index) : refused(index, ErrorCode.TOPIC_AUTHORIZATION_FAILED),
        ),
      };
    }),
  });
}

function refused(partitionIndex: number, errorCode: ErrorCode) {
  return { partitionIndex, errorCode, errorMessage: null, activeProducers: [] };
}

function describe(parts: Parts, topic: string, index: number) {
  if (parts.metadata.image.topics.partition(topic, index) === undefined)
    return refused(index, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  const partition = parts.partitions.get(topic, index);
  if (partition === null) return refused(index, ErrorCode.NOT_LEADER_OR_FOLLOWER);
  const problem = partition.leaderProblem(-1) as ErrorCode;
  if (problem !== ErrorCode.NONE) return refused(index, problem);
  const activeProducers = partition.leaderLog.activeProducers().map((producer) => ({
    producerId: producer.producerId,
    producerEpoch: producer.producerEpoch,
    lastSequence: producer.lastSequence,
    lastTimestamp: producer.lastTimestamp,
    coordinatorEpoch: producer.coordinatorEpoch,
    currentTxnStartOffset: producer.currentTransactionStartOffset,
  }));
  return { ...refused(index, ErrorCode.NONE), activeProducers };
}
