// Metadata v0–13. Topics by name, from v10 by id too (KIP-516); null stands for all, before v1 an empty list does. Brokers are those that
// the client's own listener reaches. Missing topics are made where the request and auto.create.topics.enable allow it: the answer then is
// that the topic is not there yet, and the client asks again. v8–10: authorized operations of the cluster; v8+: of topics.
import { type Uuid, uuidZero } from "@blumfeld/core/base";
import { leaderNone, type MetadataImage, type PartitionImage, type TopicImage } from "@blumfeld/core/controller";
import { isInternalTopic, topicNameProblem } from "@blumfeld/core/model";
import { type ApiKey, ErrorCode, type RequestOf, type ResponseInitOf } from "@blumfeld/core/protocol";
import { TopicCreator } from "../metadata/internal-topics.ts";
import type { BrokerParts } from "../parts.ts";
import { type Handler, type RequestContext, RequestError } from "../request-context.ts";
import { AclOperation, authorizedOperations, clusterResourceName, ResourceType } from "../security-seam.ts";
import { originOf } from "./forward.ts";
import { activeControllerId, reachableBrokers } from "./reachable-brokers.ts";

type MetadataParts = Pick<BrokerParts, "authorizer" | "metadata" | "cluster" | "clusterId" | "controllerChannel">;
type Request = RequestOf<typeof ApiKey.Metadata>;
type Context = RequestContext<typeof ApiKey.Metadata>;
type Topic = ResponseInitOf<typeof ApiKey.Metadata>["topics"][number];
type Partition = Topic["partitions"][number];

/** Kafka's "not asked for". */
const operationsOmitted = -2147483648;
/** From here a missing listener is told apart from a missing leader. */
const listenerErrorFrom = 6;
const topicIdFrom = 12;
/** The controller's time for a topic that a client did not ask to have made. */
const creationMsMax = 30_000;

export function createMetadataHandler(parts: MetadataParts): Handler<typeof ApiKey.Metadata> {
  const creator = new TopicCreator(parts.cluster.settings, parts.controllerChannel);
  return (request, context) => {
    const { image } = parts.metadata;
    const { apiVersion } = context;
    const brokers = reachableBrokers(image, context.listenerName);
    return {
      throttleTimeMs: 0,
      brokers: brokers.map(({ id, host, port, rack }) => ({ nodeId: id, host, port, rack })),
      clusterId: parts.clusterId,
      controllerId: activeControllerId(image),
      topics: topicsOf(parts, creator, request, context),
      clusterAuthorizedOperations:
        apiVersion >= 8 && request.includeClusterAuthorizedOperations
          ? authorizedOperations(parts.authorizer, context, ResourceType.Cluster, clusterResourceName)
          : operationsOmitted,
    };
  };
}

function topicsOf(parts: MetadataParts, creator: TopicCreator, request: Request, context: Context): Topic[] {
  const { image } = parts.metadata;
  const asked = request.topics;
  if (asked === null || (context.apiVersion === 0 && asked.length === 0)) {
    const all = [...image.topicsByName.values()].filter(({ name }) => mayDescribe(parts, context, name));
    return all.map((topic) => describedTopic(parts, request, context, topic));
  }
  const topics: Topic[] = [];
  const missing: string[] = [];
  const seen = new Set<string>();
  for (const { name, topicId } of asked) {
    checkNaming(name, topicId, context.apiVersion);
    const key = name ?? topicId;
    if (seen.has(key)) continue;
    seen.add(key);
    if (name === null || topicId !== uuidZero) topics.push(topicById(parts, request, context, topicId));
    else if (!mayDescribe(parts, context, name)) topics.push(failedTopic(ErrorCode.TOPIC_AUTHORIZATION_FAILED, name));
    else {
      const topic = image.topicsByName.get(name);
      if (topic === undefined) missing.push(name);
      else topics.push(describedTopic(parts, request, context, topic));
    }
  }
  return [...topics, ...missingTopics(parts, creator, request, context, missing)];
}

function checkNaming(name: string | null, topicId: Uuid, version: number): void {
  if (version >= topicIdFrom) return;
  if (name === null || topicId !== uuidZero) {
    throw new RequestError(ErrorCode.INVALID_REQUEST, `version ${version} names topics by name only`);
  }
}

