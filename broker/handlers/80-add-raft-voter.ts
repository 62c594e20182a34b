// AddRaftVoter v0–1 (KIP-853). The leader of the quorum adds the voter: one that answers, supports the kraft.version and has caught up. A broker
// hands the request on to it.
import { ApiKey } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { Handler } from "../request-context.ts";
import { createForwardHandler } from "./forward.ts";
import { raftVoterRefusal } from "./raft-voters.ts";

export function createAddRaftVoterHandler(
  parts: Pick<BrokerParts, "authorizer" | "cluster" | "clusterId" | "controllerChannel">,
): Handler<typeof ApiKey.AddRaftVoter> {
  const forward = createForwardHandler(parts, ApiKey.AddRaftVoter);
  return (request, context) => {
    const refused = raftVoterRefusal(parts, context, request.clusterId);
    if (refused !== null) return { throttleTimeMs: 0, errorCode: refused.errorCode, errorMessage: refused.message };
    return parts.cluster.addRaftVoter?.(request) ?? forward(request, context);
  };
}
