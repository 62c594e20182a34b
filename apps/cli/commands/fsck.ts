// `blum fsck`: is a data directory sound? Offline, for ours and Apache Kafka's alike. Says what is wrong, where, what was lost and what to do;
// repairs as a start would, on a copy first if asked.
import { cpSync, existsSync, readdirSync } from "node:fs";
import type { DiskLock } from "@blumfeld/core/base";
import type { Finding, FindingSeverity } from "@blumfeld/core/log/inspect";
import { Command } from "commander";
import { colors } from "../colors.ts";
import { CliFailure } from "../failure.ts";
import type { DirectoryCheck } from "../inspect/check-directory.ts";
import type { RepairedPartition } from "../inspect/repair-directory.ts";
import { type CliIo, exitCode, report } from "../io.ts";
import { LoadingBar } from "../loading-bar.ts";
import { textPairs, textTable } from "../text-table.ts";

interface FsckFlags {
  readonly repair?: boolean;
  readonly copyTo?: string;
  readonly json?: boolean;
  readonly notes?: boolean;
}

const examples = `
Examples:
  blum fsck blumfeld-data
  blum fsck /var/lib/kafka/data --json
  blum fsck blumfeld-data --repair --copy-to /backup/mended

The node must be stopped. The exit code is 0 where nothing is damaged, 1 where something is, 2 for a wrong call.`;

export function createFsckCommand(io: CliIo): Command {
  return new Command("fsck")
    .description("Check a data directory while its node is stopped: ours or Apache Kafka's.")
    .argument("<directory>", "one of log.dirs, such as blumfeld-data")
    .option("--repair", "do what recovery would do: cut what is not whole, build indexes and producers anew")
    .option("--copy-to <directory>", "with --repair: copy everything there first, and repair the copy")
    .option("--notes", "list leftovers, too, that a start puts away")
    .option("--json", "the answer as JSON, for programs")
    .addHelpText("after", examples)
    .action((directory: string, flags: FsckFlags) => fsck(io, directory, flags));
}

async function fsck(io: CliIo, directory: string, flags: FsckFlags): Promise<void> {
  const path = directory.replace(/(?<=.)\/+$/, "");
  const [{ FileDisk }, { checkDirectory }, { repairDirectory }] = await Promise.all([
    import("@blumfeld/host/disk"),
    import("../inspect/check-directory.ts"),
    import("../inspect/repair-directory.ts"),
  ]);
  if (!existsSync(path))
    throw new CliFailure(`${path} is not there`, "name one of the node's log.dirs", exitCode.usage);
  if (flags.copyTo !== undefined && flags.repair !== true)
    throw new CliFailure("--copy-to without --repair", "add --repair, or leave --copy-to away", exitCode.usage);
  const disk = new FileDisk();
  const lock = lockOf(disk, path, flags.repair === true);
  const startMs = performance.now();
  try {
    let check = checkWithBar(io, (onProgress) => checkDirectory(disk, path, onProgress));
    let repaired: RepairedPartition[] | null = null;
    const before = check;
    if (flags.repair === true && isWorthRepair(check)) {
      const target = flags.copyTo === undefined ? path : copyTo(path, flags.copyTo);
      if (target !== path) check = checkDirectory(disk, target);
      repaired = repairDirectory(disk, check, quiet);
      check = checkDirectory(disk, target);
    }
    const seconds = (performance.now() - startMs) / 1000;
    report(io, flags, answerOf(before, check, repaired), () => textOf(before, check, repaired, flags, seconds));
    const hasLost = before.findings.some(({ severity }) => severity === "damage");
    if (hasLost || check.findings.some(({ severity }) => severity === "damage")) process.exitCode = exitCode.failed;
  } finally {
    lock?.release();
  }
}

const quiet = { debug() {}, info() {}, warn() {}, error() {}, child: () => quiet };

function lockOf(disk: { lock(path: string): DiskLock | null }, path: string, isNeeded: boolean): DiskLock | null {
  let lock: DiskLock | null;
  try {
    lock = disk.lock(`${path}/.lock`);
  } catch (error) {
    // A directory that may only be read can be checked.
    if (!isNeeded && ["EACCES", "EROFS", "EPERM"].includes((error as { code?: string }).code ?? "")) return null;
    throw error;
  }
  if (lock !== null) return lock;
  throw new CliFailure(`${path} is in use by a running node`, "stop the node first: its files change while it works");
}

function checkWithBar(
  io: CliIo,
  work: (onProgress: (progress: { loaded: number; total: number }) => void) => DirectoryCheck,
): DirectoryCheck {
  const bar = new LoadingBar(io);
  try {
    return work((progress) => bar.show(progress));
  } finally {
    bar.end();
  }
}

