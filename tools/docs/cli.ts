// docs/cli.md from the commands themselves: what `--help` says, for each.
import { commandTable } from "../../apps/cli/command-table.ts";
import type { CliIo } from "../../apps/cli/io.ts";
import { createProgram } from "../../apps/cli/main.ts";

type Command = Awaited<ReturnType<typeof createProgram>>;

const helpColumns = 110;

const io: CliIo = {
  out() {},
  error() {},
  isTerminal: false,
  columnCount: helpColumns,
  environment: {},
  onStopSignal: () => () => {},
  exit() {
    throw new Error("a command ended the process while its help was read");
  },
};

function helpOf(command: Command): string {
  let text = "";
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
    getOutHelpWidth: () => helpColumns,
    getOutHasColors: () => false,
  });
  command.outputHelp();
  return text.trimEnd();
}

export async function cliDocument(): Promise<string> {
  const sections: string[] = [];
  for (const row of commandTable) {
    const program = await createProgram(io, row);
    const command = program.commands.find((one) => one.name() === row.name)!;
    sections.push(`## blum ${row.name}\n\n\`\`\`text\n${helpOf(command)}\n\`\`\`\n`);
    for (const child of command.commands)
      sections.push(`### blum ${row.name} ${child.name()}\n\n\`\`\`text\n${helpOf(child)}\n\`\`\`\n`);
  }
  return `# The blum command

Generated from the commands' own help by \`npm run codegen\`.

- Answers go to standard output: tables for people, \`--json\` for programs. What went wrong goes to standard error, with the next step.
- Exit codes: 0 done, 1 failed, 2 called wrongly, 130 interrupted twice.
- \`--bootstrap HOST:PORT\` or \`BLUM_BOOTSTRAP\` names the cluster; 127.0.0.1:9092 without either.
- \`blum completion bash|zsh|fish\` prints what a shell needs to complete commands and options.

${sections.join("\n")}`;
}
