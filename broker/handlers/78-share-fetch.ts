// ShareFetch v1–2 (KIP-932, KIP-1206). v1: max records and batch size; the lock's time-out in the answer. v2: acquire modes, renewal of locks.
// Acknowledgements that come with it are persisted before anything new is fetched.
import type { Uuid } from "@blumfeld/core/base";
import { type ApiKey, ErrorCode, type ShareFetchRequest, type ShareFetchResponseInit } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import { answerLater, type Handler, type RequestContext } from "../request-context.ts";
import { type ShareBroker, shareSessionEpochs } from "../share/share-broker.ts";
import { ShareFetch, ShareFetchItem } from "../share/share-fetch.ts";
import {
  type ShareSession,
  type ShareSessionItem,
  shareItemKey,
  shareSessionPartitionCountMax,
} from "../share/share-session.ts";
import { type GroupHandlerParts, mayReadGroup } from "./group-rules.ts";
import { LeaderHints } from "./leader-hints.ts";

type Parts = BrokerParts & GroupHandlerParts & { readonly shareBroker: ShareBroker };
type Context = RequestContext<typeof ApiKey.ShareFetch>;
type Partition = NonNullable<NonNullable<ShareFetchResponseInit["responses"]>[number]["partitions"]>[number];

interface Acknowledged {
  readonly item: ShareSessionItem;
  readonly errorCode: number;
  readonly errorMessage: string | null;
}

const noBytes = Buffer.alloc(0);
const noLeader = { leaderId: 0, leaderEpoch: 0 };

export function createShareFetchHandler(parts: Parts): Handler<typeof ApiKey.ShareFetch> {
  return (request, context) => {
    const refused = (errorCode: number, errorMessage: string | null = null): ShareFetchResponseInit => ({
      ...{ throttleTimeMs: 0, errorCode, errorMessage, acquisitionLockTimeoutMs: 0, responses: [], nodeEndpoints: [] },
    });
    const { groupId, memberId } = request;
    if (!parts.coordinators.groups.config.isShareProtocolEnabled) return refused(ErrorCode.UNSUPPORTED_VERSION);
    if (groupId === null || memberId === null || groupId === "" || memberId === "")
      return refused(ErrorCode.INVALID_REQUEST);
    if (!mayReadGroup(parts, context, groupId)) return refused(ErrorCode.GROUP_AUTHORIZATION_FAILED);
    const problem = problemOf(request);
    if (problem !== null) return refused(ErrorCode.INVALID_REQUEST, problem);
    const { sessions } = parts.shareBroker;
    const epoch = request.shareSessionEpoch;
    let session: ShareSession | number;
    if (epoch === shareSessionEpochs.initial) session = sessions.open(groupId, memberId, context.connection);
    else if (epoch === shareSessionEpochs.final)
      session = sessions.find(groupId, memberId) ?? ErrorCode.SHARE_SESSION_NOT_FOUND;
    else session = sessions.continue(groupId, memberId, epoch);
    if (typeof session === "number") return refused(session);
    if (!session.hasRoomFor(namedItems(request)))
      return refused(
        ErrorCode.INVALID_REQUEST,
        `A share session holds at most ${shareSessionPartitionCountMax} partitions.`,
      );
    run(parts, context, request, session).then(
      (response) => context.answer(response),
      (error: unknown) => {
        parts.logger.error({ api: "ShareFetch" }, `request failed: ${error instanceof Error ? error.stack : error}`);
        context.answer(refused(ErrorCode.UNKNOWN_SERVER_ERROR));
      },
    );
    return answerLater;
  };
}

function problemOf(request: ShareFetchRequest): string | null {
  const { isRenewAck, maxBytes, maxRecords, maxWaitMs, minBytes, shareAcquireMode, shareSessionEpoch } = request;
  const hasAcknowledgements = request.topics.some(({ partitions }) =>
    partitions.some(({ acknowledgementBatches }) => acknowledgementBatches.length > 0),
  );
  if (shareSessionEpoch === shareSessionEpochs.initial && hasAcknowledgements)
    return "A share session does not begin with acknowledgements.";
  if (shareAcquireMode !== 0 && shareAcquireMode !== 1) return `Share acquire mode ${shareAcquireMode} is unknown.`;
  if (isRenewAck && (maxBytes > 0 || minBytes > 0 || maxRecords > 0 || maxWaitMs > 0))
    return "A request that renews locks does not fetch: its bounds have to be 0.";
  return null;
}

