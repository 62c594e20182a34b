// `blum dump`: what is in a file of a data directory, as text for a person or JSON lines for a program.
import { statSync } from "node:fs";
import { Command } from "commander";
import { colors } from "../colors.ts";
import { CliFailure } from "../failure.ts";
import type { DumpRow } from "../inspect/dump-file.ts";
import { type CliIo, exitCode } from "../io.ts";

interface DumpFlags {
  readonly json?: boolean;
  readonly headers?: boolean;
}

const examples = `
Examples:
  blum dump blumfeld-data/orders-0/00000000000000000000.log
  blum dump blumfeld-data/__consumer_offsets-12                the whole folder, records decoded
  blum dump blumfeld-data/__cluster_metadata-0 --json | jq .
  blum dump blumfeld-data/orders-0/00000000000000000000.timeindex

Reads only, and may be used while the node runs: what is being written is then shown as far as it is there.`;

export function createDumpCommand(io: CliIo): Command {
  return new Command("dump")
    .description("Print a segment, index, snapshot, checkpoint or a folder of them.")
    .argument("<path>", "a file of a data directory, a partition's folder, or the directory itself")
    .option("--headers", "batch headers only, no records")
    .option("--json", "one JSON object a line")
    .addHelpText("after", examples)
    .action((path: string, flags: DumpFlags) => dump(io, path, flags));
}

async function dump(io: CliIo, path: string, flags: DumpFlags): Promise<void> {
  const [{ FileDisk }, { dumpFile, isDumpable }] = await Promise.all([
    import("@blumfeld/host/disk"),
    import("../inspect/dump-file.ts"),
  ]);
  const disk = new FileDisk();
  const root = path.replace(/(?<=.)\/+$/, "");
  const files = statSync(root).isDirectory() ? [...filesIn(disk, root, isDumpable)] : [root];
  if (files.length === 0) throw new CliFailure(`nothing in ${root} is a file of Kafka's`, null, exitCode.usage);
  let hasDamage = false;
  for (const file of files) {
    if (flags.json !== true) io.out(`${colors.bold(file)}\n`);
    for (const row of dumpFile(disk, file)) {
      hasDamage ||= row.kind === "damage";
      if (flags.headers === true && row.kind === "record") continue;
      io.out(flags.json === true ? `${JSON.stringify({ file, ...row }, jsonValue)}\n` : lineOf(row));
    }
  }
  if (hasDamage) process.exitCode = exitCode.failed;
}

function* filesIn(
  disk: { listDirectory(path: string): { name: string; isDirectory: boolean }[] },
  path: string,
  isWanted: (name: string) => boolean,
): Generator<string> {
  const entries = disk.listDirectory(path).sort((one, other) => (one.name < other.name ? -1 : 1));
  for (const { isDirectory, name } of entries) if (!isDirectory && isWanted(name)) yield `${path}/${name}`;
  for (const { isDirectory, name } of entries) if (isDirectory) yield* filesIn(disk, `${path}/${name}`, isWanted);
}

function jsonValue(_name: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  // Bytes in decoded records.
  const bytes = value as { type?: unknown; data?: unknown } | null;
  if (bytes !== null && typeof bytes === "object" && bytes.type === "Buffer" && Array.isArray(bytes.data))
    return `0x${Buffer.from(bytes.data as number[]).toString("hex")}`;
  return value;
}

/** `kind name: value …`; records are set in under their batch, text lines as they are. */
function lineOf({ kind, ...fields }: DumpRow): string {
  if (kind === "line") return `  ${String(fields.text)}\n`;
  const shown = Object.entries(fields).map(([name, value]) => `${colors.dim(`${name}:`)} ${valueText(value)}`);
  const head = kind === "damage" ? colors.red(kind) : kind;
  return `${kind === "record" ? "    " : "  "}${head} ${shown.join(" ")}\n`;
}

function valueText(value: unknown): string {
  return typeof value === "object" && value !== null ? JSON.stringify(value, jsonValue) : String(value);
}
