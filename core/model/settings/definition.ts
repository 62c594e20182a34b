// How a setting is declared: Kafka's name, type, default, bound and importance. Declares and checks single values; knows no file, no
// source and no rule between two settings.
import type { Validator } from "./validators.ts";
import { javaDoubleText, longNumber } from "./value.ts";

export type SettingType = "BOOLEAN" | "INT" | "LONG" | "SHORT" | "DOUBLE" | "STRING" | "LIST" | "CLASS" | "PASSWORD";
export type Importance = "HIGH" | "MEDIUM" | "LOW";
export const high = "HIGH" as const;
export const medium = "MEDIUM" as const;
export const low = "LOW" as const;

/**
 * One setting. `Value` is what a reader gets: null only where Kafka's default is null.
 * A LONG is a number: what lies beyond ±(2^53 − 1) is held at that bound, its text stays exact.
 */
export interface Definition<Value = unknown> {
  readonly type: SettingType;
  readonly importance: Importance;
  /** Must be given; `defaultValue` and `defaultText` are then null. */
  readonly required: boolean;
  readonly defaultValue: Value;
  /** As DescribeConfigs spells it; null for a null default. */
  readonly defaultText: string | null;
  readonly valid: Validator | null;
  /** Of Kafka's own use (its tests, mostly): accepted, and left out of the documents. */
  readonly internal: boolean;
}

export type Definitions = Readonly<Record<string, Definition>>;
export type ValueOf<D> = D extends Definition<infer Value> ? Value : never;

/** In place of a default: the setting must be given. */
export const required = Symbol("required");
type Required = typeof required;

function declared<Value>(
  type: SettingType,
  importance: Importance,
  valid: Validator | undefined,
  defaultValue: unknown,
  defaultText: string | null,
): Definition<Value> {
  const isRequired = defaultValue === required;
  return {
    type,
    importance,
    required: isRequired,
    defaultValue: (isRequired ? null : defaultValue) as Value,
    defaultText: isRequired ? null : defaultText,
    valid: valid ?? null,
    internal: false,
  };
}

export function bool(fallback: boolean, importance: Importance): Definition<boolean> {
  return declared("BOOLEAN", importance, undefined, fallback, String(fallback));
}

function whole(type: "INT" | "LONG" | "SHORT") {
  function declare(fallback: number | bigint | Required, importance: Importance, valid?: Validator): Definition<number>;
  function declare(fallback: null, importance: Importance, valid?: Validator): Definition<number | null>;
  function declare(fallback: number | bigint | null | Required, importance: Importance, valid?: Validator): Definition {
    const text = fallback === null || fallback === required ? null : String(fallback);
    const value = typeof fallback === "bigint" ? longNumber(fallback) : fallback;
    return declared(type, importance, valid, value, text);
  }
  return declare;
}
export const int = whole("INT");
export const long = whole("LONG");
export const short = whole("SHORT");

export function double(fallback: number, importance: Importance, valid?: Validator): Definition<number> {
  return declared("DOUBLE", importance, valid, fallback, javaDoubleText(fallback));
}

function text(type: "STRING" | "CLASS" | "PASSWORD") {
  function declare(fallback: string | Required, importance: Importance, valid?: Validator): Definition<string>;
  function declare(fallback: null, importance: Importance, valid?: Validator): Definition<string | null>;
  function declare(fallback: string | null | Required, importance: Importance, valid?: Validator): Definition {
    return declared(type, importance, valid, fallback, fallback === required ? null : fallback);
  }
  return declare;
}
export const string = text("STRING");
export const className = text("CLASS");
export const password = text("PASSWORD");

export function list(
  fallback: readonly string[] | Required,
  importance: Importance,
  valid?: Validator,
): Definition<readonly string[]>;
export function list(fallback: null, importance: Importance, valid?: Validator): Definition<readonly string[] | null>;
export function list(
  fallback: readonly string[] | null | Required,
  importance: Importance,
  valid?: Validator,
): Definition {
  return declared("LIST", importance, valid, fallback, Array.isArray(fallback) ? fallback.join(",") : null);
}

export function internal<Value>(definition: Definition<Value>): Definition<Value> {
  return { ...definition, internal: true };
}

/** Keeps the names as literal types. */
export function define<const D extends Definitions>(definitions: D): D {
  return definitions;
}

/** Never shown: in answers to DescribeConfigs, in logs, in documents. */
export function isSensitive(definition: Definition): boolean {
  return definition.type === "PASSWORD";
}
