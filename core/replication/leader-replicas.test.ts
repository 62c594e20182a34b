// Random histories of a leader and its followers, held against a model that recomputes everything from the history, and Kafka's own cases.

import { describe, expect, test } from "vitest";
import { seededRandom } from "../base/index.ts";
import { ErrorCode } from "../protocol/index.ts";
import { type IsrWish, LeaderReplicas, type ReplicaMembership } from "./leader-replicas.ts";

const lagMs = 1_000;

class Brokers implements ReplicaMembership {
  readonly fenced = new Set<number>();
  readonly leaving = new Set<number>();
  readonly epochs = new Map<number, number>([
    [1, 10],
    [2, 20],
    [3, 30],
    [4, 40],
  ]);
  isFenced = (id: number): boolean => this.fenced.has(id);
  isLeaving = (id: number): boolean => this.leaving.has(id);
  brokerEpochOf = (id: number): number | null => (this.fenced.has(id) ? null : (this.epochs.get(id) ?? null));
}

function leaderOf(isr: readonly number[], replicas: readonly number[] = [1, 2, 3], epochStartOffset = 100) {
  const brokers = new Brokers();
  const leader = new LeaderReplicas({
    localId: 1,
    membership: brokers,
    lagMsMax: () => lagMs,
    localBrokerEpoch: () => 10,
  });
  const assignment = { leaderEpoch: 5, partitionEpoch: 7, replicas, isr };
  leader.begin(assignment, { epochStartOffset, isNewLeader: true, nowMs: 0 });
  const fetch = (id: number, fetchOffset: number, leaderEndOffset: number, nowMs: number, brokerEpoch = id * 10) =>
    leader.onFetch(id, { fetchOffset, logStartOffset: 0, leaderEndOffset, nowMs, brokerEpoch });
  return { assignment, brokers, leader, fetch };
}

const granted = (wish: IsrWish) => ({
  errorCode: ErrorCode.NONE,
  leaderEpoch: wish.leaderEpoch,
  partitionEpoch: wish.partitionEpoch + 1,
  isr: wish.isr.map(({ brokerId }) => brokerId),
});

describe("the high watermark", () => {
  test("waits for members that have not fetched, and goes by the slowest member", () => {
    const { fetch, leader } = leaderOf([1, 2, 3]);
    expect(leader.committedOffset(120, 10)).toBe(-1);
    fetch(2, 120, 120, 10);
    expect(leader.committedOffset(120, 10)).toBe(-1);
    fetch(3, 110, 120, 10);
    expect(leader.committedOffset(120, 10)).toBe(110);
  });

  test("waits for a follower outside of the set that is caught up and may join", () => {
    const { brokers, fetch, leader } = leaderOf([1, 2]);
    fetch(2, 120, 120, 10);
    fetch(3, 115, 115, 10);
    expect(leader.committedOffset(120, 20)).toBe(115);
    brokers.fenced.add(3);
    expect(leader.committedOffset(120, 20)).toBe(120);
    brokers.fenced.clear();
    expect(leader.committedOffset(120, 10 + lagMs + 1)).toBe(120);
  });

  test("counts a member that is to be removed, until the controller has agreed", () => {
    const { fetch, leader } = leaderOf([1, 2, 3]);
    fetch(2, 150, 150, lagMs + 10);
    fetch(3, 120, 150, lagMs + 10);
    const wish = leader.wishToShrink(150, 2 * lagMs + 20)!;
    expect(wish.isr).toEqual([
      { brokerId: 1, brokerEpoch: 10 },
      { brokerId: 2, brokerEpoch: 20 },
    ]);
    expect(leader.committedOffset(150, 2 * lagMs + 20)).toBe(120);
    expect(leader.isr).toEqual([1, 2, 3]);
    expect(leader.onAnswer(wish, granted(wish))).toBe("changed");
    expect(leader.committedOffset(150, 3 * lagMs)).toBe(150);
    expect(leader.partitionEpoch).toBe(8);
  });

  test("counts a follower that is about to join", () => {
    const { fetch, leader } = leaderOf([1, 2]);
    fetch(2, 150, 150, 0);
    fetch(3, 150, 150, 0);
    const wish = leader.wishToExpand(3, 150)!;
    expect(leader.maximalIsr).toEqual([1, 2, 3]);
    expect(leader.isr).toEqual([1, 2]);
    fetch(2, 160, 160, 5 * lagMs);
    expect(leader.committedOffset(160, 5 * lagMs)).toBe(150);
    expect(leader.onAnswer(wish, { ...granted(wish), errorCode: ErrorCode.INELIGIBLE_REPLICA })).toBe("changed");
    expect(leader.maximalIsr).toEqual([1, 2]);
    expect(leader.committedOffset(160, 5 * lagMs)).toBe(160);
  });
});

