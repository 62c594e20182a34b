// `blum start --brokers 3` as a person runs it: processes of the bundled command, one killed, all stopped by one signal, none left behind.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Admin, Producer } from "@blumfeld/client";
import { afterEach, beforeEach, expect, test } from "vitest";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
const isBuilt = existsSync(join(root, "dist", "blum.mjs"));
let folder: string;
let supervisor: ChildProcess | null = null;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "blumfeld-brokers-"));
});
afterEach(() => {
  supervisor?.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

interface Started {
  readonly bootstrap: string;
  readonly errors: string[];
  readonly ended: Promise<number | null>;
}

function start(): Promise<Started> {
  const args = [
    join(root, "bin", "blum"),
    "start",
    "--brokers",
    "3",
    "--data",
    folder,
    "--listen",
    "127.0.0.1:0",
    "--json",
  ];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  supervisor = child;
  const errors: string[] = [];
  createInterface({ input: child.stderr! }).on("line", (line) => errors.push(line));
  const ended = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
  return new Promise((resolve, reject) => {
    createInterface({ input: child.stdout! }).on("line", (line) => {
      const { bootstrap } = JSON.parse(line) as { bootstrap: string };
      resolve({ bootstrap, errors, ended });
    });
    void ended.then((code) => reject(new Error(`ended with ${code}: ${errors.join("\n")}`)));
  });
}

async function until(what: string, isSo: () => Promise<boolean> | boolean, timeoutMs = 60_000): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!(await isSo())) {
    if (performance.now() > endMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((wake) => setTimeout(wake, 200));
  }
}

/** The nodes' processes, by what they were started with. */
async function pidsOf(nodeId: number): Promise<number[]> {
  const { readdirSync, readFileSync } = await import("node:fs");
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`${folder}/node-${nodeId}/`);
      } catch {
        return false; // it has ended meanwhile
      }
    });
}

test.skipIf(!isBuilt || process.platform !== "linux")(
  "three brokers, one killed and started again, all stopped by one signal, found again by the next start",
  { timeout: 180_000 },
  async () => {
    const first = await start();
    expect(first.bootstrap.split(",")).toHaveLength(3);
    const admin = new Admin({ bootstrapServers: first.bootstrap, apiTimeoutMs: 30_000 });
    const producer = new Producer({ bootstrapServers: first.bootstrap, acks: "all" });
    try {
      await admin.createTopic({ name: "orders", partitions: 3 });
      for (let index = 0; index < 30; index++) await producer.send({ topic: "orders", value: `${index}` });
      const [pid] = await pidsOf(2);
      process.kill(pid!, "SIGKILL");
      for (let index = 30; index < 60; index++) await producer.send({ topic: "orders", value: `${index}` });
      await until("node 2 runs again", () => first.errors.some((line) => line.includes("node-2 | ready again")));
      await until("all replicas are in sync again", async () => {
        const [described] = await admin.describeTopics(["orders"]);
        return described!.partitions.every(({ isr }) => isr.length === 3);
      });
    } finally {
      await producer.close();
      await admin.close();
    }
    supervisor!.kill("SIGTERM");
    expect(await first.ended).toBe(0);
    for (const nodeId of [1, 2, 3]) expect(await pidsOf(nodeId)).toEqual([]);

    const again = await start();
    expect(again.bootstrap).toBe(first.bootstrap);
    const reader = new Admin({ bootstrapServers: again.bootstrap });
    const offsets = await reader.listOffsets(
      [0, 1, 2].map((partition) => ({ topic: "orders", partition, spec: "latest" as const })),
    );
    await reader.close();
    expect(offsets.reduce((sum, { offset }) => sum + Number(offset), 0)).toBe(60);
    // Whoever supervises is gone: the nodes end by themselves.
    supervisor!.kill("SIGKILL");
    for (const nodeId of [1, 2, 3]) await until(`node ${nodeId} ends`, async () => (await pidsOf(nodeId)).length === 0);
  },
);
