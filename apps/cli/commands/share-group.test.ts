// blum share-group, against a broker in this process: what it shows of lag, and what a reset would do, is counted here by hand.
import { Admin, Producer, ShareConsumer } from "@blumfeld/client";
import { type RunningBroker, startBroker } from "blumfeld";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { CliIo } from "../io.ts";
import { runBlum } from "../main.ts";
import { moveOf } from "../share-groups/reset.ts";

let broker: RunningBroker;
const recordCount = 10;
const startedMs = Date.now();

beforeAll(async () => {
  const properties = {
    "offsets.topic.num.partitions": "2",
    "share.coordinator.state.topic.num.partitions": "1",
    "group.share.min.heartbeat.interval.ms": "50",
    "group.share.heartbeat.interval.ms": "100",
  };
  broker = await startBroker({ storage: "memory", port: 0, properties });
  expect((await blum(["topic", "create", "outbox", "-p", "1"])).code).toBe(0);
  const admin = new Admin({ bootstrapServers: broker.bootstrap });
  const changes = [{ name: "share.auto.offset.reset", operation: "set", value: "earliest" }] as const;
  await admin.alterConfigs([{ type: "group", name: "mails", changes }]);
  await admin.close();
  const producer = new Producer({ bootstrapServers: broker.bootstrap });
  // One a minute, the last a minute ago.
  for (let at = 0; at < recordCount; at++)
    await producer.send({
      topic: "outbox",
      partition: 0,
      value: `mail ${at}`,
      timestamp: startedMs - (recordCount - at) * 60_000,
    });
  await producer.close();
}, 30_000);
afterAll(() => broker.close());

async function blum(args: readonly string[]): Promise<{ code: number; out: string; error: string }> {
  const run = { out: "", error: "" };
  const io: CliIo = {
    out: (text) => {
      run.out += text;
    },
    error: (text) => {
      run.error += text;
    },
    isTerminal: false,
    columnCount: 80,
    environment: { BLUM_BOOTSTRAP: broker.bootstrap },
    onStopSignal: () => () => {},
    exit: (code) => {
      throw new Error(`exit ${code}`);
    },
  };
  return { code: await runBlum([...args], io), ...run };
}

async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { code, error, out } = await blum(["share-group", ...args, "--json"]);
  expect(error).toBe("");
  expect(code).toBe(0);
  return JSON.parse(out) as Record<string, unknown>;
}

function memberOf(groupId: string): ShareConsumer {
  const consumer = new ShareConsumer({
    bootstrapServers: broker.bootstrap,
    groupId,
    clientId: "worker",
    acknowledgement: "explicit",
    pollRecordsMax: 20,
    fetchWaitMsMax: 100,
  });
  consumer.subscribe(["outbox"]);
  return consumer;
}

/** Takes records until it has `count`, and accepts those of these offsets; the rest is released at the end. */
async function work(consumer: ShareConsumer, count: number, accepted: readonly number[]): Promise<number[]> {
  const offsets: number[] = [];
  const untilMs = performance.now() + 15_000;
  while (offsets.length < count && performance.now() < untilMs) {
    for (const message of await consumer.poll(1000)) {
      offsets.push(message.offset);
      if (accepted.includes(message.offset)) message.accept();
      else message.release();
    }
  }
  await consumer.commit();
  return offsets.sort((one, other) => one - other);
}

const place = { topic: "outbox", partition: 0 };

test("a group at work: its member, what is assigned, start offset and lag; it is neither moved nor deleted", async () => {
  const consumer = memberOf("mails");
  await work(consumer, recordCount, [0, 1, 2, 3]);
  // Ahead of others. A start offset that moves is told with the write after it.
  await work(consumer, 6, [6]);
  const described = await json("describe", "mails");
  const members = described.members as { memberId: string }[];
  expect(described).toMatchObject({ groupId: "mails", state: "Stable", lag: 5 });
  expect(members).toEqual([
    expect.objectContaining({ clientId: "worker", subscribedTopics: ["outbox"], assignment: [place] }),
  ]);
  expect(described.partitions).toEqual([
    expect.objectContaining({
      ...place,
      ...{ startOffset: 4, endOffset: recordCount, lag: 5, memberIds: [members[0]!.memberId], error: null },
    }),
  ]);
  expect((await json("list")).groups).toEqual([{ groupId: "mails", state: "Stable", lag: 5 }]);
  expect((await json("list", "--state", "Empty")).groups).toEqual([]);
  expect((await json("list", "--no-lag")).groups).toEqual([{ groupId: "mails", state: "Stable", lag: null }]);
  const text = (await blum(["share-group", "describe", "mails"])).out;
  expect(text).toMatch(/outbox +0 +4 +10 +5 +1\n/);
  expect(text).toMatch(/worker +\S*127\.0\.0\.1 +outbox: 0\n/);
  const refused = await blum(["share-group", "reset", "mails", "--to-earliest", "--yes"]);
  expect(refused.code).toBe(1);
  expect(refused.error).toMatch(/has 1 members/);
  expect((await blum(["share-group", "delete", "mails"])).code).toBe(1);
  await consumer.close();
}, 40_000);

