// npx tsx testing/compat/data-dirs/main.ts [--against kafka]
// Opens Apache Kafka's data directory by a broker in a process of its own and compares what a client sees: ours by its command line, or Apache
// Kafka, which proves the comparison. Only the directory with static voters, which is what the runner's settings say.
import { isDeepStrictEqual, parseArgs } from "node:util";
import { openArchive } from "../../data-dirs/archive.ts";
import { readExpected } from "../../data-dirs/expected.ts";
import { observeConfigs, observePartition } from "../../data-dirs/observe.ts";
import { WireConnection } from "../../wire/index.ts";
import { ourCommand, startByCommand } from "../runner/broker.ts";
import { startKafka } from "../runner/kafka.ts";

const name = "data-killed";
const topicResource = 2;
const topicConfigSource = 1;
/** Apache Kafka answers before it has unfenced itself and taken up its partitions. */
const settleMs = 3000;

async function main(): Promise<boolean> {
  const { values } = parseArgs({ options: { against: { type: "string" } } });
  const archive = openArchive(name);
  const { dataDirectory: dataDir } = archive;
  // The runner names the voters by its own port.
  const { "controller.quorum.voters": _voters, ...properties } = archive.properties;
  const expected = readExpected(name);
  const broker =
    values.against === "kafka"
      ? await startKafka({ dataDir, properties })
      : await startByCommand(ourCommand, { dataDir, properties });
  let isClean = true;
  try {
    await new Promise((wake) => setTimeout(wake, settleMs));
    const connection = await WireConnection.open(Number(broker.bootstrap.split(":")[1]));
    for (const [topic, one] of Object.entries(expected.topics)) {
      const configs = await observeConfigs(connection, topicResource, topic, topicConfigSource);
      let isSame = isDeepStrictEqual(configs, one.dynamicConfigs);
      for (const partition of one.partitions) {
        const observed = await observePartition(connection, topic, one, partition);
        // Leader epochs rise at a restart.
        const { latestOffsetLeaderEpoch } = partition;
        isSame &&= isDeepStrictEqual({ ...observed, latestOffsetLeaderEpoch }, partition);
      }
      isClean &&= isSame;
      process.stdout.write(`${topic}: ${isSame ? "as before" : "DIFFERENT"}\n`);
    }
    connection.destroy();
  } finally {
    await broker.stop();
    archive.remove();
  }
  return isClean;
}

process.exitCode = (await main()) ? 0 : 1;
