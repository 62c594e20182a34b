// The consumer against our broker on real sockets: both protocols of membership, concurrent runs, and random schedules of pauses, seeks, members that come
// and go and restarts of the broker. Every record is handled, none twice where nobody died, in the order that was asked for.
import { Admin, Consumer, type ConsumerOptions, Producer, type RebalanceEvent } from "@blumfeld/client";
import { seededRandom } from "@blumfeld/core/base";
import { startBroker } from "blumfeld";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Subject, startMsMax, startSubject } from "./subject.ts";

let broker: Subject;
let admin: Admin;
let producer: Producer;
let bootstrapServers: string;

beforeAll(async () => {
  const properties = {
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 100,
    "group.consumer.min.heartbeat.interval.ms": 50,
    "group.consumer.heartbeat.interval.ms": 100,
    "group.consumer.assignment.interval.ms": 0,
  };
  broker = await startSubject(properties);
  bootstrapServers = broker.bootstrap;
  admin = new Admin({ bootstrapServers });
  producer = new Producer({ bootstrapServers });
}, startMsMax);
afterAll(async () => {
  await producer.close();
  await admin.close();
  await broker.close();
});

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function filled(topic: string, partitions: number, count: number, keys = 10): Promise<void> {
  await admin.createTopic({ name: topic, partitions });
  await producer.send(Array.from({ length: count }, (_, at) => ({ topic, key: `k${at % keys}`, value: `${at}` })));
}

function consumerOf(options: Partial<ConsumerOptions>): Consumer {
  const classic = options.groupProtocol === "classic" || options.assignors !== undefined;
  return new Consumer({
    bootstrapServers,
    autoOffsetReset: "earliest",
    ...(classic ? { heartbeatIntervalMs: 50, sessionTimeoutMs: 5000 } : {}),
    ...options,
  });
}

