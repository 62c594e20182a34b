// ShareGroupDescribe: a group as its records have it.
import { ErrorCode, type ShareGroupDescribeResponseInit } from "../../../protocol/index.ts";
import type { GroupContext } from "../../group/group-context.ts";
import { ShareGroup } from "./share-group.ts";

export type DescribedShareGroup = ShareGroupDescribeResponseInit["groups"][number];

const assignorName = "simple";

export function describeShareGroup(context: GroupContext, groupId: string): DescribedShareGroup {
  const group = context.groups.get(groupId);
  if (!(group instanceof ShareGroup)) {
    const text = group === undefined ? `Group ${groupId} not found.` : `Group ${groupId} is not a share group.`;
    return failedShareGroup(groupId, ErrorCode.GROUP_ID_NOT_FOUND, text);
  }
  return {
    groupId,
    errorCode: ErrorCode.NONE,
    groupState: group.stateName(),
    groupEpoch: group.groupEpoch,
    assignmentEpoch: group.assignmentEpoch,
    assignorName,
    members: [...group.members.values()].map((member) => ({
      memberId: member.memberId,
      rackId: member.rackId,
      memberEpoch: member.memberEpoch,
      clientId: member.clientId,
      clientHost: member.clientHost,
      subscribedTopicNames: [...member.subscribedTopicNames],
      assignment: {
        topicPartitions: [...member.assigned].flatMap(([topicId, partitions]) => {
          // A topic that is gone has no name to tell.
          const topicName = context.topics.byId(topicId)?.name;
          return topicName === undefined ? [] : [{ topicId, topicName, partitions: [...partitions] }];
        }),
      },
    })),
  };
}

export function failedShareGroup(groupId: string, errorCode: number, errorMessage: string | null): DescribedShareGroup {
  const nothing = { groupState: "", groupEpoch: 0, assignmentEpoch: 0, assignorName: "", members: [] };
  return { groupId, errorCode, errorMessage, ...nothing };
}
