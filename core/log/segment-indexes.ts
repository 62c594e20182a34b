// The three indexes of a segment, kept in memory in the very bytes of their files:
//   .index      relative offset int32, position int32        one about every index.interval.bytes
//   .timeindex  timestamp int64, relative offset int32       "all records with a later timestamp lie past this offset"
//   .txnindex   version int16, producer id, first, last, last stable offset int64     one per aborted transaction
// New entries gather in memory and reach the files in larger steps: an unclean start rebuilds them from the log anyway, and a
// recovery point never passes entries that are not in their file. Those of closed segments are read on demand and cached within a bound.
import type { DiskFile } from "../base/index.ts";
import { type Offset, readInt64, writeInt64 } from "../model/index.ts";
import type { LogEnvironment } from "./environment.ts";
import { fileSuffix } from "./file-names.ts";
import type { CachedIndex } from "./index-cache.ts";

export const offsetEntryBytes = 8;
export const timeEntryBytes = 12;
export const abortedEntryBytes = 34;

export interface AbortedEntry {
  readonly producerId: number;
  readonly firstOffset: number;
  readonly lastOffset: number;
  readonly lastStableOffset: number;
}

/** How many entries each index has: a savepoint. */
export interface IndexCounts {
  readonly offsets: number;
  readonly times: number;
  readonly aborted: number;
}

/** Entries of one size in one growing buffer. */
class EntryTable {
  bytes: Buffer;
  count: number;
  /** Of which the file holds these. */
  written: number;
  readonly entryBytes: number;

  constructor(entryBytes: number, bytes: Buffer, count: number) {
    this.entryBytes = entryBytes;
    this.bytes = bytes;
    this.count = count;
    this.written = count;
  }

  /** The position of a new entry at the end. */
  add(): number {
    const at = this.count * this.entryBytes;
    if (at + this.entryBytes > this.bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, 16 * this.entryBytes));
      this.bytes.copy(larger, 0, 0, at);
      this.bytes = larger;
    }
    this.count++;
    return at;
  }

  /** Keeps the first `count`. */
  cut(count: number): void {
    this.count = Math.min(this.count, count);
    this.written = Math.min(this.written, count);
  }
}

const noBytes = Buffer.alloc(0);
/** Entries that gather in memory before they are written, so that a busy log pays a second write only now and then. */
export const unwrittenEntriesMax = 1024;

export class SegmentIndexes implements CachedIndex {
  private readonly environment: LogEnvironment;
  private readonly baseOffset: Offset;
  /** The segment's path without a suffix. */
  private prefix: string;
  /** As the segment's. */
  private suffix: string;
  /** False: the segment is written to, and its indexes stay in memory. */
  private isClosed = false;
  private offsets: EntryTable | null = null;
  private times: EntryTable | null = null;
  private aborted: EntryTable | null = null;
  /** Whether the files are there, as far as is known. */
  private isFileMade: boolean;
  private hasAbortedFile: boolean;
  /** A cut reached below what the files hold, so they must be cut too. */
  private isFileLonger = false;

  constructor(
    environment: LogEnvironment,
    prefix: string,
    baseOffset: Offset,
    files: { readonly isMade: boolean; readonly hasAborted: boolean; readonly suffix?: string },
  ) {
    this.suffix = files.suffix ?? "";
    this.environment = environment;
    this.prefix = prefix;
    this.baseOffset = baseOffset;
    this.isFileMade = files.isMade;
    this.hasAbortedFile = files.hasAborted;
  }

  get counts(): IndexCounts {
    return { offsets: this.offsetTable().count, times: this.timeTable().count, aborted: this.abortedTable().count };
  }

  get offsetCount(): number {
    return this.offsetTable().count;
  }

  get timeCount(): number {
    return this.timeTable().count;
  }

  /** Whether any aborted transaction is or may be in here; reads nothing. */
  get mayHaveAborted(): boolean {
    return this.aborted === null ? this.hasAbortedFile : this.aborted.count > 0;
  }

  addOffset(offset: number, position: number): void {
    const table = this.offsetTable();
    const at = table.add();
    table.bytes.writeInt32BE(offset - this.baseOffset, at);
    table.bytes.writeInt32BE(position, at + 4);
  }

  /** Nothing happens unless the timestamp is later than the last entry's. */
  addTime(timestamp: number, offset: number): void {
    const table = this.timeTable();
    if (timestamp <= this.lastTimestamp()) return;
    const at = table.add();
    writeInt64(table.bytes, at, timestamp);
    table.bytes.writeInt32BE(offset - this.baseOffset, at + 8);
  }

  addAborted(entry: AbortedEntry): void {
    const table = this.abortedTable();
    const at = table.add();
    table.bytes.writeInt16BE(0, at);
    writeInt64(table.bytes, at + 2, entry.producerId);
    writeInt64(table.bytes, at + 10, entry.firstOffset);
    writeInt64(table.bytes, at + 18, entry.lastOffset);
    writeInt64(table.bytes, at + 26, entry.lastStableOffset);
  }

