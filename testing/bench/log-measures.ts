// What the log costs besides serving: compaction, the start after a kill, the start of a node with ten thousand partitions, and group commit. Each
// side gets the same segment files and is watched from outside: by its process's CPU time and by the files that it writes.
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Admin, Producer } from "@blumfeld/client";
import { seededRandom } from "@blumfeld/core/base";
import { LogManager, logConfigDefaults } from "@blumfeld/core/log";
import { partitionIndexOf, RecordBatchBuilder } from "@blumfeld/core/model";
import { FileDisk } from "@blumfeld/host/disk";
import { ourCommand, startByCommand } from "../compat/runner/broker.ts";
import { type RunningBroker, startKafka } from "../compat/runner/kafka.ts";
import { manualTimers, quietLogger } from "../log/fixtures.ts";
import type { Figure } from "./measure.ts";
import { cpuSeconds, residentMegabytes } from "./process-figures.ts";
import type { SubjectName } from "./subject.ts";

export const logFigures: readonly Figure[] = [
  { name: "compaction, per CPU second", unit: "MB/s", better: "higher", ratio: 1.5 },
  { name: "RSS after compaction", unit: "MB", better: "lower", bound: 300 },
  { name: "recovery after a kill", unit: "MB/s", better: "higher", ratio: 2 },
  { name: "clean start, many partitions", unit: "s", better: "lower", bound: 3 },
  { name: "group commit over a sync each", unit: "×", better: "higher" },
];

export interface LogSizes {
  readonly bytes: number;
  readonly partitions: number;
  readonly commitSeconds: number;
}

type Properties = Readonly<Record<string, string | number>>;

const base: Properties = {
  "log.retention.ms": -1,
  "log.segment.bytes": 64 * 1024 * 1024,
  "log.cleaner.backoff.ms": 100,
  "log.cleaner.min.cleanable.ratio": 0.01,
  "log.segment.delete.delay.ms": 1000,
  "offsets.topic.num.partitions": 1,
};
const topic = "bench";
const producerCount = 16;

function start(name: SubjectName, dataDir: string, properties: Properties): Promise<RunningBroker> {
  const all = { ...base, ...properties };
  return name === "kafka"
    ? startKafka({ heap: "1g", dataDir, properties: all })
    : startByCommand(ourCommand, { dataDir, properties: all });
}

/** Segments of keyed records, each key about three times, as a producer with batches of 16 KiB leaves them. Made once for all sides. */
export async function makeSegments(bytes: number): Promise<string> {
  const root = mkdtempSync(join(tmpdir(), "blumfeld-segments-"));
  const manager = await LogManager.open({
    disk: new FileDisk(),
    clock: { wallMs: Date.now, monotonicMs: () => performance.now() },
    timers: manualTimers(),
    random: seededRandom(1),
    logger: quietLogger,
    directories: [root],
    configOf: () => ({ ...logConfigDefaults, segmentBytes: 64 * 1024 * 1024 }),
  });
  const log = manager.getOrCreate({ topic, partition: partitionIndexOf(0) }, { topicId: null });
  const random = seededRandom(7);
  const keyCount = Math.floor(bytes / 3 / 300);
  const value = random.bytes(256);
  const nowMs = Date.now();
  while (log.logEndOffset * 290 < bytes) {
    const builder = new RecordBatchBuilder({ bytesInitial: 17_000 });
    while (builder.sizeBytes < 16_000) builder.append(nowMs, `key-${random.below(keyCount)}`, value);
    log.append(builder.build(), { origin: "client", leaderEpoch: 0, nowMs });
    log.writePending();
  }
  log.roll();
  log.writePending();
  await manager.close({ brokerEpoch: 1 });
  return join(root, `${topic}-0`);
}

