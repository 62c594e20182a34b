// BeginQuorumEpoch v0–1 (KIP-595): somebody says that it leads. The quorum answers.
import type { ApiKey } from "@blumfeld/core/protocol";
import type { ControllerParts } from "../../controller-listener/controller-parts.ts";
import type { Handler } from "../../request-context.ts";
import { AclOperation } from "../../security-seam.ts";
import { peerContext } from "./peer-context.ts";
import { requireClusterOperation } from "./require-cluster.ts";

export function createBeginQuorumEpochHandler(parts: ControllerParts): Handler<typeof ApiKey.BeginQuorumEpoch> {
  return (request, context) => {
    requireClusterOperation(parts, context, AclOperation.ClusterAction);
    return parts.quorum.onBeginQuorumEpoch(request, peerContext(context));
  };
}
