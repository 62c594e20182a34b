// Which leader epoch began at which offset of a log (KIP-101, KIP-279): followers find by it where their log parts from the leader's.
// Both columns rise strictly. Decides only; the log writes the file when `isDirty`, and clears it.
import { type LeaderEpoch, leaderEpochNone, type Offset, offsetNone } from "../model/index.ts";
import type { LeaderEpochEntry } from "./checkpoint-files.ts";
import type { EpochEndOffset } from "./outcomes.ts";

export class LeaderEpochCache {
  /** Replaced, never changed in place: an older array serves as a savepoint. */
  entries: readonly LeaderEpochEntry[];
  /** The file may say something else. */
  isDirty = false;

  constructor(entries: readonly LeaderEpochEntry[] = []) {
    this.entries = entries;
  }

  /** -1 where there is none. */
  get latestEpoch(): LeaderEpoch {
    return this.entries.at(-1)?.epoch ?? leaderEpochNone;
  }

  /** Those that began before `endOffset`. */
  entriesBefore(endOffset: number): readonly LeaderEpochEntry[] {
    const latest = this.entries.at(-1);
    if (latest === undefined || latest.startOffset < endOffset) return this.entries;
    return this.entries.filter((entry) => entry.startOffset < endOffset);
  }

  /** The epoch that the offset was written in; -1 where none is known. */
  epochForOffset(offset: number): LeaderEpoch {
    for (let index = this.entries.length - 1; index >= 0; index--) {
      const entry = this.entries[index]!;
      if (entry.startOffset <= offset) return entry.epoch;
    }
    return leaderEpochNone;
  }

  /**
   * Records that `epoch` begins at `startOffset`, unless it is the latest already. Entries that it contradicts go: a later epoch never
   * begins before an earlier one. Negative epochs are those of old messages and are passed over.
   */
  assign(epoch: number, startOffset: number): void {
    if (epoch < 0 || startOffset < 0) return;
    const latest = this.entries.at(-1);
    if (latest !== undefined && latest.epoch === epoch && latest.startOffset <= startOffset) return;
    const kept = this.entries.filter((entry) => entry.epoch < epoch && entry.startOffset < startOffset);
    this.replace([...kept, { epoch: epoch as LeaderEpoch, startOffset: startOffset as Offset }]);
  }

  /** The end of `epoch`, or of the last one before it, as OffsetForLeaderEpoch answers. */
  endOffsetFor(epoch: number, logEndOffset: Offset): EpochEndOffset {
    if (epoch < 0) return { epoch: leaderEpochNone, endOffset: offsetNone };
    if (epoch === this.latestEpoch) return { epoch: epoch as LeaderEpoch, endOffset: logEndOffset };
    const higher = this.entries.find((entry) => entry.epoch > epoch);
    if (higher === undefined) return { epoch: leaderEpochNone, endOffset: offsetNone };
    const floor = this.entries.findLast((entry) => entry.epoch <= epoch);
    return { epoch: floor?.epoch ?? (epoch as LeaderEpoch), endOffset: higher.startOffset };
  }

  /** Everything from `endOffset` on is gone. */
  truncateFromEnd(endOffset: number): void {
    const kept = this.entriesBefore(endOffset);
    if (kept !== this.entries) this.replace(kept);
  }

  /** Everything before `startOffset` is gone: the epoch that it lies in begins there now. */
  truncateFromStart(startOffset: number): void {
    const gone = this.entries.findLastIndex((entry) => entry.startOffset <= startOffset);
    if (gone < 0 || (gone === 0 && this.entries[0]!.startOffset === startOffset)) return;
    const { epoch } = this.entries[gone]!;
    this.replace([{ epoch, startOffset: startOffset as Offset }, ...this.entries.slice(gone + 1)]);
  }

  clear(): void {
    if (this.entries.length > 0) this.replace([]);
  }

  /** Back to a savepoint. */
  restore(entries: readonly LeaderEpochEntry[]): void {
    if (entries !== this.entries) this.replace(entries);
  }

  private replace(entries: readonly LeaderEpochEntry[]): void {
    this.entries = entries;
    this.isDirty = true;
  }
}
