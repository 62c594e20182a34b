// Share consumers against our broker on real sockets: each record is one member's at a time and done once, whatever becomes of its members.
import {
  type AcknowledgementOutcome,
  Admin,
  Producer,
  ShareConsumer,
  type ShareConsumerOptions,
} from "@blumfeld/client";
import { seededRandom } from "@blumfeld/core/base";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Subject, startMsMax, startSubject } from "./subject.ts";

let broker: Subject;
let admin: Admin;
let producer: Producer;
let bootstrapServers: string;
const lockMs = 1000;

beforeAll(async () => {
  const properties = {
    "group.share.min.heartbeat.interval.ms": 50,
    "group.share.heartbeat.interval.ms": 100,
    "group.share.min.record.lock.duration.ms": lockMs,
    "group.share.record.lock.duration.ms": lockMs,
    "share.coordinator.state.topic.num.partitions": 2,
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

async function filled(topic: string, count: number, partitions = 1): Promise<void> {
  await admin.createTopic({ name: topic, partitions });
  const changes = [{ name: "share.auto.offset.reset", operation: "set", value: "earliest" }] as const;
  await admin.alterConfigs([{ type: "group", name: topic, changes }]);
  await producer.send(
    Array.from({ length: count }, (_, at) => ({ topic, partition: at % partitions, value: `${at}` })),
  );
}

function memberOf(topic: string, options: Partial<ShareConsumerOptions> = {}): ShareConsumer {
  const consumer = new ShareConsumer({ bootstrapServers, groupId: topic, fetchWaitMsMax: 100, ...options });
  consumer.subscribe([topic]);
  return consumer;
}

test("implicit: what was handed out is accepted with the next asking", { timeout: 30_000 }, async () => {
  await filled("implicit", 30, 2);
  const told: AcknowledgementOutcome[] = [];
  const first = memberOf("implicit", { onAcknowledged: (outcome) => told.push(outcome) });
  const values: string[] = [];
  for await (const message of first) {
    values.push(message.valueText()!);
    expect(message.deliveryCount).toBe(1);
    if (values.length === 30) break;
  }
  await first.commit();
  expect(told.flatMap(({ error, offsets }) => (error === null ? offsets : []))).toHaveLength(30);
  await first.close();
  await using second = memberOf("implicit");
  await producer.send({ topic: "implicit", partition: 0, value: "new" });
  let polled = await second.poll(3000);
  while (polled.length === 0) polled = await second.poll(3000);
  expect(polled.map((message) => message.valueText())).toEqual(["new"]);
});

test("explicit: accepted, released, rejected", { timeout: 30_000 }, async () => {
  await filled("explicit", 9);
  await using consumer = memberOf("explicit", { acknowledgement: "explicit" });
  const seen = new Map<number, number[]>();
  let left = 9;
  for await (const message of consumer) {
    const { deliveryCount, offset } = message;
    seen.set(offset, [...(seen.get(offset) ?? []), deliveryCount]);
    if (offset % 3 === 0) message.accept();
    else if (offset % 3 === 1) message.reject();
    else if (deliveryCount < 3) message.release();
    else message.accept();
    expect(() => message.accept()).toThrow(/acknowledged before/);
    if (offset % 3 !== 2 || deliveryCount === 3) left--;
    if (left === 0) break;
  }
  await consumer.commit();
  expect(consumer.heldCount).toBe(0);
  expect([...seen.values()].map((counts) => counts.join())).toEqual(
    Array.from({ length: 9 }, (_, offset) => (offset % 3 === 2 ? "1,2,3" : "1")),
  );
  expect(await consumer.poll(500)).toEqual([]);
});

test("a lock that runs out gives the record to another; renewed, it stays", { timeout: 30_000 }, async () => {
  await filled("locks", 2);
  await using slow = memberOf("locks", { acknowledgement: "explicit", pollRecordsMax: 2 });
  const held = [];
  while (held.length < 2) held.push(...(await slow.poll(1000)));
  await using other = memberOf("locks", { acknowledgement: "explicit" });
  const got: { offset: number; deliveryCount: number }[] = [];
  const startedMs = performance.now();
  const reading = (async () => {
    while (got.length === 0 && performance.now() - startedMs < 10_000) {
      for (const message of await other.poll(200)) {
        got.push({ offset: message.offset, deliveryCount: message.deliveryCount });
        message.accept();
      }
    }
    await other.commit();
  })();
  for (let round = 0; round < 5; round++) {
    await sleep(lockMs / 2.5);
    await held[0]!.renew();
  }
  await reading;
  expect(got).toEqual([{ offset: held[1]!.offset, deliveryCount: 2 }]);
  held[1]!.accept();
  await expect(slow.commit()).rejects.toMatchObject({ code: "INVALID_RECORD_STATE" });
  held[0]!.accept();
  await slow.commit();
});

test("members that come and go: every record is done, none by two", { timeout: 60_000 }, async () => {
  const count = 2000;
  await filled("moving-share", count, 3);
  const random = seededRandom(3);
  const done = new Map<string, number>();
  const start = () => {
    const taken = new Map<string, string>();
    const consumer = memberOf("moving-share", {
      acknowledgement: "explicit",
      pollRecordsMax: 50,
      // Only what the broker has taken counts as done.
      onAcknowledged: ({ error, offsets, partition }) => {
        if (error !== null) return;
        for (const offset of offsets) {
          const value = taken.get(`${partition}:${offset}`);
          if (value !== undefined) done.set(value, (done.get(value) ?? 0) + 1);
        }
      },
    });
    const run = (async () => {
      for await (const message of consumer) {
        const where = `${message.partition}:${message.offset}`;
        taken.delete(where);
        if (random.below(10) === 0) message.release();
        else {
          taken.set(where, message.valueText()!);
          message.accept();
        }
        if (random.below(50) === 0) await sleep(1);
      }
    })();
    return { consumer, run };
  };
  const members = [start(), start()];
  for (let round = 0; done.size < count && round < 400; round++) {
    await sleep(50);
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
  expect(done.size).toBe(count);
  expect([...done.values()].filter((times) => times !== 1)).toEqual([]);
});

test.each([
  [{ groupId: "" }, /groupId is empty/],
  [{ groupId: "g", acknowledgement: "later" as "explicit" }, /acknowledgement=later is not implicit or explicit/],
  [{ groupId: "g", pollRecordsMax: 0 }, /pollRecordsMax=0/],
])("options %j are refused", (options, message) => {
  expect(() => new ShareConsumer({ bootstrapServers, ...options })).toThrow(message);
});
