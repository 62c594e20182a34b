// Share sessions (KIP-932): which partitions a member fetches from, so that each fetch names only what changes. A session belongs to a member and to the
// connection that opened it, and ends with either.
import type { Uuid } from "@blumfeld/core/base";
import { ErrorCode } from "@blumfeld/core/protocol";
import type { ConnectionContext } from "../request-context.ts";

export interface ShareSessionItem {
  readonly topicId: Uuid;
  readonly partition: number;
}

export class ShareSession {
  readonly groupId: string;
  readonly memberId: string;
  readonly connection: ConnectionContext;
  /** What the next request has to name. */
  epoch = 1;
  readonly items = new Map<string, ShareSessionItem>();
  forgetClose: () => void = () => {};

  constructor(groupId: string, memberId: string, connection: ConnectionContext) {
    this.groupId = groupId;
    this.memberId = memberId;
    this.connection = connection;
  }

  add(item: ShareSessionItem): void {
    this.items.set(shareItemKey(item), item);
  }

  /** Whether it may also hold these. */
  hasRoomFor(items: Iterable<ShareSessionItem>): boolean {
    const fresh = new Set<string>();
    for (const item of items) {
      const key = shareItemKey(item);
      if (!this.items.has(key)) fresh.add(key);
      if (this.items.size + fresh.size > shareSessionPartitionCountMax) return false;
    }
    return true;
  }

  remove(item: ShareSessionItem): boolean {
    return this.items.delete(shareItemKey(item));
  }
}

export function shareItemKey({ topicId, partition }: ShareSessionItem): string {
  return topicId + partition;
}

/** Of one session. A broker leads fewer, as a rule; what a client names is kept whether it exists or not. */
export const shareSessionPartitionCountMax = 10_000;

const initialEpoch = 0;
const epochMax = 0x7fff_ffff;

export class ShareSessionCache {
  private readonly sessions = new Map<string, ShareSession>();
  private readonly countMax: () => number;
  /** Its member is gone: what it had acquired comes back. */
  private readonly onEnd: (session: ShareSession) => void;

  constructor(countMax: () => number, onEnd: (session: ShareSession) => void) {
    this.countMax = countMax;
    this.onEnd = onEnd;
  }

  get size(): number {
    return this.sessions.size;
  }

  /** A new one, in place of the one that the member had; or an error code. */
  open(groupId: string, memberId: string, connection: ConnectionContext): ShareSession | number {
    const before = this.sessions.get(keyOf(groupId, memberId));
    if (before !== undefined) this.end(before);
    if (this.sessions.size >= this.countMax()) return ErrorCode.SHARE_SESSION_LIMIT_REACHED;
    const session = new ShareSession(groupId, memberId, connection);
    session.forgetClose = connection.whenClosed(() => this.end(session));
    this.sessions.set(keyOf(groupId, memberId), session);
    return session;
  }

  /** The session, which now expects the epoch after `epoch`; or an error code. */
  continue(groupId: string, memberId: string, epoch: number): ShareSession | number {
    const session = this.sessions.get(keyOf(groupId, memberId));
    if (session === undefined) return ErrorCode.SHARE_SESSION_NOT_FOUND;
    if (epoch !== session.epoch) return ErrorCode.INVALID_SHARE_SESSION_EPOCH;
    session.epoch = epoch === epochMax ? initialEpoch + 1 : epoch + 1;
    return session;
  }

  find(groupId: string, memberId: string): ShareSession | null {
    return this.sessions.get(keyOf(groupId, memberId)) ?? null;
  }

  end(session: ShareSession): void {
    const key = keyOf(session.groupId, session.memberId);
    if (this.sessions.get(key) !== session) return;
    this.sessions.delete(key);
    session.forgetClose();
    this.onEnd(session);
  }
}

function keyOf(groupId: string, memberId: string): string {
  return `${groupId}\0${memberId}`;
}
