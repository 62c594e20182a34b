// One of a broker's log directories: its lock, its clean-shutdown mark and its three checkpoints. Each checkpoint names all partitions of
// the directory and is written whole.
import { type Disk, DiskError, type DiskLock, type Logger } from "../base/index.ts";
import { crc32c, type Offset, type TopicPartitionKey, topicPartitionKey } from "../model/index.ts";
import {
  checkpointBytesMax,
  decodeCleanShutdown,
  decodeOffsetCheckpoint,
  encodeCleanShutdown,
  encodeOffsetCheckpoint,
  MalformedCheckpoint,
  type OffsetCheckpointEntry,
} from "./checkpoint-files.ts";
import { directoryFile } from "./file-names.ts";
import type { PartitionLog } from "./partition-log.ts";

/** The directory is another process's, or cannot be used as one. Ends the start. */
export class LogDirectoryProblem extends Error {
  override name = "LogDirectoryProblem";
}

export class LogDirectory {
  readonly path: string;
  hadCleanShutdown = false;
  /** Of the broker that stopped cleanly; -1 where none did. */
  previousBrokerEpoch = -1;
  isOffline = false;
  private readonly disk: Disk;
  private readonly logger: Logger;
  private lock: DiskLock | null = null;
  /** Checksum and length of what was written last, so that an unchanged checkpoint is not written again. */
  private readonly written = new Map<string, string>();

  private readonly isLockHeld: boolean;

  constructor(disk: Disk, logger: Logger, path: string, isLockHeld = false) {
    this.isLockHeld = isLockHeld;
    this.disk = disk;
    this.logger = logger;
    this.path = path;
  }

  /** Makes the directory where it is missing and takes its lock. Throws DiskError and LogDirectoryProblem. */
  open(): void {
    if (this.disk.status(this.path) === null) {
      this.disk.makeDirectory(this.path);
      const slash = this.path.lastIndexOf("/");
      // Its name, too, must outlive a loss of power.
      this.disk.syncDirectory(slash < 0 ? "." : this.path.slice(0, slash) || "/");
    }
    if (!this.isLockHeld) this.lock = this.disk.lock(this.file(directoryFile.lock));
    if (this.lock === null && !this.isLockHeld) {
      throw new LogDirectoryProblem(
        `${this.path} is in use by another process, which holds ${directoryFile.lock} in it; stop that process or choose another log.dirs`,
      );
    }
    const mark = this.file(directoryFile.cleanShutdown);
    if (this.disk.status(mark) !== null) {
      this.hadCleanShutdown = true;
      this.previousBrokerEpoch = decodeCleanShutdown(this.disk.readFile(mark, 4096));
    }
  }

  /** From now on the directory counts as in use: whatever stops the process, the next start must check the logs. */
  removeCleanShutdownMark(): void {
    if (!this.hadCleanShutdown) return;
    this.disk.removeFile(this.file(directoryFile.cleanShutdown));
    // A mark that came back after a loss of power would have the next start trust logs that nobody closed.
    this.disk.syncDirectory(this.path);
  }

  readCheckpoint(name: string): Map<TopicPartitionKey, Offset> {
    const offsets = new Map<TopicPartitionKey, Offset>();
    const path = this.file(name);
    if (this.disk.status(path) === null) return offsets;
    try {
      for (const { topicPartition, offset } of decodeOffsetCheckpoint(this.disk.readFile(path, checkpointBytesMax))) {
        offsets.set(topicPartitionKey(topicPartition.topic, topicPartition.partition), offset);
      }
    } catch (error) {
      if (!(error instanceof MalformedCheckpoint)) throw error;
      // Without it more is checked than need be, and nothing is lost.
      this.logger.warn({ path }, `the checkpoint is left out of account: ${error.message}`);
      offsets.clear();
    }
    return offsets;
  }

  writeCheckpoints(logs: readonly PartitionLog[]): void {
    if (this.isOffline) return;
    const entries = (offsetOf: (log: PartitionLog) => Offset): OffsetCheckpointEntry[] =>
      logs.map((log) => ({ topicPartition: log.topicPartition, offset: offsetOf(log) }));
    this.writeCheckpoint(
      directoryFile.recoveryPoints,
      entries((log) => log.recoveryPoint),
    );
    const startedLate = logs.filter((log) => log.logStartOffset > log.firstSegmentOffset);
    this.writeCheckpoint(
      directoryFile.logStartOffsets,
      startedLate.map((log) => ({ topicPartition: log.topicPartition, offset: log.logStartOffset })),
    );
    this.writeHighWatermarks(logs);
  }

  writeHighWatermarks(logs: readonly PartitionLog[]): void {
    if (this.isOffline) return;
    this.writeCheckpoint(
      directoryFile.highWatermarks,
      logs.map((log) => ({ topicPartition: log.topicPartition, offset: log.highWatermark })),
    );
  }

  /** How far each compacted log is clean. Throws DiskError. */
  writeCleanedOffsets(logs: readonly PartitionLog[]): void {
    if (this.isOffline) return;
    const entries: OffsetCheckpointEntry[] = [];
    for (const { topicPartition, cleanedOffset } of logs)
      if (cleanedOffset !== null) entries.push({ topicPartition, offset: cleanedOffset });
    this.writeCheckpoint(directoryFile.cleanedOffsets, entries);
  }

  writeCleanShutdownMark(brokerEpoch: number): void {
    this.disk.writeFileAtomic(this.file(directoryFile.cleanShutdown), encodeCleanShutdown(brokerEpoch));
  }

  release(): void {
    try {
      this.lock?.release();
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      this.logger.warn({ path: this.path, code: error.code }, "the lock file stays behind");
    }
    this.lock = null;
  }

  private writeCheckpoint(name: string, entries: readonly OffsetCheckpointEntry[]): void {
    const bytes = encodeOffsetCheckpoint(entries);
    const print = `${bytes.length} ${crc32c(bytes)}`;
    if (this.written.get(name) === print) return;
    this.disk.writeFileAtomic(this.file(name), bytes);
    this.written.set(name, print);
  }

  private file(name: string): string {
    return `${this.path}/${name}`;
  }
}
