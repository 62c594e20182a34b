// What every change of the quorum's voters must first hold.
import { ErrorCode } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { RequestContext } from "../request-context.ts";
import { AclOperation, clusterResourceName, ResourceType } from "../security-seam.ts";

export function raftVoterRefusal(
  parts: Pick<BrokerParts, "authorizer" | "cluster" | "clusterId">,
  context: Pick<RequestContext, "principal" | "clientAddress" | "listenerName">,
  clusterId: string | null,
): { readonly errorCode: ErrorCode; readonly message: string } | null {
  if (!parts.authorizer.authorize(context, AclOperation.Alter, ResourceType.Cluster, clusterResourceName)) {
    const errorCode = ErrorCode.CLUSTER_AUTHORIZATION_FAILED;
    return { errorCode, message: "the request needs Alter on the cluster" };
  }
  if (clusterId !== null && clusterId !== parts.clusterId) {
    return { errorCode: ErrorCode.INCONSISTENT_CLUSTER_ID, message: `this is cluster ${parts.clusterId}` };
  }
  if (parts.cluster.kraftVersion < 1) {
    return { errorCode: ErrorCode.UNSUPPORTED_VERSION, message: "voters can change from kraft.version 1 on" };
  }
  return null;
}
