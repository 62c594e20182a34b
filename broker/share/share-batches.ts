// Record batches of a fetch as a share group looks at them: where each begins and ends, and which of them belong to aborted transactions. Reads
// headers, and of control batches the one key; keeps nothing.
import {
  batchBaseOffset,
  batchHeaderBytes,
  batchIsControl,
  batchIsTransactional,
  batchLastOffset,
  batchProducerId,
  batchSizeAt,
  parseControlKey,
  RecordCursor,
} from "@blumfeld/core/model";

export interface FetchedBatch {
  readonly first: number;
  readonly last: number;
  readonly position: number;
  readonly end: number;
}

/** The whole batches that reach to `fromOffset` or further. */
export function fetchedBatches(records: Buffer, fromOffset: number): FetchedBatch[] {
  const batches: FetchedBatch[] = [];
  for (let at = 0; ; ) {
    const size = batchSizeAt(records, at);
    if (size < batchHeaderBytes || at + size > records.length) return batches;
    const first = batchBaseOffset(records, at);
    const last = batchLastOffset(records, at);
    if (last >= fromOffset) batches.push({ first, last, position: at, end: at + size });
    at += size;
  }
}

/** Offsets of batches that a reader of committed records may not see. */
export function abortedRanges(
  records: Buffer,
  batches: readonly FetchedBatch[],
  aborted: readonly { readonly producerId: number; readonly firstOffset: number }[],
): { first: number; last: number }[] {
  const waiting = [...aborted].sort((one, other) => one.firstOffset - other.firstOffset);
  const open = new Set<number>();
  const ranges: { first: number; last: number }[] = [];
  for (const { first, last, position } of batches) {
    while (waiting.length > 0 && waiting[0]!.firstOffset <= last) open.add(waiting.shift()!.producerId);
    if (!batchIsTransactional(records, position)) continue;
    const producerId = batchProducerId(records, position);
    if (!open.has(producerId)) continue;
    if (!batchIsControl(records, position)) ranges.push({ first, last });
    else if (isAbortMarker(records, position)) open.delete(producerId);
  }
  return ranges;
}

function isAbortMarker(records: Buffer, position: number): boolean {
  const cursor = new RecordCursor().openBatch(records, position);
  if (!cursor.next() || cursor.key === null) return false;
  return parseControlKey(cursor.key)?.type === "abort";
}

export interface OffsetRange {
  readonly firstOffset: number;
  readonly lastOffset: number;
  readonly deliveryCount: number;
}

/** `ranges` without what `cut` covers; both in rising order. */
export function rangesWithout(
  ranges: readonly OffsetRange[],
  cut: readonly { readonly first: number; readonly last: number }[],
): OffsetRange[] {
  const rest: OffsetRange[] = [];
  for (const range of ranges) {
    let from = range.firstOffset;
    for (const { first, last } of cut) {
      if (last < from || first > range.lastOffset) continue;
      if (first > from) rest.push({ ...range, firstOffset: from, lastOffset: first - 1 });
      from = last + 1;
    }
    if (from <= range.lastOffset) rest.push({ ...range, firstOffset: from });
  }
  return rest;
}
