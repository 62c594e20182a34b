// ShareGroupHeartbeat v1 (KIP-932). A heartbeat that wants partitions without state has the share coordinator asked for it; they come with a later one.
import {
  type ApiKey,
  ErrorCode,
  type ShareGroupHeartbeatRequest,
  type ShareGroupHeartbeatResponseInit,
} from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import { answerLater, type Handler, type RequestContext } from "../request-context.ts";
import { AclOperation, ResourceType } from "../security-seam.ts";
import { groupClientOf } from "../shards/group-coordinator.ts";
import type { ShareGroupStates } from "../share/share-group-states.ts";
import { type GroupHandlerParts, mayReadGroup } from "./group-rules.ts";

type Parts = BrokerParts & GroupHandlerParts & { readonly shareStates: ShareGroupStates };

export function createShareGroupHeartbeatHandler(parts: Parts): Handler<typeof ApiKey.ShareGroupHeartbeat> {
  const { groups } = parts.coordinators;
  return (request, context) => {
    const refused = (errorCode: number, errorMessage: string | null = null): ShareGroupHeartbeatResponseInit => ({
      ...{ throttleTimeMs: 0, errorCode, errorMessage, memberEpoch: 0, heartbeatIntervalMs: 0 },
    });
    const { groupId } = request;
    if (!groups.config.isShareProtocolEnabled) return refused(ErrorCode.UNSUPPORTED_VERSION);
    if (!mayReadGroup(parts, context, groupId)) return refused(ErrorCode.GROUP_AUTHORIZATION_FAILED);
    const mayDescribeAll = (request.subscribedTopicNames ?? []).every((topic) =>
      parts.authorizer.authorize(context, AclOperation.Describe, ResourceType.Topic, topic),
    );
    if (!mayDescribeAll) return refused(ErrorCode.TOPIC_AUTHORIZATION_FAILED);
    const problem = problemOf(request);
    if (problem !== null) return refused(ErrorCode.INVALID_REQUEST, problem);
    const client = groupClientOf(context as RequestContext);
    groups.write(
      groupId,
      "ShareGroupHeartbeat",
      (shard, nowMs) => shard.share.heartbeat(request, client, nowMs),
      ({ errorCode, answer }) => {
        context.answer(answer?.response ?? refused(errorCode));
        if (answer === undefined || answer.initialize === null) return;
        parts.shareStates.initialize(groupId, answer.initialize).catch((error: unknown) => {
          parts.logger.error({ group: groupId, err: error }, `share state was not initialized: ${error}`);
        });
      },
    );
    return answerLater;
  };
}

/** What contradicts the protocol; null where nothing does. */
function problemOf({ groupId, memberEpoch, memberId, rackId, subscribedTopicNames }: ShareGroupHeartbeatRequest) {
  if (memberId.trim() === "") return "MemberId can't be empty.";
  if (groupId.trim() === "") return "GroupId can't be empty.";
  if (rackId?.trim() === "") return "RackId can't be empty.";
  if (memberEpoch === 0 && (subscribedTopicNames === null || subscribedTopicNames.length === 0))
    return "SubscribedTopicNames must be set in first request.";
  return memberEpoch < -1 ? "MemberEpoch is invalid." : null;
}
