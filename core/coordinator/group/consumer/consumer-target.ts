// The target of a whole group, made by an assignor, and the records of what changed in it.
import type { Uuid } from "../../../base/index.ts";
import type { GroupRecord } from "../group.ts";
import type { GroupContext } from "../group-context.ts";
import type { Assignor, AssignorTopic } from "./assignors/assignor.ts";
import { assignRange } from "./assignors/range.ts";
import { assignUniform } from "./assignors/uniform.ts";
import type { ConsumerGroup } from "./consumer-group.ts";
import { type ConsumerMember, noTarget, sameTarget, type Target } from "./consumer-member.ts";
import { targetEpochRecord, targetRecord } from "./consumer-records.ts";

export const consumerAssignors: ReadonlyMap<string, Assignor> = new Map([
  ["uniform", assignUniform],
  ["range", assignRange],
]);

export function assignorOf(context: GroupContext, group: ConsumerGroup, members: Iterable<ConsumerMember>): string {
  return group.preferredAssignor(members) ?? context.config.consumerAssignors[0] ?? "uniform";
}

/** The new target of each member; the records of those that differ, then the epoch's. */
export function makeTarget(
  context: GroupContext,
  group: ConsumerGroup,
  members: readonly ConsumerMember[],
  assignmentEpoch: number,
  nowMs: number,
): { readonly targets: ReadonlyMap<string, Target>; readonly records: GroupRecord[] } {
  const topics = new Map<Uuid, AssignorTopic>();
  // Members of the same subscription share one set: then the assignor sees at once that all want the same.
  const sets = new Map<string, ReadonlySet<Uuid>>();
  const topicsOf = (member: ConsumerMember): ReadonlySet<Uuid> => {
    const names = sortedTopicsOf(group, member);
    const key = names.length === 1 ? names[0]! : names.join("\0");
    let ids = sets.get(key);
    if (ids === undefined) {
      const found = new Set<Uuid>();
      for (const name of names) {
        const topic = context.topics.byName(name);
        if (topic === null) continue;
        found.add(topic.id);
        topics.set(topic.id, topic);
      }
      ids = found;
      sets.set(key, ids);
    }
    return ids;
  };
  const assignor = consumerAssignors.get(assignorOf(context, group, members)) ?? assignUniform;
  const targets = assignor({
    members: members.map((member) => ({
      memberId: member.memberId,
      instanceId: member.instanceId,
      rackId: member.rackId,
      topics: topicsOf(member),
      target: previousTarget(group, member),
    })),
    topics,
  });
  const records: GroupRecord[] = [];
  for (const [memberId, target] of targets) {
    const before = group.targets.get(memberId);
    if (before === undefined || !sameTarget(before, target))
      records.push(targetRecord(group.groupId, memberId, target));
  }
  records.push(targetEpochRecord(group.groupId, assignmentEpoch, nowMs));
  return { targets, records };
}

function sortedTopicsOf(group: ConsumerGroup, member: ConsumerMember): readonly string[] {
  const { subscribedTopicNames, subscribedTopicRegex } = member;
  if (subscribedTopicNames.length === 1 && subscribedTopicRegex === "") return subscribedTopicNames;
  return [...group.topicsOf(member)].sort();
}

/** A static member that comes back under another member id goes on with what it had. */
function previousTarget(group: ConsumerGroup, member: ConsumerMember): Target {
  const own = group.targets.get(member.memberId);
  if (own !== undefined || member.instanceId === null) return own ?? noTarget;
  const predecessor = group.staticMembers.get(member.instanceId);
  return predecessor === undefined ? noTarget : group.targetOf(predecessor);
}
