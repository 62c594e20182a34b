// How long a broker takes to be there, in a process of its own and inside a running program, and what it costs while nothing happens.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort, mustRun } from "../compat/runner/process.ts";
import type { Figure } from "./measure.ts";
import { cpuSeconds, residentMegabytes } from "./process-figures.ts";

const projectDir = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

export const startFigures: readonly Figure[] = [
  { name: "start to ready", unit: "s", better: "lower", bound: 0.3 },
  { name: "idle RSS", unit: "MB", better: "lower", bound: 80 },
  { name: "idle CPU", unit: "%", better: "lower", bound: 1 },
  { name: "startBroker, warm", unit: "ms", better: "lower", bound: 50 },
];

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("close", () => socket.destroy());
    socket.once("connect", () => socket.destroy());
  });
}

/** One start of the command a user types, timed from the spawn to the first accepted connection; then `idleSeconds` of nothing. */
async function startOnce(idleSeconds: number): Promise<[seconds: number, rss: number, cpuPercent: number]> {
  const directory = mkdtempSync(join(tmpdir(), "blumfeld-bench-"));
  const port = await freePort();
  const startedMs = performance.now();
  const child = spawn(
    process.execPath,
    [join(projectDir, "bin", "blum"), "start", "--data", join(directory, "data"), "--listen", `127.0.0.1:${port}`],
    {
      stdio: "ignore",
    },
  );
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  try {
    while (!(await accepts(port))) {
      if (performance.now() - startedMs > 20_000) throw new Error("the broker was not there after 20 s");
      await new Promise((wake) => setTimeout(wake, 2));
    }
    const seconds = (performance.now() - startedMs) / 1000;
    await new Promise((wake) => setTimeout(wake, 3000));
    const cpuBefore = cpuSeconds(child.pid!);
    await new Promise((wake) => setTimeout(wake, idleSeconds * 1000));
    const cpuPercent = ((cpuSeconds(child.pid!) - cpuBefore) / idleSeconds) * 100;
    return [seconds, residentMegabytes(child.pid!), cpuPercent];
  } finally {
    child.kill("SIGTERM");
    await exited;
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Starts and closes in-memory brokers in one process; the median of the starts after the first. */
async function embeddedMs(): Promise<number> {
  const program = `
    const { startBroker } = await import(${JSON.stringify(join(projectDir, "dist", "index.mjs"))});
    const took = [];
    for (let i = 0; i < 8; i++) {
      const startedMs = performance.now();
      const broker = await startBroker({ storage: "memory", port: 0 });
      took.push(performance.now() - startedMs);
      await broker.close();
    }
    took.shift();
    console.log(took.sort((a, b) => a - b)[took.length >> 1]);`;
  const output = await mustRun(process.execPath, ["--input-type=module", "-e", program]);
  return Number(output.trim().split("\n").at(-1));
}

/** A value for each of `startFigures`. */
export async function measureStart(idleSeconds: number): Promise<number[]> {
  const [seconds, rss, cpuPercent] = await startOnce(idleSeconds);
  return [seconds, rss, cpuPercent, await embeddedMs()];
}
