// Share groups request by request: who gets which record, how often, and what becomes of it. No client stands between.
import { Admin, Producer } from "@blumfeld/client";
import { ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import { type RunningBroker, startBroker } from "blumfeld";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import {
  type Acquired,
  ackOf,
  ackTypes,
  ShareMember,
  shareLockMs,
  shareLockSettings,
  shareProperties,
} from "./share-member.ts";

let broker: RunningBroker;
let admin: Admin;
let producer: Producer;
let members: ShareMember[] = [];

beforeAll(async () => {
  broker = await startBroker({
    storage: "memory",
    port: 0,
    properties: {
      ...shareProperties,
      "transaction.state.log.num.partitions": 1,
      "transaction.state.log.replication.factor": 1,
      "transaction.state.log.min.isr": 1,
    },
  });
  admin = new Admin({ bootstrapServers: broker.bootstrap });
  producer = new Producer({ bootstrapServers: broker.bootstrap });
}, 30_000);
afterEach(() => {
  for (const member of members) member.close();
  members = [];
});
afterAll(async () => {
  await producer.close();
  await admin.close();
  await broker.close();
});

async function prepare(topic: string, partitions = 1, settings: Readonly<Record<string, string>> = {}): Promise<void> {
  await admin.createTopic({ name: topic, partitions });
  await setGroup(topic, settings);
}

async function setGroup(groupId: string, settings: Readonly<Record<string, string>> = {}): Promise<void> {
  const changes = Object.entries({ "share.auto.offset.reset": "earliest", ...settings }).map(([name, value]) => ({
    ...{ name, operation: "set" as const, value },
  }));
  const [altered] = await admin.alterConfigs([{ type: "group", name: groupId, changes }]);
  expect(altered!.error).toBeNull();
}

async function fill(topic: string, count: number, partition = 0): Promise<void> {
  await producer.send(Array.from({ length: count }, (_, at) => ({ topic, partition, value: `${at}` })));
}

/** The group is called as the topic. */
async function member(topic: string, groupId = topic): Promise<ShareMember> {
  const joined = await ShareMember.joined(broker.port, groupId, topic);
  members.push(joined);
  return joined;
}

const pause = (ms: number) => new Promise((wake) => setTimeout(wake, ms));
const counts = (acquired: readonly Acquired[]) => acquired.map(({ deliveryCount, offset }) => [offset, deliveryCount]);

test("two members share a partition: each record is one member's, and each gets its part", async () => {
  const count = 200;
  await prepare("fair");
  await fill("fair", count);
  const both = [await member("fair"), await member("fair")];
  const taken = await Promise.all(
    both.map(async (one) => {
      const offsets: number[] = [];
      let acks = [] as ReturnType<typeof ackOf>[];
      for (;;) {
        const { acquired, acknowledgeErrorCode } = await one.fetch({ acks, recordCountMax: 5, waitMs: 300 });
        expect(acknowledgeErrorCode).toBe(ErrorCode.NONE);
        if (acquired.length === 0) return offsets;
        expect(acquired.length).toBeLessThanOrEqual(5);
        for (const { deliveryCount, offset } of acquired) {
          expect(deliveryCount).toBe(1);
          offsets.push(offset);
        }
        acks = acquired.map(({ offset }) => ackOf("accept", offset));
      }
    }),
  );
  const all = taken.flat().sort((one, other) => one - other);
  expect(all).toEqual(Array.from({ length: count }, (_, at) => at));
  for (const offsets of taken) expect(offsets.length).toBeGreaterThan(count / 4);
});

test("partitions are divided among members; with fewer partitions than members one is several members'", async () => {
  await prepare("divided", 4);
  const [one, other] = [await member("divided"), await member("divided")];
  const assignments = async (groupId: string) => {
    const [group] = await admin.describeShareGroups([groupId]);
    return group!.members.map(({ assignment }) => assignment.map(({ partition }) => partition));
  };
  for (let tries = 0; tries < 100; tries++) {
    await Promise.all([one!.beat(), other!.beat()]);
    if ((await assignments("divided")).every(({ length }) => length === 2)) break;
    await pause(30);
  }
  const divided = await assignments("divided");
  expect(divided.map(({ length }) => length)).toEqual([2, 2]);
  expect(new Set(divided.flat())).toEqual(new Set([0, 1, 2, 3]));

  await prepare("narrow", 1);
  await member("narrow");
  await member("narrow");
  expect(await assignments("narrow")).toEqual([[0], [0]]);
});

test("a lock that runs out gives the records to another, with delivery count 2; then they are given up", async () => {
  await prepare("locks", 1, { ...shareLockSettings, "share.delivery.count.limit": "2" });
  await fill("locks", 3);
  const slow = await member("locks");
  const other = await member("locks");
  const first = await slow.fetchSome({ recordCountMax: 3 });
  const acquiredMs = performance.now();
  expect(counts(first.acquired)).toEqual([
    [0, 1],
    [1, 1],
    [2, 1],
  ]);
  // While they are locked there is nothing for another.
  expect((await other.fetch()).acquired).toEqual([]);
  const again = await other.fetchSome({ waitMs: 5000 });
  // The broker locked a little before its answer was here.
  expect(performance.now() - acquiredMs).toBeGreaterThan(shareLockMs / 2);
  expect(counts(again.acquired)).toEqual([
    [0, 2],
    [1, 2],
    [2, 2],
  ]);
  expect(again.values).toEqual(["0", "1", "2"]);
  expect(await slow.acknowledge([ackOf("accept", 0, 2)])).toBe(ErrorCode.INVALID_RECORD_STATE);
  expect(await other.acknowledge([ackOf("accept", 0)])).toBe(ErrorCode.NONE);
  // Twice is the limit: what runs out now is nobody's any more.
  expect((await slow.fetch({ waitMs: shareLockMs * 3 })).acquired).toEqual([]);
  await fill("locks", 1);
  expect(counts((await slow.fetchSome()).acquired)).toEqual([[3, 1]]);
});

test("released comes again, rejected and accepted do not, renewed stays", async () => {
  await prepare("types", 1, shareLockSettings);
  await fill("types", 4);
  const one = await member("types");
  const other = await member("types");
  expect((await one.fetchSome()).acquired).toHaveLength(4);
  // One type for each offset, in one batch.
  const types = [ackTypes.release, ackTypes.reject, ackTypes.accept];
  expect(await one.acknowledge([{ first: 0, last: 2, types }])).toBe(ErrorCode.NONE);
  const released = await other.fetchSome();
  expect(counts(released.acquired)).toEqual([[0, 2]]);
  expect(await other.acknowledge([ackOf("accept", 0)])).toBe(ErrorCode.NONE);
  for (let round = 0; round < 6; round++) {
    expect(await one.acknowledge([ackOf("renew", 3)])).toBe(ErrorCode.NONE);
    expect((await other.fetch({ waitMs: shareLockMs / 3 })).acquired).toEqual([]);
  }
  // Not renewed any more, it is the other's.
  expect(counts((await other.fetchSome()).acquired)).toEqual([[3, 2]]);
  expect(await one.acknowledge([ackOf("renew", 3)])).toBe(ErrorCode.INVALID_RECORD_STATE);
  expect(await other.acknowledge([ackOf("accept", 3)])).toBe(ErrorCode.NONE);
  expect((await one.fetch({ waitMs: 300 })).acquired).toEqual([]);
});

test("a connection that ends gives back what its member had, and the delivery does not count", async () => {
  await prepare("broken");
  await fill("broken", 2);
  const one = await member("broken");
  const other = await member("broken");
  expect((await one.fetchSome()).acquired).toHaveLength(2);
  const startedMs = performance.now();
  const waiting = other.fetch({ waitMs: 5000 });
  one.connection.reset();
  expect(counts((await waiting).acquired)).toEqual([
    [0, 1],
    [1, 1],
  ]);
  expect(performance.now() - startedMs).toBeLessThan(4000);
});

test("a renewal has to be allowed, and is unknown to version 1", async () => {
  await prepare("fixed", 1, { "share.renew.acknowledge.enable": "false" });
  await fill("fixed", 1);
  const one = await member("fixed");
  await one.fetchSome();
  expect(await one.acknowledge([ackOf("renew", 0)])).toBe(ErrorCode.INVALID_REQUEST);
  await setGroup("fixed", { "share.renew.acknowledge.enable": "true" });
  expect(await one.acknowledge([ackOf("renew", 0)], { version: 1 })).toBe(ErrorCode.INVALID_REQUEST);
  expect(await one.acknowledge([ackOf("accept", 0)], { version: 1 })).toBe(ErrorCode.NONE);
});

test("read_committed: nothing of aborted transactions, and of open ones only once they are committed", async () => {
  await prepare("committed", 1, { "share.isolation.level": "read_committed" });
  await setGroup("uncommitted");
  const writer = new Producer({ bootstrapServers: broker.bootstrap, transactionalId: "writer" });
  await writer.initTransactions();
  const send = async (value: string) => {
    const tx = writer.beginTransaction();
    await tx.send({ topic: "committed", partition: 0, value });
    return tx;
  };
  await (await send("kept")).commit();
  await (await send("gone")).abort();
  const open = await send("late");

  const committed = await member("committed");
  const uncommitted = await member("committed", "uncommitted");
  expect((await uncommitted.fetchSome()).values).toEqual(["kept", "gone", "late"]);
  const first = await committed.fetchSome();
  expect(first.values).toEqual(["kept"]);
  const acks = first.acquired.map(({ offset }) => ackOf("accept", offset));
  expect((await committed.fetch({ acks, waitMs: 300 })).values).toEqual([]);
  await open.commit();
  expect((await committed.fetchSome()).values).toEqual(["late"]);
  await writer.close();
});

test("the admin tells what every item of a call is refused for", async () => {
  const [none] = await admin.describeShareGroups(["none"]);
  expect(none!.error?.code).toBe("GROUP_ID_NOT_FOUND");
  await expect(admin.describeShareGroupOffsets("none")).rejects.toMatchObject({ code: "GROUP_ID_NOT_FOUND" });
  await expect(admin.deleteShareGroup("none")).rejects.toMatchObject({ code: "GROUP_ID_NOT_FOUND" });
  await prepare("items");
  const one = await member("items");
  const offset = { topic: "items", partition: 0, startOffset: 0 };
  await expect(admin.alterShareGroupOffsets("items", [offset])).rejects.toMatchObject({ code: "NON_EMPTY_GROUP" });
  const { groupId, memberId } = one;
  const leave = { groupId, memberId, memberEpoch: -1, subscribedTopicNames: null };
  await one.connection.ask(ApiKey.ShareGroupHeartbeat, 1, leave);
  const results = await admin.alterShareGroupOffsets("items", [offset, { ...offset, partition: 7 }]);
  expect(results.map(({ error, partition }) => [partition, error?.code ?? null])).toEqual([
    [0, null],
    [7, "UNKNOWN_TOPIC_OR_PARTITION"],
  ]);
  const forgotten = await admin.deleteShareGroupOffsets("items", ["items", "never"]);
  expect(forgotten.map(({ error, topic }) => [topic, error?.code ?? null])).toEqual([
    ["items", null],
    ["never", "UNKNOWN_TOPIC_OR_PARTITION"],
  ]);
  await admin.deleteShareGroup("items");
  expect(await admin.listShareGroups({ states: ["Empty"] })).not.toContainEqual(
    expect.objectContaining({ groupId: "items" }),
  );
});