describe("the in-sync replicas", () => {
  test("are joined at the high watermark, but not below where the leader's epoch began", () => {
    const { fetch, leader } = leaderOf([1, 2]);
    fetch(3, 99, 120, 10);
    expect(leader.wishToExpand(3, 90)).toBeNull();
    fetch(3, 100, 120, 10);
    expect(leader.wishToExpand(3, 101)).toBeNull();
    expect(leader.wishToExpand(3, 100)?.isr.map(({ brokerId }) => brokerId)).toEqual([1, 2, 3]);
  });

  test("are not joined by a fenced or leaving broker, nor by another incarnation's fetch", () => {
    const { brokers, fetch, leader } = leaderOf([1, 2]);
    fetch(3, 120, 120, 10);
    brokers.leaving.add(3);
    expect(leader.wishToExpand(3, 120)).toBeNull();
    brokers.leaving.clear();
    brokers.epochs.set(3, 31);
    expect(leader.wishToExpand(3, 120)).toBeNull();
    expect(fetch(3, 120, 120, 10, 30)).toBe("stale");
    expect(fetch(3, 120, 120, 10, 31)).toBe("taken");
    brokers.fenced.add(3);
    expect(leader.wishToExpand(3, 120)).toBeNull();
    brokers.fenced.clear();
    expect(leader.wishToExpand(3, 120)).not.toBeNull();
  });

  test("are asked for once at a time; only errors that may pass are asked again", () => {
    const { assignment, fetch, leader } = leaderOf([1, 2]);
    fetch(3, 120, 120, 10);
    const wish = leader.wishToExpand(3, 120)!;
    expect(leader.wishToExpand(3, 120)).toBeNull();
    expect(leader.wishToShrink(200, 9 * lagMs)).toBeNull();
    const verdictOf = (errorCode: number) => leader.onAnswer(wish, { ...granted(wish), errorCode });
    for (const code of [ErrorCode.NOT_CONTROLLER, ErrorCode.UNKNOWN_SERVER_ERROR, ErrorCode.REQUEST_TIMED_OUT])
      expect(verdictOf(code)).toBe("again");
    for (const code of [
      ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
      ErrorCode.UNKNOWN_TOPIC_ID,
      ErrorCode.FENCED_LEADER_EPOCH,
      ErrorCode.INVALID_UPDATE_VERSION,
      ErrorCode.INVALID_REQUEST,
      ErrorCode.NEW_LEADER_ELECTED,
    ]) {
      expect(verdictOf(code)).toBe("settled");
      expect(leader.maximalIsr).toEqual([1, 2, 3]);
    }
    // The metadata ends the wait, and an answer that comes after it is old.
    expect(leader.update(assignment)).toBe(false);
    expect(leader.update({ ...assignment, partitionEpoch: 8, isr: [1] })).toBe(true);
    expect(leader.isChanging).toBe(false);
    expect(leader.maximalIsr).toEqual([1]);
    expect(verdictOf(ErrorCode.NONE)).toBe("settled");
    expect(leader.isr).toEqual([1]);
  });

  test("keep a follower that never sees the end but is never a whole lag behind", () => {
    const { fetch, leader } = leaderOf([1, 2, 3]);
    for (let step = 1; step <= 50; step++) {
      const nowMs = step * 400;
      fetch(2, 100 + step * 10, 100 + step * 10, nowMs);
      // Always where the leader's end was at the fetch before.
      fetch(3, 100 + (step - 1) * 10, 100 + step * 10, nowMs);
      expect(leader.wishToShrink(100 + step * 10, nowMs)).toBeNull();
    }
    expect(leader.wishToShrink(600, 50 * 400 + lagMs)?.isr.map(({ brokerId }) => brokerId)).toEqual([1, 2]);
  });

  test("of a leader that stays keep what is known of its followers", () => {
    const { assignment, fetch, leader } = leaderOf([1, 2, 3]);
    fetch(2, 130, 130, 500);
    leader.begin({ ...assignment, leaderEpoch: 6 }, { epochStartOffset: 140, isNewLeader: false, nowMs: 600 });
    expect(leader.follower(2)?.logEndOffset).toBe(130);
    leader.begin({ ...assignment, leaderEpoch: 8 }, { epochStartOffset: 140, isNewLeader: true, nowMs: 600 });
    expect(leader.follower(2)?.logEndOffset).toBe(-1);
  });
});

