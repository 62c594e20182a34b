// DescribeAcls v1–3. Without an authorizer 54 SECURITY_DISABLED, as Kafka answers; with one, the ACLs of the metadata that the filter takes.

import { matchesAclFilter } from "@blumfeld/core/controller";
import { type ApiKey, type DescribeAclsResponseDescribeAclsResourceInit, ErrorCode } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import { type Handler, RequestError } from "../request-context.ts";
import { AclOperation, clusterResourceName, ResourceType } from "../security-seam.ts";

export function createDescribeAclsHandler(
  parts: Pick<BrokerParts, "authorizer" | "metadata">,
): Handler<typeof ApiKey.DescribeAcls> {
  const { authorizer, metadata } = parts;
  return (request, context) => {
    if (!authorizer.authorize(context, AclOperation.Describe, ResourceType.Cluster, clusterResourceName)) {
      throw new RequestError(ErrorCode.CLUSTER_AUTHORIZATION_FAILED, "describing ACLs needs Describe on the cluster");
    }
    if (!authorizer.isConfigured) {
      return {
        throttleTimeMs: 0,
        errorCode: ErrorCode.SECURITY_DISABLED,
        errorMessage: "No Authorizer is configured on the broker",
        resources: [],
      };
    }
    type Resource = Omit<DescribeAclsResponseDescribeAclsResourceInit, "acls"> & {
      acls: DescribeAclsResponseDescribeAclsResourceInit["acls"][number][];
    };
    const resources = new Map<string, Resource>();
    for (const entry of metadata.image.acls.byId.values()) {
      if (!matchesAclFilter(request, entry)) continue;
      const { resourceType, resourceName, patternType, principal, host, operation, permissionType } = entry;
      const key = `${resourceType} ${patternType} ${resourceName}`;
      let resource = resources.get(key);
      if (resource === undefined) {
        resource = { resourceType, resourceName, patternType, acls: [] };
        resources.set(key, resource);
      }
      resource.acls.push({ principal, host, operation, permissionType });
    }
    return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, errorMessage: null, resources: [...resources.values()] };
  };
}
