// Compacts one log: a pass over its dirty part that notes the latest offset of each key, then each group of segments written anew without what
// those offsets say is old, and put into the place of the old ones. Works over many turns of the loop, reads and writes on the thread pool, and
// gives up whenever the log was cut, moved or closed meanwhile. Never touches the segment that is written to, nor anything undecided.
import { batchRecordsBytes, batchRecordsBytesLater, codecById, DecompressionProblem } from "../../compression/index.ts";
import {
  batchCodecId,
  batchHeaderBytes,
  batchIsControl,
  batchLastOffset,
  batchMaxTimestamp,
  batchRecordCount,
  batchSize,
  type Offset,
  RecordBatchView,
  RecordCursor,
} from "../../model/index.ts";
import { unpackedBytesMax } from "../append-validation.ts";
import { fileSuffix } from "../file-names.ts";
import { abortedEntries } from "../log-read.ts";
import type { LogState } from "../log-state.ts";
import { Segment } from "../segment.ts";
import { assembledBatch, type BatchFate, BatchFilter, DamagedRecords, type LastOfProducer } from "./batch-filter.ts";
import { BatchSource, type Chunk, UncleanableSegment } from "./batch-source.ts";
import { type CleanableRange, segmentGroups } from "./cleanable-range.ts";
import { CleanedTransactions } from "./cleaned-transactions.ts";
import { OffsetMap, offsetMapSlotBytes } from "./offset-map.ts";
import type { CleanerPace } from "./pace.ts";
import { discardSegment, swapSegments } from "./segment-swap.ts";

/** The log was cut, moved or closed while it was compacted. Nothing is lost: it is taken up again. */
export class CleaningAborted extends Error {
  override name = "CleaningAborted";
}

export interface CleaningOptions {
  readonly dedupeBytes: number;
  readonly loadFactor: number;
  /** Of one read. */
  readonly chunkBytes: number;
  readonly pace: CleanerPace;
  readonly nowMs: number;
  /** The cleaner itself is to stop. */
  readonly isStopping: () => boolean;
}

/** What one pass did; Kafka's cleaner counts the same. */
export interface CleaningReport {
  /** The log is clean up to here. */
  readonly endOffset: Offset;
  readonly recordsMapped: number;
  readonly bytesMapped: number;
  readonly recordsRead: number;
  readonly bytesRead: number;
  readonly recordsWritten: number;
  readonly bytesWritten: number;
  /** Of the dedupe buffer, 0 to 1. */
  readonly bufferUtilization: number;
}

const unpackOptions = { outputBytesMax: unpackedBytesMax };
/** Packed records above this are unpacked and packed on the thread pool. */
const poolBytesMin = 64 * 1024;

/** Throws CleaningAborted, UncleanableSegment and DiskError; the log is then as it was, or cleaned in part. */
export function cleanPartition(
  state: LogState,
  range: CleanableRange,
  options: CleaningOptions,
): Promise<CleaningReport> {
  return new PartitionCleaner(state, range, options).run();
}

class PartitionCleaner {
  private readonly state: LogState;
  private readonly range: CleanableRange;
  private readonly options: CleaningOptions;
  private readonly source: BatchSource;
  private readonly map: OffsetMap;
  private readonly cursor = new RecordCursor();
  private readonly reshapeCount: number;
  private recordsMapped = 0;
  private bytesMapped = 0;
  private bytesRead = 0;
  private bytesWritten = 0;
  private recordsRead = 0;
  private recordsWritten = 0;

  constructor(state: LogState, range: CleanableRange, options: CleaningOptions) {
    this.state = state;
    this.range = range;
    this.options = options;
    this.reshapeCount = state.reshapeCount;
    this.source = new BatchSource(options.chunkBytes);
    const { firstDirtyOffset, firstUncleanableOffset } = range;
    // No more slots than there can be keys: most logs need little of what the buffer may take.
    const keysMax = Math.ceil((firstUncleanableOffset - firstDirtyOffset) / options.loadFactor) + 2;
    const slotsMax = Math.floor(options.dedupeBytes / offsetMapSlotBytes);
    this.map = new OffsetMap(Math.min(keysMax, slotsMax), options.loadFactor, state.environment.random.uint32());
  }