// --- a slow model ----------------------------------------------------------------------------------

interface Fetched {
  readonly at: number;
  readonly offset: number;
  readonly leaderEnd: number;
}

/** When a follower was last caught up, from its whole history. */
function caughtUpAt(history: readonly Fetched[], beganInSync: boolean): number {
  let last = beganInSync ? 0 : Number.NEGATIVE_INFINITY;
  history.forEach((fetch, index) => {
    if (fetch.offset >= fetch.leaderEnd) last = fetch.at;
    else if (index > 0) {
      const endSeen = Math.max(...history.slice(0, index).map(({ leaderEnd }) => leaderEnd));
      if (fetch.offset >= endSeen) last = Math.max(last, history[index - 1]!.at);
    }
  });
  return last;
}

test.each([1, 2, 3, 4, 5, 6, 7, 8])("a random history agrees with the model (seed %i)", (seed) => {
  const random = seededRandom(seed);
  const { below } = random;
  const replicas = [1, 2, 3, 4];
  const began = replicas.filter((id) => id === 1 || below(2) === 0);
  const { brokers, fetch, leader } = leaderOf(began, replicas);
  let nowMs = 0;
  let end = 100;
  let isr = [...began];
  let maximal = [...began];
  let pending: IsrWish | null = null;
  const histories = new Map<number, Fetched[]>(replicas.map((id) => [id, []]));
  const offsetOf = (id: number): number => histories.get(id)!.at(-1)?.offset ?? -1;
  for (let step = 0; step < 600; step++) {
    nowMs += below(300);
    const id = 2 + below(3);
    switch (below(8)) {
      case 0:
        end += below(20);
        break;
      case 1:
        if (!brokers.fenced.delete(id)) brokers.fenced.add(id);
        break;
      case 2: {
        if (pending === null) break;
        const errorCode = below(3) === 0 ? ErrorCode.OPERATION_NOT_ATTEMPTED : ErrorCode.NONE;
        const answer = { ...granted(pending), errorCode };
        expect(leader.onAnswer(pending, answer)).toBe("changed");
        if (errorCode === ErrorCode.NONE) isr = [...answer.isr];
        maximal = isr;
        pending = null;
        break;
      }
      case 3: {
        const outside = isr.filter((member) => {
          if (member === 1 || offsetOf(member) === end) return false;
          return nowMs - caughtUpAt(histories.get(member)!, began.includes(member)) > lagMs;
        });
        const wish = leader.wishToShrink(end, nowMs);
        expect(wish !== null).toBe(pending === null && outside.length > 0);
        if (wish === null) break;
        expect(wish.isr.map(({ brokerId }) => brokerId)).toEqual(isr.filter((member) => !outside.includes(member)));
        pending = wish;
        break;
      }
      default: {
        const offset = Math.min(end, Math.max(0, offsetOf(id)) + below(60));
        expect(fetch(id, offset, end, nowMs)).toBe("taken");
        histories.get(id)!.push({ at: nowMs, offset, leaderEnd: end });
        const highWatermark = 100 + below(30);
        const mayJoin = !isr.includes(id) && !brokers.fenced.has(id) && offset >= 100 && offset >= highWatermark;
        const wish = leader.wishToExpand(id, highWatermark);
        expect(wish !== null).toBe(pending === null && mayJoin);
        if (wish === null) break;
        pending = wish;
        maximal = [...isr, id];
      }
    }
    const waitedFor = replicas.filter((one) => {
      if (one === 1) return false;
      const isNear = offsetOf(one) === end || nowMs - caughtUpAt(histories.get(one)!, began.includes(one)) <= lagMs;
      return maximal.includes(one) || (isNear && !brokers.fenced.has(one) && histories.get(one)!.length > 0);
    });
    expect(leader.committedOffset(end, nowMs)).toBe(Math.min(end, ...waitedFor.map(offsetOf)));
  }
});