describe.each(["classic", "consumer"] as const)("the %s protocol", (groupProtocol) => {
  const named = (name: string) => `${name}-${groupProtocol}`;

  test("members share the partitions, and hear what moved and why", async () => {
    await filled(named("share"), 4, 0);
    const options = { groupProtocol, groupId: named("share") };
    const heard: RebalanceEvent[] = [];
    await using first = consumerOf(options);
    first.subscribe([named("share")], { onRebalance: (event) => heard.push(event) });
    while (heard.flatMap(({ assigned }) => assigned).length < 4) await first.poll(50);
    expect(heard.at(-1)).toMatchObject({ protocol: groupProtocol, revoked: [], isLost: false });
    expect(first.assignment()).toHaveLength(4);
    expect(heard[0]!.reason).toMatch(/joined the group/);
    await using second = consumerOf(options);
    second.subscribe([named("share")]);
    while (first.assignment().length !== 2 || second.assignment().length !== 2)
      await Promise.all([first.poll(50), second.poll(50)]);
    const countOf = (lists: (readonly unknown[])[]) => lists.reduce((sum, { length }) => sum + length, 0);
    const gained = () => countOf(heard.map(({ assigned }) => assigned)) - countOf(heard.map(({ revoked }) => revoked));
    while (gained() !== 2) await first.poll(50);
    await second.close();
    while (first.assignment().length < 4) await first.poll(50);
  });

  test("a pattern takes in topics as they come", async () => {
    const prefix = named("pattern");
    await filled(`${prefix}-a`, 1, 3);
    await using consumer = consumerOf({ groupProtocol, groupId: prefix, metadataAgeMsMax: 100 });
    consumer.subscribe(new RegExp(`${prefix}-.`));
    const values: string[] = [];
    while (values.length < 3) values.push(...(await consumer.poll(50)).map(({ topic }) => topic));
    await filled(`${prefix}-b`, 1, 2);
    while (values.length < 5) values.push(...(await consumer.poll(50)).map(({ topic }) => topic));
    expect(values).toEqual([..."aaabb"].map((letter) => `${prefix}-${letter}`));
  });

  test("a pattern of the brokers' language", async () => {
    const prefix = named("broker-pattern");
    await filled(`${prefix}-a`, 1, 3);
    await filled(`${prefix}-b`, 1, 3);
    await using consumer = consumerOf({ groupProtocol, groupId: prefix });
    consumer.subscribe({ pattern: `${prefix}-[b-z]` });
    const topics: string[] = [];
    while (topics.length < 3) topics.push(...(await consumer.poll(50)).map(({ topic }) => topic));
    expect(topics).toEqual(Array.from({ length: 3 }, () => `${prefix}-b`));
  });

  test("a member with a name of its own comes back to its partitions", async () => {
    const topic = named("static");
    await filled(topic, 4, 0);
    const options = (groupInstanceId: string) => ({ groupProtocol, groupId: topic, groupInstanceId });
    await using other = consumerOf(options("other"));
    const events: RebalanceEvent[] = [];
    other.subscribe([topic], { onRebalance: (event) => events.push(event) });
    const first = consumerOf(options("one"));
    first.subscribe([topic]);
    while (first.assignment().length !== 2 || other.assignment().length !== 2)
      await Promise.all([first.poll(50), other.poll(50)]);
    const before = first.assignment();
    for (let round = 0; round < 5; round++) await Promise.all([first.poll(50), other.poll(50)]);
    const told = events.length;
    await first.close();
    await using again = consumerOf(options("one"));
    again.subscribe([topic]);
    while (again.assignment().length !== 2) await Promise.all([again.poll(50), other.poll(50)]);
    expect(again.assignment()).toEqual(before);
    expect(events.slice(told).flatMap(({ assigned, revoked }) => [...assigned, ...revoked])).toEqual([]);
  });

  test("concurrent handlers: each message once, in order within its key, and what is committed is done", async () => {
    const topic = named("concurrent");
    await filled(topic, 3, 600, 30);
    const done = new Map<string, number[]>();
    const random = seededRandom(5);
    const consume = async (until: number): Promise<void> => {
      const consumer = consumerOf({ groupProtocol, groupId: topic, autoCommitIntervalMs: 20 });
      consumer.subscribe([topic]);
      let count = 0;
      const stop = new AbortController();
      const [active, activeMax] = [new Set<string>(), { count: 0 }];
      await consumer.run({
        concurrency: 8,
        orderBy: "key",
        signal: stop.signal,
        eachMessage: async (message) => {
          const key = message.keyText()!;
          expect(active.has(key), "one of a key at a time").toBe(false);
          active.add(key);
          activeMax.count = Math.max(activeMax.count, active.size);
          await sleep(random.below(4));
          active.delete(key);
          done.set(key, [...(done.get(key) ?? []), Number(message.valueText())]);
          count++;
          if (count === until) stop.abort();
        },
      });
      expect(activeMax.count).toBeGreaterThan(3);
      await consumer.close();
    };
    await consume(200);
    const before = [...done.values()].flat().length;
    expect(before).toBeGreaterThanOrEqual(200);
    await consume(600 - before);
    for (const [key, values] of done) {
      expect(values, key).toEqual([...values].sort((one, other) => one - other));
      expect(new Set(values).size).toBe(values.length);
    }
    expect([...done.values()].flat()).toHaveLength(600);
  });

  test("a handler that fails ends the run with its error, and its message comes again", async () => {
    const topic = named("failing");
    await filled(topic, 1, 20);
    const options = { groupProtocol, groupId: topic };
    await using consumer = consumerOf(options);
    consumer.subscribe([topic]);
    const handled: number[] = [];
    const run = consumer.run({
      concurrency: 4,
      orderBy: "none",
      eachMessage: async (message) => {
        await sleep(1);
        if (message.offset === 7) throw new Error("number seven");
        handled.push(message.offset);
      },
    });
    await expect(run).rejects.toThrow("number seven");
    await consumer.close();
    const offsets = await admin.listGroupOffsets(topic, [{ topic, partition: 0 }]);
    expect(offsets[0]!.offset).toBe(7);
    await using second = consumerOf(options);
    second.subscribe([topic]);
    const tries = new Map<number, number>();
    const stop = new AbortController();
    await second.run({
      signal: stop.signal,
      eachMessage: ({ offset }) => {
        tries.set(offset, (tries.get(offset) ?? 0) + 1);
        if (offset === 8 && tries.get(8)! < 3) throw new Error("not yet");
        if (offset === 9) throw new Error("never");
        if (offset === 19) stop.abort();
      },
      onError: (_error, { offset }) => (offset === 8 ? "retry" : "skip"),
    });
    expect([...tries.keys()]).toEqual(Array.from({ length: 13 }, (_, at) => at + 7));
    expect([tries.get(7), tries.get(8), tries.get(9)]).toEqual([1, 3, 1]);
  });

  test("batches, one of a partition at a time", async () => {
    const topic = named("batches");
    await filled(topic, 4, 400, 40);
    await using consumer = consumerOf({ groupProtocol, groupId: topic });
    consumer.subscribe([topic]);
    const active = new Set<number>();
    let count = 0;
    const stop = new AbortController();
    await consumer.run({
      concurrency: 4,
      signal: stop.signal,
      eachBatch: async (batch) => {
        expect(active.has(batch.partition)).toBe(false);
        active.add(batch.partition);
        await sleep(2);
        active.delete(batch.partition);
        count += [...batch].length;
        if (count === 400) stop.abort();
      },
    });
    expect(count).toBe(400);
  });

  test("members that come and go while handlers run lose nothing and repeat nothing", { timeout: 60_000 }, async () => {
    const topic = named("moving");
    await filled(topic, 6, 1500, 60);
    const handled = new Map<string, number>();
    const lastOf = new Map<string, number>();
    const random = seededRandom(11);
    const start = () => {
      const consumer = consumerOf({ groupProtocol, groupId: topic, autoCommitIntervalMs: 50 });
      consumer.subscribe([topic]);
      const run = consumer.run({
        concurrency: 3,
        orderBy: "key",
        eachMessage: async (message) => {
          await sleep(random.below(6));
          const [key, value] = [message.keyText()!, Number(message.valueText())];
          expect(value, "order within a key, over all members").toBeGreaterThan(lastOf.get(key) ?? -1);
          lastOf.set(key, value);
          handled.set(`${value}`, (handled.get(`${value}`) ?? 0) + 1);
        },
      });
      return { consumer, run };
    };
    const members = [start(), start()];
    for (let round = 0; handled.size < 1500 && round < 300; round++) {
      await sleep(100);
      if (members.length < 4 && random.below(2) === 0) members.push(start());
      else if (members.length > 1) {
        const { consumer, run } = members.splice(random.below(members.length), 1)[0]!;
        await consumer.close();
        await run;
      }
    }
    for (const { consumer, run } of members) {
      await consumer.close();
      await run;
    }
    expect(handled.size).toBe(1500);
    expect([...handled.values()].filter((times) => times !== 1)).toEqual([]);
  });
});

