// What all emitters share: code that differs by version, defaults as code, names that cannot clash.
import { type Field, isNullable, isOptional, type Message, type Struct, type Versions } from "./model.ts";

/** Consecutive versions for which the same code holds. */
export interface Segment {
  readonly from: number;
  readonly to: number;
  readonly code: string;
}

export function segmentsOf(message: Message, code: (version: number) => string): Segment[] {
  const segments: Segment[] = [];
  for (let version = message.versions.min; version <= message.versions.max; version++) {
    const one = code(version);
    const last = segments.at(-1);
    if (last !== undefined && last.code === one) segments[segments.length - 1] = { ...last, to: version };
    else segments.push({ from: version, to: version, code: one });
  }
  return segments;
}

/** One expression for all versions, the newest first: peers speak new versions. */
export function expressionOf(segments: readonly Segment[]): string {
  let expression = segments[0]!.code;
  for (const segment of segments.slice(1)) expression = `version >= ${segment.from} ? ${segment.code} : ${expression}`;
  return expression;
}

/** An if-chain of statements, the newest versions first; empty code is left out. */
export function statementsOf(segments: readonly Segment[]): string[] {
  const lines: string[] = [];
  const oldest = segments[0]!.from;
  const newest = segments.at(-1)!.to;
  // When the newest versions have no code, every branch needs its upper bound; otherwise the branches before have taken them.
  let isUpperKnown = true;
  for (const { from, to, code } of [...segments].reverse()) {
    if (code === "") {
      if (lines.length === 0) isUpperKnown = false;
      else if (from > oldest) throw new Error("a hole in the versions of a field");
      continue;
    }
    const bounds: string[] = [];
    if (from > oldest) bounds.push(`version >= ${from}`);
    if (!isUpperKnown && to < newest) bounds.push(`version <= ${to}`);
    const condition = bounds.length === 0 ? "" : `if (${bounds.join(" && ")}) `;
    lines.push(`${lines.length === 0 ? "" : "else "}${condition}${code}`);
  }
  return lines;
}

/** The condition under which a version of the message lies in `versions`; null when always, "false" when never. */
export function conditionOf(message: Message, versions: Versions): string | null {
  const { min, max } = message.versions;
  if (versions.max < min || versions.min > max) return "false";
  const lower = versions.min > min ? `version >= ${versions.min}` : null;
  const upper = versions.max < max ? `version <= ${versions.max}` : null;
  if (lower !== null && upper !== null) return `${lower} && ${upper}`;
  return lower ?? upper;
}

/** As `conditionOf`, inside code that runs in flexible versions only. */
export function conditionWhenFlexible(message: Message, versions: Versions): string | null {
  const min = Math.max(message.versions.min, message.flexible.min);
  return conditionOf({ ...message, versions: { min, max: message.versions.max } }, versions);
}

/** The opposite; null when never false. */
export function conditionNotOf(message: Message, versions: Versions): string | null {
  const { min, max } = message.versions;
  if (versions.max < min || versions.min > max) return "true";
  const below = versions.min > min ? `version < ${versions.min}` : null;
  const above = versions.max < max ? `version > ${versions.max}` : null;
  if (below !== null && above !== null) return `(${below} || ${above})`;
  return below ?? above;
}

/** The TypeScript type of a decoded value, null aside. */
export function elementType(base: Field["base"]): string {
  if (typeof base !== "string") return base.typeName;
  switch (base) {
    case "bool":
      return "boolean";
    case "string":
      return "string";
    case "uuid":
      return "Uuid";
    case "int64":
      return "bigint";
    case "bytes":
    case "records":
      return "Buffer";
    default:
      return "number";
  }
}

export function decodedType(field: Field): string {
  return `${elementType(field.base)}${field.isArray ? "[]" : ""}${isNullable(field) ? " | null" : ""}`;
}

/** The value that a field has where nothing was written, as code. */
export function defaultCode(field: Field): string {
  if (field.default === "null") return "null";
  if (field.isArray) return "[]";
  const { base } = field;
  if (typeof base !== "string") return `empty${base.typeName}()`;
  const text = field.default;
  switch (base) {
    case "bool":
      return text ?? "false";
    case "string":
      return JSON.stringify(text ?? "");
    case "uuid":
      return "uuidZero";
    case "int64":
      return `${text ?? "0"}n`;
    case "bytes":
    case "records":
      return "bufferEmpty";
    default:
      return text === null ? "0" : String(Number(text));
  }
}

const wordsTaken = new Set(
  `version reader writer message tag end left count element tagged begin
  break case catch class const continue debugger default delete do else export extends finally for function if import in
  instanceof new return super switch this throw try typeof var void while with yield let static enum await implements
  package protected interface private public arguments eval null true false undefined`.split(/\s+/),
);

/** The local variable that holds a field. */
export function localName(field: Field): string {
  return wordsTaken.has(field.name) ? `${field.name}Field` : field.name;
}

/** Structs that stand somewhere as a default, so that a function for the empty one is needed, inner ones included. */
export function structsWithEmpty(message: Message): Set<Struct> {
  const needed = new Set<Struct>();
  const add = (struct: Struct): void => {
    if (needed.has(struct)) return;
    needed.add(struct);
    for (const field of struct.fields) if (hasStructDefault(field)) add(field.base as Struct);
  };
  for (const struct of message.structs) {
    for (const field of struct.fields) {
      const isAlways = !isOptional(message, field);
      if (hasStructDefault(field) && !isAlways) add(field.base as Struct);
    }
  }
  return needed;
}

export function hasStructDefault(field: Field): boolean {
  return typeof field.base !== "string" && !field.isArray && field.default !== "null";
}

export function indent(lines: readonly string[], by = "  "): string[] {
  return lines.map((line) => (line === "" ? "" : by + line));
}
