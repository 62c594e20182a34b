// Consumers in groups, against the broker of this project: each record handled once while members come and go.
import { Admin, Consumer, type ConsumerOptions, Producer } from "@blumfeld/client";
import { type RunningBroker, startBroker } from "blumfeld";
import { afterAll, beforeAll, expect, test } from "vitest";

let broker: RunningBroker;
let admin: Admin;
let producer: Producer;

beforeAll(async () => {
  const properties = { "group.initial.rebalance.delay.ms": "0" };
  broker = await startBroker({ storage: "memory", host: "127.0.0.1", port: 0, properties });
  admin = new Admin({ bootstrapServers: broker.bootstrap });
  producer = new Producer({ bootstrapServers: broker.bootstrap });
});
afterAll(async () => {
  await producer.close();
  await admin.close();
  await broker.close();
});

class Worker {
  readonly consumer: Consumer;
  readonly run: Promise<void>;

  constructor(topic: string | RegExp, handled: Map<string, number>, options: Partial<ConsumerOptions>) {
    const consumer = new Consumer({
      bootstrapServers: broker.bootstrap,
      autoOffsetReset: "earliest",
      heartbeatIntervalMs: 100,
      sessionTimeoutMs: 10_000,
      ...options,
    });
    this.consumer = consumer;
    consumer.subscribe(typeof topic === "string" ? [topic] : topic);
    this.run = (async () => {
      for await (const message of consumer) {
        const value = message.valueText()!;
        handled.set(value, (handled.get(value) ?? 0) + 1);
      }
    })();
  }

  async stop(): Promise<void> {
    await this.consumer.close();
    await this.run;
  }
}

async function produce(topic: string, from: number, to: number): Promise<void> {
  await producer.send(
    Array.from({ length: to - from }, (_, index) => ({ topic, key: `${from + index}`, value: `${from + index}` })),
  );
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let left = 500; left > 0; left--) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("did not come about within ten seconds");
}

test.each(["range", "roundrobin", "cooperative-sticky"])(
  "%s: members come and go, each record is handled once",
  { timeout: 30_000 },
  async (assignor) => {
    const topic = `work-${assignor}`;
    const groupId = `group-${assignor}`;
    await admin.createTopic({ name: topic, partitions: 6 });
    const handled = new Map<string, number>();
    await produce(topic, 0, 300);
    const one = new Worker(topic, handled, { groupId, assignors: [assignor] });
    await until(() => handled.size === 300);
    const two = new Worker(topic, handled, { groupId, assignors: [assignor] });
    await until(() => one.consumer.assignment().length === 3 && two.consumer.assignment().length === 3);
    await produce(topic, 300, 600);
    await until(() => handled.size === 600);
    await one.stop();
    await until(() => two.consumer.assignment().length === 6);
    await produce(topic, 600, 900);
    await until(() => handled.size === 900);
    await two.stop();
    expect([...handled.values()].every((times) => times === 1)).toBe(true);
    const committed = await admin.listGroupOffsets(groupId);
    expect(committed.reduce((sum, { offset }) => sum + offset, 0)).toBe(900);
  },
);

test("a topic that grows is divided anew", { timeout: 30_000 }, async () => {
  await admin.createTopic({ name: "growing", partitions: 1 });
  const worker = new Worker("growing", new Map(), { groupId: "growers", metadataAgeMsMax: 200 });
  await until(() => worker.consumer.assignment().length === 1);
  await admin.createPartitions([{ name: "growing", count: 4 }]);
  await until(() => worker.consumer.assignment().length === 4);
  await worker.stop();
});

test("a pattern takes the topics that match, and those that come", { timeout: 30_000 }, async () => {
  await admin.createTopics(["log-a", "log-b", "other-log-c"].map((name) => ({ name, partitions: 1 })));
  const worker = new Worker(/log-./, new Map(), { groupId: "patterns", metadataAgeMsMax: 200 });
  const topics = (): string =>
    worker.consumer
      .assignment()
      .map(({ topic }) => topic)
      .sort()
      .join();
  await until(() => topics() === "log-a,log-b");
  await admin.createTopic({ name: "log-z", partitions: 1 });
  await until(() => topics() === "log-a,log-b,log-z");
  await worker.stop();
});

test("committed by hand: what was not committed comes again", { timeout: 30_000 }, async () => {
  await admin.createTopic({ name: "manual", partitions: 1 });
  await produce("manual", 0, 10);
  const options = {
    bootstrapServers: broker.bootstrap,
    groupId: "careful",
    autoCommit: false,
    autoOffsetReset: "earliest",
  } as const;
  const offsets: number[] = [];
  await using first = new Consumer(options);
  first.subscribe(["manual"]);
  for await (const { offset } of first) {
    offsets.push(offset);
    if (offset === 3) await first.commit();
    if (offset === 6) break;
  }
  await first.close();
  await using second = new Consumer(options);
  const seen: string[] = [];
  second.subscribe(["manual"], {
    onAssigned: (partitions) => {
      seen.push(`+${partitions.length}`);
    },
    onRevoked: (partitions) => {
      seen.push(`-${partitions.length}`);
    },
  });
  const [message] = await second.poll(5000);
  expect(message!.offset).toBe(4);
  expect(await second.committed([{ topic: "manual", partition: 0 }])).toMatchObject([{ offset: 4 }]);
  expect(seen).toEqual(["+1"]);
});

test("a program that does not ask in time loses its partitions to one that does", { timeout: 30_000 }, async () => {
  await admin.createTopic({ name: "slow", partitions: 2 });
  await produce("slow", 0, 10);
  const options = {
    groupId: "sleepers",
    heartbeatIntervalMs: 50,
    pollIntervalMsMax: 400,
    sessionTimeoutMs: 10_000,
  } as const;
  const lost: number[] = [];
  await using slow = new Consumer({ bootstrapServers: broker.bootstrap, autoOffsetReset: "earliest", ...options });
  slow.subscribe(["slow"], {
    onLost: (partitions) => {
      lost.push(partitions.length);
    },
  });
  expect((await slow.poll(5000)).length).toBeGreaterThan(0);
  const handled = new Map<string, number>();
  const other = new Worker("slow", handled, options);
  await until(() => handled.size === 10);
  expect(other.consumer.assignment()).toHaveLength(2);
  // A heartbeat later it knows that it is out.
  await new Promise((resolve) => setTimeout(resolve, 300));
  await slow.poll(300);
  expect(lost).toEqual([2]);
  await other.stop();
});

test("misuse is told", async () => {
  const { bootstrap: bootstrapServers } = broker;
  await using loner = new Consumer({ bootstrapServers });
  expect(() => loner.subscribe(["t"])).toThrow(/groupId/);
  await using member = new Consumer({ bootstrapServers, groupId: "g" });
  member.subscribe(["t"]);
  expect(() => member.assign([{ topic: "t", partition: 0 }])).toThrow(/subscribed/);
  expect(() => new Consumer({ bootstrapServers, groupId: "g", assignors: ["best"] })).toThrow(
    /"best" is not one of range/,
  );
  expect(() => new Consumer({ bootstrapServers, groupId: "g", heartbeatIntervalMs: 50_000 })).toThrow(
    /heartbeatIntervalMs/,
  );
});
