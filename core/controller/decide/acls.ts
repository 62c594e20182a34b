// CreateAcls and DeleteAcls (KIP-140, KIP-801): what an access control entry must be, entries that are there already, what a filter takes away.
import { randomUuid, type Uuid } from "../../base/index.ts";
import {
  type CreateAclsRequest,
  type CreateAclsResponseInit,
  type DeleteAclsRequest,
  type DeleteAclsResponseInit,
  ErrorCode,
  type MetadataRecordInit,
} from "../../protocol/index.ts";
import { matchesAclFilter, PatternType } from "../acl-filter.ts";
import type { AclEntry } from "../image/index.ts";
import { type DecideContext, type Decision, DecisionRefused, decisionOf, type Refusal, refusal } from "./decision.ts";

/** Kafka's bound of records that one request may make. */
export const aclRecordsPerRequestMax = 10_000;
/** The one name that a cluster resource has, and its type. */
const clusterName = "kafka-cluster";
const clusterType = 4;
/** Codes below are UNKNOWN and ANY, which are for filters. */
const firstRealCode = 2;
const resourceTypeMax = 7;
const operationMax = 15;
const permissionMax = 3;

type Creation = CreateAclsRequest["creations"][number];
type Filter = DeleteAclsRequest["filters"][number];

const done = refusal(ErrorCode.NONE, null);

export function createAcls(context: DecideContext, request: CreateAclsRequest): Decision<CreateAclsResponseInit> {
  const present = new Set<string>();
  for (const entry of context.image.acls.byId.values()) present.add(keyOf(entry));
  const records: MetadataRecordInit[] = [];
  const results = request.creations.map((creation): Refusal => {
    const problem = creationProblem(creation);
    if (problem !== null) return refusal(ErrorCode.INVALID_REQUEST, problem);
    const entry = entryOf(randomUuid(context.random), creation);
    if (present.has(keyOf(entry))) return done;
    present.add(keyOf(entry));
    records.push({ type: "AccessControlEntryRecord", version: 0, value: entry });
    return done;
  });
  requireFew(records.length);
  return decisionOf({ throttleTimeMs: 0, results }, records);
}

export function deleteAcls(context: DecideContext, request: DeleteAclsRequest): Decision<DeleteAclsResponseInit> {
  const removed = new Set<Uuid>();
  const filterResults = request.filters.map((filter) => {
    const problem = filterProblem(filter);
    if (problem !== null) return { ...refusal(ErrorCode.INVALID_REQUEST, problem), matchingAcls: [] };
    const matches: AclEntry[] = [];
    for (const entry of context.image.acls.byId.values()) {
      if (!removed.has(entry.id) && matchesAclFilter(filter, entry)) matches.push(entry);
    }
    for (const { id } of matches) removed.add(id);
    return { ...done, matchingAcls: matches.map(({ id: _, ...entry }) => ({ ...done, ...entry })) };
  });
  requireFew(removed.size);
  const records = [...removed].map(
    (id): MetadataRecordInit => ({ type: "RemoveAccessControlEntryRecord", version: 0, value: { id } }),
  );
  return decisionOf({ throttleTimeMs: 0, filterResults }, records);
}

function requireFew(count: number): void {
  if (count <= aclRecordsPerRequestMax) return;
  throw new DecisionRefused(
    ErrorCode.POLICY_VIOLATION,
    `the request would change ${count} access control entries; one request may change ${aclRecordsPerRequestMax}`,
  );
}

function entryOf(id: Uuid, creation: Creation): AclEntry {
  return {
    id,
    resourceType: creation.resourceType,
    resourceName: creation.resourceName,
    patternType: creation.resourcePatternType,
    principal: creation.principal,
    host: creation.host,
    operation: creation.operation,
    permissionType: creation.permissionType,
  };
}

/** Equal entries have equal keys. No part holds a line feed alone: names may, so each is written as JSON. */
function keyOf(entry: Omit<AclEntry, "id">): string {
  const { host, operation, patternType, permissionType, principal, resourceName, resourceType } = entry;
  return JSON.stringify([resourceType, patternType, resourceName, principal, host, operation, permissionType]);
}

function creationProblem(creation: Creation): string | null {
  const { operation, permissionType, principal, resourceName, resourcePatternType, resourceType } = creation;
  if (resourceType === clusterType && resourceName !== clusterName)
    return `The only valid name for the CLUSTER resource is ${clusterName}`;
  if (resourceName === "") return "Resource name should not be empty";
  if (!isReal(resourceType, resourceTypeMax)) return `Invalid resourceType ${resourceType}`;
  if (resourcePatternType !== PatternType.Literal && resourcePatternType !== PatternType.Prefixed)
    return `Invalid patternType ${resourcePatternType}`;
  if (!isReal(operation, operationMax)) return `Invalid operation ${operation}`;
  if (!isReal(permissionType, permissionMax)) return `Invalid permissionType ${permissionType}`;
  return principalProblem(principal);
}

function isReal(code: number, max: number): boolean {
  return code >= firstRealCode && code <= max;
}

function principalProblem(principal: string): string | null {
  const colon = principal.indexOf(":");
  if (colon < 0) return `Could not parse principal from \`${principal}\`: no colon between its type and its name`;
  return colon === 0 || colon === principal.length - 1
    ? `Could not parse principal from \`${principal}\`: type and name must not be empty`
    : null;
}

function filterProblem({ operation, patternTypeFilter, permissionType, resourceTypeFilter }: Filter): string | null {
  if (resourceTypeFilter < 1 || resourceTypeFilter > resourceTypeMax)
    return `Unknown resourceType ${resourceTypeFilter}`;
  if (patternTypeFilter < 1 || patternTypeFilter > PatternType.Prefixed)
    return `Unknown patternType ${patternTypeFilter}`;
  if (operation < 1 || operation > operationMax) return `Unknown operation ${operation}`;
  return permissionType < 1 || permissionType > permissionMax ? `Unknown permissionType ${permissionType}` : null;
}
