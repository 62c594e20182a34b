// The run: three nodes, producers, a group and copiers at work; faults; peace; then what everybody was told is held against what is there.
import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Admin, Producer } from "@blumfeld/client";
import { seededRandom } from "@blumfeld/core/base";
import { type CopierPlan, groupId, textOf, topicIn, topicOut } from "../exactly-once/plan.ts";
import { Bundles, Restarting } from "../exactly-once/processes.ts";
import { judge, type Verdict } from "../exactly-once/verdict.ts";
import { type FaultKind, Faults } from "./faults.ts";
import { chaosPartitions, chaosTopic, NumberingProducer, Reader } from "./load.ts";
import { Nodes } from "./nodes.ts";
import { judgeLog, type LogVerdict, unequalReplicas } from "./verdict.ts";

export interface ChaosOptions {
  readonly minutes: number;
  readonly seed: number;
  readonly directory: string;
  readonly isKept: boolean;
  readonly kinds: readonly FaultKind[];
  readonly onProgress: (progress: ChaosProgress) => void;
}

export interface ChaosProgress {
  readonly phase: "start" | "chaos" | "heal" | "judge";
  /** From 0 to 1. */
  readonly share: number;
  readonly confirmed: number;
  readonly faults: number;
}

export interface ChaosOutcome {
  readonly log: LogVerdict;
  readonly copies: Verdict;
  readonly unequal: readonly string[];
  readonly failures: readonly string[];
  readonly story: readonly string[];
  readonly confirmed: number;
}

const producerCount = 6;
const readerCount = 3;
const copierCount = 2;
const copyPartitions = 3;
const copyBatch = 20;
const healMsMax = 180_000;
const sessionTimeoutMs = 6_000;

export class ChaosRun {
  private readonly options: ChaosOptions;
  private readonly failures: string[] = [];
  private readonly copySent = Array.from({ length: copyPartitions }, () => 0);
  private isFilling = true;
  private producers: NumberingProducer[] = [];
  private faults: Faults | null = null;

  constructor(options: ChaosOptions) {
    this.options = options;
  }

  async run(): Promise<ChaosOutcome> {
    const { directory, isKept, kinds, minutes, seed } = this.options;
    const bundles = await Bundles.create(["chaos/node-process", "exactly-once/copier-process"]);
    const nodes = await Nodes.prepare(directory, bundles.file("chaos/node-process"), (id, line) =>
      this.onNodeLine(id, line),
    );
    const { bootstrapServers } = nodes;
    const admin = new Admin({ bootstrapServers, apiTimeoutMs: 60_000, requestTimeoutMs: 5_000 });
    const copiers: Restarting[] = [];
    try {
      this.tell("start", 0);
      await nodes.start();
      await this.createTopics(admin);
      this.producers = Array.from(
        { length: producerCount },
        (_, index) => new NumberingProducer(index, bootstrapServers),
      );
      const readers = Array.from({ length: readerCount }, (_, index) => new Reader(index, bootstrapServers));
      for (let index = 0; index < copierCount; index++) copiers.push(this.copier(bundles, index, bootstrapServers));
      for (const one of [...this.producers, ...readers, ...copiers]) one.start();
      const filling = this.fill(bootstrapServers);
      this.faults = new Faults(nodes, admin, seededRandom(seed), kinds);
      const startedMs = performance.now();
      const lengthMs = minutes * 60_000;
      const ticking = setInterval(() => this.tell("chaos", (performance.now() - startedMs) / lengthMs), 1_000);
      await this.faults.run(startedMs + lengthMs);
      clearInterval(ticking);
      this.isFilling = false;
      this.tell("heal", 0);
      await this.within("the nodes come back", nodes.untilReady());
      await this.within("every record is confirmed", Promise.all(this.producers.map((one) => one.stop())));
      await this.within("the copiers' input is confirmed", filling);
      await this.within("copiers and readers reach the end", this.untilRead(admin, readers));
      await Promise.all(copiers.map((one) => one.stop()));
      await this.within("transactions end", this.untilNoTransactions(admin));
      await this.within("all replicas are in sync", this.untilInSync(admin));
      this.tell("judge", 0);
      const log = await judgeLog(bootstrapServers, this.producers, readers);
      const copies = await judge(bootstrapServers, this.copySent);
      await Promise.all(readers.map((one) => one.stop()));
      await sleep(1_000);
      await admin.close();
      await nodes.stop();
      const unequal = unequalReplicas(nodes, [
        { topic: chaosTopic, count: chaosPartitions },
        { topic: topicIn, count: copyPartitions },
        { topic: topicOut, count: copyPartitions },
      ]);
      for (const one of this.producers) this.failures.push(...one.failures);
      for (const one of readers) this.failures.push(...one.complaints);
      return { log, copies, unequal, failures: this.failures, story: this.faults.story, confirmed: this.confirmed };
    } finally {
      await Promise.all(copiers.map((one) => one.stop()));
      await nodes.destroy();
      bundles.remove();
      if (!isKept) rmSync(directory, { recursive: true, force: true });
    }
  }

