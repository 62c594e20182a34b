// Whether a filter of DescribeAcls or DeleteAcls takes an ACL, by Kafka's rules for its pattern types.

/** Kafka's codes of pattern types. */
export const PatternType = { Any: 1, Match: 2, Literal: 3, Prefixed: 4 } as const;
/** ANY of resource types, operations and permissions. */
const any = 1;
/** The literal name that stands for every resource. */
const wildcardResource = "*";

export interface AclFilter {
  readonly resourceTypeFilter: number;
  readonly resourceNameFilter: string | null;
  readonly patternTypeFilter: number;
  readonly principalFilter: string | null;
  readonly hostFilter: string | null;
  readonly operation: number;
  readonly permissionType: number;
}

export interface AclToMatch {
  readonly resourceType: number;
  readonly resourceName: string;
  readonly patternType: number;
  readonly principal: string;
  readonly host: string;
  readonly operation: number;
  readonly permissionType: number;
}

export function matchesAclFilter(filter: AclFilter, acl: AclToMatch): boolean {
  if (filter.resourceTypeFilter !== any && filter.resourceTypeFilter !== acl.resourceType) return false;
  if (filter.principalFilter !== null && filter.principalFilter !== acl.principal) return false;
  if (filter.hostFilter !== null && filter.hostFilter !== acl.host) return false;
  if (filter.operation !== any && filter.operation !== acl.operation) return false;
  if (filter.permissionType !== any && filter.permissionType !== acl.permissionType) return false;
  return matchesResource(filter, acl);
}

function matchesResource(filter: AclFilter, acl: AclToMatch): boolean {
  const { resourceNameFilter: name, patternTypeFilter: patternType } = filter;
  if (patternType !== PatternType.Any && patternType !== PatternType.Match && patternType !== acl.patternType) {
    return false;
  }
  if (name === null) return true;
  if (patternType !== PatternType.Match) return name === acl.resourceName;
  // MATCH: every ACL that would be asked about a resource of this name.
  if (acl.patternType === PatternType.Prefixed) return name.startsWith(acl.resourceName);
  return name === acl.resourceName || acl.resourceName === wildcardResource;
}
