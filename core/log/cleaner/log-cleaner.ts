// Compacts all of a broker's logs, one at a time, the dirtiest first, until none is worth it. Owned by the log manager, which calls `tick`. Keeps
// the figures that Kafka's cleaner shows, and leaves alone what it could not clean.
import { type Clock, DiskError, type Logger, type Timers } from "../../base/index.ts";
import { isFull } from "../environment.ts";
import type { PartitionLog } from "../partition-log.ts";
import { noteFailure } from "../pending-writes.ts";
import { UncleanableSegment } from "./batch-source.ts";
import { type CleanableRange, cleanableRange, isWorthCleaning } from "./cleanable-range.ts";
import { CleanerPace } from "./pace.ts";
import { CleaningAborted, type CleaningReport, cleanPartition } from "./partition-cleaner.ts";

/** Kafka's settings of the cleaner, in force at the moment. */
export interface CleanerSettings {
  /** log.cleaner.enable */
  readonly isEnabled: boolean;
  /** log.cleaner.dedupe.buffer.size */
  readonly dedupeBufferBytes: number;
  /** log.cleaner.io.buffer.size */
  readonly ioBufferBytes: number;
  /** log.cleaner.io.buffer.load.factor */
  readonly loadFactor: number;
  /** log.cleaner.io.max.bytes.per.second */
  readonly ioBytesPerSecondMax: number;
}

export const cleanerSettingsDefault: CleanerSettings = {
  isEnabled: true,
  dedupeBufferBytes: 128 * 1024 * 1024,
  ioBufferBytes: 512 * 1024,
  loadFactor: 0.9,
  ioBytesPerSecondMax: Number.POSITIVE_INFINITY,
};

/** What a read is at least, whatever log.cleaner.io.buffer.size says. */
export const cleanerChunkBytesMin = 4096;

export interface CleanerParts {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly settings: () => CleanerSettings;
  readonly logs: () => Iterable<PartitionLog>;
  /** Writes cleaner-offset-checkpoint of the directory. Throws DiskError. */
  readonly saveOffsets: (directory: string) => void;
}

/** As Kafka's LogCleaner and LogCleanerManager name them. */
export interface CleanerFigures {
  /** Of the last pass. */
  maxBufferUtilizationPercent: number;
  cleanerRecopyPercent: number;
  maxCleanTimeSecs: number;
  /** Of the last look at all logs. */
  maxCompactionDelaySecs: number;
  maxDirtyPercent: number;
  /** Since the start. */
  passCount: number;
  bytesRead: number;
  bytesWritten: number;
}

interface Candidate {
  readonly log: PartitionLog;
  readonly range: CleanableRange;
}

export class LogCleaner {
  readonly figures: CleanerFigures = {
    maxBufferUtilizationPercent: 0,
    cleanerRecopyPercent: 0,
    maxCleanTimeSecs: 0,
    maxCompactionDelaySecs: 0,
    maxDirtyPercent: 0,
    passCount: 0,
    bytesRead: 0,
    bytesWritten: 0,
  };
  private readonly parts: CleanerParts;
  private readonly uncleanable = new Set<PartitionLog>();
  private lastRunMs: number;
  private running: Promise<void> | null = null;
  private isStopping = false;

  constructor(parts: CleanerParts) {
    this.parts = parts;
    this.lastRunMs = parts.clock.wallMs();
  }

  get timeSinceLastRunMs(): number {
    return this.parts.clock.wallMs() - this.lastRunMs;
  }

  /** Partitions of a directory that could not be compacted, and their bytes that wait for it. */
  uncleanableIn(directory: string): { readonly partitionCount: number; readonly bytes: number } {
    let partitionCount = 0;
    let bytes = 0;
    for (const log of this.uncleanable) {
      if (log.directory !== directory || log.isOffline) continue;
      partitionCount++;
      bytes += this.rangeOf(log)?.cleanableBytes ?? 0;
    }
    return { partitionCount, bytes };
  }

  /** Cleans until nothing is worth it; while it does, further calls wait for the same. Never rejects for what a disk does. */
  tick(): Promise<void> {
    if (this.isStopping || !this.parts.settings().isEnabled) return this.running ?? Promise.resolve();
    this.running ??= this.run().finally(() => {
      this.running = null;
    });
    return this.running;
  }

