// What every part that a node plays in the quorum has: a name, the leader it knows of, timers that end with it, and whether it grants a vote.
//
//   unattached  → prospective: election timeout, as a voter          → follower: a leader is known
//   prospective → candidate: a majority would vote for it            → follower, unattached: it would not
//   candidate   → leader: a majority has voted for it                → prospective: it has not
//   follower    → prospective: its leader is silent, or has resigned
//   leader      → resigned: it is closed, or a majority is silent, or it is no voter any more
//   resigned    → unattached, one epoch on: election timeout
//   any         → unattached or follower: a newer epoch
import type { TimerHandle } from "../../base/index.ts";
import type { VoterEndpoint } from "../metadata-quorum.ts";
import type { QuorumCore } from "../quorum-core.ts";
import type { ReplicaKey } from "../replicated-log.ts";

export type RoleName = "unattached" | "prospective" | "candidate" | "follower" | "leader" | "resigned";

/** A leader and where it is reached. */
export interface LeaderPlace {
  readonly id: number;
  readonly endpoints: readonly VoterEndpoint[];
}

export abstract class QuorumRole {
  abstract readonly name: RoleName;
  protected readonly core: QuorumCore;
  private readonly timers = new Set<TimerHandle>();
  private over = false;

  constructor(core: QuorumCore) {
    this.core = core;
  }

  /** -1 where it knows of none. */
  get leaderId(): number {
    return -1;
  }

  /** Null where none is known, or only its id. */
  get leaderPlace(): LeaderPlace | null {
    return null;
  }

  /** Another part has been taken: answers to what this one asked mean nothing any more. */
  get isOver(): boolean {
    return this.over;
  }

  abstract begin(): void;

  end(): void {
    this.over = true;
    for (const timer of this.timers) timer.cancel();
    this.timers.clear();
  }

  /** Whether a vote (or, with `isPre`, the promise of one) may be given in the epoch of this node. */
  abstract grantsVote(candidate: ReplicaKey, isUpToDate: boolean, isPre: boolean): boolean;

  /** Ends with the role. */
  protected after(delayMs: number, callback: () => void): TimerHandle {
    const timer = this.core.options.timers.after(delayMs, () => {
      this.timers.delete(timer);
      if (!this.over) this.core.run(callback);
    });
    this.timers.add(timer);
    return {
      cancel: () => {
        timer.cancel();
        this.timers.delete(timer);
      },
    };
  }
}
