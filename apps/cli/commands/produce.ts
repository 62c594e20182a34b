// `blum produce`: records from lines, JSON lines or whole files into a topic. Reads only as fast as the cluster takes.
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { KafkaError, Producer, type ProducerRecord, producerOptionsFromProperties } from "@blumfeld/client";
import { Command } from "commander";
import { asUsage, withConnection } from "../connection.ts";
import { CliFailure } from "../failure.ts";
import { type CliIo, exitCode, report } from "../io.ts";
import { collect, type PropertyFlags, propertiesOf, wholeNumberOption } from "../records/client-options.ts";
import { readEscapes, splitBytes } from "../records/delimited.ts";
import { recordFromJson } from "../records/message-json.ts";
import { parseOffsetSpec } from "../records/offset-spec.ts";
import { describeRate, inputOf, ProgressLine } from "../records/streams.ts";

interface ProduceFlags extends PropertyFlags {
  readonly input: string;
  readonly delimiter: string;
  readonly keyDelimiter?: string;
  readonly key?: string;
  readonly header?: readonly string[];
  readonly partition?: string;
  readonly compression?: string;
  readonly acks?: string;
  readonly nullEmpty?: boolean;
  readonly timestamp?: string;
}

const examples = `
Examples:
  echo hello | blum produce orders
  blum produce orders orders.txt -K :                      key and value divided by a colon, one record a line
  blum produce orders -k 42 -H source=import -z zstd < order.json
  blum produce images --input whole cat.jpg dog.jpg        each file is one record
  blum consume orders -e --json | blum produce copies --input json`;

/** Records that may be read ahead of what is confirmed; the client's byte budget bounds them too. */
const unconfirmedMax = 20_000;
/** Records given to the client at once. */
const groupMax = 500;
const flushMsMax = 5000;

export function createProduceCommand(io: CliIo): Command {
  const command = new Command("produce")
    .description("Write records from standard input or files into a topic.")
    .argument("<topic>")
    .argument("[files...]", "read these instead of standard input (- is standard input)")
    .option("-i, --input <form>", "lines, json (one object a line) or whole (each file is one record)", "lines")
    .option("-D, --delimiter <text>", "what divides records", "\\n")
    .option("-K, --key-delimiter <text>", "what divides key and value within a record")
    .option("-k, --key <text>", "the key of every record that brings none")
    .option("-H, --header <name=value>", "a header of every record; may be repeated", collect)
    .option("-p, --partition <number>", "the partition (default: by the key, as Java's clients choose)")
    .option("-z, --compression <codec>", "none, gzip, snappy, lz4 or zstd")
    .option("-a, --acks <acks>", "all, 1 or 0")
    .option("-Z, --null-empty", "empty keys and values are null (a null value deletes the key in a compacted topic)")
    .option("--timestamp <@time>", "the records' time (default: now)")
    .option("-X, --property <name=value>", "a producer setting by Kafka's name; may be repeated", collect)
    .addHelpText("after", examples);
  return withConnection(command).action((topic: string, files: string[], flags: ProduceFlags) =>
    produce(io, topic, files, flags),
  );
}

async function produce(io: CliIo, topic: string, files: readonly string[], flags: ProduceFlags): Promise<void> {
  const properties = propertiesOf(io, flags, "max.block.ms");
  if (flags.compression !== undefined) properties["compression.type"] = flags.compression;
  if (flags.acks !== undefined) properties.acks = flags.acks;
  const toRecord = recordReader(topic, flags);
  const { options } = asUsage(() => producerOptionsFromProperties(properties));
  const producer = asUsage(() => new Producer(options));
  const run = new ProduceRun(io, producer);
  const stopListening = io.onStopSignal(() => {
    run.stop();
    // Nothing may come from there for hours.
    if (io.input === undefined) process.stdin.destroy();
  });
  try {
    for await (const bytes of pieces(io, files, flags)) {
      if (run.isStopped) break;
      await run.add(toRecord(bytes, run.readCount + 1), bytes.length);
    }
    await run.finish();
  } catch (error) {
    if (!run.isStopped) throw error;
  } finally {
    stopListening();
    await producer.close({ timeoutMs: run.isStopped ? flushMsMax : undefined });
  }
  run.tell(flags.json === true);
}

