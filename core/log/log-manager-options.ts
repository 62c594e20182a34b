// What a log manager is made with, how often it does what, and what it tells of its directories. Plain types and Kafka's defaults.
import type { Clock, Disk, DiskError, Logger, Random, Timers, Uuid } from "../base/index.ts";
import type { TopicPartition } from "../model/index.ts";
import type { CleanerSettings } from "./cleaner/log-cleaner.ts";
import type { LogConfig } from "./log-config.ts";
import type { PartitionLog } from "./partition-log.ts";

export interface LogManagerOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  /** log.dirs. Made when missing. */
  readonly directories: readonly string[];
  /** The caller holds the directories' lock files, and releases them after `close`. Default: the manager takes them itself. */
  readonly areLocksHeld?: boolean;
  /** The settings in force for a topic's logs. */
  readonly configOf: (topic: string) => LogConfig;
  readonly producerIdExpirationMs?: number;
  /** Nothing counts as written before it is on the device. */
  readonly isGroupCommit?: boolean;
  readonly indexCacheBytesMax?: number;
  readonly intervals?: Partial<LogIntervals>;
  /** Of compaction, asked for at each use. Default: Kafka's defaults. */
  readonly cleaner?: () => CleanerSettings;
  /** Asked for each partition found at start-up: one that this broker should not have is renamed `-stray` and kept. */
  readonly isStray?: (topicPartition: TopicPartition, topicId: Uuid | null) => boolean;
  readonly onProgress?: (progress: LoadProgress) => void;
  /** replica.alter.log.dirs.io.max.bytes.per.second, asked for at each use. Default: no bound. */
  readonly moveBytesPerSecond?: () => number;
  /** A replica lies in another directory now: `next` holds all that `previous` held, which is closed. */
  readonly onMoved?: (previous: PartitionLog, next: PartitionLog) => void;
  /** The device under a directory failed: its logs are offline and no longer known to the manager. */
  readonly onDirectoryFailure?: (directory: string, error: DiskError) => void;
}

/** How often what is done; Kafka's names and defaults. */
export interface LogIntervals {
  /** log.retention.check.interval.ms */
  readonly retentionMs: number;
  /** log.flush.scheduler.interval.ms; Kafka never by default, here often enough for flush.ms, and free where no topic has it. */
  readonly flushMs: number;
  /** log.flush.offset.checkpoint.interval.ms and log.flush.start.offset.checkpoint.interval.ms */
  readonly checkpointMs: number;
  /** replica.high.watermark.checkpoint.interval.ms */
  readonly highWatermarkMs: number;
  /** producer.id.expiration.check.interval.ms */
  readonly producerExpirationMs: number;
  /** Delayed removal of deleted files. */
  readonly removalMs: number;
  /** log.cleaner.backoff.ms */
  readonly cleanerMs: number;
}

export const logIntervalsDefault: LogIntervals = {
  retentionMs: 300_000,
  flushMs: 1_000,
  checkpointMs: 60_000,
  highWatermarkMs: 5_000,
  producerExpirationMs: 600_000,
  removalMs: 1_000,
  cleanerMs: 15_000,
};

export interface LoadProgress {
  readonly directory: string;
  readonly loaded: number;
  readonly total: number;
}

export interface LogDirectoryStatus {
  readonly path: string;
  readonly isOffline: boolean;
  readonly hadCleanShutdown: boolean;
  /** The epoch that the broker had when it stopped cleanly; -1 where it did not, or the mark had none. */
  readonly previousBrokerEpoch: number;
}
