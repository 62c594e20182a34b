// A voter that has begun an epoch and voted for itself; its vote is on disk before it asks for others. Lost or not decided, it backs off, a
// longer time at each try, and begins again as prospective.
import type { QuorumCore } from "../quorum-core.ts";
import type { ReplicaKey } from "../replicated-log.ts";
import { Ballot } from "./ballot.ts";
import { QuorumRole } from "./role.ts";

export class Candidate extends QuorumRole {
  readonly name = "candidate";
  private readonly ballot: Ballot;

  constructor(core: QuorumCore) {
    super(core);
    this.ballot = new Ballot({
      ...{ core, role: this, isPre: false },
      retryLater: (callback) => void this.after(core.settings.retryBackoffMs, callback),
      onWon: () => core.toLeader(this.ballot.grantedBy),
      onLost: () => void this.after(core.electionBackoffMs(), () => core.toProspective()),
    });
  }

  begin(): void {
    this.after(this.core.electionTimeoutMs(), () => this.core.toProspective());
    this.ballot.begin();
  }

  grantsVote(_candidate: ReplicaKey, isUpToDate: boolean, isPre: boolean): boolean {
    return isPre && isUpToDate;
  }
}
