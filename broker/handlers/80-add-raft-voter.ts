// AddRaftVoter v0–1 (KIP-853). A quorum of one node stays one: a voter that it knows is a duplicate, any other cannot be reached from here
// and gets what Kafka answers then, REQUEST_TIMED_OUT.
import { uuidZero } from "@blumfeld/core/base";
import { type ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { Handler } from "../request-context.ts";
import { raftVoterRefusal } from "./raft-voters.ts";

export function createAddRaftVoterHandler(
  parts: Pick<BrokerParts, "authorizer" | "cluster" | "clusterId">,
): Handler<typeof ApiKey.AddRaftVoter> {
  return (request, context) => {
    const answer = (errorCode: ErrorCode, errorMessage: string) => ({ throttleTimeMs: 0, errorCode, errorMessage });
    const refused = raftVoterRefusal(parts, context, request.clusterId);
    if (refused !== null) return answer(refused.errorCode, refused.message);
    if (request.voterId < 0 || request.voterDirectoryId === uuidZero || request.listeners.length === 0) {
      return answer(ErrorCode.INVALID_REQUEST, "a voter has an id, a directory id and a listener");
    }
    const voters = parts.cluster.describeQuorum(context.nowMs)?.voters ?? [];
    if (voters.some(({ id }) => id === request.voterId)) {
      return answer(ErrorCode.DUPLICATE_VOTER, `node ${request.voterId} is a voter already`);
    }
    return answer(
      ErrorCode.REQUEST_TIMED_OUT,
      `node ${request.voterId} could not be reached: this quorum is of one node`,
    );
  };
}
