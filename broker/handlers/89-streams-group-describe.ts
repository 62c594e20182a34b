// StreamsGroupDescribe v0 (KIP-1071).
import { type DescribedStreamsGroup, failedStreamsGroup } from "@blumfeld/core/coordinator";
import { type ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import type { Handler, RequestContext } from "../request-context.ts";
import { AclOperation, authorizedOperations, ResourceType } from "../security-seam.ts";
import { type GroupHandlerParts, mayOnGroup } from "./group-rules.ts";

const operationsOmitted = -2147483648;
const topicsHidden = "The described group uses topics that the client is not authorized to describe.";

export function createStreamsGroupDescribeHandler(
  parts: GroupHandlerParts,
): Handler<typeof ApiKey.StreamsGroupDescribe> {
  const { groups } = parts.coordinators;
  return async (request, context) => {
    const described = await groups.each<DescribedStreamsGroup>(request.groupIds, (groupId, done) => {
      if (!groups.config.streams.isEnabled)
        return done(failedStreamsGroup(groupId, ErrorCode.UNSUPPORTED_VERSION, null));
      if (!mayOnGroup(parts, context, AclOperation.Describe, groupId))
        return done(failedStreamsGroup(groupId, ErrorCode.GROUP_AUTHORIZATION_FAILED, null));
      if (groupId === "") return done(failedStreamsGroup(groupId, ErrorCode.INVALID_GROUP_ID, null));
      groups.read(
        groupId,
        "StreamsGroupDescribe",
        (shard) => shard.administration.describeStreams(groupId),
        ({ errorCode, answer }) => done(answer ?? failedStreamsGroup(groupId, errorCode, null)),
      );
    });
    return {
      throttleTimeMs: 0,
      groups: described.map((group) => {
        if (group.errorCode !== ErrorCode.NONE) return group;
        if (!mayDescribeTopics(parts, context as RequestContext, group))
          return failedStreamsGroup(group.groupId, ErrorCode.TOPIC_AUTHORIZATION_FAILED, topicsHidden);
        const operations = request.includeAuthorizedOperations
          ? authorizedOperations(parts.authorizer, context, ResourceType.Group, group.groupId)
          : operationsOmitted;
        return { ...group, authorizedOperations: operations };
      }),
    };
  };
}

function mayDescribeTopics(parts: GroupHandlerParts, context: RequestContext, group: DescribedStreamsGroup): boolean {
  const names = new Set<string>();
  for (const each of group.topology?.subtopologies ?? []) {
    for (const name of [...each.sourceTopics, ...each.repartitionSinkTopics]) names.add(name);
    for (const { name } of [...each.repartitionSourceTopics, ...each.stateChangelogTopics]) names.add(name);
  }
  return [...names].every((name) =>
    parts.authorizer.authorize(context, AclOperation.Describe, ResourceType.Topic, name),
  );
}
