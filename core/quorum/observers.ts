// The replicas that follow the log without a vote, as DescribeQuorum shows them. One that is silent for five minutes is forgotten.
import { uuidZero } from "../base/index.ts";
import type { ReplicaProgress } from "./metadata-quorum.ts";
import type { ReplicaKey } from "./replicated-log.ts";

export const observerSessionMs = 5 * 60 * 1000;
/** The one that was silent longest makes room: ids are a peer's choice. */
export const observerCountMax = 10_000;

interface Observer {
  readonly key: ReplicaKey;
  fetchOffset: number;
  lastFetchMs: number;
  /** The log's end at its last fetch: a fetch from there on shows that it had caught up then. */
  lastFetchLeaderEnd: number;
  lastCaughtUpMs: number;
}

export class QuorumObservers {
  /** The one that fetched last stands last. */
  private readonly byKey = new Map<string, Observer>();

  onFetch(key: ReplicaKey, fetchOffset: number, logEndOffset: number, nowMs: number): void {
    const name = `${key.id} ${key.directoryId}`;
    const known = this.byKey.get(name);
    let lastCaughtUpMs = known?.lastCaughtUpMs ?? -1;
    if (fetchOffset >= logEndOffset) lastCaughtUpMs = nowMs;
    else if (known !== undefined && known.lastFetchMs >= 0 && fetchOffset >= known.lastFetchLeaderEnd) {
      lastCaughtUpMs = Math.max(lastCaughtUpMs, known.lastFetchMs);
    }
    this.byKey.delete(name);
    this.byKey.set(name, { key, fetchOffset, lastFetchMs: nowMs, lastFetchLeaderEnd: logEndOffset, lastCaughtUpMs });
    if (this.byKey.size > observerCountMax) this.byKey.delete(this.byKey.keys().next().value!);
  }

  /** Null where it has not fetched lately. */
  find(key: ReplicaKey): { readonly fetchOffset: number; readonly lastCaughtUpMs: number } | null {
    return this.byKey.get(`${key.id} ${key.directoryId}`) ?? null;
  }

  described(nowMs: number): ReplicaProgress[] {
    for (const [name, { lastFetchMs }] of this.byKey) {
      if (nowMs - lastFetchMs < observerSessionMs) break;
      this.byKey.delete(name);
    }
    return [...this.byKey.values()].map(({ fetchOffset, key, lastCaughtUpMs, lastFetchMs }) => ({
      id: key.id,
      directoryId: key.directoryId === uuidZero ? null : key.directoryId,
      logEndOffset: fetchOffset,
      lastFetchMs,
      lastCaughtUpMs,
    }));
  }
}
