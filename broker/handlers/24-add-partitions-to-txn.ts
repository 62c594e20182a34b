// AddPartitionsToTxn v0–5. Up to v3 a producer adds partitions to its own transaction, all or none. From v4 on brokers ask, for several
// transactions at once: to add, or only to hear whether the partitions belong to the transaction (KIP-890).
import { epochBumpVersion } from "@blumfeld/core/coordinator";
import {
  type AddPartitionsToTxnRequest,
  type AddPartitionsToTxnResponseInit,
  type ApiKey,
  ErrorCode,
} from "@blumfeld/core/protocol";
import type { Handler, RequestContext } from "../request-context.ts";
import { AclOperation, clusterResourceName, ResourceType } from "../security-seam.ts";
import {
  fencedFor,
  fencedKnownFrom,
  mayWriteTransactionalId,
  type TransactionHandlerParts,
} from "./transaction-rules.ts";

type Topics = AddPartitionsToTxnRequest["v3AndBelowTopics"];
type Asked = AddPartitionsToTxnRequest["transactions"][number];
type TopicResult = { name: string; resultsByPartition: { partitionIndex: number; partitionErrorCode: number }[] };
type Context = RequestContext<typeof ApiKey.AddPartitionsToTxn>;

const brokersFrom = 4;

export function createAddPartitionsToTxnHandler(
  parts: TransactionHandlerParts,
): Handler<typeof ApiKey.AddPartitionsToTxn> {
  return (request, context) =>
    context.apiVersion < brokersFrom ? ofProducer(parts, request, context) : ofBroker(parts, request, context);
}

async function ofProducer(
  parts: TransactionHandlerParts,
  request: AddPartitionsToTxnRequest,
  context: Context,
): Promise<AddPartitionsToTxnResponseInit> {
  const topics = request.v3AndBelowTopics;
  const transactionalId = request.v3AndBelowTransactionalId;
  const answer = (errorOf: (topic: string, partition: number) => number): AddPartitionsToTxnResponseInit => ({
    throttleTimeMs: 0,
    resultsByTopicV3AndBelow: resultsOf(topics, errorOf),
  });
  if (!mayWriteTransactionalId(parts, context, transactionalId))
    return answer(() => ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
  const problems = problemsOf(parts, context, topics, true);
  if (problems !== null) return answer(problems);
  const errorCode = await parts.coordinators.transactions.addPartitions({
    transactionalId,
    producerId: request.v3AndBelowProducerId,
    producerEpoch: request.v3AndBelowProducerEpoch,
    partitions: partitionsOf(topics),
    clientVersion: 0,
  });
  return answer(() => fencedFor(errorCode, context.apiVersion, fencedKnownFrom.addPartitions));
}

async function ofBroker(
  parts: TransactionHandlerParts,
  request: AddPartitionsToTxnRequest,
  context: Context,
): Promise<AddPartitionsToTxnResponseInit> {
  if (!parts.authorizer.authorize(context, AclOperation.ClusterAction, ResourceType.Cluster, clusterResourceName))
    return { throttleTimeMs: 0, errorCode: ErrorCode.CLUSTER_AUTHORIZATION_FAILED };
  const resultsByTransaction = await Promise.all(
    request.transactions.map(async (asked) => ({
      transactionalId: asked.transactionalId,
      topicResults: await resultsOfAsked(parts, context, asked),
    })),
  );
  return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, resultsByTransaction };
}

async function resultsOfAsked(parts: TransactionHandlerParts, context: Context, asked: Asked): Promise<TopicResult[]> {
  const { transactionalId, producerId, producerEpoch, topics } = asked;
  const problems = problemsOf(parts, context, topics, false);
  if (problems !== null) return resultsOf(topics, problems);
  const { transactions } = parts.coordinators;
  if (asked.verifyOnly) {
    const verdict = transactions.verify({ transactionalId, producerId, producerEpoch });
    return resultsOf(topics, (topic, partition) => {
      if (typeof verdict === "number") return verdict;
      return verdict(topic, partition) ? ErrorCode.NONE : ErrorCode.TRANSACTION_ABORTABLE;
    });
  }
  const errorCode = await transactions.addPartitions({
    transactionalId,
    producerId,
    producerEpoch,
    partitions: partitionsOf(topics),
    clientVersion: epochBumpVersion,
  });
  return resultsOf(topics, () => errorCode);
}

/** Null where all can be added. Otherwise none is: each partition's own error, or that it was not attempted. */
function problemsOf(
  parts: TransactionHandlerParts,
  context: Context,
  topics: Topics,
  isOfClient: boolean,
): ((topic: string, partition: number) => number) | null {
  const { authorizer, metadata } = parts;
  const problemOf = (topic: string, partition: number): number => {
    if (isOfClient && !authorizer.authorize(context, AclOperation.Write, ResourceType.Topic, topic))
      return ErrorCode.TOPIC_AUTHORIZATION_FAILED;
    return metadata.image.topics.partition(topic, partition) === undefined
      ? ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
      : ErrorCode.NONE;
  };
  const isFine = topics.every(({ name, partitions }) =>
    partitions.every((partition) => problemOf(name, partition) === ErrorCode.NONE),
  );
  return isFine ? null : (topic, partition) => problemOf(topic, partition) || ErrorCode.OPERATION_NOT_ATTEMPTED;
}

function partitionsOf(topics: Topics): Map<string, readonly number[]> {
  return new Map(topics.map(({ name, partitions }) => [name, partitions]));
}

function resultsOf(topics: Topics, errorOf: (topic: string, partition: number) => number): TopicResult[] {
  return topics.map(({ name, partitions }) => ({
    name,
    resultsByPartition: partitions.map((partitionIndex) => ({
      partitionIndex,
      partitionErrorCode: errorOf(name, partitionIndex),
    })),
  }));
}
