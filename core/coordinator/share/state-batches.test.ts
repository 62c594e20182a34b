// Ranges of delivery states put over one another, against a model that has one entry for each offset.
import fc from "fast-check";
import { expect, test } from "vitest";
import { combinedBatches, type StateBatch } from "./state-batches.ts";

const offsetMax = 40;

const batch = fc
  .tuple(fc.nat(offsetMax), fc.nat(8), fc.constantFrom(0, 2, 3, 4), fc.integer({ min: 1, max: 3 }))
  .map(([firstOffset, length, deliveryState, deliveryCount]) => ({
    ...{ firstOffset, lastOffset: firstOffset + length - 1, deliveryState, deliveryCount },
  }));

function byOffset(lists: readonly (readonly StateBatch[])[], startOffset: number): Map<number, [number, number]> {
  const states = new Map<number, [number, number]>();
  for (const { deliveryCount, deliveryState, firstOffset, lastOffset } of lists.flat()) {
    for (let offset = Math.max(firstOffset, startOffset); offset <= lastOffset; offset++) {
      const [count, state] = states.get(offset) ?? [-1, -1];
      if (deliveryCount > count || (deliveryCount === count && deliveryState > state))
        states.set(offset, [deliveryCount, deliveryState]);
    }
  }
  return states;
}

test("combined: sorted, joined, and for each offset what is latest", () => {
  const lists = fc.array(fc.array(batch, { maxLength: 8 }), { maxLength: 4 });
  fc.assert(
    fc.property(lists, fc.nat(offsetMax), (added, startOffset) => {
      let combined: StateBatch[] = [];
      for (const one of added) combined = combinedBatches(combined, one, startOffset);
      expect(byOffset([combined], 0)).toEqual(byOffset(added, startOffset));
      for (const [index, one] of combined.entries()) {
        const before = combined[index - 1];
        expect(one.firstOffset).toBeLessThanOrEqual(one.lastOffset);
        if (before === undefined) continue;
        expect(one.firstOffset).toBeGreaterThan(before.lastOffset);
        const isSame = one.deliveryState === before.deliveryState && one.deliveryCount === before.deliveryCount;
        expect(isSame && one.firstOffset === before.lastOffset + 1).toBe(false);
      }
    }),
    { numRuns: Number(process.env.BLUMFELD_PROPERTY_RUNS ?? 300) },
  );
});

test("many over many cost one sweep", () => {
  const spread = (shift: number): StateBatch[] =>
    Array.from({ length: 50_000 }, (_, at) => ({
      ...{ firstOffset: at * 4 + shift, lastOffset: at * 4 + shift, deliveryState: 2, deliveryCount: 1 },
    }));
  const startedMs = performance.now();
  expect(combinedBatches(spread(0), spread(2), 0)).toHaveLength(100_000);
  // A splice for each would take many seconds.
  expect(performance.now() - startedMs).toBeLessThan(2000);
});
