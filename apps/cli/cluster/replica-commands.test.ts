// blum cluster's moves and elections, on three nodes in this process.
import { Admin, Producer } from "@blumfeld/client";
import { type RunningCluster, startCluster } from "blumfeld";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { CliIo } from "../io.ts";
import { runBlum } from "../main.ts";

let cluster: RunningCluster;
let admin: Admin;

beforeAll(async () => {
  cluster = await startCluster({ brokers: 3 });
  admin = new Admin({ bootstrapServers: cluster.bootstrap, apiTimeoutMs: 20_000 });
}, 60_000);
afterAll(async () => {
  await admin.close();
  await cluster.close();
}, 60_000);

async function blum(...args: string[]): Promise<{ code: number; out: string; error: string }> {
  const run = { out: "", error: "" };
  const io: CliIo = {
    out: (text) => {
      run.out += text;
    },
    error: (text) => {
      run.error += text;
    },
    input: (async function* () {})(),
    isTerminal: false,
    columnCount: 100,
    environment: { BLUM_BOOTSTRAP: cluster.bootstrap },
    onStopSignal: () => () => {},
    exit: (code) => {
      throw new Error(`exit ${code}`);
    },
  };
  return { code: await runBlum(["cluster", ...args], io), ...run };
}

async function replicasOf(topic: string): Promise<(readonly number[])[]> {
  const [described] = await admin.describeTopics([topic]);
  return described!.partitions.map(({ replicas }) => replicas);
}

test("status and quorum name the three", { timeout: 60_000 }, async () => {
  expect((await blum()).out).toMatch(/voters +1, 2, 3/);
  const { out } = await blum("quorum");
  expect(out.match(/ voter /g)).toHaveLength(2);
  expect(out.match(/ leader /g)).toHaveLength(1);
});

test("a plan moves nothing; --yes moves replicas with their records, and leadership", {
  timeout: 120_000,
}, async () => {
  const assignments = [[1], [1], [1]];
  await admin.createTopic({ name: "moved", assignments });
  const producer = new Producer({ bootstrapServers: cluster.bootstrap });
  for (let index = 0; index < 30; index++)
    await producer.send({ topic: "moved", partition: index % 3, value: `${index}` });

  const shown = await blum("reassign", "moved", "2,3", "--replication-factor", "2");
  expect(shown).toMatchObject({ code: 0, out: expect.stringContaining("--yes makes it so") });
  expect(await replicasOf("moved")).toEqual(assignments);

  const made = await blum("reassign", "moved", "2,3", "--replication-factor", "2", "--throttle", "10000000", "--yes");
  expect(made).toMatchObject({ code: 0, out: expect.stringContaining("3 partitions were moved") });
  expect(await replicasOf("moved")).toEqual([
    [2, 3],
    [3, 2],
    [2, 3],
  ]);
  await producer.send({ topic: "moved", partition: 0, value: "after" });
  await producer.close();
  const ends = await admin.listOffsets(
    [0, 1, 2].map((partition) => ({ topic: "moved", partition, spec: "latest" as const })),
  );
  expect(ends.map(({ offset }) => Number(offset))).toEqual([11, 10, 10]);
  expect((await blum("moves")).out).toBe("nothing is moving\n");
  expect((await blum("elect")).code).toBe(0);

  const balanced = await blum("balance", "--yes");
  expect(balanced.code).toBe(0);
  expect((await replicasOf("moved")).flat().filter((id) => id === 1).length).toBeGreaterThan(0);
  expect((await blum("balance")).out).toBe("nothing has to move\n");
});

test("what does not fit is refused before anything moves", { timeout: 60_000 }, async () => {
  expect((await blum("reassign", "moved", "1", "--replication-factor", "2")).error).toContain("do not fit");
  expect((await blum("reassign", "moved", "1,x")).code).toBe(2);
  expect((await blum("reassign", "none", "1")).code).toBe(1);
  expect((await blum("elect", "--unclean")).error).toContain("needs a topic");
});
