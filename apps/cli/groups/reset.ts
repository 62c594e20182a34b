// `blum group reset`: commits other offsets for a group that is empty; first shows what would be read again and what would be skipped.
import type { Admin, GroupOffset, NewGroupOffset, OffsetSpec } from "@blumfeld/client";
import { type ConnectionFlags, withAdmin } from "../connection.ts";
import { CliFailure } from "../failure.ts";
import { type CliIo, exitCode, report } from "../io.ts";
import { textTable } from "../text-table.ts";
import { byPartition, offsetsAt, type Place } from "./offsets.ts";
import { type Before, keepBefore, keptBefore } from "./undo.ts";

export interface ResetFlags extends ConnectionFlags {
  readonly topic?: string;
  readonly to?: string;
  readonly shift?: string;
  readonly duration?: string;
  /** Commander's form of both: `--undo` makes it true, `--no-undo` false. */
  readonly undo?: boolean;
  readonly execute?: boolean;
}

type Goal =
  | { readonly kind: "spec"; readonly spec: OffsetSpec }
  | { readonly kind: "offset"; readonly offset: number }
  | { readonly kind: "shift"; readonly shift: number }
  | { readonly kind: "undo" };

interface Move extends GroupOffset {
  /** -1: nothing is to be committed any more. */
  readonly to: number;
  readonly toLeaderEpoch: number;
  readonly toMetadata: string;
  readonly readAgain: number;
  readonly skipped: number;
}

export async function reset(io: CliIo, name: string, flags: ResetFlags): Promise<void> {
  const nowMs = Date.now();
  const goal = goalOf(flags, nowMs);
  const { atMs, moves } = await withAdmin(io, flags, async (admin) => {
    const topics = flags.topic?.split(",") ?? null;
    const planned = goal.kind === "undo" ? await planUndo(admin, name, topics) : await plan(admin, name, topics, goal);
    if (flags.execute === true) await execute(admin, name, planned.moves, flags.undo !== false, nowMs);
    return planned;
  });
  const partitions = [...moves].sort(byPartition).map(({ offset, partition, readAgain, skipped, to, topic }) => {
    return { topic, partition, from: offset, to, readAgain, skipped };
  });
  const executed = flags.execute === true;
  const readAgain = moves.reduce((sum, move) => sum + move.readAgain, 0);
  const skipped = moves.reduce((sum, move) => sum + move.skipped, 0);
  report(io, flags, { group: name, executed, readAgain, skipped, partitions }, () => {
    const table = textTable(
      [
        { title: "TOPIC", cell: ({ topic }) => topic },
        { title: "PARTITION", align: "right", cell: ({ partition }) => partition },
        { title: "FROM", align: "right", cell: ({ from }) => offsetText(from) },
        { title: "TO", align: "right", cell: ({ to }) => offsetText(to) },
        { title: "READ AGAIN", align: "right", cell: (row) => row.readAgain },
        { title: "SKIPPED", align: "right", cell: (row) => row.skipped },
      ],
      partitions,
    );
    const undone = atMs === null ? "" : `Takes back the reset of ${new Date(atMs).toISOString()}.\n`;
    if (executed) return `${undone}${table}${flags.undo === false ? "" : "blum group reset --undo takes this back.\n"}`;
    return `${undone}${table}${readAgain} records would be read again, ${skipped} skipped. Nothing was changed. Add --execute to do it.\n`;
  });
}

function offsetText(offset: number): number | string {
  return offset < 0 ? "-" : offset;
}

interface Plan {
  /** When the reset was that is taken back. */
  readonly atMs: number | null;
  readonly moves: readonly Move[];
}

async function plan(
  admin: Admin,
  name: string,
  topics: readonly string[] | null,
  goal: Exclude<Goal, { kind: "undo" }>,
): Promise<Plan> {
  const places = await placesOf(admin, await admin.listGroupOffsets(name), topics);
  if (places.length === 0)
    throw new CliFailure(`group ${name} has committed nothing`, "name topics with --topic", exitCode.failed);
  const wanted = goal.kind === "spec" ? await offsetsAt(admin, places, goal.spec) : null;
  const bounds = await boundsOf(admin, places);
  const moves = places.map((place, at): Move => {
    const { end, first } = bounds[at]!;
    const from = place.offset < 0 ? first : place.offset;
    const aim = wanted?.[at] ?? (goal.kind === "offset" ? goal.offset : from + (goal as { shift: number }).shift);
    const to = Math.min(Math.max(aim, first), end);
    return { ...place, to, toLeaderEpoch: -1, toMetadata: "", ...between(from, to) };
  });
  return { atMs: null, moves };
}

async function planUndo(admin: Admin, name: string, topics: readonly string[] | null): Promise<Plan> {
  const kept = await keptBefore(admin, name);
  const before = kept.before.filter(({ topic }) => topics === null || topics.includes(topic));
  const committed = await admin.listGroupOffsets(name);
  const now = new Map(committed.map((one) => [`${one.topic}-${one.partition}`, one]));
  const bounds = await boundsOf(admin, before);
  const moves = before.map((was: Before, at): Move => {
    const { topic, partition } = was;
    const present = now.get(`${topic}-${partition}`) ?? nothingCommitted({ topic, partition });
    const { first } = bounds[at]!;
    const moved = between(present.offset < 0 ? first : present.offset, was.offset < 0 ? first : was.offset);
    return { ...present, to: was.offset, toLeaderEpoch: was.leaderEpoch, toMetadata: was.metadata, ...moved };
  });
  return { atMs: kept.atMs, moves };
}

