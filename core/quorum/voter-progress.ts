// How far each voter has come, by the fetches it sends to this leader: a voter syncs what it has before it asks for more.
import type { ReplicaProgress, Voter } from "./metadata-quorum.ts";
import type { ReplicaKey } from "./replicated-log.ts";
import { isVoterKey, majorityOf } from "./voter-set.ts";

interface Progress {
  readonly key: ReplicaKey;
  offset: number;
  lastFetchMs: number;
  /** The log's end at its last fetch: a fetch from there on shows that it had caught up then. */
  lastFetchLeaderEnd: number;
  lastCaughtUpMs: number;
}

export interface VoterFetch {
  readonly fetchOffset: number;
  readonly logEndOffset: number;
  readonly nowMs: number;
}

export class VoterProgress {
  private readonly byId = new Map<number, Progress>();
  /** Who has fetched since the quorum was last found whole. */
  private fetched = new Set<number>();

  /** False for a replica that is no voter. */
  onFetch(voters: readonly Voter[], key: ReplicaKey, { fetchOffset, logEndOffset, nowMs }: VoterFetch): boolean {
    const voter = voters.find(({ id }) => id === key.id);
    if (voter === undefined || !isVoterKey(voter, key)) return false;
    const known = this.byId.get(key.id);
    const before = known !== undefined && known.key.directoryId === key.directoryId ? known : undefined;
    let lastCaughtUpMs = before?.lastCaughtUpMs ?? -1;
    if (fetchOffset >= logEndOffset) lastCaughtUpMs = nowMs;
    else if (before !== undefined && fetchOffset >= before.lastFetchLeaderEnd) {
      lastCaughtUpMs = Math.max(lastCaughtUpMs, before.lastFetchMs);
    }
    // A voter that lost its disk and kept its id goes back: what it had is not there any more.
    const next = { key, offset: fetchOffset, lastFetchMs: nowMs, lastFetchLeaderEnd: logEndOffset, lastCaughtUpMs };
    this.byId.set(key.id, next);
    this.fetched.add(key.id);
    return true;
  }

  /** False for a replica that is no voter. */
  onAlive(voters: readonly Voter[], key: ReplicaKey): boolean {
    const isVoter = voters.some((voter) => isVoterKey(voter, key));
    if (isVoter) this.fetched.add(key.id);
    return isVoter;
  }

  /** Whether those who have fetched since the last time are, with the leader itself, a majority; counting begins anew then. */
  takeMajority(voters: readonly Voter[], leaderId: number): boolean {
    const count = voters.filter(({ id }) => id === leaderId || this.fetched.has(id)).length;
    if (count < majorityOf(voters.length)) return false;
    this.fetched = new Set();
    return true;
  }

  /** What a majority has. `own` is null for a leader that is no voter any more. */
  majorityOffset(voters: readonly Voter[], own: ReplicaKey | null, ownOffset: number): number {
    const offsets = voters
      .map((voter) => (own !== null && isVoterKey(voter, own) ? ownOffset : this.offsetFor(voter)))
      .sort((one, other) => other - one);
    return offsets[majorityOf(voters.length) - 1] ?? -1;
  }

  private offsetFor(voter: Voter): number {
    const known = this.byId.get(voter.id);
    return known !== undefined && isVoterKey(voter, known.key) ? known.offset : -1;
  }

  offsetOf(id: number): number {
    return this.byId.get(id)?.offset ?? -1;
  }

  lastFetchMsOf(id: number): number {
    return this.byId.get(id)?.lastFetchMs ?? Number.NEGATIVE_INFINITY;
  }

  described(voter: Voter, leaderId: number, logEndOffset: number, nowMs: number): ReplicaProgress {
    const { directoryId, id } = voter;
    if (id === leaderId) return { id, directoryId, logEndOffset, lastFetchMs: nowMs, lastCaughtUpMs: nowMs };
    const known = this.byId.get(id);
    return {
      ...{ id, directoryId, logEndOffset: known?.offset ?? -1 },
      lastFetchMs: known?.lastFetchMs ?? -1,
      lastCaughtUpMs: known?.lastCaughtUpMs ?? -1,
    };
  }
}
