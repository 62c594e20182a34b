// One line for what may happen thousands of times a second: the first of each kind in a period is logged, the rest are counted.
import type { Clock, Logger } from "@blumfeld/core/base";

export const limitedLogPeriodMs = 10_000;
/** Kinds remembered within a period; more are counted under none. */
export const limitedLogKindsMax = 64;

export class LimitedLog {
  private readonly logger: Logger;
  private readonly clock: Clock;
  private periodStartMs = 0;
  private readonly counts = new Map<string, number>();

  constructor(logger: Logger, clock: Clock) {
    this.logger = logger;
    this.clock = clock;
  }

  warn(kind: string, fields: object, message: string): void {
    if (this.isFirst(kind)) this.logger.warn(fields, message);
  }

  /** `message` is made only where it is logged. */
  error(kind: string, fields: object, message: () => string): void {
    if (this.isFirst(kind)) this.logger.error(fields, message());
  }

  private isFirst(kind: string): boolean {
    const nowMs = this.clock.monotonicMs();
    if (nowMs - this.periodStartMs >= limitedLogPeriodMs) this.startPeriod(nowMs);
    const count = this.counts.get(kind);
    if (count === undefined) {
      if (this.counts.size >= limitedLogKindsMax) return false;
      this.counts.set(kind, 1);
      return true;
    }
    this.counts.set(kind, count + 1);
    return false;
  }

  private startPeriod(nowMs: number): void {
    for (const [kind, count] of this.counts) {
      if (count > 1) this.logger.warn({ kind, suppressed: count - 1 }, "more of the same were not logged");
    }
    this.counts.clear();
    this.periodStartMs = nowMs;
  }
}
