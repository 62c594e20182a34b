// InitProducerId v0–6. Without a transactional id: a producer id that nobody has, epoch 0. With one the transaction coordinator answers.
import { type ApiKey, ErrorCode, type InitProducerIdResponseInit } from "@blumfeld/core/protocol";
import type { TransactionalInit } from "../metadata/cluster-access.ts";
import type { BrokerParts } from "../parts.ts";
import { type Handler, RequestError } from "../request-context.ts";
import { AclOperation, clusterResourceName, ResourceType } from "../security-seam.ts";
import {
  fencedFor,
  fencedKnownFrom,
  mayWriteTransactionalId,
  type TransactionHandlerParts,
} from "./transaction-rules.ts";

const none = { throttleTimeMs: 0, producerId: -1n, producerEpoch: -1 };

export function createInitProducerIdHandler(
  parts: Pick<BrokerParts, "authorizer" | "cluster">,
): Handler<typeof ApiKey.InitProducerId> {
  const { authorizer, cluster } = parts;
  return (request, context) => {
    if (request.transactionalId !== null) {
      if (cluster.transactionalInit !== null) return cluster.transactionalInit(request, context);
      return { ...none, errorCode: ErrorCode.COORDINATOR_NOT_AVAILABLE };
    }
    const mayWriteIdempotently =
      authorizer.authorize(context, AclOperation.IdempotentWrite, ResourceType.Cluster, clusterResourceName) ||
      authorizer.authorizeByResourceType(context, AclOperation.Write, ResourceType.Topic);
    if (!mayWriteIdempotently) return { ...none, errorCode: ErrorCode.CLUSTER_AUTHORIZATION_FAILED };
    const hasId = request.producerId !== -1n;
    if (hasId !== (request.producerEpoch !== -1)) return { ...none, errorCode: ErrorCode.INVALID_REQUEST };
    const producerId = cluster.nextProducerId();
    if (typeof producerId === "bigint") return given(producerId);
    return producerId.then(given, (error: unknown) => {
      if (!(error instanceof RequestError)) throw error;
      // Clients come back for this one; the controller may be changing.
      return { ...none, errorCode: ErrorCode.COORDINATOR_LOAD_IN_PROGRESS };
    });
  };
}

function given(producerId: bigint): InitProducerIdResponseInit {
  return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, producerId, producerEpoch: 0 };
}

/** With a transactional id: v3 says who the producer was before, v6 asks for two-phase commit (KIP-939). */
export function createTransactionalInit(parts: TransactionHandlerParts): TransactionalInit {
  const { authorizer, coordinators } = parts;
  return (request, context) => {
    const transactionalId = request.transactionalId ?? "";
    const mayInit =
      mayWriteTransactionalId(parts, context, transactionalId) &&
      (!request.enable2Pc ||
        authorizer.authorize(context, AclOperation.TwoPhaseCommit, ResourceType.TransactionalId, transactionalId));
    if (!mayInit) return { ...none, errorCode: ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED };
    const { producerId, producerEpoch } = request;
    const hasId = producerId !== -1n;
    if (hasId !== (producerEpoch !== -1)) return { ...none, errorCode: ErrorCode.INVALID_REQUEST };
    const ask = {
      transactionalId,
      timeoutMs: request.transactionTimeoutMs,
      expected: hasId ? { producerId, producerEpoch } : null,
      isTwoPhaseCommit: request.enable2Pc,
      keepsPrepared: request.keepPreparedTxn,
    };
    return coordinators.transactions.initProducer(ask).then(({ errorCode, producer }) => {
      if (producer === null)
        return { ...none, errorCode: fencedFor(errorCode, context.apiVersion, fencedKnownFrom.initProducerId) };
      const { kept } = producer;
      return {
        ...{ throttleTimeMs: 0, errorCode, producerId: producer.producerId, producerEpoch: producer.producerEpoch },
        ...(kept === undefined
          ? {}
          : { ongoingTxnProducerId: kept.producerId, ongoingTxnProducerEpoch: kept.producerEpoch }),
      };
    });
  };
}
