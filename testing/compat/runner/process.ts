// Child processes of the runner: each leads a process group of its own, so that a deadline or an interrupted run ends it together
// with everything it started. Never ends a process that it did not start.
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { createServer } from "node:net";

const running = new Set<ChildProcess>();

/** Output beyond this is cut from its front; the end of a log tells why a program failed. */
export const outputBytesMax = 16 * 1024 * 1024;

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group is gone already.
  }
}

function endAll(): void {
  for (const child of running) signalGroup(child, "SIGKILL");
}
process.once("exit", endAll);
for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  process.once(signal, () => process.exit(code));
}

export type CommandOptions = {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  deadlineMs?: number;
  /** Called with each whole line of standard output and standard error as it comes. */
  onLine?: (line: string) => void;
};

export type CommandResult = { code: number; output: string; seconds: number; timedOut: boolean };

/** Runs a program to its end and gathers standard output and standard error together. A missing program is exit code 127. */
export function run(command: string, args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const startedMs = performance.now();
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    running.add(child);
    let output = "";
    let timedOut = false;
    const gather = () => {
      let rest = "";
      return (text: string): void => {
        output += text;
        if (output.length > outputBytesMax) output = output.slice(-outputBytesMax / 2);
        if (options.onLine === undefined) return;
        const lines = (rest + text).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) options.onLine(line);
      };
    };
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", gather());
    const timer = setTimeout(() => {
      timedOut = true;
      signalGroup(child, "SIGKILL");
    }, options.deadlineMs ?? 600_000);
    const finish = (code: number): void => {
      clearTimeout(timer);
      signalGroup(child, "SIGKILL");
      running.delete(child);
      resolve({ code, output, seconds: (performance.now() - startedMs) / 1000, timedOut });
    };
    child.once("error", (error: NodeJS.ErrnoException) => {
      output += `${command}: ${error.message}\n`;
      finish(error.code === "ENOENT" ? 127 : 126);
    });
    child.once("close", (code) => finish(code ?? 1));
  });
}

/** As `run`, but anything except exit code 0 throws with the end of the output. */
export async function mustRun(command: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const result = await run(command, args, options);
  if (result.code === 0) return result.output;
  const why = result.timedOut ? "reached its deadline" : `exit code ${result.code}`;
  throw new Error(`${command} ${args.join(" ")}: ${why}\n${result.output.slice(-3000)}`);
}

export type Service = {
  readonly pid: number;
  /** The exit code once it has ended, otherwise undefined. */
  exitCode(): number | undefined;
  /** Sends SIGTERM, and SIGKILL to the whole group when it still runs after `graceMs`. Resolves with how it ended. */
  stop(graceMs?: number): Promise<{ code: number; killed: boolean }>;
  kill(): Promise<void>;
};

/** Starts a long-running program with its output in a file. */
export function startService(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; logFile: string },
): Service {
  const log = openSync(options.logFile, "a");
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ["ignore", log, log],
    detached: true,
  });
  closeSync(log);
  running.add(child);
  let code: number | undefined;
  const ended = new Promise<number>((resolve) => {
    const finish = (value: number): void => {
      code = value;
      running.delete(child);
      resolve(value);
    };
    child.once("error", () => finish(127));
    child.once("exit", (value) => finish(value ?? 137));
  });
  return {
    pid: child.pid ?? -1,
    exitCode: () => code,
    async stop(graceMs = 40_000) {
      if (child.pid !== undefined && code === undefined) child.kill("SIGTERM");
      let killed = false;
      const timer = setTimeout(() => {
        killed = true;
        signalGroup(child, "SIGKILL");
      }, graceMs);
      const value = await ended;
      clearTimeout(timer);
      signalGroup(child, "SIGKILL");
      return { code: value, killed };
    },
    async kill() {
      signalGroup(child, "SIGKILL");
      await ended;
    },
  };
}

export type Program = {
  readonly pid: number;
  /** The exit code once it has ended, otherwise undefined; 128 and more where a signal ended it. */
  exitCode(): number | undefined;
  /** Resolves with the exit code. */
  readonly ended: Promise<number>;
  /** Writes a line to its standard input. */
  write(line: string): void;
  /** To the program itself, as `kill` would: SIGKILL, SIGSTOP, SIGCONT, SIGTERM. */
  signal(signal: NodeJS.Signals): void;
  /** The end of what it printed to standard error. */
  errors(): string;
};

const errorsBytesMax = 16 * 1024;

/** Starts a program that talks by lines: each whole line of its standard output goes to `onLine`. */
export function startProgram(
  command: string,
  args: readonly string[],
  options: { cwd?: string | undefined; env?: NodeJS.ProcessEnv | undefined; onLine: (line: string) => void },
): Program {
  const env = { ...process.env, ...options.env };
  const child = spawn(command, args, { cwd: options.cwd, env, stdio: ["pipe", "pipe", "pipe"], detached: true });
  running.add(child);
  let rest = "";
  let errors = "";
  let code: number | undefined;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) options.onLine(line);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors = (errors + text).slice(-errorsBytesMax);
  });
  // A program that has ended reads no more; its end is told by `ended`.
  child.stdin.on("error", () => {});
  const ended = new Promise<number>((resolve) => {
    const finish = (value: number): void => {
      code = value;
      signalGroup(child, "SIGKILL");
      running.delete(child);
      resolve(value);
    };
    child.once("error", () => finish(127));
    child.once("exit", (value, signal) => finish(value ?? (signal === "SIGTERM" ? 143 : 137)));
  });
  return {
    pid: child.pid ?? -1,
    exitCode: () => code,
    ended,
    write: (line) => void child.stdin.write(`${line}\n`),
    signal: (signal) => void child.kill(signal),
    errors: () => errors,
  };
}

// Below the range that Linux gives to outgoing connections, so that a port found free stays free until the server binds it.
const portMin = 20_000;
const portMax = 29_999;
let portNext = portMin + ((process.pid * 37) % (portMax - portMin));

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

/** A TCP port on 127.0.0.1 that nobody listens on and that this process has not given out before. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 2000; tries++) {
    const port = portNext;
    portNext = portNext >= portMax ? portMin : portNext + 1;
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port on 127.0.0.1 between ${portMin} and ${portMax}`);
}
