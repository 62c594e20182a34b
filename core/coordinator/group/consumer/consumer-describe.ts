// ConsumerGroupDescribe: a group as its records have it.
import { type ConsumerGroupDescribeResponseInit, ErrorCode } from "../../../protocol/index.ts";
import type { GroupContext } from "../group-context.ts";
import { ConsumerGroup } from "./consumer-group.ts";
import { topicPartitionsOf } from "./consumer-heartbeat.ts";
import type { Assigned, ConsumerMember, Target } from "./consumer-member.ts";
import { assignorOf } from "./consumer-target.ts";

export type DescribedConsumerGroup = ConsumerGroupDescribeResponseInit["groups"][number];
type Assignment = DescribedConsumerGroup["members"][number]["assignment"];

const memberTypeClassic = 0;
const memberTypeConsumer = 1;

export function describeConsumerGroup(context: GroupContext, groupId: string): DescribedConsumerGroup {
  const group = context.groups.get(groupId);
  if (!(group instanceof ConsumerGroup)) {
    const text = group === undefined ? `Group ${groupId} not found.` : `Group ${groupId} is not a consumer group.`;
    return failedConsumerGroup(groupId, ErrorCode.GROUP_ID_NOT_FOUND, text);
  }
  const named = (
    topicPartitions: readonly {
      topicId: Target extends ReadonlyMap<infer Id, unknown> ? Id : never;
      partitions: readonly number[];
    }[],
  ): Assignment => ({
    topicPartitions: topicPartitions.flatMap(({ topicId, partitions }) => {
      // A topic that is gone has no name to tell.
      const topicName = context.topics.byId(topicId)?.name;
      return topicName === undefined ? [] : [{ topicId, topicName, partitions }];
    }),
  });
  const describeMember = (member: ConsumerMember): DescribedConsumerGroup["members"][number] => ({
    memberId: member.memberId,
    instanceId: member.instanceId,
    rackId: member.rackId,
    memberEpoch: member.memberEpoch,
    clientId: member.clientId,
    clientHost: member.clientHost,
    subscribedTopicNames: [...member.subscribedTopicNames],
    subscribedTopicRegex: member.subscribedTopicRegex,
    assignment: named(topicPartitionsOf(held(member))),
    targetAssignment: named(
      [...group.targetOf(member.memberId)].map(([topicId, partitions]) => ({ topicId, partitions })),
    ),
    memberType: member.classic === null ? memberTypeConsumer : memberTypeClassic,
  });
  return {
    groupId,
    errorCode: ErrorCode.NONE,
    groupState: group.state,
    groupEpoch: group.groupEpoch,
    assignmentEpoch: group.assignmentEpoch,
    assignorName: assignorOf(context, group, group.members.values()),
    // No order is promised; Kafka's own tests write down this one.
    members: [...group.members.values()].reverse().map(describeMember),
  };
}

/** With what it has still to give up: nobody else has that yet. */
function held({ assigned, pendingRevocation }: ConsumerMember): Assigned {
  if (pendingRevocation.size === 0) return assigned;
  const all = new Map(assigned);
  for (const [topic, partitions] of pendingRevocation)
    all.set(topic, new Map([...(all.get(topic) ?? []), ...partitions]));
  return all;
}

export function failedConsumerGroup(
  groupId: string,
  errorCode: number,
  errorMessage: string | null,
): DescribedConsumerGroup {
  return {
    groupId,
    errorCode,
    errorMessage,
    groupState: "",
    groupEpoch: 0,
    assignmentEpoch: 0,
    assignorName: "",
    members: [],
  };
}
