// A broker on the real file system is killed with signal 9 again and again while a producer writes to it and keeps what was acknowledged. After
// each start everything acknowledged must be read back: of a plain topic each record at its offset, of a compacted one the last of each key or a
// later one. What the system had of the killed process's writes is still there, so this holds in every mode.
import { type ChildProcess, spawn } from "node:child_process";
import { Admin, Consumer, Producer } from "@blumfeld/client";
import { seededRandom } from "@blumfeld/core/base";
import { freePort } from "../compat/runner/process.ts";
import { Bundles } from "../exactly-once/processes.ts";

export interface CrashBrokerPlan {
  readonly dataDirectory: string;
  readonly port: number;
  readonly properties: Readonly<Record<string, string | number | boolean>>;
}

export interface KillLoopOptions {
  readonly kills: number;
  readonly seed: number;
  readonly dataDirectory: string;
  readonly properties: CrashBrokerPlan["properties"];
  readonly onProgress?: (progress: KillLoopProgress) => void;
}

export interface KillLoopProgress {
  readonly kills: number;
  readonly acknowledged: number;
}

export interface KillLoopReport extends KillLoopProgress {
  readonly read: number;
  /** Of the slowest start after a kill, to ready. */
  readonly slowestStartMs: number;
  /** Acknowledged and not read back, or read back as something else; the first ones. */
  readonly lost: readonly string[];
}

const topics: readonly { name: string; partitions: number; configs: Record<string, string> }[] = [
  { name: "plain", partitions: 3, configs: {} },
  { name: "compacted", partitions: 1, configs: { "cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.1" } },
];
const keyCount = 500;
const recordBytes = 400;
const outstandingMax = 400;
const readyMsMax = 60_000;
const lostMax = 20;

interface Acknowledged {
  readonly key: string;
  readonly value: string;
}

/** What was acknowledged: by partition, then offset. */
class Ledger {
  readonly partitions = new Map<string, Map<number, Acknowledged>>();
  count = 0;

  note(name: string, offset: number, record: Acknowledged): void {
    const records = this.partitions.get(name) ?? new Map<number, Acknowledged>();
    this.partitions.set(name, records);
    records.set(offset, record);
    this.count++;
  }
}

export async function runKillLoop(options: KillLoopOptions): Promise<KillLoopReport> {
  const random = seededRandom(options.seed);
  const bundles = await Bundles.create(["crash/broker-process"]);
  const plan = { dataDirectory: options.dataDirectory, port: await freePort(), properties: options.properties };
  const bootstrapServers = `127.0.0.1:${plan.port}`;
  const ledger = new Ledger();
  const lost: string[] = [];
  let slowestStartMs = 0;
  let read = 0;
  try {
    for (let kills = 0; ; kills++) {
      const startMs = performance.now();
      const broker = await startBroker(bundles.file("crash/broker-process"), plan);
      slowestStartMs = kills === 0 ? 0 : Math.max(slowestStartMs, performance.now() - startMs);
      const isLast = kills === options.kills;
      try {
        if (kills === 0) await createTopics(bootstrapServers);
        // All of it at the end; on the way now and then, so that a loss is seen near its kill.
        if (isLast || kills % 10 === 9) read = await compare(bootstrapServers, ledger, lost);
        if (isLast || lost.length > 0) {
          await stop(broker, "SIGTERM");
          return { kills, acknowledged: ledger.count, read, slowestStartMs, lost };
        }
        await produceUntilKilled(bootstrapServers, broker, kills, 150 + random.below(500), ledger);
      } finally {
        await stop(broker, "SIGKILL");
      }
      options.onProgress?.({ kills: kills + 1, acknowledged: ledger.count });
    }
  } finally {
    bundles.remove();
  }
}

