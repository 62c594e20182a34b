// StreamsGroupDescribe: a group as its records have it, its topology with the partition counts that were decided.
import { ErrorCode, type StreamsGroupDescribeResponseInit } from "../../protocol/index.ts";
import type { GroupContext } from "../group/group-context.ts";
import { StreamsGroup } from "./streams-group.ts";
import type { StreamsMember } from "./streams-member.ts";
import { targetIdsOf, taskIdsOf } from "./tasks.ts";
import type { Topology } from "./topology.ts";
import { configureTopology } from "./topology-configure.ts";

export type DescribedStreamsGroup = StreamsGroupDescribeResponseInit["groups"][number];
type DescribedMember = DescribedStreamsGroup["members"][number];

export function describeStreamsGroup(context: GroupContext, groupId: string): DescribedStreamsGroup {
  const group = context.groups.get(groupId);
  if (!(group instanceof StreamsGroup)) {
    const text = group === undefined ? `Group ${groupId} not found.` : `Group ${groupId} is not a streams group.`;
    return failedStreamsGroup(groupId, ErrorCode.GROUP_ID_NOT_FOUND, text);
  }
  return {
    groupId,
    errorCode: ErrorCode.NONE,
    groupState: group.state,
    groupEpoch: group.groupEpoch,
    assignmentEpoch: group.assignmentEpoch,
    topology: group.topology === null ? null : describeTopology(context, group.topology),
    members: [...group.members.values()].map((member) => describeMember(group, member)),
  };
}

function describeTopology(context: GroupContext, topology: Topology): DescribedStreamsGroup["topology"] {
  const { partitionCounts, status } = configureTopology(topology, context.topics);
  type Info = Topology["subtopologies"][number]["stateChangelogTopics"][number];
  const info = (topic: Info): Info => ({
    ...topic,
    partitions: status === null ? (partitionCounts.get(topic.name) ?? topic.partitions) : topic.partitions,
    topicConfigs: [...topic.topicConfigs].sort((a, b) => (a.key < b.key ? -1 : 1)),
  });
  return {
    epoch: topology.epoch,
    subtopologies: [...topology.subtopologies]
      .sort((a, b) => (a.subtopologyId < b.subtopologyId ? -1 : 1))
      .map((each) => ({
        subtopologyId: each.subtopologyId,
        sourceTopics: [...each.sourceTopics].sort(),
        repartitionSinkTopics: [...each.repartitionSinkTopics].sort(),
        stateChangelogTopics: each.stateChangelogTopics.map(info),
        repartitionSourceTopics: each.repartitionSourceTopics.map(info),
      })),
  };
}

function describeMember(group: StreamsGroup, member: StreamsMember): DescribedMember {
  const { memberId, memberEpoch, instanceId, rackId, clientId, clientHost, topologyEpoch, processId } = member;
  const target = group.targetOf(memberId);
  return {
    ...{ memberId, memberEpoch, instanceId, rackId, clientId, clientHost, topologyEpoch, processId },
    userEndpoint: member.userEndpoint,
    clientTags: member.clientTags,
    taskOffsets: [],
    taskEndOffsets: [],
    assignment: {
      activeTasks: taskIdsOf(member.assigned.active),
      standbyTasks: taskIdsOf(member.assigned.standby),
      warmupTasks: taskIdsOf(member.assigned.warmup),
    },
    targetAssignment: {
      activeTasks: targetIdsOf(target.active),
      standbyTasks: targetIdsOf(target.standby),
      warmupTasks: targetIdsOf(target.warmup),
    },
    isClassic: false,
  };
}

export function failedStreamsGroup(
  groupId: string,
  errorCode: number,
  errorMessage: string | null,
): DescribedStreamsGroup {
  return {
    ...{ groupId, errorCode, errorMessage },
    groupState: "",
    groupEpoch: 0,
    assignmentEpoch: 0,
    topology: null,
    members: [],
  };
}
