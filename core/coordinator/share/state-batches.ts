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

/**
 * `batches` (in rising order, disjoint) with `added` over them, from `startOffset` on. Where two speak of one offset, the later delivery counts, then
 * the later state, whichever came first: so it is one sweep over both.
 */
export function combinedBatches(
  batches: readonly StateBatch[],
  added: readonly StateBatch[],
  startOffset: number,
): StateBatch[] {
  const kept: StateBatch[] = [];
  for (const one of merged(batches, inOrder(added))) {
    if (one.lastOffset < startOffset) continue;
    push(kept, one.firstOffset >= startOffset ? one : { ...one, firstOffset: startOffset });
  }
  return kept;
}

/** In rising order and disjoint, as those of our own share partitions are; another broker's may be anything. */
function inOrder(added: readonly StateBatch[]): readonly StateBatch[] {
  let last = -1;
  for (const { firstOffset, lastOffset } of added) {
    if (firstOffset <= last || firstOffset > lastOffset) return ordered(added.filter(isSome));
    last = lastOffset;
  }
  return added;
}

function isSome({ firstOffset, lastOffset }: StateBatch): boolean {
  return firstOffset <= lastOffset;
}

function ordered(batches: readonly StateBatch[]): readonly StateBatch[] {
  if (batches.length <= 1) return batches;
  const middle = batches.length >> 1;
  return merged(ordered(batches.slice(0, middle)), ordered(batches.slice(middle)));
}

function merged(ones: readonly StateBatch[], others: readonly StateBatch[]): StateBatch[] {
  const out: StateBatch[] = [];
  let [oneAt, otherAt] = [0, 0];
  let one = ones[0];
  let other = others[0];
  while (one !== undefined && other !== undefined) {
    if (one.lastOffset < other.firstOffset) {
      push(out, one);
      one = ones[++oneAt];
    } else if (other.lastOffset < one.firstOffset) {
      push(out, other);
      other = others[++otherAt];
    } else {
      const first: number = Math.max(one.firstOffset, other.firstOffset);
      const last: number = Math.min(one.lastOffset, other.lastOffset);
      if (one.firstOffset < first) push(out, { ...one, lastOffset: first - 1 });
      if (other.firstOffset < first) push(out, { ...other, lastOffset: first - 1 });
      push(out, { ...(isLater(one, other) ? one : other), firstOffset: first, lastOffset: last });
      one = one.lastOffset > last ? { ...one, firstOffset: last + 1 } : ones[++oneAt];
      other = other.lastOffset > last ? { ...other, firstOffset: last + 1 } : others[++otherAt];
    }
  }
  for (; one !== undefined; one = ones[++oneAt]) push(out, one);
  for (; other !== undefined; other = others[++otherAt]) push(out, other);
  return out;
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
