// Loggers behind the Logger port. Pino for a process (one JSON object a line, or short lines for a person at a terminal); nothing at all
// for a broker inside someone's test. Pino is loaded when a logger is made: embedding pays nothing for it.
import type { Logger } from "@blumfeld/core/base";

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
};

export async function createProcessLogger(options: {
  readonly level: LogLevel;
  /** Short lines with colours instead of JSON. */
  readonly isTerminal: boolean;
}): Promise<Logger> {
  const { pino } = await import("pino");
  const base = { level: options.level, base: null, timestamp: pino.stdTimeFunctions.isoTime };
  const stderr = pino.destination({ fd: 2, sync: true });
  const logger = options.isTerminal
    ? pino(base, { write: (line: string) => stderr.write(shortLine(line)) })
    : pino(base, stderr);
  return portOf(logger);
}

interface PinoLike {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: object): PinoLike;
}

function portOf(logger: PinoLike): Logger {
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    child: (fields) => portOf(logger.child(fields)),
  };
}

const levelMarks: Readonly<Record<number, string>> = {
  20: "\x1b[2mdebug\x1b[22m",
  30: "\x1b[32minfo\x1b[39m ",
  40: "\x1b[33mwarn\x1b[39m ",
  50: "\x1b[31merror\x1b[39m",
};

/** `12:31:07 warn  a sentence  key=value`. */
function shortLine(json: string): string {
  const { level, time, msg, err, ...fields } = JSON.parse(json) as Record<string, unknown> & {
    level: number;
    time: string;
  };
  const rest = Object.entries(fields).map(
    ([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  const stack = (err as { stack?: string } | undefined)?.stack;
  const tail = rest.length === 0 ? "" : `  \x1b[2m${rest.join(" ")}\x1b[22m`;
  return `\x1b[2m${time.slice(11, 19)}\x1b[22m ${levelMarks[level] ?? String(level)} ${String(msg)}${tail}\n${stack === undefined ? "" : `${stack}\n`}`;
}
