// Streams groups from their records: at load, and when a decision takes effect.
import type { StreamsGroupCurrentMemberAssignmentValue } from "../../protocol/index.ts";
import type { GroupRecord } from "../group/group.ts";
import type { GroupContext } from "../group/group-context.ts";
import { StreamsGroup } from "./streams-group.ts";
import { leaveEpoch, newStreamsMember, type StreamsMemberState, streamsMemberStates } from "./streams-member.ts";
import { noTasks, type RoleTasks, roleTargetOf } from "./tasks.ts";

type ValueOf<Type extends GroupRecord["type"]> = Extract<GroupRecord, { readonly type: Type }>["value"];

export class StreamsLoader {
  private readonly context: GroupContext;

  constructor(context: GroupContext) {
    this.context = context;
  }

  /** False for a record of another kind. */
  replay(record: GroupRecord): boolean {
    switch (record.type) {
      case "StreamsGroupMetadata":
        this.onEpochs(record.key.groupId, record.value);
        return true;
      case "StreamsGroupMemberMetadata":
        this.onMember(record.key.groupId, record.key.memberId, record.value);
        return true;
      case "StreamsGroupTopology":
        if (record.value === null) this.existing(record.key.groupId)?.setTopology(null);
        else this.group(record.key.groupId).setTopology(record.value);
        return true;
      case "StreamsGroupTargetAssignmentMetadata":
        if (record.value !== null) {
          const { assignmentEpoch, assignmentTimestamp } = record.value;
          this.group(record.key.groupId).setAssignmentEpoch(assignmentEpoch, Number(assignmentTimestamp));
        } else this.existing(record.key.groupId)?.setAssignmentEpoch(-1, 0);
        return true;
      case "StreamsGroupTargetAssignmentMember": {
        const { groupId, memberId } = record.key;
        if (record.value === null) this.existing(groupId)?.targets.delete(memberId);
        else
          this.group(groupId).targets.set(memberId, {
            active: roleTargetOf(record.value.activeTasks),
            standby: roleTargetOf(record.value.standbyTasks),
            warmup: roleTargetOf(record.value.warmupTasks),
          });
        return true;
      }
      case "StreamsGroupCurrentMemberAssignment":
        this.onCurrent(record.key.groupId, record.key.memberId, record.value);
        return true;
      default:
        return false;
    }
  }

  private existing(groupId: string): StreamsGroup | null {
    const group = this.context.groups.get(groupId);
    return group instanceof StreamsGroup ? group : null;
  }

  /** A classic group of the id, kept for its offsets, gives way. */
  private group(groupId: string): StreamsGroup {
    const existing = this.existing(groupId);
    if (existing !== null) return existing;
    const group = new StreamsGroup(groupId, this.context.undo, this.context.topics);
    this.context.groups.set(groupId, group);
    return group;
  }

  private onEpochs(groupId: string, value: ValueOf<"StreamsGroupMetadata">): void {
    if (value === null) {
      if (this.existing(groupId) !== null) this.context.groups.delete(groupId);
      return;
    }
    this.group(groupId).setEpochs({
      group: value.epoch,
      metadataHash: value.metadataHash,
      validatedTopology: value.validatedTopologyEpoch,
      assignmentConfigs: value.lastAssignmentConfigs ?? [],
    });
  }

  private onMember(groupId: string, memberId: string, value: ValueOf<"StreamsGroupMemberMetadata">): void {
    if (value === null) {
      this.existing(groupId)?.removeMember(memberId);
      return;
    }
    const group = this.group(groupId);
    const { instanceId, rackId, clientId, clientHost, rebalanceTimeoutMs, topologyEpoch, processId } = value;
    group.setMember({
      ...(group.members.get(memberId) ?? newStreamsMember(memberId)),
      ...{ instanceId, rackId, clientId, clientHost, rebalanceTimeoutMs, topologyEpoch, processId },
      userEndpoint: value.userEndpoint,
      clientTags: value.clientTags,
    });
  }

  private onCurrent(groupId: string, memberId: string, value: StreamsGroupCurrentMemberAssignmentValue | null): void {
    const group = value === null ? this.existing(groupId) : this.group(groupId);
    if (group === null) return;
    const before = group.members.get(memberId);
    if (value === null) {
      if (before === undefined) return;
      const nothing = { assigned: noTasks, pendingRevocation: noTasks };
      group.setMember({ ...before, memberEpoch: leaveEpoch, previousMemberEpoch: leaveEpoch, ...nothing });
      return;
    }
    const { memberEpoch } = value;
    group.setMember({
      ...(before ?? newStreamsMember(memberId)),
      memberEpoch,
      previousMemberEpoch: value.previousMemberEpoch,
      state: stateOf(value.state),
      assigned: {
        active: activeTasksOf(value.activeTasks, memberEpoch),
        standby: copiesOf(value.standbyTasks),
        warmup: copiesOf(value.warmupTasks),
      },
      pendingRevocation: {
        active: activeTasksOf(value.activeTasksPendingRevocation, memberEpoch),
        standby: copiesOf(value.standbyTasksPendingRevocation),
        warmup: copiesOf(value.warmupTasksPendingRevocation),
      },
    });
  }
}

function stateOf(code: number): StreamsMemberState {
  return Object.values(streamsMemberStates).find((state) => state === code) ?? streamsMemberStates.unknown;
}

type RecordedTasks = StreamsGroupCurrentMemberAssignmentValue["activeTasks"];

/** Records of before 4.3 have no epochs of tasks: the member's stands for them. */
function activeTasksOf(ids: RecordedTasks, memberEpoch: number): RoleTasks {
  return new Map(
    ids.map(({ subtopologyId, partitions, assignmentEpochs }) => [
      subtopologyId,
      new Map(partitions.map((partition, index) => [partition, assignmentEpochs?.[index] ?? memberEpoch])),
    ]),
  );
}

function copiesOf(ids: RecordedTasks): RoleTasks {
  return new Map(
    ids.map(({ subtopologyId, partitions }) => [
      subtopologyId,
      new Map(partitions.map((partition) => [partition, 0] as const)),
    ]),
  );
}
