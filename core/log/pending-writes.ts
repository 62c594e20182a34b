// What a log has appended but not yet written: windows of chunks, each in one segment, each with a savepoint. One turn's appends are one
// window and leave in one system call; a roll begins another. A write that fails takes back its window and all after it, so that the log's
// state is again what the disk holds and nothing of it was acknowledged. Chunks belong to their window until it is written.
import { assert, DiskError } from "../base/index.ts";
import type { Offset } from "../model/index.ts";
import type { LeaderEpochEntry } from "./checkpoint-files.ts";
import { isFull } from "./environment.ts";
import type { LogState } from "./log-state.ts";
import { encodeSnapshot } from "./producer-snapshot.ts";
import { type Segment, type SegmentMark, segmentBytesMax } from "./segment.ts";
import { unwrittenEntriesMax } from "./segment-indexes.ts";

interface Window {
  readonly segment: Segment;
  readonly mark: SegmentMark;
  /** The log's end before and after. */
  readonly startOffset: Offset;
  endOffset: Offset;
  readonly chunks: Buffer[];
  readonly epochs: readonly LeaderEpochEntry[];
  /** How many producer changes came before it, counted from the first that is not settled. */
  producerMark: number;
  /** The segment that this window's segment followed, and the producers at that moment; null where it did not roll. */
  readonly rolled: { readonly closed: Segment; readonly snapshot: Buffer; readonly snapshotOffset: number } | null;
}

export class PendingWrites {
  private readonly state: LogState;
  private queued: Window[] = [];
  private writing: Window[] = [];
  private inFlight: Promise<void> | null = null;

  constructor(state: LogState) {
    this.state = state;
  }

  get isEmpty(): boolean {
    return this.queued.length === 0 && this.writing.length === 0;
  }

  /** A write is on the thread pool. */
  get isInFlight(): boolean {
    return this.inFlight !== null;
  }

  /** Makes a savepoint where the last one is already on its way. To be called before anything of an append changes the state. */
  begin(): void {
    const last = this.queued[this.queued.length - 1];
    if (last === undefined || last.segment !== this.state.active) this.open(null);
  }

  /** Takes the bytes, which the segment has counted. */
  add(bytes: Buffer): void {
    const window = this.queued[this.queued.length - 1]!;
    window.chunks.push(bytes);
    window.endOffset = this.state.logEndOffset;
  }

  /** Closes the active segment and begins one at `baseOffset`. All that touches the disk happens with the next write. */
  roll(baseOffset: Offset): void {
    const { state } = this;
    const closed = state.active;
    closed.closeTimeIndex();
    state.producers.endOffset = baseOffset;
    const rolled = {
      closed,
      snapshot: encodeSnapshot(state.producers.entries()),
      snapshotOffset: state.producers.endOffset,
    };
    state.addSegment(baseOffset);
    this.open(rolled);
  }

  write(): void {
    this.writing.push(...this.queued);
    this.queued = [];
    try {
      while (this.writing.length > 0) {
        const window = this.writing[0]!;
        this.prepare(window);
        if (window.chunks.length > 0) window.segment.log.write(window.chunks, window.mark.sizeBytes);
        this.settle(window);
      }
    } catch (error) {
      throw this.fail(error);
    }
  }

  /** Writes that overlap follow one another; the promise settles when all that was queued at the call is written or refused. */
  writeLater(): Promise<void> {
    if (this.inFlight !== null) return this.inFlight.then(() => this.writeLater());
    if (this.queued.length === 0) return Promise.resolve();
    this.writing = this.queued;
    this.queued = [];
    this.inFlight = this.writeTaken().finally(() => {
      this.inFlight = null;
    });
    return this.inFlight;
  }

  private async writeTaken(): Promise<void> {
    try {
      while (this.writing.length > 0) {
        const window = this.writing[0]!;
        this.prepare(window);
        if (window.chunks.length > 0) await window.segment.log.writeLater(window.chunks, window.mark.sizeBytes);
        // A synchronous write may have overtaken this one with the same bytes.
        if (this.writing[0] === window) this.settle(window);
      }
    } catch (error) {
      throw this.fail(error);
    }
  }

