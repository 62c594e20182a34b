// The replicas of a partition as its leader sees them: who is in sync, what is committed, and which change of the in-sync replicas to ask the
// controller for. Pure: told of fetches, metadata and answers, it says what follows; it sends nothing.
//
//   committed → expanding: a follower that may join has caught up          committed → shrinking: a member has lagged for too long
//   expanding, shrinking → committed: the controller's answer, or metadata of this epoch, or a new epoch
//
// While a change is on its way nobody knows whether it is in force. The high watermark then goes by the larger of the two sets (the maximal
// ISR): whoever the controller might take for a leader holds what was acknowledged. No second change is asked for meanwhile.
import { ErrorCode } from "../protocol/index.ts";
import { brokerEpochNone, type FollowerFetch, FollowerState } from "./follower-state.ts";

/** What the metadata says of the brokers. */
export interface ReplicaMembership {
  isFenced(brokerId: number): boolean;
  /** In controlled shutdown: about to go. */
  isLeaving(brokerId: number): boolean;
  /** Of the registration in force of a broker that takes part; null where there is none. */
  brokerEpochOf(brokerId: number): number | null;
}

export interface LeaderAssignment {
  readonly leaderEpoch: number;
  readonly partitionEpoch: number;
  readonly replicas: readonly number[];
  readonly isr: readonly number[];
}

export interface IsrMember {
  readonly brokerId: number;
  /** -1 where it is not known: the controller then does not check it. */
  readonly brokerEpoch: number;
}

/** What AlterPartition asks for. One object for each attempt: an answer to another one than the present is old. */
export interface IsrWish {
  readonly kind: "expand" | "shrink";
  readonly leaderEpoch: number;
  readonly partitionEpoch: number;
  readonly isr: readonly IsrMember[];
}

export interface IsrAnswer {
  readonly errorCode: number;
  readonly leaderEpoch: number;
  readonly partitionEpoch: number;
  readonly isr: readonly number[];
}

/** "changed": what is in sync may be another set now. "again": ask once more with the same wish. "settled": nothing follows from it. */
export type IsrAnswerVerdict = "changed" | "again" | "settled";

/** "unknown": no replica of this partition by the metadata that is known here. "stale": of an incarnation that is gone. */
export type FollowerFetchVerdict = "taken" | "unknown" | "stale";

export interface LeaderReplicasOptions {
  readonly localId: number;
  readonly membership: ReplicaMembership;
  /** replica.lag.time.max.ms, which may change while this runs. */
  readonly lagMsMax: () => number;
  readonly localBrokerEpoch: () => number;
}

export class LeaderReplicas {
  isr: readonly number[] = [];
  /** The followers that are in sync, and those that may be so soon. */
  maximalIsr: readonly number[] = [];
  leaderEpoch = -1;
  partitionEpoch = -1;
  private readonly options: LeaderReplicasOptions;
  /** All replicas but this one. */
  private followers: FollowerState[] = [];
  private wish: IsrWish | null = null;
  /** Where this leader's epoch began: who has not come up to it may have a tail of an earlier leader. */
  private epochStartOffset = 0;

  constructor(options: LeaderReplicasOptions) {
    this.options = options;
  }

  get isChanging(): boolean {
    return this.wish !== null;
  }

  follower(brokerId: number): FollowerState | null {
    for (const follower of this.followers) if (follower.brokerId === brokerId) return follower;
    return null;
  }

  allFollowers(): readonly FollowerState[] {
    return this.followers;
  }

  // --- metadata ----------------------------------------------------------------------------------

  /** This broker leads, in a new epoch. */
  begin(
    assignment: LeaderAssignment,
    options: { epochStartOffset: number; isNewLeader: boolean; nowMs: number },
  ): void {
    const { epochStartOffset, isNewLeader, nowMs } = options;
    this.takeOver(assignment);
    this.epochStartOffset = epochStartOffset;
    for (const follower of this.followers) {
      const isInSync = assignment.isr.includes(follower.brokerId);
      follower.begin({ isNewLeader, isInSync, leaderEndOffset: epochStartOffset, nowMs });
    }
  }

  /** New metadata of the epoch that is going on. Older than what an answer has told already: passed over, and false. */
  update(assignment: LeaderAssignment): boolean {
    if (assignment.partitionEpoch < this.partitionEpoch) return false;
    if (assignment.partitionEpoch === this.partitionEpoch && this.wish !== null) return false;
    this.takeOver(assignment);
    return true;
  }

  private takeOver({ isr, leaderEpoch, partitionEpoch, replicas }: LeaderAssignment): void {
    const { localId } = this.options;
    this.followers = replicas.filter((id) => id !== localId).map((id) => this.follower(id) ?? new FollowerState(id));
    this.leaderEpoch = leaderEpoch;
    this.partitionEpoch = partitionEpoch;
    this.settle(isr);
  }

  private settle(isr: readonly number[]): void {
    this.wish = null;
    this.isr = isr;
    this.maximalIsr = isr;
  }

  // --- fetches -----------------------------------------------------------------------------------

