// What must hold of everything that members told: pure functions from their events to what is wrong, in words. They know nothing of any
// protocol; what a member saw while it was paused, or before it was told that it had lost its place, counts for nothing.
import type { MemberEvent } from "./member.ts";

const problemsMax = 5;

type Interval = { member: string; partition: number; fromMs: number; toMs: number; ended: string };

/** When which member held which partition, by its own account. */
function intervals(events: readonly MemberEvent[]): Interval[] {
  const closed: Interval[] = [];
  const open = new Map<string, Map<number, number>>();
  const of = (member: string): Map<number, number> => {
    const found = open.get(member) ?? new Map<number, number>();
    open.set(member, found);
    return found;
  };
  const close = (member: string, partitions: Iterable<number>, toMs: number, ended: string): void => {
    const held = of(member);
    for (const partition of [...partitions]) {
      const fromMs = held.get(partition);
      if (fromMs === undefined) continue;
      held.delete(partition);
      closed.push({ member, partition, fromMs, toMs, ended });
    }
  };
  for (const { member, event, ms, partitions = [] } of events) {
    const held = of(member);
    if (event === "assigned") {
      const now = new Set(partitions);
      close(
        member,
        [...held.keys()].filter((partition) => !now.has(partition)),
        ms,
        "revoked",
      );
      for (const partition of now) if (!held.has(partition)) held.set(partition, ms);
    } else if (event === "revoked" || event === "lost") close(member, partitions, ms, event);
    // A paused member cannot say that it lost its partitions until it runs again.
    else if (event === "killed" || event === "paused" || event === "left") close(member, held.keys(), ms, event);
  }
  for (const [member, held] of open) close(member, held.keys(), Number.POSITIVE_INFINITY, "end");
  return closed;
}

/** No partition is held by two members at a time. A member that was put out of the group without a chance to give up says `lost`. */
export function heldByTwo(events: readonly MemberEvent[]): string[] {
  const problems: string[] = [];
  const all = intervals(events).filter((each) => each.ended !== "lost");
  for (const [index, a] of all.entries()) {
    for (const b of all.slice(index + 1)) {
      if (a.partition !== b.partition || a.member === b.member) continue;
      const fromMs = Math.max(a.fromMs, b.fromMs);
      const overlapMs = Math.min(a.toMs, b.toMs) - fromMs;
      if (overlapMs > 0) problems.push(`partition ${a.partition} by ${a.member} and ${b.member} for ${overlapMs} ms`);
    }
  }
  return problems;
}

/** In one generation a partition is assigned to one member: holds without regard to time, for those who tell their generation. */
export function assignedTwice(events: readonly MemberEvent[]): string[] {
  const owner = new Map<string, string>();
  const problems: string[] = [];
  for (const { member, event, generation, partitions = [] } of events) {
    if (event !== "assigned" || generation === undefined || generation < 0) continue;
    for (const partition of partitions) {
      const key = `partition ${partition} of generation ${generation}`;
      const before = owner.get(key);
      if (before !== undefined && before !== member) problems.push(`${key}: ${before} and ${member}`);
      owner.set(key, member);
    }
  }
  return problems;
}

/** Offsets below the ends that no member processed. */
export function notProcessed(events: readonly MemberEvent[], ends: Readonly<Record<string, number>>): string[] {
  const problems: string[] = [];
  for (const [partition, end] of Object.entries(ends)) {
    const seen = new Uint8Array(end);
    for (const each of events)
      if (each.event === "records" && each.partition === Number(partition))
        for (const offset of each.offsets ?? []) seen[offset] = 1;
    const missing = [...seen.keys()].filter((offset) => seen[offset] === 0);
    if (missing.length > 0)
      problems.push(`partition ${partition}: ${missing.length} of ${end}, the first at ${missing[0]}`);
  }
  return problems;
}

