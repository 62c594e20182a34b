// Groups as a client sees them, in the form of the golden data's expectations.
import { ApiKey, ErrorCode, errorOf, readConsumerAssignment } from "@blumfeld/core/protocol";
import type { WireConnection } from "../wire/index.ts";
import type { ExpectedGroup } from "./expected.ts";

function check(what: string, errorCode: number): void {
  if (errorCode !== ErrorCode.NONE) throw new Error(`${what}: ${errorOf(errorCode).name}`);
}

/** Committed offsets by `topic-partition`. */
async function offsetsOf(connection: WireConnection, groupId: string, requireStable: boolean) {
  const answer = await connection.ask(ApiKey.OffsetFetch, 9, {
    groups: [{ groupId, memberId: null, memberEpoch: -1, topics: null }],
    requireStable,
  });
  const group = answer.groups[0]!;
  check(`offsets of ${groupId}`, group.errorCode);
  const offsets: Record<string, { offset: string; metadata: string; leaderEpoch: number }> = {};
  let isStable = true;
  for (const { name, partitions } of group.topics) {
    for (const each of partitions) {
      if (each.errorCode === ErrorCode.UNSTABLE_OFFSET_COMMIT) isStable = false;
      offsets[`${name}-${each.partitionIndex}`] = {
        offset: String(each.committedOffset),
        metadata: each.metadata ?? "",
        leaderEpoch: each.committedLeaderEpoch,
      };
    }
  }
  return { offsets, isStable };
}

type Member = ExpectedGroup["members"][number];

async function classic(
  connection: WireConnection,
  groupId: string,
): Promise<Omit<ExpectedGroup, "offsets" | "stable">> {
  const answer = await connection.ask(ApiKey.DescribeGroups, 6, { groups: [groupId] });
  const group = answer.groups[0]!;
  check(`describing ${groupId}`, group.errorCode);
  const members: Member[] = group.members.map((member) => ({
    memberId: member.memberId,
    groupInstanceId: member.groupInstanceId,
    clientId: member.clientId,
    memberEpoch: -1,
    assignment: readConsumerAssignment(member.memberAssignment)
      .assignedPartitions.flatMap(({ topic, partitions }) => partitions.map((index) => `${topic}-${index}`))
      .sort(),
  }));
  const { protocolType: protocol, groupState: state, protocolData } = group;
  return { type: "Classic", protocol, state, members, protocolData };
}

async function consumer(
  connection: WireConnection,
  groupId: string,
): Promise<Omit<ExpectedGroup, "offsets" | "stable">> {
  const answer = await connection.ask(ApiKey.ConsumerGroupDescribe, 1, {
    groupIds: [groupId],
    includeAuthorizedOperations: false,
  });
  const group = answer.groups[0]!;
  check(`describing ${groupId}`, group.errorCode);
  return {
    type: "Consumer",
    protocol: "consumer",
    state: group.groupState,
    members: group.members.map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.instanceId,
      clientId: member.clientId,
      memberEpoch: member.memberEpoch,
      assignment: member.assignment.topicPartitions
        .flatMap(({ topicName, partitions }) => partitions.map((index) => `${topicName}-${index}`))
        .sort(),
    })),
    assignor: group.assignorName,
    groupEpoch: group.groupEpoch,
    targetAssignmentEpoch: group.assignmentEpoch,
  };
}

/** By group: type, protocol type and state, as ListGroups tells them. */
export async function listGroups(connection: WireConnection): Promise<Record<string, string>> {
  const answer = await connection.ask(ApiKey.ListGroups, 5, { statesFilter: [], typesFilter: [] });
  check("listing groups", answer.errorCode);
  const all = answer.groups.map((group) => [
    group.groupId,
    `${group.groupType.toLowerCase()} "${group.protocolType}" ${group.groupState}`,
  ]);
  return Object.fromEntries(all.sort());
}

export async function observeGroup(
  connection: WireConnection,
  groupId: string,
  type: ExpectedGroup["type"],
): Promise<ExpectedGroup> {
  const described = await (type === "Classic" ? classic(connection, groupId) : consumer(connection, groupId));
  const { offsets } = await offsetsOf(connection, groupId, false);
  const { isStable } = await offsetsOf(connection, groupId, true);
  return { ...described, offsets, stable: isStable };
}
