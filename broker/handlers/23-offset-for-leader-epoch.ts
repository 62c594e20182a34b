// OffsetForLeaderEpoch, versions 2-4. Where the log of a leader epoch ends: consumers and followers find with it where their history and the
// leader's part (KIP-101, KIP-320).
import { type ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { Handler } from "../request-context.ts";
import { AclOperation, clusterResourceName, ResourceType } from "../security-seam.ts";

export function createOffsetForLeaderEpochHandler(parts: BrokerParts): Handler<typeof ApiKey.OffsetForLeaderEpoch> {
  return (request, context) => {
    const { authorizer } = parts;
    // Only the authorised cluster action of a replica spares the topics' own rights.
    const isReplica =
      request.replicaId >= 0 &&
      authorizer.authorize(context, AclOperation.ClusterAction, ResourceType.Cluster, clusterResourceName);
    return {
      throttleTimeMs: 0,
      topics: request.topics.map(({ topic, partitions }) => {
        const mayDescribe =
          isReplica || authorizer.authorize(context, AclOperation.Describe, ResourceType.Topic, topic);
        return {
          topic,
          partitions: partitions.map(({ partition, currentLeaderEpoch, leaderEpoch }) => {
            if (!mayDescribe) return refused(partition, ErrorCode.TOPIC_AUTHORIZATION_FAILED);
            return endOf(parts, topic, partition, currentLeaderEpoch, leaderEpoch);
          }),
        };
      }),
    };
  };
}

function refused(partition: number, errorCode: number) {
  return { errorCode, partition, leaderEpoch: -1, endOffset: -1 };
}

function endOf(parts: BrokerParts, topic: string, index: number, currentLeaderEpoch: number, leaderEpoch: number) {
  if (parts.metadata.image.topics.partition(topic, index) === undefined)
    return refused(index, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  const partition = parts.partitions.get(topic, index);
  if (partition === null) return refused(index, ErrorCode.NOT_LEADER_OR_FOLLOWER);
  const problem = partition.leaderProblem(currentLeaderEpoch);
  if (problem !== ErrorCode.NONE) return refused(index, problem);
  const found = partition.leaderLog.endOffsetForEpoch(leaderEpoch);
  return { errorCode: ErrorCode.NONE, partition: index, leaderEpoch: found.epoch, endOffset: found.endOffset };
}
