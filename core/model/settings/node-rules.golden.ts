// Combinations of settings that Kafka's own KafkaConfig was asked about: we take and refuse the same ones.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseBrokerSettings } from "./broker-settings.ts";

interface Asked {
  readonly set: Record<string, string>;
  readonly taken: boolean;
  readonly kafka?: string;
}
const asked = readFileSync(new URL("testdata/node-rules.golden.jsonl", import.meta.url), "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line) as Asked);

/** Kafka finds a missing authorizer class at start only; we say so at once. */
const stricter = new Set(["com.example.Missing"]);

test.each(asked.map((one, index) => ({ ...one, index })))("combination $index", ({ set, taken, kafka }) => {
  const outcome = parseBrokerSettings(set);
  const told = outcome.ok ? "" : outcome.problems.map(({ message }) => message).join("\n");
  const expected = taken && !stricter.has(set["authorizer.class.name"] ?? "");
  expect(outcome.ok, `${JSON.stringify(set)}\nKafka: ${kafka ?? "taken"}\nours: ${told}`).toBe(expected);
});
