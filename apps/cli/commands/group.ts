// `blum group`: consumer groups and how far behind they are; move a group to other offsets, and delete groups.
import type { Admin, GroupOffset, NewGroupOffset, OffsetSpec } from "@blumfeld/client";
import { Command } from "commander";
import { type ConnectionFlags, withAdmin, withConnection } from "../connection.ts";
import { CliFailure } from "../failure.ts";
import { type CliIo, exitCode, report } from "../io.ts";
import { textPairs, textTable } from "../text-table.ts";

const examples = `
Examples:
  blum group list
  blum group describe orders
  blum group reset orders --topic payments --to earliest             shows what would be read again
  blum group reset orders --topic payments --to earliest --execute
  blum group reset orders --to 2026-01-31T08:00:00Z --execute        the first records from then on
  blum group reset orders --shift -100 --execute
  blum group delete orders`;

export function createGroupCommand(io: CliIo): Command {
  const group = new Command("group")
    .description("Consumer groups: lag, offsets, members.")
    .addHelpText("after", examples);
  withConnection(group.command("list").description("all groups"))
    .option("--state <state,…>", "only groups in these states")
    .action((flags: ConnectionFlags & { state?: string }) => list(io, flags));
  withConnection(group.command("describe <group>").description("members, offsets and lag")).action(
    (name: string, flags: ConnectionFlags) => describe(io, name, flags),
  );
  withConnection(group.command("reset <group>").description("commit other offsets for a group that is empty"))
    .option("-t, --topic <topic,…>", "only these topics (default: all that the group has committed)")
    .option("--to <place>", "earliest, latest, an offset, or a time as ISO 8601")
    .option("--shift <records>", "so many records forward, or back with a minus")
    .option("--execute", "do it; without, only show what would happen")
    .action((name: string, flags: ResetFlags) => reset(io, name, flags));
  withConnection(group.command("delete <group...>").description("groups that are empty, with their offsets")).action(
    (names: string[], flags: ConnectionFlags) => remove(io, names, flags),
  );
  return group;
}

async function list(io: CliIo, flags: ConnectionFlags & { readonly state?: string }): Promise<void> {
  const states = flags.state?.split(",");
  const groups = await withAdmin(io, flags, (admin) => admin.listGroups(states === undefined ? {} : { states }));
  groups.sort((one, other) => (one.groupId < other.groupId ? -1 : 1));
  report(io, flags, { groups }, () =>
    textTable(
      [
        { title: "GROUP", cell: ({ groupId }) => groupId },
        { title: "TYPE", cell: ({ type }) => type || "-" },
        { title: "PROTOCOL", cell: ({ protocolType }) => protocolType || "-" },
        { title: "STATE", cell: ({ state }) => state || "-" },
      ],
      groups,
    ),
  );
}

interface PartitionLag {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly endOffset: number;
  /** Records up to the end; null where nothing is committed. */
  readonly lag: number | null;
  readonly memberId: string | null;
}

async function describe(io: CliIo, name: string, flags: ConnectionFlags): Promise<void> {
  const facts = await withAdmin(io, flags, async (admin) => {
    const [group] = await admin.describeGroups([name]);
    if (group?.error != null) throw group.error;
    const ownerOf = new Map<string, string>();
    for (const { assignment, memberId } of group!.members)
      for (const { topic, partition } of assignment) ownerOf.set(`${topic}-${partition}`, memberId);
    const committed = await admin.listGroupOffsets(name);
    const ends = await offsetsAt(admin, committed, "latest");
    const partitions = committed.map(({ topic, partition, offset }, at): PartitionLag => {
      const endOffset = ends[at]!;
      const memberId = ownerOf.get(`${topic}-${partition}`) ?? null;
      return {
        topic,
        partition,
        offset,
        endOffset,
        lag: offset < 0 ? null : Math.max(0, endOffset - offset),
        memberId,
      };
    });
    return { ...group!, error: undefined, partitions: partitions.sort(byPartition) };
  });
  report(io, flags, facts, () => {
    const lag = facts.partitions.reduce((sum, partition) => sum + (partition.lag ?? 0), 0);
    const head = textPairs([
      ["group", facts.groupId],
      ["type", facts.type],
      ["state", facts.state],
      ["assignor", facts.assignor || "-"],
      ["members", facts.members.length],
      ["lag", lag],
    ]);
    const table = textTable(
      [
        { title: "TOPIC", cell: ({ topic }) => topic },
        { title: "PARTITION", align: "right", cell: ({ partition }) => partition },
        { title: "OFFSET", align: "right", cell: ({ offset }) => (offset < 0 ? "-" : offset) },
        { title: "END", align: "right", cell: ({ endOffset }) => endOffset },
        { title: "LAG", align: "right", cell: (row) => row.lag ?? "-" },
        { title: "MEMBER", cell: ({ memberId }) => memberId ?? "-" },
      ],
      facts.partitions,
    );
    return `${head}\n${table}`;
  });
}

type Place = Pick<GroupOffset, "topic" | "partition">;

function byPartition(one: Place, other: Place): number {
  if (one.topic !== other.topic) return one.topic < other.topic ? -1 : 1;
  return one.partition - other.partition;
}