function between(from: number, to: number): { readonly readAgain: number; readonly skipped: number } {
  return { readAgain: Math.max(0, from - to), skipped: Math.max(0, to - from) };
}

async function boundsOf(admin: Admin, places: readonly Place[]): Promise<{ first: number; end: number }[]> {
  const [firsts, ends] = await Promise.all([offsetsAt(admin, places, "earliest"), offsetsAt(admin, places, "latest")]);
  return places.map((_, at) => ({ first: firsts[at]!, end: ends[at]! }));
}

/** Only an empty group takes commits from outside; asked before anything is kept or changed. */
async function execute(
  admin: Admin,
  name: string,
  moves: readonly Move[],
  isKept: boolean,
  nowMs: number,
): Promise<void> {
  const [group] = await admin.describeGroups([name]);
  const memberCount = group?.error === null ? group.members.length : 0;
  if (memberCount > 0)
    throw new CliFailure(
      `group ${name} has ${memberCount} members and was not moved`,
      "stop the group's members first",
    );
  if (isKept) await keepBefore(admin, name, moves, nowMs);
  const offsets: NewGroupOffset[] = moves
    .filter(({ to }) => to >= 0)
    .map(({ partition, to, toLeaderEpoch, toMetadata, topic }) => {
      return { topic, partition, offset: to, leaderEpoch: toLeaderEpoch, metadata: toMetadata };
    });
  const gone = moves.filter(({ offset, to }) => to < 0 && offset >= 0);
  const results = [
    ...(offsets.length === 0 ? [] : await admin.alterGroupOffsets(name, offsets)),
    ...(gone.length === 0 ? [] : await admin.deleteGroupOffsets(name, gone)),
  ];
  const failed = results.find(({ error }) => error !== null);
  if (failed === undefined) return;
  throw new CliFailure(
    `group ${name} was not moved on ${failed.topic}-${failed.partition}: ${failed.error!.message}`,
    "stop the group's members first",
  );
}

function goalOf({ duration, shift, to, undo }: ResetFlags, nowMs: number): Goal {
  const usage = (message: string): never => {
    const next = "give --to earliest, latest, an offset or a time, --shift -100, --duration 2h, or --undo";
    throw new CliFailure(message, next, exitCode.usage);
  };
  const given = [to, shift, duration, undo === true ? "" : undefined].filter((one) => one !== undefined);
  if (given.length !== 1) return usage("a reset needs one of --to, --shift, --duration and --undo");
  if (undo === true) return { kind: "undo" };
  if (duration !== undefined) {
    const durationMs = durationMsOf(duration);
    return durationMs === null
      ? usage(`--duration ${duration} is no time: write 30s, 15m, 2h, 3d or PT1H30M`)
      : { kind: "spec", spec: { timestamp: Math.max(0, nowMs - durationMs) } };
  }
  if (shift !== undefined) {
    const isNumber = /^[+-]?\d+$/.test(shift);
    return isNumber ? { kind: "shift", shift: Number(shift) } : usage(`--shift ${shift} is not a number of records`);
  }
  if (to === "earliest" || to === "latest") return { kind: "spec", spec: to };
  if (/^\d+$/.test(to!)) return { kind: "offset", offset: Number(to) };
  const timestamp = Date.parse(to!);
  return Number.isNaN(timestamp) ? usage(`--to ${to} is no place in a topic`) : { kind: "spec", spec: { timestamp } };
}

const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

/** `90s`, `2h`, `3d12h`, or as ISO 8601 and Kafka's own tool write it: `PT1H30M`, `P3D`. Null where it is neither. */
export function durationMsOf(text: string): number | null {
  const iso = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$/i.exec(text);
  if (iso !== null) {
    const parts = iso.slice(1).map((part) => (part === undefined ? 0 : Number(part)));
    if (iso.slice(1).every((part) => part === undefined)) return null;
    return Math.round(parts[0]! * unitMs.d + parts[1]! * unitMs.h + parts[2]! * unitMs.m + parts[3]! * unitMs.s);
  }
  if (!/^(?:\d+(?:ms|s|m|h|d|w))+$/.test(text)) return null;
  let totalMs = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|s|m|h|d|w)/g))
    totalMs += Number(count) * unitMs[unit as keyof typeof unitMs];
  return totalMs;
}

/** What the group has committed in these topics, and their other partitions with nothing committed. */
async function placesOf(
  admin: Admin,
  committed: readonly GroupOffset[],
  topics: readonly string[] | null,
): Promise<readonly GroupOffset[]> {
  if (topics === null) return committed;
  const known = new Map(committed.map((one) => [`${one.topic}-${one.partition}`, one]));
  const described = await admin.describeTopics(topics);
  return described.flatMap((topic) => {
    if (topic.error !== null) throw topic.error;
    return topic.partitions.map(({ partition }) => {
      const place = { topic: topic.name, partition };
      return known.get(`${topic.name}-${partition}`) ?? nothingCommitted(place);
    });
  });
}

function nothingCommitted(place: Place): GroupOffset {
  return { ...place, offset: -1, leaderEpoch: -1, metadata: "", error: null };
}
