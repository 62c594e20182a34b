// One partition's log: what is appended, read, cut and kept. Appends change memory only; `writePending`, once a turn, brings them to the
// file, and until then nobody reads or acknowledges them. Owns the appended bytes until they are written. Never decodes a record unless the
// topic's settings or a search by time demand it, and opens no file before it needs it.
import { assert, DiskError, type Uuid } from "../base/index.ts";
import type { LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs, TopicPartition } from "../model/index.ts";
import { ErrorCode } from "../protocol/index.ts";
import { refusal } from "./append-validation.ts";
import { encodePartitionMetadata, type LeaderEpochEntry } from "./checkpoint-files.ts";
import { isFull } from "./environment.ts";
import { partitionFile } from "./file-names.ts";
import { LogAppender } from "./log-append.ts";
import type { LogConfig } from "./log-config.ts";
import { abortedTransactions, readLog } from "./log-read.ts";
import { deleteOldSegments, totalBytes } from "./log-retention.ts";
import { runLater, runNow, searchMaxTimestamp, searchTimestamp } from "./log-search.ts";
import type { LogState } from "./log-state.ts";
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
import { noteFailure, PendingWrites } from "./pending-writes.ts";

export class PartitionLog {
  private readonly state: LogState;
  private readonly pending: PendingWrites;
  private readonly appender: LogAppender;
  private lastFlushMs: number;
  /** Closed, or let go of: nothing of it is read or written any more. */
  isClosed = false;

  /** Of a state that the loader has filled. */
  constructor(state: LogState) {
    this.state = state;
    this.pending = new PendingWrites(state);
    this.pending.flushLater = (upTo) => this.flushLater(upTo);
    this.appender = new LogAppender(state, this.pending);
    this.lastFlushMs = state.environment.clock.wallMs();
  }

  get topicPartition(): TopicPartition {
    return this.state.topicPartition;
  }
  /** The log directory (of log.dirs) that holds it. */
  get directory(): string {
    return this.state.directory;
  }
  /** The partition's own folder. */
  get path(): string {
    return this.state.folder;
  }
  get topicId(): Uuid | null {
    return this.state.topicId;
  }
  get config(): LogConfig {
    return this.state.config;
  }
  get logStartOffset(): Offset {
    return this.state.logStartOffset;
  }
  /** The next offset to be assigned: appended, maybe not yet written. */
  get logEndOffset(): Offset {
    return this.state.logEndOffset;
  }
  /**
   * All below is in the file, and may be acknowledged and read by others: with group commit, only once it is on the device. Until then it is as
   * if it were not written.
   */
  get writtenEndOffset(): Offset {
    const { writtenEndOffset, recoveryPoint, environment } = this.state;
    return environment.isGroupCommit && recoveryPoint < writtenEndOffset ? recoveryPoint : writtenEndOffset;
  }
  get highWatermark(): Offset {
    return this.state.highWatermark;
  }
  /** All below is on the device. */
  get recoveryPoint(): Offset {
    return this.state.recoveryPoint;
  }
  /** -1 where there is none. */
  get latestLeaderEpoch(): LeaderEpoch {
    return this.state.epochs.latestEpoch;
  }
  get leaderEpochs(): readonly LeaderEpochEntry[] {
    return this.state.epochs.entries;
  }
  get sizeBytes(): number {
    return totalBytes(this.state);
  }
  get segmentCount(): number {
    return this.state.segments.length;
  }
  /** Where the oldest segment begins: at the log start or before it. */
  get firstSegmentOffset(): Offset {
    return this.state.segments[0]!.baseOffset;
  }
  /** Where segments begin, oldest first. */
  get segmentBaseOffsets(): readonly Offset[] {
    return this.state.segments.map((segment) => segment.baseOffset);
  }
  /** A file of it failed: it takes no more appends. */
  get isOffline(): boolean {
    return this.state.isOffline;
  }
  get hasPending(): boolean {
    return !this.pending.isEmpty;
  }
  /** With group commit: written, and not yet on the device. `commitLater` brings it there. */
  get awaitsCommit(): boolean {
    const { writtenEndOffset, recoveryPoint, environment } = this.state;
    return environment.isGroupCommit && recoveryPoint < writtenEndOffset;
  }
  /** A `writePendingLater` is under way; what cuts or closes the log must wait for it. */
  get isWriting(): boolean {
    return this.pending.isInFlight;
  }

