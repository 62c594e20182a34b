// The records of consumer groups.
import type { Uuid } from "../../../base/index.ts";
import type { GroupRecord } from "../group.ts";
import type { ConsumerGroup, ResolvedRegex } from "./consumer-group.ts";
import type { Assigned, ConsumerMember, Target } from "./consumer-member.ts";

const valueVersion = 0;

export function memberRecord(groupId: string, member: ConsumerMember): GroupRecord {
  return {
    type: "ConsumerGroupMemberMetadata",
    key: { groupId, memberId: member.memberId },
    valueVersion,
    value: {
      instanceId: member.instanceId,
      rackId: member.rackId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      subscribedTopicNames: [...member.subscribedTopicNames].sort(),
      subscribedTopicRegex: member.subscribedTopicRegex,
      rebalanceTimeoutMs: member.rebalanceTimeoutMs,
      serverAssignor: member.serverAssignor,
      classicMemberMetadata:
        member.classic === null
          ? null
          : {
              sessionTimeoutMs: member.classic.sessionTimeoutMs,
              supportedProtocols: member.classic.protocols.map(({ name, metadata }) => ({ name, metadata })),
            },
    },
  };
}

export function groupEpochRecord(groupId: string, epoch: number, metadataHash: bigint): GroupRecord {
  return { type: "ConsumerGroupMetadata", key: { groupId }, valueVersion, value: { epoch, metadataHash } };
}

export function targetRecord(groupId: string, memberId: string, target: Target): GroupRecord {
  return {
    type: "ConsumerGroupTargetAssignmentMember",
    key: { groupId, memberId },
    valueVersion,
    value: {
      topicPartitions: [...target].map(([topicId, partitions]) => ({ topicId, partitions: [...partitions] })),
    },
  };
}

export function targetEpochRecord(groupId: string, assignmentEpoch: number, nowMs: number): GroupRecord {
  return {
    type: "ConsumerGroupTargetAssignmentMetadata",
    key: { groupId },
    valueVersion,
    value: { assignmentEpoch, assignmentTimestamp: BigInt(nowMs) },
  };
}

export function currentAssignmentRecord(groupId: string, member: ConsumerMember): GroupRecord {
  return {
    type: "ConsumerGroupCurrentMemberAssignment",
    key: { groupId, memberId: member.memberId },
    valueVersion,
    value: {
      memberEpoch: member.memberEpoch,
      previousMemberEpoch: member.previousMemberEpoch,
      state: member.state,
      assignedPartitions: topicPartitions(member.assigned),
      partitionsPendingRevocation: topicPartitions(member.pendingRevocation),
    },
  };
}

function topicPartitions(
  assigned: Assigned,
): { topicId: Uuid; partitions: number[]; assignmentEpochs: number[] | null }[] {
  return [...assigned].map(([topicId, epochs]) => {
    const partitions = [...epochs.keys()].sort((a, b) => a - b);
    return { topicId, partitions, assignmentEpochs: partitions.map((partition) => epochs.get(partition)!) };
  });
}

export function regexRecord(groupId: string, regularExpression: string, resolved: ResolvedRegex): GroupRecord {
  return {
    type: "ConsumerGroupRegularExpression",
    key: { groupId, regularExpression },
    valueVersion,
    value: {
      topics: [...resolved.topics].sort(),
      version: BigInt(resolved.version),
      timestamp: BigInt(resolved.timestampMs),
    },
  };
}

export function regexTombstone(groupId: string, regularExpression: string): GroupRecord {
  return { type: "ConsumerGroupRegularExpression", key: { groupId, regularExpression }, valueVersion, value: null };
}

export function legacyMetadataTombstone(groupId: string): GroupRecord {
  return { type: "ConsumerGroupPartitionMetadata", key: { groupId }, valueVersion, value: null };
}

/** In the order that replay wants: what refers to a member goes before it. */
export function memberTombstones(groupId: string, memberId: string): GroupRecord[] {
  const key = { groupId, memberId };
  return [
    { type: "ConsumerGroupCurrentMemberAssignment", key, valueVersion, value: null },
    { type: "ConsumerGroupTargetAssignmentMember", key, valueVersion, value: null },
    { type: "ConsumerGroupMemberMetadata", key, valueVersion, value: null },
  ];
}

export function consumerGroupTombstones(group: ConsumerGroup): GroupRecord[] {
  const { groupId } = group;
  const records: GroupRecord[] = [];
  for (const memberId of group.members.keys()) records.push(...memberTombstones(groupId, memberId));
  records.push({ type: "ConsumerGroupTargetAssignmentMetadata", key: { groupId }, valueVersion, value: null });
  for (const regex of group.regexes.keys()) records.push(regexTombstone(groupId, regex));
  if (group.legacyMetadata.size > 0) records.push(legacyMetadataTombstone(groupId));
  records.push({ type: "ConsumerGroupMetadata", key: { groupId }, valueVersion, value: null });
  return records;
}
