// StreamsGroupHeartbeat v0 (KIP-1071). The internal topics that the topology lacks are made once the heartbeat is committed, where the principal may.
// As in Kafka 4.3 there are no static members, no source topics by regular expression, and no offsets of tasks.
import {
  refusedStreamsHeartbeat,
  type StreamsAnswer,
  streamsStatuses,
  topicNamesProblem,
  topicsOf,
  topologyProblem,
} from "@blumfeld/core/coordinator";
import {
  type ApiKey,
  ErrorCode,
  type StreamsGroupHeartbeatRequest,
  type StreamsGroupHeartbeatResponseInit,
} from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import { answerLater, type Handler, type RequestContext } from "../request-context.ts";
import { AclOperation, clusterResourceName, ResourceType } from "../security-seam.ts";
import { groupClientOf } from "../shards/group-coordinator.ts";
import { StreamsTopicCreator } from "../shards/streams-topics.ts";
import { originOf } from "./forward.ts";
import { type GroupHandlerParts, mayReadGroup } from "./group-rules.ts";

type Parts = GroupHandlerParts & Pick<BrokerParts, "controllerChannel" | "clock" | "logger">;

const creationMsMax = 30_000;
/** A topic's failure is told to the members over so many of their heartbeats. */
const failureHeartbeats = 3;

export function createStreamsGroupHeartbeatHandler(parts: Parts): Handler<typeof ApiKey.StreamsGroupHeartbeat> {
  const { groups } = parts.coordinators;
  const creator = new StreamsTopicCreator(parts);
  return (request, context) => {
    const { streams } = groups.config;
    if (!streams.isEnabled) return refusedStreamsHeartbeat(ErrorCode.UNSUPPORTED_VERSION, null);
    if (!mayReadGroup(parts, context, request.groupId))
      return refusedStreamsHeartbeat(ErrorCode.GROUP_AUTHORIZATION_FAILED, null);
    const refusal = refusalOfTopology(parts, context as RequestContext, request) ?? refusalOf(request);
    if (refusal !== null) return refusal;
    groups.write(
      request.groupId,
      "StreamsGroupHeartbeat",
      (shard, nowMs) => shard.streamsGroupHeartbeat(request, groupClientOf(context as RequestContext), nowMs),
      ({ errorCode, answer }) =>
        context.answer(
          answer === undefined
            ? refusedStreamsHeartbeat(errorCode, null)
            : withTopics(parts, creator, context as RequestContext, answer),
        ),
    );
    return answerLater;
  };
}

function refusalOfTopology(
  parts: Parts,
  context: RequestContext,
  { topology }: StreamsGroupHeartbeatRequest,
): StreamsGroupHeartbeatResponseInit | null {
  if (topology === null) return null;
  const names = topicNamesProblem(topology);
  if (names !== null) return refusedStreamsHeartbeat(ErrorCode.STREAMS_INVALID_TOPOLOGY, names);
  const mayDescribeAll = [...topicsOf(topology)].every((topic) =>
    parts.authorizer.authorize(context, AclOperation.Describe, ResourceType.Topic, topic),
  );
  return mayDescribeAll ? null : refusedStreamsHeartbeat(ErrorCode.TOPIC_AUTHORIZATION_FAILED, null);
}

function refusalOf(request: StreamsGroupHeartbeatRequest): StreamsGroupHeartbeatResponseInit | null {
  const problem = unsupportedIn(request) ?? problemOf(request);
  if (problem !== null) return refusedStreamsHeartbeat(ErrorCode.INVALID_REQUEST, problem);
  const ofTopology = request.topology === null ? null : topologyProblem(request.topology);
  return ofTopology === null ? null : refusedStreamsHeartbeat(ErrorCode.STREAMS_INVALID_TOPOLOGY, ofTopology);
}

function unsupportedIn(request: StreamsGroupHeartbeatRequest): string | null {
  if (request.instanceId !== null) return "Static membership is not yet supported.";
  if (request.taskOffsets !== null) return "TaskOffsets are not supported yet.";
  if (request.taskEndOffsets !== null) return "TaskEndOffsets are not supported yet.";
  if ((request.warmupTasks?.length ?? 0) > 0) return "WarmupTasks are not supported yet.";
  const hasRegex = request.topology?.subtopologies.some(({ sourceTopicRegex }) => sourceTopicRegex.length > 0);
  return hasRegex === true ? "Regular expressions for source topics are not supported yet." : null;
}

/** What contradicts the protocol; null where nothing does. */
function problemOf(request: StreamsGroupHeartbeatRequest): string | null {
  const { memberEpoch, activeTasks, standbyTasks, warmupTasks } = request;
  if (request.memberId.trim() === "") return "MemberId can't be empty.";
  if (request.groupId.trim() === "") return "GroupId can't be empty.";
  if (request.rackId?.trim() === "") return "RackId can't be empty.";
  if (memberEpoch === 0) {
    if (request.rebalanceTimeoutMs === -1) return "RebalanceTimeoutMs must be provided in first request.";
    if (activeTasks === null || activeTasks.length > 0) return "ActiveTasks must be empty when (re-)joining.";
    if (standbyTasks === null || standbyTasks.length > 0) return "StandbyTasks must be empty when (re-)joining.";
    if (warmupTasks === null || warmupTasks.length > 0) return "WarmupTasks must be empty when (re-)joining.";
    return request.topology === null ? "Topology must be non-null when (re-)joining." : null;
  }
  if (memberEpoch === -2) return "InstanceId can't be null.";
  if (memberEpoch < -2) return `MemberEpoch is ${memberEpoch}, but must be greater than or equal to -2.`;
  const given = [activeTasks, standbyTasks, warmupTasks].filter((tasks) => tasks !== null);
  if (given.length !== 0 && given.length !== 3) return "If one task-type is non-null, all must be non-null.";
  return request.topology === null ? null : "Topology can only be provided when (re-)joining.";
}

/** Has the missing topics made, or tells why they are not. */
function withTopics(
  parts: Parts,
  creator: StreamsTopicCreator,
  context: RequestContext,
  { response, topicsToCreate }: StreamsAnswer,
): StreamsGroupHeartbeatResponseInit {
  if (topicsToCreate.length === 0) return response;
  const { authorizer } = parts;
  const mayOnCluster = authorizer.authorize(context, AclOperation.Create, ResourceType.Cluster, clusterResourceName);
  const forbidden = mayOnCluster
    ? []
    : topicsToCreate.filter(
        ({ name }) => !authorizer.authorize(context, AclOperation.Create, ResourceType.Topic, name),
      );
  if (forbidden.length > 0) {
    const names = forbidden.map(({ name }) => name).join(", ");
    return withDetail(response, `Unauthorized to CREATE on topics ${names}.`);
  }
  const failures = creator.failuresOf(topicsToCreate);
  creator.create(topicsToCreate, originOf(context, creationMsMax), response.heartbeatIntervalMs * failureHeartbeats);
  return failures.length === 0 ? response : withDetail(response, `Creation failed: ${failures.join(", ")}.`);
}

function withDetail(response: StreamsGroupHeartbeatResponseInit, detail: string): StreamsGroupHeartbeatResponseInit {
  return {
    ...response,
    status: (response.status ?? []).map((status) =>
      status.statusCode === streamsStatuses.missingInternalTopics
        ? { ...status, statusDetail: `${status.statusDetail}; ${detail}` }
        : status,
    ),
  };
}
