// `blum group`: groups of consumers and how far behind they are; move a group to other offsets, take that back, delete groups.
import type { Admin, ListedGroup } from "@blumfeld/client";
import { Command } from "commander";
import { type ConnectionFlags, withAdmin, withConnection } from "../connection.ts";
import { CliFailure } from "../failure.ts";
import { lagOf, lagsOf, type PartitionLag, secondsText } from "../groups/lag.ts";
import { byPartition } from "../groups/offsets.ts";
import { type ResetFlags, reset } from "../groups/reset.ts";
import { undoGroupPrefix } from "../groups/undo.ts";
import { type CliIo, report } from "../io.ts";
import { textPairs, textTable } from "../text-table.ts";

const examples = `
Examples:
  blum group list
  blum group describe orders
  blum group reset orders --topic payments --to earliest             shows what would be read again
  blum group reset orders --topic payments --to earliest --execute
  blum group reset orders --to 2026-01-31T08:00:00Z --execute        the first records from then on
  blum group reset orders --duration 2h --execute                    the records of the last two hours again
  blum group reset orders --shift -100 --execute
  blum group reset orders --undo --execute                           as it was before the last reset
  blum group delete orders`;

export function createGroupCommand(io: CliIo): Command {
  const group = new Command("group")
    .description("Consumer groups: lag, offsets, members.")
    .addHelpText("after", examples);
  withConnection(group.command("list").description("all groups, and how far behind they are"))
    .option("--state <state,…>", "only groups in these states")
    .option("--no-lag", "without the lag, which reads each group's offsets")
    .option("--all", "also the groups that keep what a reset took away")
    .action((flags: ListFlags) => list(io, flags));
  withConnection(group.command("describe <group>").description("members, offsets and lag")).action(
    (name: string, flags: ConnectionFlags) => describe(io, name, flags),
  );
  withConnection(group.command("reset <group>").description("commit other offsets for a group that is empty"))
    .option("-t, --topic <topic,…>", "only these topics (default: all that the group has committed)")
    .option("--to <place>", "earliest, latest, an offset, or a time as ISO 8601")
    .option("--shift <records>", "so many records forward, or back with a minus")
    .option("--duration <time>", "the first records of the last 30s, 15m, 2h, 3d or PT1H30M")
    .option("--undo", "what was committed before the last reset")
    .option("--no-undo", "keep nothing to undo this reset by")
    .option("--execute", "do it; without, only show what would happen")
    .action((name: string, flags: ResetFlags) => reset(io, name, flags));
  withConnection(group.command("delete <group...>").description("groups that are empty, with their offsets")).action(
    (names: string[], flags: ConnectionFlags) => remove(io, names, flags),
  );
  return group;
}

interface ListFlags extends ConnectionFlags {
  readonly state?: string;
  readonly lag?: boolean;
  readonly all?: boolean;
}

interface GroupRow extends ListedGroup {
  /** Records behind, of all partitions; null where it was not asked for or is not known. */
  readonly lag: number | null;
  /** Age of the oldest record that is still to be read. */
  readonly lagSeconds: number | null;
}

async function list(io: CliIo, flags: ListFlags): Promise<void> {
  const states = flags.state?.split(",");
  const groups = await withAdmin(io, flags, async (admin) => {
    const listed = await admin.listGroups(states === undefined ? {} : { states });
    const shown = listed.filter(({ groupId }) => flags.all === true || !groupId.startsWith(undoGroupPrefix));
    return flags.lag === false ? shown.map(withoutLag) : withLags(admin, io, flags, shown);
  });
  groups.sort((one, other) => (one.groupId < other.groupId ? -1 : 1));
  report(io, flags, { groups }, () =>
    textTable(
      [
        { title: "GROUP", cell: ({ groupId }) => groupId },
        { title: "TYPE", cell: ({ type }) => type || "-" },
        { title: "PROTOCOL", cell: ({ protocolType }) => protocolType || "-" },
        { title: "STATE", cell: ({ state }) => state || "-" },
        { title: "LAG", align: "right", cell: ({ lag }) => lag ?? "-" },
        { title: "BEHIND", align: "right", cell: ({ lagSeconds }) => secondsText(lagSeconds) },
      ],
      groups,
    ),
  );
}

