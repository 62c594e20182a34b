// `blum share-group reset`: lets a share group that is empty go on from other offsets; first shows what would be read again and what would be skipped.
// Never moves a group with members, and nothing at all without --yes.
import type { Admin, OffsetSpec, ShareGroupOffset } from "@blumfeld/client";
import { type ConnectionFlags, withAdmin } from "../connection.ts";
import { CliFailure } from "../failure.ts";
import { byPartition, offsetsAt, type Place } from "../groups/offsets.ts";
import { type CliIo, exitCode, report } from "../io.ts";
import { textTable } from "../text-table.ts";
import { offsetText } from "./offset-text.ts";

export interface ShareResetFlags extends ConnectionFlags {
  readonly topic?: string;
  readonly toEarliest?: boolean;
  readonly toLatest?: boolean;
  readonly toDatetime?: string;
  readonly yes?: boolean;
  /** As `blum group reset` calls it. */
  readonly execute?: boolean;
}

export interface ShareMove extends Place {
  /** -1: nothing was consumed so far. */
  readonly from: number;
  readonly to: number;
  /** Finished records that come again; null where it is not known from where. With records finished out of order in between: at most so many. */
  readonly readAgain: number | null;
  /** Records that nobody gets any more. */
  readonly skipped: number | null;
}

export async function resetShareGroup(io: CliIo, name: string, flags: ShareResetFlags): Promise<void> {
  const spec = specOf(flags);
  const executed = flags.yes === true || flags.execute === true;
  const partitions = await withAdmin(io, flags, async (admin) => {
    const moves = await plan(admin, name, flags.topic?.split(",") ?? null, spec);
    if (executed) await execute(admin, name, moves);
    return moves;
  });
  const readAgain = partitions.reduce((sum, move) => sum + (move.readAgain ?? 0), 0);
  const skipped = partitions.reduce((sum, move) => sum + (move.skipped ?? 0), 0);
  report(io, flags, { group: name, executed, readAgain, skipped, partitions }, () => {
    const table = textTable(
      [
        { title: "TOPIC", cell: ({ topic }) => topic },
        { title: "PARTITION", align: "right", cell: ({ partition }) => partition },
        { title: "FROM", align: "right", cell: ({ from }) => offsetText(from) },
        { title: "TO", align: "right", cell: ({ to }) => to },
        { title: "READ AGAIN", align: "right", cell: (row) => row.readAgain ?? "-" },
        { title: "SKIPPED", align: "right", cell: (row) => row.skipped ?? "-" },
      ],
      partitions,
    );
    if (executed) return table;
    return `${table}${readAgain} records would be read again, ${skipped} skipped. Nothing was changed. Add --yes to do it.\n`;
  });
}

function specOf({ toDatetime, toEarliest, toLatest }: ShareResetFlags): OffsetSpec {
  const usage = (message: string): never => {
    throw new CliFailure(
      message,
      "give --to-earliest, --to-latest or --to-datetime 2026-01-31T08:00:00Z",
      exitCode.usage,
    );
  };
  const given = [toEarliest === true, toLatest === true, toDatetime !== undefined].filter(Boolean);
  if (given.length !== 1) return usage("a reset needs one of --to-earliest, --to-latest and --to-datetime");
  if (toEarliest === true) return "earliest";
  if (toLatest === true) return "latest";
  const timestamp = Date.parse(toDatetime!);
  return Number.isNaN(timestamp) ? usage(`--to-datetime ${toDatetime} is no time`) : { timestamp };
}

async function plan(
  admin: Admin,
  name: string,
  topics: readonly string[] | null,
  spec: OffsetSpec,
): Promise<ShareMove[]> {
  const places = [...(await placesOf(admin, name, topics))].sort(byPartition);
  if (places.length === 0)
    throw new CliFailure(`share group ${name} has consumed nothing`, "name topics with --topic", exitCode.failed);
  const [aims, ends] = await Promise.all([offsetsAt(admin, places, spec), offsetsAt(admin, places, "latest")]);
  return places.map((place, at) => moveOf(place, aims[at]!, ends[at]!));
}

/** The state begins anew at `to`: what is finished behind `from` already comes again too. */
export function moveOf(
  { lag, partition, startOffset: from, topic }: Pick<ShareGroupOffset, "topic" | "partition" | "startOffset" | "lag">,
  to: number,
  end: number,
): ShareMove {
  if (from < 0) return { topic, partition, from, to, readAgain: null, skipped: null };
  const open = Math.max(0, end - from);
  const left = Math.min(lag ?? open, open);
  const finishedAhead = open - left;
  if (to <= from) return { topic, partition, from, to, readAgain: from - to + finishedAhead, skipped: 0 };
  const readAgain = Math.min(finishedAhead, Math.max(0, end - to));
  return { topic, partition, from, to, readAgain, skipped: Math.min(to - from, left) };
}

/** All that the group has a state of, without topics that are gone; or all partitions of these topics. */
async function placesOf(admin: Admin, name: string, topics: readonly string[] | null): Promise<ShareGroupOffset[]> {
  if (topics === null) {
    const known = await admin.describeShareGroupOffsets(name);
    const failed = known.find(({ error }) => error !== null && error.code !== "UNKNOWN_TOPIC_OR_PARTITION");
    if (failed !== undefined) throw failed.error!;
    return known.filter(({ error }) => error === null);
  }
  const asked: Place[] = [];
  for (const topic of await admin.describeTopics(topics)) {
    if (topic.error !== null) throw topic.error;
    for (const { partition } of topic.partitions) asked.push({ topic: topic.name, partition });
  }
  // A partition that the group has no state of is told with an offset of -1 or, by some brokers, with an error: both can be reset.
  const offsets = await admin.describeShareGroupOffsets(name, asked);
  return offsets.map((one) => (one.error === null ? one : { ...one, startOffset: -1, lag: null }));
}

async function execute(admin: Admin, name: string, moves: readonly ShareMove[]): Promise<void> {
  const [group] = await admin.describeShareGroups([name]);
  if (group!.error !== null) throw group!.error;
  const nextStep = "stop the group's members first";
  const { length: memberCount } = group!.members;
  if (memberCount > 0)
    throw new CliFailure(`share group ${name} has ${memberCount} members and was not moved`, nextStep);
  const offsets = moves.map(({ partition, to, topic }) => ({ topic, partition, startOffset: to }));
  const failed = (await admin.alterShareGroupOffsets(name, offsets)).find(({ error }) => error !== null);
  if (failed === undefined) return;
  const place = `${failed.topic}-${failed.partition}`;
  throw new CliFailure(`share group ${name} was not moved on ${place}: ${failed.error!.message}`, nextStep);
}
