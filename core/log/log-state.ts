// What a partition's log is made of, and the steps that several of its operations share: finding segments, deleting them, producer snapshots
// and their replay. Internal to core/log; PartitionLog is what others see.
import type { Disk, Uuid } from "../base/index.ts";
import { batchBaseOffset, batchIsControl, batchProducerId, type Offset, type TopicPartition } from "../model/index.ts";
import { encodeLeaderEpochs, type LeaderEpochEntry } from "./checkpoint-files.ts";
import type { LogEnvironment } from "./environment.ts";
import { fileSuffix, offsetFileName, partitionFile } from "./file-names.ts";
import { LeaderEpochCache } from "./leader-epoch-cache.ts";
import { type LogConfig, segmentMsMax } from "./log-config.ts";
import { decodeSnapshot, encodeSnapshot, producerSnapshotBytesMax } from "./producer-snapshot.ts";
import { isExpired, ProducerState } from "./producer-state.ts";
import { Segment } from "./segment.ts";
import { HeaderWalk } from "./segment-reader.ts";

export interface LogPlace {
  readonly topicPartition: TopicPartition;
  /** The log directory. */
  readonly directory: string;
  /** The partition's folder in it. */
  readonly folder: string;
}

export class LogState {
  readonly environment: LogEnvironment;
  readonly topicPartition: TopicPartition;
  readonly directory: string;
  folder: string;
  topicId: Uuid | null = null;
  config: LogConfig;
  /** Never empty once loaded; by base offset. The last one is written to. */
  segments: Segment[] = [];
  epochs = new LeaderEpochCache();
  /** What the leader-epoch file holds; null where that is not known. */
  savedEpochs: readonly LeaderEpochEntry[] | null = [];
  readonly producers = new ProducerState();
  /** Offsets of the producer snapshots on disk, ascending. */
  snapshots: number[] = [];
  /** No snapshot is taken at or below it: there would be nothing new. */
  snapshotFloor = 0;
  logStartOffset = 0 as Offset;
  logEndOffset = 0 as Offset;
  writtenEndOffset = 0 as Offset;
  highWatermark = 0 as Offset;
  recoveryPoint = 0 as Offset;
  /**
   * The checkpoint on the device names a later one. It must be written before new records come to where a start would take everything for
   * flushed.
   */
  isRecoveryPointLowered = false;
  /** Below it every key was compacted once; null where the log never was, or must be again from its start. */
  cleanedOffset: Offset | null = null;
  /** How often the log was cut, moved or closed: who works on its files over several turns must begin anew. */
  reshapeCount = 0;
  /** Drawn for each segment, so that segments of many partitions do not all roll at once. */
  rollJitterMs = 0;
  /** The folder's own name is not known to be on the device. */
  isFolderNew = false;
  /** Files have come or gone since the folder was last synced. */
  isFolderDirty = false;
  /** A file of this log could not be written or read; nothing is appended any more. */
  isOffline = false;

  constructor(environment: LogEnvironment, place: LogPlace, config: LogConfig) {
    this.environment = environment;
    this.topicPartition = place.topicPartition;
    this.directory = place.directory;
    this.folder = place.folder;
    this.config = config;
    this.drawJitter();
  }

  get active(): Segment {
    return this.segments[this.segments.length - 1]!;
  }

  drawJitter(): void {
    const bound = Math.min(this.config.segmentJitterMs, segmentMsMax(this.config));
    this.rollJitterMs = bound <= 0 ? 0 : this.environment.random.uint32() % bound;
  }

  addSegment(baseOffset: Offset): Segment {
    const segment = new Segment(this.environment, this.folder, baseOffset, null);
    this.segments.push(segment);
    this.isFolderDirty = true;
    this.drawJitter();
    return segment;
  }

