// What coordinators carry while they move from make to make: a group by each protocol that reads the load, offsets of a group without members,
// and transactions that are open while coordinator and leaders move. What one make wrote into the internal topics the other has to load.
import { type Admin, Consumer, Producer } from "@blumfeld/client";
import { topic } from "./load.ts";

export const transactionTopic = "mixed-transactions";
export const movedTopics = ["__consumer_offsets", "__transaction_state", transactionTopic] as const;
const offsetsGroup = "mixed-offsets";
const recordsPerTransaction = 5;
/** Where it ends early. */
const closeMsMax = 2_000;
const readMsMax = 30_000;

type Protocol = "classic" | "consumer";

class GroupReader {
  readonly groupId: string;
  readonly complaints: string[] = [];
  /** By partition: all below were read. */
  readonly #next: number[];
  readonly #consumer: Consumer;
  #isStopping = false;
  #work: Promise<void> | null = null;

  constructor(groupProtocol: Protocol, bootstrapServers: string, partitionCount: number) {
    this.groupId = `mixed-${groupProtocol}`;
    this.#next = Array.from({ length: partitionCount }, () => 0);
    this.#consumer = new Consumer({
      ...{ bootstrapServers, groupId: this.groupId, groupProtocol, autoOffsetReset: "earliest" },
      ...{ autoCommitIntervalMs: 500, requestTimeoutMs: 5_000 },
    });
  }

  start(): void {
    this.#consumer.subscribe([topic]);
    this.#work = this.#run();
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      try {
        for (const { offset, partition } of await this.#consumer.poll(200)) {
          const next = this.#next[partition]!;
          // After a rebalance some may come again; a gap means that more was committed than was read.
          if (offset > next) this.#complain(`partition ${partition}: offset ${offset} where ${next} was due`);
          this.#next[partition] = Math.max(next, offset + 1);
        }
      } catch (error) {
        this.#complain(String(error));
        await new Promise((wake) => setTimeout(wake, 200));
      }
    }
  }

  #complain(text: string): void {
    if (this.complaints.length < 5) this.complaints.push(text);
  }

  /** Ends it when it has read this many of each partition, or after a while. */
  async stop(counts: readonly number[]): Promise<string> {
    const untilMs = performance.now() + readMsMax;
    const isBehind = (): boolean => counts.some((count, partition) => this.#next[partition]! < count);
    while (isBehind() && performance.now() < untilMs) await new Promise((wake) => setTimeout(wake, 100));
    if (isBehind()) this.complaints.push(`read up to ${this.#next.join(", ")} of ${counts.join(", ")}`);
    this.#isStopping = true;
    await this.#work;
    await this.#consumer.close();
    return this.complaints.join("; ");
  }
}

export class Coordinators {
  readonly #bootstrap: string;
  readonly #admin: Admin;
  readonly #producer: Producer;
  readonly #readers: readonly GroupReader[];
  readonly #committed: string[] = [];
  #turn = 0;

  constructor(bootstrapServers: string, admin: Admin, partitionCount: number) {
    this.#bootstrap = bootstrapServers;
    this.#admin = admin;
    this.#producer = new Producer({
      ...{ bootstrapServers, transactionalId: "mixed", deliveryTimeoutMs: 60_000, blockMsMax: 60_000 },
      ...{ requestTimeoutMs: 5_000 },
    });
    this.#readers = (["classic", "consumer"] as const).map(
      (protocol) => new GroupReader(protocol, bootstrapServers, partitionCount),
    );
  }

  /** All internal topics are there when it resolves. */
  async start(): Promise<void> {
    for (const reader of this.#readers) reader.start();
    await this.#producer.initTransactions();
    await this.#commitOffset();
  }

  /** A transaction is open while `move` gives the coordinators and the partitions that it wrote to another leader. */
  async turn(leader: number, move: () => Promise<void>): Promise<void> {
    this.#turn++;
    const isCommitted = this.#turn % 3 !== 0;
    const transaction = this.#producer.beginTransaction();
    const values = Array.from({ length: recordsPerTransaction }, (_, at) => `${this.#turn}:${at}`);
    const [early, late] = [values.slice(1), values.slice(0, 1)];
    await transaction.send(early.map((value) => ({ topic: transactionTopic, partition: 0, value })));
    await move();
    await transaction.send(late.map((value) => ({ topic: transactionTopic, partition: 0, value })));
    if (isCommitted) await transaction.commit();
    else await transaction.abort();
    if (isCommitted) this.#committed.push(...early, ...late);
    await this.#checkGroups(leader);
    await this.#commitOffset();
  }

  async #commitOffset(): Promise<void> {
    const offset = { topic, partition: 0, offset: this.#turn, metadata: `turn ${this.#turn}` };
    for (const { error } of await this.#admin.alterGroupOffsets(offsetsGroup, [offset])) if (error) throw error;
  }

  async #checkGroups(leader: number): Promise<void> {
    const [found] = await this.#admin.listGroupOffsets(offsetsGroup);
    const before = this.#turn - 1;
    if (found?.offset !== before || found.metadata !== `turn ${before}`)
      throw new Error(`offset ${found?.offset} (${found?.metadata}) was loaded, ${before} was committed`);
    const ids = this.#readers.map(({ groupId }) => groupId);
    for (const { coordinatorId, groupId, members } of await this.#admin.describeGroups(ids)) {
      if (coordinatorId !== leader) throw new Error(`${groupId}: coordinator ${coordinatorId}, node ${leader} leads`);
      if (members.length !== 1) throw new Error(`${groupId} has ${members.length} members`);
    }
  }

  /** `counts`: how many records each partition of the load has. Pairs of a check's name and what was wrong. */
  async judge(counts: readonly number[]): Promise<[string, string][]> {
    const results: [string, string][] = [];
    for (const reader of this.#readers) results.push([`${reader.groupId} read all`, await reader.stop(counts)]);
    await this.#producer.close();
    const found: string[] = [];
    const isolationLevel = "read_committed";
    await using consumer = new Consumer({
      bootstrapServers: this.#bootstrap,
      autoOffsetReset: "earliest",
      isolationLevel,
    });
    await consumer.assignTopics([transactionTopic]);
    for await (const batch of consumer.batches({ until: "end" }))
      for (const message of batch) found.push(message.valueText() ?? "");
    const isExact = found.join() === this.#committed.join();
    results.push([
      `${this.#committed.length} records of committed transactions, no other`,
      isExact ? "" : `found ${found.join()}; committed ${this.#committed.join()}`,
    ]);
    return results;
  }

  async close(): Promise<void> {
    await this.#producer.close({ timeoutMs: closeMsMax });
    await Promise.all(this.#readers.map((reader) => reader.stop([])));
  }
}
