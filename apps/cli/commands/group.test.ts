// blum group, against a broker in this process: what it shows of lag is counted here by hand.
import { Admin, Consumer, Producer } from "@blumfeld/client";
import { type RunningBroker, startBroker } from "blumfeld";
import { afterAll, beforeAll, expect, test } from "vitest";
import { durationMsOf } from "../groups/reset.ts";
import type { CliIo } from "../io.ts";
import { runBlum } from "../main.ts";

let broker: RunningBroker;
beforeAll(async () => {
  broker = await startBroker({ storage: "memory", port: 0, properties: { "offsets.topic.num.partitions": "2" } });
  expect((await blum(["topic", "create", "orders", "-p", "2"])).code).toBe(0);
  const lines = Array.from({ length: 10 }, (_, index) => `order ${index}\n`).join("");
  expect((await blum(["produce", "orders", "-p", "0"], lines)).code).toBe(0);
  const admin = new Admin({ bootstrapServers: broker.bootstrap });
  const [done] = await admin.alterGroupOffsets("shop", [{ topic: "orders", partition: 0, offset: 4 }]);
  expect(done!.error).toBeNull();
  await admin.close();
}, 30_000);
afterAll(() => broker.close());

async function blum(args: readonly string[], input = ""): Promise<{ code: number; out: string; error: string }> {
  const run = { out: "", error: "" };
  async function* bytes(): AsyncGenerator<Uint8Array> {
    yield Buffer.from(input);
  }
  const io: CliIo = {
    out: (text) => {
      run.out += text;
    },
    error: (text) => {
      run.error += text;
    },
    input: bytes(),
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
  const { code, error, out } = await blum([...args, "--json"]);
  expect(error).toBe("");
  expect(code).toBe(0);
  return JSON.parse(out) as Record<string, unknown>;
}

test("groups are listed, with their state", async () => {
  expect((await json("group", "list")).groups).toEqual([
    { groupId: "shop", protocolType: "", state: "Empty", type: "classic", lag: 6, lagSeconds: expect.any(Number) },
  ]);
  expect((await json("group", "list", "--no-lag")).groups).toEqual([
    expect.objectContaining({ groupId: "shop", lag: null, lagSeconds: null }),
  ]);
  expect((await json("group", "list", "--state", "Stable")).groups).toEqual([]);
});

test("lag is what stands between the committed offset and the end", async () => {
  const described = await json("group", "describe", "shop");
  expect(described).toMatchObject({ groupId: "shop", state: "Empty", members: [] });
  const lagSeconds = expect.any(Number);
  expect(described.partitions).toEqual([
    { topic: "orders", partition: 0, offset: 4, endOffset: 10, lag: 6, lagSeconds, memberId: null },
  ]);
  expect((await blum(["group", "describe", "shop"])).out).toMatch(/lag +6/);
  expect((await blum(["group", "describe", "nobody"])).code).toBe(1);
});

/** Produces records of these ages. */
async function produceAged(topic: string, agesMs: readonly number[]): Promise<void> {
  const producer = new Producer({ bootstrapServers: broker.bootstrap });
  const nowMs = Date.now();
  for (const age of agesMs) await producer.send({ topic, partition: 0, value: `${age}`, timestamp: nowMs - age });
  await producer.close();
}

async function commit(groupId: string, topic: string, offset: number, metadata = ""): Promise<void> {
  const admin = new Admin({ bootstrapServers: broker.bootstrap });
  const [done] = await admin.alterGroupOffsets(groupId, [{ topic, partition: 0, offset, metadata }]);
  expect(done!.error).toBeNull();
  await admin.close();
}

test("seconds behind are the age of the next record to be read: the command and the metrics page agree", async () => {
  expect((await blum(["topic", "create", "aged", "-p", "1"])).code).toBe(0);
  await produceAged("aged", [7_200_000, 3_600_000, 60_000]);
  await commit("first", "aged", 0);
  await commit("second", "aged", 1);
  await commit("done", "aged", 3);
  const secondsOf = async (groupId: string): Promise<number> =>
    ((await json("group", "describe", groupId)) as { lagSeconds: number }).lagSeconds;
  expect(await secondsOf("first")).toBeCloseTo(7200, -2);
  expect(await secondsOf("second")).toBeCloseTo(3600, -2);
  expect(await secondsOf("done")).toBe(0);
  const text = await broker.metrics();
  const metric = (name: string): number => Number(new RegExp(`^${name} (.*)$`, "m").exec(text)![1]);
  const labels = (group: string): string => `\\{consumergroup="${group}",topic="aged",partition="0"\\}`;
  expect(metric(`kafka_consumergroup_lag${labels("first")}`)).toBe(3);
  expect(metric(`kafka_consumergroup_current_offset${labels("second")}`)).toBe(1);
  expect(metric(`kafka_consumergroup_lag_seconds${labels("second")}`)).toBeCloseTo(3600, -2);
  expect(metric('kafka_consumergroup_max_lag_seconds\\{consumergroup="first"\\}')).toBeCloseTo(7200, -2);
  expect(metric('kafka_consumergroup_lag_sum\\{consumergroup="done",topic="aged"\\}')).toBe(0);
  expect((await blum(["group", "list"])).out).toMatch(/first .* 3 +2 h 0 min/);
  // The last hour and a half: the record of an hour ago, and what came after it.
  const reset = await json("group", "reset", "first", "--duration", "PT1H30M");
  expect(reset.partitions).toEqual([expect.objectContaining({ from: 0, to: 1, skipped: 1 })]);
  for (const groupId of ["first", "second", "done"]) await json("group", "delete", groupId);
});

test("a reset shows what it would do, and does it when told to", async () => {
  const shown = await json("group", "reset", "shop", "--to", "earliest");
  const move = { topic: "orders", partition: 0, from: 4, to: 0, readAgain: 4, skipped: 0 };
  expect(shown).toEqual({ group: "shop", executed: false, readAgain: 4, skipped: 0, partitions: [move] });
  expect((await json("group", "describe", "shop")).partitions).toEqual([expect.objectContaining({ offset: 4 })]);

  await json("group", "reset", "shop", "--to", "earliest", "--execute");
  expect((await json("group", "describe", "shop")).partitions).toEqual([expect.objectContaining({ offset: 0 })]);
  const moved = await json("group", "reset", "shop", "--shift", "7", "--topic", "orders", "--execute");
  expect(moved.partitions).toEqual([
    { ...move, from: 0, to: 7, readAgain: 0, skipped: 7 },
    { ...move, partition: 1, from: -1, to: 0, readAgain: 0, skipped: 0 },
  ]);
  expect((await json("group", "reset", "shop", "--to", "2200-01-01T00:00:00Z")).partitions).toEqual([
    expect.objectContaining({ partition: 0, to: 10, skipped: 3 }),
    expect.objectContaining({ partition: 1, to: 0 }),
  ]);
  expect((await blum(["group", "reset", "shop"])).code).toBe(2);
  expect((await blum(["group", "reset", "shop", "--to", "somewhere"])).code).toBe(2);
});

test("an undo brings back what was committed, by a later command, and can itself be undone", async () => {
  expect((await blum(["topic", "create", "bills", "-p", "2"])).code).toBe(0);
  await produceAged("bills", [0, 0, 0, 0]);
  await commit("till", "bills", 2, "kept by the application");
  const offsets = async () => {
    const admin = new Admin({ bootstrapServers: broker.bootstrap });
    const all = await admin.listGroupOffsets("till");
    await admin.close();
    return all.map(({ metadata, offset, partition }) => ({ partition, offset, metadata }));
  };
  const before = await offsets();
  await json("group", "reset", "till", "--topic", "bills", "--to", "earliest", "--execute");
  const after = await offsets();
  expect(after).toHaveLength(2);
  expect((await json("group", "list", "--no-lag")).groups).not.toContainEqual(
    expect.objectContaining({ groupId: "blum.undo.till" }),
  );
  // Shown first, and nothing is done yet.
  const shown = await json("group", "reset", "till", "--undo");
  expect(shown).toMatchObject({ executed: false, skipped: 2 });
  expect(await offsets()).toEqual(after);
  await json("group", "reset", "till", "--undo", "--execute");
  expect(await offsets()).toEqual(before);
  await json("group", "reset", "till", "--undo", "--execute");
  expect(await offsets()).toEqual(after);
  expect((await blum(["group", "reset", "nobody", "--undo"])).code).toBe(1);
  await json("group", "delete", "till", "blum.undo.till");
});

test("a group with members is not moved, and what was kept stays", async () => {
  expect((await blum(["topic", "create", "busy", "-p", "1"])).code).toBe(0);
  await commit("crew", "busy", 0);
  const consumer = new Consumer({ bootstrapServers: broker.bootstrap, groupId: "crew" });
  consumer.subscribe(["busy"]);
  await consumer.poll(4000);
  const refused = await blum(["group", "reset", "crew", "--to", "latest", "--execute"]);
  expect(refused.code).toBe(1);
  expect(refused.error).toMatch(/has 1 members/);
  expect((await blum(["group", "reset", "crew", "--undo"])).code).toBe(1);
  await consumer.close();
  await json("group", "delete", "crew");
}, 20_000);

test("durations as people and as Kafka's tool write them", () => {
  expect(durationMsOf("90s")).toBe(90_000);
  expect(durationMsOf("1d12h")).toBe(36 * 3_600_000);
  expect(durationMsOf("PT1H30M")).toBe(5_400_000);
  expect(durationMsOf("P3DT0.5S")).toBe(3 * 86_400_000 + 500);
  for (const wrong of ["", "P", "PT", "10", "2 h", "-1h", "h"]) expect(durationMsOf(wrong)).toBeNull();
});

test("an empty group is deleted with its offsets", async () => {
  expect((await json("group", "delete", "shop", "blum.undo.shop")).groups).toEqual([
    { groupId: "shop", error: null },
    { groupId: "blum.undo.shop", error: null },
  ]);
  expect((await json("group", "list")).groups).toEqual([]);
  expect((await blum(["group", "delete", "shop"])).code).toBe(1);
});
