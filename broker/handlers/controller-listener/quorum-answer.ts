// The shape that the answers of Vote, BeginQuorumEpoch and EndQuorumEpoch share: the partition with the leader and its epoch, and where that
// leader is reached.
import { clusterMetadataTopic } from "@blumfeld/core/model";
import { ErrorCode } from "@blumfeld/core/protocol";
import type { QuorumAnswer, QuorumSelf } from "@blumfeld/core/quorum";
import { type ControllerParts, leaderEndpoints } from "../../controller-listener/controller-parts.ts";

export function quorumSelf({ clusterId, quorum }: Pick<ControllerParts, "clusterId" | "quorum">): QuorumSelf {
  return { clusterId, nodeId: quorum.nodeId, directoryId: quorum.directoryId, leader: quorum.leaderAndEpoch };
}

/** `fields` stand beside each partition's own. */
export function quorumResponse<Fields extends object>(
  parts: Pick<ControllerParts, "quorum">,
  answer: QuorumAnswer,
  request: { readonly listenerName: string; readonly hasEndpoints: boolean },
  fields: Fields,
) {
  if (answer.kind === "whole") return { errorCode: answer.errorCode, topics: [], nodeEndpoints: [] };
  const { epoch, leaderId } = parts.quorum.leaderAndEpoch;
  const { errorCode } = answer;
  const partition = { partitionIndex: 0, errorCode, leaderId, leaderEpoch: epoch, ...fields };
  return {
    errorCode: ErrorCode.NONE,
    topics: [{ topicName: clusterMetadataTopic, partitions: [partition] }],
    nodeEndpoints: request.hasEndpoints ? leaderEndpoints(parts, request.listenerName) : [],
  };
}
