// Which partitions a fetch is about, and how its answer is to be worded: without a session, beginning one, or continuing one.
import { type Uuid, uuidZero } from "@blumfeld/core/base";
import { ErrorCode, type FetchRequest, type FetchRequestFetchTopic } from "@blumfeld/core/protocol";
import { FetchItem, fetchItemKey } from "./fetch-item.ts";
import {
  type FetchSession,
  type FetchSessionCache,
  nextSessionEpoch,
  sessionEpochFinal,
  sessionEpochInitial,
  sessionIdNone,
} from "./fetch-session.ts";

/** The first version that names topics by id. */
export const fetchTopicIdVersion = 13;

export interface FetchContext {
  /** "full": every partition is answered, and a session begins; "sessionless": every partition, no session. */
  readonly kind: "sessionless" | "full" | "incremental";
  readonly items: readonly FetchItem[];
  /** Of an incremental fetch. */
  readonly session: FetchSession | null;
  /** What the session's epoch must still be when the answer is made. */
  readonly epochExpected: number;
}

type NameOf = (topicId: Uuid) => string | undefined;

/** The error is the whole request's. */
export function fetchContextOf(
  request: FetchRequest,
  version: number,
  sessions: FetchSessionCache,
  nameOf: NameOf,
): FetchContext | { readonly errorCode: number } {
  const { sessionId, sessionEpoch } = request;
  const usesTopicIds = version >= fetchTopicIdVersion;
  if (sessionEpoch === sessionEpochInitial || sessionEpoch === sessionEpochFinal) {
    if (sessionId !== sessionIdNone) sessions.remove(sessionId);
    const kind = sessionEpoch === sessionEpochInitial ? "full" : "sessionless";
    return { kind, items: itemsOf(request.topics, usesTopicIds, nameOf), session: null, epochExpected: 0 };
  }
  const found = sessions.continue(sessionId, sessionEpoch, usesTopicIds, (session) =>
    changeSession(session, request, usesTopicIds, nameOf),
  );
  if (found === null)
    return {
      kind: "sessionless",
      items: itemsOf(request.topics, usesTopicIds, nameOf),
      session: null,
      epochExpected: 0,
    };
  if ("errorCode" in found) return found;
  const items = [...found.items.values()];
  for (const item of items) {
    item.reset();
    // A topic that was not known when it was first named may be by now.
    if (item.topic === "") item.topic = nameOf(item.topicId) ?? "";
  }
  return { kind: "incremental", items, session: found, epochExpected: nextSessionEpoch(sessionEpoch) };
}

function itemsOf(topics: readonly FetchRequestFetchTopic[], usesTopicIds: boolean, nameOf: NameOf): FetchItem[] {
  const items: FetchItem[] = [];
  for (const topic of topics) {
    const name = usesTopicIds ? (nameOf(topic.topicId) ?? "") : topic.topic;
    const topicId = usesTopicIds ? topic.topicId : uuidZero;
    for (const partition of topic.partitions) {
      const item = new FetchItem(name, topicId, partition.partition);
      item.ask(partition);
      items.push(item);
    }
  }
  return items;
}

function changeSession(session: FetchSession, request: FetchRequest, usesTopicIds: boolean, nameOf: NameOf): void {
  for (const topic of request.topics) {
    const topicId = usesTopicIds ? topic.topicId : uuidZero;
    for (const partition of topic.partitions) {
      const key = fetchItemKey(topic.topic, topicId, partition.partition);
      let item = session.items.get(key);
      if (item === undefined) {
        item = new FetchItem(usesTopicIds ? (nameOf(topicId) ?? "") : topic.topic, topicId, partition.partition);
        session.items.set(key, item);
      }
      item.ask(partition);
    }
  }
  for (const topic of request.forgottenTopicsData) {
    const topicId = usesTopicIds ? topic.topicId : uuidZero;
    for (const index of topic.partitions) session.items.delete(fetchItemKey(topic.topic, topicId, index));
  }
}

export interface FetchWording {
  readonly errorCode: number;
  readonly sessionId: number;
  readonly items: readonly FetchItem[];
}

/** What goes into the answer, once every item was looked at. */
export function wordFetchAnswer(
  context: FetchContext,
  sessions: FetchSessionCache,
  isFollower: boolean,
  version: number,
): FetchWording {
  if (context.kind === "sessionless")
    return { errorCode: ErrorCode.NONE, sessionId: sessionIdNone, items: context.items };
  if (context.kind === "full") return beginSession(context, sessions, isFollower, version);
  const session = context.session!;
  if (session.epoch !== context.epochExpected) {
    // Another request went on with this session meanwhile: its client sent two at once.
    return { errorCode: ErrorCode.INVALID_FETCH_SESSION_EPOCH, sessionId: sessionIdNone, items: [] };
  }
  const news: FetchItem[] = [];
  for (const item of context.items) {
    if (!item.takeNews()) continue;
    news.push(item);
    if (item.recordsBytes > 0) {
      const { key } = item;
      if (session.items.delete(key)) session.items.set(key, item);
    }
  }
  return { errorCode: ErrorCode.NONE, sessionId: session.id, items: news };
}

function beginSession(
  context: FetchContext,
  sessions: FetchSessionCache,
  isFollower: boolean,
  version: number,
): FetchWording {
  const items = new Map<string, FetchItem>();
  for (const item of context.items) {
    item.takeNews();
    items.set(item.key, item);
  }
  const session = items.size === 0 ? null : sessions.create(items, isFollower, version >= fetchTopicIdVersion);
  return { errorCode: ErrorCode.NONE, sessionId: session?.id ?? sessionIdNone, items: context.items };
}
