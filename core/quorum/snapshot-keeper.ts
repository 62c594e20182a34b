// When a snapshot is due, writes it a batch a turn, and removes the snapshots and the part of the log that retention no longer keeps.
// One snapshot at a time. The newest one is never removed.
import type { Clock, Disk, Logger, Timers } from "../base/index.ts";
import type { Offset } from "../model/index.ts";
import type { MetadataRecordInit } from "../protocol/index.ts";
import type { CommittedBatch, SnapshotId, SnapshotSource, Voter } from "./metadata-quorum.ts";
import type { QuorumLog } from "./quorum-log.ts";
import { snapshotFileName } from "./snapshot-id.ts";
import { SnapshotWriter } from "./snapshot-writer.ts";

export interface SnapshotLimits {
  /** metadata.log.max.record.bytes.between.snapshots. */
  readonly snapshotBytesMax: number;
  /** metadata.log.max.snapshot.interval.ms; 0 turns the interval off. */
  readonly snapshotIntervalMs: number;
  /** metadata.max.retention.bytes: log and snapshots together; -1 is no bound. */
  readonly retentionBytes: number;
  /** metadata.max.retention.ms; -1 is no bound. */
  readonly retentionMs: number;
  readonly cleaningIntervalMs: number;
}

export const snapshotLimitsDefault: SnapshotLimits = {
  snapshotBytesMax: 20 * 1024 * 1024,
  snapshotIntervalMs: 60 * 60 * 1000,
  retentionBytes: 100 * 1024 * 1024,
  retentionMs: 7 * 24 * 60 * 60 * 1000,
  cleaningIntervalMs: 60 * 1000,
};

interface KeeperPorts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly log: QuorumLog;
  readonly limits: SnapshotLimits;
  readonly snapshotSource: SnapshotSource;
}

interface KeptSnapshot {
  readonly id: SnapshotId;
  readonly sizeBytes: number;
  /** When its last record was written; the file's own time for those found at start. */
  readonly lastContainedMs: number;
}

/** The voters in force for what lies before an offset; null with kraft.version 0, of which a snapshot says nothing. */
export type SnapshotQuorum = (
  endOffset: number,
) => { readonly kraftVersion: number; readonly voters: readonly Voter[] } | null;

export class SnapshotKeeper {
  private readonly ports: KeeperPorts;
  private readonly quorumBefore: SnapshotQuorum;
  private kept: KeptSnapshot[];
  private bytesSinceSnapshot: number;
  private lastSnapshotMs: number;
  private writing: Promise<void> | null = null;
  private stopped = false;

  constructor(
    ports: KeeperPorts,
    loaded: { readonly snapshots: readonly SnapshotId[]; readonly bytesAfterSnapshot: number },
    quorumBefore: SnapshotQuorum,
  ) {
    this.ports = ports;
    this.quorumBefore = quorumBefore;
    this.bytesSinceSnapshot = loaded.bytesAfterSnapshot;
    this.lastSnapshotMs = ports.clock.monotonicMs();
    this.kept = loaded.snapshots.map((id) => {
      const status = ports.disk.status(`${ports.log.path}/${snapshotFileName(id)}`);
      return { id, sizeBytes: status?.sizeBytes ?? 0, lastContainedMs: status?.modifiedMs ?? 0 };
    });
  }

  /** Null where there is none. */
  get earliest(): SnapshotId | null {
    return this.kept[0]?.id ?? null;
  }

  get latest(): SnapshotId | null {
    return this.kept.at(-1)?.id ?? null;
  }

  /** One that came from the leader. It stands for all before its end: older ones and the log up to there may go. */
  onFetched(id: SnapshotId): void {
    const { clock, disk, log } = this.ports;
    const status = disk.status(`${log.path}/${snapshotFileName(id)}`);
    this.kept = this.kept.filter((kept) => kept.id.endOffset !== id.endOffset || kept.id.epoch !== id.epoch);
    this.kept.push({ id, sizeBytes: status?.sizeBytes ?? 0, lastContainedMs: clock.wallMs() });
    this.kept.sort((one, other) => one.id.endOffset - other.id.endOffset || one.id.epoch - other.id.epoch);
    this.bytesSinceSnapshot = 0;
    this.lastSnapshotMs = clock.monotonicMs();
    this.removeBefore(id);
  }

