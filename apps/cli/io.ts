// What a command speaks through: standard output, standard error, and whether a person is looking. Tests give their own.

export interface CliIo {
  /** To standard output, as it is. Null-safe against a closed pipe: what nobody reads is dropped. */
  out(text: string): void;
  /** To standard error, as it is. */
  error(text: string): void;
  /** Standard input; left out: the process's. */
  readonly input?: AsyncIterable<Uint8Array>;
  /** Standard output is a terminal: tables may have colours, progress may move. */
  readonly isTerminal: boolean;
  /** Columns of the terminal; 80 where there is none. */
  readonly columnCount: number;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Calls back on SIGINT and SIGTERM; returns the way to stop listening. */
  onStopSignal(callback: (signal: "SIGINT" | "SIGTERM") => void): () => void;
  /** Ends the process at once. */
  exit(code: number): never;
}

export const exitCode = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;

export const processIo: CliIo = {
  out: (text) => void process.stdout.write(text),
  error: (text) => void process.stderr.write(text),
  get isTerminal() {
    return process.stdout.isTTY === true;
  },
  get columnCount() {
    return process.stdout.columns ?? 80;
  },
  environment: process.env,
  onStopSignal(callback) {
    const onInterrupt = (): void => callback("SIGINT");
    const onTerminate = (): void => callback("SIGTERM");
    process.on("SIGINT", onInterrupt);
    process.on("SIGTERM", onTerminate);
    return () => {
      process.off("SIGINT", onInterrupt);
      process.off("SIGTERM", onTerminate);
    };
  },
  exit: (code) => process.exit(code),
};

/** Data for a program, or text for a person: every command ends here. */
export function report(
  io: CliIo,
  options: { readonly json?: boolean | undefined },
  data: unknown,
  text: () => string,
): void {
  io.out(options.json === true ? `${JSON.stringify(data, jsonValue, 2)}\n` : text());
}

/** int64 as a string, bytes as base64: JSON has neither. */
function jsonValue(_name: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}
