// TxnOffsetCommit v0–5: offsets that count once their transaction is committed. v3: the member and its generation. From v5 on (transactions v2,
// KIP-890) the group's partition becomes one of the transaction here; before, it must be already.
import { uuidZero } from "@blumfeld/core/base";
import { memberErrorOfAppend, type TopicToCommit } from "@blumfeld/core/coordinator";
import { consumerOffsetsTopic } from "@blumfeld/core/model";
import {
  type ApiKey,
  ErrorCode,
  type TxnOffsetCommitRequest,
  type TxnOffsetCommitResponseInit,
} from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import { answerLater, type Handler, type RequestContext } from "../request-context.ts";
import { AclOperation } from "../security-seam.ts";
import { mayReadGroup, topicForGroups } from "./group-rules.ts";
import { mayWriteTransactionalId, type TransactionHandlerParts } from "./transaction-rules.ts";

type Topic = TxnOffsetCommitRequest["topics"][number];
type TopicResult = TxnOffsetCommitResponseInit["topics"][number];
type Parts = TransactionHandlerParts & Pick<BrokerParts, "partitions">;
type Context = RequestContext<typeof ApiKey.TxnOffsetCommit>;

export function createTxnOffsetCommitHandler(parts: Parts): Handler<typeof ApiKey.TxnOffsetCommit> {
  return (request, context) => {
    const all = (errorCode: number): TxnOffsetCommitResponseInit => ({
      throttleTimeMs: 0,
      topics: request.topics.map((topic) => withError(topic, errorCode)),
    });
    if (!mayWriteTransactionalId(parts, context, request.transactionalId))
      return all(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    if (!mayReadGroup(parts, context, request.groupId)) return all(ErrorCode.GROUP_AUTHORIZATION_FAILED);
    const topics: TopicToCommit[] = [];
    const refusals: TopicResult[] = [];
    for (const topic of request.topics) {
      const found = topicForGroups(parts, context, AclOperation.Read, { name: topic.name, topicId: uuidZero }, false);
      if ("errorCode" in found) refusals.push(withError(topic, found.errorCode));
      else topics.push({ ...found, partitions: topic.partitions });
    }
    if (topics.length === 0) return { throttleTimeMs: 0, topics: refusals };
    void verified(parts, request, context).then((errorCode) => {
      if (errorCode !== ErrorCode.NONE) context.answer(all(errorCode));
      else commit(parts, request, context, topics, refusals);
    });
    return answerLater;
  };
}

/** 0 once the group's partition is one of the transaction. */
async function verified(parts: Parts, request: TxnOffsetCommitRequest, context: Context): Promise<number> {
  const { groups, transactions } = parts.coordinators;
  const partition = groups.host.partitionOf(request.groupId);
  if (partition === null) return ErrorCode.COORDINATOR_NOT_AVAILABLE;
  const { producerEpoch } = request;
  const producerId = Number(request.producerId);
  if (!Number.isSafeInteger(producerId) || producerId < 0) return ErrorCode.INVALID_PRODUCER_ID_MAPPING;
  const offsets = parts.partitions.get(consumerOffsetsTopic, partition);
  if (offsets?.log?.hasOngoingTransaction(producerId, producerEpoch) === true) return ErrorCode.NONE;
  const write = { topic: consumerOffsetsTopic, partition, producerId, producerEpoch };
  return transactions.verifier.verifyOffsets(request.transactionalId, write, context.apiVersion);
}

function commit(
  parts: Parts,
  request: TxnOffsetCommitRequest,
  context: Context,
  topics: readonly TopicToCommit[],
  refusals: readonly TopicResult[],
): void {
  const { groupId, producerEpoch } = request;
  const answer = (committed: readonly TopicResult[]): void =>
    context.answer({ throttleTimeMs: 0, topics: [...committed, ...refusals] });
  const shard = parts.coordinators.groups.host.shardOf(groupId);
  if (shard === null) {
    answer(topics.map((topic) => withError(topic, ErrorCode.NOT_COORDINATOR)));
    return;
  }
  const committer = {
    memberId: request.memberId,
    groupInstanceId: request.groupInstanceId,
    generationOrEpoch: request.generationId,
    isTransactional: true,
    apiVersion: context.apiVersion,
  };
  shard.writeTransactional(
    "TxnOffsetCommit",
    { producerId: Number(request.producerId), producerEpoch },
    (state, nowMs) => state.offsets.commit({ groupId, committer, retentionMs: -1, topics }, nowMs),
    (outcome) => {
      if (!("answer" in outcome)) {
        const errorCode = memberErrorOfAppend(outcome.errorCode);
        answer(topics.map((topic) => withError(topic, errorCode)));
      } else if ("topics" in outcome.answer) answer(outcome.answer.topics);
      else {
        const { errorCode } = outcome.answer;
        answer(topics.map((topic) => withError(topic, errorCode)));
      }
    },
  );
}

function withError(
  topic: { readonly name: string; readonly partitions: readonly Pick<Topic["partitions"][number], "partitionIndex">[] },
  errorCode: number,
): TopicResult {
  return {
    name: topic.name,
    partitions: topic.partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
  };
}
