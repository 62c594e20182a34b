// The commands against a broker in memory: what they answer to programs, what to people, and what cannot be done.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunningBroker, startBroker } from "blumfeld";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { CliIo } from "../io.ts";
import { runBlum } from "../main.ts";

const folder = mkdtempSync(join(tmpdir(), "blumfeld-commands-"));
let broker: RunningBroker;
beforeAll(async () => {
  broker = await startBroker({ storage: "memory", port: 0 });
});
afterAll(async () => {
  await broker.close();
  rmSync(folder, { recursive: true, force: true });
});

async function blum(...args: string[]): Promise<{ code: number; out: string; error: string }> {
  let out = "";
  let error = "";
  const io: CliIo = {
    out(text) {
      out += text;
    },
    error(text) {
      error += text;
    },
    isTerminal: false,
    columnCount: 80,
    environment: { BLUM_BOOTSTRAP: broker.bootstrap },
    onStopSignal: () => () => {},
    exit: (code) => {
      throw new Error(`exit ${code}`);
    },
  };
  const code = await runBlum(args, io);
  return { code, out, error };
}

async function json(...args: string[]): Promise<Record<string, never>> {
  const { code, error, out } = await blum(...args, "--json");
  expect(error).toBe("");
  expect(code).toBe(0);
  return JSON.parse(out) as Record<string, never>;
}

test("a topic's life", async () => {
  expect(await json("topic", "create", "life", "-p", "2", "-s", "retention.ms=1000")).toEqual({
    topics: [{ name: "life", done: true, error: null }],
  });
  expect((await json("topic", "list")).topics).toEqual([
    expect.objectContaining({ name: "life", partitions: 2, replicationFactor: 1 }),
  ]);
  expect((await json("topic", "describe", "life")).topics).toEqual([
    expect.objectContaining({
      name: "life",
      settings: { "retention.ms": "1000" },
      partitions: [
        expect.objectContaining({ partition: 0, leader: 1, isr: [1] }),
        expect.objectContaining({ partition: 1 }),
      ],
    }),
  ]);
  await json("topic", "alter", "life", "-p", "3", "-s", "cleanup.policy=compact", "-u", "retention.ms");
  const [altered] = (await json("topic", "describe", "life")).topics as unknown as [
    { settings: object; partitions: object[] },
  ];
  expect(altered.settings).toEqual({ "cleanup.policy": "compact" });
  expect(altered.partitions).toHaveLength(3);
  expect((await blum("topic", "describe", "life")).out).toMatch(/PARTITION +LEADER(.*\n){4}$/);
  await json("topic", "delete", "life");
  expect((await blum("topic", "list")).out).toContain("no topics");
});

test("several topics, one of which cannot be: the others are, the exit code tells", async () => {
  const { code, error, out } = await blum("topic", "create", "good", "bad/name");
  expect([code, out]).toEqual([1, "created good\n"]);
  expect(error).toContain("bad/name");
  expect((await blum("topic", "create", "good")).code).toBe(1);
  expect((await blum("topic", "create", "good", "--if-not-exists")).code).toBe(0);
  expect((await blum("topic", "delete", "good", "nowhere", "--if-exists")).code).toBe(0);
});

test("settings: where values come from, changed live, refused with the bound", async () => {
  await json("config", "alter", "cluster", "-s", "log.segment.bytes=2097152");
  const described = (await json("config", "describe", "cluster")).settings as unknown as { name: string }[];
  expect(described.find(({ name }) => name === "log.segment.bytes")).toMatchObject({
    value: "2097152",
    source: "dynamic-default-broker",
  });
  await blum("topic", "create", "inherits");
  const all = (await json("config", "describe", "topic", "inherits", "--all")).settings as unknown as {
    name: string;
  }[];
  expect(all.find(({ name }) => name === "segment.bytes")).toMatchObject({
    value: "2097152",
    source: "dynamic-default-broker",
  });
  expect((await blum("config", "describe", "topic", "inherits")).out).toContain("nothing is set");
  const refused = await blum("config", "alter", "topic", "inherits", "-s", "segment.bytes=100");
  expect([refused.code, refused.out]).toEqual([1, ""]);
  expect(refused.error).toContain("segment.bytes=100 is below 1048576");
  expect((await blum("config", "alter", "broker", "1", "-s", "node.id=2")).code).toBe(1);
});

test("the cluster", async () => {
  const facts = await json("cluster", "--features", "--disks");
  expect(facts).toMatchObject({
    clusterId: broker.clusterId,
    nodes: [{ nodeId: 1, host: broker.host, port: broker.port }],
    quorum: { leaderId: 1 },
  });
  expect((await blum("cluster")).out).toContain(`${broker.host}:${broker.port}`);
});

test("storage: format, look, and not twice", async () => {
  const data = join(folder, "node");
  const id = (await blum("storage", "random-uuid")).out.trim();
  expect(await json("storage", "format", "--data", data, "--cluster-id", id)).toMatchObject({ clusterId: id });
  expect((await json("storage", "info", "--data", data)).directories).toEqual([
    expect.objectContaining({ path: data, state: "formatted", clusterId: id, nodeId: 1 }),
  ]);
  expect((await blum("storage", "format", "--data", data)).error).toContain("is formatted already");
  expect((await blum("storage", "format", "--data", data, "--ignore-formatted")).code).toBe(0);
  await using started = await startBroker({ dataDirectory: data, port: 0 });
  expect(started.clusterId).toBe(id);
});

test.each([
  ["config", "describe", "nonsense"],
  ["config", "describe", "topic"],
  ["config", "describe", "broker", "one"],
  ["config", "alter", "cluster"],
  ["topic", "create"],
  ["topic", "create", "x", "--partitions", "none"],
  ["topic", "alter", "x"],
  ["topic", "list", "--timeout", "soon"],
])("%s %s %s %s is a usage error", async (...args) => {
  const { code, error } = await blum(...args.filter((arg) => arg !== undefined));
  expect(code).toBe(2);
  expect(error).not.toContain("    at ");
});

test("no broker there: said so, quickly, with what to do", async () => {
  const { code, error } = await blum("topic", "list", "-b", "127.0.0.1:1", "--timeout", "1");
  expect(code).toBe(1);
  expect(error).toContain("127.0.0.1:1");
  expect(error).not.toContain("    at ");
});
