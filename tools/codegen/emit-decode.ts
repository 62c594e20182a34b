// Decoders: straight down the fields, one object literal at the end, so that every value of a struct has the same shape.
import {
  conditionOf,
  conditionWhenFlexible,
  decodedType,
  defaultCode,
  expressionOf,
  indent,
  localName,
  segmentsOf,
} from "./emit.ts";
import { elementBytesMin, type Field, inVersions, isFlexible, isNullable, type Message, type Struct } from "./model.ts";

export function emitDecode(message: Message): string[] {
  return message.structs.flatMap((struct) => emitStruct(message, struct));
}

function emitStruct(message: Message, struct: Struct): string[] {
  const isRoot = struct === message.root;
  const lines: string[] = [];
  if (isRoot) {
    const { min, max } = message.versions;
    lines.push(`if (version < ${min} || version > ${max}) throw new UnsupportedVersion("${message.name}", version);`);
  }
  for (const field of struct.fields) {
    if (field.tag !== null) lines.push(`let ${localName(field)}: ${decodedType(field)} = ${defaultCode(field)};`);
    else lines.push(...emitField(message, field));
  }
  lines.push(...emitTagged(message, struct));
  const literal = struct.fields.map((field) =>
    localName(field) === field.name ? field.name : `${field.name}: ${localName(field)}`,
  );
  lines.push(`return { ${literal.join(", ")} };`);
  const head = `${isRoot ? "export " : ""}function decode${struct.typeName}(reader: ByteReader, version: number): ${struct.typeName} {`;
  return [head, ...indent(lines), "}", ""];
}

/** A field that is not tagged. */
function emitField(message: Message, field: Field): string[] {
  const name = localName(field);
  const condition = conditionOf(message, field.versions);
  if (!field.isArray) {
    const present = (version: number): boolean => inVersions(field.versions, version);
    const segments = segmentsOf(message, (version) =>
      present(version) ? readCode(message, field, version) : defaultCode(field),
    );
    return [`const ${name}: ${decodedType(field)} = ${expressionOf(segments)};`];
  }
  const fill = emitArray(message, field, name);
  if (condition === null && !isNullable(field)) return [`const ${name}: ${decodedType(field)} = [];`, ...fill];
  const declaration = `let ${name}: ${decodedType(field)} = ${defaultCode(field)};`;
  return condition === null ? [declaration, ...fill] : [declaration, `if (${condition}) {`, ...indent(fill), "}"];
}

function emitArray(message: Message, field: Field, name: string): string[] {
  const segments = segmentsOf(message, (version) => {
    if (!inVersions(field.versions, version)) return "";
    const flexible = isFlexible(message, field, version);
    const nullable = inVersions(field.nullable, version);
    const size = elementBytesMin(message, field, version);
    if (size === 0)
      throw new Error(`${message.name}.${field.name} v${version}: elements without bytes cannot be bounded`);
    const method = `${flexible ? "compact" : ""}${nullable ? "Nullable" : ""}ArrayCount`;
    return `reader.${method.charAt(0).toLowerCase()}${method.slice(1)}(${size})`;
  });
  const count = expressionOf(segments.filter((segment) => segment.code !== ""));
  const push = `${name}.push(${elementCode(message, field)});`;
  if (!isNullable(field)) return [`for (let left = ${count}; left > 0; left--) ${push}`];
  return [
    "{",
    `  const count = ${count};`,
    `  if (count < 0) ${name} = null;`,
    "  else {",
    `    ${name} = [];`,
    `    for (let left = count; left > 0; left--) ${push}`,
    "  }",
    "}",
  ];
}

/** Elements are never null. */
function elementCode(message: Message, field: Field): string {
  const { base } = field;
  if (typeof base !== "string") return `decode${base.typeName}(reader, version)`;
  if (base !== "string" && base !== "bytes" && base !== "records") return `reader.${base}()`;
  const segments = segmentsOf(message, (version) =>
    inVersions(field.versions, version)
      ? `reader.${variableMethod(base, isFlexible(message, field, version), false)}()`
      : "",
  );
  return expressionOf(segments.filter((segment) => segment.code !== ""));
}

/** Code that reads one value at a version. */
function readCode(message: Message, field: Field, version: number): string {
  const { base } = field;
  const nullable = inVersions(field.nullable, version);
  if (typeof base !== "string") {
    const decode = `decode${base.typeName}(reader, version)`;
    return nullable
      ? `reader.${field.tag === null ? "structPresent" : "taggedStructPresent"}() ? ${decode} : null`
      : decode;
  }
  if (base !== "string" && base !== "bytes" && base !== "records") return `reader.${base}()`;
  return `reader.${variableMethod(base, isFlexible(message, field, version), nullable)}()`;
}

function variableMethod(base: "string" | "bytes" | "records", flexible: boolean, nullable: boolean): string {
  const type = base === "string" ? "String" : "Bytes";
  const method = `${flexible ? "compact" : ""}${nullable ? "Nullable" : ""}${type}`;
  return method.charAt(0).toLowerCase() + method.slice(1);
}

function emitTagged(message: Message, struct: Struct): string[] {
  const condition = conditionOf(message, message.flexible);
  if (condition === "false") return [];
  const wrap = (body: string[]): string[] =>
    condition === null ? body : [`if (${condition}) {`, ...indent(body), "}"];
  const tagged = struct.fields.filter((field) => field.tag !== null).sort((one, other) => one.tag! - other.tag!);
  if (tagged.length === 0)
    return condition === null ? ["reader.skipTaggedFields();"] : [`if (${condition}) reader.skipTaggedFields();`];
  const cases: string[] = [];
  for (const field of tagged) {
    const known = conditionWhenFlexible(message, field.versions);
    const body = field.isArray
      ? emitArray(message, field, localName(field))
      : [`${localName(field)} = ${readCode(message, field, message.versions.max)};`];
    const start = field.isArray && !isNullable(field) ? [`${localName(field)} = [];`] : [];
    cases.push(`case ${field.tag}:`);
    // A tag that this version does not have yet is an unknown one.
    if (known !== null)
      cases.push(
        `  if (!(${known})) reader.position = end;`,
        "  else {",
        ...indent([...start, ...body], "    "),
        "  }",
      );
    else cases.push(...indent([...start, ...body]));
    cases.push("  break;");
  }
  return wrap([
    "let tag = -1;",
    "for (let left = reader.taggedFieldCount(); left > 0; left--) {",
    "  tag = reader.taggedFieldTag(tag);",
    "  const end = reader.taggedFieldEnd();",
    "  switch (tag) {",
    ...indent(cases, "    "),
    "    default:",
    "      reader.position = end;",
    "  }",
    "  reader.taggedFieldDone(end, tag);",
    "}",
  ]);
}