  async run(): Promise<CleaningReport> {
    const { map, range, state } = this;
    await this.fillMap();
    const endOffset = (map.latestOffset + 1) as Offset;
    const tools: GroupTools = {
      transactions: new CleanedTransactions((entry) => tools.keepAborted(entry)),
      keepAborted: () => {},
    };
    for (const group of segmentGroups(state, endOffset, range.firstUncleanableOffset))
      await this.cleanGroup(group, tools);
    state.cleanedOffset = endOffset;
    return {
      endOffset,
      recordsMapped: this.recordsMapped,
      bytesMapped: this.bytesMapped,
      recordsRead: this.recordsRead,
      bytesRead: this.bytesRead,
      recordsWritten: this.recordsWritten,
      bytesWritten: this.bytesWritten,
      bufferUtilization: map.utilization,
    };
  }

  // --- the first pass --------------------------------------------------------------------------

  private async fillMap(): Promise<void> {
    const { map, range, state } = this;
    const { firstDirtyOffset, firstUncleanableOffset } = range;
    const transactions = new CleanedTransactions();
    transactions.add(abortedEntries(state, firstDirtyOffset, firstUncleanableOffset));
    map.latestOffset = firstDirtyOffset - 1;
    const first = Math.max(state.segmentIndexFor(firstDirtyOffset), 0);
    const dirty = state.segments.slice(first).filter((segment) => segment.baseOffset < firstUncleanableOffset);
    for (const [index, segment] of dirty.entries()) {
      if (!(await this.mapSegment(segment, transactions))) return;
      // Offsets that are missing at its end were read too.
      const end = dirty[index + 1]?.baseOffset ?? firstUncleanableOffset;
      map.latestOffset = Math.max(map.latestOffset, end - 1);
    }
  }

  /** False where the map is full: the rest is for the next pass. */
  private async mapSegment(segment: Segment, transactions: CleanedTransactions): Promise<boolean> {
    let position = segment.positionFor(this.range.firstDirtyOffset);
    for (;;) {
      const chunk = await this.read(segment, position);
      if (chunk === null) return true;
      for (let at = 0; at < chunk.end; ) {
        const size = this.source.check(segment, chunk, at);
        // Small batches are many: a promise for each would cost more than the batch.
        const records = this.unpackNow(segment, chunk, at) ?? (await this.unpackLater(segment, chunk, at));
        if (!this.mapBatch(chunk.bytes, at, records, transactions)) return false;
        at += size;
        if (this.options.pace.isSliceOver) await this.giveWay();
      }
      this.bytesMapped += chunk.end;
      position += chunk.end;
    }
  }

  private mapBatch(bytes: Buffer, at: number, records: UnpackedRecords, transactions: CleanedTransactions): boolean {
    const { cursor, map } = this;
    const { firstDirtyOffset } = this.range;
    cursor.open(bytes, at, records.bytes, records.start, records.end);
    if (batchIsControl(bytes, at)) {
      transactions.onControl(bytes, at, cursor);
    } else if (!transactions.onData(bytes, at)) {
      while (cursor.next()) {
        if (cursor.keyLength < 0 || cursor.offset < firstDirtyOffset) continue;
        if (map.isFull) return false;
        map.put(cursor.buffer, cursor.keyPosition, cursor.keyLength, cursor.offset);
      }
      if (cursor.problem !== null) throw new UncleanableSegment(`records cannot be read: ${cursor.problem.code}`);
    }
    this.recordsMapped += batchRecordCount(bytes, at);
    map.latestOffset = Math.max(map.latestOffset, batchLastOffset(bytes, at));
    return true;
  }

  // --- the second pass -------------------------------------------------------------------------

