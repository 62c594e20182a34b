// ConsumerGroupDescribe v0–1 (KIP-848). v1: whether a member speaks the classic or the consumer protocol.
import { type DescribedConsumerGroup, failedConsumerGroup } from "@blumfeld/core/coordinator";
import { type ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import type { Handler, RequestContext } from "../request-context.ts";
import { AclOperation, authorizedOperations, ResourceType } from "../security-seam.ts";
import { type GroupHandlerParts, mayOnGroup } from "./group-rules.ts";

const operationsOmitted = -2147483648;
const topicsHidden = "The group has described topic(s) that the client is not authorized to describe.";

export function createConsumerGroupDescribeHandler(
  parts: GroupHandlerParts,
): Handler<typeof ApiKey.ConsumerGroupDescribe> {
  const { groups } = parts.coordinators;
  return async (request, context) => {
    const described = await groups.each<DescribedConsumerGroup>(request.groupIds, (groupId, done) => {
      if (!groups.config.isConsumerProtocolEnabled)
        return done(failedConsumerGroup(groupId, ErrorCode.UNSUPPORTED_VERSION, null));
      if (!mayOnGroup(parts, context, AclOperation.Describe, groupId))
        return done(failedConsumerGroup(groupId, ErrorCode.GROUP_AUTHORIZATION_FAILED, null));
      if (groupId === "") return done(failedConsumerGroup(groupId, ErrorCode.INVALID_GROUP_ID, null));
      groups.read(
        groupId,
        "ConsumerGroupDescribe",
        (shard) => shard.administration.describeConsumer(groupId),
        ({ errorCode, answer }) => done(answer ?? failedConsumerGroup(groupId, errorCode, null)),
      );
    });
    return {
      throttleTimeMs: 0,
      groups: described.map((group) => {
        if (group.errorCode !== ErrorCode.NONE) return group;
        if (!mayDescribeTopics(parts, context as RequestContext, group))
          return failedConsumerGroup(group.groupId, ErrorCode.TOPIC_AUTHORIZATION_FAILED, topicsHidden);
        const operations = request.includeAuthorizedOperations
          ? authorizedOperations(parts.authorizer, context, ResourceType.Group, group.groupId)
          : operationsOmitted;
        return { ...group, authorizedOperations: operations };
      }),
    };
  };
}

function mayDescribeTopics(parts: GroupHandlerParts, context: RequestContext, group: DescribedConsumerGroup): boolean {
  const names = new Set<string>();
  for (const { assignment, targetAssignment } of group.members)
    for (const { topicPartitions } of [assignment, targetAssignment])
      for (const { topicName } of topicPartitions) names.add(topicName);
  return [...names].every((name) =>
    parts.authorizer.authorize(context, AclOperation.Describe, ResourceType.Topic, name),
  );
}
