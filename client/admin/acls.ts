// Access control entries (KIP-140, KIP-290) by their names: what there is, more, fewer.
import { ApiKey } from "@blumfeld/core/protocol";
import { clientError } from "../errors.ts";
import { type AdminCalls, type CallOptions, type ItemResult, itemError, throwCode } from "./calls.ts";

export const aclOperations = {
  all: 2,
  read: 3,
  write: 4,
  create: 5,
  delete: 6,
  alter: 7,
  describe: 8,
  "cluster-action": 9,
  "describe-configs": 10,
  "alter-configs": 11,
  "idempotent-write": 12,
  "create-tokens": 13,
  "describe-tokens": 14,
  "two-phase-commit": 15,
} as const;
export type AclOperationName = keyof typeof aclOperations;

export const aclResourceTypes = {
  topic: 2,
  group: 3,
  cluster: 4,
  "transactional-id": 5,
  "delegation-token": 6,
  user: 7,
} as const;
export type AclResourceType = keyof typeof aclResourceTypes;

const patternTypes = { literal: 3, prefixed: 4 } as const;
const permissions = { deny: 2, allow: 3 } as const;
const any = 1;
const match = 2;

export interface Acl {
  readonly resourceType: AclResourceType;
  /** "*": every resource of the type. A cluster's only name is "kafka-cluster". */
  readonly resourceName: string;
  readonly patternType: keyof typeof patternTypes;
  /** "User:alice"; "User:*": everybody. */
  readonly principal: string;
  /** An address; "*": every one. */
  readonly host: string;
  readonly operation: AclOperationName;
  readonly permission: keyof typeof permissions;
}

/** What is left out takes everything. */
export interface AclFilter extends Partial<Omit<Acl, "patternType">> {
  /** "match": also the wildcard and the prefixes that would be asked about `resourceName`. Default: any. */
  readonly patternType?: keyof typeof patternTypes | "match";
}

export interface CreatedAcl extends ItemResult {
  readonly acl: Acl;
}

export interface DeletedAcls extends ItemResult {
  readonly acls: readonly Acl[];
}

interface Coded {
  readonly principal: string;
  readonly host: string;
  readonly operation: number;
  readonly permissionType: number;
}

export async function describeAcls(calls: AdminCalls, filter: AclFilter, options: CallOptions): Promise<Acl[]> {
  const answer = await calls.any(ApiKey.DescribeAcls, filterOf(filter), options, (whole) =>
    throwCode(whole.errorCode, "describe ACLs", whole.errorMessage),
  );
  return answer.resources.flatMap((resource) => resource.acls.map((acl) => aclOf(resource, acl)));
}

export async function createAcls(calls: AdminCalls, acls: readonly Acl[], options: CallOptions): Promise<CreatedAcl[]> {
  const creations = acls.map((acl) => ({
    resourceType: aclResourceTypes[acl.resourceType],
    resourceName: acl.resourceName,
    resourcePatternType: patternTypes[acl.patternType],
    principal: acl.principal,
    host: acl.host,
    operation: aclOperations[acl.operation],
    permissionType: permissions[acl.permission],
  }));
  const { results } = await calls.any(ApiKey.CreateAcls, { creations }, options);
  return acls.map((acl, index) => {
    const { errorCode, errorMessage } = results[index]!;
    return { acl, error: itemError(errorCode, `create the ACL for ${acl.principal}`, errorMessage) };
  });
}

export async function deleteAcls(
  calls: AdminCalls,
  filters: readonly AclFilter[],
  options: CallOptions,
): Promise<DeletedAcls[]> {
  const { filterResults } = await calls.any(ApiKey.DeleteAcls, { filters: filters.map(filterOf) }, options);
  return filterResults.map(({ errorCode, errorMessage, matchingAcls }) => ({
    error: itemError(errorCode, "delete ACLs", errorMessage),
    acls: matchingAcls.map((acl) => aclOf(acl, acl)),
  }));
}

function filterOf(filter: AclFilter) {
  const { host, operation, patternType, permission, principal, resourceName, resourceType } = filter;
  return {
    resourceTypeFilter: resourceType === undefined ? any : aclResourceTypes[resourceType],
    resourceNameFilter: resourceName ?? null,
    patternTypeFilter: patternType === undefined ? any : patternType === "match" ? match : patternTypes[patternType],
    principalFilter: principal ?? null,
    hostFilter: host ?? null,
    operation: operation === undefined ? any : aclOperations[operation],
    permissionType: permission === undefined ? any : permissions[permission],
  };
}

function aclOf(
  resource: { readonly resourceType: number; readonly resourceName: string; readonly patternType: number },
  { host, operation, permissionType, principal }: Coded,
): Acl {
  return {
    resourceType: nameOf(aclResourceTypes, resource.resourceType, "resource type"),
    resourceName: resource.resourceName,
    patternType: nameOf(patternTypes, resource.patternType, "pattern type"),
    principal,
    host,
    operation: nameOf(aclOperations, operation, "operation"),
    permission: nameOf(permissions, permissionType, "permission"),
  };
}

function nameOf<Name extends string>(codes: Readonly<Record<Name, number>>, code: number, what: string): Name {
  const found = (Object.keys(codes) as Name[]).find((name) => codes[name] === code);
  if (found !== undefined) return found;
  throw clientError(
    "UNKNOWN_SERVER_ERROR",
    `the broker names the ACL ${what} ${code}, which this client does not know`,
  );
}
