// The states of a share partition's records as ranges of offsets: sorted, disjoint, neighbours that say the same joined. Lists are never changed
// in place, so that who holds one may keep it.

/** As the records of `__share_group_state` and the protocol number them. */
export const deliveryStates = { available: 0, acquired: 1, acknowledged: 2, archiving: 3, archived: 4 } as const;

export interface StateBatch {
  readonly firstOffset: number;
  readonly lastOffset: number;
  readonly deliveryState: number;
  readonly deliveryCount: number;
}

/** `batches` with `added` over them, from `startOffset` on. Where two speak of one offset, the later delivery counts, then the later state. */
export function combinedBatches(
  batches: readonly StateBatch[],
  added: readonly StateBatch[],
  startOffset: number,
): StateBatch[] {
  let all = [...batches];
  for (const one of added) if (one.firstOffset <= one.lastOffset) all = withBatch(all, one);
  const kept: StateBatch[] = [];
  for (const one of all) {
    if (one.lastOffset < startOffset) continue;
    push(kept, one.firstOffset >= startOffset ? one : { ...one, firstOffset: startOffset });
  }
  return kept;
}

function withBatch(batches: StateBatch[], added: StateBatch): StateBatch[] {
  let from = 0;
  let end = batches.length;
  while (from < end) {
    const middle = (from + end) >> 1;
    if (batches[middle]!.lastOffset < added.firstOffset) from = middle + 1;
    else end = middle;
  }
  let to = from;
  const middle: StateBatch[] = [];
  let next = added.firstOffset;
  for (; to < batches.length && batches[to]!.firstOffset <= added.lastOffset; to++) {
    const old = batches[to]!;
    const first = Math.max(old.firstOffset, added.firstOffset);
    const last = Math.min(old.lastOffset, added.lastOffset);
    if (old.firstOffset < first) middle.push({ ...old, lastOffset: first - 1 });
    if (next < first) middle.push({ ...added, firstOffset: next, lastOffset: first - 1 });
    middle.push({ ...(isLater(old, added) ? old : added), firstOffset: first, lastOffset: last });
    if (old.lastOffset > last) middle.push({ ...old, firstOffset: last + 1 });
    next = last + 1;
  }
  if (next <= added.lastOffset) middle.push({ ...added, firstOffset: next });
  batches.splice(from, to - from, ...middle);
  return batches;
}

function isLater(one: StateBatch, other: StateBatch): boolean {
  if (one.deliveryCount !== other.deliveryCount) return one.deliveryCount > other.deliveryCount;
  return one.deliveryState > other.deliveryState;
}

function push(batches: StateBatch[], batch: StateBatch): void {
  const last = batches[batches.length - 1];
  const isSame =
    last !== undefined &&
    last.lastOffset + 1 === batch.firstOffset &&
    last.deliveryState === batch.deliveryState &&
    last.deliveryCount === batch.deliveryCount;
  if (isSame) batches[batches.length - 1] = { ...last, lastOffset: batch.lastOffset };
  else batches.push(batch);
}
