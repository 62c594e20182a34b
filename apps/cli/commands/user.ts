// `blum user`: users with SCRAM passwords. A password is read from a variable or the terminal's input, never from an argument that others can see.
import type { ScramPassword } from "@blumfeld/client";
import { Command } from "commander";
import { type ConnectionFlags, withAdmin, withConnection } from "../connection.ts";
import { CliFailure } from "../failure.ts";
import { parseWhole } from "../flags.ts";
import { type CliIo, exitCode, report } from "../io.ts";
import { textTable } from "../text-table.ts";

const mechanisms = ["SCRAM-SHA-256", "SCRAM-SHA-512"] as const;
const examples = `
Examples:
  blum user list
  blum user set alice < password.txt                      the first line is the password
  BLUM_PASSWORD=… blum user set alice --mechanism SCRAM-SHA-256
  blum user delete alice --mechanism SCRAM-SHA-512`;

type Mechanism = (typeof mechanisms)[number];

interface SetFlags extends ConnectionFlags {
  readonly mechanism: string;
  readonly iterations: string;
}

export const passwordVariable = "BLUM_PASSWORD";

export function createUserCommand(io: CliIo): Command {
  const user = new Command("user").description("Users with SCRAM passwords.").addHelpText("after", examples);
  withConnection(user.command("list").description("all users and their mechanisms")).action((flags: ConnectionFlags) =>
    list(io, flags),
  );
  withConnection(
    user
      .command("set <name>")
      .description(`a user's password, from $${passwordVariable} or the first line of the input`),
  )
    .option("--mechanism <name>", mechanisms.join(" or "), "SCRAM-SHA-512")
    .option("--iterations <count>", "how often the password is hashed: 4096 to 16384", "4096")
    .action((name: string, flags: SetFlags) => set(io, name, flags));
  withConnection(user.command("delete <name>").description("a user's password of one mechanism"))
    .option("--mechanism <name>", mechanisms.join(" or "), "SCRAM-SHA-512")
    .action((name: string, flags: SetFlags) => remove(io, name, flags));
  return user;
}

async function list(io: CliIo, flags: ConnectionFlags): Promise<void> {
  const users = await withAdmin(io, flags, (admin) => admin.describeUsers());
  const rows = users.flatMap(({ credentials, name }) => credentials.map((credential) => ({ name, ...credential })));
  report(io, flags, { users }, () =>
    textTable(
      [
        { title: "USER", cell: ({ name }) => name },
        { title: "MECHANISM", cell: ({ mechanism }) => mechanism },
        { title: "ITERATIONS", align: "right", cell: ({ iterations }) => iterations },
      ],
      rows,
    ),
  );
}

async function set(io: CliIo, name: string, flags: SetFlags): Promise<void> {
  const mechanism = mechanismOf(flags.mechanism);
  const iterations = parseWhole("--iterations", flags.iterations, 1);
  const password: ScramPassword = { name, mechanism, iterations, password: await passwordFrom(io) };
  const [altered] = await withAdmin(io, flags, (admin) => admin.setUserPasswords([password]));
  if (altered!.error !== null) throw altered!.error;
  report(io, flags, { name, mechanism, iterations }, () => `${name} logs in by ${mechanism} with the new password\n`);
}

async function remove(io: CliIo, name: string, flags: SetFlags): Promise<void> {
  const mechanism = mechanismOf(flags.mechanism);
  const [altered] = await withAdmin(io, flags, (admin) => admin.deleteUserPasswords([{ name, mechanism }]));
  if (altered!.error !== null) throw altered!.error;
  report(io, flags, { name, mechanism }, () => `${name} does not log in by ${mechanism} any more\n`);
}

function mechanismOf(text: string): Mechanism {
  const mechanism = mechanisms.find((one) => one === text.toUpperCase());
  if (mechanism !== undefined) return mechanism;
  throw new CliFailure(`--mechanism ${text} is none`, `there are ${mechanisms.join(" and ")}`, exitCode.usage);
}

async function passwordFrom(io: CliIo): Promise<string> {
  const given = io.environment[passwordVariable];
  if (given !== undefined && given !== "") return given;
  let text = "";
  for await (const chunk of io.input ?? process.stdin) {
    text += Buffer.from(chunk).toString("utf8");
    if (text.includes("\n")) break;
  }
  const [line] = text.split(/\r?\n/);
  if (line !== undefined && line !== "") return line;
  throw new CliFailure(
    "there is no password",
    `set ${passwordVariable}, or give it as the first line of the input`,
    exitCode.usage,
  );
}
