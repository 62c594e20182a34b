// One segment of a log: the file of batches from its base offset on, with its indexes. Knows positions and sizes, finds batches by offset;
// decides nothing about the log. Opens its file on first use; bytes that are queued but not written are counted in `sizeBytes` only.
import type { DiskFile } from "../base/index.ts";
import type { Offset } from "../model/index.ts";
import {
  batchBaseOffset,
  batchHeaderBytes,
  batchMagic,
  batchMagicByte,
  batchMaxTimestamp,
  batchSizeAt,
} from "../model/index.ts";
import type { LogEnvironment } from "./environment.ts";
import { fileSuffix, offsetFileName } from "./file-names.ts";
import { type LogConfig, segmentMsMax } from "./log-config.ts";
import { offsetEntryBytes, SegmentIndexes, timeEntryBytes } from "./segment-indexes.ts";
import { HeaderWalk } from "./segment-reader.ts";

/** Offsets in an index are int32, relative to the base offset; positions are int32. */
export const relativeOffsetMax = 0x7fff_ffff;
export const segmentBytesMax = 0x7fff_ffff;

/** What load finds of a segment on the disk. */
export interface SegmentFiles {
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  readonly hasIndexes: boolean;
  readonly hasAborted: boolean;
}

export interface BatchPlace {
  readonly position: number;
  readonly sizeBytes: number;
  readonly baseOffset: number;
  readonly lastOffset: number;
}

/** A savepoint of what an append changes. */
export interface SegmentMark {
  readonly sizeBytes: number;
  readonly offsets: number;
  readonly times: number;
  readonly aborted: number;
  readonly bytesSinceIndexEntry: number;
  readonly maxTimestamp: number;
  readonly maxTimestampOffset: number;
  readonly firstTimestamp: number;
}

/** Kafka's default of index.interval.bytes: an index that is built anew need not be as dense as the topic's. */
const rebuildIntervalBytes = 4096;
const checkPiece = Buffer.allocUnsafeSlow(batchHeaderBytes);
const timestampUnread = Number.NEGATIVE_INFINITY;

export class Segment {
  readonly baseOffset: Offset;
  readonly indexes: SegmentIndexes;
  /** With what is queued. */
  sizeBytes: number;
  writtenBytes: number;
  /** When the segment was begun, for rolling by time where no batch has a timestamp. */
  createdMs: number;
  modifiedMs: number;
  /** Everything up to here reached the file in this process's life: the page cache has the last of it. */
  recentFrom: number;
  private readonly environment: LogEnvironment;
  private prefix: string;
  /** What follows the files' own names: nothing, `.cleaned` and `.swap` while a replacement is made, `.deleted` once it is out of the log. */
  private suffix: string;
  private file: DiskFile | null = null;
  private isFileMade: boolean;
  private bytesSinceIndexEntry = 0;
  private isPreallocated = false;
  /** As it was found at start-up: its indexes are complete. */
  private isUntouched: boolean;
  /** -1: no batch has one. Unread until asked for. */
  private maxTimestampRead: number;
  private maxTimestampOffsetRead: number;
  private firstTimestampRead: number;

  constructor(
    environment: LogEnvironment,
    folder: string,
    baseOffset: Offset,
    files: SegmentFiles | null,
    suffix: "" | typeof fileSuffix.cleaned = "",
  ) {
    this.environment = environment;
    this.suffix = suffix;
    this.baseOffset = baseOffset;
    this.prefix = `${folder}/${offsetFileName(baseOffset, "")}`;
    this.sizeBytes = this.writtenBytes = this.recentFrom = files?.sizeBytes ?? 0;
    this.createdMs = environment.clock.wallMs();
    this.modifiedMs = files?.modifiedMs ?? this.createdMs;
    this.isFileMade = files !== null;
    this.isUntouched = files !== null;
    const isEmpty = this.sizeBytes === 0;
    this.maxTimestampRead = isEmpty ? -1 : timestampUnread;
    this.maxTimestampOffsetRead = baseOffset;
    this.firstTimestampRead = isEmpty ? -1 : timestampUnread;
    this.indexes = new SegmentIndexes(environment, this.prefix, baseOffset, {
      isMade: files?.hasIndexes ?? false,
      hasAborted: files?.hasAborted ?? false,
      suffix,
    });
  }