  /** For the cleaner, which works on the log's files themselves. */
  get forCleaner(): LogState {
    return this.state;
  }
  /** Below it every key was compacted once; null where none is known. */
  get cleanedOffset(): Offset | null {
    return this.state.cleanedOffset;
  }

  /** Nothing from here on is readable to consumers of committed records. */
  get lastStableOffset(): Offset {
    const { highWatermark, logStartOffset, producers } = this.state;
    const unstable = producers.firstUnstableOffset;
    if (unstable < 0 || unstable >= highWatermark) return highWatermark;
    return Math.max(unstable, logStartOffset) as Offset;
  }

  /** Held within the log's start and what is written; never goes back. Returns the value in force. */
  setHighWatermark(offset: Offset): Offset {
    const { state } = this;
    const bounded = Math.max(Math.min(offset, this.writtenEndOffset), state.logStartOffset) as Offset;
    if (bounded > state.highWatermark) {
      state.highWatermark = bounded;
      state.producers.onHighWatermark(bounded);
    }
    return state.highWatermark;
  }

  /** Keeps the id in `partition.metadata`. Throws DiskError. */
  setTopicId(topicId: Uuid): void {
    const { state } = this;
    if (state.topicId === topicId) return;
    state.environment.disk.writeFileAtomic(
      `${state.folder}/${partitionFile.metadata}`,
      encodePartitionMetadata(topicId),
    );
    state.topicId = topicId;
  }

  /**
   * Checks, numbers and queues. A leader's append is stamped in place, so `bytes` belong to the log until they are written. An outcome of
   * "appended" is not to be acknowledged before `writePending` has returned.
   */
  append(bytes: Buffer, how: AppendOptions): AppendOutcome {
    if (this.state.isOffline || this.isClosed) return this.storageRefusal("the log is offline");
    try {
      return this.appender.append(bytes, how);
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      noteFailure(this.state, error);
      return this.storageRefusal(error.message);
    }
  }

  /** Writes what is queued, in one system call a segment. Throws DiskError: then nothing of it is in the log any more. */
  writePending(): void {
    this.attemptWrite(() => this.pending.write());
    if (this.unflushedMessages >= this.state.config.flushMessages) this.flush();
  }

  /** As writePending, on the thread pool. */
  async writePendingLater(): Promise<void> {
    try {
      await this.pending.writeLater();
    } catch (error) {
      this.appender.recent?.clear();
      throw error;
    }
    if (this.unflushedMessages >= this.state.config.flushMessages) await this.flushLater();
  }

  /** Brings all that is written to the device, in one sync for all that came since the last. Rejects with DiskError; the log is offline then. */
  commitLater(): Promise<void> {
    return this.flushLater();
  }

  /** Names a byte range; moves no byte. Throws DiskError where a header cannot be read. */
  read(from: Offset, options: ReadOptions): ReadOutcome {
    return readLog(this.state, this.appender.recent, from, options);
  }

  abortedTransactions(from: Offset, upTo: Offset): AbortedTransaction[] {
    return abortedTransactions(this.state, from, upTo);
  }

  /** The first record with this timestamp or a later one. */
  offsetForTimestamp(timestamp: number): TimestampedOffset | null {
    return runNow(searchTimestamp(this.state, timestamp));
  }

  offsetForTimestampLater(timestamp: number): Promise<TimestampedOffset | null> {
    return runLater(searchTimestamp(this.state, timestamp));
  }

  /** The first record with the latest timestamp. */
  maxTimestampOffset(): TimestampedOffset | null {
    return runNow(searchMaxTimestamp(this.state));
  }

  maxTimestampOffsetLater(): Promise<TimestampedOffset | null> {
    return runLater(searchMaxTimestamp(this.state));
  }

  /** A leader's epoch begins at `startOffset`, mostly the log's end. */
  assignLeaderEpoch(epoch: number, startOffset: Offset): void {
    this.state.epochs.assign(epoch, startOffset);
  }

  /** The epoch that `offset` was written in; -1 where none is known. */
  epochForOffset(offset: Offset): LeaderEpoch {
    return this.state.epochs.epochForOffset(offset);
  }

  endOffsetForEpoch(epoch: number): EpochEndOffset {
    return this.state.epochs.endOffsetFor(epoch, this.state.logEndOffset);
  }

