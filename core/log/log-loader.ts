// Opens a partition's folder: puts away what an interrupted deletion or compaction left, finds the segments, checks and cuts after an unclean
// stop, and brings epochs and producers to the log's end. After a clean stop it reads no segment.
import { type DirectoryEntry, DiskError, type Uuid } from "../base/index.ts";
import {
  batchBaseOffset,
  batchHeaderBytes,
  batchLastOffset,
  batchLeaderEpoch,
  batchMaxTimestamp,
  batchProducerId,
  type Offset,
} from "../model/index.ts";
import {
  checkpointBytesMax,
  decodeLeaderEpochs,
  decodePartitionMetadata,
  encodePartitionMetadata,
  MalformedCheckpoint,
} from "./checkpoint-files.ts";
import type { LogEnvironment } from "./environment.ts";
import { fileNameOffset, fileSuffix, partitionFile } from "./file-names.ts";
import { LeaderEpochCache } from "./leader-epoch-cache.ts";
import type { LogConfig } from "./log-config.ts";
import { type LogPlace, LogState, writePlainFile } from "./log-state.ts";
import { PartitionLog } from "./partition-log.ts";
import { relativeOffsetMax, Segment } from "./segment.ts";
import { checkedBatches, HeaderWalk } from "./segment-reader.ts";

export interface LoadOptions {
  readonly hadCleanShutdown: boolean;
  /** As the directory's checkpoints say; 0 where they do not name the partition. */
  readonly recoveryPoint: Offset;
  readonly logStartOffset: Offset;
  readonly highWatermark: Offset;
  /** Of cleaner-offset-checkpoint; left out where it does not name the partition. */
  readonly cleanedOffset?: Offset | undefined;
  /** What is in the folder, where the caller has listed it already. */
  readonly entries?: readonly DirectoryEntry[] | undefined;
}

/** What a recovery reads at a stretch: between two such, others may have a turn. */
export const recoveryStepBytes = 4 * 1024 * 1024;

/** What an unclean stop cost: for the start-up log. */
export interface LoadReport {
  readonly recoveredSegments: number;
  readonly cutBytes: number;
}

/** Makes the partition's folder. The first segment's file comes with the first append, or by `FirstSegmentFiles`. Throws DiskError. */
export function createLog(
  environment: LogEnvironment,
  place: LogPlace,
  config: LogConfig,
  topicId: Uuid | null,
): PartitionLog {
  const state = new LogState(environment, place, config);
  environment.disk.makeDirectory(place.folder);
  state.isFolderNew = true;
  if (topicId !== null) {
    // Should a crash leave this file empty, the topic's id is written again when the cluster's metadata names the partition.
    writePlainFile(environment.disk, `${place.folder}/${partitionFile.metadata}`, encodePartitionMetadata(topicId));
    state.topicId = topicId;
  }
  state.addSegment(0 as Offset);
  return new PartitionLog(state);
}

export interface LoadedLog {
  readonly log: PartitionLog;
  readonly report: LoadReport;
}

