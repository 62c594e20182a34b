// The asking side against a leader's side that is a plain map: after every request both must mean the same partitions at the same offsets.

import { expect, test } from "vitest";
import { seededRandom } from "../base/index.ts";
import { type FetchedSpan, FetchSessionClient } from "./fetch-session.ts";
import { rackAwareReplica } from "./replica-selector.ts";
import { isReplicaThrottled, ReplicationThrottle } from "./throttle.ts";

interface Key {
  readonly name: string;
  offset: number;
  isPaused: boolean;
}

const spanOf = ({ isPaused, offset }: Key): FetchedSpan | null =>
  isPaused ? null : { fetchOffset: offset, leaderEpoch: 1, lastFetchedEpoch: 1, logStartOffset: 0, bytesMax: 10 };

test.each([1, 2, 3, 4])("what the leader knows is what is wanted (seed %i)", (seed) => {
  const random = seededRandom(seed);
  const { below } = random;
  const session = new FetchSessionClient<Key>();
  const keys = new Map<string, Key>();
  let leader: { id: number; epoch: number; spans: Map<string, number> } | null = null;
  let nextId = 1;
  let incrementalCount = 0;
  for (let step = 0; step < 500; step++) {
    for (let change = below(6); change > 0; change--) {
      const name = `p${below(12)}`;
      const known = keys.get(name);
      if (known === undefined) {
        const key = { name, offset: below(100), isPaused: false };
        keys.set(name, key);
        session.add(key);
      } else if (below(4) === 0) {
        keys.delete(name);
        session.remove(known);
      } else {
        if (below(4) === 0) known.isPaused = !known.isPaused;
        else known.offset += below(3);
        session.touch(known);
      }
    }
    const request = session.request(spanOf);
    const isKnown = leader !== null && leader.id === request.sessionId;
    if (request.sessionEpoch === 0) {
      if (isKnown) leader = null;
      leader = { id: nextId++, epoch: 1, spans: new Map() };
      expect(request.forgotten).toEqual([]);
    } else if (!isKnown || leader!.epoch !== request.sessionEpoch) {
      session.reset(isKnown);
      continue;
    } else {
      leader!.epoch++;
      incrementalCount++;
    }
    for (const { name } of request.forgotten) leader!.spans.delete(name);
    for (const { key, span } of request.named) leader!.spans.set(key.name, span.fetchOffset);
    const wanted = [...keys.values()].filter(({ isPaused }) => !isPaused);
    expect(new Map([...leader!.spans].sort())).toEqual(
      new Map(wanted.map(({ name, offset }): [string, number] => [name, offset]).sort()),
    );
    const fate = below(12);
    // The answer is lost, or the leader has thrown the session away.
    if (fate === 0) session.reset(true);
    else if (fate === 1) {
      session.onAnswer(leader!.id);
      leader = null;
    } else session.onAnswer(leader!.id);
  }
  expect(incrementalCount).toBeGreaterThan(200);
});

test("a request of a session names nothing when nothing changed", () => {
  const session = new FetchSessionClient<Key>();
  const key = { name: "p", offset: 5, isPaused: false };
  session.add(key);
  expect(session.request(spanOf).named).toHaveLength(1);
  session.onAnswer(7);
  session.touch(key);
  expect(session.request(spanOf)).toEqual({ sessionId: 7, sessionEpoch: 1, named: [], forgotten: [] });
  session.onAnswer(7);
  key.offset++;
  session.touch(key);
  expect(session.request(spanOf)).toMatchObject({ sessionEpoch: 2, named: [{ span: { fetchOffset: 6 } }] });
});

test("a consumer reads in its own rack where a replica there has the most", () => {
  const replica = (brokerId: number, rack: string | null, logEndOffset: number, lagMs = 0) => ({
    ...{ brokerId, rack, logEndOffset, lagMs },
  });
  const leader = replica(1, "a", 100);
  const followers = [replica(2, "b", 90), replica(3, "b", 95, 50), replica(4, "b", 95, 20), replica(5, "c", 100)];
  expect(rackAwareReplica("b", leader, followers)).toBe(4);
  expect(rackAwareReplica("a", leader, followers)).toBeNull();
  expect(rackAwareReplica("", leader, followers)).toBeNull();
  expect(rackAwareReplica("z", leader, followers)).toBeNull();
});

test("a throttle holds the mean of eleven seconds to its bound", () => {
  const throttle = new ReplicationThrottle();
  throttle.record(1_000_000, 0);
  expect(throttle.isExceeded(0)).toBe(false);
  throttle.bytesPerSecondMax = 1_000;
  expect(throttle.isExceeded(0)).toBe(true);
  expect(throttle.isExceeded(11_000)).toBe(false);
  let sent = 0;
  for (let nowMs = 20_000; nowMs < 120_000; nowMs += 10) {
    if (throttle.isExceeded(nowMs)) continue;
    throttle.record(100, nowMs);
    sent += 100;
  }
  expect(sent).toBeGreaterThan(90_000);
  expect(sent).toBeLessThan(115_000);
  expect(isReplicaThrottled(["0:1", "1:2"], 1, 2)).toBe(true);
  expect(isReplicaThrottled(["0:1", "1:2"], 1, 1)).toBe(false);
  expect(isReplicaThrottled(["*"], 9, 9)).toBe(true);
});