  /** The last entry at or before `offset`; null where there is none. */
  entryFor(offset: number): { readonly offset: number; readonly position: number } | null {
    const table = this.offsetTable();
    const relative = offset - this.baseOffset;
    let low = 0;
    let high = table.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (table.bytes.readInt32BE(middle * offsetEntryBytes) <= relative) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return null;
    const at = (low - 1) * offsetEntryBytes;
    return { offset: this.baseOffset + table.bytes.readInt32BE(at), position: table.bytes.readInt32BE(at + 4) };
  }

  /** The offset of the last entry whose timestamp is not after `timestamp`, else the base offset. */
  offsetForTime(timestamp: number): number {
    const table = this.timeTable();
    let low = 0;
    let high = table.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (readInt64(table.bytes, middle * timeEntryBytes) <= timestamp) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? this.baseOffset : this.baseOffset + table.bytes.readInt32BE((low - 1) * timeEntryBytes + 8);
  }

  /** -1 where there is no entry. */
  lastTimestamp(): number {
    const table = this.timeTable();
    return table.count === 0 ? -1 : readInt64(table.bytes, (table.count - 1) * timeEntryBytes);
  }

  lastTimeOffset(): number {
    const table = this.timeTable();
    return table.count === 0
      ? this.baseOffset
      : this.baseOffset + table.bytes.readInt32BE((table.count - 1) * timeEntryBytes + 8);
  }

  abortedEntry(index: number): AbortedEntry {
    const { bytes } = this.abortedTable();
    const at = index * abortedEntryBytes;
    return {
      producerId: readInt64(bytes, at + 2),
      firstOffset: readInt64(bytes, at + 10),
      lastOffset: readInt64(bytes, at + 18),
      lastStableOffset: readInt64(bytes, at + 26),
    };
  }

  /** The bytes that the files hold or will hold. Views. */
  image(): { offsets: Buffer; times: Buffer; aborted: Buffer } {
    const view = (table: EntryTable): Buffer => table.bytes.subarray(0, table.count * table.entryBytes);
    return { offsets: view(this.offsetTable()), times: view(this.timeTable()), aborted: view(this.abortedTable()) };
  }

  /** Forgets all entries, to be built anew. */
  reset(): void {
    this.offsets = new EntryTable(offsetEntryBytes, noBytes, 0);
    this.times = new EntryTable(timeEntryBytes, noBytes, 0);
    this.aborted = new EntryTable(abortedEntryBytes, noBytes, 0);
    this.isFileLonger = true;
    this.environment.indexCache.forget(this);
    this.isClosed = false;
  }

  /** Back to a savepoint. */
  restore(counts: IndexCounts): void {
    this.cut(this.offsetTable(), counts.offsets);
    this.cut(this.timeTable(), counts.times);
    this.cut(this.abortedTable(), counts.aborted);
  }

  /** Only what lies before `offset` is left. */
  truncate(offset: number): void {
    const relative = offset - this.baseOffset;
    const offsets = this.offsetTable();
    let count = offsets.count;
    while (count > 0 && offsets.bytes.readInt32BE((count - 1) * offsetEntryBytes) >= relative) count--;
    this.cut(offsets, count);
    const times = this.timeTable();
    count = times.count;
    while (count > 0 && times.bytes.readInt32BE((count - 1) * timeEntryBytes + 8) >= relative) count--;
    this.cut(times, count);
    if (!this.mayHaveAborted) return;
    const aborted = this.abortedTable();
    count = aborted.count;
    while (count > 0 && readInt64(aborted.bytes, (count - 1) * abortedEntryBytes + 18) >= offset) count--;
    this.cut(aborted, count);
  }

  get unwrittenCount(): number {
    return unwritten(this.offsets) + unwritten(this.times) + unwritten(this.aborted);
  }

  get needsWrite(): boolean {
    return !this.isFileMade || this.isFileLonger || this.unwrittenCount > 0;
  }

  /** Brings the files up to date. Kafka expects the first two where a log is, even when they are empty. */
  write(): void {
    if (!this.needsWrite) return;
    this.writeTable(this.offsetTable(), fileSuffix.offsetIndex, true);
    this.writeTable(this.timeTable(), fileSuffix.timeIndex, true);
    const aborted = this.abortedTable();
    if (aborted.count > 0 || this.hasAbortedFile)
      this.writeTable(aborted, fileSuffix.transactionIndex, aborted.count > 0);
    this.isFileMade = true;
    this.hasAbortedFile = aborted.count > 0;
    this.isFileLonger = false;
  }

