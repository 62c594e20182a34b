// ShareGroupDescribe v1 (KIP-932).
import { type DescribedShareGroup, failedShareGroup } from "@blumfeld/core/coordinator";
import { type ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import type { Handler, RequestContext } from "../request-context.ts";
import { AclOperation, authorizedOperations, ResourceType } from "../security-seam.ts";
import { type GroupHandlerParts, mayOnGroup } from "./group-rules.ts";

const operationsOmitted = -2147483648;
const topicsHidden = "The group has described topic(s) that the client is not authorized to describe.";

export function createShareGroupDescribeHandler(parts: GroupHandlerParts): Handler<typeof ApiKey.ShareGroupDescribe> {
  const { groups } = parts.coordinators;
  return async (request, context) => {
    const described = await groups.each<DescribedShareGroup>(request.groupIds, (groupId, done) => {
      if (!groups.config.isShareProtocolEnabled)
        return done(failedShareGroup(groupId, ErrorCode.UNSUPPORTED_VERSION, null));
      if (!mayOnGroup(parts, context, AclOperation.Describe, groupId))
        return done(failedShareGroup(groupId, ErrorCode.GROUP_AUTHORIZATION_FAILED, null));
      if (groupId === "") return done(failedShareGroup(groupId, ErrorCode.INVALID_GROUP_ID, null));
      groups.read(
        groupId,
        "ShareGroupDescribe",
        (shard) => shard.administration.describeShare(groupId),
        ({ errorCode, answer }) => done(answer ?? failedShareGroup(groupId, errorCode, null)),
      );
    });
    return {
      throttleTimeMs: 0,
      groups: described.map((group) => {
        if (group.errorCode !== ErrorCode.NONE) return group;
        if (!mayDescribeTopics(parts, context as RequestContext, group))
          return failedShareGroup(group.groupId, ErrorCode.TOPIC_AUTHORIZATION_FAILED, topicsHidden);
        const operations = request.includeAuthorizedOperations
          ? authorizedOperations(parts.authorizer, context, ResourceType.Group, group.groupId)
          : operationsOmitted;
        return { ...group, authorizedOperations: operations };
      }),
    };
  };
}

function mayDescribeTopics(parts: GroupHandlerParts, context: RequestContext, group: DescribedShareGroup): boolean {
  const names = new Set<string>();
  for (const { assignment } of group.members)
    for (const { topicName } of assignment.topicPartitions) names.add(topicName);
  return [...names].every((name) =>
    parts.authorizer.authorize(context, AclOperation.Describe, ResourceType.Topic, name),
  );
}
