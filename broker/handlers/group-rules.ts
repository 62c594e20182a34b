// What the handlers of groups share: who may do what with a group, and topics by name or id.
import { type Uuid, uuidZero } from "@blumfeld/core/base";
import { ErrorCode } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import { AclOperation, type RequestOrigin, ResourceType } from "../security-seam.ts";
import type { Coordinators } from "../shards/coordinators.ts";

export type GroupHandlerParts = Pick<BrokerParts, "authorizer" | "metadata"> & { readonly coordinators: Coordinators };

export function mayOnGroup(
  parts: GroupHandlerParts,
  origin: RequestOrigin,
  operation: AclOperation,
  groupId: string,
): boolean {
  return parts.authorizer.authorize(origin, operation, ResourceType.Group, groupId);
}

export function mayReadGroup(parts: GroupHandlerParts, origin: RequestOrigin, groupId: string): boolean {
  return mayOnGroup(parts, origin, AclOperation.Read, groupId);
}

export type TopicFound = { readonly name: string; readonly topicId: Uuid } | { readonly errorCode: number };

/** The topic that a request names, by id where its version does; or why its partitions get an error. */
export function topicForGroups(
  parts: GroupHandlerParts,
  origin: RequestOrigin,
  operation: AclOperation,
  asked: { readonly name: string; readonly topicId: Uuid },
  isById: boolean,
): TopicFound {
  const { topics } = parts.metadata.image;
  if (isById) {
    const topic = asked.topicId === uuidZero ? undefined : topics.byId.get(asked.topicId);
    if (topic === undefined) return { errorCode: ErrorCode.UNKNOWN_TOPIC_ID };
    return parts.authorizer.authorize(origin, operation, ResourceType.Topic, topic.name)
      ? { name: topic.name, topicId: topic.id }
      : { errorCode: ErrorCode.TOPIC_AUTHORIZATION_FAILED };
  }
  if (!parts.authorizer.authorize(origin, operation, ResourceType.Topic, asked.name))
    return { errorCode: ErrorCode.TOPIC_AUTHORIZATION_FAILED };
  const topic = topics.get(asked.name);
  if (topic === undefined) return { errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION };
  return { name: topic.name, topicId: topic.id };
}
