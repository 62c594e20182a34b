// The records of groups, made in one place: which version each is written in, and what its fields mean.
import type { GroupMetadataValue, OffsetCommitValue } from "../../protocol/index.ts";
import type { ClassicGroup } from "./classic/classic-group.ts";
import { noAssignment } from "./classic/classic-member.ts";
import type { GroupRecord } from "./group.ts";

const groupMetadataVersion = 3;
const offsetCommitVersion = 4;
/** The one version that has a field for a commit's own retention (OffsetCommit v2 to v4). */
const offsetCommitVersionWithExpiry = 1;

export function offsetCommitRecord(
  group: string,
  topic: string,
  partition: number,
  value: OffsetCommitValue,
): GroupRecord {
  const valueVersion = value.expireTimestamp >= 0n ? offsetCommitVersionWithExpiry : offsetCommitVersion;
  return { type: "OffsetCommit", key: { group, topic, partition }, valueVersion, value };
}

export function offsetCommitTombstone(group: string, topic: string, partition: number): GroupRecord {
  return { type: "OffsetCommit", key: { group, topic, partition }, valueVersion: 0, value: null };
}

/** The group as it is, with the assignments that are to be; a member without one gets an empty one. */
export function groupMetadataRecord(group: ClassicGroup, assignments: ReadonlyMap<string, Buffer>): GroupRecord {
  const members: GroupMetadataValue["members"] = [];
  for (const member of group.members.values()) {
    members.push({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      rebalanceTimeout: member.rebalanceTimeoutMs,
      sessionTimeout: member.sessionTimeoutMs,
      subscription: member.metadataOf(group.protocolName) ?? noAssignment,
      assignment: assignments.get(member.memberId) ?? noAssignment,
    });
  }
  return {
    type: "GroupMetadata",
    key: { group: group.groupId },
    valueVersion: groupMetadataVersion,
    value: {
      protocolType: group.protocolTypeName,
      generation: group.generationId,
      protocol: group.protocolName,
      leader: group.leaderId,
      currentStateTimestamp: BigInt(group.stateSinceMs ?? -1),
      members,
    },
  };
}

/** A group that has just been made. */
export function emptyGroupMetadataRecord(group: ClassicGroup): GroupRecord {
  return {
    type: "GroupMetadata",
    key: { group: group.groupId },
    valueVersion: groupMetadataVersion,
    value: {
      protocolType: "",
      generation: 0,
      protocol: null,
      leader: null,
      currentStateTimestamp: BigInt(group.stateSinceMs ?? -1),
      members: [],
    },
  };
}

export function groupMetadataTombstone(group: string): GroupRecord {
  return { type: "GroupMetadata", key: { group }, valueVersion: 0, value: null };
}