/** A value for each of `logFigures`. */
export async function measureLog(name: SubjectName, segments: string, sizes: LogSizes): Promise<number[]> {
  const root = mkdtempSync(join(tmpdir(), "blumfeld-bench-log-"));
  const dataDir = join(root, "data");
  mkdirSync(dataDir);
  try {
    const megabytes = await prepare(name, dataDir, segments);
    const recovery = await measureRecovery(name, dataDir, megabytes);
    const [compaction, resident] = await measureCompaction(name, dataDir, megabytes);
    const startSeconds = await measureManyPartitions(name, join(root, "many"), sizes.partitions);
    const commit = name === "kafka" ? Number.NaN : await measureGroupCommit(root, sizes.commitSeconds);
    return [compaction, resident, recovery, startSeconds, commit];
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** The topic as the side itself makes it, then the segments in its folder, and no word of a clean stop. Returns their MB. */
async function prepare(name: SubjectName, dataDir: string, segments: string): Promise<number> {
  const broker = await start(name, dataDir, { "log.cleaner.enable": "false" });
  try {
    await using admin = new Admin({ bootstrapServers: broker.bootstrap });
    const configs = { "cleanup.policy": "compact" };
    await admin.createTopics([{ name: topic, partitions: 1, replicationFactor: 1, configs }]);
    const folder = join(dataDir, `${topic}-0`);
    for (let tries = 0; !existsSync(folder) && tries < 200; tries++) await new Promise((wake) => setTimeout(wake, 50));
  } finally {
    await broker.halt();
  }
  const folder = join(dataDir, `${topic}-0`);
  for (const file of readdirSync(folder)) if (/^\d+\./.test(file)) rmSync(join(folder, file));
  let bytes = 0;
  for (const file of readdirSync(segments).filter((each) => each.endsWith(".log"))) {
    copyFileSync(join(segments, file), join(folder, file));
    bytes += statSync(join(segments, file)).size;
  }
  forgetCleanStop(dataDir);
  return bytes / 1e6;
}

function forgetCleanStop(dataDir: string): void {
  for (const file of [".kafka_cleanshutdown", "recovery-point-offset-checkpoint", "cleaner-offset-checkpoint"])
    rmSync(join(dataDir, file), { force: true });
}

async function timedStart(name: SubjectName, dataDir: string, properties: Properties): Promise<number> {
  const startedMs = performance.now();
  const broker = await start(name, dataDir, properties);
  const seconds = (performance.now() - startedMs) / 1000;
  await broker.halt();
  return seconds;
}

/** By how much longer a start takes that must look at everything. */
async function measureRecovery(name: SubjectName, dataDir: string, megabytes: number): Promise<number> {
  const off = { "log.cleaner.enable": "false" };
  const unclean = await timedStart(name, dataDir, off);
  const clean = await timedStart(name, dataDir, off);
  return megabytes / Math.max(unclean - clean, 0.01);
}

async function measureCompaction(
  name: SubjectName,
  dataDir: string,
  megabytes: number,
): Promise<[perSecond: number, resident: number]> {
  rmSync(join(dataDir, "cleaner-offset-checkpoint"), { force: true });
  const broker = await start(name, dataDir, {});
  try {
    const before = cpuSeconds(broker.pid);
    const isDone = (): boolean => {
      const path = join(dataDir, "cleaner-offset-checkpoint");
      return existsSync(path) && new RegExp(`^${topic} 0 [1-9]`, "m").test(readFileSync(path, "utf8"));
    };
    for (let tries = 0; !isDone(); tries++) {
      if (tries > 6000) throw new Error(`${name} has not compacted the log in five minutes`);
      await new Promise((wake) => setTimeout(wake, 50));
    }
    return [megabytes / Math.max(cpuSeconds(broker.pid) - before, 0.01), residentMegabytes(broker.pid)];
  } finally {
    await broker.halt();
  }
}

async function measureManyPartitions(name: SubjectName, dataDir: string, partitions: number): Promise<number> {
  mkdirSync(dataDir);
  const broker = await start(name, dataDir, {});
  try {
    await using admin = new Admin({ bootstrapServers: broker.bootstrap });
    // One topic of so many is an operation too large, for Kafka too.
    const half = Math.ceil(partitions / 2);
    for (const each of ["many-1", "many-2"])
      await admin.createTopics([{ name: each, partitions: half, replicationFactor: 1 }]);
    const folders = (): number => readdirSync(dataDir).filter((file) => file.startsWith("many-")).length;
    for (let tries = 0; folders() < 2 * half && tries < 1200; tries++)
      await new Promise((wake) => setTimeout(wake, 50));
  } finally {
    await broker.halt();
  }
  return timedStart(name, dataDir, {});
}

/** Single records of sixteen producers, each waiting for its acknowledgement, with group commit; over one sync for each request. */
async function measureGroupCommit(root: string, seconds: number): Promise<number> {
  const group = { "blumfeld.log.group.commit.enable": "true" };
  const grouped = await commitRate(join(root, "grouped"), group, producerCount, seconds);
  // What comes in one turn shares a sync in that mode too, so that one sync for each request is what a lone producer gets.
  const single = await commitRate(join(root, "single"), { "log.flush.interval.messages": 1 }, 1, seconds);
  return grouped / single;
}

async function commitRate(
  dataDir: string,
  properties: Properties,
  producerCount: number,
  seconds: number,
): Promise<number> {
  mkdirSync(dataDir);
  const broker = await start("blumfeld", dataDir, properties);
  try {
    const bootstrapServers = broker.bootstrap;
    await using admin = new Admin({ bootstrapServers });
    await admin.createTopics([{ name: topic, partitions: 1, replicationFactor: 1 }]);
    let count = 0;
    let untilMs = Number.POSITIVE_INFINITY;
    const one = async (): Promise<void> => {
      await using producer = new Producer({ bootstrapServers, acks: "all" });
      while (performance.now() < untilMs) {
        await producer.send({ topic, value: "x".repeat(100) });
        count++;
      }
    };
    const all = Array.from({ length: producerCount }, one);
    await new Promise((wake) => setTimeout(wake, 1000));
    count = 0;
    untilMs = performance.now() + seconds * 1000;
    await Promise.all(all);
    return count / seconds;
  } finally {
    await broker.halt();
  }
}
