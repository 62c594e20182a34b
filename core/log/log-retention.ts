// Which segments a log gives up: those below its start, those too much for retention.bytes, those too old for retention.ms. Only whole
// segments, only from the front, never past the high watermark.
import type { Offset } from "../model/index.ts";
import type { LogState } from "./log-state.ts";
import type { SegmentDeletion } from "./outcomes.ts";
import type { Segment } from "./segment.ts";

export interface RetentionActions {
  /** Begins a new segment, so that the last one may go. */
  roll(): void;
  raiseLogStartOffset(offset: Offset): void;
}

export function deleteOldSegments(state: LogState, nowMs: number, actions: RetentionActions): SegmentDeletion[] {
  const deletions = deletePrefix(state, "log-start-offset", actions, (_segment, end, isLast) => {
    return !isLast && end <= state.logStartOffset;
  });
  if (!state.config.cleanupPolicy.delete) return deletions;
  const { retentionBytes, retentionMs } = state.config;
  if (retentionBytes >= 0) {
    let surplus = totalBytes(state) - retentionBytes;
    deletions.push(
      ...deletePrefix(state, "retention-bytes", actions, (segment) => {
        if (surplus < segment.writtenBytes) return false;
        surplus -= segment.writtenBytes;
        return true;
      }),
    );
  }
  if (retentionMs >= 0) {
    deletions.push(
      ...deletePrefix(state, "retention-ms", actions, (segment) => nowMs - segment.largestTimestamp > retentionMs),
    );
  }
  return deletions;
}

export function totalBytes(state: LogState): number {
  let bytes = 0;
  for (const segment of state.segments) bytes += segment.sizeBytes;
  return bytes;
}

function deletePrefix(
  state: LogState,
  reason: SegmentDeletion["reason"],
  actions: RetentionActions,
  mayGo: (segment: Segment, end: number, isLast: boolean) => boolean,
): SegmentDeletion[] {
  const gone: Segment[] = [];
  for (const [index, segment] of state.segments.entries()) {
    const end = state.segmentEnd(index);
    const isLast = index === state.segments.length - 1;
    if (isLast && segment.sizeBytes === 0) break;
    if (state.highWatermark < end || !mayGo(segment, end, isLast)) break;
    gone.push(segment);
  }
  if (gone.length === 0) return [];
  // A log always has a segment to write to.
  if (gone.length === state.segments.length) actions.roll();
  const next = state.segments[gone.length]!;
  actions.raiseLogStartOffset(next.baseOffset);
  state.deleteSegments(gone);
  return gone.map((segment) => ({ baseOffset: segment.baseOffset, sizeBytes: segment.sizeBytes, reason }));
}
