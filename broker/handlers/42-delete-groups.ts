// DeleteGroups v0–2: groups of any type that are empty, with their offsets; a share group with what the share coordinator knows of it.
import { type ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import type { Handler } from "../request-context.ts";
import { AclOperation } from "../security-seam.ts";
import type { ShareGroupStates } from "../share/share-group-states.ts";
import { type GroupHandlerParts, mayOnGroup } from "./group-rules.ts";

type Parts = GroupHandlerParts & { readonly shareStates: ShareGroupStates };

export function createDeleteGroupsHandler(parts: Parts): Handler<typeof ApiKey.DeleteGroups> {
  const { groups } = parts.coordinators;
  return async (request, context) => {
    const groupIds = [...new Set(request.groupsNames)];
    const errorCodes = await groups.each<number>(groupIds, (groupId, done) => {
      if (!mayOnGroup(parts, context, AclOperation.Delete, groupId)) return done(ErrorCode.GROUP_AUTHORIZATION_FAILED);
      const deleteGroup = (): void =>
        groups.write(
          groupId,
          "DeleteGroups",
          (shard) => shard.administration.deleteGroup(groupId),
          ({ errorCode, answer }) => done(answer ?? errorCode),
        );
      deleteShareState(parts, groupId).then(
        (errorCode) => (errorCode === ErrorCode.NONE ? deleteGroup() : done(errorCode)),
        () => done(ErrorCode.UNKNOWN_SERVER_ERROR),
      );
    });
    return {
      throttleTimeMs: 0,
      results: groupIds.map((groupId, index) => ({ groupId, errorCode: errorCodes[index]! })),
    };
  };
}

/** First, so that nothing of the group is left behind. */
async function deleteShareState({ shareStates }: Parts, groupId: string): Promise<number> {
  const { group } = await shareStates.known(groupId);
  return group?.isEmpty === true ? shareStates.delete(groupId, group.all) : ErrorCode.NONE;
}
