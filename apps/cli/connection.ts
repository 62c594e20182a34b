// How commands reach a cluster: the options that all of them share, and the admin client that they open and close.
import { readFileSync } from "node:fs";
import type { Admin, ClientOptions } from "@blumfeld/client";
import { parseProperties } from "@blumfeld/core/model/settings";
import type { Command } from "commander";
import { CliFailure } from "./failure.ts";
import { type CliIo, exitCode } from "./io.ts";

export interface ConnectionFlags {
  readonly bootstrap?: string;
  readonly timeout?: string;
  readonly json?: boolean;
  readonly commandConfig?: string;
}

export const bootstrapVariable = "BLUM_BOOTSTRAP";
export const commandConfigVariable = "BLUM_COMMAND_CONFIG";
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
    .option("--command-config <file>", `a Java client's properties: who logs in, and how ($${commandConfigVariable})`)
    .option("--json", "the answer as JSON, for programs");
}

export function bootstrapOf(io: CliIo, flags: ConnectionFlags): string {
  const given = flags.bootstrap ?? io.environment[bootstrapVariable];
  return given ?? commandConfig(io, flags).get("bootstrap.servers") ?? bootstrapDefault;
}

/** What the file says about logging in and encryption, by Java's names: what every client takes. Empty without a file. */
export function securityPropertiesOf(io: CliIo, flags: ConnectionFlags): Record<string, string> {
  const pairs = [...commandConfig(io, flags)].filter(([name]) => /^(security|sasl|ssl)\./.test(name));
  return Object.fromEntries(pairs);
}

function commandConfig(io: CliIo, flags: ConnectionFlags): ReadonlyMap<string, string> {
  const path = flags.commandConfig ?? io.environment[commandConfigVariable];
  if (path === undefined || path === "") return new Map();
  try {
    return new Map(parseProperties(readFileSync(path, "utf8")).map(({ name, value }) => [name, value]));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CliFailure(
      `--command-config ${path} cannot be read: ${reason}`,
      "name a properties file",
      exitCode.usage,
    );
  }
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

/** What a client of any kind is made with. */
export async function clientOptionsOf(io: CliIo, flags: ConnectionFlags): Promise<ClientOptions> {
  const { adminOptionsFromProperties } = await import("@blumfeld/client");
  const pairs = { "bootstrap.servers": bootstrapOf(io, flags), ...securityPropertiesOf(io, flags) };
  const { options } = asUsage(() => adminOptionsFromProperties(pairs));
  return { ...options, clientId: "blum", apiTimeoutMs: timeoutMsOf(flags) };
}

/** What is wrong with a setting is the caller's to mend, not the cluster's. */
export function asUsage<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    const { code, nextStep } = error as { code?: string; nextStep?: string };
    if (code !== "CLIENT_INVALID_OPTION") throw error;
    throw new CliFailure((error as Error).message, nextStep ?? null, exitCode.usage);
  }
}

/** Opens, does, closes whatever happens. */
export async function withAdmin<T>(io: CliIo, flags: ConnectionFlags, work: (admin: Admin) => Promise<T>): Promise<T> {
  const { Admin } = await import("@blumfeld/client");
  const admin = new Admin(await clientOptionsOf(io, flags));
  try {
    return await work(admin);
  } finally {
    await admin.close();
  }
}
