// The client on a real socket against the broker of this project: what the model of the client's own tests cannot say.
import { Admin, Consumer, Producer } from "@blumfeld/client";
import { type RunningBroker, startBroker } from "blumfeld";
import { afterAll, beforeAll, expect, test } from "vitest";

let broker: RunningBroker;
let admin: Admin;
let bootstrapServers: string;

beforeAll(async () => {
  broker = await startBroker({ storage: "memory", host: "127.0.0.1", port: 0 });
  bootstrapServers = broker.bootstrap;
  admin = new Admin({ bootstrapServers });
});
afterAll(async () => {
  await admin.close();
  await broker.close();
});

async function readEverything(topic: string): Promise<string[]> {
  await using consumer = new Consumer({ bootstrapServers, autoOffsetReset: "earliest" });
  await consumer.assignTopics([topic]);
  const values: string[] = [];
  for await (const batch of consumer.batches({ until: "end" })) {
    for (const message of batch) values.push(message.valueText()!);
  }
  return values;
}

test.each(["none", "gzip", "snappy", "lz4", "zstd"] as const)(
  "%s: each record once, in order within its key",
  async (compression) => {
    const topic = `codec-${compression}`;
    await admin.createTopic({ name: topic, partitions: 4 });
    const records = Array.from({ length: 5000 }, (_, index) => ({ topic, key: `k${index % 37}`, value: `${index}` }));
    await using producer = new Producer({ bootstrapServers, compression });
    const results = await producer.send(records);
    const counts = new Map<number, number>();
    for (const { partition, offset } of results) {
      expect(offset).toBe(counts.get(partition) ?? 0);
      counts.set(partition, offset + 1);
    }
    const values = await readEverything(topic);
    expect(values.map(Number).sort((one, other) => one - other)).toEqual(records.map((_, index) => index));
    const byKey = new Map<number, number>();
    for (const value of values.map(Number)) {
      expect(value).toBeGreaterThan(byKey.get(value % 37) ?? -1);
      byKey.set(value % 37, value);
    }
  },
);

test("ten thousand single sends at once", async () => {
  await admin.createTopic({ name: "singles", partitions: 3 });
  await using producer = new Producer({ bootstrapServers });
  const all = Array.from({ length: 10_000 }, (_, index) => producer.send({ topic: "singles", value: `${index}` }));
  const places = new Set((await Promise.all(all)).map(({ partition, offset }) => `${partition}:${offset}`));
  expect(places.size).toBe(10_000);
  expect(await readEverything("singles")).toHaveLength(10_000);
});

test("admin: topics, settings, offsets, records, groups", async () => {
  await admin.createTopic({ name: "managed", partitions: 2, configs: { "retention.ms": "100000" } });
  await expect(admin.createTopic({ name: "managed" })).rejects.toMatchObject({ code: "TOPIC_ALREADY_EXISTS" });
  await expect(admin.createTopic({ name: "bad/name" })).rejects.toMatchObject({ code: "INVALID_TOPIC_EXCEPTION" });
  expect((await admin.listTopics()).find(({ name }) => name === "managed")).toMatchObject({ partitions: 2 });
  const [described, missing] = await admin.describeTopics(["managed", "nowhere"]);
  expect(described!.partitions.map(({ leader }) => leader)).toEqual([broker.nodeId, broker.nodeId]);
  expect(missing!.error).toMatchObject({ code: "UNKNOWN_TOPIC_OR_PARTITION" });
  const [configs] = await admin.describeConfigs([{ type: "topic", name: "managed" }], { keys: ["retention.ms"] });
  expect(configs!.entries).toMatchObject([{ name: "retention.ms", value: "100000", source: "dynamic-topic" }]);
  const changes = [{ name: "retention.ms", operation: "set", value: "-1" }] as const;
  expect(await admin.alterConfigs([{ type: "topic", name: "managed", changes }])).toMatchObject([{ error: null }]);
  await using producer = new Producer({ bootstrapServers });
  await producer.send(
    Array.from({ length: 10 }, (_, index) => ({ topic: "managed", partition: 0, value: "x", timestamp: 1000 + index })),
  );
  const where = { topic: "managed", partition: 0 };
  const offsets = await admin.listOffsets([
    { ...where, spec: "earliest" },
    { ...where, spec: "latest" },
    { ...where, spec: { timestamp: 1004 } },
    { ...where, spec: "max-timestamp" },
  ]);
  expect(offsets.map(({ offset }) => offset)).toEqual([0, 10, 4, 9]);
  expect(await admin.deleteRecords([{ ...where, beforeOffset: 6 }])).toMatchObject([{ lowWatermark: 6, error: null }]);
  expect(await admin.listOffsets([{ ...where, spec: "earliest" }])).toMatchObject([{ offset: 6 }]);
  const cluster = await admin.describeCluster();
  expect([cluster.clusterId, cluster.nodes.length]).toEqual([broker.clusterId, 1]);
  await admin.deleteTopic("managed");
  expect((await admin.listTopics()).some(({ name }) => name === "managed")).toBe(false);
});

test("a consumer that follows sees records soon after they were sent", async () => {
  await admin.createTopic({ name: "live", partitions: 1 });
  await using consumer = new Consumer({ bootstrapServers, autoOffsetReset: "earliest" });
  await consumer.assignTopics(["live"]);
  await using producer = new Producer({ bootstrapServers });
  const delays: number[] = [];
  const reading = (async () => {
    for await (const message of consumer) {
      delays.push(performance.now() - Number(message.valueText()));
      if (delays.length === 50) break;
    }
  })();
  for (let index = 0; index < 50; index++) {
    await producer.send({ topic: "live", value: `${performance.now()}` });
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await reading;
  delays.sort((one, other) => one - other);
  // A fetch that waits is woken by the append; the bound leaves room for a busy machine.
  expect(delays[25]).toBeLessThan(100);
});
