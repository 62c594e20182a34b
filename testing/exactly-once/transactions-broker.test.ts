// Transactions of our client on real sockets against our broker, in one process: what the client's model cannot say. In both versions of the protocol,
// chosen as Kafka's client chooses it, by the cluster's transaction.version.
import { Admin, Consumer, Producer, type ProducerOptions } from "@blumfeld/client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isKafka, type Subject, startMsMax, startSubject } from "../client/subject.ts";

let broker: Subject;
let admin: Admin;
let bootstrapServers: string;

beforeAll(async () => {
  // Apache Kafka 4.3 refuses what two-phase commit needs; its test is for our broker alone.
  const twoPhase = { "transaction.two.phase.commit.enable": "true", "unstable.api.versions.enable": "true" };
  const properties = isKafka ? { "transaction.abort.timed.out.transaction.cleanup.interval.ms": 500 } : twoPhase;
  broker = await startSubject(properties);
  bootstrapServers = broker.bootstrap;
  admin = new Admin({ bootstrapServers });
}, startMsMax);
afterAll(async () => {
  await admin.close();
  await broker.close();
});

const producerOf = (transactionalId: string, options: Partial<ProducerOptions> = {}) =>
  new Producer({ bootstrapServers, transactionalId, ...options });

async function committed(topic: string): Promise<string[]> {
  await using consumer = new Consumer({
    ...{ bootstrapServers, autoOffsetReset: "earliest" },
    isolationLevel: "read_committed",
  });
  await consumer.assignTopics([topic]);
  const values: string[] = [];
  for await (const message of consumer.messages({ until: "end" })) values.push(message.valueText()!);
  return values;
}

/** An end is answered when it is decided; its markers follow. */
const seen = (topic: string, values: readonly string[]) =>
  expect.poll(() => committed(topic), { timeout: 5000 }).toEqual(values);

describe.each([2, 0])("transaction.version %i", (level) => {
  beforeAll(async () => {
    if (level === 0)
      await admin.updateFeatures([{ feature: "transaction.version", level: 0, upgradeType: "unsafe-downgrade" }]);
  });
  const named = (name: string) => `${name}-${level}`;

  test("what is committed is read, what is aborted is not", async () => {
    const topic = named("plain");
    await admin.createTopic({ name: topic, partitions: 1 });
    await using producer = producerOf(named("plain"));
    await producer.transaction((tx) => {
      tx.send([1, 2, 3].map((number) => ({ topic, value: `a${number}` })));
    });
    const failing = producer.transaction(async (tx) => {
      await tx.send({ topic, value: "lost" });
      throw new Error("no");
    });
    await expect(failing).rejects.toThrow("no");
    for (let number = 0; number < 20; number++) {
      await producer.transaction((tx) => tx.send({ topic, value: `b${number}` }));
    }
    await seen(topic, ["a1", "a2", "a3", ...Array.from({ length: 20 }, (_, number) => `b${number}`)]);
    const { producerEpoch } = await admin.describeTransaction(named("plain"));
    // In v2 each end raises the epoch.
    if (level === 2) expect(producerEpoch).toBeGreaterThan(20);
    else expect(producerEpoch).toBe(0);
  });

  test("offsets go with the transaction, or not at all", async () => {
    const [from, to] = [named("from"), named("to")];
    for (const name of [from, to]) await admin.createTopic({ name, partitions: 2 });
    await using source = new Producer({ bootstrapServers });
    await source.send(Array.from({ length: 10 }, (_, at) => ({ topic: from, partition: at % 2, value: `${at}` })));
    await using consumer = new Consumer({
      ...{ bootstrapServers, groupId: named("copy"), autoCommit: false, autoOffsetReset: "earliest" },
      isolationLevel: "read_committed",
    });
    consumer.subscribe([from]);
    await using producer = producerOf(named("copy"));
    const copied: string[] = [];
    let isFirst = true;
    while (copied.length < 10) {
      const messages = await consumer.poll(500);
      if (messages.length === 0) continue;
      const fails = isFirst;
      const copy = producer.transaction(async (tx) => {
        for (const { partition, value } of messages) tx.send({ topic: to, partition, value });
        await tx.sendOffsets(consumer.positions(), consumer.groupMetadata());
        if (fails) throw new Error("once");
      });
      if (fails) {
        isFirst = false;
        await expect(copy).rejects.toThrow("once");
        await consumer.seekToCommitted();
        continue;
      }
      await copy;
      copied.push(...messages.map((message) => message.valueText()!));
    }
    expect([...copied].sort()).toEqual(Array.from({ length: 10 }, (_, at) => `${at}`));
    await expect.poll(async () => (await committed(to)).sort()).toEqual([...copied].sort());
    const offsets = await admin.listGroupOffsets(named("copy"), null, { requireStable: true });
    expect(offsets.map(({ offset }) => offset)).toEqual([5, 5]);
  });

  test("the second producer fences the first", async () => {
    const topic = named("fence");
    await admin.createTopic({ name: topic, partitions: 1 });
    await using first = producerOf(named("fence"));
    await using second = producerOf(named("fence"));
    await first.initTransactions();
    const tx = first.beginTransaction();
    await tx.send({ topic, value: "zombie" });
    await second.transaction((next) => next.send({ topic, value: "owner" }));
    await expect(tx.commit()).rejects.toMatchObject({ code: "PRODUCER_FENCED", fate: "fatal" });
    await seen(topic, ["owner"]);
  });

  test("a transaction that takes too long is aborted by its coordinator", async () => {
    const topic = named("slow");
    await admin.createTopic({ name: topic, partitions: 1 });
    await using producer = producerOf(named("slow"), { transactionTimeoutMs: 100 });
    await producer.initTransactions();
    const tx = producer.beginTransaction();
    await tx.send({ topic, value: "slow" });
    await expect
      .poll(async () => (await admin.describeTransaction(named("slow"))).state, { timeout: 15_000, interval: 50 })
      .toBe("CompleteAbort");
    const code = level === 2 ? "INVALID_TXN_STATE" : "PRODUCER_FENCED";
    const message = expect.stringContaining("timeout");
    await expect(tx.commit()).rejects.toMatchObject({ code, fate: "fatal", message });
    await seen(topic, []);
  });
});

test.skipIf(isKafka)("two-phase commit: what one producer prepared, the next one decides", async () => {
  await admin.updateFeatures([{ feature: "transaction.version", level: 2 }]);
  await admin.createTopic({ name: "prepared", partitions: 1 });
  const options = { twoPhaseCommit: true };
  const prepare = async (value: string): Promise<string> => {
    const first = producerOf("prepared", options);
    await first.initTransactions();
    const tx = first.beginTransaction();
    tx.send({ topic: "prepared", value });
    const state = await tx.prepare();
    // As one that died: what is prepared is left as it is.
    await first.close();
    return state;
  };
  const state = await prepare("kept");
  await using second = producerOf("prepared", options);
  expect(await second.initTransactions({ keepPrepared: true })).toBe(state);
  expect(await second.completeTransaction(state)).toBe("committed");
  await second.close();
  await prepare("dropped");
  await using third = producerOf("prepared", options);
  expect(await third.initTransactions({ keepPrepared: true })).not.toBeNull();
  expect(await third.completeTransaction(state)).toBe("aborted");
  await third.transaction((tx) => tx.send({ topic: "prepared", value: "next" }));
  await seen("prepared", ["kept", "next"]);
});
