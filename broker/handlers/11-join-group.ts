// JoinGroup v0–9. v4: a member without an id is given one and joins again (KIP-394). v5: static members (KIP-345). v8: reasons (KIP-800).
// v9: a returning static leader may skip assigning (KIP-814). The answer comes when the generation begins.
import { type ApiKey, ErrorCode, type JoinGroupResponseInit } from "@blumfeld/core/protocol";
import { answerLater, type Handler, type RequestContext } from "../request-context.ts";
import { groupClientOf } from "../shards/group-coordinator.ts";
import { type GroupHandlerParts, mayReadGroup } from "./group-rules.ts";

const namelessProtocolFrom = 7;

export function createJoinGroupHandler(parts: GroupHandlerParts): Handler<typeof ApiKey.JoinGroup> {
  return (request, context) => {
    const refused = (errorCode: number): JoinGroupResponseInit => {
      return shaped(
        { errorCode, memberId: request.memberId, leader: "", protocolName: null, members: [] },
        context.apiVersion,
      );
    };
    if (!mayReadGroup(parts, context, request.groupId)) return refused(ErrorCode.GROUP_AUTHORIZATION_FAILED);
    if (request.groupId === "") return refused(ErrorCode.INVALID_GROUP_ID);
    const { sessionTimeoutMsMax, sessionTimeoutMsMin } = parts.coordinators.groups.config.classic;
    if (request.sessionTimeoutMs < sessionTimeoutMsMin || request.sessionTimeoutMs > sessionTimeoutMsMax)
      return refused(ErrorCode.INVALID_SESSION_TIMEOUT);
    let isAnswered = false;
    const answer = (response: JoinGroupResponseInit): void => {
      if (isAnswered) return;
      isAnswered = true;
      context.answer(shaped(response, context.apiVersion));
    };
    const client = groupClientOf(context as RequestContext);
    parts.coordinators.groups.write(
      request.groupId,
      "JoinGroup",
      (shard, nowMs) => shard.joinGroup(request, client, answer, nowMs),
      (outcome) => {
        if (outcome.errorCode !== ErrorCode.NONE) answer(refused(outcome.errorCode));
      },
    );
    return answerLater;
  };
}

/** Before v7 a protocol's name cannot be null. */
function shaped(response: JoinGroupResponseInit, apiVersion: number): JoinGroupResponseInit {
  if (apiVersion >= namelessProtocolFrom || response.protocolName !== null) return response;
  return { ...response, protocolName: "" };
}