  /** Cuts everything from `offset` on. Returns whether there was anything. Throws DiskError. */
  truncateTo(offset: Offset): boolean {
    const { state } = this;
    this.writeBeforeChange();
    if (offset >= state.logEndOffset) {
      // Epochs without records may contradict the leader's all the same.
      state.epochs.truncateFromEnd(offset);
      return false;
    }
    if (state.segments[0]!.baseOffset > offset) {
      this.truncateFullyAndStartAt(offset);
      return true;
    }
    const { active } = state;
    state.dropSegments(state.segments.filter((segment) => segment.baseOffset > offset));
    state.active.truncate(offset);
    if (state.active !== active) state.active.indexes.reopen();
    this.endAt(offset);
    state.epochs.truncateFromEnd(offset);
    state.logStartOffset = Math.min(state.logStartOffset, offset) as Offset;
    state.rebuildProducers(offset, false);
    state.writeEpochs();
    return true;
  }

  /** Throws everything away; the log is empty and goes on at `offset`. Throws DiskError. */
  truncateFullyAndStartAt(offset: Offset): void {
    const { state } = this;
    this.writeBeforeChange();
    state.dropSegments(state.segments);
    // Its file says where the log goes on, also after a restart.
    void state.addSegment(offset).log;
    for (const snapshot of [...state.snapshots]) state.removeSnapshot(snapshot);
    state.epochs.clear();
    state.logStartOffset = offset;
    this.endAt(offset);
    state.highWatermark = offset;
    state.producers.load([], offset);
    state.snapshotFloor = offset;
    state.writeEpochs();
  }

  /** As DeleteRecords asks: everything below `offset` (-1: below the high watermark) is gone for readers; segments go with retention. */
  deleteRecordsBefore(offset: Offset): DeleteRecordsOutcome {
    const { state } = this;
    if (!state.config.cleanupPolicy.delete) return { kind: "policy-violation" };
    const target = (offset === -1 ? state.highWatermark : offset) as Offset;
    if (target < 0 || target > state.highWatermark) return { kind: "out-of-range" };
    this.raiseLogStartOffset(target);
    return { kind: "deleted", logStartOffset: state.logStartOffset };
  }

  /** The log begins at `offset` from now on, where that is later. Also how a follower takes over its leader's start. */
  raiseLogStartOffset(offset: Offset): void {
    const { state } = this;
    if (offset <= state.logStartOffset) return;
    assert(offset <= state.logEndOffset, `a log that ends at ${state.logEndOffset} cannot begin at ${offset}`);
    state.logStartOffset = offset;
    state.highWatermark = Math.max(state.highWatermark, Math.min(offset, state.writtenEndOffset)) as Offset;
    state.epochs.truncateFromStart(offset);
    state.producers.onLogStartOffset(offset);
  }

  /** Begins a new segment, unless the last one is empty. Touches the disk with the next write. */
  roll(): void {
    this.appender.roll();
  }

  /** Applies the retention settings. Throws DiskError. */
  deleteOldSegments(nowMs: number): SegmentDeletion[] {
    return deleteOldSegments(this.state, nowMs, {
      roll: () => {
        this.roll();
        this.writePending();
      },
      raiseLogStartOffset: (offset) => this.raiseLogStartOffset(offset),
    });
  }

  /** All below `upTo` (default: everything) is on the device when it returns. Throws DiskError. */
  flush(upTo: Offset = this.state.logEndOffset): void {
    if (!this.pending.isInFlight) this.writePendingOnly();
    const { state } = this;
    const target = Math.min(upTo, state.writtenEndOffset) as Offset;
    try {
      if (target > state.recoveryPoint) {
        for (const segment of this.unflushedSegments(target)) {
          segment.log.sync();
          this.syncIndexes(segment);
        }
      }
      this.finishFlush(target);
    } catch (error) {
      throw this.flushFailure(error);
    }
  }

