// One partition's folder, looked through without opening it as a log: segments, indexes, producer snapshots, epochs, the topic's id, leftovers. Reads
// only. What it finds is told by whether the next start mends it or whether something is lost.
import { type Disk, DiskError } from "../../base/index.ts";
import {
  checkpointBytesMax,
  decodeLeaderEpochs,
  decodePartitionMetadata,
  type LeaderEpochEntry,
  MalformedCheckpoint,
} from "../checkpoint-files.ts";
import { fileNameOffset, fileSuffix, offsetFileName, partitionFile } from "../file-names.ts";
import { decodeSnapshot, producerSnapshotBytesMax } from "../producer-snapshot.ts";
import { checkOffsetIndex, checkTimeIndex, checkTransactionIndex } from "./check-indexes.ts";
import type { Findings } from "./finding.ts";
import { type ScannedBatch, type SegmentScan, scanSegment } from "./segment-scan.ts";

export interface PartitionCheck {
  /** Of the first and the last whole batch: 0 and 0 where there is none. */
  readonly startOffset: number;
  readonly endOffset: number;
  readonly segmentCount: number;
  readonly batchCount: number;
  readonly sizeBytes: number;
}

export interface PartitionCheckOptions {
  /** The directory was stopped cleanly: then nothing may be cut at the end of a log either. */
  readonly hadCleanShutdown: boolean;
  readonly onBytes?: (bytes: number) => void;
}

export function checkPartition(
  disk: Disk,
  folder: string,
  found: Findings,
  options: PartitionCheckOptions,
): PartitionCheck {
  return new PartitionChecker(disk, folder, found, options).run();
}

class PartitionChecker {
  private readonly disk: Disk;
  private readonly folder: string;
  private readonly found: Findings;
  private readonly options: PartitionCheckOptions;
  private readonly names: ReadonlySet<string>;
  private epochs: readonly LeaderEpochEntry[] | null = null;

  constructor(disk: Disk, folder: string, found: Findings, options: PartitionCheckOptions) {
    this.disk = disk;
    this.folder = folder;
    this.found = found;
    this.options = options;
    this.names = new Set(disk.listDirectory(folder).map(({ name }) => name));
  }

  run(): PartitionCheck {
    this.checkLeftovers();
    this.checkTopicId();
    this.epochs = this.readEpochs();
    const bases = [...this.names]
      .filter((name) => name.endsWith(fileSuffix.log))
      .map(fileNameOffset)
      .filter((offset) => offset !== null)
      .sort((one, other) => one - other);
    let endOffset = bases[0] ?? 0;
    let startOffset: number | null = null;
    let batchCount = 0;
    let sizeBytes = 0;
    for (const [index, base] of bases.entries()) {
      const next = bases[index + 1] ?? Number.POSITIVE_INFINITY;
      const path = this.path(base, fileSuffix.log);
      const scan = this.guarded(path, () => this.scan(path));
      if (scan === null) continue;
      sizeBytes += this.disk.status(path)?.sizeBytes ?? 0;
      batchCount += scan.batches.length;
      startOffset ??= scan.batches[0]?.baseOffset ?? null;
      this.checkBatches(path, scan, base, next);
      this.checkIndexes(base, scan);
      endOffset = Math.max(base, (scan.batches.at(-1)?.lastOffset ?? base - 1) + 1) as typeof base;
    }
    this.checkSnapshots(endOffset);
    this.checkEpochs(endOffset);
    return { startOffset: startOffset ?? endOffset, endOffset, segmentCount: bases.length, batchCount, sizeBytes };
  }

  private scan(path: string): SegmentScan {
    const file = this.disk.open(path, "read");
    try {
      return scanSegment(file, this.options.onBytes);
    } finally {
      file.close();
    }
  }

  private checkBatches(path: string, { batches, damaged }: SegmentScan, base: number, next: number): void {
    const { found } = this;
    const isLast = next === Number.POSITIVE_INFINITY;
    for (const { start, end, what, isTail } of damaged) {
      const before = batches.findLast(({ position }) => position < start);
      const after = batches.find(({ position }) => position >= end);
      const from = before === undefined ? base : before.lastOffset + 1;
      const size = `${end - start} bytes that are no whole batches (${what})`;
      if (isLast && isTail && !this.options.hadCleanShutdown) {
        const kind = what.startsWith("zeros") ? "never written" : "a write that the crash cut";
        found.add("mendable", path, start, `${size}: ${kind}, behind offset ${from - 1}`);
        continue;
      }
      const until = after?.baseOffset ?? (isLast ? null : next);
      const lost = until === null ? `records from offset ${from} on` : `the records of offsets ${from} to ${until - 1}`;
      found.add("damage", path, start, size, until === from ? null : lost);
    }
    let expected = base;
    for (const batch of batches) {
      if (batch.baseOffset < expected || batch.lastOffset < batch.baseOffset)
        found.add(
          "damage",
          path,
          batch.position,
          `a batch of offsets ${batch.baseOffset} to ${batch.lastOffset}, after offset ${expected - 1}`,
        );
      else if (batch.lastOffset >= next)
        found.add(
          "damage",
          path,
          batch.position,
          `a batch up to offset ${batch.lastOffset}, and the next segment begins at ${next}`,
        );
      this.checkBatchEpoch(path, batch);
      expected = Math.max(expected, batch.lastOffset + 1);
    }
  }

