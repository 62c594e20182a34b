// `blum consume`: records of topics to standard output, as values, in a format of one's own, or as JSON lines that lose nothing. Ends at a
// count, at a place, or by Ctrl-C.
import {
  Consumer,
  type ConsumerOptions,
  consumerOptionsFromProperties,
  type Message,
  type PartitionOffset,
  type StartAt,
  type TopicPartitionInput,
} from "@blumfeld/client";
import { Command } from "commander";
import { asUsage, withConnection } from "../connection.ts";
import { CliFailure } from "../failure.ts";
import { type CliIo, exitCode } from "../io.ts";
import { collect, type PropertyFlags, propertiesOf, wholeNumberOption } from "../records/client-options.ts";
import { MessageFormat } from "../records/message-format.ts";
import { messageToJson } from "../records/message-json.ts";
import { parseOffsetSpec } from "../records/offset-spec.ts";
import { describeRate, OutputSink, ProgressLine } from "../records/streams.ts";

interface ConsumeFlags extends PropertyFlags {
  readonly from?: string;
  readonly until?: string;
  readonly exit?: boolean;
  readonly count?: string;
  readonly partition?: readonly string[];
  readonly format?: string;
  readonly keyDelimiter?: string;
  readonly nullText: string;
  readonly isolation?: string;
  readonly group?: string;
  readonly quiet?: boolean;
}

const examples = `
Examples:
  blum consume orders -e                                   all there is, then end
  blum consume orders --from end                           what comes from now on
  blum consume orders --from -10 -e                        the last ten of each partition
  blum consume orders --from @2024-03-01 --until @2024-03-02
  blum consume orders -c 5 -f '%t-%p@%o %k: %s (%T)\\n'
  blum consume orders -e --json | jq .value
  blum consume orders -G billing                           as a member of a group: goes on where the group was

Format: %t topic, %p partition, %o offset, %k key, %s value, %T timestamp, %h headers, %K %S lengths, %R length in 4 bytes.`;

/** A topic that is not there is told soon; one that was just made is known within this. */
const topicWaitMsMax = 5000;
const commitMsMax = 5000;

export function createConsumeCommand(io: CliIo): Command {
  const command = new Command("consume")
    .description("Read records of topics.")
    .argument("<topics...>")
    .option("-o, --from <place>", "beginning, end, an offset, -N (before the end) or @time (default beginning)")
    .option("--until <place>", "end before this place: end, an offset, -N or @time")
    .option("-e, --exit", "end where the partitions ended when reading began (--until end)")
    .option("-c, --count <number>", "end after so many records")
    .option("-p, --partition <number>", "only this partition; may be repeated", collect)
    .option("-G, --group <id>", "join this group; --from then tells where to begin without a committed offset")
    .option("-f, --format <text>", "what to write of each record (default: the value and a line end)")
    .option("-K, --key-delimiter <text>", "write the key and this before the value")
    .option("--null-text <text>", "what stands for a null key or value", "")
    .option("--isolation <level>", "read_committed or read_uncommitted (default)")
    .option("-q, --quiet", "nothing but records")
    .option("-X, --property <name=value>", "a consumer setting by Kafka's name; may be repeated", collect)
    .addHelpText("after", examples);
  return withConnection(command).action((topics: string[], flags: ConsumeFlags) => consume(io, topics, flags));
}

