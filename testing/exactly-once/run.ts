// The run: fills the input, lets copiers copy while they and the broker are killed or paused, and judges what came out. What happens when is drawn
// from the seed; what the machine makes of it is not, so a seed repeats the kills and not their moments to the instruction.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Admin, Producer } from "@blumfeld/client";
import { seededRandom } from "@blumfeld/core/base";
import { type BrokerPlan, type CopierPlan, groupId, textOf, topicIn, topicOut } from "./plan.ts";
import { Bundles, Restarting } from "./processes.ts";
import { judge, type Verdict } from "./verdict.ts";

export interface RunOptions {
  readonly records: number;
  readonly partitions: number;
  readonly copiers: number;
  readonly killEveryMs: number;
  /** No more than these; then the copy ends undisturbed. */
  readonly killsMax: number;
  readonly messagesMax: number;
  readonly groupProtocol: "classic" | "consumer";
  /** 1: the cluster's transaction.version is taken back to 0 first. */
  readonly transactions: 1 | 2;
  readonly seed: number;
  /** Kept: a run that ran out of time goes on there. */
  readonly directory: string;
  readonly minutesMax: number;
  readonly onProgress: (progress: Progress) => void;
}

export interface Progress {
  readonly phase: "fill" | "copy" | "judge";
  readonly done: number;
  readonly total: number;
  readonly kills: Kills;
}

export interface Kills {
  broker: number;
  copier: number;
  paused: number;
}

export type Outcome = {
  readonly verdict: Verdict | null;
  readonly kills: Kills;
  readonly aborts: number;
  readonly fenced: number;
  readonly seconds: number;
  /** What a broker or a copier said that it should not have. */
  readonly complaints: readonly string[];
};

interface Kept {
  readonly records: number;
  readonly partitions: number;
  port: number;
  filled: boolean;
  kills: Kills;
  aborts: number;
  fenced: number;
  seconds: number;
}

const sessionTimeoutMs = 1000;
const pauseMs = sessionTimeoutMs * 2;
const complaintsMax = 20;
const fillChunk = 20_000;

export class ExactlyOnceRun {
  readonly #options: RunOptions;
  readonly #kept: Kept;
  readonly #keptFile: string;
  readonly #complaints: string[] = [];
  readonly #copiers: Restarting[] = [];
  #broker: Restarting | null = null;
  #admin: Admin | null = null;
  #lastKillMs = 0;

  private constructor(options: RunOptions, kept: Kept, keptFile: string) {
    this.#options = options;
    this.#kept = kept;
    this.#keptFile = keptFile;
  }

  static async prepare(options: RunOptions): Promise<ExactlyOnceRun> {
    mkdirSync(options.directory, { recursive: true });
    const keptFile = join(options.directory, "run.json");
    const { records, partitions } = options;
    const fresh = (port: number): Kept => ({
      ...{ records, partitions, port, filled: false, aborts: 0, fenced: 0, seconds: 0 },
      kills: { broker: 0, copier: 0, paused: 0 },
    });
    const isKept = existsSync(keptFile);
    const kept = isKept ? (JSON.parse(readFileSync(keptFile, "utf8")) as Kept) : fresh(await freePort());
    if (kept.records !== records || kept.partitions !== partitions)
      throw new Error(`${options.directory} holds a run of ${kept.records} records in ${kept.partitions} partitions`);
    return new ExactlyOnceRun(options, kept, keptFile);
  }

