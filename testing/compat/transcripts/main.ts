// npx tsx testing/compat/transcripts/main.ts [--against kafka] [FLOW ...]
// Replays the recorded flows against a broker in a process of its own: ours by its command line, or Apache Kafka, which proves the comparer.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { flowProperties, flows } from "../../transcripts/flows.ts";
import { apisNotServed, knownDifferences } from "../../transcripts/known-differences.ts";
import { findingLines, runFlow } from "../../transcripts/run-flow.ts";
import { ourCommand, startByCommand } from "../runner/broker.ts";
import { startKafka } from "../runner/kafka.ts";

/** The runner starts nodes with static voters, which the recorded broker had not. */
const staticVoters = [
  /finalizedFeatures\[\]: .*kraft\.version/,
  /DescribeQuorum .*replicaDirectoryId/,
  /(AddRaftVoter|RemoveRaftVoter) .*errorCode/,
];

async function main(): Promise<boolean> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { against: { type: "string" } } });
  const isKafka = values.against === "kafka";
  const broker = isKafka
    ? await startKafka({ properties: flowProperties, jvmArguments: ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"] })
    : await startByCommand(ourCommand, { properties: flowProperties });
  const controllerPort = /CONTROLLER:\/\/127\.0\.0\.1:(\d+)/.exec(readFileSync(broker.propertiesFile, "utf8"))?.[1];
  const client = Number(broker.bootstrap.split(":")[1]);
  const target = isKafka
    ? { client, controller: Number(controllerPort) }
    : { client, apisSkipped: new Set(Object.values(apisNotServed).flat()) };
  let isClean = true;
  try {
    for (const flow of flows) {
      if (positionals.length > 0 && !positionals.includes(flow.name)) continue;
      const report = await runFlow(flow, target);
      const known = knownDifferences.filter((each) => each.flow === flow.name).map((each) => each.where);
      const expected = [...staticVoters, ...known];
      const lines = findingLines(report).filter((line) => !expected.some((each) => each.test(line)));
      isClean &&= lines.length === 0;
      const { answers, fields } = report;
      process.stdout.write(`${flow.name}: ${answers} answers, ${fields} values, ${lines.length} differences\n`);
      for (const line of lines) process.stdout.write(`  ${line}\n`);
    }
  } finally {
    await broker.stop();
  }
  return isClean;
}

process.exitCode = (await main()) ? 0 : 1;
