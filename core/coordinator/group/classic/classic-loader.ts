// A classic group from its record in the log.
import type { GroupMetadataValue } from "../../../protocol/index.ts";
import type { GroupContext } from "../group-context.ts";
import { ClassicGroup } from "./classic-group.ts";
import { ClassicMember } from "./classic-member.ts";

export class ClassicLoader {
  private readonly context: GroupContext;

  constructor(context: GroupContext) {
    this.context = context;
  }

  /** Null: the group is gone. */
  replay(groupId: string, value: GroupMetadataValue | null): void {
    const { groups } = this.context;
    if (value === null) {
      const group = groups.get(groupId);
      if (group instanceof ClassicGroup) groups.delete(groupId);
      return;
    }
    groups.set(groupId, groupOf(groupId, value));
  }
}

function groupOf(groupId: string, value: GroupMetadataValue): ClassicGroup {
  const stateSinceMs = value.currentStateTimestamp < 0n ? null : Number(value.currentStateTimestamp);
  const group = new ClassicGroup(groupId, stateSinceMs);
  group.generationId = value.generation;
  group.protocolType = value.protocolType === "" ? null : value.protocolType;
  group.protocolName = value.protocol;
  for (const each of value.members) {
    const member = new ClassicMember({
      memberId: each.memberId,
      groupInstanceId: each.groupInstanceId,
      clientId: each.clientId,
      clientHost: each.clientHost,
      // Records of before version 1 have one time-out only.
      rebalanceTimeoutMs: each.rebalanceTimeout < 0 ? each.sessionTimeout : each.rebalanceTimeout,
      sessionTimeoutMs: each.sessionTimeout,
      protocols: [{ name: value.protocol ?? "", metadata: Buffer.from(each.subscription) }],
      assignment: Buffer.from(each.assignment),
    });
    group.add(member, value.protocolType, null);
  }
  group.leaderId = value.leader;
  group.state = value.members.length === 0 ? "Empty" : "Stable";
  group.readSubscriptions();
  return group;
}
