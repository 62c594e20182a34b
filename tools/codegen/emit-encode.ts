// Encoders: straight down the fields. What is left out has its default; a value that the version cannot carry is refused, unless the
// field is ignorable.
import {
  conditionNotOf,
  conditionOf,
  conditionWhenFlexible,
  defaultCode,
  elementType,
  hasStructDefault,
  indent,
  localName,
  segmentsOf,
  statementsOf,
} from "./emit.ts";
import {
  type Field,
  fixedBytes,
  inVersions,
  isFlexible,
  isNullable,
  isOptional,
  type Message,
  type Struct,
} from "./model.ts";

export function emitEncode(message: Message): string[] {
  const defaults = structsWithDefaultTest(message);
  return message.structs.flatMap((struct) => [
    ...emitStruct(message, struct),
    ...(defaults.has(struct) ? emitDefaultTest(message, struct) : []),
  ]);
}

function emitStruct(message: Message, struct: Struct): string[] {
  const isRoot = struct === message.root;
  const lines: string[] = [];
  if (isRoot) {
    const { min, max } = message.versions;
    lines.push(`if (version < ${min} || version > ${max}) throw new UnsupportedVersion("${message.name}", version);`);
  }
  for (const field of struct.fields) {
    lines.push(`const ${localName(field)} = ${valueCode(message, field)};`);
    lines.push(...emitLacking(message, field));
    if (field.tag === null) lines.push(...emitField(message, field));
  }
  lines.push(...emitTagged(message, struct));
  const head = `${isRoot ? "export " : ""}function encode${struct.typeName}(writer: ByteWriter, message: ${struct.typeName}Init, version: number): void {`;
  return [head, ...indent(lines), "}", ""];
}

/** The value that is given, or its default. A struct's default stays `undefined`: it is written only where it has to be. */
function valueCode(message: Message, field: Field): string {
  const given = `message.${field.name}`;
  if (!isOptional(message, field)) return given;
  if (hasStructDefault(field))
    return mustWriteDefault(message, field) ? `${given} ?? empty${elementType(field.base)}()` : given;
  if (field.default === "null") return `${given} ?? null`;
  const fallback = field.isArray ? "[]" : defaultCode(field);
  return isNullable(field) ? `${given} === undefined ? ${fallback} : ${given}` : `${given} ?? ${fallback}`;
}

/** An optional struct that is not tagged must stand on the wire even when it was left out. */
function mustWriteDefault(_message: Message, field: Field): boolean {
  return field.tag === null;
}

/** Refuses a value that the version cannot carry. */
function emitLacking(message: Message, field: Field): string[] {
  if (field.isIgnorable) return [];
  const lacking = conditionNotOf(message, field.versions);
  if (lacking === null) return [];
  const test = notDefaultCode(field);
  return [
    `if (${lacking} && ${test.includes("||") ? `(${test})` : test}) throw new UnsupportedVersion("${message.name}", version, "${field.name}");`,
  ];
}

/** True where the local variable holds something else than the default. */
function notDefaultCode(field: Field): string {
  const name = localName(field);
  const { base } = field;
  if (field.default === "null") return `${name} !== null`;
  const orNull = isNullable(field) ? `${name} === null || ` : "";
  if (field.isArray || base === "bytes") return `${orNull}${name}.length !== 0`;
  if (base === "records") return `${orNull}!isEmptyRecords(${name})`;
  if (typeof base !== "string")
    return `${name} !== undefined && ${orNull === "" ? `!isDefault${base.typeName}(${name})` : `(${orNull}!isDefault${base.typeName}(${name}))`}`;
  // Loose, since an int64 may be given as a number.
  if (base === "int64") return `${name} != ${defaultCode(field)}`;
  if (base === "bool") return field.default === "true" ? `!${name}` : name;
  return `${name} !== ${defaultCode(field)}`;
}

/** Writes a field that is not tagged. */
function emitField(message: Message, field: Field): string[] {
  const name = localName(field);
  const nullTest = emitNullTest(message, field);
  if (!field.isArray) {
    const segments = segmentsOf(message, (version) =>
      inVersions(field.versions, version) ? writeCode(message, field, version) : "",
    );
    return [...nullTest, ...statementsOf(segments)];
  }
  const body = emitArray(message, field, name);
  const condition = conditionOf(message, field.versions);
  const lines = condition === null ? body : [`if (${condition}) {`, ...indent(body), "}"];
  return [...nullTest, ...lines];
}

/** Refuses null in versions where only newer or older ones have it. */
function emitNullTest(message: Message, field: Field): string[] {
  if (!isNullable(field)) return [];
  const segments = segmentsOf(message, (version) =>
    inVersions(field.versions, version) && !inVersions(field.nullable, version) ? "x" : "",
  );
  const refused = segments.filter((segment) => segment.code !== "");
  if (refused.length === 0) return [];
  const tests = refused.map(({ from, to }) => conditionOf(message, { min: from, max: to }));
  return [
    `if (${localName(field)} === null && ${tests.join(" || ")}) throw new UnsupportedVersion("${message.name}", version, "${field.name}", "null");`,
  ];
}

