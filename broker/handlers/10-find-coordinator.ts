// FindCoordinator v0–6. v4+ asks for several keys at once; v6 knows share groups' keys. The internal topic is made when it is first asked for:
// until it is there the answer is COORDINATOR_NOT_AVAILABLE and the client asks again.
import { consumerOffsetsTopic, shareGroupStateTopic, transactionStateTopic } from "@blumfeld/core/model";
import { type ApiKey, ErrorCode, errorOf, type FindCoordinatorResponseCoordinatorInit } from "@blumfeld/core/protocol";
import { TopicCreator } from "../metadata/internal-topics.ts";
import type { BrokerParts } from "../parts.ts";
import type { Handler, RequestContext } from "../request-context.ts";
import { AclOperation, clusterResourceName, ResourceType } from "../security-seam.ts";
import { javaPartition } from "../shards/shard-host.ts";
import { originOf } from "./forward.ts";
import { reachableBrokers } from "./reachable-brokers.ts";

type Parts = Pick<BrokerParts, "authorizer" | "metadata" | "cluster" | "controllerChannel">;
type Context = RequestContext<typeof ApiKey.FindCoordinator>;

export const coordinatorKeyTypes = { group: 0, transaction: 1, share: 2 } as const;
const severalKeysFrom = 4;
const shareKeysFrom = 6;
const creationMsMax = 30_000;

export function createFindCoordinatorHandler(parts: Parts): Handler<typeof ApiKey.FindCoordinator> {
  const creator = new TopicCreator(parts.cluster.settings, parts.controllerChannel);
  return (request, context) => {
    const { apiVersion } = context;
    if (apiVersion < severalKeysFrom) {
      const { key: _, ...found } = find(parts, creator, context, request.keyType, request.key);
      const errorMessage = found.errorCode === ErrorCode.NONE ? "NONE" : messageOf(found);
      return { throttleTimeMs: 0, ...found, errorMessage };
    }
    const coordinators = request.coordinatorKeys.map((key) => find(parts, creator, context, request.keyType, key));
    return { throttleTimeMs: 0, coordinators };
  };
}

function messageOf(found: FindCoordinatorResponseCoordinatorInit): string {
  return found.errorMessage || errorOf(found.errorCode ?? 0).message;
}

function failed(key: string, errorCode: number, errorMessage = ""): FindCoordinatorResponseCoordinatorInit {
  return { key, errorCode, errorMessage, nodeId: -1, host: "", port: -1 };
}

function find(
  parts: Parts,
  creator: TopicCreator,
  context: Context,
  keyType: number,
  key: string,
): FindCoordinatorResponseCoordinatorInit {
  const { authorizer, metadata } = parts;
  let topic: string;
  switch (keyType) {
    case coordinatorKeyTypes.group:
      if (!authorizer.authorize(context, AclOperation.Describe, ResourceType.Group, key))
        return failed(key, ErrorCode.GROUP_AUTHORIZATION_FAILED);
      topic = consumerOffsetsTopic;
      break;
    case coordinatorKeyTypes.transaction:
      if (!authorizer.authorize(context, AclOperation.Describe, ResourceType.TransactionalId, key))
        return failed(key, ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
      topic = transactionStateTopic;
      break;
    case coordinatorKeyTypes.share:
      if (context.apiVersion < shareKeysFrom) return failed(key, ErrorCode.INVALID_REQUEST);
      if (!authorizer.authorize(context, AclOperation.ClusterAction, ResourceType.Cluster, clusterResourceName))
        return failed(key, ErrorCode.CLUSTER_AUTHORIZATION_FAILED);
      if (!isShareKey(key)) return failed(key, ErrorCode.INVALID_REQUEST);
      topic = shareGroupStateTopic;
      break;
    default:
      return failed(key, ErrorCode.INVALID_REQUEST, errorOf(ErrorCode.INVALID_REQUEST).message);
  }
  const { image } = metadata;
  const internal = image.topics.get(topic);
  if (internal === undefined) {
    creator.create([topic], originOf(context as RequestContext, creationMsMax));
    return failed(key, ErrorCode.COORDINATOR_NOT_AVAILABLE);
  }
  const leader = internal.partitions[javaPartition(key, internal.partitions.length)]?.leader ?? -1;
  const broker = reachableBrokers(image, context.listenerName).find(({ id }) => id === leader);
  if (broker === undefined) return failed(key, ErrorCode.COORDINATOR_NOT_AVAILABLE);
  const { id, host, port } = broker;
  return { key, nodeId: id, host, port, errorCode: ErrorCode.NONE, errorMessage: "" };
}

/** `group:topicId:partition`. */
function isShareKey(key: string): boolean {
  return /^.+:[A-Za-z0-9_-]{22}:[0-9]{1,10}$/.test(key);
}