  get story(): readonly string[] {
    return this.faults?.story ?? [];
  }

  private get confirmed(): number {
    return this.producers.reduce((sum, one) => sum + one.confirmed, 0);
  }

  private tell(phase: ChaosProgress["phase"], share: number): void {
    this.options.onProgress({ phase, share, confirmed: this.confirmed, faults: this.story.length });
  }

  private onNodeLine(id: number, line: string): void {
    // Errors and what ends a process; a log of its own has the rest.
    const isError = line.includes('"level":50') || line.includes('"level":60') || /^\w*Error|AssertionError/.test(line);
    if (isError && this.failures.length < 30) this.failures.push(`node ${id}: ${line.slice(0, 600)}`);
  }

  private async within<Result>(what: string, work: Promise<Result>): Promise<Result> {
    const late = sleep(healMsMax, "late" as const, { ref: false });
    const first = await Promise.race([work, late]);
    if (first === "late") throw new Error(`within ${healMsMax / 1000} s of peace it did not happen that ${what}`);
    return first as Result;
  }

  private async createTopics(admin: Admin): Promise<void> {
    const replicationFactor = 3;
    await admin.createTopic({ name: chaosTopic, partitions: chaosPartitions, replicationFactor });
    for (const name of [topicIn, topicOut])
      await admin.createTopic({ name, partitions: copyPartitions, replicationFactor });
  }

  private copier(bundles: Bundles, index: number, bootstrapServers: string): Restarting {
    let incarnation = 0;
    const plan = (): CopierPlan => ({
      ...{ bootstrapServers, index, sessionTimeoutMs, messagesMax: copyBatch, groupProtocol: "classic" as const },
      seed: this.options.seed * 1000 + index * 100 + incarnation++,
    });
    return new Restarting(`copier ${index}`, bundles.file("exactly-once/copier-process"), plan, () => {});
  }

  /** What the copiers copy: numbered in each partition, as fast as it is confirmed. */
  private async fill(bootstrapServers: string): Promise<void> {
    const deliver = { deliveryTimeoutMs: 900_000, blockMsMax: 900_000, requestTimeoutMs: 5_000 };
    await using producer = new Producer({ bootstrapServers, clientId: "chaos-filler", ...deliver });
    while (this.isFilling) {
      const records = this.copySent.map((count, partition) => ({ topic: topicIn, partition, value: textOf(count) }));
      await producer.send(records);
      for (let partition = 0; partition < copyPartitions; partition++) this.copySent[partition]!++;
      await sleep(20);
    }
  }

  private async untilRead(admin: Admin, readers: readonly Reader[]): Promise<void> {
    const wanted = this.producers.reduce((sum, { sent }) => sum + sent.reduce((one, other) => one + other, 0), 0);
    const ofInput = this.copySent.map((_, partition) => ({ topic: topicIn, partition }));
    for (;;) {
      const read = new Set<string>();
      for (const reader of readers) for (const value of reader.read) read.add(value);
      const copied = await admin.listGroupOffsets(groupId, ofInput).catch(() => []);
      const isCopied =
        copied.length > 0 && copied.every(({ offset, partition }) => offset >= this.copySent[partition]!);
      if (read.size >= wanted && isCopied) return;
      this.tell("heal", read.size / wanted);
      await sleep(500);
    }
  }

  private async untilNoTransactions(admin: Admin): Promise<void> {
    for (;;) {
      const open = await admin
        .listTransactions({ states: ["Ongoing", "PrepareCommit", "PrepareAbort"] })
        .catch(() => [null]);
      if (open.length === 0) return;
      await sleep(500);
    }
  }

  private async untilInSync(admin: Admin): Promise<void> {
    for (;;) {
      const topics = await admin.describeTopics([chaosTopic, topicIn, topicOut]).catch(() => []);
      const partitions = topics.flatMap((topic) => topic.partitions);
      if (partitions.length > 0 && partitions.every(({ isr, leader }) => isr.length === 3 && leader > 0)) return;
      await sleep(500);
    }
  }
}
