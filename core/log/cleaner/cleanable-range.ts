// What of a log is dirty, how urgent it is, and in which groups its segments are written anew. Decides by offsets, sizes and times; reads no batch.
import { batchHeaderBytes, type Offset } from "../../model/index.ts";
import type { LogConfig } from "../log-config.ts";
import type { LogState } from "../log-state.ts";
import { relativeOffsetMax, type Segment } from "../segment.ts";
import { offsetEntryBytes, timeEntryBytes } from "../segment-indexes.ts";

export interface CleanableRange {
  /** Below it every key was compacted once. */
  readonly firstDirtyOffset: Offset;
  /** The base offset of the first segment that must not be touched. */
  readonly firstUncleanableOffset: Offset;
  readonly cleanBytes: number;
  readonly cleanableBytes: number;
  /** Of what may be compacted, how much is dirty. */
  readonly dirtyRatio: number;
  /** By how much the oldest dirty segment has waited too long, by max.compaction.lag.ms; 0 where it has not. */
  readonly overdueMs: number;
}

/** Null where nothing may be touched now. */
export function cleanableRange(state: LogState, lastStableOffset: Offset, nowMs: number): CleanableRange | null {
  const { active, config, segments } = state;
  const firstDirtyOffset = dirtyFrom(state);
  let limit = Math.min(lastStableOffset, active.baseOffset);
  const dirty = closedSegments(state, firstDirtyOffset);
  if (config.minCompactionLagMs > 0) {
    const young = dirty.find((segment) => segment.largestTimestamp > nowMs - config.minCompactionLagMs);
    if (young !== undefined) limit = Math.min(limit, young.baseOffset);
  }
  limit = Math.max(limit, firstDirtyOffset);
  // Whole segments only: the one that holds the limit stays as it is.
  const firstKept = closedSegments(state, limit)[0] ?? active;
  const firstUncleanableOffset = firstKept.baseOffset;
  let cleanBytes = 0;
  let cleanableBytes = 0;
  const dirtyIndex = Math.max(state.segmentIndexFor(Math.min(firstDirtyOffset, firstUncleanableOffset)), 0);
  for (const [index, segment] of segments.entries()) {
    if (index < dirtyIndex) cleanBytes += segment.writtenBytes;
    else if (segment.baseOffset < firstUncleanableOffset) cleanableBytes += segment.writtenBytes;
  }
  const totalBytes = cleanBytes + cleanableBytes;
  if (totalBytes === 0 || cleanableBytes === 0) return null;
  return {
    firstDirtyOffset,
    firstUncleanableOffset,
    cleanBytes,
    cleanableBytes,
    dirtyRatio: cleanableBytes / totalBytes,
    overdueMs: overdueMs(dirty, config, nowMs),
  };
}

/** What the checkpoint says, unless the log has begun or ended elsewhere since. */
function dirtyFrom({ cleanedOffset, logStartOffset, logEndOffset }: LogState): Offset {
  const isKnown = cleanedOffset !== null && cleanedOffset >= logStartOffset && cleanedOffset <= logEndOffset;
  return isKnown ? cleanedOffset : logStartOffset;
}

/** Those that are not written to, from the one that holds `offset` on. */
function closedSegments({ segments, active }: LogState, offset: number): Segment[] {
  return segments.filter(
    (segment, index) => segment !== active && (segments[index + 1]?.baseOffset ?? Number.POSITIVE_INFINITY) > offset,
  );
}

function overdueMs(dirty: readonly Segment[], config: LogConfig, nowMs: number): number {
  if (!Number.isFinite(config.maxCompactionLagMs)) return 0;
  let earliest = Number.POSITIVE_INFINITY;
  for (const segment of dirty) {
    if (segment.writtenBytes < batchHeaderBytes) continue;
    const { firstTimestamp } = segment;
    if (firstTimestamp > 0) earliest = Math.min(earliest, firstTimestamp);
  }
  return Math.max(nowMs - Math.max(config.maxCompactionLagMs, 0) - earliest, 0);
}

/** Whether the cleaner should take the log up now. */
export function isWorthCleaning(range: CleanableRange, config: LogConfig): boolean {
  return range.overdueMs > 0 || range.dirtyRatio > config.minCleanableDirtyRatio;
}

/**
 * Neighbours whose bytes, indexes and offsets fit into one segment are written into one, so that a log of many small rests does not stay one.
 * Of the segments before `endOffset`.
 */
export function segmentGroups(state: LogState, endOffset: number, firstUncleanableOffset: number): Segment[][] {
  const { config, segments } = state;
  const groups: Segment[][] = [];
  let group: Segment[] = [];
  let bytes = 0;
  let offsetBytes = 0;
  let timeBytes = 0;
  for (const [index, segment] of segments.entries()) {
    if (segment.baseOffset >= endOffset) break;
    const first = group[0];
    const ownOffsetBytes = segment.indexes.offsetCount * offsetEntryBytes;
    const ownTimeBytes = segment.indexes.timeCount * timeEntryBytes;
    const next = segments[index + 1];
    const end = next !== undefined && next.baseOffset < endOffset ? next.baseOffset : firstUncleanableOffset;
    const fits =
      first !== undefined &&
      bytes + segment.writtenBytes <= config.segmentBytes &&
      offsetBytes + ownOffsetBytes <= config.segmentIndexBytes &&
      timeBytes + ownTimeBytes <= config.segmentIndexBytes &&
      (segment.writtenBytes === 0 || end - 1 - first.baseOffset <= relativeOffsetMax);
    if (!fits) {
      group = [];
      groups.push(group);
      bytes = offsetBytes = timeBytes = 0;
    }
    group.push(segment);
    bytes += segment.writtenBytes;
    offsetBytes += ownOffsetBytes;
    timeBytes += ownTimeBytes;
  }
  return groups;
}
