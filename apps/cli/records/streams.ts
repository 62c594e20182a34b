// Bytes in and out of commands that move records: input with its end, output with back-pressure (a slow reader slows the fetching down
// instead of filling the memory), progress for a person on standard error.
import { type CliIo, processIo } from "../io.ts";

export function inputOf(io: CliIo): AsyncIterable<Uint8Array> {
  return io.input ?? process.stdin;
}

/** Collected output beyond this goes out before more is taken. */
const chunkBytes = 64 * 1024;

export class OutputSink {
  readonly #io: CliIo;
  #parts: Uint8Array[] = [];
  #bytes = 0;

  constructor(io: CliIo) {
    this.#io = io;
  }

  write(part: string | Uint8Array): void {
    const bytes = typeof part === "string" ? Buffer.from(part) : part;
    this.#parts.push(bytes);
    this.#bytes += bytes.length;
  }

  get isFull(): boolean {
    return this.#bytes >= chunkBytes;
  }

  /** Resolves when the output can take more. */
  async flush(): Promise<void> {
    if (this.#bytes === 0) return;
    const chunk = Buffer.concat(this.#parts);
    this.#parts = [];
    this.#bytes = 0;
    if (this.#io !== processIo) return this.#io.out(chunk.toString());
    if (process.stdout.write(chunk)) return;
    await new Promise<void>((resolve) => process.stdout.once("drain", () => resolve()));
  }
}

const progressEveryMs = 500;

/** A line on standard error that is written over, after the first second, where standard error is a terminal. */
export class ProgressLine {
  readonly #io: CliIo;
  readonly #verb: string;
  readonly #startMs = performance.now();
  readonly #isShown: boolean;
  #lastMs = performance.now() + progressEveryMs;
  #wasShown = false;

  constructor(io: CliIo, verb: string, isWanted: boolean) {
    this.#io = io;
    this.#verb = verb;
    this.#isShown = isWanted && io === processIo && process.stderr.isTTY === true;
  }

  update(count: number, bytes: number): void {
    const now = performance.now();
    if (!this.#isShown || now - this.#lastMs < progressEveryMs) return;
    this.#lastMs = now;
    this.#wasShown = true;
    this.#io.error(`\r${this.#verb} ${describeRate(count, bytes, now - this.#startMs)}\u001b[K`);
  }

  end(): void {
    if (this.#wasShown) this.#io.error("\r\u001b[K");
  }

  get elapsedMs(): number {
    return performance.now() - this.#startMs;
  }
}

/** `12,345 records, 1.2 MB, 400,000 records/s`. */
export function describeRate(count: number, bytes: number, elapsedMs: number): string {
  const perSecond = elapsedMs > 0 ? Math.round((count * 1000) / elapsedMs) : 0;
  const megabytes = (bytes / 1e6).toFixed(1);
  return `${count.toLocaleString("en")} records, ${megabytes} MB, ${perSecond.toLocaleString("en")} records/s`;
}
