// How the leader of a classic group divides partitions among the members. Pure: what every leader of the group computes from the same input
// must be the same, so everything is sorted. Range, round-robin as Kafka's; cooperative-sticky by Kafka's rules (balance first, then what
// members own stays), not by its code: ties may fall otherwise.
import { topicPartitionKey } from "@blumfeld/core/model";
import type { TopicPartitionInput } from "../../records.ts";
import { readStickyState, writeStickyState } from "./sticky-user-data.ts";

export interface MemberSubscription {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly topics: readonly string[];
  /** What it says it has, and of which generation; only sticky assignors look at it. */
  readonly owned: readonly TopicPartitionInput[];
  readonly generation: number;
  /** What the member's assignor of this name added. */
  readonly userData: Buffer | null;
}

/** What a member may tell the leader of itself. */
export interface MemberState {
  readonly topics: readonly string[];
  /** What the last rebalance that it went through gave it, and of which generation that was. */
  readonly assigned: readonly TopicPartitionInput[];
  readonly generation: number;
}

export type Assignment = Map<string, TopicPartitionInput[]>;

export interface Assignor {
  /** As members and brokers know it. */
  readonly name: string;
  /** "eager": members give everything up before a rebalance; "cooperative": only what they lose (KIP-429). */
  readonly protocol: "eager" | "cooperative";
  /** Bytes for the leader, which finds them in `userData`. Left out: none. */
  userData?(state: MemberState): Buffer | null;
  assign(members: readonly MemberSubscription[], partitionCounts: ReadonlyMap<string, number>): Assignment;
}

