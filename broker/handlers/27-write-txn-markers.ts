// WriteTxnMarkers v1–2: coordinators of other brokers, and an administrator who ends a hanging transaction, have markers written here.
import { type ApiKey, ErrorCode, type RequestOf } from "@blumfeld/core/protocol";
import { type Handler, RequestError } from "../request-context.ts";
import { AclOperation, clusterResourceName, ResourceType } from "../security-seam.ts";
import type { TransactionHandlerParts } from "./transaction-rules.ts";

/** No coordinator has such a transaction: nothing of it may come into a log. */
function markerProblem(asked: RequestOf<typeof ApiKey.WriteTxnMarkers>["markers"][number]): ErrorCode {
  const { producerId, producerEpoch, coordinatorEpoch } = asked;
  if (producerId < 0n || producerId > BigInt(Number.MAX_SAFE_INTEGER)) return ErrorCode.INVALID_PRODUCER_ID_MAPPING;
  if (producerEpoch < 0) return ErrorCode.INVALID_PRODUCER_EPOCH;
  return coordinatorEpoch < -1 ? ErrorCode.TRANSACTION_COORDINATOR_FENCED : ErrorCode.NONE;
}

export function createWriteTxnMarkersHandler(parts: TransactionHandlerParts): Handler<typeof ApiKey.WriteTxnMarkers> {
  const { authorizer, coordinators } = parts;
  return async (request, context) => {
    const mayWrite =
      authorizer.authorize(context, AclOperation.Alter, ResourceType.Cluster, clusterResourceName) ||
      authorizer.authorize(context, AclOperation.ClusterAction, ResourceType.Cluster, clusterResourceName);
    if (!mayWrite) throw new RequestError(ErrorCode.CLUSTER_AUTHORIZATION_FAILED, "markers may not be written");
    const markers = request.markers.map(async (asked) => {
      const marker = {
        producerId: Number(asked.producerId),
        producerEpoch: asked.producerEpoch,
        coordinatorEpoch: asked.coordinatorEpoch,
        isCommit: asked.transactionResult,
        transactionVersion: asked.transactionVersion,
      };
      const problem = markerProblem(asked);
      const write = async (topic: string, partitionIndex: number) => {
        if (problem !== ErrorCode.NONE) return { partitionIndex, errorCode: problem };
        return new Promise<{ partitionIndex: number; errorCode: number }>((resolve) => {
          coordinators.transactions.markers.write(marker, topic, partitionIndex, (errorCode) =>
            resolve({ partitionIndex, errorCode }),
          );
        });
      };
      const topics = asked.topics.map(async ({ name, partitionIndexes }) => ({
        name,
        partitions: await Promise.all(partitionIndexes.map((index) => write(name, index))),
      }));
      return { producerId: asked.producerId, topics: await Promise.all(topics) };
    });
    return { markers: await Promise.all(markers) };
  };
}