  private async cleanGroup(group: readonly Segment[], tools: GroupTools): Promise<void> {
    const { state } = this;
    const cleaned = new Segment(state.environment, state.folder, group[0]!.baseOffset, null, fileSuffix.cleaned);
    try {
      discardSegment(state, cleaned);
      tools.keepAborted = (entry) => cleaned.indexes.addAborted(entry);
      const filter = this.filterOf(tools.transactions);
      for (const [index, segment] of group.entries()) {
        const end = group[index + 1]?.baseOffset ?? this.endOf(segment);
        tools.transactions.add(abortedEntries(state, segment.baseOffset, end));
        await this.cleanInto(cleaned, segment, filter);
      }
      this.recordsRead += filter.recordsRead;
      this.recordsWritten += filter.recordsKept;
      cleaned.closeTimeIndex();
      await this.sync(cleaned);
      this.checkStill(group);
      cleaned.modifiedMs = group.at(-1)!.modifiedMs;
      cleaned.recentFrom = cleaned.writtenBytes;
    } catch (error) {
      discardSegment(state, cleaned);
      throw error;
    }
    swapSegments(state, cleaned, group);
    cleaned.indexes.close();
  }

  private endOf(segment: Segment): number {
    return this.state.segmentEnd(this.state.segments.indexOf(segment));
  }

  private filterOf(transactions: CleanedTransactions): BatchFilter {
    const { nowMs } = this.options;
    const { config, producers } = this.state;
    const last = new Map<number, LastOfProducer>();
    for (const { producerId, epoch, batches } of producers.entries())
      last.set(producerId, { dataOffset: batches.at(-1)?.lastOffset ?? -1, epoch });
    return new BatchFilter({
      map: this.map,
      transactions,
      lastOf: (producerId) => last.get(producerId),
      endOffset: this.range.firstUncleanableOffset,
      nowMs,
      deleteRetentionMs: config.deleteRetentionMs,
    });
  }

  private async cleanInto(cleaned: Segment, segment: Segment, filter: BatchFilter): Promise<void> {
    for (let position = 0; ; ) {
      const chunk = await this.read(segment, position);
      if (chunk === null) return;
      const out = new ChunkOutput(cleaned, this.state.config.indexIntervalBytes);
      for (let at = 0; at < chunk.end; ) {
        const size = this.source.check(segment, chunk, at);
        const records = this.unpackNow(segment, chunk, at) ?? (await this.unpackLater(segment, chunk, at));
        const rewritten = this.cleanBatch(segment, chunk, at, size, records, filter, out);
        if (rewritten !== null) out.add(await this.packLater(rewritten));
        at += size;
        if (this.options.pace.isSliceOver) await this.giveWay();
      }
      this.bytesRead += chunk.end;
      position += chunk.end;
      await this.write(cleaned, out);
    }
  }

  /** What is left of the batch goes into `out`; what takes long to pack is given back. */
  private cleanBatch(
    segment: Segment,
    chunk: Chunk,
    at: number,
    size: number,
    records: UnpackedRecords,
    filter: BatchFilter,
    out: ChunkOutput,
  ): RewrittenBatch | null {
    const fate = filtered(segment, () => filter.filter(chunk.bytes, at, records.bytes, records.start, records.end));
    if (fate.kind === "kept") out.keep(chunk.bytes, at, size);
    else if (fate.kind === "emptied") out.add(fate.bytes);
    else if (fate.kind === "rewritten") {
      const codecId = batchCodecId(fate.header, 0);
      if (codecId !== 0 && fate.records.length >= poolBytesMin) return fate;
      const packed = codecId === 0 ? fate.records : codecById(codecId)!.compress(fate.records);
      out.add(assembledBatch(fate.header, packed));
    }
    return null;
  }

  // --- reading, packing, writing ---------------------------------------------------------------

  private async read(segment: Segment, position: number): Promise<Chunk | null> {
    this.checkGoOn();
    const chunk = await this.source.read(segment, position);
    this.options.pace.beginSlice();
    this.checkGoOn();
    if (chunk !== null) await this.options.pace.spend(chunk.end);
    return chunk;
  }

  private async write(cleaned: Segment, out: ChunkOutput): Promise<void> {
    if (out.chunks.length === 0) return;
    const bytes = cleaned.sizeBytes - cleaned.writtenBytes;
    await cleaned.log.writeLater(out.chunks, cleaned.writtenBytes);
    cleaned.writtenBytes = cleaned.sizeBytes;
    this.bytesWritten += bytes;
    await this.options.pace.spend(bytes);
  }

