// DescribeQuorum v0–2 of __cluster_metadata-0. v1 adds fetch times, v2 directories, messages and the voters' endpoints (KIP-853).
import { uuidZero } from "@blumfeld/core/base";
import { clusterMetadataTopic } from "@blumfeld/core/model";
import { ApiKey, ErrorCode, errorOf } from "@blumfeld/core/protocol";
import type { QuorumDescription, ReplicaProgress } from "@blumfeld/core/quorum";
import type { BrokerParts } from "../parts.ts";
import { type Handler, RequestError } from "../request-context.ts";
import { AclOperation, clusterResourceName, ResourceType } from "../security-seam.ts";
import { createForwardHandler } from "./forward.ts";

/** Older versions cannot carry them, not even to drop them. */
const directoriesFrom = 2;

/** A broker asks the active controller where that is another node; a controller says that it is not the one to ask. */
export function createForwardingDescribeQuorumHandler(
  parts: Pick<BrokerParts, "authorizer" | "cluster" | "controllerChannel">,
): Handler<typeof ApiKey.DescribeQuorum> {
  const here = createDescribeQuorumHandler(parts);
  const there = createForwardHandler(parts, ApiKey.DescribeQuorum);
  return (request, context) =>
    parts.cluster.describeQuorum(context.nowMs) === null ? there(request, context) : here(request, context);
}

export function createDescribeQuorumHandler(
  parts: Pick<BrokerParts, "authorizer" | "cluster">,
): Handler<typeof ApiKey.DescribeQuorum> {
  return (request, context) => {
    if (!parts.authorizer.authorize(context, AclOperation.Describe, ResourceType.Cluster, clusterResourceName)) {
      throw new RequestError(ErrorCode.CLUSTER_AUTHORIZATION_FAILED, "the request needs Describe on the cluster");
    }
    const description = parts.cluster.describeQuorum(context.nowMs);
    if (description === null) {
      throw new RequestError(ErrorCode.NOT_LEADER_OR_FOLLOWER, "this node does not lead the metadata quorum");
    }
    const topics = request.topics.map(({ topicName, partitions }) => ({
      topicName,
      partitions: partitions.map(({ partitionIndex }) =>
        topicName === clusterMetadataTopic && partitionIndex === 0
          ? describedPartition(partitionIndex, description, context.apiVersion)
          : unknownPartition(partitionIndex),
      ),
    }));
    const answer = { errorCode: ErrorCode.NONE, errorMessage: "", topics };
    if (context.apiVersion < directoriesFrom) return answer;
    return { ...answer, nodes: description.nodes.map(({ id, endpoints }) => ({ nodeId: id, listeners: endpoints })) };
  };
}

function describedPartition(
  partitionIndex: number,
  { highWatermark, leader, observers, voters }: QuorumDescription,
  version: number,
) {
  return {
    partitionIndex,
    errorCode: ErrorCode.NONE,
    errorMessage: "",
    leaderId: leader.leaderId,
    leaderEpoch: leader.epoch,
    highWatermark,
    currentVoters: voters.map((voter) => describedReplica(voter, version)),
    observers: observers.map((observer) => describedReplica(observer, version)),
  };
}

function describedReplica(replica: ReplicaProgress, version: number) {
  const { directoryId, id, lastCaughtUpMs, lastFetchMs, logEndOffset } = replica;
  return {
    replicaId: id,
    ...(version < directoriesFrom ? {} : { replicaDirectoryId: directoryId ?? uuidZero }),
    logEndOffset,
    lastFetchTimestamp: lastFetchMs,
    lastCaughtUpTimestamp: lastCaughtUpMs,
  };
}

function unknownPartition(partitionIndex: number) {
  const errorCode = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
  const errorMessage = errorOf(errorCode).message;
  return {
    ...{ partitionIndex, errorCode, errorMessage },
    ...{ leaderId: 0, leaderEpoch: 0, highWatermark: 0, currentVoters: [], observers: [] },
  };
}
