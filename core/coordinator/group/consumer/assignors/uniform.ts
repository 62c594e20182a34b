// Uniform: partitions are spread as evenly as the subscriptions allow, and stay where they are as far as that allows. A free partition goes, among
// the members with the fewest, to one in the rack of a replica.
import type { Uuid } from "../../../../base/index.ts";
import type { Target } from "../consumer-member.ts";
import {
  type Assignor,
  type AssignorInput,
  type AssignorMember,
  type AssignorTopic,
  targetOfLists,
} from "./assignor.ts";

interface Share {
  readonly member: AssignorMember;
  /** Null while it has just what it had before: most members of most assignments, who cost no lists. */
  lists: Map<Uuid, number[]> | null;
  count: number;
}

/** Rounds of moves for mixed subscriptions. Each round moves at least one partition towards evenness, or is the last. */
export const balanceRoundsMax = 100;

export const assignUniform: Assignor = (input) => {
  const shares = input.members.map((member): Share => ({ member, lists: null, count: 0 }));
  shares.sort((one, other) => (one.member.memberId < other.member.memberId ? -1 : 1));
  if (shares.length > 0) {
    if (isHomogeneous(input)) spreadEvenly(input, shares);
    else spreadMixed(input, shares);
  }
  const targets = new Map<string, Target>();
  for (const { member, lists } of shares)
    targets.set(member.memberId, lists === null ? member.target : targetOfLists(lists));
  return targets;
};

function isHomogeneous({ members }: AssignorInput): boolean {
  const [first] = members;
  if (first === undefined) return true;
  return members.every(
    ({ topics }) =>
      topics === first.topics || (topics.size === first.topics.size && [...topics].every((id) => first.topics.has(id))),
  );
}

/** All want the same: everybody keeps up to its share, the rest is dealt out to who has less. */
function spreadEvenly({ topics }: AssignorInput, shares: Share[]): void {
  const wanted = shares[0]!.member.topics;
  const all = [...topics.values()].filter(({ id }) => wanted.has(id));
  const total = all.reduce((sum, { partitionCount }) => sum + partitionCount, 0);
  const least = Math.floor(total / shares.length);
  let withOneMore = total % shares.length;
  const taken = new Taken(topics);
  for (const share of shares) {
    const previousCount = previousCountOf(share.member, topics);
    let room = least;
    if (previousCount > least && withOneMore > 0) {
      room++;
      withOneMore--;
    }
    keep(share, topics, taken, room);
  }
  // Counted anew: who was promised one more may have lost it to another who had the same.
  withOneMore = (total % shares.length) - shares.filter(({ count }) => count > least).length;
  const roomOf = new Map<Share, number>();
  let isRackKnown = false;
  for (const share of shares) {
    let room = Math.max(least - share.count, 0);
    if (share.count <= least && withOneMore > 0) {
      room++;
      withOneMore--;
    }
    if (room === 0) continue;
    roomOf.set(share, room);
    isRackKnown ||= share.member.rackId !== null;
  }
  for (const topic of all) {
    for (let partition = 0; partition < topic.partitionCount; partition++) {
      if (roomOf.size === 0) return;
      if (!taken.take(topic.id, partition)) continue;
      const share = isRackKnown ? roomiest(roomOf, topic, partition) : roomOf.keys().next().value!;
      give(share, topic.id, partition);
      const room = roomOf.get(share)! - 1;
      if (room === 0) roomOf.delete(share);
      else roomOf.set(share, room);
    }
  }
}

/** The first with room, one in the partition's rack before it. */
function roomiest(roomOf: ReadonlyMap<Share, number>, topic: AssignorTopic, partition: number): Share {
  let first: Share | null = null;
  let racks: readonly string[] | null = null;
  for (const share of roomOf.keys()) {
    const { rackId } = share.member;
    if (rackId !== null) {
      racks ??= topic.racksOf(partition);
      if (racks.includes(rackId)) return share;
    } else if (first !== null) continue;
    first ??= share;
  }
  return first!;
}

/** How many of the partitions that it had it may have still. */
function previousCountOf(member: AssignorMember, topics: ReadonlyMap<Uuid, AssignorTopic>): number {
  let count = 0;
  for (const [topic, partitions] of member.target) {
    const partitionCount = partitionCountFor(member, topic, topics);
    for (const partition of partitions) if (partition < partitionCount) count++;
  }
  return count;
}

function partitionCountFor(member: AssignorMember, topic: Uuid, topics: ReadonlyMap<Uuid, AssignorTopic>): number {
  return member.topics.has(topic) ? (topics.get(topic)?.partitionCount ?? 0) : 0;
}