function emitArray(message: Message, field: Field, name: string): string[] {
  const nullable = isNullable(field);
  const length = nullable ? `${name} === null ? -1 : ${name}.length` : `${name}.length`;
  const segments = segmentsOf(message, (version) => {
    if (!inVersions(field.versions, version)) return "";
    return isFlexible(message, field, version)
      ? `writer.compactArrayCount(${length});`
      : `writer.arrayCount(${length});`;
  }).filter((segment) => segment.code !== "");
  const loop = `for (const element of ${name}) ${elementCode(message, field)}`;
  return [...statementsOf(segments), nullable ? `if (${name} !== null) ${loop}` : loop];
}

function elementCode(message: Message, field: Field): string {
  const { base } = field;
  if (typeof base !== "string") return `encode${base.typeName}(writer, element, version);`;
  if (fixedBytes(base) !== null) return `writer.${base}(element);`;
  const segments = segmentsOf(message, (version) => {
    if (!inVersions(field.versions, version)) return "";
    return `writer.${variableMethod(base, isFlexible(message, field, version), false)}(element);`;
  }).filter((segment) => segment.code !== "");
  const statements = statementsOf(segments);
  return statements.length === 1 ? statements[0]! : `{ ${statements.join(" ")} }`;
}

/** A statement that writes one value at a version. */
function writeCode(message: Message, field: Field, version: number): string {
  const name = localName(field);
  const { base } = field;
  // Where this version has no null, the test before has refused it; the assertion only tells the compiler.
  const nullable = inVersions(field.nullable, version);
  const value = isNullable(field) && !nullable ? `${name}!` : name;
  if (typeof base !== "string") {
    if (!nullable) return `encode${base.typeName}(writer, ${value}, version);`;
    const method = field.tag === null ? "structPresent" : "taggedStructPresent";
    return `if (${name} === null) writer.${method}(false); else { writer.${method}(true); encode${base.typeName}(writer, ${name}, version); }`;
  }
  if (fixedBytes(base) !== null) return `writer.${base}(${value});`;
  return `writer.${variableMethod(base, isFlexible(message, field, version), nullable)}(${value});`;
}

function variableMethod(base: string, flexible: boolean, nullable: boolean): string {
  const method = `${flexible ? "compact" : ""}${nullable ? "Nullable" : ""}${base.charAt(0).toUpperCase()}${base.slice(1)}`;
  return method.charAt(0).toLowerCase() + method.slice(1);
}

function emitTagged(message: Message, struct: Struct): string[] {
  const condition = conditionOf(message, message.flexible);
  if (condition === "false") return [];
  const tagged = struct.fields.filter((field) => field.tag !== null).sort((one, other) => one.tag! - other.tag!);
  if (tagged.length === 0) return [condition === null ? "writer.int8(0);" : `if (${condition}) writer.int8(0);`];
  const lines: string[] = [];
  const flags: string[] = [];
  for (const field of tagged) {
    const known = conditionWhenFlexible(message, field.versions);
    const test = notDefaultCode(field);
    const flag = `has${field.name.charAt(0).toUpperCase()}${field.name.slice(1)}`;
    flags.push(flag);
    const grouped = test.includes("||") && known !== null ? `(${test})` : test;
    lines.push(`const ${flag} = ${known === null ? grouped : `${known} && ${grouped}`};`);
  }
  lines.push(`writer.unsignedVarint(${flags.map((flag) => `(${flag} ? 1 : 0)`).join(" + ")});`);
  for (const [index, field] of tagged.entries()) lines.push(...emitTaggedField(message, field, flags[index]!));
  return condition === null ? lines : [`if (${condition}) {`, ...indent(lines), "}"];
}

function emitTaggedField(message: Message, field: Field, flag: string): string[] {
  const { base } = field;
  const fixed = typeof base === "string" && !field.isArray ? fixedBytes(base) : null;
  if (fixed !== null) {
    const write = `writer.unsignedVarint(${field.tag}); writer.unsignedVarint(${fixed}); writer.${base as string}(${localName(field)});`;
    return [`if (${flag}) { ${write} }`];
  }
  const body = field.isArray
    ? emitArray(message, field, localName(field))
    : [writeCode(message, field, message.versions.max)];
  return [
    `if (${flag}) {`,
    `  const begin = writer.taggedFieldBegin(${field.tag});`,
    ...indent(body),
    "  writer.taggedFieldEnd(begin);",
    "}",
  ];
}

/** Structs whose being default decides something: tagged ones, and ones that a version lacks. */
function structsWithDefaultTest(message: Message): Set<Struct> {
  const needed = new Set<Struct>();
  const add = (struct: Struct): void => {
    if (needed.has(struct)) return;
    needed.add(struct);
    for (const field of struct.fields) if (hasStructDefault(field)) add(field.base as Struct);
  };
  for (const struct of message.structs) {
    for (const field of struct.fields) {
      if (!hasStructDefault(field)) continue;
      const isLacking = conditionNotOf(message, field.versions) !== null && !field.isIgnorable;
      if (field.tag !== null || isLacking) add(field.base as Struct);
    }
  }
  return needed;
}

function emitDefaultTest(message: Message, struct: Struct): string[] {
  const lines: string[] = [];
  for (const field of struct.fields) {
    const name = localName(field);
    lines.push(`const ${name} = ${hasStructDefault(field) ? `message.${field.name}` : valueCode(message, field)};`);
    lines.push(`if (${notDefaultCode(field)}) return false;`);
  }
  return [
    `function isDefault${struct.typeName}(message: ${struct.typeName}Init): boolean {`,
    ...indent(lines),
    "  return true;",
    "}",
    "",
  ];
}
