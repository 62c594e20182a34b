// A node that replicates its leader's log. A voter whose leader has been silent for its fetch timeout asks for a new one; an observer asks
// around for whoever leads now.
import type { TimerHandle } from "../../base/index.ts";
import type { QuorumCore } from "../quorum-core.ts";
import type { ReplicaKey } from "../replicated-log.ts";
import { VoterUpdater } from "../voter-updater.ts";
import { type LeaderPlace, QuorumRole } from "./role.ts";

export class Follower extends QuorumRole {
  readonly name = "follower";
  private place: LeaderPlace;
  private fetchTimer: TimerHandle | null = null;
  private electionTimer: TimerHandle | null = null;
  /** KIP-996: while it has not reached its leader it would vote for another. */
  private hasFetched = false;
  /** Its leader has been silent: an observer asks others too. */
  isLeaderSilent = false;

  constructor(core: QuorumCore, place: LeaderPlace) {
    super(core);
    this.place = place;
  }

  override get leaderId(): number {
    return this.place.id;
  }

  override get leaderPlace(): LeaderPlace {
    return this.place;
  }

  begin(): void {
    const { core } = this;
    core.electionTries = 0;
    this.awaitLeader();
    core.fetcher.kick();
    new VoterUpdater(core, this, (delayMs, callback) => this.after(delayMs, callback)).begin();
  }

  /** Somebody knows another address of the leader, which does not answer: its timeout goes on all the same. */
  onLeaderPlace(place: LeaderPlace): void {
    if (this.isLeaderSilent || this.core.fetcher.hasFailed) this.place = place;
  }

  /** The leader has answered. */
  onFetched(): void {
    this.hasFetched = true;
    this.isLeaderSilent = false;
    // It has resigned, but nobody else leads yet: the election stays due.
    if (this.electionTimer === null) this.awaitLeader();
  }

  private awaitLeader(): void {
    this.fetchTimer?.cancel();
    this.fetchTimer = this.after(this.core.settings.fetchTimeoutMs, () => {
      if (this.core.mayStand) {
        this.core.toProspective();
        return;
      }
      this.isLeaderSilent = true;
      this.awaitLeader();
      this.core.fetcher.kick();
    });
  }

  /** The leader resigns: the most advanced candidate begins at once, the others later, in its order. */
  onLeaderResigned(rank: number, candidateCount: number): void {
    const { core } = this;
    if (!core.mayStand) return;
    this.electionTimer?.cancel();
    const delayMs = rank === 0 ? 0 : core.rankedBackoffMs(rank < 0 ? candidateCount : rank, candidateCount + 1);
    this.electionTimer = this.after(delayMs, () => core.toProspective());
  }

  grantsVote(candidate: ReplicaKey, isUpToDate: boolean, isPre: boolean): boolean {
    // KIP-996, and a step beyond it: a voter that does not know yet that it is one, and so never asks itself, lets others ask.
    if (isPre) return isUpToDate && (!this.hasFetched || this.isLeaderSilent);
    return this.core.hasVotedFor(candidate) ?? false;
  }
}