  onFetch(brokerId: number, fetch: FollowerFetch): FollowerFetchVerdict {
    const follower = this.follower(brokerId);
    if (follower === null) return "unknown";
    const known = this.options.membership.brokerEpochOf(brokerId);
    // KIP-903: what an earlier incarnation had, the present one may have lost.
    if (fetch.brokerEpoch !== brokerEpochNone && known !== null && known > fetch.brokerEpoch) return "stale";
    follower.onFetch(fetch);
    return "taken";
  }

  /**
   * What all hold that are in sync or may be, given the leader's own end. A follower that is nearly there, and may join, is waited for: it
   * would otherwise never catch up with a leader that commits alone.
   */
  committedOffset(leaderEndOffset: number, nowMs: number): number {
    let committed = leaderEndOffset;
    for (const follower of this.followers) {
      if (follower.logEndOffset >= committed) continue;
      if (this.maximalIsr.includes(follower.brokerId) || this.isJoining(follower, leaderEndOffset, nowMs))
        committed = follower.logEndOffset;
    }
    return committed;
  }

  private isJoining(follower: FollowerState, leaderEndOffset: number, nowMs: number): boolean {
    return follower.isCaughtUp(leaderEndOffset, nowMs, this.options.lagMsMax()) && this.isEligible(follower);
  }

  /** Where the earliest record is that every replica which takes part still has: what DeleteRecords waits for. */
  lowWatermark(leaderStartOffset: number): number {
    const { membership } = this.options;
    let low = leaderStartOffset;
    for (const { brokerId, logStartOffset } of this.followers)
      if (membership.brokerEpochOf(brokerId) !== null) low = Math.min(low, logStartOffset);
    return low;
  }

  // --- the in-sync replicas ----------------------------------------------------------------------

  /** KIP-841, KIP-903: it takes part, is not about to go, and what it fetched it fetched in its present incarnation. */
  private isEligible({ brokerEpoch, brokerId }: FollowerState): boolean {
    const { membership } = this.options;
    if (membership.isFenced(brokerId) || membership.isLeaving(brokerId)) return false;
    const known = membership.brokerEpochOf(brokerId);
    return brokerEpoch !== null && known !== null && (brokerEpoch === brokerEpochNone || brokerEpoch === known);
  }

  /** Null where this follower is no news for the in-sync replicas. Once made, a wish is pending until it is answered. */
  wishToExpand(brokerId: number, highWatermark: number): IsrWish | null {
    if (this.wish !== null || this.isr.includes(brokerId)) return null;
    const follower = this.follower(brokerId);
    if (follower === null || !this.isEligible(follower)) return null;
    if (follower.logEndOffset < highWatermark || follower.logEndOffset < this.epochStartOffset) return null;
    const isr = [...this.isr, brokerId];
    this.wish = this.newWish("expand", isr);
    this.maximalIsr = isr;
    return this.wish;
  }

  /** Null where all members are with the leader, or were within the lag time. */
  wishToShrink(leaderEndOffset: number, nowMs: number): IsrWish | null {
    if (this.wish !== null) return null;
    const lagMsMax = this.options.lagMsMax();
    const isr = this.isr.filter((id) => {
      if (id === this.options.localId) return true;
      return this.follower(id)?.isCaughtUp(leaderEndOffset, nowMs, lagMsMax) ?? false;
    });
    if (isr.length === this.isr.length) return null;
    this.wish = this.newWish("shrink", isr);
    return this.wish;
  }

  private newWish(kind: IsrWish["kind"], isr: readonly number[]): IsrWish {
    const { leaderEpoch, options, partitionEpoch } = this;
    const members = isr.map((brokerId) => ({
      brokerId,
      brokerEpoch:
        brokerId === options.localId
          ? options.localBrokerEpoch()
          : (this.follower(brokerId)?.brokerEpoch ?? brokerEpochNone),
    }));
    return { kind, leaderEpoch, partitionEpoch, isr: members };
  }

  isPending(wish: IsrWish): boolean {
    return this.wish === wish;
  }

  /** The controller's word on `wish`. */
  onAnswer(wish: IsrWish, answer: IsrAnswer): IsrAnswerVerdict {
    if (this.wish !== wish) return "settled";
    switch (answer.errorCode) {
      case ErrorCode.NONE:
        return this.onGranted(answer);
      // Not granted, and nothing changed: what was committed is in force still, and the next fetch or tick may ask anew.
      case ErrorCode.OPERATION_NOT_ATTEMPTED:
      case ErrorCode.INELIGIBLE_REPLICA:
        this.settle(this.isr);
        return "changed";
      // The metadata has moved on without this leader: the wish stays pending, and the maximal set in force, until the metadata is here.
      case ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
      case ErrorCode.UNKNOWN_TOPIC_ID:
      case ErrorCode.FENCED_LEADER_EPOCH:
      case ErrorCode.INVALID_UPDATE_VERSION:
      case ErrorCode.INVALID_REQUEST:
      case ErrorCode.NEW_LEADER_ELECTED:
        return "settled";
      default:
        return "again";
    }
  }

  private onGranted({ isr, leaderEpoch, partitionEpoch }: IsrAnswer): IsrAnswerVerdict {
    if (leaderEpoch !== this.leaderEpoch || partitionEpoch < this.partitionEpoch) return "settled";
    this.partitionEpoch = partitionEpoch;
    this.settle(isr);
    return "changed";
  }
}
