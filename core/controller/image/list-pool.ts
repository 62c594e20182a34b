// Equal lists, kept once. Partitions of a cluster have few different replica lists: with the pool a partition costs one small object.
// Lists that come out of it are shared and must not be changed. Bounded: past the bound lists are copies of their own.
import type { Uuid } from "../../base/index.ts";

/** Different lists that the pool keeps; a cluster of 100 brokers with three replicas uses some ten thousand. */
export const pooledListCountMax = 262_144;

const empty: readonly never[] = Object.freeze([]);

export class ListPool {
  private readonly numberLists = new Map<string, readonly number[]>();
  private readonly uuidLists = new Map<string, readonly Uuid[]>();
  /** Lists of one, by their number: the commonest of all. */
  private readonly singles: (readonly number[])[] = [];

  numbers(list: readonly number[]): readonly number[] {
    if (list.length === 0) return empty;
    if (list.length === 1) {
      const only = list[0]!;
      if (only >= 0 && only < 4096) {
        this.singles[only] ??= [only];
        return this.singles[only];
      }
    }
    return pooled(this.numberLists, list);
  }

  uuids(list: readonly Uuid[]): readonly Uuid[] {
    return list.length === 0 ? empty : pooled(this.uuidLists, list);
  }
}

function pooled<Element>(lists: Map<string, readonly Element[]>, list: readonly Element[]): readonly Element[] {
  const key = list.join(",");
  const known = lists.get(key);
  if (known !== undefined) return known;
  const copy = list.slice();
  if (lists.size < pooledListCountMax) lists.set(key, copy);
  return copy;
}
