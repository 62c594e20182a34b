// Reads one `.kafka` declaration. The syntax is told in core/protocol/messages/README.md. Refuses what it does not understand.
import {
  type Declaration,
  type Field,
  type Message,
  type MessageKind,
  type Primitive,
  parseVersions,
  primitives,
  type Struct,
  structTypeName,
  type Versions,
  versionsNone,
} from "./model.ts";

class DeclarationError extends Error {
  constructor(path: string, lineNumber: number, what: string) {
    super(`${path}.kafka:${lineNumber}: ${what}`);
  }
}

interface Line {
  readonly number: number;
  readonly depth: number;
  readonly words: string[];
}

export function parseDeclaration(path: string, text: string): Declaration {
  const lines = splitLines(path, text);
  let api: Declaration["api"] = null;
  const messages: Message[] = [];
  for (let index = 0; index < lines.length; ) {
    const line = lines[index]!;
    const fail = (what: string): never => {
      throw new DeclarationError(path, line.number, what);
    };
    if (line.depth !== 0) fail("a message begins at the margin");
    const [kind] = line.words;
    if (kind === "api") {
      const [, key, name, on, ...listeners] = line.words;
      if (on !== "on" || name === undefined || !/^\d+$/.test(key ?? "")) fail("api KEY NAME on LISTENERS");
      api = { key: Number(key), name: name!, listeners };
      index++;
      continue;
    }
    let next = index + 1;
    while (next < lines.length && lines[next]!.depth > 0) next++;
    messages.push(parseMessage(path, api, line, lines.slice(index + 1, next)));
    index = next;
  }
  return { path, api, messages };
}

function splitLines(path: string, text: string): Line[] {
  const lines: Line[] = [];
  for (const [index, raw] of text.split("\n").entries()) {
    const content = raw.replace(/(^|\s)#.*$/, "").trimEnd();
    if (content === "") continue;
    const indent = content.length - content.trimStart().length;
    if (indent % 2 !== 0) throw new DeclarationError(path, index + 1, "indent by two spaces");
    lines.push({ number: index + 1, depth: indent / 2, words: content.trim().split(/\s+/) });
  }
  return lines;
}

function parseMessage(path: string, api: Declaration["api"], line: Line, body: Line[]): Message {
  const words = [...line.words];
  const kind = words.shift() as MessageKind;
  let number: number | null = null;
  let name: string;
  if (kind === "request" || kind === "response") {
    if (api === null) throw new DeclarationError(path, line.number, `${kind} without an api`);
    number = api.key;
    name = api.name + (kind === "request" ? "Request" : "Response");
  } else {
    if (kind === "record" || kind === "key" || kind === "value") number = Number(words.shift());
    else if (kind !== "message") throw new DeclarationError(path, line.number, `what is ${kind}?`);
    name = words.shift() ?? "";
  }
  const versions = parseVersions(words.shift() ?? "");
  if (versions === null || !Number.isFinite(versions.max))
    throw new DeclarationError(path, line.number, "which versions?");
  let flexible: Versions | null = versionsNone;
  if (words[0] === "flexible") {
    flexible = parseVersions(words[1] ?? "");
    words.splice(0, 2);
  }
  const isUnstable = words[0] === "unstable";
  if (isUnstable) words.shift();
  if (flexible === null || words.length > 0)
    throw new DeclarationError(path, line.number, `what is ${words.join(" ")}?`);

  const structs = new Map<string, Struct>();
  const root: Struct = { name, typeName: name, fields: [] };
  parseFields({ path, message: name, versions, structs }, root, body, 1);
  return { kind, number, name, versions, flexible, isUnstable, root, structs: [root, ...structs.values()] };
}

interface Scope {
  readonly path: string;
  readonly message: string;
  readonly versions: Versions;
  readonly structs: Map<string, Struct>;
}

function parseFields(scope: Scope, struct: Struct, lines: Line[], depth: number): void {
  for (let index = 0; index < lines.length; ) {
    const line = lines[index]!;
    if (line.depth !== depth)
      throw new DeclarationError(scope.path, line.number, `indented by ${line.depth}, not ${depth}`);
    let next = index + 1;
    while (next < lines.length && lines[next]!.depth > depth) next++;
    struct.fields.push(parseField(scope, line, lines.slice(index + 1, next), depth));
    index = next;
  }
}

function meet(one: Versions, other: Versions): boolean {
  return Math.max(one.min, other.min) <= Math.min(one.max, other.max);
}

function parseField(scope: Scope, line: Line, inner: Line[], depth: number): Field {
  const fail = (what: string): never => {
    throw new DeclarationError(scope.path, line.number, what);
  };
  const [name, type, versionsText, ...words] = line.words;
  const versions = parseVersions(versionsText ?? "");
  if (name === undefined || type === undefined || versions === null) return fail("NAME TYPE VERSIONS");
  if (!meet(versions, scope.versions)) return fail("in no version of the message");
  let nullable = versionsNone;
  let tag: number | null = null;
  let defaultText: string | null = null;
  const flags = { key: false, ignorable: false, plain: false };
  while (words.length > 0) {
    const word = words.shift()!;
    if (word === "null") {
      const range = parseVersions(words[0] ?? "");
      nullable = range ?? versions;
      if (!meet(nullable, scope.versions)) fail("null in no version of the message");
      if (range !== null) words.shift();
    } else if (word === "tag") tag = Number(words.shift());
    else if (word === "=") defaultText = words.shift() ?? fail("= what?");
    else if (word === "key" || word === "ignorable" || word === "plain") flags[word] = true;
    else fail(`what is ${word}?`);
  }
  const isArray = type.endsWith("[]");
  const baseName = isArray ? type.slice(0, -2) : type;
  const base = parseBase(scope, baseName, inner, depth, fail);
  if (defaultText === '""') defaultText = "";
  return {
    name,
    base,
    isArray,
    versions,
    nullable,
    tag,
    default: defaultText,
    isKey: flags.key,
    isIgnorable: flags.ignorable,
    isPlain: flags.plain,
  };
}

function parseBase(
  scope: Scope,
  name: string,
  inner: Line[],
  depth: number,
  fail: (what: string) => never,
): Primitive | Struct {
  if (/^[a-z]/.test(name)) {
    if (!(primitives as readonly string[]).includes(name)) fail(`there is no type ${name}`);
    if (inner.length > 0) fail(`${name} has no fields`);
    return name as Primitive;
  }
  const known = scope.structs.get(name);
  if (known !== undefined) {
    if (inner.length > 0) fail(`${name} is declared above`);
    return known;
  }
  if (inner.length === 0) fail(`${name} has no fields here or above`);
  const struct: Struct = { name, typeName: structTypeName(scope.message, name), fields: [] };
  scope.structs.set(name, struct);
  parseFields(scope, struct, inner, depth + 1);
  return struct;
}
