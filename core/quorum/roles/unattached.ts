// A node that knows its epoch but no leader that it could reach. A voter waits for one, or for its election timeout; everybody asks around.
import type { TimerHandle } from "../../base/index.ts";
import type { QuorumCore } from "../quorum-core.ts";
import type { ReplicaKey } from "../replicated-log.ts";
import { QuorumRole } from "./role.ts";

export class Unattached extends QuorumRole {
  readonly name = "unattached";
  private readonly knownLeaderId: number;
  private timer: TimerHandle | null = null;

  /** `leaderId`: of a leader whose address is not known. */
  constructor(core: QuorumCore, leaderId = -1) {
    super(core);
    this.knownLeaderId = leaderId;
  }

  override get leaderId(): number {
    return this.knownLeaderId;
  }

  begin(): void {
    this.awaitElection();
    this.core.fetcher.kick();
  }

  private awaitElection(): void {
    this.timer?.cancel();
    this.timer = this.after(this.core.electionTimeoutMs(), () => {
      if (this.core.mayStand) this.core.toProspective();
      else this.awaitElection();
    });
  }

  /** KIP-996: the one that was voted for gets a whole timeout to win. */
  onVoted(): void {
    this.awaitElection();
  }

  grantsVote(candidate: ReplicaKey, isUpToDate: boolean, isPre: boolean): boolean {
    if (isPre) return isUpToDate;
    const voted = this.core.hasVotedFor(candidate);
    if (voted !== null) return voted;
    return this.knownLeaderId < 0 && isUpToDate;
  }
}
