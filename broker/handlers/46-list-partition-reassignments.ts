// ListPartitionReassignments v0 (KIP-455). From this node's own image; null topics stands for all that are under way.
import { type ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import { type Handler, RequestError } from "../request-context.ts";
import { AclOperation, clusterResourceName, ResourceType } from "../security-seam.ts";

export function createListPartitionReassignmentsHandler(
  parts: Pick<BrokerParts, "authorizer" | "metadata">,
): Handler<typeof ApiKey.ListPartitionReassignments> {
  return (request, context) => {
    if (!parts.authorizer.authorize(context, AclOperation.Describe, ResourceType.Cluster, clusterResourceName)) {
      throw new RequestError(ErrorCode.CLUSTER_AUTHORIZATION_FAILED, "the request needs Describe on the cluster");
    }
    const { topicsByName } = parts.metadata.image;
    const asked =
      request.topics ??
      [...topicsByName.values()].map(({ name, partitions }) => ({
        name,
        partitionIndexes: [...partitions.keys()],
      }));
    const topics = asked
      .map(({ name, partitionIndexes }) => ({
        name,
        partitions: partitionIndexes.flatMap((partitionIndex) => {
          const partition = topicsByName.get(name)?.partitions[partitionIndex];
          if (partition === undefined || !partition.isReassigning) return [];
          const { addingReplicas, removingReplicas, replicas } = partition;
          return [{ partitionIndex, replicas, addingReplicas, removingReplicas }];
        }),
      }))
      .filter(({ partitions }) => partitions.length > 0);
    return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, errorMessage: null, topics };
  };
}
