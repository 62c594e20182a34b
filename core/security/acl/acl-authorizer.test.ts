// The authorizer against a slow reading of the rules, over random entries and questions; entries come and go meanwhile.
import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Uuid } from "../../base/index.ts";
import type { AclEntry } from "../../controller/index.ts";
import { AclAuthorizer, type AclSubject, parseSuperUsers } from "./acl-authorizer.ts";
import { AclOperation, AclPattern, AclPermission } from "./codes.ts";

const names = fc.constantFrom("*", "a", "ab", "abc", "b", "hardcode");
const principals = fc.constantFrom("User:*", "User:alice", "User:bob", "Group:alice");
const hosts = fc.constantFrom("*", "10.0.0.1", "::1");
const operations = fc.integer({ min: AclOperation.All, max: AclOperation.TwoPhaseCommit });

const entries = fc.record({
  resourceType: fc.constantFrom(2, 3),
  resourceName: names,
  patternType: fc.constantFrom(AclPattern.Literal, AclPattern.Prefixed),
  principal: principals,
  host: hosts,
  operation: operations,
  permissionType: fc.constantFrom(AclPermission.Deny, AclPermission.Allow),
});
const subjects = fc.record({
  principal: fc.constantFrom("User:alice", "User:bob", "User:root", "User:*", "Group:alice"),
  host: fc.constantFrom("10.0.0.1", "::1", "10.0.0.2"),
});

/** Rule by rule, over all entries. */
function slowly(
  all: readonly AclEntry[],
  isOpen: boolean,
  { host, principal }: AclSubject,
  operation: number,
  type: number,
  name: string,
): boolean {
  if (principal === "User:root") return true;
  const onResource = all.filter(
    (entry) =>
      entry.resourceType === type &&
      (entry.patternType === AclPattern.Prefixed
        ? name.startsWith(entry.resourceName)
        : entry.resourceName === name || entry.resourceName === "*"),
  );
  if (onResource.length === 0) return isOpen;
  const mine = onResource.filter(
    (entry) => [principal, "User:*"].includes(entry.principal) && [host, "*"].includes(entry.host),
  );
  const { Alter, AlterConfigs, All, Delete, Describe, DescribeConfigs, Read, Write } = AclOperation;
  if (mine.some((entry) => entry.permissionType === AclPermission.Deny && [operation, All].includes(entry.operation)))
    return false;
  const implied: Record<number, readonly number[]> = {
    [Describe]: [Read, Write, Delete, Alter],
    [DescribeConfigs]: [AlterConfigs],
  };
  const enough: readonly number[] = [operation, All, ...(implied[operation] ?? [])];
  return mine.some((entry) => entry.permissionType === AclPermission.Allow && enough.includes(entry.operation));
}

test("every answer is that of the rules read slowly, whatever was added and removed before", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(entries, fc.boolean()), { maxLength: 30 }),
      fc.boolean(),
      fc.array(fc.tuple(subjects, operations, fc.constantFrom(2, 3), names), { minLength: 1, maxLength: 20 }),
      (drawn, isOpen, questions) => {
        const authorizer = new AclAuthorizer({ superUsers: new Set(["User:root"]), isOpenWithoutAcls: isOpen });
        const all = drawn.map(([entry], index): AclEntry => ({ ...entry, id: `id-${index}` as Uuid }));
        for (const entry of all) authorizer.add(entry);
        const left = all.filter((_entry, index) => !drawn[index]![1]);
        for (const entry of all) if (!left.includes(entry)) authorizer.remove(entry.id);
        expect(authorizer.aclCount).toBe(left.length);
        for (const [subject, operation, type, name] of questions) {
          expect(authorizer.authorize(subject, operation, type, name)).toBe(
            slowly(left, isOpen, subject, operation, type, name),
          );
        }
      },
    ),
    { numRuns: 2000 },
  );
});

test("any resource of a type: true only where some name would be allowed, entry by entry", () => {
  const nothing = new AclAuthorizer({ superUsers: new Set(), isOpenWithoutAcls: false });
  const alice = { principal: "User:alice", host: "10.0.0.1" };
  const acl = (id: string, name: string, patternType: number, permissionType: number, operation: number): AclEntry => ({
    ...{ id: id as Uuid, resourceType: 2, resourceName: name, patternType, permissionType, operation },
    ...{ principal: "User:alice", host: "*" },
  });
  const { Literal, Prefixed } = AclPattern;
  const { Allow, Deny } = AclPermission;
  const { Read, Write } = AclOperation;
  const asks = (): boolean => nothing.authorizeByResourceType(alice, Write, 2);
  expect(asks()).toBe(false);
  nothing.replaceAll([acl("1", "orders", Literal, Allow, Write)]);
  expect(asks()).toBe(true);
  nothing.add(acl("2", "ord", Prefixed, Deny, Write));
  expect(asks()).toBe(false);
  nothing.add(acl("3", "or", Prefixed, Allow, Write));
  expect(asks()).toBe(true);
  nothing.add(acl("4", "*", Literal, Deny, Write));
  expect(asks()).toBe(false);
  nothing.replaceAll([acl("5", "orders", Literal, Allow, Read)]);
  expect(asks()).toBe(false);
  nothing.replaceAll([acl("6", "*", Literal, Allow, Write), acl("7", "orders", Literal, Deny, Write)]);
  expect(asks()).toBe(true);
});

test("super users are read as Kafka writes them; what is no principal is told", () => {
  expect(parseSuperUsers("User:CN=a,O=b;User:bob; ")).toEqual(new Set(["User:CN=a,O=b", "User:bob"]));
  expect(parseSuperUsers("User:bob;alice")).toEqual({ wrong: "alice" });
  expect(parseSuperUsers("")).toEqual(new Set());
});