function copyTo(path: string, target: string): string {
  if (existsSync(target) && readdirSync(target).length > 0)
    throw new CliFailure(`${target} is not empty`, "name a directory that is not there yet", exitCode.usage);
  cpSync(path, target, { recursive: true, preserveTimestamps: true, filter: (source) => !source.endsWith("/.lock") });
  return target.replace(/(?<=.)\/+$/, "");
}

function isWorthRepair({ findings }: DirectoryCheck): boolean {
  return findings.some(({ severity }) => severity !== "note");
}

function countOf(check: DirectoryCheck, severity: FindingSeverity): number {
  return check.findings.filter((finding) => finding.severity === severity).length;
}

function answerOf(
  before: DirectoryCheck,
  after: DirectoryCheck,
  repaired: readonly RepairedPartition[] | null,
): object {
  return {
    directory: before.path,
    clusterId: before.clusterId,
    nodeId: before.nodeId,
    hadCleanShutdown: before.hadCleanShutdown,
    partitions: before.partitions.map(({ findings, folder, ...partition }) => ({
      ...partition,
      findingCount: findings.length,
    })),
    findings: before.findings,
    ...(repaired === null
      ? {}
      : { repaired: { directory: after.path, partitions: repaired, findingsLeft: after.findings } }),
  };
}

function textOf(
  before: DirectoryCheck,
  after: DirectoryCheck,
  repaired: readonly RepairedPartition[] | null,
  flags: FsckFlags,
  seconds: number,
): string {
  const sum = (of: (partition: DirectoryCheck["partitions"][number]) => number): number =>
    before.partitions.reduce((total, partition) => total + of(partition), 0);
  const megabytes = sum(({ sizeBytes }) => sizeBytes) / 1e6;
  const count = (value: number, one: string): string =>
    `${value.toLocaleString("en-US")} ${one}${value === 1 ? "" : one.endsWith("h") ? "es" : "s"}`;
  const head = textPairs([
    ["directory", before.path],
    ["cluster", before.clusterId ?? "-"],
    ["node", before.nodeId ?? "-"],
    ["stopped", before.hadCleanShutdown ? "cleanly" : "not cleanly: the next start checks the ends of all logs"],
    [
      "checked",
      `${count(before.partitions.length, "partition")}, ${count(
        sum(({ segmentCount }) => segmentCount),
        "segment",
      )}, ${count(
        sum(({ batchCount }) => batchCount),
        "batch",
      )}, ${megabytes.toFixed(1)} MB in ${seconds.toFixed(1)} s`,
    ],
  ]);
  const shown = before.findings.filter(({ severity }) => severity !== "note" || flags.notes === true);
  const table = shown.length === 0 ? "" : `\n${findingTable(before.path, shown)}`;
  return `${head}${table}\n${verdict(before, after, repaired)}`;
}

function findingTable(path: string, findings: readonly Finding[]): string {
  return textTable(
    [
      { title: "", cell: ({ severity }) => severity },
      {
        title: "FILE",
        cell: (finding) => (finding.path.startsWith(`${path}/`) ? finding.path.slice(path.length + 1) : finding.path),
      },
      { title: "BYTE", align: "right", cell: ({ position }) => position ?? "-" },
      { title: "WHAT IS WRONG", cell: ({ problem }) => problem },
      { title: "LOST", cell: ({ lost }) => lost ?? "nothing" },
    ],
    findings,
  );
}

function verdict(before: DirectoryCheck, after: DirectoryCheck, repaired: readonly RepairedPartition[] | null): string {
  const damage = countOf(before, "damage");
  const mendable = countOf(before, "mendable");
  const notes = countOf(before, "note");
  const rest = notes === 0 ? "" : ` ${notes} leftovers that a start puts away (--notes lists them).`;
  if (repaired !== null) {
    const table = textTable(
      [
        { title: "REPAIRED", cell: ({ name }) => name },
        { title: "ENDS AT", align: "right", cell: ({ endOffset }) => endOffset },
        { title: "BYTES CUT", align: "right", cell: ({ cutBytes }) => cutBytes },
      ],
      repaired,
    );
    const left = countOf(after, "damage");
    const next =
      left === 0
        ? `${after.path} is sound now. ${damage === 0 ? "Nothing was lost." : "What was lost is listed above: fetch it from a replica or a backup before it is written anew."}`
        : `${left} damages are left in ${after.path}: restore those files from a replica or a backup.`;
    return `${table}${next}\n`;
  }
  if (damage > 0)
    return `${colors.red(`${damage} damages`)}, ${mendable} that a start mends.${rest}\nLook for the lost records in a replica or a backup. To go on without them: blum fsck ${before.path} --repair --copy-to NEW\n`;
  if (mendable > 0) return `Nothing is lost: ${mendable} things that the next start mends by itself.${rest}\n`;
  return `${colors.green("sound")}.${rest}\n`;
}
