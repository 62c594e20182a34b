// From which position a log may be read, against a slow obvious model: two logs as lists of epochs, one of them cut at its start.
import { describe, expect, test } from "vitest";
import { seededRandom } from "../base/index.ts";
import { LeaderEpochCache } from "../log/leader-epoch-cache.ts";
import type { LeaderEpoch, Offset } from "../model/index.ts";
import { checkPosition } from "./replicated-log.ts";

/** A log in which record `offset` has the epoch `epochs[offset]`; everything before `start` is in a snapshot. */
function logOf(epochs: readonly number[], start: number) {
  const cache = new LeaderEpochCache();
  epochs.forEach((epoch, offset) => {
    if (offset >= start) cache.assign(epoch, offset);
  });
  const logEndOffset = epochs.length as Offset;
  return {
    logStartOffset: start as Offset,
    logEndOffset,
    latestLeaderEpoch: (epochs.at(-1) ?? -1) as LeaderEpoch,
    endOffsetForEpoch: (epoch: number) => cache.endOffsetFor(epoch, logEndOffset),
  };
}

describe("a position in the log", () => {
  test("is valid exactly where the reader's log is a prefix; following the answers always ends in one", () => {
    const random = seededRandom(7);
    const draw = (below: number): number => random.uint32() % below;
    const kinds = { valid: 0, diverging: 0, snapshot: 0 };
    for (let round = 0; round < 3_000; round++) {
      const shared = draw(6);
      const epochs = [1];
      while (epochs.length < shared + 1) epochs.push(epochs.at(-1)! + draw(2));
      const leader = [...epochs];
      const reader = epochs.slice(0, draw(epochs.length + 1));
      // An epoch has one leader: beyond what they share, odd ones are the leader's, even ones the reader's.
      for (let left = draw(6); left > 0; left--) leader.push(Math.max(leader.at(-1)!, 2 * draw(4) + 9));
      for (let left = draw(6); left > 0; left--)
        if (reader.length >= epochs.length) reader.push(Math.max(reader.at(-1)!, 2 * draw(4) + 8));
      const start = draw(3) === 0 ? draw(leader.length + 1) : 0;
      const snapshot = start === 0 ? null : { endOffset: start, epoch: leader[start - 1]! };
      const log = logOf(leader, start);
      for (let steps = 0; ; steps++) {
        expect(steps).toBeLessThan(20);
        const lastEpoch = reader.at(-1) ?? 0;
        const outcome = checkPosition(log, { earliest: snapshot, latest: snapshot }, reader.length, lastEpoch);
        kinds[outcome.kind]++;
        if (outcome.kind === "valid") break;
        if (outcome.kind === "snapshot") {
          // What it names holds everything before its end.
          expect(outcome.id).toEqual(snapshot);
          reader.splice(0, reader.length, ...leader.slice(0, start));
        } else {
          // KIP-595: it goes back to where its own epochs end, at most to what is named.
          const own = reader.findLastIndex((epoch) => epoch <= outcome.epoch) + 1;
          const length = Math.min(own, Number(outcome.endOffset));
          expect(length).toBeLessThan(reader.length);
          reader.length = length;
        }
      }
      expect(reader).toEqual(leader.slice(0, reader.length));
    }
    for (const count of Object.values(kinds)) expect(count).toBeGreaterThan(100);
  });

  test("of the formatting snapshot is the log itself", () => {
    const log = logOf([1, 1], 0);
    const bootstrap = { endOffset: 0, epoch: 0 };
    expect(checkPosition(log, { earliest: bootstrap, latest: bootstrap }, 0, 0)).toEqual({ kind: "valid" });
    const later = { endOffset: 2, epoch: 1 };
    expect(checkPosition(log, { earliest: bootstrap, latest: later }, 0, 0)).toEqual({ kind: "snapshot", id: later });
  });
});