async function consume(io: CliIo, topics: readonly string[], flags: ConsumeFlags): Promise<void> {
  const startAt = parseOffsetSpec("--from", flags.from ?? "beginning");
  const until =
    flags.until !== undefined ? parseOffsetSpec("--until", flags.until) : flags.exit === true ? "end" : null;
  const countMax = wholeNumberOption("--count", flags.count, 1) ?? Number.POSITIVE_INFINITY;
  const partitions = flags.partition?.map((text) => wholeNumberOption("--partition", text, 0)!);
  const write = writerOf(flags);
  const consumer = asUsage(() => new Consumer(consumerOptions(io, flags)));
  const stop = new AbortController();
  const stopListening = io.onStopSignal(() => stop.abort());
  const sink = new OutputSink(io);
  const progress = new ProgressLine(io, "consumed", flags.quiet !== true && !io.isTerminal);
  let count = 0;
  let bytes = 0;
  const written = new Map<string, PartitionOffset>();
  try {
    const assigned = flags.group === undefined ? await assign(consumer, topics, partitions, startAt) : [];
    if (flags.group !== undefined) {
      // A group waits for topics and brokers as long as it takes; a person wants to hear of a wrong name or address.
      for (const topic of topics) await consumer.partitionsFor(topic, { timeoutMs: topicWaitMsMax });
      consumer.subscribe(topics);
    }
    const ends = until === null ? undefined : until === "end" ? until : await placesOf(consumer, assigned, until);
    const lastOf = ends === undefined || ends === "end" ? null : new Map(ends.map((end) => [keyOf(end), end.offset]));
    reading: for await (const batch of consumer.batches({ until: ends, signal: stop.signal })) {
      const last = lastOf?.get(keyOf(batch)) ?? Number.POSITIVE_INFINITY;
      const { topic, partition } = batch;
      for (const message of batch) {
        if (message.offset >= last || stop.signal.aborted) break;
        write(sink, message);
        count++;
        bytes += Math.max(0, message.keyLength) + Math.max(0, message.valueLength);
        if (flags.group !== undefined) written.set(keyOf(batch), { topic, partition, offset: message.offset + 1 });
        if (count >= countMax) break reading;
        if (sink.isFull) await sink.flush();
      }
      await sink.flush();
      progress.update(count, bytes);
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    await sink.flush();
    progress.end();
    // Exactly what was written: the group goes on behind it.
    if (written.size > 0) {
      await consumer.commit([...written.values()], { signal: AbortSignal.timeout(commitMsMax) }).catch(() => {});
    }
    await consumer.close();
    stopListening();
  }
  if (flags.quiet !== true && !io.isTerminal && progress.elapsedMs > 1000 && process.stderr.isTTY) {
    io.error(`${describeRate(count, bytes, progress.elapsedMs)}\n`);
  }
}

function consumerOptions(io: CliIo, flags: ConsumeFlags): ConsumerOptions {
  const properties = propertiesOf(io, flags, "default.api.timeout.ms");
  if (flags.isolation !== undefined) properties["isolation.level"] = flags.isolation;
  if (flags.group !== undefined) {
    checkGroupFlags(flags);
    properties["group.id"] = flags.group;
    properties["auto.offset.reset"] ??= flags.from === "end" || flags.from === "latest" ? "latest" : "earliest";
  }
  const { options } = consumerOptionsFromProperties(properties);
  return { autoOffsetReset: "earliest", ...options };
}

/** In a group the coordinator says which partitions and from where. */
function checkGroupFlags({ from, until, exit, partition }: ConsumeFlags): void {
  const refuse = (option: string): never => {
    throw new CliFailure(`${option} does not go with --group`, "leave one of the two out", exitCode.usage);
  };
  if (partition !== undefined) refuse("--partition");
  if (until !== undefined) refuse("--until");
  if (exit === true) refuse("--exit");
  if (from !== undefined && !["beginning", "earliest", "end", "latest"].includes(from)) refuse(`--from ${from}`);
}

type Writer = (sink: OutputSink, message: Message) => void;

function writerOf(flags: ConsumeFlags): Writer {
  if (flags.json === true) return (sink, message) => sink.write(`${messageToJson(message)}\n`);
  const key = flags.keyDelimiter === undefined ? "" : `%k${flags.keyDelimiter.replaceAll("%", "%%")}`;
  const format = new MessageFormat(flags.format ?? `${key}%s\\n`, flags.nullText);
  return (sink, message) => format.write(sink, message);
}

async function assign(
  consumer: Consumer,
  topics: readonly string[],
  partitions: readonly number[] | undefined,
  startAt: StartAt,
): Promise<TopicPartitionInput[]> {
  const assigned: TopicPartitionInput[] = [];
  for (const topic of topics) {
    const all = (await consumer.partitionsFor(topic, { timeoutMs: topicWaitMsMax })).map(({ partition }) => partition);
    for (const partition of partitions ?? all) {
      if (partition >= all.length) {
        throw new CliFailure(
          `topic ${topic} has no partition ${partition}`,
          `it has 0 to ${all.length - 1}`,
          exitCode.failed,
        );
      }
      assigned.push({ topic, partition });
    }
  }
  consumer.assign(assigned.map((where) => ({ ...where, startAt })));
  return assigned;
}

/** The offset of a place in each partition. */
async function placesOf(
  consumer: Consumer,
  partitions: readonly TopicPartitionInput[],
  place: Exclude<StartAt, "end">,
): Promise<PartitionOffset[]> {
  if (typeof place === "number" && place >= 0) return partitions.map((where) => ({ ...where, offset: place }));
  if (place === "beginning") return consumer.beginningOffsets(partitions);
  const ends = await consumer.endOffsets(partitions);
  if (typeof place === "number") return ends.map((end) => ({ ...end, offset: Math.max(0, end.offset + place) }));
  const found = await consumer.offsetsForTimes(partitions.map((where) => ({ ...where, timestamp: place.timestamp })));
  return ends.map((end, index) => ({ ...end, offset: found[index]?.offset ?? end.offset }));
}

function keyOf({ topic, partition }: TopicPartitionInput): string {
  return `${topic}-${partition}`;
}
