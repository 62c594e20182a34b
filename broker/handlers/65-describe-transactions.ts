// DescribeTransactions v0 (KIP-664): the state of transactional ids. Topics that the client may not describe are left out.
import type { Transaction } from "@blumfeld/core/coordinator";
import { type ApiKey, type DescribeTransactionsResponseInit, ErrorCode } from "@blumfeld/core/protocol";
import type { Handler, RequestContext } from "../request-context.ts";
import { AclOperation, ResourceType } from "../security-seam.ts";
import type { TransactionHandlerParts } from "./transaction-rules.ts";

type Described = DescribeTransactionsResponseInit["transactionStates"][number];
type Context = RequestContext<typeof ApiKey.DescribeTransactions>;

export function createDescribeTransactionsHandler(
  parts: TransactionHandlerParts,
): Handler<typeof ApiKey.DescribeTransactions> {
  return (request, context) => ({
    throttleTimeMs: 0,
    transactionStates: [...new Set(request.transactionalIds)].map((id) => describe(parts, context, id)),
  });
}

function describe(parts: TransactionHandlerParts, context: Context, transactionalId: string): Described {
  const { authorizer, coordinators } = parts;
  if (!authorizer.authorize(context, AclOperation.Describe, ResourceType.TransactionalId, transactionalId))
    return refused(transactionalId, ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
  if (transactionalId === "") return refused(transactionalId, ErrorCode.INVALID_REQUEST);
  const shard = coordinators.transactions.host.shardOf(transactionalId);
  if (shard === null) return refused(transactionalId, ErrorCode.NOT_COORDINATOR);
  let described = refused(transactionalId, ErrorCode.TRANSACTIONAL_ID_NOT_FOUND);
  shard.read(
    "DescribeTransactions",
    (state) => state.transaction(transactionalId),
    (outcome) => {
      if (!("answer" in outcome)) described = refused(transactionalId, outcome.errorCode);
      else if (outcome.answer !== undefined) described = stateOf(parts, context, outcome.answer);
    },
  );
  return described;
}

function stateOf(parts: TransactionHandlerParts, context: Context, transaction: Transaction): Described {
  const topics = [...transaction.partitions].filter(([topic]) =>
    parts.authorizer.authorize(context, AclOperation.Describe, ResourceType.Topic, topic),
  );
  return {
    errorCode: ErrorCode.NONE,
    transactionalId: transaction.transactionalId,
    transactionState: transaction.state,
    transactionTimeoutMs: transaction.timeoutMs,
    transactionStartTimeMs: transaction.startMs,
    producerId: transaction.producerId,
    producerEpoch: transaction.producerEpoch,
    topics: topics.map(([topic, partitions]) => ({ topic, partitions })),
  };
}

function refused(transactionalId: string, errorCode: number): Described {
  return {
    ...{ errorCode, transactionalId, transactionState: "", transactionTimeoutMs: 0 },
    ...{ transactionStartTimeMs: 0, producerId: 0, producerEpoch: 0, topics: [] },
  };
}
