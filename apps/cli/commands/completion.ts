// `blum completion`: the script that a shell sources. Words come from the command table and from each command's own options, so that
// completion knows what the commands know.
import { Command } from "commander";
import type { CommandRow } from "../command-row.ts";
import { CliFailure } from "../failure.ts";
import { type CliIo, exitCode } from "../io.ts";

const shells = ["bash", "zsh", "fish"] as const;
type Shell = (typeof shells)[number];

export function createCompletionCommand(io: CliIo, commands: readonly CommandRow[]): Command {
  return new Command("completion")
    .description("Print the completion script for a shell.")
    .argument("<shell>", shells.join(", "))
    .addHelpText(
      "after",
      `
Examples:
  source <(blum completion bash)               for this shell; put it into ~/.bashrc to keep it
  blum completion zsh > "\${fpath[1]}/_blum"
  blum completion fish > ~/.config/fish/completions/blum.fish`,
    )
    .action(async (shell: string) => {
      if (!shells.includes(shell as Shell))
        throw new CliFailure(`there is no completion for ${shell}`, `use one of ${shells.join(", ")}`, exitCode.usage);
      io.out(completionScript(shell as Shell, await readWords(io, commands)));
    });
}

interface Words {
  readonly name: string;
  readonly summary: string;
  /** Subcommands and long options. */
  readonly words: readonly string[];
}

async function readWords(io: CliIo, commands: readonly CommandRow[]): Promise<Words[]> {
  const all: Words[] = [];
  for (const { name, summary, load } of commands) {
    if (name === "completion") {
      all.push({ name, summary, words: shells });
      continue;
    }
    const command = await load(io);
    const options = [command, ...command.commands].flatMap((one) => one.options.map(({ long }) => long ?? ""));
    const words = [...command.commands.map((child) => child.name()), ...options, "--help"];
    all.push({ name, summary, words: [...new Set(words)].filter((word) => word !== "") });
  }
  return all;
}

function completionScript(shell: Shell, commands: readonly Words[]): string {
  const names = commands.map(({ name }) => name).join(" ");
  switch (shell) {
    case "bash":
      return `# blum completion for bash
_blum() {
  local words
  case "\${COMP_WORDS[1]}" in
${commands.map(({ name, words }) => `    ${name}) words="${words.join(" ")}" ;;`).join("\n")}
    *) words="${names}" ;;
  esac
  [ "$COMP_CWORD" -eq 1 ] && words="${names} --help --version"
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
  [ "\${#COMPREPLY[@]}" -eq 0 ] && COMPREPLY=($(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _blum blum
`;
    case "zsh":
      return `#compdef blum
_blum() {
  if (( CURRENT == 2 )); then
    local -a commands
    commands=(
${commands.map(({ name, summary }) => `      '${name}:${summary.replaceAll("'", "")}'`).join("\n")}
    )
    _describe 'command' commands
    return
  fi
  case "$words[2]" in
${commands.map(({ name, words }) => `    ${name}) compadd -- ${words.join(" ")} ;;`).join("\n")}
  esac
  _files
}
compdef _blum blum
`;
    case "fish":
      return `# blum completion for fish
${commands.map(({ name, summary }) => `complete -c blum -n __fish_use_subcommand -f -a ${name} -d '${summary.replaceAll("'", "")}'`).join("\n")}
${commands.map(({ name, words }) => `complete -c blum -n '__fish_seen_subcommand_from ${name}' -a '${words.join(" ")}'`).join("\n")}
`;
  }
}
