// The records of streams groups.
import type { GroupRecord } from "../group/group.ts";
import type { StreamsGroup } from "./streams-group.ts";
import type { KeyValue, StreamsMember } from "./streams-member.ts";
import { type RoleTasks, type TaskIds, type TaskTarget, targetIdsOf, taskIdsOf } from "./tasks.ts";
import type { Topology } from "./topology.ts";

const valueVersion = 0;

export function streamsMemberRecord(groupId: string, member: StreamsMember): GroupRecord {
  const { instanceId, rackId, clientId, clientHost, rebalanceTimeoutMs, topologyEpoch, processId } = member;
  const { userEndpoint } = member;
  return {
    type: "StreamsGroupMemberMetadata",
    key: { groupId, memberId: member.memberId },
    valueVersion,
    value: {
      ...{ instanceId, rackId, clientId, clientHost, rebalanceTimeoutMs, topologyEpoch, processId },
      userEndpoint: userEndpoint === null ? null : { ...userEndpoint },
      clientTags: member.clientTags.map(({ key, value }) => ({ key, value })),
    },
  };
}

export function streamsEpochRecord(
  groupId: string,
  epochs: {
    readonly group: number;
    readonly metadataHash: bigint;
    readonly validatedTopology: number;
    readonly assignmentConfigs: readonly KeyValue[];
  },
): GroupRecord {
  return {
    type: "StreamsGroupMetadata",
    key: { groupId },
    valueVersion,
    value: {
      epoch: epochs.group,
      metadataHash: epochs.metadataHash,
      validatedTopologyEpoch: epochs.validatedTopology,
      lastAssignmentConfigs: epochs.assignmentConfigs.map(({ key, value }) => ({ key, value })),
    },
  };
}

export function streamsTopologyRecord(groupId: string, topology: Topology): GroupRecord {
  return { type: "StreamsGroupTopology", key: { groupId }, valueVersion, value: topology };
}

export function streamsTargetRecord(groupId: string, memberId: string, target: TaskTarget): GroupRecord {
  return {
    type: "StreamsGroupTargetAssignmentMember",
    key: { groupId, memberId },
    valueVersion,
    value: {
      activeTasks: targetIdsOf(target.active),
      standbyTasks: targetIdsOf(target.standby),
      warmupTasks: targetIdsOf(target.warmup),
    },
  };
}

export function streamsTargetEpochRecord(groupId: string, assignmentEpoch: number, nowMs: number): GroupRecord {
  return {
    type: "StreamsGroupTargetAssignmentMetadata",
    key: { groupId },
    valueVersion,
    value: { assignmentEpoch, assignmentTimestamp: BigInt(nowMs) },
  };
}

interface TaskIdsWithEpochs extends TaskIds {
  assignmentEpochs: number[] | null;
}

export function streamsCurrentAssignmentRecord(groupId: string, member: StreamsMember): GroupRecord {
  const { assigned, pendingRevocation } = member;
  return {
    type: "StreamsGroupCurrentMemberAssignment",
    key: { groupId, memberId: member.memberId },
    valueVersion,
    value: {
      memberEpoch: member.memberEpoch,
      previousMemberEpoch: member.previousMemberEpoch,
      state: member.state,
      activeTasks: withEpochs(assigned.active),
      standbyTasks: withoutEpochs(assigned.standby),
      warmupTasks: withoutEpochs(assigned.warmup),
      activeTasksPendingRevocation: withEpochs(pendingRevocation.active),
      standbyTasksPendingRevocation: withoutEpochs(pendingRevocation.standby),
      warmupTasksPendingRevocation: withoutEpochs(pendingRevocation.warmup),
    },
  };
}

function withEpochs(tasks: RoleTasks): TaskIdsWithEpochs[] {
  return taskIdsOf(tasks).map(({ subtopologyId, partitions }) => ({
    ...{ subtopologyId, partitions },
    assignmentEpochs: partitions.map((partition) => tasks.get(subtopologyId)!.get(partition)!),
  }));
}

function withoutEpochs(tasks: RoleTasks): TaskIdsWithEpochs[] {
  return taskIdsOf(tasks).map((ids) => ({ ...ids, assignmentEpochs: [] }));
}

/** In the order that replay wants: what refers to a member goes before it. */
export function streamsMemberTombstones(groupId: string, memberId: string): GroupRecord[] {
  const key = { groupId, memberId };
  return [
    { type: "StreamsGroupCurrentMemberAssignment", key, valueVersion, value: null },
    { type: "StreamsGroupTargetAssignmentMember", key, valueVersion, value: null },
    { type: "StreamsGroupMemberMetadata", key, valueVersion, value: null },
  ];
}

export function streamsGroupTombstones(group: StreamsGroup): GroupRecord[] {
  const { groupId } = group;
  const records: GroupRecord[] = [];
  for (const memberId of group.members.keys()) records.push(...streamsMemberTombstones(groupId, memberId));
  const key = { groupId };
  records.push(
    { type: "StreamsGroupTargetAssignmentMetadata", key, valueVersion, value: null },
    { type: "StreamsGroupTopology", key, valueVersion, value: null },
    { type: "StreamsGroupMetadata", key, valueVersion, value: null },
  );
  return records;
}