/** In the order of `places`. A time after the last record is the end. */
async function offsetsAt(admin: Admin, places: readonly Place[], spec: OffsetSpec): Promise<number[]> {
  if (places.length === 0) return [];
  const answers = await admin.listOffsets(places.map(({ topic, partition }) => ({ topic, partition, spec })));
  const found = new Map(answers.map((answer) => [`${answer.topic}-${answer.partition}`, answer.offset]));
  const missing = places.filter(({ topic, partition }) => (found.get(`${topic}-${partition}`) ?? -1) < 0);
  const ends = spec === "latest" ? [] : await offsetsAt(admin, missing, "latest");
  missing.forEach(({ topic, partition }, at) => {
    found.set(`${topic}-${partition}`, ends[at] ?? -1);
  });
  return places.map(({ topic, partition }) => found.get(`${topic}-${partition}`) ?? -1);
}

interface ResetFlags extends ConnectionFlags {
  readonly topic?: string;
  readonly to?: string;
  readonly shift?: string;
  readonly execute?: boolean;
}

async function reset(io: CliIo, name: string, flags: ResetFlags): Promise<void> {
  const goal = goalOf(flags);
  const moves = await withAdmin(io, flags, async (admin) => {
    const topics = flags.topic?.split(",") ?? null;
    const committed = await admin.listGroupOffsets(name);
    const places = await placesOf(admin, committed, topics);
    if (places.length === 0)
      throw new CliFailure(`group ${name} has committed nothing`, "name topics with --topic", exitCode.failed);
    const [first, end] = await Promise.all([offsetsAt(admin, places, "earliest"), offsetsAt(admin, places, "latest")]);
    const wanted = typeof goal === "object" && "spec" in goal ? await offsetsAt(admin, places, goal.spec) : null;
    const planned = places.map(({ topic, partition, offset }, at) => {
      const from = offset < 0 ? first[at]! : offset;
      const aim = wanted?.[at] ?? ("offset" in goal ? goal.offset : from + (goal as { shift: number }).shift);
      const to = Math.min(Math.max(aim, first[at]!), end[at]!);
      return { topic, partition, from: offset, to, readAgain: Math.max(0, from - to), skipped: Math.max(0, to - from) };
    });
    if (flags.execute === true) await execute(admin, name, planned);
    return planned.sort(byPartition);
  });
  report(io, flags, { group: name, executed: flags.execute === true, partitions: moves }, () => {
    const table = textTable(
      [
        { title: "TOPIC", cell: ({ topic }) => topic },
        { title: "PARTITION", align: "right", cell: ({ partition }) => partition },
        { title: "FROM", align: "right", cell: ({ from }) => (from < 0 ? "-" : from) },
        { title: "TO", align: "right", cell: ({ to }) => to },
        { title: "READ AGAIN", align: "right", cell: ({ readAgain }) => readAgain },
        { title: "SKIPPED", align: "right", cell: ({ skipped }) => skipped },
      ],
      moves,
    );
    return flags.execute === true ? table : `${table}\nNothing was changed. Add --execute to do it.\n`;
  });
}

async function execute(
  admin: Admin,
  name: string,
  planned: readonly { topic: string; partition: number; to: number }[],
): Promise<void> {
  const offsets: NewGroupOffset[] = planned.map(({ topic, partition, to }) => ({ topic, partition, offset: to }));
  const results = await admin.alterGroupOffsets(name, offsets);
  const failed = results.find(({ error }) => error !== null);
  if (failed === undefined) return;
  throw new CliFailure(
    `group ${name} was not moved on ${failed.topic}-${failed.partition}: ${failed.error!.message}`,
    "stop the group's members first",
  );
}

type Goal = { readonly spec: OffsetSpec } | { readonly offset: number } | { readonly shift: number };

function goalOf({ shift, to }: ResetFlags): Goal {
  const usage = (message: string): never => {
    throw new CliFailure(message, "give --to earliest, latest, an offset or a time, or --shift -100", exitCode.usage);
  };
  if ((to === undefined) === (shift === undefined)) return usage("a reset needs one of --to and --shift");
  if (shift !== undefined) {
    return /^[+-]?\d+$/.test(shift) ? { shift: Number(shift) } : usage(`--shift ${shift} is not a number of records`);
  }
  if (to === "earliest" || to === "latest") return { spec: to };
  if (/^\d+$/.test(to!)) return { offset: Number(to) };
  const timestamp = Date.parse(to!);
  return Number.isNaN(timestamp) ? usage(`--to ${to} is no place in a topic`) : { spec: { timestamp } };
}

/** What the group has committed in these topics, and their other partitions with nothing committed. */
async function placesOf(
  admin: Admin,
  committed: readonly GroupOffset[],
  topics: readonly string[] | null,
): Promise<readonly (Place & { readonly offset: number })[]> {
  if (topics === null) return committed;
  const offsetOf = new Map(committed.map(({ topic, partition, offset }) => [`${topic}-${partition}`, offset]));
  const described = await admin.describeTopics(topics);
  return described.flatMap((topic) => {
    if (topic.error !== null) throw topic.error;
    return topic.partitions.map(({ partition }) => ({
      topic: topic.name,
      partition,
      offset: offsetOf.get(`${topic.name}-${partition}`) ?? -1,
    }));
  });
}

async function remove(io: CliIo, names: readonly string[], flags: ConnectionFlags): Promise<void> {
  const results = await withAdmin(io, flags, (admin) => admin.deleteGroups(names));
  const groups = results.map(({ groupId, error }) => ({ groupId, error: error?.message ?? null }));
  report(io, flags, { groups }, () =>
    groups.map(({ groupId, error }) => `${groupId}: ${error ?? "deleted"}\n`).join(""),
  );
  if (groups.some(({ error }) => error !== null))
    throw new CliFailure("not every group was deleted", "stop the members of a group before it is deleted");
}
