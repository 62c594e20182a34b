// Our declarations against the facts read off Kafka 4.3's own, for every version of every message.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { missingShared, sharedPath } from "../../testing/shared.ts";
import { readDeclarations } from "./main.ts";
import {
  type Field,
  inVersions,
  isFlexible,
  type Message,
  parseVersions,
  type Struct,
  type Versions,
  versionsNone,
} from "./model.ts";

interface Fact {
  readonly name: string;
  readonly kind: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly flags: ReadonlySet<string>;
  readonly fields: FactField[];
}

interface FactField {
  readonly depth: number;
  readonly name: string;
  readonly type: string;
  readonly versions: Versions;
  readonly attributes: ReadonlyMap<string, string>;
  readonly flags: ReadonlySet<string>;
}

function attributesOf(words: readonly string[]): Pick<FactField, "attributes" | "flags"> {
  const pairs = words.filter((word) => word.includes("=")).map((word) => word.split("=", 2) as [string, string]);
  return { attributes: new Map(pairs), flags: new Set(words.filter((word) => !word.includes("="))) };
}

function versionsOf(text: string | undefined): Versions {
  return text === undefined || text === "none" ? versionsNone : parseVersions(text)!;
}

function readFacts(): Map<string, Fact> {
  const facts = new Map<string, Fact>();
  let last: Fact | null = null;
  for (const line of readFileSync(sharedPath("protocol/messages.txt"), "utf8").split("\n")) {
    if (line.startsWith("#") || line.trim() === "") continue;
    const depth = (line.length - line.trimStart().length) / 2;
    const [name, type, ...words] = line.trim().split(" ") as [string, string, ...string[]];
    if (depth === 0) {
      last = { name, kind: type, ...attributesOf(words), fields: [] };
      facts.set(name, last);
    } else {
      const { attributes, flags } = attributesOf(words.slice(1));
      // Where a tagged field names no versions, the tag's are its own.
      const versions = versionsOf(words[0] === "?" ? attributes.get("tag")!.split("@")[1] : words[0]);
      last!.fields.push({ depth, name, type, versions, attributes, flags });
    }
  }
  return facts;
}

/** The fields of a fact, each with its struct's: a struct that was seen above in the message is looked up there. */
interface FactTree {
  readonly field: FactField;
  readonly fields: FactTree[];
}

function treeOf(fact: Fact): FactTree[] {
  const known = new Map<string, FactTree[]>();
  const build = (from: number, depth: number): [FactTree[], number] => {
    const trees: FactTree[] = [];
    let at = from;
    while (at < fact.fields.length && fact.fields[at]!.depth === depth) {
      const field = fact.fields[at]!;
      const struct = field.type.replace("[]", "");
      const [own, next] = build(at + 1, depth + 1);
      if (own.length > 0 && !known.has(struct)) known.set(struct, own);
      trees.push({ field, fields: own.length > 0 ? own : (known.get(struct) ?? []) });
      at = next;
    }
    return [trees, at];
  };
  return build(0, 1)[0];
}

/** What the facts say is on the wire at a version. */
function describeFact(fact: Fact, trees: readonly FactTree[], version: number, indent = ""): string[] {
  const lines: string[] = [];
  const flexibleMessage = inVersions(versionsOf(fact.attributes.get("flexible")), version);
  for (const { field, fields } of trees) {
    if (!inVersions(field.versions, version)) continue;
    const type = field.type.replace("[]", "");
    const words = [field.name.charAt(0).toLowerCase() + field.name.slice(1), /^[A-Z]/.test(type) ? "struct" : type];
    if (field.type.startsWith("[]")) words.push("array");
    if (flexibleMessage && field.attributes.get("flexible") !== "none") words.push("flexible");
    if (inVersions(versionsOf(field.attributes.get("nullable")), version)) words.push("null");
    const [tag, tagVersions] = (field.attributes.get("tag") ?? "").split("@");
    if (tag !== "" && inVersions(versionsOf(tagVersions), version)) words.push(`tag ${tag}`);
    const given = field.attributes.get("default");
    // A JSON null is no default, as the bytes show; the text "null" is one.
    if (given !== undefined && given !== "None")
      words.push(`default ${given.replace("False", "false").replace("True", "true")}`);
    if (field.flags.has("ignorable")) words.push("ignorable");
    if (field.flags.has("key")) words.push("key");
    lines.push(indent + words.join(" "), ...describeFact(fact, fields, version, `${indent}  `));
  }
  return lines;
}

function describeOurs(message: Message, struct: Struct, version: number, indent = ""): string[] {
  const lines: string[] = [];
  for (const field of struct.fields) {
    if (!inVersions(field.versions, version)) continue;
    lines.push(indent + describeOurField(message, field, version));
    if (typeof field.base !== "string") lines.push(...describeOurs(message, field.base, version, `${indent}  `));
  }
  return lines;
}

function describeOurField(message: Message, field: Field, version: number): string {
  const words = [field.name, typeof field.base === "string" ? field.base : "struct"];
  if (field.isArray) words.push("array");
  if (isFlexible(message, field, version)) words.push("flexible");
  if (inVersions(field.nullable, version)) words.push("null");
  if (field.tag !== null) words.push(`tag ${field.tag}`);
  if (field.default !== null) words.push(`default ${field.default}`);
  if (field.isIgnorable) words.push("ignorable");
  if (field.isKey) words.push("key");
  return words.join(" ");
}

describe.skipIf(missingShared)("declarations", () => {
  const facts = missingShared ? new Map<string, Fact>() : readFacts();
  const messages = readDeclarations().flatMap((declaration) =>
    declaration.messages.map((message) => ({ declaration, message })),
  );

  test("every message that has versions is declared, and no other", () => {
    const served = [...facts.values()]
      .filter((fact) => fact.attributes.get("valid") !== "none")
      .map((fact) => fact.name);
    expect(messages.map(({ message }) => message.name).sort()).toEqual(served.sort());
  });

  test.each(messages)("$message.name", ({ declaration, message }) => {
    const fact = facts.get(message.name)!;
    expect(message.versions).toEqual(versionsOf(fact.attributes.get("valid")));
    expect(message.isUnstable && message.kind === "request").toBe(fact.flags.has("unstable"));
    expect(message.number).toBe(fact.attributes.has("api") ? Number(fact.attributes.get("api")) : null);
    if (message.kind === "request") {
      expect([...declaration.api!.listeners].sort()).toEqual(fact.attributes.get("listeners")!.split(",").sort());
    }
    const trees = treeOf(fact);
    for (let version = message.versions.min; version <= message.versions.max; version++) {
      expect(describeOurs(message, message.root, version)).toEqual(describeFact(fact, trees, version));
    }
  });
});
