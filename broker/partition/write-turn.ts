// The end of a turn: every log that was appended to is written once, high watermarks move, then produces are answered, then fetches are
// woken. Nothing is acknowledged before its bytes were written. A directory that has become slow is written through the thread pool; its
// answers wait for that, everybody else's do not.
import { type Clock, DiskError, type Logger, type Timers } from "@blumfeld/core/base";
import type { PartitionLog } from "@blumfeld/core/log";
import { ErrorCode } from "@blumfeld/core/protocol";
import type { Partition } from "./partition.ts";
import { WritePace } from "./write-pace.ts";

export interface WriteTurnParts {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  /** After a partition's high watermark moved, before its appends are answered. */
  readonly onHighWatermark: (partition: Partition) => void;
}

export class WriteTurn {
  private readonly parts: WriteTurnParts;
  private dirty: Partition[] = [];
  private isQueued = false;
  private readonly paces = new Map<string, WritePace>();
  private writesInFlight = 0;
  private idleWaiters: (() => void)[] = [];

  constructor(parts: WriteTurnParts) {
    this.parts = parts;
  }

  paceOf(directory: string): WritePace {
    let pace = this.paces.get(directory);
    if (pace === undefined) {
      pace = new WritePace((isSlow, writeMs) => {
        this.parts.logger.warn(
          { directory, writeMs: Math.round(writeMs) },
          isSlow ? "writes are slow: this directory is written through the thread pool" : "writes are quick again",
        );
      });
      this.paces.set(directory, pace);
    }
    return pace;
  }

  markDirty(partition: Partition): void {
    if (partition.isDirty) return;
    partition.isDirty = true;
    this.dirty.push(partition);
    if (this.isQueued) return;
    this.isQueued = true;
    this.parts.timers.atTurnEnd(this.runQueued);
  }

  private readonly runQueued = (): void => {
    this.isQueued = false;
    this.runNow();
  };

  /** The write turn, early: for a request that must see what was appended before it on the same connection. */
  runNow(): void {
    if (this.dirty.length === 0) return;
    const dirty = this.dirty;
    this.dirty = [];
    const written: Partition[] = [];
    for (const partition of dirty) {
      partition.isDirty = false;
      if (this.write(partition)) written.push(partition);
    }
    this.finish(written);
  }

  /** False where the write goes on in the pool, or failed. */
  private write(partition: Partition): boolean {
    const { log } = partition;
    if (log === null || partition.isWriting) return false;
    if (!log.hasPending && !log.awaitsCommit) return true;
    const pace = this.paceOf(log.directory);
    if (pace.isSlow && !partition.isCommitting) {
      void this.writeLater(partition, pace);
      return false;
    }
    const { clock } = this.parts;
    const before = clock.monotonicMs();
    try {
      log.writePending();
    } catch (error) {
      this.fail(partition, error);
      return false;
    }
    pace.note(clock.monotonicMs() - before);
    if (!log.awaitsCommit) return true;
    // One that is under way takes this along with its next sync.
    if (!partition.isCommitting) void this.commitLater(partition);
    return false;
  }

  /** Group commit: one sync for all that this turn wrote to the log; what is written while the device works shares the next one. */
  private async commitLater(partition: Partition): Promise<void> {
    partition.isCommitting = true;
    await this.inFlight(partition, async () => {
      for (let log = partition.log; log?.awaitsCommit === true; log = partition.log) {
        await this.commit(log);
        this.finish([partition]);
      }
    });
    partition.isCommitting = false;
  }

  private async commit(log: PartitionLog): Promise<void> {
    const { recoveryPoint } = log;
    await log.commitLater();
    // Closed or cut meanwhile: nobody will bring it to the device any more.
    if (log.awaitsCommit && log.recoveryPoint === recoveryPoint) throw new DiskError("EIO", log.path, "commit");
  }

  private async writeLater(partition: Partition, pace: WritePace): Promise<void> {
    const { clock } = this.parts;
    partition.isWriting = true;
    await this.inFlight(partition, async () => {
      for (let log = partition.log; log !== null && (log.hasPending || log.awaitsCommit); log = partition.log) {
        const before = clock.monotonicMs();
        await log.writePendingLater();
        pace.note(clock.monotonicMs() - before);
        if (log.awaitsCommit) await this.commit(log);
        this.finish([partition]);
      }
    });
    partition.isWriting = false;
  }

  private async inFlight(partition: Partition, work: () => Promise<void>): Promise<void> {
    this.writesInFlight++;
    try {
      await work();
    } catch (error) {
      this.fail(partition, error);
    } finally {
      if (--this.writesInFlight === 0) for (const waiter of this.idleWaiters.splice(0)) waiter();
    }
  }

  private finish(written: readonly Partition[]): void {
    const moved: Partition[] = [];
    for (const partition of written) {
      partition.advanceHighWatermark();
      if (partition.takeNews()) moved.push(partition);
    }
    for (const partition of moved) this.parts.onHighWatermark(partition);
    for (const partition of written) partition.answerAppends();
    for (const partition of moved) partition.wakeFetches();
    // Last: one answer carries what all of this turn's logs got.
    for (const partition of written) partition.wakeFollowers();
  }

  private fail(partition: Partition, error: unknown): void {
    if (!(error instanceof DiskError)) throw error;
    this.parts.logger.error({ partition: partition.name, code: error.code }, `append failed: ${error.message}`);
    partition.failAppends(ErrorCode.KAFKA_STORAGE_ERROR, partition.log?.logEndOffset);
  }

  /** Writes what is queued and waits for what the pool has. */
  async drain(): Promise<void> {
    this.runNow();
    if (this.writesInFlight > 0) await new Promise<void>((resolve) => this.idleWaiters.push(resolve));
  }
}
