// Fetch v12–18 on a controller listener: the metadata log, read by brokers and other controllers (KIP-595). The quorum answers.
import type { ApiKey } from "@blumfeld/core/protocol";
import type { ControllerParts } from "../../controller-listener/controller-parts.ts";
import type { Handler } from "../../request-context.ts";
import { AclOperation } from "../../security-seam.ts";
import { peerContext } from "./peer-context.ts";
import { requireClusterOperation } from "./require-cluster.ts";

export function createControllerFetchHandler(parts: ControllerParts): Handler<typeof ApiKey.Fetch> {
  return (request, context) => {
    requireClusterOperation(parts, context, AclOperation.ClusterAction);
    return parts.quorum.onFetch(request, peerContext(context));
  };
}
