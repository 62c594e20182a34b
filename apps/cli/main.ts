// The blum command. Finds the command that is called, loads that module alone, and turns whatever goes wrong into a sentence and an exit code.
import { Command, CommanderError } from "commander";
import { errorColors } from "./colors.ts";
import type { CommandRow } from "./command-row.ts";
import { commandTable } from "./command-table.ts";
import { tellFailure } from "./failure.ts";
import { type CliIo, exitCode, processIo } from "./io.ts";
import { version } from "./version.ts";

const examples = `
Examples:
  blum start                                  a broker on 127.0.0.1:9092, data in ./blumfeld-data
  blum topic create orders --partitions 3
  echo hello | blum produce orders
  blum consume orders --from beginning

Each command explains itself: blum topic --help`;

/** Returns the exit code. */
export async function runBlum(args: readonly string[], io: CliIo): Promise<number> {
  const called = args.find((arg) => !arg.startsWith("-"));
  const row = commandTable.find(({ name }) => name === called);
  try {
    const program = await createProgram(io, row);
    await program.parseAsync(args, { from: "user" });
    return Number(process.exitCode ?? exitCode.ok);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCode.ok : exitCode.usage;
    const told = tellFailure(error);
    io.error(
      `${errorColors.red("blum:")} ${told.message.replaceAll("\n", "\n      ")}\n${told.nextStep === null ? "" : `      ${told.nextStep}\n`}`,
    );
    return told.exitCode;
  }
}

/** With one command loaded, the others by name and summary only. */
export async function createProgram(io: CliIo, loaded: CommandRow | undefined): Promise<Command> {
  const program = new Command("blum")
    .description("Kafka without a JVM: a broker, and the tools to work with any Kafka cluster.")
    .version(version)
    .showHelpAfterError("(blum --help shows all commands)")
    .addHelpText("after", examples);
  program.configureOutput({ writeOut: (text) => io.out(text), writeErr: (text) => io.error(text) });
  program.exitOverride();
  for (const row of commandTable) {
    if (row !== loaded) {
      program.addCommand(new Command(row.name).description(row.summary));
      continue;
    }
    const command = await row.load(io);
    if (command.description() === "") command.description(row.summary);
    inherit(command, program);
    program.addCommand(command);
  }
  return program;
}

/** Commands that were made elsewhere write and fail through the program, as those that it makes itself do. */
function inherit(command: Command, parent: Command): void {
  command.copyInheritedSettings(parent);
  for (const child of command.commands) inherit(child, command);
}

/** A reader that went away (`blum consume … | head`) is no failure. */
function endQuietlyOnClosedPipe(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(exitCode.ok);
    throw error;
  });
}

export async function main(): Promise<void> {
  endQuietlyOnClosedPipe();
  process.exitCode = await runBlum(process.argv.slice(2), processIo);
}
