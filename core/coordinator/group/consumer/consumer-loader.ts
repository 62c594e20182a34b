// Consumer groups from their records: at load, and when a decision takes effect.
import type { Uuid } from "../../../base/index.ts";
import type { ConsumerGroupCurrentMemberAssignmentValue } from "../../../protocol/index.ts";
import type { GroupRecord } from "../group.ts";
import type { GroupContext } from "../group-context.ts";
import { ConsumerGroup } from "./consumer-group.ts";
import {
  type Assigned,
  type ConsumerMember,
  leaveEpoch,
  type MemberState,
  memberStates,
  newMember,
  nothingAssigned,
} from "./consumer-member.ts";

export class ConsumerLoader {
  private readonly context: GroupContext;

  constructor(context: GroupContext) {
    this.context = context;
  }

  /** False for a record of another kind. */
  replay(record: GroupRecord): boolean {
    switch (record.type) {
      case "ConsumerGroupMetadata":
        if (record.value === null) this.remove(record.key.groupId);
        else this.group(record.key.groupId).setEpoch(record.value.epoch, record.value.metadataHash);
        return true;
      case "ConsumerGroupMemberMetadata":
        this.onMember(record.key.groupId, record.key.memberId, record.value);
        return true;
      case "ConsumerGroupTargetAssignmentMetadata":
        if (record.value !== null) {
          const { assignmentEpoch, assignmentTimestamp } = record.value;
          this.group(record.key.groupId).setAssignmentEpoch(assignmentEpoch, Number(assignmentTimestamp));
        } else this.existing(record.key.groupId)?.setAssignmentEpoch(-1, 0);
        return true;
      case "ConsumerGroupTargetAssignmentMember": {
        const { groupId, memberId } = record.key;
        if (record.value === null) this.existing(groupId)?.targets.delete(memberId);
        else
          this.group(groupId).targets.set(
            memberId,
            new Map(record.value.topicPartitions.map(({ topicId, partitions }) => [topicId, partitions])),
          );
        return true;
      }
      case "ConsumerGroupCurrentMemberAssignment":
        this.onCurrent(record.key.groupId, record.key.memberId, record.value);
        return true;
      case "ConsumerGroupRegularExpression": {
        const { groupId, regularExpression } = record.key;
        if (record.value === null) this.existing(groupId)?.regexes.delete(regularExpression);
        else {
          const { topics, version, timestamp } = record.value;
          this.group(groupId).regexes.set(regularExpression, {
            topics: new Set(topics),
            version: Number(version),
            timestampMs: Number(timestamp),
          });
        }
        return true;
      }
      case "ConsumerGroupPartitionMetadata":
        if (record.value === null) this.existing(record.key.groupId)?.legacyMetadata.delete(true);
        else this.group(record.key.groupId).legacyMetadata.add(true);
        return true;
      default:
        return false;
    }
  }

  private existing(groupId: string): ConsumerGroup | null {
    const group = this.context.groups.get(groupId);
    return group instanceof ConsumerGroup ? group : null;
  }

  /** A classic group of the id, kept for its offsets or converted by the records around, gives way. */
  private group(groupId: string): ConsumerGroup {
    const existing = this.existing(groupId);
    if (existing !== null) return existing;
    const group = new ConsumerGroup(groupId, this.context.undo);
    this.context.groups.set(groupId, group);
    return group;
  }

  private remove(groupId: string): void {
    if (this.existing(groupId) !== null) this.context.groups.delete(groupId);
  }

  private onMember(
    groupId: string,
    memberId: string,
    value: (GroupRecord & { type: "ConsumerGroupMemberMetadata" })["value"],
  ): void {
    if (value === null) {
      this.existing(groupId)?.removeMember(memberId);
      return;
    }
    const group = this.group(groupId);
    const classic = value.classicMemberMetadata;
    group.setMember({
      ...(group.members.get(memberId) ?? newMember(memberId)),
      instanceId: value.instanceId,
      rackId: value.rackId,
      clientId: value.clientId,
      clientHost: value.clientHost,
      rebalanceTimeoutMs: value.rebalanceTimeoutMs,
      serverAssignor: value.serverAssignor,
      subscribedTopicNames: value.subscribedTopicNames,
      subscribedTopicRegex: value.subscribedTopicRegex ?? "",
      classic:
        classic === null
          ? null
          : {
              sessionTimeoutMs: classic.sessionTimeoutMs,
              protocols: classic.supportedProtocols.map(({ name, metadata }) => ({
                name,
                metadata: Buffer.from(metadata),
              })),
            },
    });
  }

  private onCurrent(groupId: string, memberId: string, value: ConsumerGroupCurrentMemberAssignmentValue | null): void {
    const group = value === null ? this.existing(groupId) : this.group(groupId);
    if (group === null) return;
    const before = group.members.get(memberId);
    if (value === null) {
      if (before === undefined) return;
      const nothing = { assigned: nothingAssigned, pendingRevocation: nothingAssigned };
      group.setMember({ ...before, memberEpoch: leaveEpoch, previousMemberEpoch: leaveEpoch, ...nothing });
      return;
    }
    group.setMember({
      ...(before ?? newMember(memberId)),
      memberEpoch: value.memberEpoch,
      previousMemberEpoch: value.previousMemberEpoch,
      state: stateOf(value.state),
      assigned: assignedOf(value.assignedPartitions, value.memberEpoch),
      pendingRevocation: assignedOf(value.partitionsPendingRevocation, value.memberEpoch),
    } satisfies ConsumerMember);
  }
}

function stateOf(code: number): MemberState {
  return Object.values(memberStates).find((state) => state === code) ?? memberStates.unknown;
}

/** Records of before 4.3 have no epochs of partitions: the member's stands for them. */
function assignedOf(
  topics: readonly { topicId: Uuid; partitions: readonly number[]; assignmentEpochs: readonly number[] | null }[],
  memberEpoch: number,
): Assigned {
  return new Map(
    topics.map(({ topicId, partitions, assignmentEpochs }) => [
      topicId,
      new Map(partitions.map((partition, index) => [partition, assignmentEpochs?.[index] ?? memberEpoch])),
    ]),
  );
}