test("a reset shows what it would do, and does it when told to", async () => {
  // What is finished ahead comes again as well, since all that is known of it goes.
  const toEarliest = { ...place, from: 4, to: 0, readAgain: 5, skipped: 0 };
  expect(await json("reset", "mails", "--to-earliest")).toEqual({
    ...{ group: "mails", executed: false, readAgain: 5, skipped: 0, partitions: [toEarliest] },
  });
  expect((await blum(["share-group", "reset", "mails", "--to-earliest"])).out).toMatch(
    /5 records would be read again, 0 skipped\. Nothing was changed\./,
  );
  expect((await json("describe", "mails")).partitions).toEqual([expect.objectContaining({ startOffset: 4 })]);
  const toLatest = await json("reset", "mails", "--to-latest");
  expect(toLatest.partitions).toEqual([{ ...place, from: 4, to: 10, readAgain: 0, skipped: 5 }]);
  const time = new Date(startedMs - 2.5 * 60_000).toISOString();
  expect((await json("reset", "mails", "--to-datetime", time)).partitions).toEqual([
    expect.objectContaining({ from: 4, to: 8 }),
  ]);
  expect((await json("reset", "mails", "--to-earliest", "--yes")).executed).toBe(true);
  expect((await json("describe", "mails")).partitions).toEqual([expect.objectContaining({ startOffset: 0 })]);
  const consumer = memberOf("mails");
  expect(await work(consumer, recordCount, [])).toEqual(Array.from({ length: recordCount }, (_, at) => at));
  await consumer.close();
  await json("reset", "mails", "--topic", "outbox", "--to-latest", "--yes");
  expect((await json("describe", "mails")).lag).toBe(0);
}, 40_000);

test("what a reset cannot do it says", async () => {
  expect((await blum(["share-group", "reset", "mails"])).code).toBe(2);
  expect((await blum(["share-group", "reset", "mails", "--to-earliest", "--to-latest"])).code).toBe(2);
  expect((await blum(["share-group", "reset", "mails", "--to-datetime", "whenever"])).code).toBe(2);
  expect((await blum(["share-group", "reset", "nobody", "--to-earliest"])).code).toBe(1);
  expect((await blum(["share-group", "reset", "mails", "--topic", "none", "--to-earliest"])).code).toBe(1);
  expect((await blum(["share-group", "describe", "nobody"])).code).toBe(1);
});

test("what would be read again and skipped", () => {
  const at = (startOffset: number, lag: number | null) => ({ ...place, startOffset, lag });
  expect(moveOf(at(4, 6), 0, 10)).toMatchObject({ readAgain: 4, skipped: 0 });
  expect(moveOf(at(4, 2), 4, 10)).toMatchObject({ readAgain: 4, skipped: 0 });
  expect(moveOf(at(4, 2), 9, 10)).toMatchObject({ readAgain: 1, skipped: 2 });
  expect(moveOf(at(4, null), 9, 10)).toMatchObject({ readAgain: 0, skipped: 5 });
  expect(moveOf(at(-1, null), 0, 10)).toMatchObject({ from: -1, readAgain: null, skipped: null });
});

test("a topic is forgotten, then the group is deleted; a consumer group of the name is left alone", async () => {
  expect((await json("delete", "mails", "--topic", "outbox")).groups).toEqual([
    { groupId: "mails", topic: "outbox", error: null },
  ]);
  expect((await json("describe", "mails")).partitions).toEqual([]);
  expect((await json("delete", "mails")).groups).toEqual([{ groupId: "mails", error: null }]);
  expect((await json("list")).groups).toEqual([]);
  const admin = new Admin({ bootstrapServers: broker.bootstrap });
  await admin.alterGroupOffsets("ledger", [{ ...place, offset: 3 }]);
  expect((await blum(["share-group", "delete", "ledger"])).code).toBe(1);
  expect(await admin.listGroupOffsets("ledger")).toHaveLength(1);
  await admin.close();
});
