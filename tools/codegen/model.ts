// What a declaration means: messages, structs, fields, and the versions each is in. Decides nothing about the code that comes of it.

/** An inclusive range. `none` is empty. */
export interface Versions {
  readonly min: number;
  readonly max: number;
}
export const versionsNone: Versions = { min: 0, max: -1 };

export function inVersions(versions: Versions, version: number): boolean {
  return version >= versions.min && version <= versions.max;
}

export function parseVersions(text: string): Versions | null {
  const match = /^(\d+)(?:(\+)|-(\d+))?$/.exec(text);
  if (match === null) return null;
  const min = Number(match[1]);
  return { min, max: match[2] === "+" ? Number.POSITIVE_INFINITY : match[3] === undefined ? min : Number(match[3]) };
}

export function printVersions({ min, max }: Versions): string {
  if (max < min) return "none";
  return max === Number.POSITIVE_INFINITY ? `${min}+` : max === min ? `${min}` : `${min}-${max}`;
}

export const primitives = [
  "bool",
  "int8",
  "int16",
  "uint16",
  "int32",
  "uint32",
  "int64",
  "float64",
  "string",
  "uuid",
  "bytes",
  "records",
] as const;
export type Primitive = (typeof primitives)[number];

export interface Field {
  readonly name: string;
  /** A primitive, or a struct of the same message. */
  readonly base: Primitive | Struct;
  readonly isArray: boolean;
  readonly versions: Versions;
  readonly nullable: Versions;
  readonly tag: number | null;
  /** As declared; null where nothing was declared, "null" where null was. */
  readonly default: string | null;
  readonly isKey: boolean;
  readonly isIgnorable: boolean;
  /** Keeps the plain encoding in flexible versions: the client id of a request header. */
  readonly isPlain: boolean;
}

export interface Struct {
  /** Its name in the declaration. */
  readonly name: string;
  /** Its name in TypeScript. */
  readonly typeName: string;
  readonly fields: Field[];
}

export type MessageKind = "request" | "response" | "message" | "record" | "key" | "value";

export interface Message {
  readonly kind: MessageKind;
  /** The API key, or the record type's number. */
  readonly number: number | null;
  readonly name: string;
  readonly versions: Versions;
  readonly flexible: Versions;
  /** The newest version may still change. */
  readonly isUnstable: boolean;
  readonly root: Struct;
  /** All structs, the root first, each once, in order of first use. */
  readonly structs: readonly Struct[];
}

export interface Declaration {
  /** The path below `messages/` without its ending: `01-fetch`, `metadata/02-topic`. */
  readonly path: string;
  readonly api: { readonly key: number; readonly name: string; readonly listeners: readonly string[] } | null;
  readonly messages: readonly Message[];
}

/**
 * A struct's TypeScript name: the message's name before its own, unless its own already begins so. Every name is thereby
 * its own, whatever messages are added later.
 */
export function structTypeName(message: string, struct: string): string {
  return struct.startsWith(message) ? struct : message + struct;
}

/** The smallest size of a value of the field at a version, in bytes, tags left out. */
export function fieldBytesMin(message: Message, field: Field, version: number): number {
  const flexible = isFlexible(message, field, version);
  if (field.isArray) return flexible ? 1 : 4;
  return elementBytesMin(message, field, version);
}

/** The smallest size of one element of an array, or of the value itself. */
export function elementBytesMin(message: Message, field: Field, version: number): number {
  const flexible = isFlexible(message, field, version);
  const { base } = field;
  if (typeof base !== "string") {
    return !field.isArray && inVersions(field.nullable, version) ? 1 : structBytesMin(message, base, version);
  }
  const fixed = fixedBytes(base);
  if (fixed !== null) return fixed;
  return flexible ? 1 : base === "string" ? 2 : 4;
}

export function structBytesMin(message: Message, struct: Struct, version: number): number {
  let size = inVersions(message.flexible, version) ? 1 : 0;
  for (const field of struct.fields) {
    if (field.tag === null && inVersions(field.versions, version)) size += fieldBytesMin(message, field, version);
  }
  return size;
}

/** The size of a primitive whose size never varies. */
export function fixedBytes(base: Primitive): number | null {
  switch (base) {
    case "bool":
    case "int8":
      return 1;
    case "int16":
    case "uint16":
      return 2;
    case "int32":
    case "uint32":
      return 4;
    case "int64":
    case "float64":
      return 8;
    case "uuid":
      return 16;
    default:
      return null;
  }
}

export function isFlexible(message: Message, field: Field, version: number): boolean {
  return !field.isPlain && inVersions(message.flexible, version);
}

/** Null in some version of the message. */
export function isNullable(field: Field): boolean {
  return field.nullable.max >= field.nullable.min;
}

/** May be left out when a message is given for encoding. */
export function isOptional(message: Message, field: Field): boolean {
  return (
    field.default !== null ||
    field.tag !== null ||
    field.isIgnorable ||
    field.versions.min > message.versions.min ||
    field.versions.max < message.versions.max
  );
}