function withoutLag(group: ListedGroup): GroupRow {
  return { ...group, lag: null, lagSeconds: null };
}

/** Groups whose offsets are read at a time. */
const groupsAtOnceMax = 16;

async function withLags(
  admin: Admin,
  io: CliIo,
  flags: ConnectionFlags,
  groups: readonly ListedGroup[],
): Promise<GroupRow[]> {
  // What share groups have read is no committed offset.
  const asked = groups.filter(({ type }) => type !== "share");
  const committed = new Map<string, Awaited<ReturnType<Admin["listGroupOffsets"]>>>();
  for (let at = 0; at < asked.length; at += groupsAtOnceMax) {
    await Promise.all(
      asked.slice(at, at + groupsAtOnceMax).map(async ({ groupId }) => {
        // A group that may not be read, or went meanwhile, is shown without its lag.
        const offsets = await admin.listGroupOffsets(groupId).catch(() => null);
        if (offsets !== null) committed.set(groupId, offsets);
      }),
    );
  }
  const lags = await lagsOf(admin, io, flags, [...committed.values()], Date.now());
  const lagByGroup = new Map([...committed.keys()].map((groupId, at) => [groupId, lags[at]!]));
  return groups.map((group) => {
    const partitions = lagByGroup.get(group.groupId);
    return partitions === undefined ? withoutLag(group) : { ...group, ...totalOf(partitions) };
  });
}

function totalOf(partitions: readonly PartitionLag[]): { readonly lag: number; readonly lagSeconds: number | null } {
  const seconds = partitions.flatMap(({ lagSeconds }) => (lagSeconds === null ? [] : [lagSeconds]));
  const isKnown = seconds.length > 0 || partitions.every(({ lag }) => lag === null || lag === 0);
  return {
    lag: partitions.reduce((sum, { lag }) => sum + (lag ?? 0), 0),
    lagSeconds: isKnown ? seconds.reduce((most, one) => Math.max(most, one), 0) : null,
  };
}

async function describe(io: CliIo, name: string, flags: ConnectionFlags): Promise<void> {
  const facts = await withAdmin(io, flags, async (admin) => {
    const [group] = await admin.describeGroups([name]);
    if (group?.error != null) throw group.error;
    const ownerOf = new Map<string, string>();
    for (const { assignment, memberId } of group!.members)
      for (const { topic, partition } of assignment) ownerOf.set(`${topic}-${partition}`, memberId);
    const lags = await lagOf(admin, io, flags, await admin.listGroupOffsets(name), Date.now());
    const partitions = lags.map((lag) => ({ ...lag, memberId: ownerOf.get(`${lag.topic}-${lag.partition}`) ?? null }));
    return { ...group!, error: undefined, ...totalOf(lags), partitions: partitions.sort(byPartition) };
  });
  report(io, flags, facts, () => {
    const head = textPairs([
      ["group", facts.groupId],
      ["type", facts.type],
      ["state", facts.state],
      ["assignor", facts.assignor || "-"],
      ["members", facts.members.length],
      ["lag", facts.lag],
      ["behind", secondsText(facts.lagSeconds)],
    ]);
    const table = textTable(
      [
        { title: "TOPIC", cell: ({ topic }) => topic },
        { title: "PARTITION", align: "right", cell: ({ partition }) => partition },
        { title: "OFFSET", align: "right", cell: ({ offset }) => (offset < 0 ? "-" : offset) },
        { title: "END", align: "right", cell: ({ endOffset }) => endOffset },
        { title: "LAG", align: "right", cell: (row) => row.lag ?? "-" },
        { title: "BEHIND", align: "right", cell: ({ lagSeconds }) => secondsText(lagSeconds) },
        { title: "MEMBER", cell: ({ memberId }) => memberId ?? "-" },
      ],
      facts.partitions,
    );
    return `${head}\n${table}`;
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