/** While a member holds a partition without a break it sees one offset after the other. */
export function outOfOrder(events: readonly MemberEvent[]): string[] {
  const problems: string[] = [];
  const last = new Map<string, number>();
  const held = new Map<string, ReadonlySet<number>>();
  for (const { member, event, partition, partitions = [], offsets = [] } of events) {
    if (event === "revoked" || event === "lost") {
      for (const each of partitions) last.delete(`${member} ${each}`);
      held.set(member, new Set([...(held.get(member) ?? [])].filter((each) => !partitions.includes(each))));
    }
    if (event === "assigned") {
      // What was not held before begins anew at the committed offset.
      for (const each of partitions) if (held.get(member)?.has(each) !== true) last.delete(`${member} ${each}`);
      held.set(member, new Set(partitions));
    }
    if (event !== "records") continue;
    const key = `${member} ${partition}`;
    for (const offset of offsets) {
      const before = last.get(key);
      if (before !== undefined && offset !== before + 1)
        problems.push(`${member}, partition ${partition}: ${offset} after ${before}`);
      last.set(key, offset);
    }
  }
  return problems;
}

/**
 * What became of a share group's records, from events in the order of their times. An acknowledgement counts for the member to whom the
 * record was delivered last: a broker also says yes to one that comes too late, for a record that is finished anyway.
 */
export function acknowledgements(events: readonly MemberEvent[]): { count: number; problems: string[] } {
  const holder = new Map<string, string>();
  const finished = new Map<string, string>();
  const problems: string[] = [];
  for (const { member, event, partition, offsets = [] } of events) {
    if (event !== "records" && event !== "acknowledged") continue;
    for (const offset of offsets) {
      const key = `partition ${partition} offset ${offset}`;
      const before = finished.get(key);
      if (event === "records") {
        if (before !== undefined) problems.push(`${key}: delivered to ${member} after ${before} acknowledged it`);
        holder.set(key, member);
      } else if (holder.get(key) === member) {
        if (before !== undefined) problems.push(`${key}: acknowledged by ${before} and ${member}`);
        finished.set(key, member);
      }
    }
  }
  return { count: finished.size, problems };
}

/** Each partition's values must be 0, 1, 2 … up to its end: none missing, none twice, none out of order. */
export function notExactlyOnce(
  rows: readonly (readonly [partition: number, key: string | null, value: string])[],
  ends: Readonly<Record<string, number>>,
): string[] {
  const problems: string[] = [];
  for (const [partition, end] of Object.entries(ends)) {
    const values = rows.filter((row) => row[0] === Number(partition)).map((row) => Number(row[2]));
    const wrong = values.findIndex((value, index) => value !== index);
    if (wrong >= 0) problems.push(`partition ${partition}: ${values[wrong]} in place ${wrong}`);
    if (values.length !== end) problems.push(`partition ${partition}: ${values.length} records of ${end}`);
  }
  return problems;
}

/** Of a count per word that is told after each change: 1, 2, 3 … up to how often the word was written. */
export function miscounted(
  input: readonly (readonly [number, string | null, string])[],
  output: readonly (readonly [number, string | null, string])[],
): string[] {
  const expected = new Map<string, number>();
  for (const [, , line] of input) for (const word of line.split(" ")) expected.set(word, (expected.get(word) ?? 0) + 1);
  const counted = new Map<string, number>();
  const problems: string[] = [];
  for (const [, word, value] of output) {
    const key = word ?? "null";
    const next = (counted.get(key) ?? 0) + 1;
    if (Number(value) !== next) problems.push(`${key}: ${value} after ${next - 1}`);
    counted.set(key, Number(value));
  }
  for (const [word, count] of expected)
    if (counted.get(word) !== count) problems.push(`${word}: counted ${counted.get(word)} of ${count}`);
  return problems;
}

/** A check's reason: the first few problems. */
export function shown(problems: readonly string[]): string {
  const more = problems.length > problemsMax ? `; and ${problems.length - problemsMax} more` : "";
  return problems.slice(0, problemsMax).join("; ") + more;
}
