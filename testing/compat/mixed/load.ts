// The load: one idempotent producer (acks=all) that numbers its records in each partition from 0, and the reading that holds a partition
// against what was confirmed.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Consumer, Producer } from "@blumfeld/client";

export const topic = "mixed";
export const partitionCount = 3;
const unconfirmedMax = 300;
const pauseMs = 2;
const filler = "x".repeat(100);

export class NumberingLoad {
  /** The next number of each partition; all below were sent. */
  readonly sent: number[] = Array.from({ length: partitionCount }, () => 0);
  readonly failures: string[] = [];
  confirmed = 0;
  readonly #producer: Producer;
  #unconfirmed = 0;
  #isStopping = false;
  #work: Promise<void> | null = null;

  constructor(bootstrapServers: string) {
    this.#producer = new Producer({
      ...{ bootstrapServers, clientId: "mixed-load", acks: "all", idempotent: true },
      // Whoever leads, a record is sent until it is confirmed.
      ...{ deliveryTimeoutMs: 120_000, blockMsMax: 120_000, requestTimeoutMs: 5_000 },
    });
  }

  start(): void {
    this.#work = this.#run();
  }

  async #run(): Promise<void> {
    for (let turn = 0; !this.#isStopping; turn++) {
      if (this.#unconfirmed < unconfirmedMax) this.#send(turn % partitionCount);
      await sleep(this.#unconfirmed < unconfirmedMax ? pauseMs : 20);
    }
  }

  #send(partition: number): void {
    const number = this.sent[partition]!++;
    this.#unconfirmed++;
    this.#producer
      .send({ topic, partition, value: `${number}:${filler}` })
      .then(
        () => this.confirmed++,
        (error: unknown) => {
          if (this.failures.length < 5)
            this.failures.push(`partition ${partition}, record ${number}: ${String(error)}`);
        },
      )
      .finally(() => this.#unconfirmed--);
  }

  /** Resolves when all is confirmed or has failed. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#work;
    await this.#producer.flush();
    await this.#producer.close();
  }
}

/** Reads every partition from its leader to its end: each number once and in order, none missing. An empty string where that holds. */
export async function judgeRead(bootstrapServers: string, sent: readonly number[]): Promise<string> {
  const next = sent.map(() => 0);
  const findings: string[] = [];
  await using consumer = new Consumer({ bootstrapServers, autoOffsetReset: "earliest" });
  await consumer.assignTopics([topic]);
  for await (const batch of consumer.batches({ until: "end" })) {
    for (const message of batch) {
      const number = Number.parseInt(message.valueText() ?? "", 10);
      const wanted = next[message.partition]!;
      if (number !== wanted)
        findings.push(`partition ${message.partition} offset ${message.offset}: ${number} where ${wanted} was due`);
      next[message.partition] = number + 1;
    }
  }
  for (const [partition, count] of sent.entries())
    if (next[partition] !== count)
      findings.push(`partition ${partition} ends at ${next[partition]}, ${count} were sent`);
  return findings.slice(0, 5).join("; ");
}

/** Partitions whose segments are not the same bytes in all these data directories, of stopped nodes. */
export function unequalReplicas(dataDirs: readonly string[]): string {
  const bytesOf = (dataDir: string, folder: string): Buffer => {
    const path = join(dataDir, folder);
    const names = readdirSync(path).filter((name) => name.endsWith(".log"));
    return Buffer.concat(names.sort().map((name) => readFileSync(join(path, name))));
  };
  const findings: string[] = [];
  for (let partition = 0; partition < partitionCount; partition++) {
    const folder = `${topic}-${partition}`;
    const [first, ...others] = dataDirs.map((dataDir) => bytesOf(dataDir, folder));
    for (const [at, other] of others.entries()) {
      if (first!.length > 0 && other.equals(first!)) continue;
      let position = 0;
      while (position < other.length && other[position] === first![position]) position++;
      const lengths = `${first!.length} and ${other.length} bytes`;
      findings.push(
        `${folder}: the replica in directory ${at + 2} parts from the first at byte ${position} (${lengths})`,
      );
    }
  }
  return findings.join("; ");
}
