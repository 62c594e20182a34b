// DeleteShareGroupOffsets v0 (KIP-932): an empty group forgets all it knows of topics.
import { type Uuid, uuidZero } from "@blumfeld/core/base";
import { type ApiKey, type DeleteShareGroupOffsetsResponseInit, ErrorCode } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { Handler } from "../request-context.ts";
import { AclOperation } from "../security-seam.ts";
import type { KnownShareGroup, ShareGroupStates } from "../share/share-group-states.ts";
import { type GroupHandlerParts, mayOnGroup, topicForGroups } from "./group-rules.ts";

type Parts = BrokerParts & GroupHandlerParts & { readonly shareStates: ShareGroupStates };
type Response = DeleteShareGroupOffsetsResponseInit;

export function createDeleteShareGroupOffsetsHandler(parts: Parts): Handler<typeof ApiKey.DeleteShareGroupOffsets> {
  return async (request, context) => {
    const { groupId } = request;
    const failed = (errorCode: number, errorMessage: string | null = null): Response => ({
      ...{ throttleTimeMs: 0, errorCode, errorMessage, responses: [] },
    });
    if (!parts.coordinators.groups.config.isShareProtocolEnabled) return failed(ErrorCode.UNSUPPORTED_VERSION);
    if (!mayOnGroup(parts, context, AclOperation.Delete, groupId)) return failed(ErrorCode.GROUP_AUTHORIZATION_FAILED);
    if (groupId === "") return failed(ErrorCode.INVALID_GROUP_ID);
    const { errorCode, group } = await parts.shareStates.known(groupId);
    if (errorCode !== ErrorCode.NONE) return failed(errorCode);
    if (group === null) return failed(ErrorCode.GROUP_ID_NOT_FOUND, `Group ${groupId} not found.`);
    if (!group.isEmpty) return failed(ErrorCode.NON_EMPTY_GROUP);
    const responses = request.topics.map(async ({ topicName }) => {
      const named = { name: topicName, topicId: uuidZero };
      const found = topicForGroups(parts, context, AclOperation.Read, named, false);
      if ("errorCode" in found) return { topicName, topicId: uuidZero, errorCode: found.errorCode };
      const { topicId } = found;
      return { topicName, topicId, errorCode: await deleteTopic(parts, groupId, group, topicId) };
    });
    return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, responses: await Promise.all(responses) };
  };
}

function deleteTopic(parts: Parts, groupId: string, group: KnownShareGroup, topicId: Uuid): Promise<number> | number {
  const topic = group.all.get(topicId);
  return topic === undefined ? ErrorCode.NONE : parts.shareStates.delete(groupId, new Map([[topicId, topic]]));
}
