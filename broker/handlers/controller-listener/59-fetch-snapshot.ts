// FetchSnapshot v0–1 (KIP-630): a piece of a snapshot of the metadata. The quorum answers.
import type { ApiKey } from "@blumfeld/core/protocol";
import type { ControllerParts } from "../../controller-listener/controller-parts.ts";
import type { Handler } from "../../request-context.ts";
import { AclOperation } from "../../security-seam.ts";
import { peerContext } from "./peer-context.ts";
import { requireClusterOperation } from "./require-cluster.ts";

export function createFetchSnapshotHandler(parts: ControllerParts): Handler<typeof ApiKey.FetchSnapshot> {
  return (request, context) => {
    requireClusterOperation(parts, context, AclOperation.ClusterAction);
    return parts.quorum.onFetchSnapshot(request, peerContext(context));
  };
}