test("automatic: the consumer protocol where it is offered, the classic one where assignors ask for it", async () => {
  await filled("auto", 2, 4);
  for (const [groupId, options, protocol] of [
    ["auto-new", {}, "consumer"],
    ["auto-sticky", { assignors: ["sticky"] }, "classic"],
  ] as const) {
    const events: RebalanceEvent[] = [];
    await using consumer = consumerOf({ groupId, ...options });
    consumer.subscribe(["auto"], { onRebalance: (event) => events.push(event) });
    let count = 0;
    while (count < 4) count += (await consumer.poll(50)).length;
    expect(events.at(-1)!.protocol).toBe(protocol);
  }
});

test("a group that classic members hold stays classic for one that could do otherwise", async () => {
  await filled("held", 2, 4);
  await using old = consumerOf({ groupId: "held", groupProtocol: "classic" });
  old.subscribe(["held"]);
  while (old.assignment().length < 2) await old.poll(50);
  await using young = consumerOf({ groupId: "held" });
  young.subscribe(["held"]);
  while (old.assignment().length + young.assignment().length !== 2 || young.assignment().length !== 1)
    await Promise.all([old.poll(50), young.poll(50)]);
  expect(old.assignment()).toHaveLength(1);
});

test("offsets kept elsewhere: onAssigned is the place to seek", async () => {
  await filled("external", 2, 40, 7);
  const kept = new Map<number, number>([
    [0, 3],
    [1, 5],
  ]);
  await using consumer = consumerOf({ groupId: "external", autoCommit: false });
  consumer.subscribe(["external"], {
    onAssigned: (partitions) => {
      for (const where of partitions) consumer.seek(where, kept.get(where.partition)!);
    },
  });
  const first = new Map<number, number>();
  while (first.size < 2) {
    for (const { offset, partition } of await consumer.poll(50))
      if (!first.has(partition)) first.set(partition, offset);
  }
  expect(first).toEqual(kept);
});