  /** The verdict is null where the time was over first. */
  async run(): Promise<Outcome> {
    const { copiers } = this.#options;
    const startedMs = performance.now();
    const bundles = await Bundles.create(["exactly-once/broker-process", "exactly-once/copier-process"]);
    try {
      const brokerPlan: BrokerPlan = { dataDirectory: join(this.#options.directory, "data"), port: this.#kept.port };
      this.#broker = new Restarting(
        "broker",
        bundles.file("exactly-once/broker-process"),
        () => brokerPlan,
        (line) => {
          if (line !== "ready" && !line.includes('"level":40')) this.#complain(`broker: ${line}`);
        },
      );
      this.#broker.start();
      this.#admin = new Admin({ bootstrapServers: this.#bootstrapServers, apiTimeoutMs: 30_000 });
      await this.#fill();
      for (let index = 0; index < copiers; index++) this.#copiers.push(this.#makeCopier(bundles, index));
      for (const copier of this.#copiers) copier.start();
      const isDone = await this.#copy(startedMs);
      await Promise.all(this.#copiers.map((copier) => copier.stop()));
      this.#kept.seconds += (performance.now() - startedMs) / 1000;
      this.#keep();
      const verdict = isDone ? await this.#judge() : null;
      const { aborts, fenced, kills, seconds } = this.#kept;
      return { verdict, kills, aborts, fenced, seconds, complaints: this.#complaints };
    } catch (error) {
      throw new Error(["the run could not go on", ...this.#complaints].join("\n"), { cause: error });
    } finally {
      await this.#admin?.close();
      await Promise.all([...this.#copiers, this.#broker].map((each) => each?.stop()));
      bundles.remove();
    }
  }

  get #bootstrapServers(): string {
    return `127.0.0.1:${this.#kept.port}`;
  }

  #makeCopier(bundles: Bundles, index: number): Restarting {
    let incarnation = 0;
    const plan = (): CopierPlan => ({
      ...{ bootstrapServers: this.#bootstrapServers, index, sessionTimeoutMs },
      messagesMax: this.#options.messagesMax,
      groupProtocol: this.#options.groupProtocol,
      seed: this.#options.seed * 1000 + index * 100 + incarnation++,
    });
    return new Restarting(`copier ${index}`, bundles.file("exactly-once/copier-process"), plan, (line) => {
      if (line.startsWith("copied")) return;
      if (line.startsWith("aborted")) this.#kept.aborts++;
      else if (line.startsWith("over")) this.#kept.fenced++;
      else this.#complain(`copier ${index}: ${line}`);
    });
  }

  #complain(text: string): void {
    if (this.#complaints.length < complaintsMax) this.#complaints.push(text);
  }

  #keep(): void {
    writeFileSync(this.#keptFile, JSON.stringify(this.#kept));
  }

  #counts(): number[] {
    const { partitions, records } = this.#options;
    return Array.from({ length: partitions }, (_, index) => Math.ceil((records - index) / partitions));
  }

  async #fill(): Promise<void> {
    if (this.#kept.filled) return;
    const { partitions, records } = this.#options;
    for (const name of [topicIn, topicOut]) await this.#admin!.createTopic({ name, partitions });
    if (this.#options.transactions === 1) {
      const downgrade = { feature: "transaction.version", level: 0, upgradeType: "unsafe-downgrade" } as const;
      await this.#admin!.updateFeatures([downgrade]);
    }
    await using producer = new Producer({ bootstrapServers: this.#bootstrapServers, compression: "lz4" });
    for (let done = 0; done < records; done += fillChunk) {
      const chunk = Array.from({ length: Math.min(fillChunk, records - done) }, (_, at) => {
        const number = done + at;
        const sequence = Math.floor(number / partitions);
        return { topic: topicIn, partition: number % partitions, key: `k${sequence % 97}`, value: textOf(sequence) };
      });
      await producer.send(chunk);
      this.#tell("fill", done + chunk.length);
    }
    this.#kept.filled = true;
    this.#keep();
  }

  async #copy(startedMs: number): Promise<boolean> {
    const { killEveryMs, killsMax, minutesMax, records, seed } = this.#options;
    const random = seededRandom(seed);
    const { kills } = this.#kept;
    this.#lastKillMs = performance.now();
    for (;;) {
      await sleep(Math.min(500, killEveryMs));
      const done = await this.#committed();
      if (done !== null) this.#tell("copy", done);
      if (done === records) return true;
      if (performance.now() - startedMs > minutesMax * 60_000) return false;
      const isDue = performance.now() - this.#lastKillMs >= killEveryMs;
      if (!isDue || kills.broker + kills.copier + kills.paused >= killsMax) continue;
      this.#lastKillMs = performance.now();
      const copier = this.#copiers[random.below(this.#copiers.length)]!;
      switch (random.below(4)) {
        case 0:
          kills.broker++;
          this.#broker!.kill();
          break;
        case 1:
          kills.paused++;
          copier.pause();
          setTimeout(() => copier.resume(), pauseMs).unref();
          break;
        default:
          kills.copier++;
          copier.kill();
      }
    }
  }

  /** Records whose offsets are committed; null while the broker is away. */
  async #committed(): Promise<number | null> {
    const partitions = this.#counts().map((_, partition) => ({ topic: topicIn, partition }));
    try {
      const offsets = await this.#admin!.listGroupOffsets(groupId, partitions, { timeoutMs: 1000 });
      return offsets.reduce((sum, { offset }) => sum + Math.max(0, offset), 0);
    } catch {
      return null;
    }
  }

  async #judge(): Promise<Verdict> {
    this.#tell("judge", this.#options.records);
    // Transactions of those that were killed last are still open; the coordinator ends them after their timeout.
    for (let waited = 0; waited < 60; waited++) {
      try {
        const open = await this.#admin!.listTransactions({ states: ["Ongoing", "PrepareCommit", "PrepareAbort"] });
        if (open.length === 0) break;
      } catch {
        // It was the last to be killed, and comes back.
      }
      await sleep(500);
    }
    return judge(this.#bootstrapServers, this.#counts());
  }

  #tell(phase: Progress["phase"], done: number): void {
    this.#options.onProgress({ phase, done, total: this.#options.records, kills: this.#kept.kills });
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
