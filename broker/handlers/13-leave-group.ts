// LeaveGroup v0–5. v3: several members at once, static ones by instance id. v5: reasons (KIP-800).
import { type ApiKey, ErrorCode, type LeaveGroupResponseInit } from "@blumfeld/core/protocol";
import { answerLater, type Handler } from "../request-context.ts";
import { type GroupHandlerParts, mayReadGroup } from "./group-rules.ts";

const severalMembersFrom = 3;

export function createLeaveGroupHandler(parts: GroupHandlerParts): Handler<typeof ApiKey.LeaveGroup> {
  return (request, context) => {
    if (!mayReadGroup(parts, context, request.groupId)) return { errorCode: ErrorCode.GROUP_AUTHORIZATION_FAILED };
    if (request.groupId === "") return { errorCode: ErrorCode.INVALID_GROUP_ID };
    const isSingle = context.apiVersion < severalMembersFrom;
    const members = isSingle ? [{ memberId: request.memberId, groupInstanceId: null, reason: null }] : request.members;
    parts.coordinators.groups.write(
      request.groupId,
      "LeaveGroup",
      (shard, nowMs) => shard.leaveGroup(request.groupId, members, nowMs),
      ({ errorCode, answer }) => context.answer(answer === undefined ? { errorCode } : shaped(answer, isSingle)),
    );
    return answerLater;
  };
}

/** One member's error is the request's, before it could name several. */
function shaped(answer: LeaveGroupResponseInit, isSingle: boolean): LeaveGroupResponseInit {
  if (!isSingle) return answer;
  return { errorCode: answer.errorCode || (answer.members?.[0]?.errorCode ?? ErrorCode.NONE) };
}