test("pauses, seeks, timestamps and a broker that restarts: nothing is lost, nothing is out of order", {
  timeout: 60_000,
}, async () => {
  const { mkdtempSync, rmSync } = await import("node:fs");
  const { tmpdir } = await import("node:os");
  const { join } = await import("node:path");
  const dataDirectory = mkdtempSync(join(tmpdir(), "blumfeld-consumer-"));
  let own = await startBroker({ storage: "file", dataDirectory, port: 0 });
  const { port } = own;
  const random = seededRandom(23);
  try {
    await using ownAdmin = new Admin({ bootstrapServers: own.bootstrap });
    await ownAdmin.createTopic({ name: "t", partitions: 2 });
    await using source = new Producer({ bootstrapServers: own.bootstrap });
    const send = (from: number, to: number) =>
      source.send(
        Array.from({ length: to - from }, (_, at) => ({
          ...{ topic: "t", partition: (from + at) % 2, value: `${from + at}` },
          timestamp: 1000 * (from + at),
        })),
      );
    await send(0, 400);
    await using consumer = new Consumer({ bootstrapServers: own.bootstrap, autoOffsetReset: "earliest" });
    await consumer.assignTopics(["t"]);
    const expected = [0, 0];
    let sent = 400;
    for (let step = 0; step < 120; step++) {
      const where = { topic: "t", partition: random.below(2) };
      switch (random.below(12)) {
        case 0:
          consumer.pause([where]);
          break;
        case 1:
        case 2:
          consumer.resume([where]);
          break;
        case 3:
          expected[where.partition] = random.below(200);
          consumer.seek(where, expected[where.partition]!);
          break;
        case 4: {
          const offset = random.below(200);
          await consumer.seekToTimestamp(1000 * (offset * 2 + where.partition) - random.below(2), [where]);
          expected[where.partition] = offset;
          break;
        }
        case 5:
          if (step % 3 !== 0) break;
          await own.close();
          own = await startBroker({ storage: "file", dataDirectory, port });
          break;
        case 6:
          await send(sent, sent + 20);
          sent += 20;
          break;
        default:
          for (const { offset, partition } of await consumer.poll(20)) {
            expect(offset, `partition ${partition}`).toBe(expected[partition]);
            expected[partition]!++;
          }
      }
    }
    consumer.resume();
    while (expected[0]! + expected[1]! < sent) {
      for (const { offset, partition } of await consumer.poll(200)) {
        expect(offset).toBe(expected[partition]);
        expected[partition]!++;
      }
    }
  } finally {
    await own.close();
    rmSync(dataDirectory, { recursive: true, force: true });
  }
});
