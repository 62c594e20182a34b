// The session against a model of the broker's side: a map that requests add to, change and take from (KIP-227).
import { randomUuid, seededRandom } from "@blumfeld/core/base";
import { ErrorCode } from "@blumfeld/core/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { FetchSession, type FetchTarget } from "./fetch-session.ts";

const topicId = randomUuid(seededRandom(1));

function target(partition: number, fetchOffset: number): FetchTarget {
  return { topic: "t", topicId, partition, fetchOffset, leaderEpoch: 0, bytesMax: 1000 };
}

test("after any run of requests and failures the broker's set is what was asked for, named only where it changed", () => {
  const step = fc.record({
    offsets: fc.dictionary(fc.constantFrom("0", "1", "2", "3"), fc.integer({ min: 0, max: 3 })),
    outcome: fc.constantFrom("ok", "ok", "ok", "no-room", "forgotten", "lost"),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const session = new FetchSession();
      let server: { id: number; epoch: number; offsets: Map<number, number> } | null = null;
      let idNext = 1;
      for (const { offsets, outcome } of steps) {
        const targets = Object.entries(offsets).map(([partition, offset]) => target(Number(partition), offset));
        const request = session.build(targets);
        const named = request.topics.flatMap(({ partitions }) => partitions);
        const isFull = request.sessionEpoch === 0;
        if (outcome === "lost") {
          session.onFailure();
          continue;
        }
        if (outcome === "no-room" || outcome === "forgotten") server = null;
        if (!isFull && server === null) {
          expect(session.onAnswer(ErrorCode.FETCH_SESSION_ID_NOT_FOUND, 0)).toBe(false);
          continue;
        }
        if (isFull) {
          server = outcome === "no-room" ? null : { id: idNext++, epoch: 1, offsets: new Map() };
          expect(named).toHaveLength(targets.length);
        } else {
          expect([request.sessionId, request.sessionEpoch]).toEqual([server!.id, server!.epoch++]);
          for (const { partition, fetchOffset } of named)
            expect(server!.offsets.get(partition)).not.toBe(Number(fetchOffset));
        }
        for (const { partitions } of request.forgottenTopicsData ?? [])
          for (const one of partitions ?? []) server?.offsets.delete(one);
        for (const { partition, fetchOffset } of named) server?.offsets.set(partition, Number(fetchOffset));
        if (server !== null) expect(Object.fromEntries(server.offsets)).toEqual(offsets);
        expect(session.onAnswer(ErrorCode.NONE, server?.id ?? 0)).toBe(true);
      }
    }),
  );
});
