// `blum cluster`: who is there, who leads, what the cluster can do, and where its data lies.
import { Command } from "commander";
import { addReplicaCommands } from "../cluster/replica-commands.ts";
import { type ConnectionFlags, withAdmin, withConnection } from "../connection.ts";
import { type CliIo, report } from "../io.ts";
import { textPairs, textTable } from "../text-table.ts";

interface ClusterFlags extends ConnectionFlags {
  readonly features?: boolean;
  readonly disks?: boolean;
}

const examples = `
Examples:
  blum cluster
  blum cluster --features                      levels that the cluster has agreed on
  blum cluster --disks                         log directories and how full they are
  blum cluster quorum
  blum cluster elect                           leadership back to each partition's preferred replica
  blum cluster reassign orders 2,3,1           where orders' replicas are to be; shows the moves, --yes makes them
  blum cluster balance                         the moves that make brokers hold equally many; --yes makes them
  blum cluster moves --cancel                  what is under way, given up
  blum cluster --bootstrap broker.example:9092 --json`;

export function createClusterCommand(io: CliIo): Command {
  const command = new Command("cluster")
    .description("Show brokers, controller and quorum; elect leaders, move replicas.")
    .addHelpText("after", examples);
  withConnection(command.command("status", { isDefault: true }).description("brokers, controller and quorum"))
    .option("--features", "features and their levels")
    .option("--disks", "log directories of the brokers")
    .action((flags: ClusterFlags) => cluster(io, flags));
  withConnection(
    command.command("quorum").description("voters and observers of the metadata, and how far they are"),
  ).action((flags: ConnectionFlags) => quorum(io, flags));
  addReplicaCommands(io, command);
  return command;
}

async function quorum(io: CliIo, flags: ConnectionFlags): Promise<void> {
  const facts = await withAdmin(io, flags, (admin) => admin.describeQuorum());
  const { highWatermark, leaderEpoch, leaderId, observers, voters } = facts;
  const rows = [
    ...voters.map((one) => ({ ...one, part: one.replicaId === leaderId ? "leader" : "voter" })),
    ...observers.map((one) => ({ ...one, part: "observer" })),
  ];
  report(io, flags, facts, () => {
    const head = textPairs([
      ["leader", `node ${leaderId}, epoch ${leaderEpoch}`],
      ["committed", `offset ${highWatermark}`],
    ]);
    const table = textTable(
      [
        { title: "NODE", align: "right", cell: ({ replicaId }) => replicaId },
        { title: "PART", cell: ({ part }) => part },
        { title: "LOG END", align: "right", cell: ({ logEndOffset }) => logEndOffset },
        { title: "BEHIND", align: "right", cell: (one) => Math.max(0, highWatermark - one.logEndOffset) },
        { title: "DIRECTORY ID", cell: ({ directoryId }) => directoryId },
      ],
      rows,
    );
    return `${head}\n${table}`;
  });
}

async function cluster(io: CliIo, flags: ClusterFlags): Promise<void> {
  const facts = await withAdmin(io, flags, async (admin) => {
    const [description, quorum, features, directories] = await Promise.all([
      admin.describeCluster({ includeFencedBrokers: true }),
      // A cluster whose operator hides its quorum still has brokers to show.
      admin.describeQuorum().catch(() => null),
      flags.features === true ? admin.describeFeatures() : null,
      flags.disks === true ? admin.describeLogDirs() : null,
    ]);
    return { ...description, quorum, features: features?.features ?? null, directories };
  });
  report(io, flags, facts, () => {
    const parts = [clusterText(facts)];
    if (facts.features !== null) parts.push(featuresText(facts.features));
    if (facts.directories !== null) parts.push(directoriesText(facts.directories));
    return parts.join("\n");
  });
}

interface Facts {
  readonly clusterId: string;
  readonly nodes: readonly {
    nodeId: number;
    host: string;
    port: number;
    rack: string | null;
    isFenced: boolean | null;
  }[];
  readonly quorum: {
    leaderId: number;
    leaderEpoch: number;
    highWatermark: number;
    voters: readonly { replicaId: number }[];
  } | null;
}

function clusterText({ clusterId, nodes, quorum }: Facts): string {
  const pairs: [string, string | number][] = [["cluster", clusterId]];
  if (quorum !== null)
    pairs.push(
      ["controller", `node ${quorum.leaderId}, epoch ${quorum.leaderEpoch}`],
      ["voters", quorum.voters.map(({ replicaId }) => replicaId).join(", ")],
      ["metadata", `offset ${quorum.highWatermark}`],
    );
  const table = textTable(
    [
      { title: "BROKER", align: "right", cell: ({ nodeId }) => nodeId },
      { title: "ADDRESS", cell: ({ host, port }) => `${host}:${port}` },
      { title: "RACK", cell: ({ rack }) => rack ?? "-" },
      { title: "STATE", cell: ({ isFenced }) => (isFenced === true ? "fenced" : "active") },
    ],
    nodes,
  );
  return `${textPairs(pairs)}\n${table}`;
}

function featuresText(
  features: readonly { name: string; finalized: number; supported: { min: number; max: number } | null }[],
): string {
  return textTable(
    [
      { title: "FEATURE", cell: ({ name }) => name },
      { title: "LEVEL", align: "right", cell: ({ finalized }) => finalized },
      {
        title: "SUPPORTED",
        cell: ({ supported }) => (supported === null ? "-" : `${supported.min} to ${supported.max}`),
      },
    ],
    features,
  );
}

interface DirectoryFacts {
  readonly brokerId: number;
  readonly path: string;
  readonly totalBytes: number | null;
  readonly usableBytes: number | null;
  readonly replicas: readonly { readonly sizeBytes: number }[];
  readonly error: { readonly message: string } | null;
}

function directoriesText(directories: readonly DirectoryFacts[]): string {
  return textTable(
    [
      { title: "BROKER", align: "right", cell: ({ brokerId }) => brokerId },
      { title: "DIRECTORY", cell: ({ path }) => path },
      { title: "PARTITIONS", align: "right", cell: ({ replicas }) => replicas.length },
      {
        title: "SIZE",
        align: "right",
        cell: ({ replicas }) => bytesText(replicas.reduce((sum, one) => sum + one.sizeBytes, 0)),
      },
      {
        title: "FREE",
        align: "right",
        cell: ({ usableBytes }) => (usableBytes === null ? "-" : bytesText(usableBytes)),
      },
      { title: "STATE", cell: ({ error }) => error?.message ?? "ok" },
    ],
    directories,
  );
}

const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
