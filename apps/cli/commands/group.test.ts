// blum group, against a broker in this process: what it shows of lag is counted here by hand.
import { Admin } from "@blumfeld/client";
import { type RunningBroker, startBroker } from "blumfeld";
import { afterAll, beforeAll, expect, test } from "vitest";
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
    { groupId: "shop", protocolType: "", state: "Empty", type: "classic" },
  ]);
  expect((await json("group", "list", "--state", "Stable")).groups).toEqual([]);
});

test("lag is what stands between the committed offset and the end", async () => {
  const described = await json("group", "describe", "shop");
  expect(described).toMatchObject({ groupId: "shop", state: "Empty", members: [] });
  expect(described.partitions).toEqual([
    { topic: "orders", partition: 0, offset: 4, endOffset: 10, lag: 6, memberId: null },
  ]);
  expect((await blum(["group", "describe", "shop"])).out).toMatch(/lag +6/);
  expect((await blum(["group", "describe", "nobody"])).code).toBe(1);
});

test("a reset shows what it would do, and does it when told to", async () => {
  const shown = await json("group", "reset", "shop", "--to", "earliest");
  const move = { topic: "orders", partition: 0, from: 4, to: 0, readAgain: 4, skipped: 0 };
  expect(shown).toEqual({ group: "shop", executed: false, partitions: [move] });
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

test("an empty group is deleted with its offsets", async () => {
  expect((await json("group", "delete", "shop")).groups).toEqual([{ groupId: "shop", error: null }]);
  expect((await json("group", "list")).groups).toEqual([]);
  expect((await blum(["group", "delete", "shop"])).code).toBe(1);
});
