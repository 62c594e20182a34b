// Heartbeat v0–4. v3: static members. While the coordinator loads, a member is told that all is well: a rebalance would not help it.
import { type ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import { answerLater, type Handler } from "../request-context.ts";
import { type GroupHandlerParts, mayReadGroup } from "./group-rules.ts";

export function createHeartbeatHandler(parts: GroupHandlerParts): Handler<typeof ApiKey.Heartbeat> {
  return (request, context) => {
    if (!mayReadGroup(parts, context, request.groupId)) return { errorCode: ErrorCode.GROUP_AUTHORIZATION_FAILED };
    if (request.groupId === "") return { errorCode: ErrorCode.INVALID_GROUP_ID };
    parts.coordinators.groups.write(
      request.groupId,
      "Heartbeat",
      (shard) => shard.heartbeat(request),
      ({ errorCode, answer }) => {
        const isLoading = errorCode === ErrorCode.COORDINATOR_LOAD_IN_PROGRESS;
        context.answer({ errorCode: isLoading ? ErrorCode.NONE : (answer ?? errorCode) });
      },
    );
    return answerLater;
  };
}
