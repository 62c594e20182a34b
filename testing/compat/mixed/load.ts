// The load: one idempotent producer (acks=all) that numbers its records in each partition from 0, and the reading that holds a partition
// against what was confirmed.
import { setTimeout as sleep } from "node:timers/promises";
import { Consumer, Producer } from "@blumfeld/client";

export const topic = "mixed";
export const partitionCount = 3;
/** Where it ends early. */
const closeMsMax = 2_000;
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

  /** Ends it whatever is not confirmed. */
  async close(): Promise<void> {
    this.#isStopping = true;
    await this.#work;
    await this.#producer.close({ timeoutMs: closeMsMax });
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
