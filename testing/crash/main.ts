// npm run crash [-- --kills N] [--losses N] [--seed N] [--directory DIR]
// Kills a broker with signal 9 while a producer writes, in every flush mode, and takes the power from one with group commit. Nothing that was
// acknowledged may be missing; the exit code says so.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type KillLoopProgress, runKillLoop } from "./kill-loop.ts";
import { runPowerLosses } from "./power-loss.ts";

const modes: readonly {
  readonly name: string;
  readonly properties: Readonly<Record<string, string | number | boolean>>;
}[] = [
  { name: "Kafka's defaults: the system writes when it likes", properties: {} },
  { name: "flush.messages=1: a sync for each write", properties: { "log.flush.interval.messages": 1 } },
  { name: "group commit: one sync for all of a turn", properties: { "blumfeld.log.group.commit.enable": true } },
];

function wholeOf(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`--${name} ${text}: a whole number is wanted`);
  return value;
}

function show(mode: string, kills: number): (progress: KillLoopProgress) => void {
  if (!process.stderr.isTTY) return () => {};
  return (progress) => {
    const filled = Math.round((progress.kills / kills) * 30);
    const bar = `${"█".repeat(filled)}${"░".repeat(30 - filled)}`;
    process.stderr.write(
      `\r${bar} ${progress.kills} of ${kills} kills, ${progress.acknowledged} acknowledged; ${mode} `,
    );
  };
}

async function main(): Promise<boolean> {
  const { values } = parseArgs({
    options: {
      kills: { type: "string", default: "20" },
      losses: { type: "string", default: "40" },
      seed: { type: "string", default: "8231" },
      directory: { type: "string" },
    },
  });
  const kills = wholeOf("kills", values.kills);
  const losses = wholeOf("losses", values.losses);
  const seed = wholeOf("seed", values.seed);
  let clean = true;
  const tell = (line: string, lost: readonly string[]): void => {
    process.stdout.write(`${line}: ${lost.length === 0 ? "nothing lost" : "LOST"}\n`);
    for (const one of lost) process.stdout.write(`  ${one}\n`);
    clean &&= lost.length === 0;
  };
  for (const [index, { name, properties }] of modes.entries()) {
    // The modes share the kills.
    const own = Math.floor(kills / modes.length) + (index < kills % modes.length ? 1 : 0);
    const root = values.directory ?? mkdtempSync(join(tmpdir(), "blumfeld-crash-"));
    const dataDirectory = join(root, `mode-${index}`);
    const report = await runKillLoop({
      ...{ dataDirectory, properties, kills: own, seed: seed + index },
      onProgress: show(name, own),
    });
    const { acknowledged, read, slowestStartMs } = report;
    const figures = `${acknowledged.toLocaleString("en-US")} records acknowledged, ${read.toLocaleString("en-US")} read at the end, slowest start ${Math.round(slowestStartMs)} ms`;
    tell(`${report.kills} kills, ${name}: ${figures}`, report.lost);
    if (report.lost.length === 0 && values.directory === undefined) rmSync(root, { recursive: true, force: true });
    else process.stdout.write(`  the data is in ${dataDirectory}\n`);
  }
  const { acknowledged, lost, syncs } = await runPowerLosses({ losses, seed, isGroupCommit: true });
  tell(`${losses} losses of power with group commit: ${acknowledged} records acknowledged, ${syncs} syncs`, lost);
  return clean;
}

const clean = await main();
process.stdout.write(clean ? "crash: 1 passed, 0 failed\n" : "crash: 0 passed, 1 failed\n");
process.exit(clean ? 0 : 1);
