// AlterReplicaLogDirs v1–2 (KIP-113): into which of this broker's log directories a replica shall go. Answers per partition: 57 for a
// directory that is not in log.dirs, 56 for one that is offline, 9 where this broker has no such replica, 0 where the replica already lies
// in that directory. Left out: the move itself. A replica is not copied from one directory to another; that is answered 56, and the
// replica stays whole where it is.
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
    return partition.log?.directory === path ? ErrorCode.NONE : ErrorCode.KAFKA_STORAGE_ERROR;
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
