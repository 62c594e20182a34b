// A follower that has to find where its log parts from the leader's, held against two lists of epochs compared offset by offset.

import { expect, test } from "vitest";
import { seededRandom } from "../base/index.ts";
import { ErrorCode } from "../protocol/index.ts";
import {
  afterTruncation,
  type FollowerLog,
  positionAtStart,
  rangeStepOf,
  stepOf,
  truncationOf,
} from "./fetch-position.ts";

/** A log as a list: at each offset the epoch that its record was written in. */
class ListLog implements FollowerLog {
  highWatermark = 0;
  epochs: number[];
  constructor(epochs: readonly number[]) {
    this.epochs = [...epochs];
  }
  get logEndOffset(): number {
    return this.epochs.length;
  }
  get latestLeaderEpoch(): number {
    return this.epochs.at(-1) ?? -1;
  }
  endOffsetForEpoch(epoch: number): { epoch: number; endOffset: number } {
    if (epoch === this.latestLeaderEpoch) return { epoch, endOffset: this.logEndOffset };
    const next = this.epochs.findIndex((one) => one > epoch);
    if (next < 0) return { epoch: -1, endOffset: -1 };
    return { epoch: next === 0 ? epoch : this.epochs[next - 1]!, endOffset: next };
  }
}

/** KIP-595, as the leader answers. */
function divergingEpochOf(leader: ListLog, fetchOffset: number, lastFetchedEpoch: number) {
  const end = leader.endOffsetForEpoch(lastFetchedEpoch);
  return end.epoch < lastFetchedEpoch || end.endOffset < fetchOffset ? end : { epoch: -1, endOffset: -1 };
}

function commonLength(one: readonly number[], other: readonly number[]): number {
  let length = 0;
  while (length < one.length && length < other.length && one[length] === other[length]) length++;
  return length;
}

test.each([1, 2, 3, 4, 5, 6])("a log is cut exactly where it parts from the leader's (seed %i)", (seed) => {
  const random = seededRandom(seed);
  const { below } = random;
  for (let round = 0; round < 400; round++) {
    const shared: number[] = [];
    for (let epoch = 0; epoch < below(5); epoch++) for (let count = below(4); count > 0; count--) shared.push(epoch);
    // Each leads in epochs of its own afterwards: no epoch has two leaders.
    const tailOf = (isOdd: boolean): number[] => {
      const tail: number[] = [];
      for (let epoch = isOdd ? 11 : 10; epoch < 18; epoch += 2)
        if (below(2) === 0) for (let count = below(4); count > 0; count--) tail.push(epoch);
      return tail;
    };
    const follower = new ListLog([...shared, ...tailOf(false)]);
    const leader = new ListLog([...shared, ...tailOf(true), ...Array.from({ length: 1 + below(2) }, () => 19)]);
    const common = commonLength(follower.epochs, leader.epochs);
    const position = positionAtStart(follower, 20);
    let rounds = 0;
    for (; position.lastFetchedEpoch >= 0; rounds++) {
      expect(rounds).toBeLessThan(20);
      const divergingEpoch = divergingEpochOf(leader, position.fetchOffset, position.lastFetchedEpoch);
      const step = stepOf(position, { errorCode: ErrorCode.NONE, divergingEpoch }, follower);
      if (step.kind === "take") break;
      if (step.kind !== "truncate") throw new Error(step.kind);
      // It never cuts what is the leader's too.
      expect(step.truncation.offset).toBeGreaterThanOrEqual(common);
      follower.epochs.length = step.truncation.offset;
      afterTruncation(position, follower);
    }
    expect(follower.logEndOffset).toBe(common);
    expect(position.fetchOffset).toBe(common);
  }
});

test("without epochs a follower trusts its log up to the high watermark only", () => {
  const log = new ListLog([]);
  const view = { ...plain(log), logEndOffset: 9, highWatermark: 6, latestLeaderEpoch: -1 };
  expect(positionAtStart(view, 3)).toMatchObject({ state: "truncating", fetchOffset: 6, lastFetchedEpoch: -1 });
  expect(positionAtStart({ ...view, highWatermark: 9 }, 3)).toMatchObject({ state: "fetching", fetchOffset: 9 });
});

function plain(log: ListLog): FollowerLog {
  return {
    logEndOffset: log.logEndOffset,
    highWatermark: log.highWatermark,
    latestLeaderEpoch: log.latestLeaderEpoch,
    endOffsetForEpoch: (epoch) => log.endOffsetForEpoch(epoch),
  };
}

test("a leader that tells no epoch is followed by its offset", () => {
  const log = new ListLog([0, 0, 1, 1]);
  expect(truncationOf({ epoch: -1, endOffset: 3 }, log, 4)).toEqual({ offset: 3, isComplete: true });
  expect(truncationOf({ epoch: 1, endOffset: -1 }, log, 4)).toEqual({ offset: 4, isComplete: true });
  // An epoch between ours: cut to the end of the one below it, and ask again.
  expect(truncationOf({ epoch: 0, endOffset: 1 }, new ListLog([1, 1]), 2)).toEqual({ offset: 0, isComplete: true });
});

test("each error has its step", () => {
  const log = new ListLog([0, 0]);
  const none = { epoch: -1, endOffset: -1 };
  const kindOf = (errorCode: number) => stepOf(positionAtStart(log, 1), { errorCode, divergingEpoch: none }, log).kind;
  expect(kindOf(ErrorCode.NONE)).toBe("take");
  expect(kindOf(ErrorCode.OFFSET_OUT_OF_RANGE)).toBe("resolve");
  expect(kindOf(ErrorCode.FENCED_LEADER_EPOCH)).toBe("fence");
  for (const code of [
    ErrorCode.UNKNOWN_LEADER_EPOCH,
    ErrorCode.NOT_LEADER_OR_FOLLOWER,
    ErrorCode.UNKNOWN_TOPIC_ID,
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode.INCONSISTENT_TOPIC_ID,
    ErrorCode.KAFKA_STORAGE_ERROR,
    ErrorCode.UNKNOWN_SERVER_ERROR,
  ])
    expect(kindOf(code)).toBe("delay");
});

test("out of range: behind the leader's end it is cut, before its start it starts over", () => {
  const log = new ListLog([0, 0, 0, 0, 0]);
  expect(rangeStepOf(log, { startOffset: 0, endOffset: 3 })).toEqual({ kind: "truncate", offset: 3 });
  expect(rangeStepOf(log, { startOffset: 8, endOffset: 12 })).toEqual({ kind: "start-over", offset: 8 });
  expect(rangeStepOf(log, { startOffset: 5, endOffset: 12 })).toEqual({ kind: "go-on" });
});
