// A voter that asks whether it would be voted for before it begins an epoch (KIP-996): one that was cut off does not disturb a quorum that
// works. Nothing of it is on disk.
import type { QuorumCore } from "../quorum-core.ts";
import type { ReplicaKey } from "../replicated-log.ts";
import { Ballot } from "./ballot.ts";
import { type LeaderPlace, QuorumRole } from "./role.ts";

export class Prospective extends QuorumRole {
  readonly name = "prospective";
  private readonly knownLeaderId: number;
  private place: LeaderPlace | null;

  /** The leader that it knew of in this epoch: what it goes back to when it would not win. */
  constructor(core: QuorumCore, leaderId: number, place: LeaderPlace | null) {
    super(core);
    this.knownLeaderId = leaderId;
    this.place = place;
  }

  override get leaderId(): number {
    return this.knownLeaderId;
  }

  override get leaderPlace(): LeaderPlace | null {
    return this.place;
  }

  /** Of the leader of its epoch, which it may not have known: it is followed at once then. */
  onLeaderPlace(place: LeaderPlace): void {
    if (this.knownLeaderId < 0 || this.place === null) this.core.toFollower(this.core.epoch, place);
    else this.place = place;
  }

  begin(): void {
    const { core } = this;
    this.after(core.electionTimeoutMs(), () => this.giveUp());
    new Ballot({
      ...{ core, role: this, isPre: true },
      retryLater: (callback) => void this.after(core.settings.retryBackoffMs, callback),
      onWon: () => core.toCandidate(),
      onLost: () => this.giveUp(),
    }).begin();
  }

  private giveUp(): void {
    const { core, place } = this;
    if (place !== null) core.toFollower(core.epoch, place);
    else core.toUnattached(core.epoch, this.knownLeaderId);
  }

  grantsVote(candidate: ReplicaKey, isUpToDate: boolean, isPre: boolean): boolean {
    if (isPre) return isUpToDate;
    const voted = this.core.hasVotedFor(candidate);
    if (voted !== null) return voted;
    return this.knownLeaderId < 0 && isUpToDate;
  }
}
