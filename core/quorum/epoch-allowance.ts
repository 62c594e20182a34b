// How far requests may raise the epoch. Kafka takes over whatever epoch a request names, so one frame with the largest number leaves the
// quorum none for its next election. Here requests raise it by a bounded number in a bounded time; a node that is really further behind
// learns of it from the answers of those whom it asks itself, at addresses that it chose.
import type { Clock } from "../base/index.ts";

/** Elections that requests may report within one period. At one a second this leaves ten times what a quorum can do. */
export const epochsPerPeriodMax = 1_000;
export const epochPeriodMs = 100_000;

export class EpochAllowance {
  private readonly clock: Clock;
  private beganMs: number;
  private left = epochsPerPeriodMax;

  constructor(clock: Clock) {
    this.clock = clock;
    this.beganMs = clock.monotonicMs();
  }

  /** Whether a request may raise the epoch by `count`; it then has. */
  take(count: number): boolean {
    const nowMs = this.clock.monotonicMs();
    if (nowMs - this.beganMs >= epochPeriodMs) {
      this.beganMs = nowMs;
      this.left = epochsPerPeriodMax;
    }
    if (count > this.left) return false;
    this.left -= count;
    return true;
  }
}