  private async sync(cleaned: Segment): Promise<void> {
    const { disk } = this.state.environment;
    const { log } = cleaned;
    cleaned.indexes.write();
    await log.syncLater();
    for (const path of cleaned.indexes.filePaths()) {
      const file = disk.open(path, "append");
      try {
        await file.syncLater();
      } finally {
        file.close();
      }
    }
  }

  /** Null where that would take long. */
  private unpackNow(segment: Segment, { bytes, position }: Chunk, at: number): UnpackedRecords | null {
    const size = batchSize(bytes, at);
    if (batchCodecId(bytes, at) === 0) return { bytes, start: at + batchHeaderBytes, end: at + size };
    if (size === batchHeaderBytes) return { bytes, start: 0, end: 0 };
    if (size >= poolBytesMin) return null;
    return unpacked(segment, position + at, batchRecordsBytes(new RecordBatchView(bytes, at), unpackOptions));
  }

  private async unpackLater(segment: Segment, { bytes, position }: Chunk, at: number): Promise<UnpackedRecords> {
    const records = await batchRecordsBytesLater(new RecordBatchView(bytes, at), unpackOptions);
    this.options.pace.beginSlice();
    return unpacked(segment, position + at, records);
  }

  private async packLater({ header, records }: RewrittenBatch): Promise<Buffer> {
    const packed = await codecById(batchCodecId(header, 0))!.compressLater(records);
    this.options.pace.beginSlice();
    return assembledBatch(header, packed);
  }

  private async giveWay(): Promise<void> {
    await this.options.pace.turn();
    this.checkGoOn();
  }

  private checkGoOn(): void {
    const { state } = this;
    if (this.options.isStopping()) throw new CleaningAborted("the cleaner stops");
    if (state.isOffline) throw new CleaningAborted("the log directory is offline");
    if (state.reshapeCount !== this.reshapeCount) throw new CleaningAborted("the log was cut, moved or closed");
  }

  /** Retention may have taken some of them. */
  private checkStill(group: readonly Segment[]): void {
    this.checkGoOn();
    const first = this.state.segments.indexOf(group[0]!);
    const isThere = first >= 0 && group.every((segment, index) => this.state.segments[first + index] === segment);
    if (!isThere) throw new CleaningAborted("segments were deleted");
  }
}

interface GroupTools {
  readonly transactions: CleanedTransactions;
  /** Into the index of the segment that is being written. */
  keepAborted: ConstructorParameters<typeof CleanedTransactions>[0] & object;
}

type RewrittenBatch = BatchFate & { readonly kind: "rewritten" };

interface UnpackedRecords {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

/** What one chunk leaves: batches to be written, neighbours that are kept as one piece. The segment has counted them. */
class ChunkOutput {
  readonly chunks: Buffer[] = [];
  private readonly segment: Segment;
  private readonly indexIntervalBytes: number;
  /** Of a run of kept batches. */
  private source: Buffer | null = null;
  private start = 0;
  private end = 0;

  constructor(segment: Segment, indexIntervalBytes: number) {
    this.segment = segment;
    this.indexIntervalBytes = indexIntervalBytes;
  }

  keep(bytes: Buffer, at: number, size: number): void {
    this.note(bytes, at, size);
    if (this.source === bytes && this.end === at) {
      this.chunks.pop();
      this.end = at + size;
    } else {
      this.source = bytes;
      this.start = at;
      this.end = at + size;
    }
    this.chunks.push(bytes.subarray(this.start, this.end));
  }

  add(batch: Buffer): void {
    this.note(batch, 0, batch.length);
    this.source = null;
    this.chunks.push(batch);
  }

  private note(bytes: Buffer, at: number, size: number): void {
    this.segment.noteBatch(size, batchLastOffset(bytes, at), batchMaxTimestamp(bytes, at), this.indexIntervalBytes);
  }
}

function unpacked(segment: Segment, position: number, records: Buffer | DecompressionProblem): UnpackedRecords {
  if (records instanceof DecompressionProblem)
    throw new UncleanableSegment(`the batch at byte ${position} of ${segment.log.path}: ${records}`);
  return { bytes: records, start: 0, end: records.length };
}

function filtered<T>(segment: Segment, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof DamagedRecords)
      throw new UncleanableSegment(`a batch of ${segment.log.path} cannot be read: ${error.message}`);
    throw error;
  }
}
