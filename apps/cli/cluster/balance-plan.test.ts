import * as fc from "fast-check";
import { expect, test } from "vitest";
import { planBalance } from "./balance-plan.ts";

const clusters = fc.integer({ min: 1, max: 6 }).chain((brokerCount) =>
  fc.record({
    racks: fc.array(fc.constantFrom("a", "b", "c", null), { minLength: brokerCount, maxLength: brokerCount }),
    partitions: fc.array(
      fc.shuffledSubarray(
        Array.from({ length: brokerCount }, (_, index) => index),
        { minLength: 1, maxLength: Math.min(3, brokerCount) },
      ),
      { maxLength: 40 },
    ),
  }),
);

test("a plan keeps what is promised, never crowds a rack, evens brokers without racks to one, and is none when applied", () => {
  fc.assert(
    fc.property(clusters, ({ partitions, racks }) => {
      const brokers = racks.map((rack, nodeId) => ({ nodeId, rack }));
      const placed = partitions.map((replicas, partition) => ({ topic: "t", partition, replicas }));
      const moves = planBalance(placed, brokers);
      const after = placed.map((one) => moves.find(({ partition }) => partition === one.partition) ?? one);
      const racksOf = (replicas: readonly number[]): number =>
        new Set(replicas.map((id) => racks[id] ?? `none ${id}`)).size;
      for (const [index, { replicas }] of after.entries()) {
        expect(replicas).toHaveLength(placed[index]!.replicas.length);
        expect(new Set(replicas).size).toBe(replicas.length);
        expect(racksOf(replicas)).toBeGreaterThanOrEqual(
          racksOf(placed[index]!.replicas) === replicas.length ? replicas.length : 0,
        );
      }
      const held = brokers.map(({ nodeId }) => after.filter(({ replicas }) => replicas.includes(nodeId)).length);
      if (racks.every((rack) => rack === null)) expect(Math.max(...held) - Math.min(...held)).toBeLessThanOrEqual(1);
      expect(
        planBalance(after, brokers).filter(
          (move) => new Set([...move.replicas, ...move.from]).size > move.replicas.length,
        ),
      ).toEqual([]);
    }),
    { numRuns: 500 },
  );
});

test("a broker that is new gets its share, from those that have most", () => {
  const placed = Array.from({ length: 6 }, (_, partition) => ({ topic: "t", partition, replicas: [1, 2] }));
  const moves = planBalance(
    placed,
    [1, 2, 3].map((nodeId) => ({ nodeId, rack: null })),
  );
  expect(moves.filter(({ replicas }) => replicas.includes(3))).toHaveLength(4);
  const leaders = placed.map(
    ({ partition, replicas }) => (moves.find((move) => move.partition === partition)?.replicas ?? replicas)[0],
  );
  for (const id of [1, 2, 3]) expect(leaders.filter((leader) => leader === id)).toHaveLength(2);
});