async function startBroker(file: string, plan: CrashBrokerPlan): Promise<ChildProcess> {
  const child = spawn(process.execPath, [file, JSON.stringify(plan)], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the broker was not ready in time: ${said}`)), readyMsMax);
    const onData = (chunk: Buffer): void => {
      said = (said + chunk.toString()).slice(-4000);
      if (/^ready$/m.test(said)) {
        clearTimeout(timer);
        resolve();
      }
    };
    child.stdout!.on("data", onData);
    child.stderr!.on("data", onData);
    child.once("exit", (code, signal) => {
      clearTimeout(timer);
      reject(new Error(`the broker ended with ${signal ?? code}: ${said}`));
    });
  });
  return child;
}

async function stop(child: ChildProcess, signal: "SIGKILL" | "SIGTERM"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill(signal);
  await gone;
}

async function createTopics(bootstrapServers: string): Promise<void> {
  await using admin = new Admin({ bootstrapServers });
  for (const { name, partitions, configs } of topics)
    await admin.createTopics([{ name, partitions, configs, replicationFactor: 1 }]);
}

/** Sends as fast as it may; `SIGKILL` comes after `killAfterMs`, in the middle of it. */
async function produceUntilKilled(
  bootstrapServers: string,
  broker: ChildProcess,
  life: number,
  killAfterMs: number,
  ledger: Ledger,
): Promise<void> {
  const producer = new Producer({
    bootstrapServers,
    acks: "all",
    requestTimeoutMs: 3000,
    deliveryTimeoutMs: 5000,
    retriesMax: 0,
  });
  let isKilled = false;
  const timer = setTimeout(() => {
    isKilled = true;
    broker.kill("SIGKILL");
  }, killAfterMs);
  const under = new Set<Promise<void>>();
  try {
    for (let index = 0; !isKilled; index++) {
      const { name, partitions } = topics[index % 4 === 0 ? 1 : 0]!;
      const record = { key: `key ${(index * 31) % keyCount}`, value: `${life} ${index} `.padEnd(recordBytes, "x") };
      const partition = index % partitions;
      const sent = producer
        .send({ topic: name, partition, ...record })
        .then(({ offset }) => ledger.note(`${name}-${partition}`, Number(offset), record))
        // Not acknowledged: it may be there or not.
        .catch(() => {})
        .finally(() => under.delete(sent));
      under.add(sent);
      if (under.size >= outstandingMax) await Promise.race(under);
    }
  } finally {
    clearTimeout(timer);
    // What is under way will not be answered any more; what was is in the ledger.
    await Promise.race([Promise.allSettled(under), new Promise((wake) => setTimeout(wake, 300))]);
    await producer.close({ timeoutMs: 0 }).catch(() => {});
  }
}

/** Reads everything and holds it against the ledger. Returns how many records were read. */
async function compare(bootstrapServers: string, ledger: Ledger, lost: string[]): Promise<number> {
  const found = new Map<string, Map<number, string>>();
  const lastOf = new Map<string, number>();
  let read = 0;
  await using consumer = new Consumer({ bootstrapServers, autoOffsetReset: "earliest" });
  await consumer.assignTopics(topics.map(({ name }) => name));
  for await (const batch of consumer.batches({ until: "end" })) {
    for (const message of batch) {
      read++;
      const name = `${message.topic}-${message.partition}`;
      const records = found.get(name) ?? new Map<number, string>();
      found.set(name, records);
      records.set(Number(message.offset), message.valueText()!);
      lastOf.set(`${name} ${message.keyText()!}`, Number(message.offset));
    }
  }
  const tell = (text: string): void => {
    if (lost.length < lostMax) lost.push(text);
  };
  for (const [name, records] of ledger.partitions) {
    for (const [offset, { key, value }] of records) {
      const there = found.get(name)?.get(offset);
      if (there === value) continue;
      const what = `${name} offset ${offset} (${value.trimEnd().slice(0, 12)})`;
      if (there !== undefined) tell(`${what} reads ${there.slice(0, 12)}`);
      else if (!name.startsWith("compacted")) tell(`${what} is gone`);
      else if ((lastOf.get(`${name} ${key}`) ?? -1) < offset) tell(`${what}, the last of ${key}, is gone`);
    }
  }
  return read;
}