  /** The file of batches; made when it is not there. */
  get log(): DiskFile {
    // What is out of the log must not come back as an empty file.
    const mode = this.suffix === fileSuffix.deleted ? "read" : "append";
    this.file ??= this.environment.disk.open(this.prefix + fileSuffix.log + this.suffix, mode);
    this.isFileMade = true;
    return this.file;
  }

  get isOnDisk(): boolean {
    return this.isFileMade;
  }

  /** The latest timestamp of a batch, -1 where none has one, and the last offset of the first batch that has it. */
  get maxTimestamp(): number {
    if (this.maxTimestampRead === timestampUnread) this.readMaxTimestamp();
    return this.maxTimestampRead;
  }

  get maxTimestampOffset(): number {
    if (this.maxTimestampRead === timestampUnread) this.readMaxTimestamp();
    return this.maxTimestampOffsetRead;
  }

  /** For retention: a segment without timestamps counts from its last change. */
  get largestTimestamp(): number {
    return this.maxTimestamp >= 0 ? this.maxTimestamp : this.modifiedMs;
  }

  /** The max timestamp of the first batch: rolling by time counts from it. */
  get firstTimestamp(): number {
    if (this.firstTimestampRead === timestampUnread) {
      const walk = new HeaderWalk(this.log, 0, this.writtenBytes);
      this.firstTimestampRead = walk.next() ? batchMaxTimestamp(walk.piece, walk.at) : -1;
    }
    return this.firstTimestampRead;
  }

  /** Gives the file its full length ahead (the `preallocate` setting), so that appending never changes its size. */
  preallocate(bytes: number): void {
    if (this.isPreallocated || this.writtenBytes > 0) return;
    this.log.truncate(bytes);
    this.isPreallocated = true;
  }

  /** What was allocated ahead and not used goes back. */
  trim(): void {
    if (!this.isPreallocated) return;
    this.log.truncate(this.writtenBytes);
    this.isPreallocated = false;
  }

  /** Counts a batch that is queued at the segment's end. */
  noteBatch(sizeBytes: number, lastOffset: number, maxTimestamp: number, indexIntervalBytes: number): void {
    this.isUntouched = false;
    if (this.sizeBytes === 0) this.firstTimestampRead = maxTimestamp;
    if (maxTimestamp > this.maxTimestamp) {
      this.maxTimestampRead = maxTimestamp;
      this.maxTimestampOffsetRead = lastOffset;
    }
    if (this.bytesSinceIndexEntry > indexIntervalBytes) {
      this.indexes.addOffset(lastOffset, this.sizeBytes);
      this.indexes.addTime(this.maxTimestampRead, this.maxTimestampOffsetRead);
      this.bytesSinceIndexEntry = 0;
    }
    this.sizeBytes += sizeBytes;
    this.bytesSinceIndexEntry += sizeBytes;
  }

  mark(): SegmentMark {
    const { offsets, times, aborted } = this.indexes.counts;
    return {
      sizeBytes: this.sizeBytes,
      offsets,
      times,
      aborted,
      bytesSinceIndexEntry: this.bytesSinceIndexEntry,
      maxTimestamp: this.maxTimestampRead,
      maxTimestampOffset: this.maxTimestampOffsetRead,
      firstTimestamp: this.firstTimestampRead,
    };
  }

  /** Back to a savepoint; what was written past it is cut off, or overwritten by the next write where the device refuses even that. */
  restore(mark: SegmentMark): void {
    this.sizeBytes = mark.sizeBytes;
    this.indexes.restore(mark);
    this.bytesSinceIndexEntry = mark.bytesSinceIndexEntry;
    this.maxTimestampRead = mark.maxTimestamp;
    this.maxTimestampOffsetRead = mark.maxTimestampOffset;
    this.firstTimestampRead = mark.firstTimestamp;
    this.writtenBytes = Math.min(this.writtenBytes, mark.sizeBytes);
  }

