// EndQuorumEpoch v0–1 (KIP-595): a leader resigns. The quorum answers.
import type { ApiKey } from "@blumfeld/core/protocol";
import type { ControllerParts } from "../../controller-listener/controller-parts.ts";
import type { Handler } from "../../request-context.ts";
import { AclOperation } from "../../security-seam.ts";
import { peerContext } from "./peer-context.ts";
import { requireClusterOperation } from "./require-cluster.ts";

export function createEndQuorumEpochHandler(parts: ControllerParts): Handler<typeof ApiKey.EndQuorumEpoch> {
  return (request, context) => {
    requireClusterOperation(parts, context, AclOperation.ClusterAction);
    return parts.quorum.onEndQuorumEpoch(request, peerContext(context));
  };
}
