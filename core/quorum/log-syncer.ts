// Brings what the metadata log has written to the device: one sync at a time, each for all that was written before it began. Knows up to
// where the log is durable; whoever cuts the log waits for `idle` first, so that a sync that began before never counts for what came after.
import type { QuorumLog } from "./quorum-log.ts";

export class LogSyncer {
  private readonly log: QuorumLog;
  private readonly onFailure: (error: unknown) => void;
  private syncedEnd: number;
  private running: Promise<void> | null = null;
  private hasFailed = false;

  constructor(log: QuorumLog, onFailure: (error: unknown) => void) {
    this.log = log;
    this.onFailure = onFailure;
    // What was found at the start has been read back from the device, or is checked before it counts: see `syncNow`.
    this.syncedEnd = 0;
  }

  /** All before it is on the device. */
  get syncedOffset(): number {
    return Math.min(this.syncedEnd, this.log.logEndOffset);
  }

  /** Resolves when all that is written now is durable; never, once the disk has failed. */
  async sync(): Promise<void> {
    const wanted: number = this.log.logEndOffset;
    while (this.syncedEnd < wanted) {
      this.running ??= this.run();
      await this.running;
      if (this.hasFailed) return new Promise(() => {});
      // A cut below what was wanted.
      if (this.log.logEndOffset < wanted) return;
    }
  }

  /** Waits for the device: at the start of a node and its epochs. Throws DiskError. */
  syncNow(): void {
    this.log.flush();
    this.syncedEnd = this.log.logEndOffset;
  }

  /** Resolves when no sync is under way. */
  async idle(): Promise<void> {
    while (this.running !== null) await this.running;
  }

  /** Everything from `endOffset` on has been cut off. */
  onTruncated(endOffset: number): void {
    this.syncedEnd = Math.min(this.syncedEnd, endOffset);
  }

  private async run(): Promise<void> {
    const { log } = this;
    const end: number = log.logEndOffset;
    try {
      await log.flushLater();
      this.syncedEnd = Math.max(this.syncedEnd, end);
    } catch (error) {
      this.hasFailed = true;
      this.onFailure(error);
    } finally {
      this.running = null;
    }
  }
}
