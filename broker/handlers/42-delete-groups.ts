// DeleteGroups v0–2: groups of any type that are empty, with their offsets.
import { type ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import type { Handler } from "../request-context.ts";
import { AclOperation } from "../security-seam.ts";
import { type GroupHandlerParts, mayOnGroup } from "./group-rules.ts";

export function createDeleteGroupsHandler(parts: GroupHandlerParts): Handler<typeof ApiKey.DeleteGroups> {
  const { groups } = parts.coordinators;
  return async (request, context) => {
    const groupIds = [...new Set(request.groupsNames)];
    const errorCodes = await groups.each<number>(groupIds, (groupId, done) => {
      if (!mayOnGroup(parts, context, AclOperation.Delete, groupId)) return done(ErrorCode.GROUP_AUTHORIZATION_FAILED);
      groups.write(
        groupId,
        "DeleteGroups",
        (shard) => shard.administration.deleteGroup(groupId),
        ({ errorCode, answer }) => done(answer ?? errorCode),
      );
    });
    return {
      throttleTimeMs: 0,
      results: groupIds.map((groupId, index) => ({ groupId, errorCode: errorCodes[index]! })),
    };
  };
}
