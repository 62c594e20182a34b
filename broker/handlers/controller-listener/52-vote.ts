// Vote v0–2 (KIP-595; v1 names voters by directory, KIP-853; v2 pre-votes, KIP-996). The quorum answers.
import type { ApiKey } from "@blumfeld/core/protocol";
import type { ControllerParts } from "../../controller-listener/controller-parts.ts";
import type { Handler } from "../../request-context.ts";
import { AclOperation } from "../../security-seam.ts";
import { peerContext } from "./peer-context.ts";
import { requireClusterOperation } from "./require-cluster.ts";

export function createVoteHandler(parts: ControllerParts): Handler<typeof ApiKey.Vote> {
  return (request, context) => {
    requireClusterOperation(parts, context, AclOperation.ClusterAction);
    return parts.quorum.onVote(request, peerContext(context));
  };
}
