import { describe, expect, test } from "vitest";
import type { LeaderEpoch, Offset } from "../model/index.ts";
import { LeaderEpochCache } from "./leader-epoch-cache.ts";

const cacheOf = (...entries: [number, number][]): LeaderEpochCache =>
  new LeaderEpochCache(
    entries.map(([epoch, startOffset]) => ({ epoch: epoch as LeaderEpoch, startOffset: startOffset as Offset })),
  );
const pairs = (cache: LeaderEpochCache): number[][] =>
  cache.entries.map(({ epoch, startOffset }) => [epoch, startOffset]);

describe("leader epochs", () => {
  const assigned: [string, [number, number][], [number, number], number[][]][] = [
    ["the first one", [], [3, 0], [[3, 0]]],
    [
      "a later one",
      [[1, 0]],
      [2, 5],
      [
        [1, 0],
        [2, 5],
      ],
    ],
    [
      "the latest again",
      [
        [1, 0],
        [2, 5],
      ],
      [2, 9],
      [
        [1, 0],
        [2, 5],
      ],
    ],
    [
      "the latest from further back",
      [
        [1, 0],
        [2, 5],
      ],
      [2, 3],
      [
        [1, 0],
        [2, 3],
      ],
    ],
    [
      "a later one at the same offset takes its place",
      [
        [1, 0],
        [2, 5],
      ],
      [4, 5],
      [
        [1, 0],
        [4, 5],
      ],
    ],
    [
      "a later one further back takes what it covers",
      [
        [1, 0],
        [2, 5],
        [3, 8],
      ],
      [4, 5],
      [
        [1, 0],
        [4, 5],
      ],
    ],
    [
      "an earlier one takes the later ones away",
      [
        [1, 0],
        [5, 5],
      ],
      [3, 9],
      [
        [1, 0],
        [3, 9],
      ],
    ],
    ["none of an old message", [[1, 0]], [-1, 9], [[1, 0]]],
  ];
  test.each(assigned)("assigning %s", (_what, before, [epoch, offset], after) => {
    const cache = cacheOf(...before);
    cache.assign(epoch, offset);
    expect(pairs(cache)).toEqual(after);
    expect(cache.isDirty).toBe(JSON.stringify(before) !== JSON.stringify(after));
  });

  test("cutting the end takes what begins there or later", () => {
    const cache = cacheOf([1, 0], [2, 5], [3, 8]);
    cache.truncateFromEnd(9);
    expect(cache.isDirty).toBe(false);
    cache.truncateFromEnd(8);
    expect(pairs(cache)).toEqual([
      [1, 0],
      [2, 5],
    ]);
    cache.truncateFromEnd(3);
    expect(pairs(cache)).toEqual([[1, 0]]);
  });

  test("cutting the start moves the epoch that it lies in", () => {
    const cache = cacheOf([1, 0], [2, 5], [3, 8]);
    cache.truncateFromStart(0);
    expect(cache.isDirty).toBe(false);
    cache.truncateFromStart(6);
    expect(pairs(cache)).toEqual([
      [2, 6],
      [3, 8],
    ]);
    cache.truncateFromStart(8);
    expect(pairs(cache)).toEqual([[3, 8]]);
    cache.truncateFromStart(100);
    expect(pairs(cache)).toEqual([[3, 100]]);
  });

  test("the end of an epoch is where the next one begins", () => {
    const cache = cacheOf([2, 10], [4, 20], [7, 30]);
    const endOf = (epoch: number): number[] => {
      const { epoch: found, endOffset } = cache.endOffsetFor(epoch, 50 as Offset);
      return [found, endOffset];
    };
    expect([-1, 0, 1, 2, 3, 4, 6, 7, 8].map(endOf)).toEqual([
      [-1, -1],
      [0, 10],
      [1, 10],
      [2, 20],
      [2, 20],
      [4, 30],
      [4, 30],
      [7, 50],
      [-1, -1],
    ]);
    expect([5, 10, 19, 20, 99].map((offset) => cache.epochForOffset(offset))).toEqual([-1, 2, 2, 4, 7]);
    expect(cacheOf().endOffsetFor(3, 50 as Offset)).toEqual({ epoch: -1, endOffset: -1 });
  });
});
