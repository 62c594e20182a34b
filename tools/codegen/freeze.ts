// A released version of a message never changes. This hashes what a version puts on the wire: names, order, types, null rules, tags and
// defaults. A newer version adds a hash and leaves the others as they are.
import { createHash } from "node:crypto";
import { type Declaration, type Field, inVersions, isFlexible, type Message, type Struct } from "./model.ts";

/** Message name → version → hash. */
export type Frozen = Record<string, Record<string, string>>;

/** The hash of each version that can no longer change: an unstable one still may. */
export function hashesOf(message: Message): Record<string, string> {
  const hashes: Record<string, string> = {};
  const last = message.versions.max - (message.isUnstable ? 1 : 0);
  for (let version = message.versions.min; version <= last; version++) {
    const text = [
      `${message.kind} ${message.number} ${message.name}`,
      ...describeStruct(message, message.root, version),
    ].join("\n");
    hashes[version] = createHash("sha256").update(text).digest("hex");
  }
  return hashes;
}

function describeStruct(message: Message, struct: Struct, version: number): string[] {
  const lines: string[] = [];
  for (const field of struct.fields) {
    if (!inVersions(field.versions, version)) continue;
    lines.push(describeField(message, field, version));
    if (typeof field.base !== "string")
      lines.push(...describeStruct(message, field.base, version).map((line) => `  ${line}`));
  }
  return lines;
}

function describeField(message: Message, field: Field, version: number): string {
  const words = [field.name, typeof field.base === "string" ? field.base : "struct"];
  if (field.isArray) words.push("array");
  if (isFlexible(message, field, version)) words.push("flexible");
  if (inVersions(field.nullable, version)) words.push("null");
  if (field.tag !== null) words.push(`tag ${field.tag}`, `default ${field.default ?? ""}`);
  return words.join(" ");
}

/** `frozen` with the hashes of versions that it lacks; the ones it has stay. */
export function addFrozen(frozen: Frozen, declarations: readonly Declaration[]): Frozen {
  const result: Frozen = {};
  for (const message of declarations.flatMap((declaration) => declaration.messages)) {
    result[message.name] = { ...hashesOf(message), ...frozen[message.name] };
  }
  for (const [name, hashes] of Object.entries(frozen)) result[name] ??= hashes;
  return result;
}

/** What differs from the frozen hashes, in words; a version that is gone counts. */
export function frozenDifferences(frozen: Frozen, declarations: readonly Declaration[]): string[] {
  const messages = new Map(declarations.flatMap((declaration) => declaration.messages).map((one) => [one.name, one]));
  const differences: string[] = [];
  for (const [name, hashes] of Object.entries(frozen)) {
    const message = messages.get(name);
    const now = message === undefined ? {} : hashesOf(message);
    for (const [version, hash] of Object.entries(hashes)) {
      if (now[version] === hash) continue;
      differences.push(`${name} version ${version} has changed: add a version, do not edit a released one`);
    }
  }
  for (const message of messages.values()) {
    for (const version of Object.keys(hashesOf(message))) {
      if (frozen[message.name]?.[version] === undefined) {
        differences.push(`${message.name} version ${version} is new: run \`npm run codegen -- --freeze\``);
      }
    }
  }
  return differences;
}
