// Values of every message at every version, written by Kafka's own codecs: ours must read them to the same value and write the same bytes.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { missingShared, sharedPath } from "../../testing/shared.ts";
import { ByteReader, ByteWriter } from "../base/index.ts";
import * as protocol from "./index.ts";

interface Vector {
  readonly name: string;
  readonly version: number;
  readonly hex: string;
  readonly value: Json;
}
type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

type Decode = (reader: ByteReader, version: number) => Record<string, unknown>;
type Encode = (writer: ByteWriter, message: unknown, version: number) => void;

const exported = protocol as unknown as Record<string, unknown>;
const vectorCount = 2184;

/** The vector's value with the types of the decoded one: it names int64 and bytes as text. */
function typed(json: Json, decoded: unknown): unknown {
  if (typeof decoded === "bigint") return BigInt(json as string);
  if (Buffer.isBuffer(decoded)) return Buffer.from(json as string, "base64");
  if (Array.isArray(decoded)) return (json as Json[]).map((element, index) => typed(element, decoded[index]));
  if (typeof decoded === "object" && decoded !== null) {
    const fields = decoded as Record<string, unknown>;
    return Object.fromEntries(
      Object.entries(json as object).map(([name, value]) => [name, typed(value, fields[name])]),
    );
  }
  return json;
}

/** Only what the vector names: what its version lacks, or what it left out, is judged by the bytes. */
function onlyNamed(decoded: unknown, json: Json): unknown {
  if (Array.isArray(decoded) && Array.isArray(json))
    return decoded.map((element, index) => onlyNamed(element, json[index]!));
  if (typeof decoded === "object" && decoded !== null && !Buffer.isBuffer(decoded) && json !== null) {
    const fields = decoded as Record<string, unknown>;
    return Object.fromEntries(
      Object.entries(json as object).map(([name, value]) => [name, onlyNamed(fields[name], value)]),
    );
  }
  return decoded;
}

describe.skipIf(missingShared)("vectors of Kafka's codecs", () => {
  const vectors: Vector[] = missingShared
    ? []
    : readFileSync(sharedPath("protocol/messages.jsonl"), "utf8")
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line));
  const byName = new Map<string, Vector[]>();
  for (const vector of vectors) byName.set(vector.name, [...(byName.get(vector.name) ?? []), vector]);

  test("all are here", () => expect(vectors.length).toBe(vectorCount));

  test.each([...byName.keys()])("%s", (name) => {
    const decode = exported[`decode${name}`] as Decode;
    const encode = exported[`encode${name}`] as Encode;
    const bytesOf = (message: unknown, version: number): string => {
      const writer = new ByteWriter(16);
      encode(writer, message, version);
      return writer.finishContiguous().toString("hex");
    };
    for (const { version, hex, value } of byName.get(name)!) {
      const reader = new ByteReader(Buffer.from(hex, "hex"));
      const decoded = decode(reader, version);
      expect(reader.rest).toBe(0);
      const given = typed(value, decoded);
      expect(onlyNamed(decoded, value)).toEqual(given);
      expect(bytesOf(decoded, version)).toBe(hex);
      expect(bytesOf(given, version)).toBe(hex);
    }
  });
});
