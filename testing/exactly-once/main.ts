// npm run exactly-once [-- --records N] [--kill-every SECONDS] [--kills N] [--copiers N] [--partitions N] [--seed N] [--minutes N] [--directory DIR]
//   [--group-protocol classic|consumer] [--transactions 1|2] [--messages N]
// Copies records from topic to topic in transactions while members and the broker are killed with signal 9 or paused; at the end every record is there
// once, in order per partition, or the exit code is 1. With --directory a run that --minutes ended goes on where it was.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ExactlyOnceRun, type Outcome, type Progress } from "./run.ts";

const barWidth = 30;
const ofOption = (name: string, text: string, minimum: number): number => {
  const value = Number(text);
  if (!Number.isFinite(value) || value < minimum)
    throw new Error(`--${name} ${text}: a number of ${minimum} or more is wanted`);
  return value;
};
const number = (value: number): string => value.toLocaleString("en-US");

function progressLine({ done, kills, phase, total }: Progress, startedMs: number): string {
  const filled = Math.round((done / total) * barWidth);
  const bar = `${"█".repeat(filled)}${"░".repeat(barWidth - filled)}`;
  const seconds = Math.round((performance.now() - startedMs) / 1000);
  const killed = `killed: broker ${kills.broker}, copiers ${kills.copier}; paused ${kills.paused}`;
  return `${phase.padEnd(5)} ${bar} ${number(done)} of ${number(total)}  ${killed}  ${seconds} s`;
}

function report({ aborts, complaints, fenced, kills, seconds, verdict }: Outcome, seed: number): string {
  const lines: string[] = [];
  for (const complaint of complaints) lines.push(`said: ${complaint}`);
  const how =
    `${kills.broker} kills of the broker, ${kills.copier} of copiers, ${kills.paused} pauses; ` +
    `${number(aborts)} transactions aborted, ${fenced} producers fenced; ${Math.round(seconds)} s, seed ${seed}`;
  if (verdict === null)
    return [...lines, `NOT DONE in the time given (${how}); go on with the same --directory`].join("\n");
  lines.push(...verdict.findings.map((finding) => `  ${finding}`));
  const { disordered, missing, recordCount, repeated } = verdict;
  lines.push(
    verdict.isExact
      ? `EXACTLY ONCE: ${number(recordCount)} records, each once, in order per partition (${how})`
      : `NOT EXACTLY ONCE: ${number(recordCount)} records, ${missing} missing, ${repeated} repeated, ${disordered} out of order (${how})`,
  );
  return lines.join("\n");
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      records: { type: "string", default: "1000000" },
      "kill-every": { type: "string", default: "3" },
      kills: { type: "string", default: "1000000" },
      copiers: { type: "string", default: "3" },
      partitions: { type: "string", default: "6" },
      messages: { type: "string", default: "50" },
      "group-protocol": { type: "string", default: "classic" },
      transactions: { type: "string", default: "2" },
      seed: { type: "string", default: String(Date.now() % 1_000_000) },
      minutes: { type: "string", default: "60" },
      directory: { type: "string" },
    },
  });
  const directory = values.directory ?? mkdtempSync(join(tmpdir(), "blumfeld-exactly-once-"));
  const startedMs = performance.now();
  let lastMs = 0;
  const seed = ofOption("seed", values.seed, 0);
  const run = await ExactlyOnceRun.prepare({
    records: ofOption("records", values.records, 1),
    partitions: ofOption("partitions", values.partitions, 1),
    copiers: ofOption("copiers", values.copiers, 1),
    killEveryMs: ofOption("kill-every", values["kill-every"], 0.1) * 1000,
    killsMax: ofOption("kills", values.kills, 0),
    messagesMax: ofOption("messages", values.messages, 1),
    transactions: values.transactions === "1" ? 1 : 2,
    groupProtocol: values["group-protocol"] === "consumer" ? "consumer" : "classic",
    minutesMax: ofOption("minutes", values.minutes, 0.1),
    seed,
    directory,
    onProgress: (progress) => {
      const now = performance.now();
      const line = progressLine(progress, startedMs);
      if (process.stderr.isTTY) process.stderr.write(`\r${line} `);
      else if (now - lastMs > 10_000) {
        lastMs = now;
        process.stderr.write(`${line}\n`);
      }
    },
  });
  try {
    const outcome = await run.run();
    if (process.stderr.isTTY) process.stderr.write("\n");
    process.stdout.write(`${report(outcome, seed)}\n`);
    return outcome.verdict?.isExact === true ? 0 : 1;
  } finally {
    if (values.directory === undefined) rmSync(directory, { recursive: true, force: true });
  }
}

process.exitCode = await main();
