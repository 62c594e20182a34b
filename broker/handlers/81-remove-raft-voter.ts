// RemoveRaftVoter v0 (KIP-853). Of a quorum of one node no voter can be removed: another is unknown, the last has to stay.
import { type ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { Handler } from "../request-context.ts";
import { raftVoterRefusal } from "./raft-voters.ts";

export function createRemoveRaftVoterHandler(
  parts: Pick<BrokerParts, "authorizer" | "cluster" | "clusterId">,
): Handler<typeof ApiKey.RemoveRaftVoter> {
  return (request, context) => {
    const answer = (errorCode: ErrorCode, errorMessage: string) => ({ throttleTimeMs: 0, errorCode, errorMessage });
    const refused = raftVoterRefusal(parts, context, request.clusterId);
    if (refused !== null) return answer(refused.errorCode, refused.message);
    const { voterDirectoryId, voterId } = request;
    const voters = parts.cluster.describeQuorum(context.nowMs)?.voters ?? [];
    return voters.some(({ directoryId, id }) => id === voterId && directoryId === voterDirectoryId)
      ? answer(ErrorCode.INVALID_REQUEST, `node ${voterId} is the only voter and has to stay`)
      : answer(ErrorCode.VOTER_NOT_FOUND, `the quorum has no voter ${voterId} with directory ${voterDirectoryId}`);
  };
}