  private checkBatchEpoch(path: string, batch: ScannedBatch): void {
    const { epochs } = this;
    if (epochs === null || epochs.length === 0 || batch.leaderEpoch < 0) return;
    const entry = epochs.findLast(({ startOffset }) => startOffset <= batch.baseOffset);
    if (entry === undefined || entry.epoch === batch.leaderEpoch) return;
    const what = `a batch of leader epoch ${batch.leaderEpoch} at offset ${batch.baseOffset}`;
    // Epochs reach their file with a flush; after a crash the latest may be missing.
    const isLater = batch.leaderEpoch > (epochs.at(-1)?.epoch ?? -1);
    const severity = isLater && !this.options.hadCleanShutdown ? "mendable" : "damage";
    this.found.add(
      severity,
      path,
      batch.position,
      `${what}, where ${partitionFile.leaderEpochs} has epoch ${entry.epoch}`,
    );
  }

  private checkIndexes(base: number, { batches, damaged }: SegmentScan): void {
    const { found } = this;
    const checks = [
      [fileSuffix.offsetIndex, checkOffsetIndex, true],
      [fileSuffix.timeIndex, checkTimeIndex, true],
      [fileSuffix.transactionIndex, checkTransactionIndex, false],
    ] as const;
    for (const [suffix, check, isNeeded] of checks) {
      const path = this.path(base, suffix);
      if (!this.names.has(offsetFileName(base, suffix))) {
        if (isNeeded && batches.length > 0) found.add("mendable", path, null, "the index is missing");
        continue;
      }
      this.guarded(path, () => check(found, path, this.disk.readFile(path), base, batches, damaged));
    }
  }

  private checkSnapshots(endOffset: number): void {
    for (const name of this.names) {
      if (!name.endsWith(fileSuffix.producerSnapshot)) continue;
      const offset = fileNameOffset(name);
      const path = `${this.folder}/${name}`;
      if (offset === null) continue;
      const entries = this.guarded(path, () => decodeSnapshot(this.disk.readFile(path, producerSnapshotBytesMax)));
      if (entries === null)
        this.found.add("mendable", path, null, "the producers in it cannot be read, or its checksum does not fit");
      else if (offset > endOffset)
        this.found.add("mendable", path, null, `it is of offset ${offset}, and the log ends at ${endOffset}`);
      else
        for (const { producerId, batches } of entries) {
          const last = batches.at(-1)?.lastOffset ?? -1;
          if (last >= offset)
            this.found.add(
              "mendable",
              path,
              null,
              `producer ${producerId} has its last batch at offset ${last}, not before ${offset}`,
            );
        }
    }
  }

  private readEpochs(): LeaderEpochEntry[] | null {
    const path = `${this.folder}/${partitionFile.leaderEpochs}`;
    if (!this.names.has(partitionFile.leaderEpochs)) return null;
    return this.guarded(path, () => decodeLeaderEpochs(this.disk.readFile(path, checkpointBytesMax)));
  }

  private checkEpochs(endOffset: number): void {
    const path = `${this.folder}/${partitionFile.leaderEpochs}`;
    let before: LeaderEpochEntry | null = null;
    for (const [index, entry] of (this.epochs ?? []).entries()) {
      if (before !== null && (entry.epoch <= before.epoch || entry.startOffset <= before.startOffset))
        this.found.add(
          "mendable",
          path,
          null,
          `line ${index + 3}: epoch ${entry.epoch} from offset ${entry.startOffset} does not follow epoch ${before.epoch} from ${before.startOffset}`,
        );
      else if (entry.startOffset > endOffset)
        this.found.add(
          "mendable",
          path,
          null,
          `line ${index + 3}: epoch ${entry.epoch} begins at ${entry.startOffset}, and the log ends at ${endOffset}`,
        );
      before = entry;
    }
  }

  private checkTopicId(): void {
    if (!this.names.has(partitionFile.metadata)) return;
    const path = `${this.folder}/${partitionFile.metadata}`;
    const id = this.guarded(path, () => ({ id: decodePartitionMetadata(this.disk.readFile(path, 4096)) }));
    if (id !== null && id.id === null)
      this.found.add(
        "mendable",
        path,
        null,
        "the topic's id cannot be read; it is given again by the cluster's metadata",
      );
  }

  private checkLeftovers(): void {
    for (const name of this.names) {
      const suffix = [fileSuffix.deleted, fileSuffix.cleaned, fileSuffix.swap, ".tmp"].find((one) =>
        name.endsWith(one),
      );
      if (suffix === undefined) continue;
      const what: Record<string, string> = {
        [fileSuffix.deleted]: "waits for its removal",
        [fileSuffix.cleaned]: "an unfinished compaction, which a start removes",
        [fileSuffix.swap]: "a finished compaction, which a start puts in place",
        ".tmp": "an unfinished checkpoint, which a start removes",
      };
      this.found.add("note", `${this.folder}/${name}`, null, what[suffix]!);
    }
  }

  /** What a disk or a format refuses becomes a finding. */
  private guarded<T>(path: string, work: () => T): T | null {
    try {
      return work();
    } catch (error) {
      if (error instanceof DiskError)
        this.found.add("damage", path, null, `it cannot be read: ${error.code}`, "what is in it");
      else if (error instanceof MalformedCheckpoint) this.found.add("mendable", path, null, error.message);
      else throw error;
      return null;
    }
  }

  private path(base: number, suffix: string): string {
    return `${this.folder}/${offsetFileName(base, suffix)}`;
  }
}
