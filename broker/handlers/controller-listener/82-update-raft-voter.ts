// UpdateRaftVoter v0 (KIP-853): a voter tells its addresses and what it supports. The quorum answers.
import type { ApiKey } from "@blumfeld/core/protocol";
import type { ControllerParts } from "../../controller-listener/controller-parts.ts";
import type { Handler } from "../../request-context.ts";
import { AclOperation } from "../../security-seam.ts";
import { peerContext } from "./peer-context.ts";
import { requireClusterOperation } from "./require-cluster.ts";

export function createUpdateRaftVoterHandler(parts: ControllerParts): Handler<typeof ApiKey.UpdateRaftVoter> {
  return (request, context) => {
    requireClusterOperation(parts, context, AclOperation.ClusterAction);
    return parts.quorum.onUpdateVoter(request, peerContext(context));
  };
}
