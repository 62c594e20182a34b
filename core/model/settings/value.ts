// One value of a setting: from its text, to its text. The texts are those that Kafka's own tools show and accept.
import type { SettingType } from "./definition.ts";

export type SettingValue = boolean | number | string | readonly string[] | null;

const longMin = -(2n ** 63n);
const longMax = 2n ** 63n - 1n;
/** Kafka's Long.MAX_VALUE, which it uses for "never" and "without end". */
export const longUnbounded = longMax;

const wholeBounds = {
  SHORT: { minimum: -32768n, maximum: 32767n, what: "a whole number from -32768 to 32767" },
  INT: { minimum: -(2n ** 31n), maximum: 2n ** 31n - 1n, what: "a whole number from -2147483648 to 2147483647" },
  LONG: { minimum: longMin, maximum: longMax, what: "a whole number of 64 bits" },
} as const;

/** Exact where a number is; the nearest safe integer beyond. */
export function longNumber(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) return Number.MAX_SAFE_INTEGER;
  if (value < BigInt(Number.MIN_SAFE_INTEGER)) return Number.MIN_SAFE_INTEGER;
  return Number(value);
}

export type ParsedValue =
  | { readonly ok: true; readonly value: SettingValue; readonly text: string }
  | { readonly ok: false; readonly complaint: string; readonly nextStep: string };

/** `text` is what DescribeConfigs answers for the value: trimmed, numbers and booleans in their plain form, lists without spaces. */
export function parseValue(type: SettingType, written: string): ParsedValue {
  const trimmed = written.trim();
  switch (type) {
    case "BOOLEAN": {
      const lower = trimmed.toLowerCase();
      if (lower === "true" || lower === "false") return { ok: true, value: lower === "true", text: lower };
      return { ok: false, complaint: "is neither true nor false", nextStep: "write true or false" };
    }
    case "SHORT":
    case "INT":
    case "LONG": {
      const { minimum, maximum, what } = wholeBounds[type];
      const exact = /^[+-]?\d{1,20}$/.test(trimmed) ? BigInt(trimmed.replace(/^\+/, "")) : null;
      if (exact === null || exact < minimum || exact > maximum)
        return { ok: false, complaint: `is not ${what}`, nextStep: "write digits without unit or fraction" };
      return { ok: true, value: longNumber(exact), text: String(exact) };
    }
    case "DOUBLE": {
      if (/^[+-]?(NaN|Infinity)$/.test(trimmed)) {
        const value = Number(trimmed.replace(/^[+-](?=NaN)/, ""));
        return { ok: true, value, text: javaDoubleText(value) };
      }
      const value = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[dDfF]?$/.test(trimmed)
        ? Number(trimmed.replace(/[dDfF]$/, ""))
        : Number.NaN;
      if (Number.isNaN(value)) return { ok: false, complaint: "is not a number", nextStep: "write it as 0.5" };
      return { ok: true, value, text: javaDoubleText(value) };
    }
    case "LIST": {
      const items = trimmed === "" ? [] : trimmed.split(/\s*,\s*/);
      return { ok: true, value: items, text: items.join(",") };
    }
    case "STRING":
    case "CLASS":
    case "PASSWORD":
      return { ok: true, value: trimmed, text: trimmed };
  }
}

/** A double as Java prints it: `0.5`, `1.0`, `1.0E10`, `1.7976931348623157E308`. */
export function javaDoubleText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e7) {
    const plain = String(value);
    return plain.includes(".") ? plain : `${plain}.0`;
  }
  const [digits = "0", exponent = "0"] = value.toExponential().split("e");
  return `${digits.includes(".") ? digits : `${digits}.0`}E${Number(exponent)}`;
}
