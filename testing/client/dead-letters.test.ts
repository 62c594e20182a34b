// Dead letters of share groups against our broker on real sockets: what is rejected or fails too often arrives in the group's dead-letter topic, once,
// with where it came from; nothing arrives in a topic that did not agree to it.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Admin, Consumer, type Message, Producer, ShareConsumer } from "@blumfeld/client";
import { type RunningBroker, startBroker } from "blumfeld";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isKafka, type Subject, startMsMax, startSubject } from "./subject.ts";

const rejected = "Offset rejected by client.";
const exhausted = "Offset delivery count exceeded the threshold.";

// Kafka 4.3 has none.
describe.skipIf(isKafka)("dead letters", () => {
  let broker: Subject;
  let admin: Admin;
  let producer: Producer;
  let bootstrapServers: string;

  beforeAll(async () => {
    broker = await startSubject({
      "errors.deadletterqueue.auto.create.topics.enable": "true",
      "group.share.min.heartbeat.interval.ms": 50,
      "group.share.heartbeat.interval.ms": 100,
      "share.coordinator.state.topic.num.partitions": 2,
    });
    bootstrapServers = broker.bootstrap;
    admin = new Admin({ bootstrapServers });
    producer = new Producer({ bootstrapServers });
  }, startMsMax);
  afterAll(async () => {
    await producer.close();
    await admin.close();
    await broker.close();
  });

  /** A topic and a group of the same name. */
  async function filled(topic: string, count: number, partitions: number, own: Readonly<Record<string, string>>) {
    await admin.createTopic({ name: topic, partitions });
    const settings = { "share.auto.offset.reset": "earliest", "share.delivery.count.limit": "2", ...own };
    const changes = Object.entries(settings).map(([name, value]) => ({ name, operation: "set" as const, value }));
    await admin.alterConfigs([{ type: "group", name: topic, changes }]);
    await producer.send(
      Array.from({ length: count }, (_, at) => ({
        ...{ topic, partition: at % partitions, key: `k${at}`, value: `${at}` },
        headers: { own: "header" },
      })),
    );
  }

  function memberOf(topic: string, bootstrap = bootstrapServers): ShareConsumer {
    const consumer = new ShareConsumer({
      ...{ bootstrapServers: bootstrap, groupId: topic, fetchWaitMsMax: 100, acknowledgement: "explicit" },
    });
    consumer.subscribe([topic]);
    return consumer;
  }

  /** Every third accepted, rejected, and released until that is over; how often each was seen. */
  async function consumed(topic: string, count: number): Promise<void> {
    await using consumer = memberOf(topic);
    let left = count;
    for await (const message of consumer) {
      const kind = Number(message.valueText()) % 3;
      if (kind === 0) message.accept();
      else if (kind === 1) message.reject();
      else message.release();
      if (kind !== 2 || message.deliveryCount === 2) left--;
      if (left === 0) break;
    }
    await consumer.commit();
    expect(await consumer.poll(300)).toEqual([]);
  }

  async function read(topic: string, count: number, bootstrap = bootstrapServers): Promise<Message[]> {
    await using own = new Admin({ bootstrapServers: bootstrap });
    await expect
      .poll(async () => (await own.listTopics()).some(({ name }) => name === topic), { timeout: 10_000 })
      .toBe(true);
    await using consumer = new Consumer({ bootstrapServers: bootstrap, autoOffsetReset: "earliest" });
    await consumer.assignTopics([topic]);
    const messages: Message[] = [];
    const untilMs = performance.now() + 10_000;
    while (messages.length < count && performance.now() < untilMs) messages.push(...(await consumer.poll(200)));
    // Whatever would come twice has come by then.
    messages.push(...(await consumer.poll(300)));
    return messages;
  }

  function told(message: Message): Record<string, string> {
    return Object.fromEntries(message.headers.map(({ key, value }) => [key, value?.toString() ?? "null"]));
  }

  /** What `read` is to find for `filled` and `consumed`. */
  function expectLetters(messages: readonly Message[], topic: string, count: number, partitions: number): void {
    const letters = messages.map(told);
    const expected = Array.from({ length: count }, (_, at) => at)
      .filter((at) => at % 3 !== 0)
      .map((at) => ({
        "__dlq.errors.topic": topic,
        "__dlq.errors.partition": String(at % partitions),
        "__dlq.errors.offset": String(Math.floor(at / partitions)),
        "__dlq.errors.group": topic,
        "__dlq.errors.delivery.count": at % 3 === 1 ? "1" : "2",
        "__dlq.errors.message": at % 3 === 1 ? rejected : exhausted,
      }));
    const order = (letter: Record<string, string>): string =>
      `${letter["__dlq.errors.partition"]} ${letter["__dlq.errors.offset"]?.padStart(5)}`;
    const sorted = <One extends Record<string, string>>(all: One[]): One[] =>
      all.sort((one, other) => (order(one) < order(other) ? -1 : 1));
    expect(sorted(letters)).toEqual(sorted(expected));
  }

  const optIn = { "errors.deadletterqueue.group.enable": "true" };

  test("one letter for each record that is rejected or exhausted, without the record", {
    timeout: 30_000,
  }, async () => {
    await admin.createTopic({ name: "dlq.plain", partitions: 2, configs: optIn });
    await filled("plain", 60, 3, { "errors.deadletterqueue.topic.name": "dlq.plain" });
    await consumed("plain", 60);
    const messages = await read("dlq.plain", 40);
    expectLetters(messages, "plain", 60, 3);
    for (const message of messages) {
      expect([message.key, message.value]).toEqual([null, null]);
      expect(message.partition).toBe(Number(told(message)["__dlq.errors.partition"]) % 2);
    }
  });

  test("with the record where the group asks for it, in a topic made for them", { timeout: 30_000 }, async () => {
    const own = {
      "errors.deadletterqueue.topic.name": "dlq.made",
      "errors.deadletterqueue.copy.record.enable": "true",
    };
    await filled("copied", 30, 1, own);
    await consumed("copied", 30);
    const messages = await read("dlq.made", 20);
    expectLetters(messages, "copied", 30, 1);
    for (const message of messages) {
      const offset = told(message)["__dlq.errors.offset"];
      expect([message.key?.toString(), message.valueText()]).toEqual([`k${offset}`, offset]);
    }
  });

  test.each([
    ["dlq.unasked", {}],
    ["elsewhere", optIn],
  ])("none in a topic that did not agree, or has another name: %s", { timeout: 30_000 }, async (name, configs) => {
    await admin.createTopic({ name, partitions: 1, configs });
    const topic = `from-${name}`;
    await filled(topic, 9, 1, { "errors.deadletterqueue.topic.name": name });
    await consumed(topic, 9);
    // The group has gone on nevertheless.
    await producer.send({ topic, partition: 0, value: "9" });
    await using consumer = memberOf(topic);
    let polled = await consumer.poll(1000);
    while (polled.length === 0) polled = await consumer.poll(1000);
    expect(polled.map(({ offset }) => offset)).toEqual([9]);
    await using reader = new Consumer({ bootstrapServers });
    expect(await reader.endOffsets([{ topic: name, partition: 0 }])).toMatchObject([{ offset: 0 }]);
  });

  test("what waits for its letter when the broker ends gets it from the next", { timeout: 60_000 }, async () => {
    const dataDirectory = mkdtempSync(join(tmpdir(), "dead-letters-"));
    const topic = "restarted";
    const start = (replicationFactor: number): Promise<RunningBroker> =>
      startBroker({
        ...{ dataDirectory, port: 0 },
        properties: {
          // With more replicas than brokers the dead-letter topic cannot be made.
          "default.replication.factor": replicationFactor,
          "errors.deadletterqueue.auto.create.topics.enable": "true",
          "group.share.min.heartbeat.interval.ms": 50,
          "group.share.heartbeat.interval.ms": 100,
          "share.coordinator.state.topic.num.partitions": 1,
        },
      });
    try {
      {
        await using first = await start(3);
        await using own = new Admin({ bootstrapServers: first.bootstrap });
        await using sender = new Producer({ bootstrapServers: first.bootstrap });
        await own.createTopic({ name: topic, partitions: 1, replicationFactor: 1 });
        const settings = {
          "share.auto.offset.reset": "earliest",
          "errors.deadletterqueue.topic.name": "dlq.restarted",
          "errors.deadletterqueue.copy.record.enable": "true",
        };
        const changes = Object.entries(settings).map(([name, value]) => ({ name, operation: "set" as const, value }));
        await own.alterConfigs([{ type: "group", name: topic, changes }]);
        await sender.send(Array.from({ length: 6 }, (_, at) => ({ topic, partition: 0, value: `${at}` })));
        await using member = memberOf(topic, first.bootstrap);
        let left = 6;
        for await (const message of member) {
          if (message.offset % 2 === 0) message.accept();
          else message.reject();
          if (--left === 0) break;
        }
        await member.commit();
      }
      await using second = await start(1);
      await using member = memberOf(topic, second.bootstrap);
      const polling = member.poll(5000);
      const messages = await read("dlq.restarted", 3, second.bootstrap);
      expect(messages.map((message) => [told(message)["__dlq.errors.offset"], message.valueText()])).toEqual([
        ["1", "1"],
        ["3", "3"],
        ["5", "5"],
      ]);
      expect(messages.map((message) => told(message)["__dlq.errors.message"])).toEqual([rejected, rejected, rejected]);
      expect(await polling).toEqual([]);
    } finally {
      rmSync(dataDirectory, { recursive: true, force: true });
    }
  });
});
