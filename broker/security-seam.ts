// Who asks, and whether they may. The broker asks through this seam everywhere; who decides is composed in.
import { AclOperation, ResourceType } from "@blumfeld/core/security";

export { AclOperation, ResourceType };

export interface Principal {
  /** "User" for all that Kafka itself makes. */
  readonly principalType: string;
  readonly name: string;
}

export const anonymousPrincipal: Principal = { principalType: "User", name: "ANONYMOUS" };

/** The one name that a cluster resource has. */
export const clusterResourceName = "kafka-cluster";

/** Where a request comes from, as far as a decision about it depends on that. */
export interface RequestOrigin {
  readonly principal: Principal;
  readonly clientAddress: string;
  readonly listenerName: string;
}

export interface Authorizer {
  /** Whether an authorizer is configured at all: some answers differ where there is none (SECURITY_DISABLED). */
  readonly isConfigured: boolean;
  authorize(origin: RequestOrigin, operation: AclOperation, resourceType: ResourceType, resourceName: string): boolean;
  /** Whether the operation is allowed on any resource of the type. */
  authorizeByResourceType(origin: RequestOrigin, operation: AclOperation, resourceType: ResourceType): boolean;
}

/** No authorizer.class.name: everybody may do everything, as in Kafka. */
export const allowAll: Authorizer = {
  isConfigured: false,
  authorize: () => true,
  authorizeByResourceType: () => true,
};

/** The operations that a resource type knows, as authorizedOperations fields report them. */
const operationsOf: Readonly<Record<ResourceType, readonly AclOperation[]>> = {
  [ResourceType.Topic]: [
    AclOperation.Read,
    AclOperation.Write,
    AclOperation.Create,
    AclOperation.Delete,
    AclOperation.Alter,
    AclOperation.Describe,
    AclOperation.DescribeConfigs,
    AclOperation.AlterConfigs,
  ],
  [ResourceType.Group]: [
    AclOperation.Read,
    AclOperation.Delete,
    AclOperation.Describe,
    AclOperation.DescribeConfigs,
    AclOperation.AlterConfigs,
  ],
  [ResourceType.Cluster]: [
    AclOperation.Create,
    AclOperation.Alter,
    AclOperation.Describe,
    AclOperation.ClusterAction,
    AclOperation.DescribeConfigs,
    AclOperation.AlterConfigs,
    AclOperation.IdempotentWrite,
  ],
  [ResourceType.TransactionalId]: [AclOperation.Write, AclOperation.Describe, AclOperation.TwoPhaseCommit],
  [ResourceType.DelegationToken]: [AclOperation.Describe],
  [ResourceType.User]: [AclOperation.CreateTokens, AclOperation.DescribeTokens],
};

/** One bit for each operation allowed on the resource: the form of `…AuthorizedOperations` fields. */
export function authorizedOperations(
  authorizer: Authorizer,
  origin: RequestOrigin,
  resourceType: ResourceType,
  resourceName: string,
): number {
  let bits = 0;
  for (const operation of operationsOf[resourceType]) {
    if (authorizer.authorize(origin, operation, resourceType, resourceName)) bits |= 1 << operation;
  }
  return bits;
}
