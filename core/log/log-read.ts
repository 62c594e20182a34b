// Reads of a log: an offset becomes a byte range of one segment. Headers are looked at where the recent batches do not tell; no byte of a
// batch is moved.
import type { Offset } from "../model/index.ts";
import type { LogState } from "./log-state.ts";
import type { AbortedTransaction, ReadOptions, ReadOutcome } from "./outcomes.ts";
import type { RecentBatches } from "./recent-batches.ts";
import type { Segment } from "./segment.ts";
import type { AbortedEntry } from "./segment-indexes.ts";

/** Of what this process wrote to a segment, so much is taken to be in the page cache still. */
export const recentBytesMax = 16 * 1024 * 1024;

const empty: ReadOutcome = { kind: "empty" };
const outOfRange: ReadOutcome = { kind: "out-of-range" };

export function readLog(
  state: LogState,
  recent: RecentBatches | null,
  from: Offset,
  options: ReadOptions,
): ReadOutcome {
  if (from < state.logStartOffset || from > state.logEndOffset) return outOfRange;
  const upTo = Math.min(options.upTo, state.writtenEndOffset);
  if (from >= upTo) return empty;
  for (let index = Math.max(state.segmentIndexFor(from), 0); index < state.segments.length; index++) {
    const segment = state.segments[index]!;
    if (segment.baseOffset >= upTo) return empty;
    const isActive = index === state.segments.length - 1;
    const outcome = readSegment(segment, isActive ? recent : null, from, upTo, state.segmentEnd(index), options);
    // A segment may end before its successor begins: compaction leaves such gaps.
    if (outcome !== null) return outcome;
  }
  return empty;
}

function readSegment(
  segment: Segment,
  recent: RecentBatches | null,
  from: number,
  upTo: number,
  segmentEnd: number,
  options: ReadOptions,
): ReadOutcome | null {
  let position: number;
  let batchBytes: number;
  let firstBatchOffset: number;
  const slot = recent === null ? -1 : recent.find(from);
  if (slot >= 0) {
    position = recent!.positionAt(slot);
    batchBytes = recent!.sizeAt(slot);
    firstBatchOffset = recent!.baseOffsetAt(slot);
  } else {
    const place = segment.find(from);
    if (place === null) return null;
    position = place.position;
    batchBytes = place.sizeBytes;
    firstBatchOffset = place.baseOffset;
  }
  if (firstBatchOffset >= upTo) return empty;
  const end = upTo >= segmentEnd ? segment.writtenBytes : endPosition(segment, recent, upTo);
  const wanted = options.minOneBatch ? Math.max(options.bytesMax, batchBytes) : options.bytesMax;
  const sizeBytes = Math.min(wanted, end - position);
  if (sizeBytes <= 0) return empty;
  const isRecent = position >= Math.max(segment.recentFrom, segment.writtenBytes - recentBytesMax);
  return {
    kind: "slice",
    file: segment.log,
    position,
    sizeBytes,
    firstBatchOffset: firstBatchOffset as Offset,
    isFirstBatchWhole: sizeBytes >= batchBytes,
    isRecent,
  };
}

/** Where the batch that holds `upTo` begins: that one is not readable yet. */
function endPosition(segment: Segment, recent: RecentBatches | null, upTo: number): number {
  const slot = recent === null ? -1 : recent.find(upTo);
  if (slot >= 0) return recent!.positionAt(slot);
  return segment.find(upTo)?.position ?? segment.writtenBytes;
}

/** The aborted transactions that touch `from` to `upTo`: a reader of committed records skips what their producers wrote from there on. */
export function abortedTransactions(state: LogState, from: number, upTo: number): AbortedTransaction[] {
  return abortedEntries(state, from, upTo).map(
    ({ producerId, firstOffset }) => ({ producerId, firstOffset }) as AbortedTransaction,
  );
}

/** The same, as they stand in the transaction indexes. */
export function abortedEntries(state: LogState, from: number, upTo: number): AbortedEntry[] {
  const found: AbortedEntry[] = [];
  for (let index = Math.max(state.segmentIndexFor(from), 0); index < state.segments.length; index++) {
    const { indexes } = state.segments[index]!;
    if (!indexes.mayHaveAborted) continue;
    const count = indexes.counts.aborted;
    for (let entryIndex = 0; entryIndex < count; entryIndex++) {
      const entry = indexes.abortedEntry(entryIndex);
      if (entry.lastOffset >= from && entry.firstOffset < upTo) found.push(entry);
      // Nothing that ends later began before this entry's stable offset.
      if (entry.lastStableOffset >= upTo) return found;
    }
  }
  return found;
}