/** Gives the member, up to `room`, what it had and nobody has taken before it. */
function keep(share: Share, topics: ReadonlyMap<Uuid, AssignorTopic>, taken: Taken, room: number): void {
  const { member } = share;
  let keptCount = 0;
  let isWhole = true;
  const kept: (readonly [Uuid, number[]])[] = [];
  for (const [topic, partitions] of member.target) {
    const partitionCount = partitionCountFor(member, topic, topics);
    const list: number[] = [];
    for (const partition of partitions) {
      if (keptCount < room && partition < partitionCount && taken.take(topic, partition)) {
        list.push(partition);
        keptCount++;
      } else isWhole = false;
    }
    kept.push([topic, list]);
  }
  share.count = keptCount;
  if (!isWhole) share.lists = new Map(kept);
}

/** Which partitions somebody has: a bit would do, a byte is faster. */
class Taken {
  private readonly topics: ReadonlyMap<Uuid, AssignorTopic>;
  private readonly flags = new Map<Uuid, Uint8Array>();

  constructor(topics: ReadonlyMap<Uuid, AssignorTopic>) {
    this.topics = topics;
  }

  /** False where it is taken already. */
  take(topic: Uuid, partition: number): boolean {
    let flags = this.flags.get(topic);
    if (flags === undefined) {
      flags = new Uint8Array(this.topics.get(topic)?.partitionCount ?? 0);
      this.flags.set(topic, flags);
    }
    if (flags[partition] === 1) return false;
    flags[partition] = 1;
    return true;
  }
}

function listsOf(share: Share): Map<Uuid, number[]> {
  if (share.lists === null) {
    share.lists = new Map();
    for (const [topic, partitions] of share.member.target) share.lists.set(topic, [...partitions]);
  }
  return share.lists;
}

function give(share: Share, topic: Uuid, partition: number): void {
  const lists = listsOf(share);
  const list = lists.get(topic);
  if (list === undefined) lists.set(topic, [partition]);
  else list.push(partition);
  share.count++;
}

/** Subscriptions differ: what was there stays, the rest goes to the subscriber with the fewest, then moves even out what is left. */
function spreadMixed({ topics }: AssignorInput, shares: Share[]): void {
  const taken = new Taken(topics);
  for (const share of shares) keep(share, topics, taken, Number.POSITIVE_INFINITY);
  const subscribersOf = new Map<Uuid, Share[]>();
  for (const share of shares) {
    for (const topic of share.member.topics) {
      const subscribers = subscribersOf.get(topic);
      if (subscribers === undefined) subscribersOf.set(topic, [share]);
      else subscribers.push(share);
    }
  }
  // Topics with few subscribers first: the others have more choice.
  const ordered = [...subscribersOf]
    .flatMap(([id, subscribers]) => (topics.has(id) ? [{ topic: topics.get(id)!, subscribers }] : []))
    .sort(
      (one, other) => one.subscribers.length - other.subscribers.length || (one.topic.id < other.topic.id ? -1 : 1),
    );
  for (const { topic, subscribers } of ordered) {
    for (let partition = 0; partition < topic.partitionCount; partition++) {
      if (taken.take(topic.id, partition)) give(fewest(subscribers, topic, partition), topic.id, partition);
    }
  }
  for (let round = 0; round < balanceRoundsMax; round++) {
    let moved = false;
    for (const { topic, subscribers } of ordered) moved = evenOut(topic.id, subscribers) || moved;
    if (!moved) return;
  }
}

function fewest(subscribers: readonly Share[], topic: AssignorTopic, partition: number): Share {
  let best = subscribers[0]!;
  let bestInRack = isInRack(best, topic, partition);
  for (const share of subscribers) {
    if (share.count > best.count) continue;
    const inRack = isInRack(share, topic, partition);
    if (share.count < best.count || (inRack && !bestInRack)) {
      best = share;
      bestInRack = inRack;
    }
  }
  return best;
}

function isInRack(share: Share, topic: AssignorTopic, partition: number): boolean {
  const { rackId } = share.member;
  return rackId !== null && topic.racksOf(partition).includes(rackId);
}

function hasAny({ lists, member }: Share, topic: Uuid): boolean {
  return ((lists ?? member.target).get(topic)?.length ?? 0) > 0;
}

/** Moves partitions of one topic from who has most to who has fewest, until a move would gain nothing. */
function evenOut(topic: Uuid, subscribers: readonly Share[]): boolean {
  let moved = false;
  for (;;) {
    let from: Share | null = null;
    let to = subscribers[0]!;
    for (const share of subscribers) {
      if (hasAny(share, topic) && (from === null || share.count > from.count)) from = share;
      if (share.count < to.count) to = share;
    }
    if (from === null || from.count <= to.count + 1) return moved;
    give(to, topic, listsOf(from).get(topic)!.pop()!);
    from.count--;
    moved = true;
  }
}