  /** Files that hold entries, for syncing. */
  filePaths(): string[] {
    if (!this.isFileMade) return [];
    const suffixes: string[] = [fileSuffix.offsetIndex, fileSuffix.timeIndex];
    if (this.hasAbortedFile) suffixes.push(fileSuffix.transactionIndex);
    return suffixes.map((suffix) => this.prefix + suffix + this.suffix);
  }

  /** Found closed at start-up: nothing is in memory yet. */
  markClosed(): void {
    this.isClosed = true;
  }

  /** The segment takes no more entries: from now on the cache decides whether they stay in memory. */
  close(): void {
    this.isClosed = true;
    this.touch();
  }

  /** The segment is written to (again). */
  reopen(): void {
    this.isClosed = false;
    this.environment.indexCache.forget(this);
  }

  unload(): void {
    if (this.needsWrite) return;
    this.offsets = null;
    this.times = null;
    this.aborted = null;
  }

  /** Not to be used any more. */
  forget(): void {
    this.environment.indexCache.forget(this);
    this.offsets = this.times = this.aborted = null;
  }

  moveTo(prefix: string): void {
    this.prefix = prefix;
  }

  /** The files have been renamed. */
  changeSuffix(suffix: string): void {
    this.suffix = suffix;
  }

  private cut(table: EntryTable, count: number): void {
    if (count < table.written) this.isFileLonger = true;
    table.cut(count);
  }

  private offsetTable(): EntryTable {
    if (this.offsets === null) {
      const bytes = this.load(fileSuffix.offsetIndex, this.isFileMade, offsetEntryBytes);
      this.offsets = new EntryTable(offsetEntryBytes, bytes, risingCount(bytes, offsetEntryBytes, 0, readInt32));
    }
    if (this.isClosed) this.touch();
    return this.offsets;
  }

  private timeTable(): EntryTable {
    if (this.times === null) {
      const bytes = this.load(fileSuffix.timeIndex, this.isFileMade, timeEntryBytes);
      this.times = new EntryTable(timeEntryBytes, bytes, risingCount(bytes, timeEntryBytes, 0, readInt64));
    }
    if (this.isClosed) this.touch();
    return this.times;
  }

  private abortedTable(): EntryTable {
    if (this.aborted === null) {
      const bytes = this.load(fileSuffix.transactionIndex, this.hasAbortedFile, abortedEntryBytes);
      this.aborted = new EntryTable(abortedEntryBytes, bytes, bytes.length / abortedEntryBytes);
    }
    return this.aborted;
  }

  private load(suffix: string, isThere: boolean, entryBytes: number): Buffer {
    if (!isThere) return noBytes;
    const bytes = this.environment.disk.readFile(this.prefix + suffix + this.suffix);
    return bytes.subarray(0, bytes.length - (bytes.length % entryBytes));
  }

  private touch(): void {
    const bytes =
      (this.offsets?.bytes.length ?? 0) + (this.times?.bytes.length ?? 0) + (this.aborted?.bytes.length ?? 0);
    this.environment.indexCache.touch(this, bytes);
  }

  private writeTable(table: EntryTable, suffix: string, isNeeded: boolean): void {
    const { disk } = this.environment;
    const path = this.prefix + suffix + this.suffix;
    if (!isNeeded) {
      if (disk.status(path) !== null) disk.removeFile(path);
      return;
    }
    const from = table.written * table.entryBytes;
    const to = table.count * table.entryBytes;
    if (from === to && this.isFileMade && !this.isFileLonger) return;
    const file = disk.open(path, "append");
    try {
      this.writeRange(file, table, from, to);
    } finally {
      file.close();
    }
    table.written = table.count;
  }

  private writeRange(file: DiskFile, table: EntryTable, from: number, to: number): void {
    if (to > from) file.write([table.bytes.subarray(from, to)], from);
    if (file.sizeBytes() > to) file.truncate(to);
  }
}

function unwritten(table: EntryTable | null): number {
  return table === null ? 0 : table.count - table.written;
}

function readInt32(bytes: Buffer, position: number): number {
  return bytes.readInt32BE(position);
}

/** How many entries rise: a file that was allocated ahead ends in zeros, which are none. */
function risingCount(
  bytes: Buffer,
  entryBytes: number,
  at: number,
  read: (bytes: Buffer, position: number) => number,
): number {
  const count = Math.floor(bytes.length / entryBytes);
  // Mostly the last entry tells: where it rises above the one before it, nothing was allocated ahead.
  if (count >= 2 && read(bytes, (count - 1) * entryBytes + at) > read(bytes, (count - 2) * entryBytes + at))
    return count;
  let rising = Math.min(count, 1);
  while (rising < count && read(bytes, rising * entryBytes + at) > read(bytes, (rising - 1) * entryBytes + at))
    rising++;
  const isPadding = rising === 1 && count > 1 && read(bytes, at) === 0;
  return isPadding ? 0 : rising;
}
