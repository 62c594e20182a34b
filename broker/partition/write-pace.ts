// Whether a log directory is written on the loop or on the thread pool. A write to the page cache takes microseconds, and then doing it
// here beats a trip to the pool; a stalled device makes the same call take seconds, and then every connection would wait with it.

/** A write that takes longer held up everybody. */
export const slowWriteMs = 20;
/** So many slow writes among the last `paceWindowWrites` move the directory to the pool. */
export const slowWriteCountMax = 3;
export const paceWindowWrites = 64;
/** One write this slow is enough. */
export const stalledWriteMs = 200;
/** So many quick writes one after another bring it back. */
export const quickWriteCountMin = 32;

export class WritePace {
  /** True: write through the pool, with bytes of one's own. */
  isSlow = false;
  private slowCount = 0;
  private quickCount = 0;
  private windowWrites = 0;
  private readonly onChange: (isSlow: boolean, writeMs: number) => void;

  constructor(onChange: (isSlow: boolean, writeMs: number) => void = () => {}) {
    this.onChange = onChange;
  }

  note(writeMs: number): void {
    if (this.isSlow) {
      this.quickCount = writeMs > slowWriteMs ? 0 : this.quickCount + 1;
      if (this.quickCount >= quickWriteCountMin) this.change(false, writeMs);
      return;
    }
    if (writeMs > slowWriteMs) {
      this.slowCount++;
      if (this.slowCount >= slowWriteCountMax || writeMs > stalledWriteMs) {
        this.change(true, writeMs);
        return;
      }
    }
    if (++this.windowWrites >= paceWindowWrites) {
      this.windowWrites = 0;
      this.slowCount = 0;
    }
  }

  private change(isSlow: boolean, writeMs: number): void {
    this.isSlow = isSlow;
    this.slowCount = 0;
    this.quickCount = 0;
    this.windowWrites = 0;
    this.onChange(isSlow, writeMs);
  }
}
