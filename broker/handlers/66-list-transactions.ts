// ListTransactions v0–2 (KIP-664): the transactional ids of this broker's shards, by state, by producer, v1 by the time that they have been running,
// v2 by a pattern over the id (KIP-1152).
import { LinearRegex, RegexProblem, type Transaction, transactionStates } from "@blumfeld/core/coordinator";
import {
  type ApiKey,
  ErrorCode,
  type ListTransactionsRequest,
  type ListTransactionsResponseInit,
} from "@blumfeld/core/protocol";
import type { Handler } from "../request-context.ts";
import { AclOperation, ResourceType } from "../security-seam.ts";
import type { TransactionHandlerParts } from "./transaction-rules.ts";

const nothing = { throttleTimeMs: 0, unknownStateFilters: [], transactionStates: [] };

export function createListTransactionsHandler(parts: TransactionHandlerParts): Handler<typeof ApiKey.ListTransactions> {
  return (request, context): ListTransactionsResponseInit => {
    const pattern = patternOf(request.transactionalIdPattern);
    if (pattern === "invalid") return { ...nothing, errorCode: ErrorCode.INVALID_REGULAR_EXPRESSION };
    const known: readonly string[] = transactionStates;
    const unknownStateFilters = request.stateFilters.filter((state) => !known.includes(state));
    const isWanted = wanted(request, pattern, context.nowMs);
    const mayDescribe = (id: string): boolean =>
      parts.authorizer.authorize(context, AclOperation.Describe, ResourceType.TransactionalId, id);
    const found: Transaction[] = [];
    for (const shard of parts.coordinators.transactions.host.shards()) {
      const unavailable = shard.unavailableCode();
      if (unavailable === ErrorCode.COORDINATOR_LOAD_IN_PROGRESS) return { ...nothing, errorCode: unavailable };
      if (unavailable !== null) continue;
      for (const transaction of shard.shard.transactions)
        if (isWanted(transaction) && mayDescribe(transaction.transactionalId)) found.push(transaction);
    }
    return {
      throttleTimeMs: 0,
      errorCode: ErrorCode.NONE,
      unknownStateFilters,
      transactionStates: found.map(({ transactionalId, producerId, state }) => ({
        transactionalId,
        producerId,
        transactionState: state,
      })),
    };
  };
}

function patternOf(text: string | null): LinearRegex | null | "invalid" {
  if (text === null || text === "") return null;
  try {
    return new LinearRegex(text);
  } catch (error) {
    if (error instanceof RegexProblem) return "invalid";
    throw error;
  }
}

function wanted(
  request: ListTransactionsRequest,
  pattern: LinearRegex | null,
  nowMs: number,
): (transaction: Transaction) => boolean {
  const states = new Set(request.stateFilters);
  const producerIds = new Set(request.producerIdFilters);
  const durationMs = Number(request.durationFilter);
  return ({ producerId, startMs, state, transactionalId }) =>
    (states.size === 0 || states.has(state)) &&
    (producerIds.size === 0 || producerIds.has(producerId)) &&
    (durationMs < 0 || nowMs - startMs > durationMs) &&
    (pattern === null || pattern.matches(transactionalId));
}
