// The target of a whole streams group, and the records of what changed in it.
import type { GroupRecord } from "../group/group.ts";
import { assignSticky } from "./sticky-assignor.ts";
import type { StreamsGroup } from "./streams-group.ts";
import type { StreamsMember } from "./streams-member.ts";
import { streamsTargetEpochRecord, streamsTargetRecord } from "./streams-records.ts";
import { noTaskTarget, sameTaskTarget, type TaskTarget } from "./tasks.ts";
import type { ConfiguredTopology } from "./topology-configure.ts";

/** While the topology cannot run nobody gets a task. */
export function makeStreamsTarget(
  group: StreamsGroup,
  members: readonly StreamsMember[],
  configured: ConfiguredTopology,
  standbyReplicaCount: number,
  assignmentEpoch: number,
  nowMs: number,
): { readonly targets: ReadonlyMap<string, TaskTarget>; readonly records: GroupRecord[] } {
  const { groupId } = group;
  const isReady = configured.status === null && configured.subtopologies !== null;
  const targets = isReady
    ? assignSticky(
        members.map(({ memberId, processId }) => ({ memberId, processId, target: group.targetOf(memberId) })),
        [...configured.subtopologies].map(([id, { taskCount, isStateful }]) => ({ id, taskCount, isStateful })),
        standbyReplicaCount,
      )
    : new Map(members.map(({ memberId }) => [memberId, noTaskTarget]));
  const records: GroupRecord[] = [];
  for (const [memberId, target] of targets) {
    const before = group.targets.get(memberId);
    if (before === undefined || !sameTaskTarget(before, target))
      records.push(streamsTargetRecord(groupId, memberId, target));
  }
  records.push(streamsTargetEpochRecord(groupId, assignmentEpoch, nowMs));
  return { targets, records };
}