  /** Whether a batch that ends at `lastOffset` must go into a new segment. */
  mustRoll(
    batchBytes: number,
    lastOffset: number,
    maxTimestamp: number,
    nowMs: number,
    jitterMs: number,
    config: LogConfig,
  ): boolean {
    if (this.sizeBytes > Math.min(config.segmentBytes, segmentBytesMax) - batchBytes) return true;
    if (lastOffset - this.baseOffset > relativeOffsetMax) return true;
    if (this.sizeBytes === 0) return false;
    const waitedMs = this.firstTimestamp >= 0 ? maxTimestamp - this.firstTimestamp : nowMs - this.createdMs;
    if (waitedMs > segmentMsMax(config) - jitterMs) return true;
    return (
      this.indexes.offsetCount >= Math.floor(config.segmentIndexBytes / offsetEntryBytes) ||
      this.indexes.timeCount >= Math.floor(config.segmentIndexBytes / timeEntryBytes) - 1
    );
  }

  /** The last entry of a closed segment's time index holds its max timestamp, so that nothing needs the batches for it. */
  closeTimeIndex(): void {
    if (!this.isUntouched && this.sizeBytes > 0 && this.maxTimestamp >= 0)
      this.indexes.addTime(this.maxTimestamp, this.maxTimestampOffset);
  }

  /**
   * Where a walk for `offset` begins. The index is believed only where a batch lies at the place that it names: one that was damaged on the
   * device would have the walk begin inside a batch and take its bytes for headers.
   */
  positionFor(offset: number): number {
    const entry = this.indexes.entryFor(offset);
    if (entry === null || entry.position === 0) return 0;
    if (entry.position >= this.writtenBytes && this.sizeBytes > this.writtenBytes) return entry.position;
    if (this.isBatchAt(entry)) return entry.position;
    this.rebuildOffsets();
    return this.indexes.entryFor(offset)?.position ?? 0;
  }

  private isBatchAt({ offset, position }: { readonly offset: number; readonly position: number }): boolean {
    if (position < 0 || this.log.read(checkPiece, position) < batchHeaderBytes) return false;
    const size = batchSizeAt(checkPiece, 0);
    const base = batchBaseOffset(checkPiece, 0);
    const isWhole = size >= batchHeaderBytes && position + size <= this.writtenBytes;
    return isWhole && batchMagicByte(checkPiece, 0) === batchMagic && base >= this.baseOffset && base <= offset;
  }

  /** The offset index anew from the headers; it stays in memory until the segment's indexes are written. */
  private rebuildOffsets(): void {
    this.environment.logger.warn({ path: this.log.path }, "an offset index does not fit its segment and is built anew");
    const { indexes } = this;
    indexes.restore({ ...indexes.counts, offsets: 0 });
    let bytesSince = 0;
    const walk = new HeaderWalk(this.log, 0, this.writtenBytes);
    while (walk.next()) {
      if (bytesSince > rebuildIntervalBytes) {
        indexes.addOffset(walk.lastOffset, walk.position);
        bytesSince = 0;
      }
      bytesSince += walk.sizeBytes;
    }
  }

  /** The first batch that ends at `offset` or later, of what is written; null where there is none. */
  find(offset: number): BatchPlace | null {
    if (this.writtenBytes === 0) return null;
    const walk = new HeaderWalk(this.log, this.positionFor(offset), this.writtenBytes);
    while (walk.next()) {
      const { lastOffset } = walk;
      if (lastOffset < offset) continue;
      return { position: walk.position, sizeBytes: walk.sizeBytes, baseOffset: walk.baseOffset, lastOffset };
    }
    return null;
  }

