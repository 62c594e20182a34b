// EndTxn v0–5: commit or abort. From v5 on (transactions v2, KIP-890) the answer says in which epoch the producer goes on, and under which id where
// its epochs have run out. Answered when the decision is committed; the markers follow.
import { epochBumpVersion } from "@blumfeld/core/coordinator";
import { type ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import type { Handler } from "../request-context.ts";
import {
  fencedFor,
  fencedKnownFrom,
  mayWriteTransactionalId,
  type TransactionHandlerParts,
} from "./transaction-rules.ts";

const epochBumpFrom = 5;

export function createEndTxnHandler(parts: TransactionHandlerParts): Handler<typeof ApiKey.EndTxn> {
  return (request, context) => {
    const { committed, producerEpoch, producerId, transactionalId } = request;
    if (!mayWriteTransactionalId(parts, context, transactionalId))
      return { throttleTimeMs: 0, errorCode: ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED };
    const isBumped = context.apiVersion >= epochBumpFrom;
    const clientVersion = isBumped ? epochBumpVersion : 0;
    return parts.coordinators.transactions
      .endTransaction({ transactionalId, producerId, producerEpoch, isCommit: committed, clientVersion })
      .then(({ errorCode, producer }) => ({
        throttleTimeMs: 0,
        errorCode: fencedFor(errorCode, context.apiVersion, fencedKnownFrom.endTxn),
        ...(isBumped && producer !== null
          ? { producerId: producer.producerId, producerEpoch: producer.producerEpoch }
          : {}),
      }));
  };
}
