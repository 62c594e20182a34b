// Who may do what, by the access control entries of the metadata: the rules of Kafka's StandardAuthorizer (KIP-801, KIP-290, KIP-679).
//
//   1. super.users may do everything.
//   2. An entry that denies the operation, or all operations, wins over any that allows.
//   3. One that allows the operation, all operations, or one that implies it, allows.
//   4. A resource that no entry is about is open where allow.everyone.if.no.acl.found is true; else closed.
import type { Uuid } from "../../base/index.ts";
import type { AclEntry } from "../../controller/index.ts";
import { AclIndex } from "./acl-index.ts";
import { AclOperation, AclPattern, AclPermission, everyHost, everyPrincipal, everyResource } from "./codes.ts";

export interface AclRules {
  /** As "User:name". */
  readonly superUsers: ReadonlySet<string>;
  /** allow.everyone.if.no.acl.found */
  readonly isOpenWithoutAcls: boolean;
}

/** Whoever asks: "User:name", and the address, without a name and without brackets. */
export interface AclSubject {
  readonly principal: string;
  readonly host: string;
}

export class AclAuthorizer {
  private readonly rules: AclRules;
  private readonly index = new AclIndex();

  constructor(rules: AclRules) {
    this.rules = rules;
  }

  get aclCount(): number {
    return this.index.size;
  }

  /** Begins anew with these. */
  replaceAll(entries: Iterable<AclEntry>): void {
    this.index.clear();
    for (const entry of entries) this.index.add(entry);
  }

  add(entry: AclEntry): void {
    this.index.add(entry);
  }

  remove(id: Uuid): void {
    this.index.remove(id);
  }

  authorize(subject: AclSubject, operation: number, resourceType: number, resourceName: string): boolean {
    if (this.rules.superUsers.has(subject.principal)) return true;
    let isNamed = false;
    let isDenied = false;
    let isAllowed = false;
    this.index.visit(resourceType, resourceName, (entry) => {
      isNamed = true;
      if (!isAbout(entry, subject)) return true;
      if (entry.permissionType === AclPermission.Deny) {
        isDenied = entry.operation === operation || entry.operation === AclOperation.All;
        return !isDenied;
      }
      if (!isAllowed) isAllowed = allows(entry.operation, operation);
      return true;
    });
    if (isDenied) return false;
    return isAllowed || (!isNamed && this.rules.isOpenWithoutAcls);
  }

  /** Whether there is any resource of the type for which the operation is allowed (KIP-679). Here no operation implies another, as in Kafka. */
  authorizeByResourceType(subject: AclSubject, operation: number, resourceType: number): boolean {
    // A name that nobody has: super users, and clusters that are open, pass.
    if (this.authorize(subject, operation, resourceType, "hardcode")) return true;
    const denied = { literal: new Set<string>(), prefixed: new Set<string>() };
    const allowed: AclEntry[] = [];
    for (const entry of this.index.ofResourceType(resourceType)) {
      if (!isAbout(entry, subject)) continue;
      if (entry.operation !== operation && entry.operation !== AclOperation.All) continue;
      const isLiteral = entry.patternType === AclPattern.Literal;
      if (entry.permissionType !== AclPermission.Deny) allowed.push(entry);
      else if (isLiteral && entry.resourceName === everyResource) return false;
      else (isLiteral ? denied.literal : denied.prefixed).add(entry.resourceName);
    }
    return allowed.some(({ patternType, resourceName }) => {
      if (patternType === AclPattern.Literal) {
        // What is denied by name leaves all others.
        if (resourceName === everyResource) return true;
        if (denied.literal.has(resourceName)) return false;
      }
      for (let length = 1; length <= resourceName.length; length++) {
        if (denied.prefixed.has(resourceName.slice(0, length))) return false;
      }
      return true;
    });
  }
}

function isAbout(entry: AclEntry, { host, principal }: AclSubject): boolean {
  return (
    (entry.principal === principal || entry.principal === everyPrincipal) &&
    (entry.host === host || entry.host === everyHost)
  );
}

/** Whether an entry that allows `granted` allows `asked`: who may read, write, delete or alter may describe. */
function allows(granted: number, asked: number): boolean {
  if (granted === asked || granted === AclOperation.All) return true;
  switch (asked) {
    case AclOperation.Describe:
      return (
        granted === AclOperation.Read ||
        granted === AclOperation.Write ||
        granted === AclOperation.Delete ||
        granted === AclOperation.Alter
      );
    case AclOperation.DescribeConfigs:
      return granted === AclOperation.AlterConfigs;
    default:
      return false;
  }
}

/** super.users: "User:alice;User:bob". Rejects nothing: null where a part is no principal, with that part. */
export function parseSuperUsers(written: string): ReadonlySet<string> | { readonly wrong: string } {
  const users = new Set<string>();
  for (const part of written.split(";").map((one) => one.trim())) {
    if (part === "") continue;
    const colon = part.indexOf(":");
    if (colon <= 0 || colon === part.length - 1) return { wrong: part };
    users.add(part);
  }
  return users;
}
