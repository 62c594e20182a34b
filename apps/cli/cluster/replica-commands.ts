// `blum cluster elect|reassign|balance|moves`: who leads and where replicas lie. A plan is shown first and made only with --yes; moves are watched to
// their end, may be throttled, and may be given up.
import type { Admin, Reassignment, TopicPartitionInput } from "@blumfeld/client";
import type { Command } from "commander";
import { type ConnectionFlags, withAdmin, withConnection } from "../connection.ts";
import { CliFailure } from "../failure.ts";
import { parseWhole } from "../flags.ts";
import { type CliIo, exitCode, report } from "../io.ts";
import { textTable } from "../text-table.ts";
import { type PlacedPartition, type PlannedMove, planBalance } from "./balance-plan.ts";
import { MoveWatch } from "./move-watch.ts";

interface MoveFlags extends ConnectionFlags {
  readonly yes?: boolean;
  readonly throttle?: string;
}

export function addReplicaCommands(io: CliIo, cluster: Command): void {
  withConnection(cluster.command("elect [topic]").description("let each partition's preferred replica lead again"))
    .option("--unclean", "where no replica in sync is left: take any that lives, and lose what it lacks")
    .action((topic: string | undefined, flags: ConnectionFlags & { unclean?: boolean }) => elect(io, topic, flags));
  const moving = (command: Command): Command =>
    withConnection(command)
      .option("-y, --yes", "make the moves; without it they are only shown")
      .option("--throttle <bytes>", "at most so many bytes a second from and to each broker");
  moving(
    cluster
      .command("reassign <topic> <brokers>")
      .description("put a topic's replicas on these brokers, in turn over its partitions"),
  )
    .option("--replication-factor <count>", "replicas of each partition (default: as many as there are)")
    .action((topic: string, brokers: string, flags: MoveFlags & { replicationFactor?: string }) =>
      reassign(io, topic, brokers, flags),
    );
  moving(
    cluster
      .command("balance")
      .description("make brokers hold and lead equally many partitions, by as few moves as can be"),
  ).action((flags: MoveFlags) => balance(io, flags));
  withConnection(cluster.command("moves").description("moves that are under way"))
    .option("--cancel", "give them up: replicas stay where they were")
    .action((flags: ConnectionFlags & { cancel?: boolean }) => moves(io, flags));
}

async function elect(
  io: CliIo,
  topic: string | undefined,
  flags: ConnectionFlags & { readonly unclean?: boolean },
): Promise<void> {
  if (flags.unclean === true && topic === undefined)
    throw new CliFailure("--unclean needs a topic", "name the topic whose records may be lost", exitCode.usage);
  const elected = await withAdmin(io, flags, async (admin) => {
    const partitions = topic === undefined ? null : await partitionsOf(admin, [topic]);
    return admin.electLeaders(flags.unclean === true ? "unclean" : "preferred", partitions);
  });
  const changed = elected.filter(({ error }) => error === null);
  const failed = elected.filter(({ error }) => error !== null && error.code !== "ELECTION_NOT_NEEDED");
  report(io, flags, { elected: changed.map(({ partition, topic: name }) => ({ topic: name, partition })) }, () =>
    changed.length === 0
      ? "every leader is where it should be\n"
      : `${changed.length} partitions have another leader\n`,
  );
  if (failed.length > 0) throw failed[0]!.error!;
}

async function placedOf(admin: Admin, topics: readonly string[]): Promise<PlacedPartition[]> {
  const described = await admin.describeTopics(topics);
  return described.flatMap(({ error, name, partitions }) => {
    if (error !== null) throw error;
    return partitions.map(({ partition, replicas }) => ({ topic: name, partition, replicas }));
  });
}

async function partitionsOf(admin: Admin, topics: readonly string[]): Promise<TopicPartitionInput[]> {
  return (await placedOf(admin, topics)).map(({ partition, topic }) => ({ topic, partition }));
}