function mayDescribe(parts: MetadataParts, context: Context, name: string): boolean {
  return parts.authorizer.authorize(context, AclOperation.Describe, ResourceType.Topic, name);
}

function topicById(parts: MetadataParts, request: Request, context: Context, topicId: Uuid): Topic {
  const topic = parts.metadata.image.topicsById.get(topicId);
  if (topic === undefined) return { ...failedTopic(ErrorCode.UNKNOWN_TOPIC_ID, null), topicId };
  if (mayDescribe(parts, context, topic.name)) return describedTopic(parts, request, context, topic);
  // An id is no secret, the name that it belongs to is.
  return { ...failedTopic(ErrorCode.TOPIC_AUTHORIZATION_FAILED, null), topicId };
}

function failedTopic(errorCode: ErrorCode, name: string | null): Topic {
  const isInternal = name !== null && isInternalTopic(name);
  return { errorCode, name, isInternal, partitions: [], topicAuthorizedOperations: operationsOmitted };
}

function missingTopics(
  parts: MetadataParts,
  creator: TopicCreator,
  request: Request,
  context: Context,
  names: readonly string[],
): Topic[] {
  if (names.length === 0) return [];
  const mayAutoCreate = request.allowAutoTopicCreation && parts.cluster.settings.get("auto.create.topics.enable");
  if (!mayAutoCreate) {
    return names.map((name) =>
      failedTopic(
        topicNameProblem(name) === null ? ErrorCode.UNKNOWN_TOPIC_OR_PARTITION : ErrorCode.INVALID_TOPIC_EXCEPTION,
        name,
      ),
    );
  }
  const { authorizer } = parts;
  const mayCreateAll = authorizer.authorize(context, AclOperation.Create, ResourceType.Cluster, clusterResourceName);
  const mayCreate = (name: string): boolean =>
    mayCreateAll || authorizer.authorize(context, AclOperation.Create, ResourceType.Topic, name);
  const outcomes = creator.create(names.filter(mayCreate), originOf(context as RequestContext, creationMsMax));
  return names.map((name) => failedTopic(outcomes.get(name) ?? ErrorCode.TOPIC_AUTHORIZATION_FAILED, name));
}

function describedTopic(parts: MetadataParts, request: Request, context: Context, topic: TopicImage): Topic {
  const { image } = parts.metadata;
  return {
    errorCode: ErrorCode.NONE,
    name: topic.name,
    topicId: topic.id,
    isInternal: isInternalTopic(topic.name),
    partitions: topic.partitions.map((partition, index) =>
      describedPartition(image, partition, index, context.listenerName, context.apiVersion),
    ),
    topicAuthorizedOperations:
      context.apiVersion >= 8 && request.includeTopicAuthorizedOperations
        ? authorizedOperations(parts.authorizer, context, ResourceType.Topic, topic.name)
        : operationsOmitted,
  };
}

function describedPartition(
  image: MetadataImage,
  partition: PartitionImage,
  partitionIndex: number,
  listenerName: string,
  version: number,
): Partition {
  const { cluster } = image;
  const { leader, leaderEpoch, replicas, isr } = partition;
  const offlineReplicas = replicas.filter((replica) => !cluster.isUnfenced(replica));
  const found = { partitionIndex, leaderEpoch, replicaNodes: replicas, isrNodes: isr, offlineReplicas };
  const isReachable = cluster.isUnfenced(leader) && cluster.broker(leader)?.endpoints.has(listenerName) === true;
  if (isReachable) {
    // The oldest clients take a replica that is away for an error.
    const isPartial = version === 0 && offlineReplicas.length > 0;
    return { ...found, leaderId: leader, errorCode: isPartial ? ErrorCode.REPLICA_NOT_AVAILABLE : ErrorCode.NONE };
  }
  const isListenerMissing = leader !== leaderNone && cluster.isUnfenced(leader) && version >= listenerErrorFrom;
  const errorCode = isListenerMissing ? ErrorCode.LISTENER_NOT_FOUND : ErrorCode.LEADER_NOT_AVAILABLE;
  return { ...found, leaderId: leaderNone, errorCode };
}
