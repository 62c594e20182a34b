// `blum share-group list` and `describe`: who takes part, which partitions each works through, where the group stands. Changes nothing.
import type { Admin, ListedGroup, ShareGroupOffset } from "@blumfeld/client";
import { type ConnectionFlags, withAdmin } from "../connection.ts";
import { byPartition, offsetsAt } from "../groups/offsets.ts";
import { type CliIo, report } from "../io.ts";
import { textPairs, textTable } from "../text-table.ts";
import { offsetText } from "./offset-text.ts";

export interface ShareListFlags extends ConnectionFlags {
  readonly state?: string;
  readonly lag?: boolean;
}

interface ShareGroupRow extends Pick<ListedGroup, "groupId" | "state"> {
  /** Records that are still to be finished; null where it was not asked for or is not known. */
  readonly lag: number | null;
}

/** Groups whose offsets are read at a time. */
const groupsAtOnceMax = 16;

export async function listShareGroups(io: CliIo, flags: ShareListFlags): Promise<void> {
  const states = flags.state?.split(",");
  const groups = await withAdmin(io, flags, async (admin) => {
    const listed = await admin.listShareGroups(states === undefined ? {} : { states });
    const rows: ShareGroupRow[] = [];
    for (let at = 0; at < listed.length; at += groupsAtOnceMax) {
      const some = listed.slice(at, at + groupsAtOnceMax);
      rows.push(...(await Promise.all(some.map((group) => rowOf(admin, group, flags.lag !== false)))));
    }
    return rows;
  });
  report(io, flags, { groups }, () =>
    textTable(
      [
        { title: "GROUP", cell: ({ groupId }) => groupId },
        { title: "STATE", cell: ({ state }) => state || "-" },
        { title: "LAG", align: "right", cell: ({ lag }) => lag ?? "-" },
      ],
      groups,
    ),
  );
}

async function rowOf(admin: Admin, { groupId, state }: ListedGroup, withLag: boolean): Promise<ShareGroupRow> {
  // A group that may not be read, or went meanwhile, is shown without its lag.
  const offsets = withLag ? await admin.describeShareGroupOffsets(groupId).catch(() => null) : null;
  return { groupId, state, lag: offsets === null ? null : lagTotal(offsets) };
}

/** Null where no partition's is known. */
function lagTotal(offsets: readonly Pick<ShareGroupOffset, "lag">[]): number | null {
  const known = offsets.flatMap(({ lag }) => (lag === null ? [] : [lag]));
  return known.length === 0 && offsets.length > 0 ? null : known.reduce((sum, lag) => sum + lag, 0);
}

export async function describeShareGroup(io: CliIo, name: string, flags: ConnectionFlags): Promise<void> {
  const facts = await withAdmin(io, flags, async (admin) => {
    const [group] = await admin.describeShareGroups([name]);
    if (group!.error !== null) throw group!.error;
    const { error: _error, ...described } = group!;
    const offsets = [...(await admin.describeShareGroupOffsets(name))].sort(byPartition);
    // Nobody waits for the end of a partition that is gone.
    const there = offsets.filter(({ error }) => error === null);
    const ends = await offsetsAt(admin, there, "latest");
    const endOf = new Map(there.map((one, at) => [one, ends[at]!]));
    const membersOf = (topic: string, partition: number): string[] =>
      described.members
        .filter(({ assignment }) => assignment.some((one) => one.topic === topic && one.partition === partition))
        .map(({ memberId }) => memberId);
    const partitions = offsets.map((one) => {
      const { error, lag, leaderEpoch, partition, startOffset, topic } = one;
      const rest = { endOffset: endOf.get(one) ?? -1, lag, leaderEpoch, memberIds: membersOf(topic, partition) };
      return { topic, partition, startOffset, ...rest, error: error?.message ?? null };
    });
    return { ...described, lag: lagTotal(offsets), partitions };
  });
  report(io, flags, facts, () => {
    const head = textPairs([
      ["group", facts.groupId],
      ["state", facts.state],
      ["assignor", facts.assignor || "-"],
      ["members", facts.members.length],
      ["lag", facts.lag ?? "-"],
    ]);
    const partitions = textTable(
      [
        { title: "TOPIC", cell: ({ topic }) => topic },
        { title: "PARTITION", align: "right", cell: ({ partition }) => partition },
        { title: "START", align: "right", cell: ({ startOffset }) => offsetText(startOffset) },
        { title: "END", align: "right", cell: ({ endOffset }) => offsetText(endOffset) },
        { title: "LAG", align: "right", cell: ({ lag }) => lag ?? "-" },
        { title: "MEMBERS", align: "right", cell: ({ memberIds }) => memberIds.length },
      ],
      facts.partitions,
    );
    if (facts.members.length === 0) return `${head}\n${partitions}`;
    const members = textTable(
      [
        { title: "MEMBER", cell: ({ memberId }) => memberId },
        { title: "CLIENT", cell: ({ clientId }) => clientId || "-" },
        { title: "HOST", cell: ({ clientHost }) => clientHost },
        { title: "PARTITIONS", cell: ({ assignment }) => assignmentText(assignment) },
      ],
      facts.members,
    );
    return `${head}\n${partitions}\n${members}`;
  });
}

/** `orders: 0 1 4, mails: 0` */
function assignmentText(assignment: readonly { readonly topic: string; readonly partition: number }[]): string {
  const topics = new Map<string, number[]>();
  for (const { partition, topic } of [...assignment].sort(byPartition)) {
    const partitions = topics.get(topic);
    if (partitions === undefined) topics.set(topic, [partition]);
    else partitions.push(partition);
  }
  return [...topics].map(([topic, partitions]) => `${topic}: ${partitions.join(" ")}`).join(", ") || "-";
}
