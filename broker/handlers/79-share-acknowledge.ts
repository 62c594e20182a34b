// ShareAcknowledge v1–2 (KIP-932). v2: locks can be renewed, and the answer tells for how long. Answered once everything is persisted.
import type { Uuid } from "@blumfeld/core/base";
import { type ApiKey, ErrorCode, type ShareAcknowledgeResponseInit } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { Handler, RequestContext } from "../request-context.ts";
import { type ShareBroker, shareSessionEpochs } from "../share/share-broker.ts";
import { type GroupHandlerParts, mayReadGroup } from "./group-rules.ts";
import { LeaderHints } from "./leader-hints.ts";

type Parts = BrokerParts & GroupHandlerParts & { readonly shareBroker: ShareBroker };
type Response = ShareAcknowledgeResponseInit;
type Topic = NonNullable<Response["responses"]>[number];

const noLeader = { leaderId: 0, leaderEpoch: 0 };

export function createShareAcknowledgeHandler(parts: Parts): Handler<typeof ApiKey.ShareAcknowledge> {
  const { shareBroker } = parts;
  return (request, context) => {
    const refused = (errorCode: number, errorMessage: string | null = null): Response => ({
      ...{ throttleTimeMs: 0, errorCode, errorMessage, acquisitionLockTimeoutMs: 0, responses: [], nodeEndpoints: [] },
    });
    const { groupId, memberId, shareSessionEpoch: epoch } = request;
    if (!parts.coordinators.groups.config.isShareProtocolEnabled) return refused(ErrorCode.UNSUPPORTED_VERSION);
    if (groupId === null || memberId === null || groupId === "" || memberId === "")
      return refused(ErrorCode.INVALID_REQUEST);
    if (!mayReadGroup(parts, context, groupId)) return refused(ErrorCode.GROUP_AUTHORIZATION_FAILED);
    if (epoch === shareSessionEpochs.initial) return refused(ErrorCode.INVALID_SHARE_SESSION_EPOCH);
    const { sessions } = shareBroker;
    const session =
      epoch === shareSessionEpochs.final
        ? (sessions.find(groupId, memberId) ?? ErrorCode.SHARE_SESSION_NOT_FOUND)
        : sessions.continue(groupId, memberId, epoch);
    if (typeof session === "number") return refused(session);
    return acknowledge(parts, request, context, groupId, memberId).then((response) => {
      if (epoch === shareSessionEpochs.final) sessions.end(session);
      return response;
    });
  };
}

async function acknowledge(
  { metadata, shareBroker }: Parts,
  request: Parameters<Handler<typeof ApiKey.ShareAcknowledge>>[0],
  context: RequestContext<typeof ApiKey.ShareAcknowledge>,
  groupId: string,
  memberId: string,
): Promise<Response> {
  const rules = shareBroker.rules(groupId, context.apiVersion, request.isRenewAck);
  const hints = new LeaderHints(metadata.image, context.listenerName);
  const topicOf = async ({ topicId, partitions }: (typeof request.topics)[number]): Promise<Topic> => {
    const answers = partitions.map(async ({ acknowledgementBatches, partitionIndex }) => {
      const found = shareBroker.find(context, groupId, topicId as Uuid, partitionIndex);
      const outcome = await shareBroker.acknowledge(found, memberId, acknowledgementBatches, rules);
      const currentLeader = hints.of(found.topic, partitionIndex, outcome.errorCode) ?? noLeader;
      return { partitionIndex, ...outcome, currentLeader };
    });
    return { topicId, partitions: await Promise.all(answers) };
  };
  const responses = await Promise.all(request.topics.map(topicOf));
  return {
    throttleTimeMs: 0,
    errorCode: ErrorCode.NONE,
    acquisitionLockTimeoutMs: shareBroker.shares.config.limits(groupId).recordLockMs,
    responses,
    nodeEndpoints: hints.endpoints,
  };
}