  private open(rolled: Window["rolled"]): void {
    const { state } = this;
    this.queued.push({
      segment: state.active,
      mark: state.active.mark(),
      startOffset: state.logEndOffset,
      endOffset: state.logEndOffset,
      chunks: [],
      epochs: state.epochs.entries,
      producerMark: state.producers.changeCount,
      rolled,
    });
  }

  /** What a new segment needs before its first byte: the closed one's indexes and the producers as they stood. */
  private prepare({ rolled, segment }: Window): void {
    const { state } = this;
    if (state.isRecoveryPointLowered) {
      state.environment.saveRecoveryPoints(state.directory);
      state.isRecoveryPointLowered = false;
    }
    const { preallocate, segmentBytes } = state.config;
    if (preallocate) segment.preallocate(Math.min(segmentBytes, segmentBytesMax));
    if (rolled === null) return;
    rolled.closed.trim();
    // An empty file, too, says where the log begins or goes on, should its neighbours go.
    void rolled.closed.log;
    void segment.log;
    rolled.closed.indexes.write();
    rolled.closed.indexes.close();
    this.state.writeSnapshot(rolled.snapshot, rolled.snapshotOffset);
  }

  private settle(window: Window): void {
    const { state } = this;
    this.writing.shift();
    const next = this.writing[0] ?? this.queued[0];
    const settled = next === undefined ? state.producers.changeCount : next.producerMark;
    state.producers.settle(settled);
    for (const later of this.writing) later.producerMark -= settled;
    for (const later of this.queued) later.producerMark -= settled;
    const { segment } = window;
    for (const chunk of window.chunks) segment.writtenBytes += chunk.length;
    segment.modifiedMs = state.environment.clock.wallMs();
    state.writtenEndOffset = window.endOffset;
    if (window.rolled !== null)
      state.environment.flushSoon({ flushLater: (upTo) => this.flushLater(upTo) }, segment.baseOffset);
    if (segment.indexes.unwrittenCount >= unwrittenEntriesMax && segment === state.active) this.writeIndexes(segment);
  }

  /** The records are in the file: a refusal here must not refuse them. The entries wait in memory and are written with the next ones. */
  private writeIndexes(segment: Segment): void {
    try {
      segment.indexes.write();
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      noteFailure(this.state, error);
    }
  }

  /** Set by the log: what flushes for a roll. */
  flushLater: (upTo?: Offset) => Promise<void> = () => Promise.resolve();

  /** Takes everything back that is not written, and says so. */
  private fail(error: unknown): unknown {
    this.undo();
    if (error instanceof DiskError) noteFailure(this.state, error);
    return error;
  }

  private undo(): void {
    const { state } = this;
    const windows = [...this.writing, ...this.queued];
    this.writing = [];
    this.queued = [];
    for (const window of windows.reverse()) {
      window.segment.restore(window.mark);
      state.epochs.restore(window.epochs);
      state.producers.undoTo(window.producerMark);
      state.logEndOffset = window.startOffset;
      state.producers.endOffset = window.startOffset;
      if (window.rolled !== null) this.undoRoll(window);
      else this.cutFile(window);
    }
  }

  private undoRoll(window: Window): void {
    const { state } = this;
    const { closed, snapshotOffset } = window.rolled!;
    assert(state.active === window.segment, "a roll is undone in the order of rolls");
    attemptQuietly(() => state.dropSegments([window.segment]));
    state.segments = state.segments.filter((segment) => segment !== window.segment);
    closed.indexes.reopen();
    attemptQuietly(() => state.removeSnapshot(snapshotOffset));
  }

  /** What a failed write left behind the end would be found by a recovery; the next write covers it in any case. */
  private cutFile({ segment, mark }: Window): void {
    if (segment.isOnDisk) attemptQuietly(() => segment.log.truncate(mark.sizeBytes));
  }
}

/** A full device passes; any other failure takes the directory out of service. */
export function noteFailure(state: LogState, error: DiskError): void {
  const { topic, partition } = state.topicPartition;
  state.environment.logger.error({ topic, partition, code: error.code }, error.message);
  if (isFull(error)) return;
  state.isOffline = true;
  state.environment.onStorageFailure(state.directory, error);
}

function attemptQuietly(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
  }
}
