// What the cluster is used for meanwhile: idempotent producers that number their records, and members of a group that read them. Both note what they
// were told, to hold the end against it.
import { setTimeout as sleep } from "node:timers/promises";
import { Consumer, type Message, Producer } from "@blumfeld/client";

export const chaosTopic = "chaos";
export const chaosPartitions = 6;
export const readerGroup = "chaos-readers";
/** Records of one producer that are not confirmed; then it waits. */
const unconfirmedMax = 500;
const producerPauseMs = 5;
const failuresKept = 10;

export function recordText(producer: number, partition: number, number: number): string {
  return `p${producer}:${partition}:${number}`;
}

/** One producer writes to all partitions in turn; in each its records are numbered from 0. */
export class NumberingProducer {
  readonly index: number;
  /** The next number of each partition; all below were sent. */
  readonly sent: number[] = Array.from({ length: chaosPartitions }, () => 0);
  readonly failures: string[] = [];
  confirmed = 0;
  private readonly producer: Producer;
  private isStopping = false;
  private unconfirmed = 0;
  private work: Promise<void> | null = null;

  constructor(index: number, bootstrapServers: string) {
    this.index = index;
    this.producer = new Producer({
      ...{ bootstrapServers, clientId: `chaos-producer-${index}`, acks: "all", idempotent: true },
      // Whatever happens to the cluster, a record is sent until it is confirmed.
      ...{ deliveryTimeoutMs: 900_000, blockMsMax: 900_000, requestTimeoutMs: 5_000 },
    });
  }

  start(): void {
    this.work = this.run();
  }

  private async run(): Promise<void> {
    for (let turn = 0; !this.isStopping; turn++) {
      const partition = (turn + this.index) % chaosPartitions;
      if (this.unconfirmed < unconfirmedMax) this.send(partition);
      await sleep(this.unconfirmed < unconfirmedMax ? producerPauseMs : 50);
    }
  }

  private send(partition: number): void {
    const number = this.sent[partition]!++;
    this.unconfirmed++;
    this.producer.send({ topic: chaosTopic, partition, value: recordText(this.index, partition, number) }).then(
      () => {
        this.unconfirmed--;
        this.confirmed++;
      },
      (error: unknown) => {
        this.unconfirmed--;
        if (this.failures.length < failuresKept)
          this.failures.push(`producer ${this.index}, partition ${partition}, record ${number}: ${String(error)}`);
      },
    );
  }

  /** Resolves when all is confirmed. */
  async stop(): Promise<void> {
    this.isStopping = true;
    await this.work;
    await this.producer.flush();
    await this.producer.close();
  }
}

/** A member of the group. What it gets may come again after a rebalance; what lies later in the log never has an earlier number. */
export class Reader {
  readonly index: number;
  readonly complaints: string[] = [];
  /** `recordText` of all that it read. */
  readonly read = new Set<string>();
  private readonly consumer: Consumer;
  /** The last of each producer in each partition. */
  private readonly last = new Map<string, { offset: number; number: number }>();
  private isStopping = false;
  private work: Promise<void> | null = null;

  constructor(index: number, bootstrapServers: string) {
    this.index = index;
    this.consumer = new Consumer({
      ...{ bootstrapServers, groupId: readerGroup, clientId: `chaos-reader-${index}` },
      ...{ autoOffsetReset: "earliest", isolationLevel: "read_committed", requestTimeoutMs: 5_000 },
    });
  }

  start(): void {
    this.consumer.subscribe([chaosTopic]);
    this.work = this.run();
  }

  private async run(): Promise<void> {
    while (!this.isStopping) {
      try {
        for (const message of await this.consumer.poll(200)) this.take(message);
      } catch (error) {
        this.complain(String(error));
        await sleep(500);
      }
    }
  }

  private take(message: Message): void {
    const value = message.valueText() ?? "";
    this.read.add(value);
    const { offset } = message;
    const at = value.lastIndexOf(":");
    const source = value.slice(0, at);
    const number = Number(value.slice(at + 1));
    const last = this.last.get(source);
    if (last !== undefined && offset > last.offset && number <= last.number)
      this.complain(`${source}: record ${number} at offset ${offset} lies behind ${last.number} at ${last.offset}`);
    this.last.set(source, { offset, number });
  }

  private complain(text: string): void {
    if (this.complaints.length < failuresKept) this.complaints.push(`reader ${this.index}: ${text}`);
  }

  async stop(): Promise<void> {
    this.isStopping = true;
    await this.work;
    await this.consumer.close();
  }
}
