// `npm run demo`: a broker in this process, twenty thousand real flights in and out again, and what they tell. With --bootstrap it does the
// same on any Kafka cluster. Exits with 1 when a record is lost, repeated, changed or out of order.
import { Admin, Consumer, Producer, type ProducerRecord } from "@blumfeld/client";
import { Command, CommanderError } from "commander";
import { colors, errorColors } from "../colors.ts";
import { tellFailure } from "../failure.ts";
import { exitCode, processIo } from "../io.ts";
import { textTable } from "../text-table.ts";
import { AirportTally } from "./airports.ts";
import { departureMs, type Flight, readFlights } from "./flights.ts";
import { Proof, type Sent } from "./proof.ts";

interface DemoFlags {
  readonly bootstrap?: string;
  readonly keep?: boolean;
  readonly json?: boolean;
}

const partitionCount = 6;
const shownDay = "2001-02-14";
const dayMs = 86_400_000;
const airportsShown = 8;

interface Rate {
  readonly records: number;
  readonly elapsedMs: number;
  readonly recordsPerSecond: number;
}

interface Outcome {
  readonly cluster: string;
  readonly topic: string;
  readonly produced: Rate & { readonly valueBytes: number };
  readonly consumed: Rate;
  readonly storedBytes: number;
  readonly keys: number;
  readonly isEverythingThere: boolean;
  readonly problems: readonly string[];
  readonly day: {
    readonly date: string;
    readonly flights: number;
    readonly first: Flight | null;
    readonly elapsedMs: number;
  };
  readonly busiest: readonly {
    readonly airport: string;
    readonly flights: number;
    readonly averageDelay: number;
    readonly lateShare: number;
  }[];
  readonly worst: readonly Flight[];
}

function rate(records: number, elapsedMs: number): Rate {
  const rounded = Math.max(0.1, Math.round(elapsedMs * 10) / 10);
  return { records, elapsedMs: rounded, recordsPerSecond: Math.round((records * 1000) / rounded) };
}

async function main(): Promise<number> {
  const program = new Command("demo")
    .description("Twenty thousand real flights through a broker and back.")
    .option("-b, --bootstrap <host:port,…>", "use this cluster instead of a broker in this process")
    .option("--keep", "leave the topic in the cluster")
    .option("--json", "the result as JSON")
    .exitOverride();
  try {
    const flags = program.parse(process.argv).opts<DemoFlags>();
    const outcome = flags.bootstrap === undefined ? await onOwnBroker(flags) : await runDemo(flags.bootstrap, flags);
    processIo.out(flags.json === true ? `${JSON.stringify(outcome, null, 2)}\n` : `\n${describe(outcome)}`);
    return outcome.isEverythingThere ? exitCode.ok : exitCode.failed;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCode.ok : exitCode.usage;
    const told = tellFailure(error);
    processIo.error(
      `${errorColors.red("demo:")} ${told.message}\n${told.nextStep === null ? "" : `      ${told.nextStep}\n`}`,
    );
    return told.exitCode;
  }
}

async function onOwnBroker(flags: DemoFlags): Promise<Outcome> {
  const { startBroker } = await import("blumfeld");
  const began = performance.now();
  const broker = await startBroker({ storage: "memory", host: "127.0.0.1", port: 0 });
  try {
    step(
      flags,
      `started a broker in this process on ${broker.bootstrap} in ${Math.round(performance.now() - began)} ms`,
    );
    return await runDemo(broker.bootstrap, flags);
  } finally {
    await broker.close();
  }
}

async function runDemo(bootstrap: string, flags: DemoFlags): Promise<Outcome> {
  const options = { bootstrapServers: bootstrap, clientId: "blumfeld-demo" };
  const admin = new Admin(options);
  const topic = `blumfeld-demo-flights-${Date.now().toString(36)}`;
  try {
    const cluster = await admin.describeCluster();
    // The flights are of 2001: any retention by time would take them away at once.
    await admin.createTopic({ name: topic, partitions: partitionCount, configs: { "retention.ms": "-1" } });
    step(
      flags,
      `created ${topic} with ${partitionCount} partitions on cluster ${cluster.clusterId} (${cluster.nodes.length} broker)`,
    );
    const flights = readFlights();
    const sent = flights.map(
      (flight): Sent => ({ key: flight.origin, value: JSON.stringify(flight), timestamp: departureMs(flight) }),
    );
    const produced = await produce(options, topic, sent);
    step(flags, `produced ${describeRate(produced)} with zstd, the origin as key, the departure as timestamp`);
    const storedBytes = await storedBytesOf(admin, topic);
    const result = {
      cluster: cluster.clusterId,
      topic,
      produced,
      storedBytes,
      ...(await readBack(options, topic, sent, flags)),
    };
    if (flags.keep !== true) await admin.deleteTopic(topic);
    return result;
  } finally {
    await admin.close();
  }
}

async function produce(
  options: { readonly bootstrapServers: string },
  topic: string,
  sent: readonly Sent[],
): Promise<Outcome["produced"]> {
  const producer = new Producer({ ...options, compression: "zstd" });
  const records = sent.map((one, number): ProducerRecord => ({ topic, ...one, headers: [["number", String(number)]] }));
  await producer.partitionsFor(topic);
  const began = performance.now();
  await producer.send(records);
  const elapsedMs = performance.now() - began;
  await producer.close();
  const valueBytes = sent.reduce((sum, { value }) => sum + Buffer.byteLength(value), 0);
  return { ...rate(sent.length, elapsedMs), valueBytes };
}

