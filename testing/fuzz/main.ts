// npm run fuzz [-- --frames N] [--seed N] [--parser | --socket]
// npm run fuzz -- log [--histories N] [--flips N] [--stride N] [--seed N]
// 200,000 frames through the parsers in process, and as many at a broker over sockets. A finding prints the seed that repeats it.
import { parseArgs } from "node:util";
import { ourCommand, startByCommand } from "../compat/runner/broker.ts";
import { fuzzLog } from "./log.ts";
import { fuzzParser } from "./parser.ts";
import { fuzzSocket } from "./socket.ts";

/** What the broker logged at level error: a handler that threw. No input of a peer may do that. */
function errorLines(log: string): string[] {
  const lines = new Set<string>();
  for (const line of log.split("\n")) {
    if (!line.startsWith('{"level":50')) continue;
    const { msg, api, err } = JSON.parse(line) as { msg: string; api?: string; err?: { stack?: string } };
    lines.add(`logged: ${msg} ${api ?? ""} ${err?.stack?.split("\n").slice(0, 3).join(" | ") ?? ""}`);
  }
  return [...lines];
}

/** Above what an idle broker holds: room for topics that random requests make, none for what they only declare. */
const residentMegabytesMax = 400;

function progress(what: string, total: number): (frames: number) => void {
  if (!process.stderr.isTTY) return () => {};
  return (frames) =>
    process.stderr.write(`\r${what}: ${frames.toLocaleString("en-US")} of ${total.toLocaleString("en-US")} frames `);
}

function tell(
  what: string,
  seed: number,
  report: { frames: number; findings: readonly string[] },
  figures: string,
): boolean {
  process.stdout.write(
    `${what}: ${report.frames.toLocaleString("en-US")} frames, seed ${seed}: ${figures}, ${report.findings.length} findings\n`,
  );
  for (const finding of report.findings) process.stdout.write(`  ${finding}\n`);
  return report.findings.length === 0;
}

async function fuzzTheLog(values: Record<"seed" | "histories" | "flips" | "stride", string>): Promise<void> {
  const whole = (name: "seed" | "histories" | "flips" | "stride"): number => {
    const value = Number(values[name]);
    if (!Number.isSafeInteger(value) || value < 0)
      throw new Error(`--${name} ${values[name]}: a whole number is wanted`);
    return value;
  };
  const clean = await fuzzLog({
    seed: whole("seed"),
    histories: whole("histories"),
    bitFlips: whole("flips"),
    cutStride: Math.max(whole("stride"), 1),
    onProgress: (what, done, total) => {
      if (process.stderr.isTTY) process.stderr.write(`\r${what}: ${done} of ${total} `);
    },
  });
  process.stdout.write(clean ? "fuzz: 1 passed, 0 failed\n" : "fuzz: 0 passed, 1 failed\n");
  process.exitCode = clean ? 0 : 1;
}

async function main(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      histories: { type: "string", default: "2000" },
      flips: { type: "string", default: "10000" },
      stride: { type: "string", default: "1" },
      frames: { type: "string", default: "200000" },
      seed: { type: "string", default: "8231" },
      parser: { type: "boolean", default: false },
      socket: { type: "boolean", default: false },
    },
  });
  const frameCount = Number(values.frames);
  const seed = Number(values.seed);
  if (!Number.isSafeInteger(frameCount) || frameCount < 1 || !Number.isSafeInteger(seed))
    throw new Error(`--frames ${values.frames} --seed ${values.seed}: whole numbers are wanted`);
  if (positionals[0] === "log") return fuzzTheLog(values);
  const both = values.parser === values.socket;
  let clean = true;
  if (both || values.parser) {
    const report = fuzzParser({ seed, frameCount, onProgress: progress("parsers", frameCount) });
    clean =
      tell(
        "parsers",
        seed,
        report,
        `${report.accepted} read, ${report.refused} refused, slowest ${report.slowestMs.toFixed(1)} ms`,
      ) && clean;
  }
  if (both || values.socket) {
    const broker = await startByCommand(ourCommand, {
      properties: {
        "node.id": 9001,
        "controller.quorum.voters": "",
        "controller.quorum.bootstrap.servers": "127.0.0.1:0",
        "log.retention.ms": -1,
      },
    });
    try {
      const port = Number(broker.bootstrap.split(":")[1]);
      const report = await fuzzSocket({
        seed,
        frameCount,
        port,
        pid: broker.pid,
        residentMegabytesMax,
        onProgress: progress("sockets", frameCount),
      });
      const figures = `${report.answered} answered, ${report.closed} closed, ${report.parked} parked; ${report.controlRecords} control records whole, slowest control answer ${report.controlSlowestMs.toFixed(0)} ms, RSS ${report.residentMegabytes.toFixed(0)} MB`;
      const findings = [...report.findings, ...errorLines(broker.log())];
      clean = tell("sockets", seed, { frames: report.frames, findings }, figures) && clean;
      if (!clean) process.stdout.write(broker.log().slice(-4000));
    } finally {
      const { killed } = await broker.stop();
      if (killed) {
        clean = false;
        process.stdout.write("sockets: the broker did not stop on SIGTERM\n");
      }
    }
  }
  process.stdout.write(clean ? "fuzz: 1 passed, 0 failed\n" : "fuzz: 0 passed, 1 failed\n");
  process.exitCode = clean ? 0 : 1;
}

await main();