async function run(
  parts: Parts,
  context: Context,
  request: ShareFetchRequest,
  session: ShareSession,
): Promise<ShareFetchResponseInit> {
  const { shareBroker } = parts;
  const { groupId, memberId } = session;
  const isFinal = request.shareSessionEpoch === shareSessionEpochs.final;
  const acknowledging = acknowledge(parts, context, request, session);
  if (!isFinal) changeSession(session, request);
  const acknowledged = await acknowledging;
  if (isFinal) shareBroker.sessions.end(session);
  const mayFetch = !isFinal && !request.isRenewAck && context.connection.isOpen;
  const items = mayFetch
    ? rotated([...session.items.values()], request.shareSessionEpoch).map(
        (item) => new ShareFetchItem(item, shareBroker.find(context, groupId, item.topicId, item.partition)),
      )
    : [];
  const isReadCommitted = shareBroker.shares.config.isReadCommitted(groupId);
  await ShareFetch.run(
    parts,
    {
      ...{ memberId, request, isReadCommitted, connection: context.connection },
      onSent: (callback) => context.onSent(callback),
    },
    items,
  );
  // A connection that ended while it waited has no session any more: what was acquired comes back.
  if (mayFetch && shareBroker.sessions.find(groupId, memberId) !== session)
    for (const { hosted } of items) hosted?.releaseMember(memberId);
  return respond(parts, context, request, groupId, acknowledged, items);
}

function* namedItems({ topics }: ShareFetchRequest): Generator<ShareSessionItem> {
  for (const { topicId, partitions } of topics)
    for (const { partitionIndex } of partitions) yield { topicId, partition: partitionIndex };
}

function changeSession(session: ShareSession, request: ShareFetchRequest): void {
  for (const { topicId, partitions } of request.topics)
    for (const { partitionIndex } of partitions) session.add({ topicId, partition: partitionIndex });
  for (const { topicId, partitions } of request.forgottenTopicsData)
    for (const partition of partitions) session.remove({ topicId, partition });
}

async function acknowledge(
  { shareBroker }: Parts,
  context: Context,
  request: ShareFetchRequest,
  { groupId, memberId }: ShareSession,
): Promise<Acknowledged[]> {
  const rules = shareBroker.rules(groupId, context.apiVersion, request.isRenewAck);
  const asked: Promise<Acknowledged>[] = [];
  for (const { topicId, partitions } of request.topics) {
    for (const { partitionIndex: partition, acknowledgementBatches } of partitions) {
      if (acknowledgementBatches.length === 0) continue;
      const found = shareBroker.find(context, groupId, topicId, partition);
      asked.push(
        shareBroker
          .acknowledge(found, memberId, acknowledgementBatches, rules)
          .then((outcome) => ({ item: { topicId, partition }, ...outcome })),
      );
    }
  }
  return Promise.all(asked);
}

/** Each fetch begins with another partition, so that none is always last. */
function rotated<Item>(items: readonly Item[], epoch: number): Item[] {
  const at = items.length === 0 ? 0 : Math.max(0, epoch) % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
}

function respond(
  parts: Parts,
  context: Context,
  request: ShareFetchRequest,
  groupId: string,
  acknowledged: readonly Acknowledged[],
  items: readonly ShareFetchItem[],
): ShareFetchResponseInit {
  const hints = new LeaderHints(parts.metadata.image, context.listenerName);
  const topics = new Map<Uuid, Map<string, Partition>>();
  const put = (item: ShareSessionItem, partition: Partial<Partition>): void => {
    let partitions = topics.get(item.topicId);
    if (partitions === undefined) {
      partitions = new Map();
      topics.set(item.topicId, partitions);
    }
    const key = shareItemKey(item);
    const errors = { errorCode: ErrorCode.NONE, acknowledgeErrorCode: ErrorCode.NONE };
    const nothing = { records: noBytes, acquiredRecords: [], currentLeader: noLeader };
    const none: Partition = { partitionIndex: item.partition, ...errors, ...nothing };
    partitions.set(key, { ...(partitions.get(key) ?? none), ...partition });
  };
  const isFirst = request.shareSessionEpoch === shareSessionEpochs.initial;
  let bytes = 0;
  for (const { acquired, errorCode, item, records, topic, wasLookedAt } of items) {
    if (errorCode === ErrorCode.NONE && acquired.length === 0 && !(isFirst && wasLookedAt)) continue;
    bytes += records.length;
    const hint = errorCode === ErrorCode.NONE ? undefined : hints.of(topic, item.partition, errorCode);
    const acquiredRecords = acquired.map(({ firstOffset, lastOffset, deliveryCount }) => ({
      ...{ firstOffset: BigInt(firstOffset), lastOffset: BigInt(lastOffset), deliveryCount },
    }));
    put(item, { errorCode, records, acquiredRecords, ...(hint === undefined ? {} : { currentLeader: hint }) });
  }
  for (const { errorCode, errorMessage, item } of acknowledged)
    put(item, { acknowledgeErrorCode: errorCode, acknowledgeErrorMessage: errorMessage });
  return {
    throttleTimeMs: parts.quotas.onFetch(context, context.clientId, bytes),
    errorCode: ErrorCode.NONE,
    acquisitionLockTimeoutMs: parts.shareBroker.shares.config.limits(groupId).recordLockMs,
    responses: [...topics].map(([topicId, partitions]) => ({ topicId, partitions: [...partitions.values()] })),
    nodeEndpoints: hints.endpoints,
  };
}
