// Three nodes, three replicas, acks=all, by our client on both sides: how much goes through, how long an acknowledgement takes at a fixed pace, how
// long producers wait when a leader is killed, what a node weighs.
import { setTimeout as sleep } from "node:timers/promises";
import { Admin, Producer } from "@blumfeld/client";
import { BenchCluster, startLine } from "./cluster-nodes.ts";
import { type Figure, judge, type Row } from "./measure.ts";
import { residentMegabytes } from "./process-figures.ts";
import type { SubjectName } from "./subject.ts";

export interface ClusterSizes {
  readonly bytes: number;
  readonly warmUpBytes: number;
  readonly paceSeconds: number;
  readonly kills: number;
}

const batchBytes = 65_536;
const recordBytes = 1_024;
const paceBytesPerSecond = 5e6;
const partitions = 3;

export const clusterFigures: readonly Figure[] = [
  { name: "acks=all, RF 3, 64 KiB batches", unit: "MB/s", better: "higher", ratio: 1.5 },
  { name: "ack p99 at 5 MB/s", unit: "ms", better: "lower", ratio: 0.7 },
  { name: "kill -9 of a leader to the next ack, longest", unit: "s", better: "lower", ratio: 1 },
  { name: "resident memory of a node, largest", unit: "MB", better: "lower", bound: 200 },
];

export async function clusterRows(
  subjects: readonly SubjectName[],
  rounds: number,
  sizes: ClusterSizes,
  command: string | undefined,
): Promise<Row[]> {
  const samples = clusterFigures.map(() => new Map<SubjectName, number[]>(subjects.map((name) => [name, []])));
  for (let round = 0; round < rounds; round++) {
    for (const name of subjects) {
      process.stderr.write(`cluster: ${name}, round ${round + 1} of ${rounds}\n`);
      const values = await measureCluster(name, sizes, command);
      for (const [index, value] of values.entries()) if (Number.isFinite(value)) samples[index]!.get(name)!.push(value);
    }
  }
  return clusterFigures.map((figure, index) => judge("cluster", figure, samples[index]!));
}

/** A value for each figure. One cluster after another: three nodes have the machine for themselves. */
async function measureCluster(name: SubjectName, sizes: ClusterSizes, command: string | undefined): Promise<number[]> {
  const cluster = await BenchCluster.start(name, command);
  try {
    const { bootstrapServers } = cluster;
    await using admin = new Admin({ bootstrapServers });
    await createTopic(admin, "throughput");
    await produce(bootstrapServers, "throughput", sizes.warmUpBytes);
    const seconds = await produce(bootstrapServers, "throughput", sizes.bytes);
    await createTopic(admin, "pace");
    const p99 = await pace(bootstrapServers, "pace", sizes.paceSeconds);
    const memory = Math.max(...cluster.pids.map((pid) => residentMegabytes(pid)));
    const line = await startLine(name, command);
    const waits: number[] = [];
    for (let kill = 0; kill < sizes.kills; kill++) waits.push(await failover(cluster, admin, line, `failover-${kill}`));
    const longest = waits.length === 0 ? Number.NaN : Math.max(...waits);
    return [sizes.bytes / 1e6 / seconds, p99, longest, memory];
  } finally {
    await cluster.stop();
  }
}

async function createTopic(admin: Admin, name: string): Promise<void> {
  await admin.createTopic({ name, partitions, replicationFactor: 3, configs: { "min.insync.replicas": "2" } });
  for (;;) {
    const [topic] = await admin.describeTopics([name]);
    if (topic?.partitions.every(({ isr, leader }) => leader > 0 && isr.length === 3)) return;
    await sleep(100);
  }
}

const value = Buffer.alloc(recordBytes, "b");

/** Seconds until all of it is acknowledged. */
async function produce(bootstrapServers: string, topic: string, bytes: number): Promise<number> {
  await using producer = new Producer({ bootstrapServers, batchBytes, lingerMs: 5, acks: "all" });
  const count = Math.ceil(bytes / recordBytes);
  const startedMs = performance.now();
  const chunk = 256;
  let sends: Promise<unknown>[] = [];
  for (let sent = 0; sent < count; sent += chunk) {
    const records = Array.from({ length: Math.min(chunk, count - sent) }, (_, at) => ({
      ...{ topic, value },
      partition: Math.floor((sent + at) / 64) % partitions,
    }));
    sends.push(producer.send(records));
    if (sends.length >= 64) {
      await Promise.all(sends);
      sends = [];
    }
  }
  await Promise.all(sends);
  return (performance.now() - startedMs) / 1000;
}

/** The 99th percentile, in ms, of one record's way to three replicas and back, under a steady load. */
async function pace(bootstrapServers: string, topic: string, seconds: number): Promise<number> {
  await using producer = new Producer({ bootstrapServers, acks: "all" });
  const waits: number[] = [];
  const tickMs = 10;
  const perTick = Math.round((paceBytesPerSecond / recordBytes / 1000) * tickMs);
  const startedMs = performance.now();
  const pending: Promise<void>[] = [];
  for (let tick = 0; performance.now() - startedMs < seconds * 1000; tick++) {
    const sentMs = performance.now();
    const records = Array.from({ length: perTick }, () => ({ topic, value, partition: tick % partitions }));
    pending.push(producer.send(records).then(() => void waits.push(performance.now() - sentMs)));
    await sleep(Math.max(0, startedMs + (tick + 1) * tickMs - performance.now()));
  }
  await Promise.all(pending);
  waits.sort((one, other) => one - other);
  return waits[Math.floor(waits.length * 0.99)]!;
}

/** Seconds from the kill of a partition's leader to the next acknowledgement of a record in it. */
async function failover(cluster: BenchCluster, admin: Admin, line: string, topic: string): Promise<number> {
  await createTopic(admin, topic);
  const [described] = await admin.describeTopics([topic]);
  const { leader } = described!.partitions[0]!;
  await using producer = new Producer({ bootstrapServers: cluster.bootstrapServers, requestTimeoutMs: 2_000 });
  await producer.send({ topic, partition: 0, value });
  const killedMs = performance.now();
  const restarted = cluster.killAndRestart(leader, line);
  await producer.send({ topic, partition: 0, value });
  const seconds = (performance.now() - killedMs) / 1000;
  await restarted;
  for (;;) {
    const [topicNow] = await admin.describeTopics([topic]).catch(() => []);
    if (topicNow?.partitions.every(({ isr }) => isr.length === 3)) return seconds;
    await sleep(200);
  }
}
