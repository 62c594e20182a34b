// Two interfaces for each struct: what decoding gives, with every field, and what encoding takes, where much may be left out.
import { decodedType, defaultCode, elementType, structsWithEmpty } from "./emit.ts";
import { type Field, isNullable, isOptional, type Message, printVersions, type Struct } from "./model.ts";

export function emitTypes(message: Message): string[] {
  const lines: string[] = [];
  for (const struct of message.structs) lines.push(...emitDecoded(message, struct), ...emitInit(message, struct));
  const empties = structsWithEmpty(message);
  for (const struct of message.structs) if (empties.has(struct)) lines.push(...emitEmpty(struct));
  return lines;
}

function emitDecoded(message: Message, struct: Struct): string[] {
  const lines = [describe(message, struct), `export interface ${struct.typeName} {`];
  for (const field of struct.fields) lines.push(`  ${field.name}: ${decodedType(field)}; // ${describeField(field)}`);
  return [...lines, "}", ""];
}

function describe(message: Message, struct: Struct): string {
  if (struct !== message.root) return `/** Part of ${message.name}. */`;
  const flexible = printVersions(message.flexible);
  return `/** Versions ${printVersions(message.versions)}, flexible: ${flexible}. As decoded: what the version lacks has its default. */`;
}

function describeField(field: Field): string {
  const parts = [printVersions(field.versions)];
  if (field.tag !== null) parts.push(`tag ${field.tag}`);
  if (isNullable(field) && printVersions(field.nullable) !== printVersions(field.versions)) {
    parts.push(`null ${printVersions(field.nullable)}`);
  }
  if (field.default !== null && field.default !== "null")
    parts.push(`default ${field.default === "" ? '""' : field.default}`);
  else if (field.default === "null") parts.push("default null");
  if (field.isIgnorable) parts.push("ignorable");
  return parts.join(", ");
}

function emitInit(message: Message, struct: Struct): string[] {
  const lines = [
    `/** As given for encoding: what is optional has its default when left out. */`,
    `export interface ${struct.typeName}Init {`,
  ];
  for (const field of struct.fields) {
    const mark = isOptional(message, field) && !mustBeChosen(field) ? "?" : "";
    lines.push(`  readonly ${field.name}${mark}: ${initType(field)};`);
  }
  return [...lines, "}", ""];
}

/** Left out, such a field would read as a struct of defaults, not as null: whoever writes one has to say which is meant. */
function mustBeChosen(field: Field): boolean {
  return typeof field.base !== "string" && !field.isArray && isNullable(field) && field.default === null;
}

function initType(field: Field): string {
  const { base } = field;
  let type = typeof base === "string" ? elementType(base) : `${base.typeName}Init`;
  if (base === "int64") type = "bigint | number";
  if (base === "bytes") type = "Uint8Array";
  if (base === "records") type = "Buffer | readonly Buffer[]";
  if (field.isArray) type = type.includes("|") ? `readonly (${type})[]` : `readonly ${type}[]`;
  return isNullable(field) ? `${type} | null` : type;
}

function emitEmpty(struct: Struct): string[] {
  const fields = struct.fields.map((field) => `${field.name}: ${defaultCode(field)}`);
  return [`function empty${struct.typeName}(): ${struct.typeName} {`, `  return { ${fields.join(", ")} };`, "}", ""];
}