  /** One past the last offset in the file; the base offset where there is no batch. */
  readNextOffset(): number {
    if (this.writtenBytes === 0) return this.baseOffset;
    let next: number = this.baseOffset;
    const walk = new HeaderWalk(this.log, this.positionFor(Number.MAX_SAFE_INTEGER), this.writtenBytes);
    while (walk.next()) next = walk.lastOffset + 1;
    return next;
  }

  /** Cuts everything from `offset` on. Returns the bytes that went. */
  truncate(offset: number): number {
    const place = this.find(offset);
    this.indexes.truncate(offset);
    if (place === null) return 0;
    return this.truncateBytes(place.position);
  }

  truncateBytes(sizeBytes: number): number {
    this.isUntouched = false;
    const cut = this.writtenBytes - sizeBytes;
    this.log.truncate(sizeBytes);
    this.isPreallocated = false;
    this.sizeBytes = this.writtenBytes = sizeBytes;
    this.recentFrom = Math.min(this.recentFrom, sizeBytes);
    this.bytesSinceIndexEntry = 0;
    this.maxTimestampRead = sizeBytes === 0 ? -1 : timestampUnread;
    this.firstTimestampRead = sizeBytes === 0 ? -1 : this.firstTimestampRead;
    if (sizeBytes === 0) this.createdMs = this.environment.clock.wallMs();
    return cut;
  }

  /** Index entries so far do not count any more; they are built anew by noteBatch. */
  beginRebuild(): void {
    this.isUntouched = false;
    this.indexes.reset();
    this.bytesSinceIndexEntry = 0;
    this.maxTimestampRead = -1;
    this.maxTimestampOffsetRead = this.baseOffset;
    this.firstTimestampRead = -1;
    this.sizeBytes = 0;
  }

  filePaths(): string[] {
    const { disk } = this.environment;
    return [fileSuffix.log, fileSuffix.offsetIndex, fileSuffix.timeIndex, fileSuffix.transactionIndex]
      .map((suffix) => this.prefix + suffix + this.suffix)
      .filter((path) => disk.status(path) !== null);
  }

  /** Renames all files to `.deleted`; a reader that holds the log file goes on reading. Returns the new paths. */
  renameDeleted(): string[] {
    const renamed = this.changeSuffix(fileSuffix.deleted);
    this.indexes.forget();
    return renamed;
  }

  /** Renames all files, the batches first: where a crash comes between, the start finds by the others that it was not over. */
  changeSuffix(suffix: string): string[] {
    const { disk } = this.environment;
    const logPath = this.prefix + fileSuffix.log + this.suffix;
    const renamed: string[] = [];
    for (const path of this.filePaths()) {
      const target = path.slice(0, path.length - this.suffix.length) + suffix;
      if (path === logPath && this.file !== null) this.file.renameTo(target);
      else disk.rename(path, target);
      renamed.push(target);
    }
    this.suffix = suffix;
    this.indexes.changeSuffix(suffix);
    return renamed;
  }

  /** Lets go of the descriptor; the next use opens it again. */
  release(): void {
    this.file?.close();
    this.file = null;
  }

  /** The folder has been renamed. */
  moveTo(folder: string): void {
    this.release();
    this.prefix = `${folder}/${offsetFileName(this.baseOffset, "")}`;
    this.indexes.moveTo(this.prefix);
  }

  /** The last entry of the time index, and what batches after it say. */
  private readMaxTimestamp(): void {
    let maxTimestamp = this.indexes.lastTimestamp();
    let maxTimestampOffset = this.indexes.lastTimeOffset();
    const walk = new HeaderWalk(this.log, this.positionFor(maxTimestampOffset), this.writtenBytes);
    while (walk.next()) {
      const timestamp = batchMaxTimestamp(walk.piece, walk.at);
      if (timestamp <= maxTimestamp) continue;
      maxTimestamp = timestamp;
      maxTimestampOffset = walk.lastOffset;
    }
    this.maxTimestampRead = maxTimestamp;
    this.maxTimestampOffsetRead = maxTimestampOffset;
  }
}