/** Static members by their instance, so that a restart does not change the order; before them those that have none come last. */
function compareMembers(one: MemberSubscription, other: MemberSubscription): number {
  if (one.instanceId !== null && other.instanceId !== null) return compare(one.instanceId, other.instanceId);
  if (one.instanceId !== null) return -1;
  if (other.instanceId !== null) return 1;
  return compare(one.memberId, other.memberId);
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

function emptyAssignment(members: readonly MemberSubscription[]): Assignment {
  return new Map(members.map(({ memberId }) => [memberId, []]));
}

function subscribedTopics(members: readonly MemberSubscription[], counts: ReadonlyMap<string, number>): string[] {
  return [...new Set(members.flatMap(({ topics }) => topics))].filter((topic) => (counts.get(topic) ?? 0) > 0).sort();
}

/** Topic by topic: a run of neighbours for each member, so that equal partitions of several topics meet at one member. */
export const rangeAssignor: Assignor = {
  name: "range",
  protocol: "eager",
  assign(members, partitionCounts) {
    const assignment = emptyAssignment(members);
    for (const topic of subscribedTopics(members, partitionCounts)) {
      const takers = members.filter(({ topics }) => topics.includes(topic)).sort(compareMembers);
      const count = partitionCounts.get(topic)!;
      const share = Math.floor(count / takers.length);
      const extra = count % takers.length;
      let partition = 0;
      takers.forEach(({ memberId }, index) => {
        const end = partition + share + (index < extra ? 1 : 0);
        for (; partition < end; partition++) assignment.get(memberId)!.push({ topic, partition });
      });
    }
    return assignment;
  },
};

/** All partitions of all topics in turn. */
export const roundRobinAssignor: Assignor = {
  name: "roundrobin",
  protocol: "eager",
  assign(members, partitionCounts) {
    const assignment = emptyAssignment(members);
    const ring = [...members].sort(compareMembers);
    let at = 0;
    for (const topic of subscribedTopics(members, partitionCounts)) {
      for (let partition = 0; partition < partitionCounts.get(topic)!; partition++) {
        while (!ring[at % ring.length]!.topics.includes(topic)) at++;
        assignment.get(ring[at % ring.length]!.memberId)!.push({ topic, partition });
        at++;
      }
    }
    return assignment;
  },
};

/** As even as subscriptions allow, with as few partitions moved as that needs; moved ones are given out in the rebalance after they were given up. */
export const cooperativeStickyAssignor: Assignor = {
  name: "cooperative-sticky",
  protocol: "cooperative",
  assign(members, partitionCounts) {
    const owners = validOwners(members, partitionCounts);
    const assignment = stickyAssignment(members, partitionCounts, owners);
    for (const [memberId, partitions] of assignment) {
      // Still with another member: it must let go first, and that starts the next rebalance.
      const free = partitions.filter(({ topic, partition }) => {
        const owner = owners.get(topicPartitionKey(topic, partition));
        return owner === undefined || owner === memberId;
      });
      assignment.set(memberId, free);
    }
    return assignment;
  },
};

/** The same division, for members that give everything up first: as Kafka's, they tell what they had in their user data. */
export const stickyAssignor: Assignor = {
  name: "sticky",
  protocol: "eager",
  userData: ({ assigned, generation }) => writeStickyState({ assigned, generation }),
  assign(members, partitionCounts) {
    const told = members.map((member) => {
      const { assigned, generation } = readStickyState(member.userData);
      return { ...member, owned: assigned, generation };
    });
    return stickyAssignment(told, partitionCounts, validOwners(told, partitionCounts));
  },
};

export const assignorsByName: ReadonlyMap<string, Assignor> = new Map(
  [rangeAssignor, roundRobinAssignor, stickyAssignor, cooperativeStickyAssignor].map((assignor) => [
    assignor.name,
    assignor,
  ]),
);

/** Who owns what now. Of two that claim one partition the later generation is right; of one generation neither is. */
function validOwners(
  members: readonly MemberSubscription[],
  partitionCounts: ReadonlyMap<string, number>,
): Map<string, string> {
  const claims = new Map<string, { memberId: string; generation: number } | null>();
  const generationOf = new Map<string, number>();
  for (const member of members) {
    for (const { topic, partition } of member.owned) {
      if (!member.topics.includes(topic) || partition >= (partitionCounts.get(topic) ?? 0)) continue;
      const key = topicPartitionKey(topic, partition);
      const highest = generationOf.get(key) ?? Number.NEGATIVE_INFINITY;
      if (member.generation < highest) continue;
      claims.set(key, member.generation === highest ? null : member);
      generationOf.set(key, member.generation);
    }
  }
  const owners = new Map<string, string>();
  for (const [key, claim] of claims) if (claim !== null) owners.set(key, claim.memberId);
  return owners;
}

function stickyAssignment(
  members: readonly MemberSubscription[],
  partitionCounts: ReadonlyMap<string, number>,
  owners: ReadonlyMap<string, string>,
): Assignment {
  const assignment = emptyAssignment(members);
  const takersOf = new Map<string, MemberSubscription[]>();
  const free: TopicPartitionInput[] = [];
  const sorted = [...members].sort(compareMembers);
  for (const topic of subscribedTopics(members, partitionCounts)) {
    takersOf.set(
      topic,
      sorted.filter(({ topics }) => topics.includes(topic)),
    );
    for (let partition = 0; partition < partitionCounts.get(topic)!; partition++) {
      const owner = owners.get(topicPartitionKey(topic, partition));
      if (owner === undefined) free.push({ topic, partition });
      else assignment.get(owner)!.push({ topic, partition });
    }
  }
  // Topics that few can take first: the others can still level out what they leave uneven.
  free.sort((one, other) => takersOf.get(one.topic)!.length - takersOf.get(other.topic)!.length);
  const load = (memberId: string): number => assignment.get(memberId)!.length;
  for (const where of free) assignment.get(leastLoaded(takersOf.get(where.topic)!, load))!.push(where);
  level(sorted, takersOf, assignment);
  return assignment;
}

function leastLoaded(takers: readonly MemberSubscription[], load: (memberId: string) => number): string {
  let best = takers[0]!.memberId;
  for (const { memberId } of takers) if (load(memberId) < load(best)) best = memberId;
  return best;
}

/** Moves partitions from members that have at least two more than another that could take them. */
function level(
  members: readonly MemberSubscription[],
  takersOf: ReadonlyMap<string, MemberSubscription[]>,
  assignment: Assignment,
): void {
  const load = (memberId: string): number => assignment.get(memberId)!.length;
  for (let hasMoved = true; hasMoved; ) {
    hasMoved = false;
    for (const { memberId } of members) {
      const partitions = assignment.get(memberId)!;
      for (let at = partitions.length - 1; at >= 0; at--) {
        const where = partitions[at]!;
        const taker = leastLoaded(takersOf.get(where.topic)!, load);
        if (load(memberId) - load(taker) < 2) continue;
        partitions.splice(at, 1);
        assignment.get(taker)!.push(where);
        hasMoved = true;
      }
    }
  }
}
