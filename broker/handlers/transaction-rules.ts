// What the handlers of transactions share: who may do what with a transactional id, and errors that older clients know by another name.
import { ErrorCode } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import { AclOperation, type RequestOrigin, ResourceType } from "../security-seam.ts";
import type { Coordinators } from "../shards/coordinators.ts";

export type TransactionHandlerParts = Pick<BrokerParts, "authorizer" | "metadata"> & {
  readonly coordinators: Coordinators;
};

/** By API, the version from which clients tell a fenced producer from one whose epoch is stale. */
export const fencedKnownFrom = { initProducerId: 4, addPartitions: 2, addOffsets: 2, endTxn: 2 } as const;

export function mayWriteTransactionalId(
  parts: Pick<BrokerParts, "authorizer">,
  origin: RequestOrigin,
  transactionalId: string,
): boolean {
  return parts.authorizer.authorize(origin, AclOperation.Write, ResourceType.TransactionalId, transactionalId);
}

/** PRODUCER_FENCED as the client's version knows it. */
export function fencedFor(errorCode: number, apiVersion: number, knownFrom: number): number {
  return errorCode === ErrorCode.PRODUCER_FENCED && apiVersion < knownFrom
    ? ErrorCode.INVALID_PRODUCER_EPOCH
    : errorCode;
}
