// `blum storage`: data directories before and between starts. Works on files, needs no running broker.
import { randomUuid } from "@blumfeld/core/base";
import type { BrokerSettings } from "@blumfeld/core/model/settings";
import type { InitialControllers } from "blumfeld";
import { Command } from "commander";
import { CliFailure } from "../failure.ts";
import { collect } from "../flags.ts";
import { type CliIo, exitCode, report } from "../io.ts";
import { textPairs, textTable } from "../text-table.ts";

interface StorageFlags {
  readonly config?: string;
  readonly data?: string;
  readonly json?: boolean;
  readonly clusterId?: string;
  readonly ignoreFormatted?: boolean;
  readonly standalone?: boolean;
  readonly initialControllers?: string | false;
  readonly releaseVersion?: string;
  readonly feature?: readonly string[];
}

const examples = `
Examples:
  blum storage info --data blumfeld-data
  blum storage random-uuid
  blum storage format --config server.properties --cluster-id "$(blum storage random-uuid)"
  blum storage format --config server.properties --cluster-id ID --initial-controllers 1@a:9093:DIR1,2@b:9093:DIR2,3@c:9093:DIR3
  blum storage format --config server.properties --cluster-id ID --no-initial-controllers

A broker formats empty directories by itself when it starts; format is for those who want the cluster's id to be theirs.`;

export function createStorageCommand(io: CliIo): Command {
  const storage = new Command("storage")
    .description("Look at data directories and format new ones.")
    .addHelpText("after", examples);
  const withDirectories = (command: Command): Command =>
    command
      .option("-c, --config <file>", "server.properties that names the directories")
      .option("-d, --data <directory>", "one data directory (default ./blumfeld-data)")
      .option("--json", "the answer as JSON, for programs");
  storage
    .command("random-uuid")
    .description("Draw an id, as a cluster's or a directory's.")
    .action(async () => {
      const { systemRandom } = await import("@blumfeld/host/process");
      io.out(`${randomUuid(systemRandom)}\n`);
    });
  withDirectories(
    storage.command("info").description("Whose directories these are: cluster, node, directory ids."),
  ).action((flags: StorageFlags) => info(io, flags));
  withDirectories(storage.command("format").description("Make empty directories into a node's."))
    .option("-t, --cluster-id <uuid>", "the cluster's id (default: a random one)")
    .option("-g, --ignore-formatted", "leave directories alone that are formatted already")
    .option("-s, --standalone", "a dynamic quorum that begins with this controller alone (the default without voters)")
    .option("-I, --initial-controllers <id@host:port:dir,…>", "a dynamic quorum that begins with these controllers")
    .option("-N, --no-initial-controllers", "a controller that joins a quorum later")
    .option("-r, --release-version <version>", "begin at this metadata.version, such as 4.1 or 4.1-IV0")
    .option("-f, --feature <name=level>", "begin a feature at another level; repeat for more", collect, [])
    .action((flags: StorageFlags) => format(io, flags));
  return storage;
}

async function settingsOf(flags: StorageFlags): Promise<BrokerSettings> {
  const { configureNode } = await import("blumfeld");
  return configureNode({ propertiesFile: flags.config, dataDirectory: flags.data }).settings;
}

async function info(io: CliIo, flags: StorageFlags): Promise<void> {
  const [{ FileDisk }, { metaPropertiesName, parseMetaProperties }, { shape }] = await Promise.all([
    import("@blumfeld/host/disk"),
    import("@blumfeld/core/quorum"),
    settingsOf(flags),
  ]);
  const disk = new FileDisk();
  const directories = [...new Set([...shape.logDirectories, shape.metadataLogDirectory])].map((path) => {
    const file = `${path}/${metaPropertiesName}`;
    if (disk.status(file) === null) return { path, state: disk.status(path) === null ? "missing" : "not formatted" };
    const outcome = parseMetaProperties(disk.readFile(file, 65_536));
    if (outcome.kind === "damaged") return { path, state: `damaged: ${outcome.problem}` };
    const { clusterId, directoryId, nodeId } = outcome.properties;
    return { path, state: "formatted", clusterId, nodeId, directoryId };
  });
  report(io, flags, { directories }, () =>
    textTable(
      [
        { title: "DIRECTORY", cell: ({ path }) => path },
        { title: "STATE", cell: ({ state }) => state },
        { title: "CLUSTER", cell: (row) => row.clusterId ?? "-" },
        { title: "NODE", align: "right", cell: (row) => row.nodeId ?? "-" },
        { title: "DIRECTORY ID", cell: (row) => row.directoryId ?? "-" },
      ],
      directories,
    ),
  );
}

async function initialControllersOf(flags: StorageFlags, settings: BrokerSettings): Promise<InitialControllers> {
  const { initialControllers: named, standalone } = flags;
  if (standalone === true && named !== undefined)
    throw new CliFailure(
      "--standalone stands beside another way to begin a quorum",
      "keep one of --standalone, --initial-controllers and --no-initial-controllers",
      exitCode.usage,
    );
  if (standalone === true) return { kind: "standalone" };
  if (named === undefined) return { kind: "default" };
  if (named === false) return { kind: "none" };
  const { parseInitialControllers } = await import("blumfeld");
  const [listener] = settings.shape.controllerListenerNames;
  return { kind: "named", voters: parseInitialControllers(named, listener ?? "CONTROLLER") };
}

async function format(io: CliIo, flags: StorageFlags): Promise<void> {
  const [{ formatStorage, parseFeatures, parseReleaseVersion }, { parseUuid }] = await Promise.all([
    import("blumfeld"),
    import("@blumfeld/core/base"),
  ]);
  const clusterId = flags.clusterId === undefined ? null : parseUuid(flags.clusterId);
  if (flags.clusterId !== undefined && clusterId === null)
    throw new CliFailure(
      `--cluster-id ${flags.clusterId} is not a Kafka uuid`,
      "draw one with `blum storage random-uuid`",
    );
  const settings = await settingsOf(flags);
  const formatted = formatStorage(settings, {
    clusterId,
    ignoreFormatted: flags.ignoreFormatted === true,
    initialControllers: await initialControllersOf(flags, settings),
    features: parseFeatures(flags.feature ?? []),
    ...(flags.releaseVersion === undefined ? {} : { metadataVersion: parseReleaseVersion(flags.releaseVersion) }),
  });
  report(io, flags, formatted, () =>
    textPairs([
      ["cluster", formatted.clusterId],
      ["node", settings.shape.nodeId],
      ["directories", formatted.directories.join(", ")],
    ]),
  );
}
