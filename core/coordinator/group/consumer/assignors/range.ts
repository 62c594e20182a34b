// Range: of each topic every subscriber gets one run of partitions; members that subscribe to the same topics get the same numbers of each, so
// that topics with equal partitioning can be joined.
import type { Uuid } from "../../../../base/index.ts";
import { type Assignor, type AssignorMember, targetOfLists } from "./assignor.ts";

export const assignRange: Assignor = ({ members, topics }) => {
  const ordered = [...members].sort(byName);
  const lists = new Map(ordered.map((member) => [member.memberId, new Map<Uuid, number[]>()]));
  for (const topic of topics.values()) {
    const subscribers = ordered.filter((member) => member.topics.has(topic.id));
    if (subscribers.length === 0) continue;
    const least = Math.floor(topic.partitionCount / subscribers.length);
    const withOneMore = topic.partitionCount % subscribers.length;
    let from = 0;
    subscribers.forEach((member, index) => {
      const count = least + (index < withOneMore ? 1 : 0);
      if (count > 0) lists.get(member.memberId)!.set(topic.id, run(from, count));
      from += count;
    });
  }
  return new Map([...lists].map(([memberId, own]) => [memberId, targetOfLists(own)]));
};

function run(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => from + index);
}

/** Static members first, by instance id: their ranges do not move when they come back under another member id. */
function byName(one: AssignorMember, other: AssignorMember): number {
  if (one.instanceId !== null && other.instanceId !== null) return compare(one.instanceId, other.instanceId);
  if (one.instanceId !== null) return -1;
  if (other.instanceId !== null) return 1;
  return compare(one.memberId, other.memberId);
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