/** Opens the folder of a partition. Throws DiskError. */
export function loadLog(
  environment: LogEnvironment,
  place: LogPlace,
  config: LogConfig,
  options: LoadOptions,
): LoadedLog {
  const steps = loadLogSteps(environment, place, config, options);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** As loadLog; stops after every `recoveryStepBytes` that a recovery has read. Nobody else may touch the folder before it is done. */
export function* loadLogSteps(
  environment: LogEnvironment,
  place: LogPlace,
  config: LogConfig,
  options: LoadOptions,
): Generator<void, LoadedLog> {
  const state = new LogState(environment, place, config);
  const report = yield* new LogLoader(state, options).load();
  return { log: new PartitionLog(state), report };
}

class LogLoader {
  private readonly state: LogState;
  private readonly options: LoadOptions;
  private readonly damaged = new Set<Segment>();
  private recoveredSegments = 0;
  private cutBytes = 0;

  constructor(state: LogState, options: LoadOptions) {
    this.state = state;
    this.options = options;
  }

  *load(): Generator<void, LoadReport> {
    const { state, options } = this;
    const names = this.putAwayTemporaries();
    this.findFiles(names);
    state.savedEpochs = this.readEpochs(names);
    state.epochs = new LeaderEpochCache(state.savedEpochs ?? []);
    state.topicId = this.readTopicId(names);
    state.logStartOffset = options.logStartOffset;
    yield* this.recover();
    const end = this.findEnd();
    state.logEndOffset = state.writtenEndOffset = end;
    state.recoveryPoint = options.hadCleanShutdown ? end : (Math.min(options.recoveryPoint, end) as Offset);
    state.isRecoveryPointLowered = options.recoveryPoint > state.recoveryPoint;
    state.logStartOffset = Math.max(options.logStartOffset, state.segments[0]!.baseOffset) as Offset;
    state.epochs.truncateFromEnd(end);
    state.epochs.truncateFromStart(state.logStartOffset);
    state.removeStraySnapshots();
    state.rebuildProducers(end, options.hadCleanShutdown && this.recoveredSegments === 0);
    if (!options.hadCleanShutdown || this.recoveredSegments > 0) this.leaveSnapshot();
    state.highWatermark = Math.max(Math.min(options.highWatermark, end), state.logStartOffset) as Offset;
    state.producers.onHighWatermark(state.highWatermark);
    state.cleanedOffset = options.cleanedOffset ?? null;
    if (this.cutBytes > 0 && state.cleanedOffset !== null)
      state.cleanedOffset = Math.min(state.cleanedOffset, state.active.baseOffset) as Offset;
    return { recoveredSegments: this.recoveredSegments, cutBytes: this.cutBytes };
  }

  /** What a crash in the middle of a deletion or a compaction left. Returns the names that stay. */
  private putAwayTemporaries(): Set<string> {
    const { disk } = this.state.environment;
    const { folder } = this.state;
    const names = new Set(
      (this.options.entries ?? disk.listDirectory(folder))
        .filter((entry) => !entry.isDirectory)
        .map((entry) => entry.name),
    );
    const remove = (name: string): void => {
      disk.removeFile(`${folder}/${name}`);
      names.delete(name);
    };
    const swaps: string[] = [];
    let cleanedFrom = Number.POSITIVE_INFINITY;
    for (const name of [...names]) {
      if (name.endsWith(fileSuffix.deleted) || name.endsWith(".tmp")) remove(name);
      else if (name.endsWith(fileSuffix.swap)) swaps.push(name);
      else if (name.endsWith(fileSuffix.cleaned)) {
        cleanedFrom = Math.min(cleanedFrom, fileNameOffset(name) ?? Number.POSITIVE_INFINITY);
        remove(name);
      }
    }
    if (swaps.length > 0) this.finishSwaps(names, swaps, cleanedFrom, remove);
    return names;
  }

  /**
   * A `.swap` file is a finished replacement. Where `.cleaned` files were left beside it, the replacement of several segments was being
   * renamed and is given up; else it takes the place of every segment that it covers.
   */
  private finishSwaps(
    names: Set<string>,
    swaps: readonly string[],
    cleanedFrom: number,
    remove: (name: string) => void,
  ): void {
    const { disk } = this.state.environment;
    const { folder } = this.state;
    const valid: string[] = [];
    for (const name of swaps) {
      if ((fileNameOffset(name) ?? Number.POSITIVE_INFINITY) >= cleanedFrom) remove(name);
      else valid.push(name);
    }
    for (const swap of valid) {
      if (!swap.endsWith(fileSuffix.log + fileSuffix.swap)) continue;
      const from = fileNameOffset(swap)!;
      const end = this.endOfFile(`${folder}/${swap}`, from);
      for (const name of [...names]) {
        const offset = fileNameOffset(name);
        if (offset === null || name.endsWith(fileSuffix.swap) || !isSegmentFile(name)) continue;
        if (offset >= from && offset < end) remove(name);
      }
    }
    for (const name of valid) {
      const target = name.slice(0, -fileSuffix.swap.length);
      disk.rename(`${folder}/${name}`, `${folder}/${target}`);
      names.delete(name);
      names.add(target);
    }
  }

  private endOfFile(path: string, from: number): number {
    const file = this.state.environment.disk.open(path, "read");
    try {
      let end = from;
      const walk = new HeaderWalk(file, 0, file.sizeBytes());
      while (walk.next()) end = walk.lastOffset + 1;
      return end;
    } finally {
      file.close();
    }
  }

  private findFiles(names: Set<string>): void {
    const { state } = this;
    const { disk } = state.environment;
    for (const name of names) {
      const offset = fileNameOffset(name);
      if (offset === null) continue;
      const stem = name.slice(0, name.indexOf("."));
      if (name.endsWith(fileSuffix.producerSnapshot)) {
        state.snapshots.push(offset);
      } else if (name.endsWith(fileSuffix.log)) {
        const status = disk.status(`${state.folder}/${name}`);
        if (status === null) continue;
        const hasIndexes = names.has(stem + fileSuffix.offsetIndex) && names.has(stem + fileSuffix.timeIndex);
        const segment = new Segment(state.environment, state.folder, offset, {
          sizeBytes: status.sizeBytes,
          modifiedMs: status.modifiedMs,
          hasIndexes,
          hasAborted: names.has(stem + fileSuffix.transactionIndex),
        });
        if (!hasIndexes && status.sizeBytes > 0) this.damaged.add(segment);
        state.segments.push(segment);
      } else if (isSegmentFile(name) && !names.has(stem + fileSuffix.log)) {
        // An index without its log is of no use, and in the way of a new segment with that offset.
        disk.removeFile(`${state.folder}/${name}`);
      }
    }
    state.segments.sort((one, other) => one.baseOffset - other.baseOffset);
    state.snapshots.sort((one, other) => one - other);
    for (const segment of state.segments.slice(0, -1)) segment.indexes.markClosed();
  }

  /** Null where the file is damaged. */
  private readEpochs(names: Set<string>): LeaderEpochCache["entries"] | null {
    if (!names.has(partitionFile.leaderEpochs)) return [];
    const { state } = this;
    const path = `${state.folder}/${partitionFile.leaderEpochs}`;
    try {
      return decodeLeaderEpochs(state.environment.disk.readFile(path, checkpointBytesMax));
    } catch (error) {
      if (!(error instanceof MalformedCheckpoint)) throw error;
      // A directory that lost power may hold such a file beside logs that never were written to; epochs come back with the batches.
      state.environment.logger.warn({ path }, `leader epochs are rebuilt from the log: ${error.message}`);
      for (const segment of state.segments) this.damaged.add(segment);
      return null;
    }
  }

  private readTopicId(names: Set<string>): Uuid | null {
    if (!names.has(partitionFile.metadata)) return null;
    const { environment, folder } = this.state;
    return decodePartitionMetadata(environment.disk.readFile(`${folder}/${partitionFile.metadata}`, 1024));
  }

  /** Checks what was not known to be on the device, and what lacks its indexes; cuts at the first batch that is not whole. */
  private *recover(): Generator<void, void> {
    const { state, options } = this;
    for (const [index, segment] of [...state.segments].entries()) {
      const end = state.segments[index + 1]?.baseOffset ?? Number.POSITIVE_INFINITY;
      const isUnsure = !options.hadCleanShutdown && end > options.recoveryPoint;
      if (!isUnsure && !this.damaged.has(segment)) continue;
      if (this.recoveredSegments === 0) state.rebuildProducers(segment.baseOffset, false);
      const { cutBytes, isDamaged } = yield* this.recoverSegment(segment, end);
      this.recoveredSegments++;
      this.cutBytes += cutBytes;
      // What follows is known to be on the device, whatever this one lacks.
      if (!isUnsure || (!isDamaged && !this.isGapBefore(segment, end))) continue;
      // What follows a gap would be out of place.
      const later = state.segments.slice(state.segments.indexOf(segment) + 1);
      for (const lost of later) this.cutBytes += lost.sizeBytes;
      state.dropSegments(later);
      break;
    }
  }

  /**
   * A loss of power may take the end of a segment at the very border of a batch and leave the one after it. Offsets of a log that is not
   * compacted have no gaps, so such a log ends where its records do. Where the recovery point is not known, the topic may have been
   * compacted once, and gaps stay.
   */
  private isGapBefore(segment: Segment, end: number): boolean {
    const { options, state } = this;
    if (options.recoveryPoint === 0 || state.config.cleanupPolicy.compact) return false;
    return end !== Number.POSITIVE_INFINITY && segment.readNextOffset() < end;
  }

  /** Builds indexes, epochs and producers anew from the batches; cuts what is damaged, and what the next segment has instead. */
  private *recoverSegment(segment: Segment, end: number): Generator<void, { cutBytes: number; isDamaged: boolean }> {
    const { state } = this;
    const { indexIntervalBytes } = state.config;
    const fileBytes = segment.writtenBytes;
    segment.beginRebuild();
    let nextOffset: number = segment.baseOffset;
    let isSuperseded = false;
    let stepEndBytes = recoveryStepBytes;
    for (const batch of checkedBatches(segment.log, 0, fileBytes)) {
      const { head } = batch;
      const lastOffset = batchLastOffset(head, 0);
      if (batchBaseOffset(head, 0) < nextOffset || lastOffset - segment.baseOffset > relativeOffsetMax) break;
      // The log was cut here and went on in the next segment; of the cut alone the device knew nothing.
      isSuperseded = lastOffset >= end;
      if (isSuperseded) break;
      segment.noteBatch(batch.sizeBytes, lastOffset, batchMaxTimestamp(head, 0), indexIntervalBytes);
      const epoch = batchLeaderEpoch(head, 0);
      if (epoch > state.epochs.latestEpoch) state.epochs.assign(epoch, batchBaseOffset(head, 0));
      if (batchProducerId(head, 0) >= 0) {
        const aborted = state.noteProducer(head, 0);
        if (aborted !== null) segment.indexes.addAborted(aborted);
      }
      nextOffset = lastOffset + 1;
      if (segment.sizeBytes < stepEndBytes) continue;
      stepEndBytes = segment.sizeBytes + recoveryStepBytes;
      yield;
    }
    const rest = fileBytes - segment.sizeBytes;
    // What was allocated ahead and never written to is no loss.
    const cut = state.config.preallocate && isZero(segment, fileBytes) ? 0 : rest;
    if (rest > 0) segment.log.truncate(segment.sizeBytes);
    segment.writtenBytes = segment.sizeBytes;
    segment.closeTimeIndex();
    segment.indexes.write();
    if (segment !== state.active) segment.indexes.close();
    state.producers.endOffset = nextOffset;
    state.producers.settle(state.producers.changeCount);
    this.leaveSnapshot();
    return { cutBytes: cut, isDamaged: cut > 0 && !isSuperseded };
  }

  private findEnd(): Offset {
    const { state, options } = this;
    if (state.segments.length === 0) {
      state.addSegment(options.logStartOffset);
      return options.logStartOffset;
    }
    const { active } = state;
    const known = options.recoveryPoint;
    // After a clean stop the recovery point and the last snapshot both stand at the log's end.
    const isKnown =
      options.hadCleanShutdown &&
      this.recoveredSegments === 0 &&
      known >= active.baseOffset &&
      known === state.snapshots.at(-1);
    const end = (isKnown ? known : active.readNextOffset()) as Offset;
    active.indexes.reopen();
    if (end >= options.logStartOffset) return end;
    state.environment.logger.warn(
      { folder: state.folder, logStartOffset: options.logStartOffset, logEndOffset: end },
      "the log ends before its start; it begins anew there",
    );
    state.dropSegments(state.segments);
    state.epochs.clear();
    void state.addSegment(options.logStartOffset).log;
    return options.logStartOffset;
  }

  /** What was read through for producers is not to be read again. */
  private leaveSnapshot(): void {
    const { state } = this;
    try {
      state.writeSnapshot();
    } catch (error) {
      // A full disk must not keep a log from being read.
      if (!(error instanceof DiskError)) throw error;
      state.environment.logger.warn({ folder: state.folder, code: error.code }, "no producer snapshot after recovery");
    }
  }
}

/** Whether nothing was ever written behind the last whole batch: as far as the next header shows. */
function isZero(segment: Segment, fileBytes: number): boolean {
  const header = Buffer.alloc(Math.min(batchHeaderBytes, fileBytes - segment.sizeBytes));
  segment.log.read(header, segment.sizeBytes);
  return header.every((byte) => byte === 0);
}

const segmentSuffixes = [fileSuffix.log, fileSuffix.offsetIndex, fileSuffix.timeIndex, fileSuffix.transactionIndex];

function isSegmentFile(name: string): boolean {
  return segmentSuffixes.some((suffix) => name.endsWith(suffix));
}
