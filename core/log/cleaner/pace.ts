// How fast the cleaner may go: so long at a stretch before others have their turn, and so many bytes a second (log.cleaner.io.max.bytes.per.second).
import type { Clock, Timers } from "../../base/index.ts";

/**
 * How long compaction may hold the loop at a stretch. Fifteen milliseconds would do for everything that is not waiting; a produce that is, sees
 * each stretch in its latency.
 */
export const cleanerSliceMsMax = 4;
/** Over this long the bytes are counted together. */
export const throttlePeriodMs = 300;

export class CleanerPace {
  private readonly clock: Clock;
  private readonly timers: Timers;
  private readonly bytesPerSecond: () => number;
  private sliceStartMs: number;
  private periodStartMs: number;
  private periodBytes = 0;

  constructor(clock: Clock, timers: Timers, bytesPerSecond: () => number) {
    this.clock = clock;
    this.timers = timers;
    this.bytesPerSecond = bytesPerSecond;
    this.sliceStartMs = this.periodStartMs = clock.monotonicMs();
  }

  /** The loop came round by itself, as it does while a read is waited for. */
  beginSlice(): void {
    this.sliceStartMs = this.clock.monotonicMs();
  }

  get isSliceOver(): boolean {
    return this.clock.monotonicMs() - this.sliceStartMs >= cleanerSliceMsMax;
  }

  /** Lets others have their turn. */
  async turn(): Promise<void> {
    await this.wait(0);
    this.beginSlice();
  }

  /** Counts bytes read or written; waits where they are ahead of what a second may have. */
  async spend(bytes: number): Promise<void> {
    const rate = this.bytesPerSecond();
    if (!Number.isFinite(rate) || rate >= Number.MAX_SAFE_INTEGER) return;
    this.periodBytes += bytes;
    const elapsedMs = this.clock.monotonicMs() - this.periodStartMs;
    const dueMs = (this.periodBytes / rate) * 1000;
    if (dueMs > elapsedMs && dueMs - elapsedMs >= 1) await this.wait(dueMs - elapsedMs);
    if (Math.max(dueMs, elapsedMs) < throttlePeriodMs) return;
    this.periodStartMs = this.clock.monotonicMs();
    this.periodBytes = 0;
    this.beginSlice();
  }

  private wait(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.timers.after(delayMs, resolve);
    });
  }
}
