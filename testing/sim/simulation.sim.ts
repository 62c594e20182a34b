// A small part of `npm run sim` with every test run: seeds that hold, the same history from the same seed, faults that are found.
import { describe, expect, test } from "vitest";
import { runClusterSeed } from "./cluster/cluster-sim.ts";
import { quorumBugs } from "./planted/quorum-bugs.ts";
import { runQuorumSeed } from "./quorum/quorum-sim.ts";

describe("a simulated quorum", () => {
  test("holds what it promises", async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const { failure, trace } = await runQuorumSeed(seed);
      expect(failure, trace).toBeNull();
    }
  }, 60_000);

  test("has one history for a seed, and another for the next", async () => {
    const first = await runQuorumSeed(7);
    const again = await runQuorumSeed(7, true);
    const other = await runQuorumSeed(8);
    expect(again.hash).toBe(first.hash);
    expect(other.hash).not.toBe(first.hash);
  }, 60_000);

  test.each(["vote-not-on-disk", "acknowledged-at-write", "old-epoch-committed"])(
    "finds the fault %s",
    async (name) => {
      const takeOut = quorumBugs.find((bug) => bug.name === name)!.plant();
      try {
        let failure: string | null = null;
        for (let seed = 1; seed <= 10 && failure === null; seed++) failure = (await runQuorumSeed(seed)).failure;
        expect(failure).not.toBeNull();
      } finally {
        takeOut();
      }
    },
    60_000,
  );
});

test("a simulated cluster loses nothing that it acknowledged", async () => {
  const { committedCount, failure, trace } = await runClusterSeed(1);
  expect(failure, trace).toBeNull();
  expect(committedCount).toBeGreaterThan(100);
}, 60_000);
