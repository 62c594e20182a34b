// Another program as this process runs it: its lines, its end, a signal. In a group of its own, so that Ctrl+C reaches this process alone; its standard
// input stays open and ends with this process, by which it learns that nobody watches over it any more.
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";

export interface ChildOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** Beside this process's own environment. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly onOutput: (line: string) => void;
  readonly onError: (line: string) => void;
  /** Once. `signal` where one ended it, else its exit code; -1: it could not be started. */
  readonly onExit: (code: number, signal: string | null) => void;
}

export class Child {
  private readonly process: ChildProcess;
  private hasEnded = false;

  constructor(options: ChildOptions) {
    const { args, command, environment } = options;
    this.process = spawn(command, args, {
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, ...environment },
    });
    createInterface({ input: this.process.stdout! }).on("line", options.onOutput);
    createInterface({ input: this.process.stderr! }).on("line", options.onError);
    // It may have ended before it reads: then nobody reads.
    this.process.stdin!.on("error", () => {});
    const end = (code: number, signal: string | null): void => {
      if (this.hasEnded) return;
      this.hasEnded = true;
      options.onExit(code, signal);
    };
    this.process.on("error", (error) => {
      options.onError(error.message);
      end(-1, null);
    });
    this.process.on("exit", (code, signal) => end(code ?? -1, signal));
  }

  get pid(): number | undefined {
    return this.process.pid;
  }

  terminate(): void {
    this.process.kill("SIGTERM");
  }

  kill(): void {
    this.process.kill("SIGKILL");
  }
}

/** The Node that runs this, and the program that it was started with. */
export const ownCommand = { command: process.execPath, program: process.argv[1] ?? "" };
