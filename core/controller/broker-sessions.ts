// Who of the other brokers is alive: when each was last heard, what it has replayed, where its controlled shutdown began. Kept by the active
// controller alone and lost with it: a new one gives everybody a whole session. Sets no timer.

interface BrokerSession {
  lastHeardMs: number;
  metadataOffset: number;
  shutdownOffset: number | null;
}

export class BrokerSessions {
  private readonly sessions = new Map<number, BrokerSession>();
  /** broker.session.timeout.ms */
  private readonly timeoutMs: number;

  constructor(timeoutMs: number) {
    this.timeoutMs = timeoutMs;
  }

  /** A broker that takes part: from now on silence counts. */
  touch(brokerId: number, nowMs: number, metadataOffset: number): void {
    const session = this.sessions.get(brokerId);
    if (session === undefined)
      this.sessions.set(brokerId, { lastHeardMs: nowMs, metadataOffset, shutdownOffset: null });
    else {
      session.lastHeardMs = nowMs;
      session.metadataOffset = metadataOffset;
    }
  }

  /** Fenced or gone: nothing is expected of it. */
  forget(brokerId: number): void {
    this.sessions.delete(brokerId);
  }

  onControlledShutdown(brokerId: number, offset: number): void {
    const session = this.sessions.get(brokerId);
    if (session !== undefined) session.shutdownOffset ??= offset;
  }

  shutdownOffset(brokerId: number): number | null {
    return this.sessions.get(brokerId)?.shutdownOffset ?? null;
  }

  /** Of those that take part and do not want to stop; the largest number where there are none. */
  get lowestActiveOffset(): number {
    let lowest = Number.MAX_SAFE_INTEGER;
    for (const { metadataOffset, shutdownOffset } of this.sessions.values()) {
      if (shutdownOffset === null && metadataOffset < lowest) lowest = metadataOffset;
    }
    return lowest;
  }

  /** Silent for longer than their session. */
  expired(nowMs: number): number[] {
    const ids: number[] = [];
    for (const [id, { lastHeardMs }] of this.sessions) if (nowMs - lastHeardMs > this.timeoutMs) ids.push(id);
    return ids;
  }
}