/** What is read, sent, confirmed and refused. */
class ProduceRun {
  readonly #io: CliIo;
  readonly #producer: Producer;
  readonly #progress: ProgressLine;
  readonly #underWay = new Set<Promise<void>>();
  #group: ProducerRecord[] = [];
  #unconfirmed = 0;
  #confirmed = 0;
  #bytes = 0;
  #failed = 0;
  #failure: KafkaError | null = null;
  #wakeReader: (() => void) | null = null;
  #onStopped: () => void = () => {};
  readonly #stopped = new Promise<void>((resolve) => {
    this.#onStopped = resolve;
  });
  readCount = 0;
  isStopped = false;

  constructor(io: CliIo, producer: Producer) {
    this.#io = io;
    this.#producer = producer;
    this.#progress = new ProgressLine(io, "produced", true);
  }

  stop(): void {
    this.isStopped = true;
    this.#onStopped();
    this.#wakeReader?.();
  }

  async add(record: ProducerRecord, bytes: number): Promise<void> {
    this.readCount++;
    this.#bytes += bytes;
    this.#group.push(record);
    if (this.#group.length >= groupMax) this.#send();
    while (this.#unconfirmed >= unconfirmedMax && !this.isStopped) {
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
    }
    if (this.#failure !== null && !this.#failure.retriable) throw this.#failure;
    if (this.#group.length > 0) this.#sendSoon();
  }

  async finish(): Promise<void> {
    this.#send();
    while (this.#underWay.size > 0 && !this.isStopped) await Promise.race([...this.#underWay, this.#stopped]);
  }

  tell(isJson: boolean): void {
    this.#progress.end();
    if (this.#failure !== null) {
      throw new CliFailure(
        `${this.#failed} of ${this.readCount} records failed: ${this.#failure.message}`,
        this.#failure.nextStep,
      );
    }
    const { elapsedMs } = this.#progress;
    const answer = { records: this.#confirmed, bytes: this.#bytes, elapsedMs: Math.round(elapsedMs) };
    if (isJson) report(this.#io, { json: true }, answer, () => "");
    else if (this.#io.isTerminal) this.#io.error(`${describeRate(this.#confirmed, this.#bytes, elapsedMs)}\n`);
    if (this.isStopped) {
      throw new CliFailure(
        `stopped after ${this.#confirmed} of ${this.readCount} records read were confirmed`,
        null,
        exitCode.interrupted,
      );
    }
  }

  /** A lone line of someone who types goes at once; a flood fills groups. */
  #sendSoon(): void {
    if (this.#group.length !== 1) return;
    setImmediate(() => this.#send());
  }

  #send(): void {
    const group = this.#group;
    if (group.length === 0) return;
    this.#group = [];
    this.#unconfirmed += group.length;
    const sent = this.#producer.send(group).then(
      (results) => {
        this.#confirmed += results.length;
      },
      (error: KafkaError & { readonly results?: readonly unknown[] }) => {
        const failed = error.results?.filter((result) => result instanceof Error).length ?? group.length;
        this.#confirmed += group.length - failed;
        this.#failed += failed;
        // Of a list that failed: the first record's own reason.
        this.#failure ??= error.cause instanceof KafkaError ? error.cause : error;
      },
    );
    const settled = sent.then(() => {
      this.#underWay.delete(settled);
      this.#unconfirmed -= group.length;
      this.#progress.update(this.#confirmed, this.#bytes);
      if (this.#unconfirmed < unconfirmedMax || this.#failure !== null) this.#wakeReader?.();
    });
    this.#underWay.add(settled);
  }
}

async function* pieces(io: CliIo, files: readonly string[], flags: ProduceFlags): AsyncGenerator<Buffer> {
  const delimiter = Buffer.from(flags.input === "json" ? "\n" : readEscapes(flags.delimiter));
  if (delimiter.length === 0) throw new CliFailure("--delimiter is empty", null, exitCode.usage);
  for (const file of files.length === 0 ? ["-"] : files) {
    if (flags.input === "whole") {
      yield file === "-" ? await readAll(inputOf(io)) : await readFile(file);
      continue;
    }
    for await (const piece of splitBytes(file === "-" ? inputOf(io) : createReadStream(file), delimiter)) {
      if (flags.input === "json" && piece.length === 0) continue;
      yield piece;
    }
  }
}

async function readAll(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

type RecordReader = (bytes: Buffer, line: number) => ProducerRecord;

function recordReader(topic: string, flags: ProduceFlags): RecordReader {
  if (!["lines", "json", "whole"].includes(flags.input)) {
    throw new CliFailure(`--input ${flags.input} is not lines, json or whole`, null, exitCode.usage);
  }
  const partition = wholeNumberOption("--partition", flags.partition, 0);
  const headers = (flags.header ?? []).map(headerOf);
  const timestamp = flags.timestamp === undefined ? undefined : timestampOf(flags.timestamp);
  const divider = flags.keyDelimiter === undefined ? null : Buffer.from(readEscapes(flags.keyDelimiter));
  const nullIfEmpty = (bytes: Buffer): Buffer | null => (flags.nullEmpty === true && bytes.length === 0 ? null : bytes);
  if (flags.input === "json") {
    return (bytes, line) => {
      const record = recordFromJson(bytes, topic, line);
      return {
        ...record,
        key: record.key ?? flags.key ?? null,
        headers:
          headers.length === 0
            ? record.headers
            : [...((record.headers as typeof headers | undefined) ?? []), ...headers],
        partition: partition ?? record.partition,
        timestamp: timestamp ?? record.timestamp,
      };
    };
  }
  return (bytes) => {
    const at = divider === null || flags.input === "whole" ? -1 : bytes.indexOf(divider);
    const key = at < 0 ? (flags.key ?? null) : nullIfEmpty(bytes.subarray(0, at));
    const value = nullIfEmpty(at < 0 ? bytes : bytes.subarray(at + divider!.length));
    return { topic, key, value, headers, partition, timestamp };
  };
}

function headerOf(text: string): [string, string | null] {
  const at = text.indexOf("=");
  if (at === 0) throw new CliFailure(`--header ${text} has no name`, "write it as -H name=value", exitCode.usage);
  return at < 0 ? [text, null] : [text.slice(0, at), text.slice(at + 1)];
}

function timestampOf(text: string): number {
  const spec = parseOffsetSpec("--timestamp", text.startsWith("@") ? text : `@${text}`);
  if (typeof spec === "object") return spec.timestamp;
  throw new CliFailure(
    `--timestamp ${text} is no time`,
    "write it as --timestamp @2024-03-01T12:00:00Z",
    exitCode.usage,
  );
}
