// A partition's log on the Disk port, in Kafka's own files.
import type { Clock, Disk, DiskError, Logger, Random, Timers, Uuid } from "../base/index.ts";
import type { LeaderEpoch, Offset, TopicPartition } from "../model/index.ts";
import type { LogConfig } from "./log-config.ts";
import type {
  AbortedTransaction,
  ActiveProducer,
  AppendOptions,
  AppendOutcome,
  DeleteRecordsOutcome,
  EpochEndOffset,
  ReadOptions,
  ReadOutcome,
  SegmentDeletion,
  TimestampedOffset,
} from "./outcomes.ts";

export * from "./log-config.ts";
export * from "./outcomes.ts";

export declare class PartitionLog {
  readonly topicPartition: TopicPartition;
  /** The log directory (of log.dirs) that holds it. */
  readonly directory: string;
  /** The partition's own folder. */
  readonly path: string;
  get topicId(): Uuid | null;
  get config(): LogConfig;
  get logStartOffset(): Offset;
  /** The next offset to be assigned: appended, maybe not yet written. */
  get logEndOffset(): Offset;
  /** All below is in the file. */
  get writtenEndOffset(): Offset;
  get highWatermark(): Offset;
  /** Bounded to logStartOffset … logEndOffset; never goes back except by truncation. Returns the new value. */
  setHighWatermark(offset: Offset): Offset;
  get lastStableOffset(): Offset;
  get recoveryPoint(): Offset;
  /** -1 where none. */
  get latestLeaderEpoch(): LeaderEpoch;
  get sizeBytes(): number;
  get segmentCount(): number;
  setTopicId(topicId: Uuid): void;
  append(bytes: Buffer, how: AppendOptions): AppendOutcome;
  get hasPending(): boolean;
  /** Throws DiskError; then everything not yet written is gone from the log's state too. */
  writePending(): void;
  writePendingLater(): Promise<void>;
  read(from: Offset, options: ReadOptions): ReadOutcome;
  abortedTransactions(from: Offset, upTo: Offset): AbortedTransaction[];
  offsetForTimestamp(timestamp: number): TimestampedOffset | null;
  offsetForTimestampLater(timestamp: number): Promise<TimestampedOffset | null>;
  maxTimestampOffset(): TimestampedOffset | null;
  maxTimestampOffsetLater(): Promise<TimestampedOffset | null>;
  /** A new leader's epoch begins at the log's end. */
  assignLeaderEpoch(epoch: number, startOffset: Offset): void;
  epochForOffset(offset: Offset): LeaderEpoch;
  endOffsetForEpoch(epoch: number): EpochEndOffset;
  /** Returns whether anything was cut. */
  truncateTo(offset: Offset): boolean;
  truncateFullyAndStartAt(offset: Offset): void;
  deleteRecordsBefore(offset: Offset): DeleteRecordsOutcome;
  /** A follower takes over its leader's log start. */
  raiseLogStartOffset(offset: Offset): void;
  roll(): void;
  deleteOldSegments(nowMs: number): SegmentDeletion[];
  flush(upTo?: Offset): void;
  flushLater(upTo?: Offset): Promise<void>;
  updateConfig(config: LogConfig): void;
  activeProducers(): ActiveProducer[];
  hasOngoingTransaction(producerId: number, producerEpoch: number): boolean;
  /** Offset 0 transactions open since before `nowMs - maxAge` etc. are the coordinator's; here: expired idle producers. Returns how many went. */
  expireProducers(nowMs: number): number;
  close(): void;
}

export interface LogManagerOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  /** log.dirs. Made when missing. */
  readonly directories: readonly string[];
  /** The settings in force for a topic's logs. */
  readonly configOf: (topic: string) => LogConfig;
  readonly producerIdExpirationMs?: number;
  /** False: the log stays as it is but renamed `-stray`. Asked at start-up for each partition found. */
  readonly isStray?: (topicPartition: TopicPartition, topicId: Uuid | null) => boolean;
  readonly onProgress?: (progress: { directory: string; loaded: number; total: number }) => void;
  readonly onDirectoryFailure?: (directory: string, error: DiskError) => void;
}

export interface LogDirectoryStatus {
  readonly path: string;
  readonly isOffline: boolean;
  /** The last start found Kafka's clean-shutdown mark; -1 where it did not or the mark had none. */
  readonly hadCleanShutdown: boolean;
  readonly previousBrokerEpoch: number;
}

export declare class LogManager {
  static open(options: LogManagerOptions): Promise<LogManager>;
  get directories(): readonly LogDirectoryStatus[];
  get logCount(): number;
  log(topicPartition: TopicPartition): PartitionLog | null;
  logs(): IterableIterator<PartitionLog>;
  /** Throws DiskError. */
  getOrCreate(topicPartition: TopicPartition, options: { topicId: Uuid; directory?: string }): PartitionLog;
  /** Renamed to `…-delete` at once, removed after file.delete.delay.ms. */
  delete(topicPartition: TopicPartition): void;
  renameAsStray(topicPartition: TopicPartition): void;
  updateConfig(topic: string): void;
  /** Retention, flush, checkpoints, expiry and delayed removal on the timers, at Kafka's intervals. */
  startTimers(): void;
  writeCheckpoints(): void;
  /** Flushes, snapshots, checkpoints, and leaves the clean-shutdown mark. */
  close(options: { brokerEpoch: number }): Promise<void>;
}