  /** Gives up what is under way; resolves when no file is in use any more. */
  async stop(): Promise<void> {
    this.isStopping = true;
    await this.running;
  }

  private async run(): Promise<void> {
    while (!this.isStopping) {
      this.lastRunMs = this.parts.clock.wallMs();
      const next = this.dirtiest();
      if (next === null) return;
      if (!(await this.clean(next))) return;
    }
  }

  private dirtiest(): Candidate | null {
    let best: Candidate | null = null;
    let delayMs = 0;
    let dirtyRatio = 0;
    for (const log of this.parts.logs()) {
      if (!log.config.cleanupPolicy.compact || log.isOffline || this.uncleanable.has(log)) continue;
      const range = this.rangeOf(log);
      if (range === null) continue;
      delayMs = Math.max(delayMs, range.overdueMs);
      dirtyRatio = Math.max(dirtyRatio, range.dirtyRatio);
      // A write under way may still be taken back, and with it a roll.
      if (!isWorthCleaning(range, log.config) || log.hasPending) continue;
      if (best === null || range.dirtyRatio > best.range.dirtyRatio) best = { log, range };
    }
    this.figures.maxCompactionDelaySecs = Math.floor(delayMs / 1000);
    this.figures.maxDirtyPercent = Math.floor(dirtyRatio * 100);
    return best;
  }

  private rangeOf(log: PartitionLog): CleanableRange | null {
    try {
      return cleanableRange(log.forCleaner, log.lastStableOffset, this.parts.clock.wallMs());
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      noteFailure(log.forCleaner, error);
      return null;
    }
  }

  /** False where going on at once would meet the same obstacle. */
  private async clean({ log, range }: Candidate): Promise<boolean> {
    const { clock, timers, logger, settings } = this.parts;
    const { dedupeBufferBytes, ioBufferBytes, loadFactor } = settings();
    const { topic, partition } = log.topicPartition;
    const startMs = clock.monotonicMs();
    try {
      // What takes a record's place must be on the device before the record goes.
      await log.flushLater(range.firstUncleanableOffset);
      const report = await cleanPartition(log.forCleaner, range, {
        dedupeBytes: dedupeBufferBytes,
        loadFactor,
        chunkBytes: Math.max(Math.floor(ioBufferBytes / 2), cleanerChunkBytesMin),
        pace: new CleanerPace(clock, timers, () => settings().ioBytesPerSecondMax),
        nowMs: clock.wallMs(),
        isStopping: () => this.isStopping,
      });
      this.note(report, (clock.monotonicMs() - startMs) / 1000);
      logger.info({ topic, partition, ...report }, `compacted up to offset ${report.endOffset}`);
      this.parts.saveOffsets(log.directory);
      return true;
    } catch (error) {
      return this.onFailure(log, error);
    }
  }

  private onFailure(log: PartitionLog, error: unknown): boolean {
    const { logger } = this.parts;
    const { topic, partition } = log.topicPartition;
    if (error instanceof CleaningAborted) {
      logger.debug({ topic, partition }, `compaction was given up: ${error.message}`);
      return !this.isStopping;
    }
    if (error instanceof UncleanableSegment) {
      this.uncleanable.add(log);
      const next = "the partition is not compacted any more; blum fsck shows the damage";
      logger.error({ topic, partition }, `compaction found damage: ${error.message}; ${next}`);
      return true;
    }
    if (!(error instanceof DiskError)) throw error;
    if (isFull(error)) logger.warn({ topic, partition, code: error.code }, `no room to compact: ${error.message}`);
    else noteFailure(log.forCleaner, error);
    return false;
  }

  private note(report: CleaningReport, seconds: number): void {
    const { figures } = this;
    figures.maxBufferUtilizationPercent = Math.floor(report.bufferUtilization * 100);
    figures.cleanerRecopyPercent =
      report.bytesRead === 0 ? 0 : Math.floor((100 * report.bytesWritten) / report.bytesRead);
    figures.maxCleanTimeSecs = seconds;
    figures.passCount++;
    figures.bytesRead += report.bytesMapped + report.bytesRead;
    figures.bytesWritten += report.bytesWritten;
  }
}
