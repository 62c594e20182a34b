// What a leader knows of one follower, from the follower's own fetches: how far it is, and when it was last as far as the leader. Changed
// only by the functions here; owns no bytes and reads no clock.

/** The follower has not fetched since this leader began. */
export const followerOffsetNone = -1;
/** The follower does not say which of its incarnations it is (a fetch below version 15, or a tool). */
export const brokerEpochNone = -1;

export interface FollowerFetch {
  /** Where it wants to go on: all below is in its log. */
  readonly fetchOffset: number;
  readonly logStartOffset: number;
  /** -1 where the fetch does not carry it. */
  readonly brokerEpoch: number;
  readonly nowMs: number;
  /** The leader's own end when the fetch was read. */
  readonly leaderEndOffset: number;
}

export class FollowerState {
  readonly brokerId: number;
  logEndOffset = followerOffsetNone;
  logStartOffset = followerOffsetNone;
  /** Null until its first fetch of this leader (KIP-903). */
  brokerEpoch: number | null = null;
  lastCaughtUpMs = Number.NEGATIVE_INFINITY;
  private lastFetchMs = Number.NEGATIVE_INFINITY;
  private lastFetchLeaderEndOffset = followerOffsetNone;

  constructor(brokerId: number) {
    this.brokerId = brokerId;
  }

  /**
   * A new epoch begins. A broker that has just become leader knows nothing of the others; one that stays leader keeps what it knows. Who is in
   * sync has the whole lag time to show that it still is.
   */
  begin(options: { isNewLeader: boolean; isInSync: boolean; leaderEndOffset: number; nowMs: number }): void {
    const { isInSync, isNewLeader, leaderEndOffset, nowMs } = options;
    this.lastCaughtUpMs = isInSync ? nowMs : Number.NEGATIVE_INFINITY;
    if (isNewLeader) {
      this.logEndOffset = followerOffsetNone;
      this.logStartOffset = followerOffsetNone;
      this.brokerEpoch = null;
      this.lastFetchMs = Number.NEGATIVE_INFINITY;
      this.lastFetchLeaderEndOffset = followerOffsetNone;
      return;
    }
    this.lastFetchLeaderEndOffset = leaderEndOffset;
    this.lastFetchMs = isInSync ? nowMs : Number.NEGATIVE_INFINITY;
  }

  /**
   * A follower that reached the leader's end is caught up now. One that reached what was the end at its *last* fetch was caught up then: under
   * a steady load it never sees the present end, and is in sync all the same.
   */
  onFetch({ brokerEpoch, fetchOffset, leaderEndOffset, logStartOffset, nowMs }: FollowerFetch): void {
    if (fetchOffset >= leaderEndOffset) this.lastCaughtUpMs = Math.max(this.lastCaughtUpMs, nowMs);
    else if (fetchOffset >= this.lastFetchLeaderEndOffset)
      this.lastCaughtUpMs = Math.max(this.lastCaughtUpMs, this.lastFetchMs);
    this.logEndOffset = fetchOffset;
    this.logStartOffset = logStartOffset;
    this.lastFetchLeaderEndOffset = Math.max(leaderEndOffset, this.lastFetchLeaderEndOffset);
    this.lastFetchMs = nowMs;
    this.brokerEpoch = brokerEpoch;
  }

  /** At the end now, or within the lag time. */
  isCaughtUp(leaderEndOffset: number, nowMs: number, lagMsMax: number): boolean {
    return this.logEndOffset === leaderEndOffset || nowMs - this.lastCaughtUpMs <= lagMsMax;
  }
}
