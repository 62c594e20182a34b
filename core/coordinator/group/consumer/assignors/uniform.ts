// Uniform: partitions are spread as evenly as the subscriptions allow, and stay where they are as far as that allows. A free partition goes, among
// the members with the fewest, to one in the rack of a replica.
import type { Uuid } from "../../../../base/index.ts";
import {
  type Assignor,
  type AssignorInput,
  type AssignorMember,
  type AssignorTopic,
  targetOfLists,
} from "./assignor.ts";

interface Share {
  readonly member: AssignorMember;
  readonly lists: Map<Uuid, number[]>;
  count: number;
}

/** Rounds of moves for mixed subscriptions. Each round moves at least one partition towards evenness, or is the last. */
export const balanceRoundsMax = 100;

export const assignUniform: Assignor = (input) => {
  const shares = [...input.members]
    .sort((one, other) => (one.memberId < other.memberId ? -1 : 1))
    .map((member): Share => ({ member, lists: new Map(), count: 0 }));
  if (shares.length > 0) {
    if (isHomogeneous(input)) spreadEvenly(input, shares);
    else spreadMixed(input, shares);
  }
  return new Map(shares.map(({ member, lists }) => [member.memberId, targetOfLists(lists)]));
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
  const taken = new Set<string>();
  for (const share of shares) {
    const previous = previousOf(share.member, topics);
    let room = least;
    if (previous.length > least && withOneMore > 0) {
      room++;
      withOneMore--;
    }
    for (const [topic, partition] of previous) {
      if (share.count === room) break;
      if (!take(taken, topic, partition)) continue;
      give(share, topic, partition);
    }
  }
  // Counted anew: who was promised one more may have lost it to another who had the same.
  withOneMore = (total % shares.length) - shares.filter(({ count }) => count > least).length;
  const roomOf = new Map<Share, number>();
  for (const share of shares) {
    let room = Math.max(least - share.count, 0);
    if (share.count <= least && withOneMore > 0) {
      room++;
      withOneMore--;
    }
    if (room > 0) roomOf.set(share, room);
  }
  for (const topic of all) {
    for (let partition = 0; partition < topic.partitionCount; partition++) {
      if (!take(taken, topic.id, partition)) continue;
      const share = roomiest(roomOf, topic, partition);
      if (share === null) return;
      give(share, topic.id, partition);
      const room = roomOf.get(share)! - 1;
      if (room === 0) roomOf.delete(share);
      else roomOf.set(share, room);
    }
  }
}

/** The first with room, one in the partition's rack before it. */
function roomiest(roomOf: ReadonlyMap<Share, number>, topic: AssignorTopic, partition: number): Share | null {
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
  return first;
}

function previousOf(member: AssignorMember, topics: ReadonlyMap<Uuid, AssignorTopic>): [Uuid, number][] {
  const previous: [Uuid, number][] = [];
  for (const [topic, partitions] of member.target) {
    const partitionCount = member.topics.has(topic) ? (topics.get(topic)?.partitionCount ?? 0) : 0;
    for (const partition of partitions) if (partition < partitionCount) previous.push([topic, partition]);
  }
  return previous;
}

function take(taken: Set<string>, topic: Uuid, partition: number): boolean {
  const key = topic + partition;
  if (taken.has(key)) return false;
  taken.add(key);
  return true;
}

function give(share: Share, topic: Uuid, partition: number): void {
  const list = share.lists.get(topic);
  if (list === undefined) share.lists.set(topic, [partition]);
  else list.push(partition);
  share.count++;
}

/** Subscriptions differ: what was there stays, the rest goes to the subscriber with the fewest, then moves even out what is left. */
function spreadMixed({ topics }: AssignorInput, shares: Share[]): void {
  const taken = new Set<string>();
  for (const share of shares)
    for (const [topic, partition] of previousOf(share.member, topics))
      if (take(taken, topic, partition)) give(share, topic, partition);
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
      if (take(taken, topic.id, partition)) give(fewest(subscribers, topic, partition), topic.id, partition);
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

/** Moves partitions of one topic from who has most to who has fewest, until a move would gain nothing. */
function evenOut(topic: Uuid, subscribers: readonly Share[]): boolean {
  let moved = false;
  for (;;) {
    let from: Share | null = null;
    let to = subscribers[0]!;
    for (const share of subscribers) {
      if ((share.lists.get(topic)?.length ?? 0) > 0 && (from === null || share.count > from.count)) from = share;
      if (share.count < to.count) to = share;
    }
    if (from === null || from.count <= to.count + 1) return moved;
    give(to, topic, from.lists.get(topic)!.pop()!);
    from.count--;
    moved = true;
  }
}
