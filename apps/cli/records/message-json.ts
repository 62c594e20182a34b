// A record as one line of JSON that loses nothing, and back. Bytes that are UTF-8 are text, others `{"base64": "…"}`, null is null; headers
// are pairs in their order. What `blum consume --json` writes, `blum produce --input json` takes.
import { isUtf8 } from "node:buffer";
import type { Message, ProducerRecord } from "@blumfeld/client";
import { CliFailure } from "../failure.ts";

type JsonBytes = string | null | { readonly base64: string };

function bytesToJson(bytes: Buffer | null): JsonBytes {
  if (bytes === null) return null;
  return isUtf8(bytes) ? bytes.toString("utf8") : { base64: bytes.toString("base64") };
}

export function messageToJson(message: Message): string {
  return JSON.stringify({
    topic: message.topic,
    partition: message.partition,
    offset: message.offset,
    timestamp: message.timestamp,
    key: bytesToJson(message.key),
    value: bytesToJson(message.value),
    headers: message.headers.map(({ key, value }) => [key, bytesToJson(value)]),
  });
}

function refuse(line: number, complaint: string): never {
  throw new CliFailure(
    `line ${line}: ${complaint}`,
    'a line is as {"key":"k","value":"v","headers":[["name","value"]],"partition":0,"timestamp":1700000000000}; all may be left out',
  );
}

/** Objects and numbers as values are kept as their JSON: `{"value":{"id":1}}` is what a person means. */
function bytesFromJson(value: unknown, name: string, line: number): string | Buffer | null | undefined {
  if (value === undefined || value === null || typeof value === "string") return value;
  if (typeof value === "object" && "base64" in value && Object.keys(value).length === 1) {
    const { base64 } = value as { base64: unknown };
    if (typeof base64 !== "string" || !/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) refuse(line, `${name} has no base 64`);
    return Buffer.from(base64, "base64");
  }
  return JSON.stringify(value);
}

function headersFromJson(headers: unknown, line: number): [string, string | Buffer | null][] | undefined {
  if (headers === undefined || headers === null) return undefined;
  const pairs: unknown[] = Array.isArray(headers) ? headers : Object.entries(headers as object);
  return pairs.map((pair) => {
    if (!Array.isArray(pair) || pair.length !== 2 || typeof pair[0] !== "string") refuse(line, "headers are not pairs");
    return [pair[0], bytesFromJson(pair[1], `header ${pair[0]}`, line) ?? null];
  });
}

function wholeNumber(value: unknown, name: string, line: number): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (!Number.isSafeInteger(value) || (value as number) < 0) refuse(line, `${name} is not a whole number from 0`);
  return value as number;
}

/** `topic` is where the line goes when it names none; a line's own topic, offset aside, is left to the command's. */
export function recordFromJson(bytes: Buffer, topic: string, line: number): ProducerRecord {
  let parsed: unknown;
  try {
    parsed = JSON.parse(bytes.toString("utf8"));
  } catch (error) {
    refuse(line, `not JSON: ${(error as Error).message}`);
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) refuse(line, "not a JSON object");
  const fields = parsed as Readonly<Record<string, unknown>>;
  return {
    topic,
    key: bytesFromJson(fields.key, "key", line) ?? null,
    value: bytesFromJson(fields.value, "value", line) ?? null,
    headers: headersFromJson(fields.headers, line),
    partition: wholeNumber(fields.partition, "partition", line),
    timestamp: wholeNumber(fields.timestamp, "timestamp", line),
  };
}
