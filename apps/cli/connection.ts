// How commands reach a cluster: the options that all of them share, and the admin client that they open and close.
import type { Admin } from "@blumfeld/client";
import type { Command } from "commander";
import { CliFailure } from "./failure.ts";
import { type CliIo, exitCode } from "./io.ts";

export interface ConnectionFlags {
  readonly bootstrap?: string;
  readonly timeout?: string;
  readonly json?: boolean;
}

export const bootstrapVariable = "BLUM_BOOTSTRAP";
const bootstrapDefault = "127.0.0.1:9092";
const timeoutSecondsDefault = 30;

/** Adds what every command that talks to a cluster takes. */
export function withConnection(command: Command): Command {
  return command
    .option(
      "-b, --bootstrap <host:port,…>",
      `brokers to start from ($${bootstrapVariable}; default ${bootstrapDefault})`,
    )
    .option("--timeout <seconds>", `longest wait for the cluster (default ${timeoutSecondsDefault})`)
    .option("--json", "the answer as JSON, for programs");
}

export function bootstrapOf(io: CliIo, flags: ConnectionFlags): string {
  return flags.bootstrap ?? io.environment[bootstrapVariable] ?? bootstrapDefault;
}

export function timeoutMsOf(flags: ConnectionFlags): number {
  const seconds = Number(flags.timeout ?? timeoutSecondsDefault);
  if (Number.isFinite(seconds) && seconds > 0) return Math.ceil(seconds * 1000);
  throw new CliFailure(
    `--timeout ${flags.timeout} is not a number of seconds`,
    "write it as --timeout 10",
    exitCode.usage,
  );
}

/** Opens, does, closes whatever happens. */
export async function withAdmin<T>(io: CliIo, flags: ConnectionFlags, work: (admin: Admin) => Promise<T>): Promise<T> {
  const { Admin } = await import("@blumfeld/client");
  const apiTimeoutMs = timeoutMsOf(flags);
  const admin = new Admin({ bootstrapServers: bootstrapOf(io, flags), clientId: "blum", apiTimeoutMs });
  try {
    return await work(admin);
  } finally {
    await admin.close();
  }
}
