// Fetch sessions (KIP-227): a client with many partitions names each of them once, and afterwards only what changed; the broker answers
// with the partitions that have news.
//
// The cache is bounded. A new session takes a free slot, or that of a session unused for two minutes, or that of an older, smaller one that
// has lived for two minutes; followers' sessions are never displaced by consumers'. Who gets none is answered with session id 0 and sends
// everything each time.
import type { Clock, Random } from "@blumfeld/core/base";
import { ErrorCode } from "@blumfeld/core/protocol";
import type { FetchItem } from "./fetch-item.ts";

export const sessionEvictionMs = 120_000;
export const sessionIdNone = 0;
/** The epoch of a request that asks for a session, and of one that wants none or ends one. */
export const sessionEpochInitial = 0;
export const sessionEpochFinal = -1;
const int32Max = 0x7fff_ffff;

export class FetchSession {
  readonly id: number;
  readonly isPrivileged: boolean;
  readonly usesTopicIds: boolean;
  readonly createdMs: number;
  lastUsedMs: number;
  /** The epoch that the next request must carry. */
  epoch: number;
  /** In the order in which they are served: who got records goes to the end, so that all come to their turn. */
  readonly items: Map<string, FetchItem>;
  /** The size that eviction goes by: as of the last use. */
  cachedSize: number;

  constructor(id: number, isPrivileged: boolean, usesTopicIds: boolean, nowMs: number, items: Map<string, FetchItem>) {
    this.id = id;
    this.isPrivileged = isPrivileged;
    this.usesTopicIds = usesTopicIds;
    this.createdMs = nowMs;
    this.lastUsedMs = nowMs;
    this.epoch = nextSessionEpoch(sessionEpochInitial);
    this.items = items;
    this.cachedSize = items.size;
  }
}

export function nextSessionEpoch(epoch: number): number {
  if (epoch < 0) return sessionEpochFinal;
  return epoch === int32Max ? 1 : epoch + 1;
}

export class FetchSessionCache {
  readonly sessionCountMax: number;
  /** Sessions that had to make room. */
  evictionCount = 0;
  private readonly clock: Clock;
  private readonly random: Random;
  /** The least recently used first. */
  private readonly sessions = new Map<number, FetchSession>();

  constructor(sessionCountMax: number, clock: Clock, random: Random) {
    this.sessionCountMax = sessionCountMax;
    this.clock = clock;
    this.random = random;
  }

  get size(): number {
    return this.sessions.size;
  }

  get partitionCount(): number {
    let count = 0;
    for (const session of this.sessions.values()) count += session.items.size;
    return count;
  }

  /** Null where there is no room for it. */
  create(items: Map<string, FetchItem>, isPrivileged: boolean, usesTopicIds: boolean): FetchSession | null {
    const nowMs = this.clock.monotonicMs();
    if (this.sessions.size >= this.sessionCountMax && !this.evict(isPrivileged, items.size, nowMs)) return null;
    const session = new FetchSession(this.newId(), isPrivileged, usesTopicIds, nowMs, items);
    this.sessions.set(session.id, session);
    return session;
  }

  private newId(): number {
    for (;;) {
      const id = this.random.uint32() & int32Max;
      if (id !== sessionIdNone && !this.sessions.has(id)) return id;
    }
  }

  private evict(isPrivileged: boolean, size: number, nowMs: number): boolean {
    const oldest = this.sessions.values().next().value;
    if (oldest === undefined) return false;
    let victim: FetchSession | null = nowMs - oldest.lastUsedMs > sessionEvictionMs ? oldest : null;
    if (victim === null) {
      for (const session of this.sessions.values()) {
        if (nowMs - session.createdMs <= sessionEvictionMs && !(isPrivileged && !session.isPrivileged)) continue;
        if (victim === null || isSmaller(session, victim)) victim = session;
      }
      if (victim === null) return false;
      // A newcomer that would itself be the first to go does not displace.
      if (victim.isPrivileged !== isPrivileged ? victim.isPrivileged : size < victim.cachedSize) return false;
    }
    this.sessions.delete(victim.id);
    this.evictionCount++;
    return true;
  }

  remove(id: number): void {
    this.sessions.delete(id);
  }

  /**
   * The session that an incremental request continues, moved on by one epoch and changed as the request says; or the error to answer. A
   * session that has no partition left is closed: null.
   */
  continue(
    id: number,
    epoch: number,
    usesTopicIds: boolean,
    change: (session: FetchSession) => void,
  ): FetchSession | null | { readonly errorCode: number } {
    const session = this.sessions.get(id);
    if (session === undefined) return { errorCode: ErrorCode.FETCH_SESSION_ID_NOT_FOUND };
    if (session.epoch !== epoch) return { errorCode: ErrorCode.INVALID_FETCH_SESSION_EPOCH };
    if (session.usesTopicIds !== usesTopicIds) return { errorCode: ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR };
    change(session);
    if (session.items.size === 0) {
      this.sessions.delete(id);
      return null;
    }
    session.epoch = nextSessionEpoch(session.epoch);
    session.lastUsedMs = this.clock.monotonicMs();
    session.cachedSize = session.items.size;
    this.sessions.delete(id);
    this.sessions.set(id, session);
    return session;
  }
}

/** Who goes first: consumers before followers, then the smaller. */
function isSmaller(one: FetchSession, other: FetchSession): boolean {
  if (one.isPrivileged !== other.isPrivileged) return !one.isPrivileged;
  return one.cachedSize !== other.cachedSize ? one.cachedSize < other.cachedSize : one.id < other.id;
}