async function reassign(
  io: CliIo,
  topic: string,
  brokers: string,
  flags: MoveFlags & { readonly replicationFactor?: string },
): Promise<void> {
  const ids = brokers.split(",").map((text) => parseWhole("<brokers>", text.trim(), 0));
  await plan(io, flags, async (admin) =>
    (await placedOf(admin, [topic])).map((one): PlannedMove => {
      const { replicationFactor } = flags;
      const count =
        replicationFactor === undefined
          ? one.replicas.length
          : parseWhole("--replication-factor", replicationFactor, 1);
      if (count > ids.length || new Set(ids).size < ids.length)
        throw new CliFailure(
          `${count} replicas do not fit on the brokers ${brokers}`,
          "name as many different brokers as there are to be replicas, or lower --replication-factor",
          exitCode.usage,
        );
      const replicas = Array.from({ length: count }, (_, at) => ids[(one.partition + at) % ids.length]!);
      return { ...one, from: one.replicas, replicas };
    }),
  );
}

async function balance(io: CliIo, flags: MoveFlags): Promise<void> {
  await plan(io, flags, async (admin) => {
    const [topics, { nodes }] = await Promise.all([admin.listTopics(), admin.describeCluster()]);
    const placed = await placedOf(
      admin,
      topics.map(({ name }) => name),
    );
    return planBalance(placed, nodes);
  });
}

async function plan(io: CliIo, flags: MoveFlags, planned: (admin: Admin) => Promise<PlannedMove[]>): Promise<void> {
  const throttle = flags.throttle === undefined ? null : parseWhole("--throttle", flags.throttle, 1);
  await withAdmin(io, flags, async (admin) => {
    const wanted = (await planned(admin)).filter(({ from, replicas }) => replicas.join() !== from.join());
    const isDone = flags.yes === true && wanted.length > 0;
    if (isDone) await move(io, admin, wanted, throttle);
    report(io, flags, { moves: wanted, isDone }, () => planText(wanted, isDone));
  });
}

async function move(io: CliIo, admin: Admin, wanted: readonly PlannedMove[], throttle: number | null): Promise<void> {
  const watch = new MoveWatch(io, admin, wanted);
  if (throttle !== null) await watch.throttle(throttle);
  try {
    const altered = await admin.alterReassignments(
      wanted.map(({ partition, replicas, topic }): Reassignment => ({ topic, partition, replicas })),
    );
    const refused = altered.find(({ error }) => error !== null);
    if (refused !== undefined) throw refused.error!;
    await watch.untilDone();
    // A first replica that is another now leads at once, not at the next check of the controller.
    await admin.electLeaders("preferred", wanted);
  } finally {
    if (throttle !== null) await watch.liftThrottle();
  }
}

function planText(wanted: readonly PlannedMove[], isDone: boolean): string {
  if (wanted.length === 0) return "nothing has to move\n";
  const table = textTable(
    [
      { title: "TOPIC", cell: ({ topic }) => topic },
      { title: "PARTITION", align: "right", cell: ({ partition }) => partition },
      { title: "FROM", cell: ({ from }) => from.join(",") },
      { title: "TO", cell: ({ replicas }) => replicas.join(",") },
    ],
    wanted,
  );
  return isDone
    ? `${table}\n${wanted.length} partitions were moved\n`
    : `${table}\nThis is the plan; --yes makes it so.\n`;
}

async function moves(io: CliIo, flags: ConnectionFlags & { readonly cancel?: boolean }): Promise<void> {
  const ongoing = await withAdmin(io, flags, async (admin) => {
    const list = await admin.listReassignments();
    if (flags.cancel === true && list.length > 0) {
      const cancelled = list.map(({ partition, topic }): Reassignment => ({ topic, partition, replicas: null }));
      const refused = (await admin.alterReassignments(cancelled)).find(({ error }) => error !== null);
      if (refused !== undefined && refused.error!.code !== "NO_REASSIGNMENT_IN_PROGRESS") throw refused.error!;
    }
    return list;
  });
  report(io, flags, { moves: ongoing, isCancelled: flags.cancel === true }, () => {
    if (ongoing.length === 0) return "nothing is moving\n";
    const table = textTable(
      [
        { title: "TOPIC", cell: ({ topic }) => topic },
        { title: "PARTITION", align: "right", cell: ({ partition }) => partition },
        { title: "REPLICAS", cell: ({ replicas }) => replicas.join(",") },
        { title: "ADDING", cell: ({ addingReplicas }) => addingReplicas.join(",") },
        { title: "REMOVING", cell: ({ removingReplicas }) => removingReplicas.join(",") },
      ],
      ongoing,
    );
    return flags.cancel === true ? `${table}\ngiven up: the replicas stay where they were\n` : table;
  });
}
