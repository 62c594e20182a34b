// The uniform assignor on random groups whose members come, go and change what they want, held to what it promises.
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Uuid } from "../../../../base/index.ts";
import { noTarget, type Target } from "../consumer-member.ts";
import type { AssignorMember, AssignorTopic } from "./assignor.ts";
import { assignUniform } from "./uniform.ts";

const topicOf = (id: string, partitionCount: number): AssignorTopic => ({
  id: id as Uuid,
  partitionCount,
  racksOf: () => [],
});

function assigned(
  wanted: ReadonlyMap<string, ReadonlySet<Uuid>>,
  before: ReadonlyMap<string, Target>,
  topics: AssignorTopic[],
) {
  const members = [...wanted].map(
    ([memberId, wants]): AssignorMember => ({
      ...{ memberId, instanceId: null, rackId: null },
      topics: wants,
      target: before.get(memberId) ?? noTarget,
    }),
  );
  return assignUniform({ members, topics: new Map(topics.map((topic) => [topic.id, topic])) });
}

const partitionsOf = (target: Target): string[] =>
  [...target].flatMap(([topic, partitions]) => partitions.map((partition) => `${topic}-${partition}`));

const step = fc.record({
  memberIds: fc.uniqueArray(
    fc.integer({ min: 0, max: 30 }).map((index) => `m${index}`),
    { minLength: 1, maxLength: 20 },
  ),
  partitionCounts: fc.tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 1, max: 9 })),
});

test("all want the same: each partition once, evenly, and who is given something new gives nothing up", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 6 }), (steps) => {
      let before: ReadonlyMap<string, Target> = new Map();
      for (const { memberIds, partitionCounts } of steps) {
        const topics = partitionCounts.map((count, index) => topicOf(`t${index}`, count));
        const wants = new Set(topics.map(({ id }) => id));
        const after = assigned(new Map(memberIds.map((id) => [id, wants])), before, topics);
        const all = [...after.values()].flatMap(partitionsOf);
        const total = partitionCounts[0] + partitionCounts[1];
        expect(new Set(all).size).toBe(total);
        expect(all.length).toBe(total);
        const counts = [...after.values()].map((target) => partitionsOf(target).length);
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
        for (const [memberId, target] of after) {
          const now = new Set(partitionsOf(target));
          const had = partitionsOf(before.get(memberId) ?? noTarget).filter((each) => {
            const [topic, partition] = each.split("-");
            return Number(partition) < (topic === "t0" ? partitionCounts[0] : partitionCounts[1]);
          });
          const kept = had.filter((each) => now.has(each)).length;
          expect(kept === had.length || kept === now.size).toBe(true);
          for (const partitions of target.values()) expect(partitions).toEqual([...partitions].sort((a, b) => a - b));
        }
        before = after;
      }
    }),
    { numRuns: 300 },
  );
});

test("wants differ: each wanted partition once, to somebody who wants its topic", () => {
  const wantsOf = fc.array(fc.tuple(fc.boolean(), fc.boolean()), { minLength: 1, maxLength: 15 });
  fc.assert(
    fc.property(fc.array(wantsOf, { minLength: 1, maxLength: 5 }), (rounds) => {
      const topics = [topicOf("t0", 17), topicOf("t1", 5)];
      let before: ReadonlyMap<string, Target> = new Map();
      for (const round of rounds) {
        const wanted = new Map(
          round.map((wants, index) => [`m${index}`, new Set(topics.filter((_, at) => wants[at]).map(({ id }) => id))]),
        );
        const after = assigned(wanted, before, topics);
        const expected = topics.flatMap(({ id, partitionCount }) =>
          [...wanted.values()].some((wants) => wants.has(id))
            ? Array.from({ length: partitionCount }, (_, partition) => `${id}-${partition}`)
            : [],
        );
        expect([...after.values()].flatMap(partitionsOf).sort()).toEqual(expected.sort());
        for (const [memberId, target] of after)
          for (const topic of target.keys()) expect(wanted.get(memberId)!.has(topic)).toBe(true);
        before = after;
      }
    }),
    { numRuns: 300 },
  );
});

test("a member that keeps all it had keeps the same target: no record is due for it", () => {
  const topics = [topicOf("t0", 6)];
  const wants = new Set(topics.map(({ id }) => id));
  const wanted = new Map(["a", "b", "c"].map((id) => [id, wants]));
  const before = assigned(wanted, new Map(), topics);
  const after = assigned(wanted, before, topics);
  for (const [memberId, target] of after) expect(target).toBe(before.get(memberId));
});