async function readBack(
  options: { readonly bootstrapServers: string },
  topic: string,
  sent: readonly Sent[],
  flags: DemoFlags,
): Promise<Pick<Outcome, "consumed" | "keys" | "isEverythingThere" | "problems" | "day" | "busiest" | "worst">> {
  const consumer = new Consumer({ ...options, autoOffsetReset: "earliest" });
  const proof = new Proof(sent);
  const tally = new AirportTally();
  try {
    await consumer.assignTopics([topic]);
    const began = performance.now();
    let count = 0;
    for await (const batch of consumer.batches({ until: "end" })) {
      for (const message of batch) {
        proof.check(message);
        tally.add(JSON.parse(message.valueText()!) as Flight);
        count++;
      }
    }
    const consumed = rate(count, performance.now() - began);
    proof.finish();
    step(flags, `read back ${describeRate(consumed)}, each compared with what was sent`);
    const day = await readDay(consumer);
    step(flags, `found ${shownDay} by timestamp in every partition: ${day.flights} flights in ${day.elapsedMs} ms`);
    return {
      consumed,
      keys: proof.keyCount,
      isEverythingThere: proof.isEverythingThere,
      problems: proof.problems,
      day,
      busiest: tally.busiest(airportsShown).map(({ code, flights, delayMinutes, late }) => ({
        airport: code,
        flights,
        averageDelay: Math.round((delayMinutes / flights) * 10) / 10,
        lateShare: Math.round((late / flights) * 1000) / 1000,
      })),
      worst: tally.worst,
    };
  } finally {
    await consumer.close();
  }
}

/** Seeks to the day's first record in each partition and reads to the next day's. */
async function readDay(consumer: Consumer): Promise<Outcome["day"]> {
  const began = performance.now();
  const dayStartMs = Date.parse(`${shownDay}T00:00:00Z`);
  const partitions = consumer.assignment();
  const nextDay = partitions.map((where) => ({ ...where, timestamp: dayStartMs + dayMs }));
  const [found, ends] = await Promise.all([consumer.offsetsForTimes(nextDay), consumer.endOffsets(partitions)]);
  await consumer.seekToTimestamp(dayStartMs);
  let flights = 0;
  let first: Flight | null = null;
  const until = ends.map((end, index) => ({ ...end, offset: found[index]?.offset ?? end.offset }));
  for await (const message of consumer.messages({ until })) {
    flights++;
    const flight = JSON.parse(message.valueText()!) as Flight;
    if (first === null || departureMs(flight) < departureMs(first)) first = flight;
  }
  return { date: shownDay, flights, first, elapsedMs: Math.round(performance.now() - began) };
}

/** What the topic takes on its brokers; -1 where they do not tell. */
async function storedBytesOf(admin: Admin, topic: string): Promise<number> {
  const directories = await admin.describeLogDirs().catch(() => []);
  const replicas = directories.flatMap((directory) => directory.replicas.filter((replica) => replica.topic === topic));
  return replicas.length === 0 ? -1 : replicas.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

function describeRate({ records, elapsedMs, recordsPerSecond }: Rate): string {
  return `${records.toLocaleString("en")} flights in ${elapsedMs} ms (${recordsPerSecond.toLocaleString("en")} a second)`;
}

/** On standard error, so that --json has standard output for itself. */
function step(flags: DemoFlags, text: string): void {
  if (flags.json !== true) processIo.error(`${errorColors.green("✓")} ${text}\n`);
}

function describe(outcome: Outcome): string {
  const { produced, storedBytes, day } = outcome;
  const busiest = textTable(
    [
      { title: "AIRPORT", cell: ({ airport }) => airport },
      { title: "FLIGHTS", align: "right", cell: ({ flights }) => flights },
      { title: "AVERAGE DELAY", align: "right", cell: ({ averageDelay }) => `${averageDelay} min` },
      { title: "LATE BY 15 MIN", align: "right", cell: ({ lateShare }) => `${(lateShare * 100).toFixed(1)} %` },
    ],
    outcome.busiest,
  );
  const worst = textTable(
    [
      { title: "WORST DELAYS", cell: ({ date }) => date },
      { title: "FROM", cell: ({ origin }) => origin },
      { title: "TO", cell: ({ destination }) => destination },
      { title: "MINUTES", align: "right", cell: ({ delay }) => delay },
    ],
    outcome.worst,
  );
  const size =
    storedBytes < 0
      ? ""
      : `${(produced.valueBytes / 1e6).toFixed(2)} MB of values are ${(storedBytes / 1e6).toFixed(2)} MB in the log.\n`;
  const firstOfDay =
    day.first === null
      ? ""
      : `; the first left ${day.first.origin} for ${day.first.destination} at ${day.first.date.slice(11)}`;
  const verdict = outcome.isEverythingThere
    ? colors.green(`Every record came back once, unchanged, in order for each of ${outcome.keys} airports.`)
    : colors.red(`Something is wrong:\n  ${outcome.problems.join("\n  ")}`);
  return `${busiest}\n${worst}\n${day.date}: ${day.flights} flights${firstOfDay}.\n${size}${verdict}\n`;
}

process.exitCode = await main();