  /** The log begins at `id` now: what older snapshots lead to is not there any more. */
  private removeBefore(id: SnapshotId): void {
    const { disk, log, logger } = this.ports;
    while (this.kept.length > 1 && this.kept[0]!.id.endOffset < id.endOffset) {
      const oldest = this.kept[0]!.id;
      try {
        disk.removeFile(`${log.path}/${snapshotFileName(oldest)}`);
      } catch (error) {
        logger.warn({ snapshot: snapshotFileName(oldest), error: String(error) }, "cannot remove an old snapshot");
      }
      this.kept.shift();
    }
  }

  onCommit(batches: readonly CommittedBatch[]): void {
    for (const batch of batches) this.bytesSinceSnapshot += batch.sizeBytes;
    const { clock, limits } = this.ports;
    const isLarge = this.bytesSinceSnapshot >= limits.snapshotBytesMax;
    const isLate =
      limits.snapshotIntervalMs > 0 && clock.monotonicMs() - this.lastSnapshotMs >= limits.snapshotIntervalMs;
    const last = batches.at(-1);
    if ((isLarge || isLate) && last !== undefined) this.begin(last);
  }

  /** The state is taken now, with the last batch just committed; writing it takes as many turns as it needs. */
  private begin(last: CommittedBatch): void {
    if (this.writing !== null || this.stopped) return;
    const source = this.ports.snapshotSource();
    if (source === null) return;
    this.bytesSinceSnapshot = 0;
    this.lastSnapshotMs = this.ports.clock.monotonicMs();
    const id: SnapshotId = { endOffset: last.lastOffset + 1, epoch: last.epoch };
    this.writing = this.write(id, last.timestampMs, source[Symbol.iterator]())
      .catch((error: unknown) => {
        // The log still has everything: the next snapshot will be tried when it is due.
        this.ports.logger.error({ snapshot: snapshotFileName(id), error: String(error) }, "cannot write the snapshot");
      })
      .finally(() => {
        this.writing = null;
      });
  }

  private async write(id: SnapshotId, lastContainedMs: number, records: Iterator<MetadataRecordInit>): Promise<void> {
    const { clock, disk, log, timers } = this.ports;
    const head = { id, lastContainedMs, nowMs: clock.wallMs(), quorum: this.quorumBefore(id.endOffset) };
    const writer = new SnapshotWriter(disk, log.path, head);
    try {
      while (writer.writeSome(records)) {
        await new Promise<void>((resolve) => timers.atTurnEnd(resolve));
        if (this.stopped || this.isSuperseded(id)) {
          writer.abandon();
          return;
        }
      }
      await writer.finish();
    } catch (error) {
      writer.abandon();
      throw error;
    }
    if (this.isSuperseded(id)) {
      disk.removeFile(`${log.path}/${snapshotFileName(id)}`);
      return;
    }
    const status = disk.status(`${log.path}/${snapshotFileName(id)}`);
    this.kept.push({ id, sizeBytes: status?.sizeBytes ?? 0, lastContainedMs });
    this.clean();
  }

  /** While it was written, a later one has come from the leader: the log does not continue this one any more. */
  private isSuperseded(id: SnapshotId): boolean {
    return (this.latest?.endOffset ?? -1) > id.endOffset;
  }

  /** Oldest first, while they are too old or all together too large; the log then begins at the oldest snapshot that stays. */
  clean(): void {
    const { clock, disk, limits, log, logger } = this.ports;
    const nowMs = clock.wallMs();
    while (this.kept.length > 1) {
      const [oldest, next] = this.kept;
      const isOld = limits.retentionMs >= 0 && nowMs - oldest!.lastContainedMs > limits.retentionMs;
      const totalBytes = this.kept.reduce((sum, each) => sum + each.sizeBytes, log.sizeBytes);
      const isLarge = limits.retentionBytes >= 0 && totalBytes > limits.retentionBytes;
      if (!isOld && !isLarge) return;
      try {
        if (next!.id.endOffset > log.logStartOffset) log.deleteRecordsBefore(next!.id.endOffset as Offset);
        disk.removeFile(`${log.path}/${snapshotFileName(oldest!.id)}`);
        log.deleteOldSegments(nowMs);
      } catch (error) {
        logger.warn({ snapshot: snapshotFileName(oldest!.id), error: String(error) }, "cannot remove an old snapshot");
        return;
      }
      this.kept.shift();
    }
  }

  async close(): Promise<void> {
    this.stopped = true;
    await this.writing;
  }
}
