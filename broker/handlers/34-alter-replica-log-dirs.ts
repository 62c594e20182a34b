// AlterReplicaLogDirs v1–2 (KIP-113): into which of this broker's log directories a replica shall go. Answers per partition: 57 for a
// directory that is not in log.dirs, 56 for one that is offline, 9 where this broker has no such replica, 0 where the replica lies in that
// directory already or its move there has begun. The move itself goes on behind the answer; DescribeLogDirs shows how far it is.
import { DiskError } from "@blumfeld/core/base";
import { type ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import { type Handler, RequestError } from "../request-context.ts";
import { AclOperation, clusterResourceName, ResourceType } from "../security-seam.ts";

export function createAlterReplicaLogDirsHandler(
  parts: Pick<BrokerParts, "authorizer" | "logManager" | "partitions">,
): Handler<typeof ApiKey.AlterReplicaLogDirs> {
  const { authorizer, logManager, partitions } = parts;

  const outcome = (path: string, topic: string, partitionIndex: number): ErrorCode => {
    const directory = logManager.directories.find((one) => one.path === path);
    if (directory === undefined) return ErrorCode.LOG_DIR_NOT_FOUND;
    if (directory.isOffline) return ErrorCode.KAFKA_STORAGE_ERROR;
    const partition = partitions.get(topic, partitionIndex);
    if (partition === null) return ErrorCode.REPLICA_NOT_AVAILABLE;
    if (partition.log === null) return ErrorCode.KAFKA_STORAGE_ERROR;
    try {
      logManager.moveReplica(partition.log.topicPartition, path);
      return ErrorCode.NONE;
    } catch (error) {
      if (error instanceof DiskError) return ErrorCode.KAFKA_STORAGE_ERROR;
      throw error;
    }
  };

  return (request, context) => {
    if (!authorizer.authorize(context, AclOperation.Alter, ResourceType.Cluster, clusterResourceName)) {
      throw new RequestError(ErrorCode.CLUSTER_AUTHORIZATION_FAILED, "moving replicas needs Alter on the cluster");
    }
    const byTopic = new Map<string, { partitionIndex: number; errorCode: number }[]>();
    for (const { path, topics } of request.dirs) {
      for (const topic of topics) {
        const results = byTopic.get(topic.name) ?? [];
        byTopic.set(topic.name, results);
        for (const index of topic.partitions) {
          results.push({ partitionIndex: index, errorCode: outcome(path, topic.name, index) });
        }
      }
    }
    return {
      throttleTimeMs: 0,
      results: [...byTopic].map(([topicName, results]) => ({ topicName, partitions: results })),
    };
  };
}
