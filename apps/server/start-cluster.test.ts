// Three nodes in this process, on real sockets: the cluster through the eyes of its clients.
import { Admin, Consumer, Producer } from "@blumfeld/client";
import { afterEach, expect, test } from "vitest";
import { type RunningCluster, startCluster } from "./start-cluster.ts";

let cluster: RunningCluster | null = null;
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await cluster?.close();
  cluster = null;
});

function adminAt(bootstrap: string): Admin {
  const admin = new Admin({ bootstrapServers: bootstrap, apiTimeoutMs: 20_000 });
  closers.push(() => admin.close());
  return admin;
}

async function leaderOf(admin: Admin, topic: string): Promise<{ leader: number | null; isr: readonly number[] }> {
  const [described] = await admin.describeTopics([topic]);
  const { isr, leader } = described!.partitions[0]!;
  return { leader, isr };
}

test("what one broker is told, all know; what was acknowledged outlives its leader", { timeout: 90_000 }, async () => {
  cluster = await startCluster({ brokers: 3 });
  expect(new Set(cluster.nodes.map(({ bootstrap }) => bootstrap)).size).toBe(3);
  // Any broker takes it to the controller.
  for (const { bootstrap, nodeId } of cluster.nodes)
    await adminAt(bootstrap).createTopic({ name: `by-${nodeId}`, partitions: 1, replicationFactor: 3 });
  for (const { bootstrap } of cluster.nodes) {
    const admin = adminAt(bootstrap);
    await expect
      .poll(async () => (await admin.listTopics()).map(({ name }) => name).sort())
      .toEqual(["by-1", "by-2", "by-3"]);
    expect((await admin.describeCluster()).clusterId).toBe(cluster.clusterId);
  }

  const admin = adminAt(cluster.bootstrap);
  const producer = new Producer({ bootstrapServers: cluster.bootstrap, acks: "all" });
  closers.push(() => producer.close());
  for (let index = 0; index < 50; index++) await producer.send({ topic: "by-1", value: `${index}` });

  const { leader } = await leaderOf(admin, "by-1");
  const led = cluster.nodes.find(({ nodeId }) => nodeId === leader)!;
  await led.stop();
  expect(led.isRunning).toBe(false);
  await expect.poll(async () => (await leaderOf(admin, "by-1")).leader, { timeout: 20_000 }).not.toBe(leader);
  for (let index = 50; index < 100; index++) await producer.send({ topic: "by-1", value: `${index}` });

  await led.start();
  await expect.poll(async () => (await leaderOf(admin, "by-1")).isr.length, { timeout: 30_000 }).toBe(3);
  const consumer = new Consumer({ bootstrapServers: cluster.bootstrap, autoOffsetReset: "earliest" });
  closers.push(() => consumer.close());
  await consumer.assign([{ topic: "by-1", partition: 0 }]);
  const seen: string[] = [];
  for await (const message of consumer) {
    seen.push(String(message.value));
    if (seen.length === 100) break;
  }
  expect(seen).toEqual(Array.from({ length: 100 }, (_, index) => `${index}`));
});

test("a cluster of no brokers, or of a thousand, is refused", async () => {
  await expect(startCluster({ brokers: 0 })).rejects.toThrow("brokers=0");
  await expect(startCluster({ brokers: 1000 })).rejects.toThrow("1 to 32");
});