  /** As flush, on the thread pool. What is appended meanwhile waits for the next one. */
  async flushLater(upTo: Offset = this.state.logEndOffset): Promise<void> {
    const { state } = this;
    const target = Math.min(upTo, state.writtenEndOffset) as Offset;
    if (target <= state.recoveryPoint || this.isClosed) return;
    try {
      for (const segment of this.unflushedSegments(target)) {
        // Cut, deleted or compacted while an earlier one was waited for: what took its place is for the next flush.
        if (!state.segments.includes(segment)) return;
        await segment.log.syncLater();
        if (this.isClosed || !state.segments.includes(segment)) return;
        this.syncIndexes(segment);
      }
      // A truncation may have come between.
      this.finishFlush(Math.min(target, state.writtenEndOffset) as Offset);
    } catch (error) {
      // A file that was closed meanwhile refuses, and nothing is wrong with it.
      throw this.isClosed ? error : this.flushFailure(error);
    }
  }

  /** Whether flush.ms has passed since the last flush and there is something to flush. */
  isFlushDue(nowMs: number): boolean {
    const { writtenEndOffset, recoveryPoint, config } = this.state;
    return writtenEndOffset > recoveryPoint && nowMs - this.lastFlushMs >= config.flushMs;
  }

  /** Brings the leader-epoch file up to date where it is not. Throws DiskError. */
  writeEpochs(): void {
    this.state.writeEpochs();
  }

  updateConfig(config: LogConfig): void {
    this.state.config = config;
    this.state.drawJitter();
  }

  activeProducers(): ActiveProducer[] {
    return Array.from(this.state.producers.entries(), (entry) => ({
      producerId: entry.producerId as ProducerId,
      producerEpoch: entry.epoch as ProducerEpoch,
      lastSequence: entry.batches.at(-1)?.lastSequence ?? -1,
      lastTimestamp: entry.lastTimestamp as TimestampMs,
      coordinatorEpoch: entry.coordinatorEpoch,
      currentTransactionStartOffset: entry.transactionFirstOffset as Offset,
    }));
  }

  hasOngoingTransaction(producerId: number, producerEpoch: number): boolean {
    return this.state.producers.hasOngoingTransaction(producerId, producerEpoch);
  }

  /** Forgets producers that have been idle longer than producer.id.expiration.ms. Returns how many. */
  expireProducers(nowMs: number): number {
    const { producers, environment } = this.state;
    return this.pending.isEmpty ? producers.expire(nowMs, environment.producerIdExpirationMs) : 0;
  }

  /** Flushes, leaves a producer snapshot at the end, closes the files. Idempotent. Throws DiskError. */
  close(): void {
    if (this.isClosed) return;
    const { state } = this;
    assert(!this.pending.isInFlight, "a log cannot be closed while a write is under way");
    if (!state.isOffline) {
      this.writePendingOnly();
      state.active.trim();
      this.flush();
      this.writeLastFiles();
      state.writeEpochs();
    }
    this.release();
  }

  /**
   * As close, waiting for the device on the thread pool; what has not changed since it was opened or flushed is not touched. Nothing else may be
   * done with the log meanwhile. The directory's own names are the caller's to sync.
   */
  async closeLater(): Promise<void> {
    const { state } = this;
    while (this.hasPending) await this.writePendingLater();
    if (this.isClosed) return;
    if (!state.isOffline) {
      state.active.trim();
      try {
        await this.syncLast();
      } catch (error) {
        throw this.flushFailure(error);
      }
    }
    this.close();
  }

  private async syncLast(): Promise<void> {
    const { state } = this;
    const target = state.writtenEndOffset;
    if (target > state.recoveryPoint) {
      for (const segment of this.unflushedSegments(target)) {
        await segment.log.syncLater();
        this.syncIndexes(segment);
      }
    }
    this.writeLastFiles();
    await state.writeEpochsLater();
    if (state.isFolderDirty && state.segments.some((segment) => segment.isOnDisk)) {
      await state.environment.disk.syncDirectoryLater(state.folder);
      state.isFolderDirty = false;
    }
    state.recoveryPoint = Math.max(state.recoveryPoint, target) as Offset;
  }

  /** The indexes of what was written to, and the producers at the end. */
  private writeLastFiles(): void {
    const { state } = this;
    for (const segment of state.segments) {
      if (!segment.isOnDisk || (segment !== state.active && !segment.indexes.needsWrite)) continue;
      if (segment === state.active) segment.closeTimeIndex();
      segment.indexes.write();
    }
    if (state.writtenEndOffset > state.snapshotFloor) state.writeSnapshot();
  }

  /** Whether the directory has yet to be synced for the log's folder to be sure to be found there. */
  get isFolderNew(): boolean {
    return this.state.isFolderNew;
  }

