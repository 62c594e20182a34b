// What Kafka's own clients said to Apache Kafka, said to this broker: each answer must be Apache Kafka's, field by field.
import { readdirSync } from "node:fs";
import { ApiKey, apiVersionsOffered } from "@blumfeld/core/protocol";
import { startBroker } from "blumfeld";
import { expect, test } from "vitest";
import { missingShared, sharedPath } from "../shared.ts";
import { WireConnection } from "../wire/index.ts";
import { flowProperties, flows, flowsSkipped } from "./flows.ts";
import { apisNotServed, knownDifferences } from "./known-differences.ts";
import { findingLines, runFlow } from "./run-flow.ts";

test.skipIf(missingShared)("every recorded flow is replayed, or skipped by name", () => {
  const recorded = readdirSync(sharedPath("protocol/transcripts")).map((file) => file.replace(/\.jsonl$/, ""));
  expect([...flows.map((flow) => flow.name), ...Object.keys(flowsSkipped)].sort()).toEqual(recorded.sort());
});

const apisListed = Object.values(apisNotServed).flat();

/** What Apache Kafka offers its clients and this broker does not. */
async function apisMissing(port: number): Promise<ReadonlySet<number>> {
  const connection = await WireConnection.open(port);
  const { apiKeys } = await connection.ask(ApiKey.ApiVersions, 0, {});
  connection.destroy();
  const served = new Set(apiKeys.map((each) => each.apiKey));
  const offered = apiVersionsOffered({ listener: "broker" }).map((each) => each.apiKey);
  return new Set(offered.filter((key) => !served.has(key)));
}

test("what Apache Kafka offers is served, but for what is named", async () => {
  await using broker = await startBroker({ storage: "memory", port: 0 });
  const missing = await apisMissing(broker.port);
  expect([...missing].filter((key) => !apisListed.includes(key))).toEqual([]);
});

test.skipIf(missingShared).each(flows)("$name", async (flow) => {
  await using broker = await startBroker({ storage: "memory", port: 0, properties: flowProperties });
  const apisSkipped = await apisMissing(broker.port);
  const report = await runFlow(flow, { client: broker.port, controller: broker.controllerPort, apisSkipped });
  const known = knownDifferences.filter((each) => each.flow === flow.name);
  const lines = findingLines(report);
  const isKnown = (line: string): boolean => known.some(({ where }) => where.test(line));
  expect(lines.filter((line) => !isKnown(line))).toEqual([]);
  const gone = known.filter(({ where }) => !lines.some((line) => where.test(line)));
  expect(gone.map(({ where, why }) => `${where}: ${why}`)).toEqual([]);
  expect(report.answers).toBeGreaterThan(5);
  expect(report.fields).toBeGreaterThan(report.answers);
});

test.each(Object.entries(flowsSkipped))("%s waits for: %s", { skip: true }, () => {});
