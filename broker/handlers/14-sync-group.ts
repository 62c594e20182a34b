// SyncGroup v0–5. v3: static members. v5: the protocol type and name that the member believes in. The answer comes when the leader's
// assignment is in the log.
import { type ApiKey, ErrorCode, type SyncGroupResponseInit } from "@blumfeld/core/protocol";
import { answerLater, type Handler } from "../request-context.ts";
import { type GroupHandlerParts, mayReadGroup } from "./group-rules.ts";

const protocolNamedFrom = 5;
const noAssignment = Buffer.alloc(0);

export function createSyncGroupHandler(parts: GroupHandlerParts): Handler<typeof ApiKey.SyncGroup> {
  return (request, context) => {
    const refused = (errorCode: number): SyncGroupResponseInit => ({ errorCode, assignment: noAssignment });
    // A member that names no protocol cannot be told that it is in the wrong group.
    const lacksProtocol = request.protocolType === null || request.protocolName === null;
    if (context.apiVersion >= protocolNamedFrom && lacksProtocol) return refused(ErrorCode.INCONSISTENT_GROUP_PROTOCOL);
    if (!mayReadGroup(parts, context, request.groupId)) return refused(ErrorCode.GROUP_AUTHORIZATION_FAILED);
    if (request.groupId === "") return refused(ErrorCode.INVALID_GROUP_ID);
    let isAnswered = false;
    const answer = (response: SyncGroupResponseInit): void => {
      if (isAnswered) return;
      isAnswered = true;
      context.answer(response);
    };
    parts.coordinators.groups.write(
      request.groupId,
      "SyncGroup",
      (shard, nowMs) => shard.syncGroup(request, answer, nowMs),
      (outcome) => {
        if (outcome.errorCode !== ErrorCode.NONE) answer(refused(outcome.errorCode));
      },
    );
    return answerLater;
  };
}
