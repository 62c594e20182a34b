// The records of share groups in `__consumer_offsets`.
import type { Uuid } from "../../../base/index.ts";
import type { GroupRecord } from "../../group/group.ts";
import type { ShareAssigned, SharedTopic, ShareGroup, ShareMember, SharePartitionStates } from "./share-group.ts";

const valueVersion = 0;
/** A share group's member has one state. */
const stateStable = 0;

export function shareMemberRecord(groupId: string, member: ShareMember): GroupRecord {
  const { memberId, rackId, clientId, clientHost, subscribedTopicNames } = member;
  const value = { rackId, clientId, clientHost, subscribedTopicNames: [...subscribedTopicNames].sort() };
  return { type: "ShareGroupMemberMetadata", key: { groupId, memberId }, valueVersion, value };
}

export function shareEpochRecord(groupId: string, epoch: number, metadataHash: bigint): GroupRecord {
  return { type: "ShareGroupMetadata", key: { groupId }, valueVersion, value: { epoch, metadataHash } };
}

export function shareTargetRecord(groupId: string, memberId: string, target: ShareAssigned): GroupRecord {
  const value = { topicPartitions: topicPartitionsOfShared(target) };
  return { type: "ShareGroupTargetAssignmentMember", key: { groupId, memberId }, valueVersion, value };
}

export function shareTargetEpochRecord(groupId: string, assignmentEpoch: number, nowMs: number): GroupRecord {
  const value = { assignmentEpoch, assignmentTimestamp: BigInt(nowMs) };
  return { type: "ShareGroupTargetAssignmentMetadata", key: { groupId }, valueVersion, value };
}

export function shareCurrentRecord(groupId: string, member: ShareMember): GroupRecord {
  const { memberId, memberEpoch, previousMemberEpoch, assigned } = member;
  const assignedPartitions = topicPartitionsOfShared(assigned);
  const value = { memberEpoch, previousMemberEpoch, state: stateStable, assignedPartitions };
  return { type: "ShareGroupCurrentMemberAssignment", key: { groupId, memberId }, valueVersion, value };
}

export function shareStatesRecord(groupId: string, states: SharePartitionStates): GroupRecord {
  const value = {
    initializingTopics: sharedTopics(states.initializing),
    initializedTopics: sharedTopics(states.initialized),
    deletingTopics: [...states.deleting].map(([topicId, topicName]) => ({ topicId, topicName })),
  };
  return { type: "ShareGroupStatePartitionMetadata", key: { groupId }, valueVersion, value };
}

function sharedTopics(
  topics: ReadonlyMap<Uuid, SharedTopic>,
): { topicId: Uuid; topicName: string; partitions: number[] }[] {
  return [...topics].map(([topicId, { name, partitions }]) => ({
    topicId,
    topicName: name,
    partitions: [...partitions].sort((a, b) => a - b),
  }));
}

/** What refers to a member goes before it. */
export function shareMemberTombstones(groupId: string, memberId: string): GroupRecord[] {
  const key = { groupId, memberId };
  return [
    { type: "ShareGroupCurrentMemberAssignment", key, valueVersion, value: null },
    { type: "ShareGroupTargetAssignmentMember", key, valueVersion, value: null },
    { type: "ShareGroupMemberMetadata", key, valueVersion, value: null },
  ];
}

export function shareGroupTombstones(group: ShareGroup): GroupRecord[] {
  const { groupId } = group;
  const records: GroupRecord[] = [];
  for (const memberId of group.members.keys()) records.push(...shareMemberTombstones(groupId, memberId));
  const key = { groupId };
  records.push(
    { type: "ShareGroupTargetAssignmentMetadata", key, valueVersion, value: null },
    { type: "ShareGroupStatePartitionMetadata", key, valueVersion, value: null },
    { type: "ShareGroupMetadata", key, valueVersion, value: null },
  );
  return records;
}

export function topicPartitionsOfShared(assigned: ShareAssigned): { topicId: Uuid; partitions: number[] }[] {
  return [...assigned].map(([topicId, partitions]) => ({ topicId, partitions: [...partitions] }));
}
