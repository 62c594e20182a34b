// npm run chaos [-- --minutes N] [--seed N] [--faults kill-leader,pause,…] [--directory DIR]
// Three nodes as processes under idempotent producers, a group and transactional copiers, killed, paused and cut off by turns. Exit code 0 only where
// nothing is lost, repeated or reordered, every copy is exact and all replicas have the same bytes. With --directory the nodes' data and logs stay.
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type FaultKind, faultKinds } from "./faults.ts";
import { type ChaosOutcome, type ChaosProgress, ChaosRun } from "./run.ts";

const barWidth = 30;

function progressLine({ confirmed, faults, phase, share }: ChaosProgress): string {
  const filled = Math.round(Math.min(1, share) * barWidth);
  const bar = `${"█".repeat(filled)}${"░".repeat(barWidth - filled)}`;
  return `${phase.padEnd(5)} ${bar} ${confirmed.toLocaleString("en-US")} records confirmed, ${faults} faults`;
}

function report({ confirmed, copies, failures, log, story, unequal }: ChaosOutcome, seed: number): [string, boolean] {
  const isClean =
    log.lost + log.repeated + log.reordered + log.unread === 0 &&
    copies.isExact &&
    unequal.length === 0 &&
    log.recordCount >= confirmed &&
    !failures.some((failure) => failure.startsWith("producer") || failure.startsWith("reader"));
  const lines = [
    ...story.map((line) => `  ${line}`),
    ...failures.map((line) => `said: ${line}`),
    ...log.findings.map((line) => `  ${line}`),
    ...copies.findings.map((line) => `  copies: ${line}`),
    ...unequal.map((line) => `  ${line}`),
    `${isClean ? "CLEAN" : "NOT CLEAN"}: ${confirmed.toLocaleString("en-US")} records confirmed, ${log.lost} lost, ` +
      `${log.repeated} repeated, ${log.reordered} reordered, ${log.unread} never read by the group; ` +
      `${copies.recordCount.toLocaleString("en-US")} copies, ${copies.isExact ? "exact" : `${copies.missing} missing, ${copies.repeated} repeated, ${copies.disordered} out of order`}; ` +
      `${unequal.length === 0 ? "replicas equal" : `${unequal.length} replicas differ`}; ${story.length} faults, seed ${seed}`,
  ];
  return [lines.join("\n"), isClean];
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string", default: "3" },
      seed: { type: "string", default: String(Date.now() % 1_000_000) },
      faults: { type: "string", default: faultKinds.join(",") },
      directory: { type: "string" },
    },
  });
  const minutes = Number(values.minutes);
  const seed = Number(values.seed);
  if (!(minutes > 0)) throw new Error(`--minutes ${values.minutes}: a number above 0 is wanted`);
  if (!Number.isSafeInteger(seed)) throw new Error(`--seed ${values.seed}: a whole number is wanted`);
  const kinds = values.faults.split(",").map((name): FaultKind => {
    const kind = faultKinds.find((one) => one === name);
    if (kind === undefined) throw new Error(`--faults ${name}: one of ${faultKinds.join(", ")} is wanted`);
    return kind;
  });
  let lastMs = 0;
  const run = new ChaosRun({
    ...{ minutes, seed, kinds, isKept: values.directory !== undefined },
    directory: values.directory ?? mkdtempSync(join(tmpdir(), "blumfeld-chaos-")),
    onProgress: (progress) => {
      if (process.stderr.isTTY) process.stderr.write(`\r${progressLine(progress)} `);
      else if (performance.now() - lastMs > 10_000) {
        lastMs = performance.now();
        process.stderr.write(`${progressLine(progress)}\n`);
      }
    },
  });
  try {
    const [text, isClean] = report(await run.run(), seed);
    process.stdout.write(`${process.stderr.isTTY ? "\n" : ""}${text}\n`);
    return isClean ? 0 : 1;
  } catch (error) {
    process.stdout.write(
      `${run.story.map((line) => `  ${line}\n`).join("")}NOT CLEAN: ${String(error)}; seed ${seed}\n`,
    );
    return 1;
  }
}

process.exitCode = await main();
