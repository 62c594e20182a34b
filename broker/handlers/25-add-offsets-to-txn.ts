// AddOffsetsToTxn v0–4: the partition that holds a group's offsets becomes one of the transaction.
import { consumerOffsetsTopic } from "@blumfeld/core/model";
import { type ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import type { Handler } from "../request-context.ts";
import { AclOperation, ResourceType } from "../security-seam.ts";
import {
  fencedFor,
  fencedKnownFrom,
  mayWriteTransactionalId,
  type TransactionHandlerParts,
} from "./transaction-rules.ts";

export function createAddOffsetsToTxnHandler(parts: TransactionHandlerParts): Handler<typeof ApiKey.AddOffsetsToTxn> {
  const { authorizer, coordinators } = parts;
  return (request, context) => {
    const { groupId, producerEpoch, producerId, transactionalId } = request;
    if (!mayWriteTransactionalId(parts, context, transactionalId))
      return { throttleTimeMs: 0, errorCode: ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED };
    if (!authorizer.authorize(context, AclOperation.Read, ResourceType.Group, groupId))
      return { throttleTimeMs: 0, errorCode: ErrorCode.GROUP_AUTHORIZATION_FAILED };
    const partition = coordinators.groups.host.partitionOf(groupId);
    if (partition === null) return { throttleTimeMs: 0, errorCode: ErrorCode.COORDINATOR_NOT_AVAILABLE };
    const partitions = new Map([[consumerOffsetsTopic, [partition]]]);
    return coordinators.transactions
      .addPartitions({ transactionalId, producerId, producerEpoch, partitions, clientVersion: 0 })
      .then((errorCode) => ({
        throttleTimeMs: 0,
        errorCode: fencedFor(errorCode, context.apiVersion, fencedKnownFrom.addOffsets),
      }));
  };
}
