// Share groups from their records: at load, and when a decision takes effect.
import type { Uuid } from "../../../base/index.ts";
import type { GroupRecord } from "../../group/group.ts";
import type { GroupContext } from "../../group/group-context.ts";
import { newShareMember, nothingShared, type ShareAssigned, type SharedTopic, ShareGroup } from "./share-group.ts";

export class ShareLoader {
  private readonly context: GroupContext;

  constructor(context: GroupContext) {
    this.context = context;
  }

  /** False for a record of another kind. */
  replay(record: GroupRecord): boolean {
    switch (record.type) {
      case "ShareGroupMetadata":
        if (record.value === null) this.remove(record.key.groupId);
        else this.group(record.key.groupId).setEpoch(record.value.epoch, record.value.metadataHash);
        return true;
      case "ShareGroupMemberMetadata": {
        const { groupId, memberId } = record.key;
        if (record.value === null) {
          this.existing(groupId)?.members.delete(memberId);
          return true;
        }
        const { members } = this.group(groupId);
        members.set(memberId, { ...(members.get(memberId) ?? newShareMember(memberId)), ...record.value });
        return true;
      }
      case "ShareGroupTargetAssignmentMetadata":
        if (record.value !== null) {
          const { assignmentEpoch, assignmentTimestamp } = record.value;
          this.group(record.key.groupId).setAssignmentEpoch(assignmentEpoch, Number(assignmentTimestamp));
        } else this.existing(record.key.groupId)?.setAssignmentEpoch(-1, 0);
        return true;
      case "ShareGroupTargetAssignmentMember": {
        const { groupId, memberId } = record.key;
        if (record.value === null) this.existing(groupId)?.targets.delete(memberId);
        else this.group(groupId).targets.set(memberId, assignedOf(record.value.topicPartitions));
        return true;
      }
      case "ShareGroupCurrentMemberAssignment":
        this.onCurrent(record);
        return true;
      case "ShareGroupStatePartitionMetadata":
        this.onStates(record);
        return true;
      default:
        return false;
    }
  }

  private existing(groupId: string): ShareGroup | null {
    const group = this.context.groups.get(groupId);
    return group instanceof ShareGroup ? group : null;
  }

  private group(groupId: string): ShareGroup {
    const existing = this.existing(groupId);
    if (existing !== null) return existing;
    const group = new ShareGroup(groupId, this.context.undo);
    this.context.groups.set(groupId, group);
    return group;
  }

  private remove(groupId: string): void {
    if (this.existing(groupId) !== null) this.context.groups.delete(groupId);
  }

  private onCurrent(record: GroupRecord & { type: "ShareGroupCurrentMemberAssignment" }): void {
    const { groupId, memberId } = record.key;
    const group = record.value === null ? this.existing(groupId) : this.group(groupId);
    const before = group?.members.get(memberId);
    if (group === null || (record.value === null && before === undefined)) return;
    const member = before ?? newShareMember(memberId);
    const { memberEpoch, previousMemberEpoch } = record.value ?? { memberEpoch: -1, previousMemberEpoch: -1 };
    const assigned = record.value === null ? nothingShared : assignedOf(record.value.assignedPartitions);
    group.members.set(memberId, { ...member, memberEpoch, previousMemberEpoch, assigned });
  }

  private onStates(record: GroupRecord & { type: "ShareGroupStatePartitionMetadata" }): void {
    const { value } = record;
    const group = value === null ? this.existing(record.key.groupId) : this.group(record.key.groupId);
    group?.states.set({
      initializing: topicsOf(value?.initializingTopics ?? []),
      initialized: topicsOf(value?.initializedTopics ?? []),
      deleting: new Map((value?.deletingTopics ?? []).map(({ topicId, topicName }) => [topicId, topicName])),
    });
  }
}

function assignedOf(topics: readonly { topicId: Uuid; partitions: readonly number[] }[]): ShareAssigned {
  return new Map(topics.map(({ topicId, partitions }) => [topicId, [...partitions].sort((a, b) => a - b)]));
}

function topicsOf(
  topics: readonly { topicId: Uuid; topicName: string; partitions: readonly number[] }[],
): Map<Uuid, SharedTopic> {
  return new Map(
    topics.map(({ topicId, topicName, partitions }) => [topicId, { name: topicName, partitions: new Set(partitions) }]),
  );
}