  /** The index of the segment whose range has `offset`; -1 where it lies before all. */
  segmentIndexFor(offset: number): number {
    const { segments } = this;
    // Mostly the newest one is asked for.
    if (segments[segments.length - 1]!.baseOffset <= offset) return segments.length - 1;
    let low = 0;
    let high = segments.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (segments[middle]!.baseOffset <= offset) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Where the segment at `index` ends: the next one's base offset, or the end of what is written. */
  segmentEnd(index: number): number {
    return this.segments[index + 1]?.baseOffset ?? this.writtenEndOffset;
  }

  /** Takes the segments out, with their snapshots; the files go after file.delete.delay.ms. */
  deleteSegments(segments: readonly Segment[]): void {
    if (segments.length === 0) return;
    this.segments = this.segments.filter((segment) => !segments.includes(segment));
    const paths: string[] = [];
    for (const segment of segments) {
      paths.push(...segment.renameDeleted());
      const snapshot = this.snapshots.indexOf(segment.baseOffset);
      if (snapshot >= 0) paths.push(this.renameSnapshotDeleted(this.snapshots.splice(snapshot, 1)[0]!));
    }
    this.isFolderDirty = true;
    this.removeLater(paths, segments);
  }

  /** After file.delete.delay.ms, with the descriptors: a file that is open keeps its room on the device. */
  removeLater(paths: readonly string[], segments: readonly Segment[]): void {
    this.environment.removeLater(paths, this.config.fileDeleteDelayMs, () => {
      for (const segment of segments) segment.release();
    });
  }

  /** Takes the segments out and removes their files at once: their offsets will be written again. */
  dropSegments(segments: readonly Segment[]): void {
    this.segments = this.segments.filter((segment) => !segments.includes(segment));
    this.reshapeCount++;
    for (const segment of segments) {
      const paths = segment.filePaths();
      segment.release();
      segment.indexes.forget();
      for (const path of paths) this.environment.disk.removeFile(path);
    }
    this.isFolderDirty = true;
  }

  /** Writes the producers as they stand, unless a snapshot at their offset (or later) is there. */
  writeSnapshot(
    bytes: Buffer = encodeSnapshot(this.producers.entries()),
    offset: number = this.producers.endOffset,
  ): void {
    if (offset <= this.snapshotFloor) return;
    writePlainFile(this.environment.disk, this.snapshotPath(offset), bytes);
    if (!this.snapshots.includes(offset)) this.snapshots.push(offset);
    this.snapshots.sort((one, other) => one - other);
    this.snapshotFloor = offset;
    this.isFolderDirty = true;
  }

  removeSnapshot(offset: number): void {
    const index = this.snapshots.indexOf(offset);
    if (index < 0) return;
    this.snapshots.splice(index, 1);
    const path = this.snapshotPath(offset);
    if (this.environment.disk.status(path) !== null) this.environment.disk.removeFile(path);
    this.snapshotFloor = this.snapshots.at(-1) ?? this.logStartOffset;
  }

  /** Those between segments are of earlier restarts: only the latest of them can serve. */
  removeStraySnapshots(): void {
    const bases = new Set<number>(this.segments.map((segment) => segment.baseOffset));
    const strays = this.snapshots.filter((offset) => !bases.has(offset));
    const latest = strays.at(-1);
    for (const offset of strays) {
      if (offset !== latest || this.active.baseOffset > offset) this.removeSnapshot(offset);
    }
  }

  /**
   * Producers as of `upTo`: from the latest snapshot at or before it, and the batches after that. `afterCleanStop`: a log without any
   * snapshot had no producers, so it is not read through.
   */
  rebuildProducers(upTo: Offset, afterCleanStop: boolean): void {
    if (afterCleanStop && this.snapshots.length === 0) {
      this.producers.load([], upTo);
      this.snapshotFloor = this.logStartOffset;
      return;
    }
    for (const offset of [...this.snapshots]) {
      if (offset > upTo || offset <= this.logStartOffset) this.removeSnapshot(offset);
    }
    this.loadLatestSnapshot();
    if (this.producers.endOffset < upTo) this.replayProducers(this.producers.endOffset, upTo);
    this.producers.endOffset = upTo;
    this.producers.settle(this.producers.changeCount);
  }

  /** Takes every batch from `from` to `upTo` into account, with a snapshot at the base of each of the last two segments on the way. */
  private replayProducers(from: number, upTo: number): void {
    const first = Math.max(this.segmentIndexFor(from), 0);
    for (let index = first; index < this.segments.length; index++) {
      const segment = this.segments[index]!;
      if (segment.baseOffset >= upTo) break;
      if (index >= this.segments.length - 2 && segment.baseOffset > this.producers.endOffset) {
        this.producers.endOffset = segment.baseOffset;
        this.producers.settle(this.producers.changeCount);
        this.writeSnapshot();
      }
      if (segment.writtenBytes === 0) continue;
      const start = segment.find(from);
      if (start === null) continue;
      const walk = new HeaderWalk(segment.log, start.position, segment.writtenBytes);
      while (walk.next()) {
        if (walk.baseOffset >= upTo) break;
        if (batchProducerId(walk.piece, walk.at) < 0) continue;
        this.replayBatch(segment, walk);
      }
    }
  }

  private replayBatch(segment: Segment, walk: HeaderWalk): void {
    if (!batchIsControl(walk.piece, walk.at)) {
      this.noteProducer(walk.piece, walk.at);
      return;
    }
    const whole = Buffer.allocUnsafe(walk.sizeBytes);
    if (segment.log.read(whole, walk.position) === whole.length) this.noteProducer(whole, 0);
  }

  /** Takes a batch that is in the log already into account; whatever it is, the leader accepted it. */
  noteProducer(buffer: Buffer, position: number): ReturnType<ProducerState["commit"]> {
    const verdict = this.producers.check(buffer, position, { origin: "replication" });
    if (verdict.kind !== "new") return null;
    const aborted = this.producers.commit(verdict.entry, verdict.completed);
    this.producers.endOffset = Math.max(this.producers.endOffset, batchBaseOffset(buffer, position) + 1);
    return aborted;
  }

  /** Goes on from the latest snapshot that can be read; from the log's start where there is none. */
  private loadLatestSnapshot(): void {
    for (;;) {
      const offset = this.snapshots.at(-1);
      if (offset === undefined) break;
      const entries = decodeSnapshot(
        this.environment.disk.readFile(this.snapshotPath(offset), producerSnapshotBytesMax),
      );
      if (entries === null) {
        this.environment.logger.warn(
          { path: this.snapshotPath(offset) },
          "a producer snapshot is damaged and is removed",
        );
        this.removeSnapshot(offset);
        continue;
      }
      const nowMs = this.environment.clock.wallMs();
      const live = entries.filter((entry) => !isExpired(entry, nowMs, this.environment.producerIdExpirationMs));
      this.producers.load(live, offset);
      this.snapshotFloor = offset;
      return;
    }
    this.producers.load([], this.logStartOffset);
    this.snapshotFloor = this.logStartOffset;
  }

  /** Brings the leader-epoch file up to date. */
  writeEpochs(): void {
    const entries = this.unsavedEpochs();
    if (entries === null) return;
    const { disk } = this.environment;
    // Without records nothing depends on the file: ten thousand idle partitions need not wait for the device ten thousand times.
    if (this.active.isOnDisk) {
      disk.writeFileAtomic(this.epochsPath, encodeLeaderEpochs(entries));
      // Which has synced the folder.
      this.isFolderDirty = false;
    } else {
      writePlainFile(disk, this.epochsPath, encodeLeaderEpochs(entries));
    }
    this.noteSavedEpochs(entries);
  }

  /**
   * As writeEpochs, waiting for the device on the thread pool; the folder is left to be synced. Only while nothing else is done with the log: another
   * write of the file would use the same name beside it.
   */
  async writeEpochsLater(): Promise<void> {
    const entries = this.unsavedEpochs();
    if (entries === null) return;
    if (!this.active.isOnDisk) return this.writeEpochs();
    const { disk } = this.environment;
    const bytes = encodeLeaderEpochs(entries);
    const temporary = `${this.epochsPath}.tmp`;
    const file = disk.open(temporary, "append");
    try {
      file.write([bytes], 0);
      // A start removes what an attempt left; one that failed a moment ago may still lie there.
      if (file.sizeBytes() > bytes.length) file.truncate(bytes.length);
      await file.syncLater();
    } finally {
      file.close();
    }
    disk.rename(temporary, this.epochsPath);
    this.isFolderDirty = true;
    this.noteSavedEpochs(entries);
  }

  /** What the leader-epoch file should hold where it holds something else; null where it is right. */
  private unsavedEpochs(): readonly LeaderEpochEntry[] | null {
    const { epochs, savedEpochs: saved } = this;
    if (!epochs.isDirty) return null;
    if (saved === null || !isSame(epochs.entries, saved)) return epochs.entries;
    epochs.isDirty = false;
    return null;
  }

  private noteSavedEpochs(entries: readonly LeaderEpochEntry[]): void {
    this.savedEpochs = entries;
    this.epochs.isDirty = false;
  }

  private get epochsPath(): string {
    return `${this.folder}/${partitionFile.leaderEpochs}`;
  }

  snapshotPath(offset: number): string {
    return `${this.folder}/${offsetFileName(offset, fileSuffix.producerSnapshot)}`;
  }

  renameSnapshotDeleted(offset: number): string {
    const path = this.snapshotPath(offset);
    const target = path + fileSuffix.deleted;
    this.environment.disk.rename(path, target);
    return target;
  }
}

function isSame(one: readonly LeaderEpochEntry[], other: readonly LeaderEpochEntry[]): boolean {
  if (one === other) return true;
  if (one.length !== other.length) return false;
  return one.every(
    ({ epoch, startOffset }, at) => epoch === other[at]!.epoch && startOffset === other[at]!.startOffset,
  );
}

/** Without waiting for the device: for files whose loss is noticed and harmless. */
export function writePlainFile(disk: Disk, path: string, bytes: Buffer): void {
  const file = disk.open(path, "append");
  try {
    if (bytes.length > 0) file.write([bytes], 0);
    if (file.sizeBytes() > bytes.length) file.truncate(bytes.length);
  } finally {
    file.close();
  }
}
