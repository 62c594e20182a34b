// RemoveRaftVoter v0 (KIP-853). The leader of the quorum removes the voter, itself too, but never the last. A broker hands the request on to it.
import { ApiKey } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { Handler } from "../request-context.ts";
import { createForwardHandler } from "./forward.ts";
import { raftVoterRefusal } from "./raft-voters.ts";

export function createRemoveRaftVoterHandler(
  parts: Pick<BrokerParts, "authorizer" | "cluster" | "clusterId" | "controllerChannel">,
): Handler<typeof ApiKey.RemoveRaftVoter> {
  const forward = createForwardHandler(parts, ApiKey.RemoveRaftVoter);
  return (request, context) => {
    const refused = raftVoterRefusal(parts, context, request.clusterId);
    if (refused !== null) return { throttleTimeMs: 0, errorCode: refused.errorCode, errorMessage: refused.message };
    return parts.cluster.removeRaftVoter?.(request) ?? forward(request, context);
  };
}
