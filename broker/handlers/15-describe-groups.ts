// DescribeGroups v0–6, classic groups. v3: authorized operations. v6: a missing group is an error (KIP-1043).
import type { DescribedGroup } from "@blumfeld/core/coordinator";
import { type ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import type { Handler } from "../request-context.ts";
import { AclOperation, authorizedOperations, ResourceType } from "../security-seam.ts";
import { type GroupHandlerParts, mayOnGroup } from "./group-rules.ts";

const operationsOmitted = -2147483648;

export function createDescribeGroupsHandler(parts: GroupHandlerParts): Handler<typeof ApiKey.DescribeGroups> {
  const { groups } = parts.coordinators;
  return async (request, context) => {
    const described = await groups.each<DescribedGroup>(request.groups, (groupId, done) => {
      if (!mayOnGroup(parts, context, AclOperation.Describe, groupId))
        return done(failed(groupId, ErrorCode.GROUP_AUTHORIZATION_FAILED));
      groups.read(
        groupId,
        "DescribeGroups",
        (shard) => shard.administration.describeClassic(groupId, context.apiVersion),
        ({ errorCode, answer }) => done(answer ?? failed(groupId, errorCode)),
      );
    });
    return {
      throttleTimeMs: 0,
      groups: described.map((group) => ({
        ...group,
        authorizedOperations:
          request.includeAuthorizedOperations && group.errorCode === ErrorCode.NONE
            ? authorizedOperations(parts.authorizer, context, ResourceType.Group, group.groupId)
            : operationsOmitted,
      })),
    };
  };
}

function failed(groupId: string, errorCode: number): DescribedGroup {
  return { groupId, errorCode, groupState: "", protocolType: "", protocolData: "", members: [] };
}