  /** The directory was synced since the folder was made. */
  onDirectorySynced(): void {
    this.state.isFolderNew = false;
  }

  /** Lets go of files and memory without writing anything, as for a folder that is about to be removed or a directory that has failed. */
  release(): void {
    this.isClosed = true;
    this.state.reshapeCount++;
    for (const segment of this.state.segments) {
      segment.release();
      segment.indexes.forget();
    }
  }

  /** The directory has failed: nothing is appended or written any more. */
  goOffline(): void {
    this.state.isOffline = true;
    this.release();
  }

  /** The folder's new name is known to the log; its files are opened anew there. Throws DiskError. */
  renameFolder(folder: string): void {
    const { state } = this;
    state.reshapeCount++;
    for (const segment of state.segments) segment.release();
    state.environment.disk.rename(state.folder, folder);
    state.folder = folder;
    for (const segment of state.segments) segment.moveTo(folder);
  }

  /**
   * What the device did not take may be gone from the page cache too: trying again would report success for nothing. So after a failed sync
   * nothing of the log is acknowledged any more, and its directory goes offline. Only that an index or a checkpoint found no room passes.
   */
  private flushFailure(error: unknown): unknown {
    const { state } = this;
    if (!(error instanceof DiskError) || state.isOffline) return error;
    if (isFull(error) && error.operation !== "sync") return error;
    state.isOffline = true;
    state.environment.onStorageFailure(state.directory, error);
    return error;
  }

  private storageRefusal(message: string): AppendOutcome {
    return refusal(ErrorCode.KAFKA_STORAGE_ERROR, message);
  }

  private get unflushedMessages(): number {
    return this.state.writtenEndOffset - this.state.recoveryPoint;
  }

  private attemptWrite(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.appender.recent?.clear();
      throw error;
    }
  }

  private writePendingOnly(): void {
    if (!this.pending.isEmpty) this.attemptWrite(() => this.pending.write());
  }

  private writeBeforeChange(): void {
    assert(!this.pending.isInFlight, "a log cannot be cut while a write is under way");
    this.writePendingOnly();
    this.appender.recent?.clear();
  }

  private endAt(offset: Offset): void {
    const { state } = this;
    state.logEndOffset = state.writtenEndOffset = offset;
    // The cut itself is not on the device: after a loss of power the segment may have its old end, and must be looked at from its beginning.
    const flushed = Math.min(state.recoveryPoint, offset, state.active.baseOffset) as Offset;
    if (flushed < state.recoveryPoint) state.isRecoveryPointLowered = true;
    state.recoveryPoint = flushed;
    state.highWatermark = Math.min(state.highWatermark, offset) as Offset;
    state.reshapeCount++;
    // The last segment is written to again, wherever its end lay.
    if (state.cleanedOffset !== null)
      state.cleanedOffset = Math.min(state.cleanedOffset, state.active.baseOffset) as Offset;
  }

  private unflushedSegments(upTo: number): LogState["segments"] {
    const { segments, recoveryPoint } = this.state;
    return segments.filter(
      (segment, index) =>
        segment.isOnDisk && segment.baseOffset < upTo && (segments[index + 1]?.baseOffset ?? Infinity) > recoveryPoint,
    );
  }

  /** The recovery point must not pass what is not in a closed segment's index files: they are not rebuilt below it. */
  private syncIndexes(segment: LogState["segments"][number]): void {
    if (segment === this.state.active) return;
    const { disk } = this.state.environment;
    segment.indexes.write();
    for (const path of segment.indexes.filePaths()) {
      const file = disk.open(path, "append");
      try {
        file.sync();
      } finally {
        file.close();
      }
    }
  }

  private finishFlush(target: Offset): void {
    const { state } = this;
    if (target > state.recoveryPoint) state.writeEpochs();
    if (state.isFolderNew && state.segments.some((segment) => segment.isOnDisk)) {
      state.environment.disk.syncDirectory(state.directory);
      state.isFolderNew = false;
    }
    if (state.isFolderDirty && state.segments.some((segment) => segment.isOnDisk)) {
      state.environment.disk.syncDirectory(state.folder);
      state.isFolderDirty = false;
    }
    state.recoveryPoint = Math.max(state.recoveryPoint, target) as Offset;
    this.lastFlushMs = state.environment.clock.wallMs();
  }
}
