// Moves a replica from one log directory to another (KIP-113) while it is written to: its records are copied into `<topic>-<partition>.<32
// hex>-future` in the other directory, and once that log has all that the first one has, it takes its place within one turn.
//
// A crash on the way leaves the replica where it was, and the start begins the move again; one between the two renames leaves only the future
// folder, which is then the replica.
import { type Clock, type Disk, DiskError, type Logger, type Timers } from "../base/index.ts";
import type { TopicPartition } from "../model/index.ts";
import { CleanerPace } from "./cleaner/pace.ts";
import type { LogState } from "./log-state.ts";
import type { PartitionLog } from "./partition-log.ts";

/** What one step reads and writes. */
export const moveBytesMax = 1024 * 1024;
/** How long a move waits that has caught up and found a write under way. */
const retryMs = 5;

export interface ReplicaMoveParts {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly disk: Disk;
  readonly logger: Logger;
  readonly bytesPerSecond: () => number;
  /** Makes the two change places; in one turn. Throws DiskError. */
  readonly swap: (move: ReplicaMove) => void;
  /** It will not be finished: its folder is removed. */
  readonly drop: (move: ReplicaMove) => void;
}

export class ReplicaMove {
  readonly topicPartition: TopicPartition;
  readonly current: PartitionLog;
  readonly future: PartitionLog;
  private readonly parts: ReplicaMoveParts;
  private readonly pace: CleanerPace;
  private isCancelled = false;
  private reshapeCount: number;
  private running: Promise<void> | null = null;

  constructor(parts: ReplicaMoveParts, current: PartitionLog, future: PartitionLog) {
    this.parts = parts;
    this.current = current;
    this.future = future;
    this.topicPartition = current.topicPartition;
    this.pace = new CleanerPace(parts.clock, parts.timers, parts.bytesPerSecond);
    this.reshapeCount = stateOf(current).reshapeCount;
  }

  /** Records that are still to be copied. */
  get lag(): number {
    return Math.max(this.current.logEndOffset - this.future.logEndOffset, 0);
  }

  /** Resolves when the move is over, one way or the other. */
  start(): Promise<void> {
    this.running ??= this.run();
    return this.running;
  }

  /** Resolves when no file is in use any more, and the copy is given up. */
  async cancel(): Promise<void> {
    this.isCancelled = true;
    await this.running;
  }

  private async run(): Promise<void> {
    const { logger } = this.parts;
    const { topic, partition } = this.topicPartition;
    try {
      while (!this.isOver) {
        if (await this.copyStep()) continue;
        // On the device before the other one goes.
        await this.future.flushLater();
        if (this.isOver) break;
        if (this.isCaughtUp) {
          this.parts.swap(this);
          logger.info(
            { topic, partition, directory: this.future.directory },
            "the replica lies in another directory now",
          );
          return;
        }
        await this.wait(retryMs);
      }
      this.parts.drop(this);
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      logger.error({ topic, partition, code: error.code }, `the replica stays where it is: ${error.message}`);
      this.parts.drop(this);
    }
  }

  private get isOver(): boolean {
    return this.isCancelled || this.current.isOffline || this.future.isOffline || this.current.isClosed;
  }

  private get isCaughtUp(): boolean {
    const { current, future } = this;
    if (current.hasPending || current.isWriting || current.awaitsCommit) return false;
    if (this.reshapeCount !== stateOf(current).reshapeCount) return false;
    if (current.logEndOffset === future.logEndOffset) return true;
    // A cut inside a batch leaves an end with nothing before it.
    const options = { bytesMax: 1, upTo: current.logEndOffset, minOneBatch: true };
    return current.read(future.logEndOffset, options).kind === "empty";
  }

  /** False where there is nothing to copy at the moment. */
  private async copyStep(): Promise<boolean> {
    const { current, future } = this;
    const { reshapeCount } = stateOf(current);
    if (reshapeCount !== this.reshapeCount || future.logEndOffset < current.logStartOffset) {
      // Cut and written anew, or given up from its start: what was copied may be of another history.
      this.reshapeCount = reshapeCount;
      future.truncateFullyAndStartAt(current.logStartOffset);
    }
    const options = { bytesMax: moveBytesMax, upTo: current.writtenEndOffset, minOneBatch: true };
    const outcome = current.read(future.logEndOffset, options);
    if (outcome.kind !== "slice") return false;
    const bytes = Buffer.allocUnsafeSlow(outcome.sizeBytes);
    const count = await outcome.file.readLater(bytes, outcome.position);
    if (this.isOver || reshapeCount !== stateOf(current).reshapeCount) return true;
    const how = { origin: "replication", leaderEpoch: -1, nowMs: this.parts.clock.wallMs() } as const;
    const appended = future.append(bytes.subarray(0, count), how);
    if (appended.kind === "refused") throw new DiskError("EIO", current.path, `copy (${appended.message})`);
    await future.writePendingLater();
    await this.pace.spend(count);
    if (this.pace.isSliceOver) await this.pace.turn();
    return true;
  }

  private wait(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.parts.timers.after(delayMs, resolve);
    });
  }
}

/** What the new log takes over besides the records. */
export function takeOver(current: PartitionLog, future: PartitionLog): void {
  const from = stateOf(current);
  const to = stateOf(future);
  to.logEndOffset = to.writtenEndOffset = from.logEndOffset;
  to.producers.endOffset = from.logEndOffset;
  future.raiseLogStartOffset(current.logStartOffset);
  to.topicId = from.topicId;
  to.epochs.restore(from.epochs.entries);
  to.cleanedOffset = null;
  future.setHighWatermark(current.highWatermark);
  future.writeEpochs();
}

function stateOf(log: PartitionLog): LogState {
  return log.forCleaner;
}
