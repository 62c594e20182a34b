// Processes of the run: bundled once, so that they start fast and stay the same while sources change; started, paused, killed and started again.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..");
const linesKept = 200;
const restartDelayMs = 100;

export class Bundles {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** Below node_modules, where native parts that stay outside are found. Entries by their paths below testing/, without `.ts`. */
  static async create(entries: readonly string[]): Promise<Bundles> {
    const directory = join(root, "node_modules", ".cache", `processes-${process.pid}`);
    mkdirSync(directory, { recursive: true });
    await build({
      absWorkingDir: root,
      entryPoints: entries.map((entry) => join(here, "..", `${entry}.ts`)),
      outbase: join(here, ".."),
      outdir: directory,
      outExtension: { ".js": ".mjs" },
      bundle: true,
      splitting: true,
      format: "esm",
      platform: "node",
      target: "node20",
      logLevel: "error",
      external: ["@node-rs/crc32", "@toondepauw/node-zstd", "lz4-napi", "snappy", "pino"],
      banner: {
        js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
      },
    });
    return new Bundles(directory);
  }

  file(entry: string): string {
    return join(this.#directory, `${entry}.mjs`);
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

/** One that is started again when it ends, until it is stopped. */
export class Restarting {
  readonly name: string;
  readonly #file: string;
  readonly #argument: () => unknown;
  readonly #onLine: (line: string) => void;
  #child: ChildProcess | null = null;
  #isStopped = false;
  starts = 0;
  /** The last lines it wrote. */
  readonly lines: string[] = [];

  constructor(name: string, file: string, argument: () => unknown, onLine: (line: string) => void) {
    this.name = name;
    this.#file = file;
    this.#argument = argument;
    this.#onLine = onLine;
  }

  start(): void {
    this.starts++;
    const child = spawn(process.execPath, [this.#file, JSON.stringify(this.#argument())], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    running.add(child);
    let rest = "";
    const take = (chunk: Buffer): void => {
      const parts = (rest + chunk.toString()).split("\n");
      rest = parts.pop()!;
      for (const line of parts) {
        this.lines.push(line);
        if (this.lines.length > linesKept) this.lines.shift();
        this.#onLine(line);
      }
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.once("close", () => {
      this.#child = null;
      running.delete(child);
      // Not at once: one that cannot start must not take the machine.
      setTimeout(() => {
        if (!this.#isStopped) this.start();
      }, restartDelayMs).unref();
    });
  }

  kill(): void {
    this.#child?.kill("SIGKILL");
  }

  /** Paused, it knows nothing of what happens meanwhile. */
  pause(): void {
    this.#child?.kill("SIGSTOP");
  }

  resume(): void {
    this.#child?.kill("SIGCONT");
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    const child = this.#child;
    if (child === null) return;
    const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
    child.kill("SIGKILL");
    await closed;
  }
}
