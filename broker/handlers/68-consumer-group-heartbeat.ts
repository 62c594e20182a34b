// ConsumerGroupHeartbeat v0–1 (KIP-848). v1: the member names itself, and subscribes by regular expression.

import type { GroupClient } from "@blumfeld/core/coordinator";
import {
  type ApiKey,
  type ConsumerGroupHeartbeatRequest,
  type ConsumerGroupHeartbeatResponseInit,
  ErrorCode,
} from "@blumfeld/core/protocol";
import { answerLater, type Handler, type RequestContext } from "../request-context.ts";
import { AclOperation, ResourceType } from "../security-seam.ts";
import { groupClientOf } from "../shards/group-coordinator.ts";
import { type GroupHandlerParts, mayReadGroup } from "./group-rules.ts";

const memberNamesItselfFrom = 1;

export function createConsumerGroupHeartbeatHandler(
  parts: GroupHandlerParts,
): Handler<typeof ApiKey.ConsumerGroupHeartbeat> {
  const { groups } = parts.coordinators;
  return (request, context) => {
    const refused = (errorCode: number, errorMessage: string | null = null): ConsumerGroupHeartbeatResponseInit => ({
      ...{ throttleTimeMs: 0, errorCode, errorMessage, memberEpoch: 0, heartbeatIntervalMs: 0 },
    });
    if (!groups.config.isConsumerProtocolEnabled) return refused(ErrorCode.UNSUPPORTED_VERSION);
    if (!mayReadGroup(parts, context, request.groupId)) return refused(ErrorCode.GROUP_AUTHORIZATION_FAILED);
    const mayDescribeAll = (request.subscribedTopicNames ?? []).every((topic) =>
      parts.authorizer.authorize(context, AclOperation.Describe, ResourceType.Topic, topic),
    );
    if (!mayDescribeAll) return refused(ErrorCode.TOPIC_AUTHORIZATION_FAILED);
    const problem = problemOf(request, context.apiVersion);
    if (problem !== null) return refused(ErrorCode.INVALID_REQUEST, problem);
    const { consumerAssignors } = groups.config;
    if (request.serverAssignor !== null && !consumerAssignors.includes(request.serverAssignor)) {
      const text = `ServerAssignor ${request.serverAssignor} is not supported. Supported assignors: ${consumerAssignors.join(", ")}.`;
      return refused(ErrorCode.UNSUPPORTED_ASSIGNOR, text);
    }
    const { clientAddress, listenerName, principal } = context;
    // Not the request itself: this outlives it, until the group's patterns are resolved.
    const origin = { clientAddress, listenerName, principal };
    const mayFindTopic = (topic: string): boolean =>
      parts.authorizer.authorize(origin, AclOperation.Describe, ResourceType.Topic, topic);
    const client: GroupClient = {
      ...groupClientOf(context as RequestContext),
      mayFindTopic: parts.authorizer.isConfigured ? mayFindTopic : undefined,
    };
    groups.write(
      request.groupId,
      "ConsumerGroupHeartbeat",
      (shard, nowMs) => shard.consumerGroupHeartbeat(request, client, nowMs),
      ({ errorCode, answer }) => context.answer(answer ?? refused(errorCode)),
    );
    return answerLater;
  };
}

/** What contradicts the protocol; null where nothing does. */
function problemOf(request: ConsumerGroupHeartbeatRequest, apiVersion: number): string | null {
  const { groupId, instanceId, memberEpoch, memberId, rackId, subscribedTopicNames, topicPartitions } = request;
  if ((apiVersion >= memberNamesItselfFrom || memberEpoch !== 0) && memberId.trim() === "")
    return "MemberId can't be empty.";
  if (groupId.trim() === "") return "GroupId can't be empty.";
  if (instanceId?.trim() === "") return "InstanceId can't be empty.";
  if (rackId?.trim() === "") return "RackId can't be empty.";
  if (memberEpoch === 0) {
    if (request.rebalanceTimeoutMs === -1) return "RebalanceTimeoutMs must be provided in first request.";
    if (topicPartitions === null || topicPartitions.length > 0)
      return "TopicPartitions must be empty when (re-)joining.";
    if (subscribedTopicNames === null && request.subscribedTopicRegex === null)
      return "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.";
    return null;
  }
  if (memberEpoch === -2 && instanceId === null) return "InstanceId can't be null.";
  return memberEpoch < -2 ? "MemberEpoch is invalid." : null;
}
