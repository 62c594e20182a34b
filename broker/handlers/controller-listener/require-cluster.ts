// What a request of the quorum must first hold: its principal may act on the cluster.
import { type ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import type { ControllerParts } from "../../controller-listener/controller-parts.ts";
import { type RequestContext, RequestError } from "../../request-context.ts";
import { type AclOperation, clusterResourceName, ResourceType } from "../../security-seam.ts";

export function requireClusterOperation<Key extends ApiKey>(
  { authorizer }: Pick<ControllerParts, "authorizer">,
  context: RequestContext<Key>,
  operation: AclOperation,
): void {
  if (authorizer.authorize(context, operation, ResourceType.Cluster, clusterResourceName)) return;
  throw new RequestError(ErrorCode.CLUSTER_AUTHORIZATION_FAILED, "the principal may not act for the cluster");
}
