// Assignors: every partition at one member that wants it, as even as can be, and for the sticky one no more moved than that needs.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Assignment,
  type Assignor,
  cooperativeStickyAssignor,
  type MemberSubscription,
  rangeAssignor,
  roundRobinAssignor,
  stickyAssignor,
} from "./assignors.ts";
import { readStickyState, writeStickyState } from "./sticky-user-data.ts";

function member(
  memberId: string,
  topics: readonly string[],
  more: Partial<MemberSubscription> = {},
): MemberSubscription {
  return { memberId, instanceId: null, topics, owned: [], generation: -1, userData: null, ...more };
}

function shown(assignment: Assignment): Record<string, string[]> {
  return Object.fromEntries(
    [...assignment].map(([memberId, partitions]) => [
      memberId,
      partitions.map(({ topic, partition }) => `${topic}${partition}`),
    ]),
  );
}

const sizes = (counts: Record<string, number>): Map<string, number> => new Map(Object.entries(counts));

describe("Kafka's own examples", () => {
  const members = [member("C0", ["t0-", "t1-"]), member("C1", ["t0-", "t1-"])];
  test("range gives the first members the rest of each topic", () => {
    expect(shown(rangeAssignor.assign(members, sizes({ "t0-": 3, "t1-": 3 })))).toEqual({
      C0: ["t0-0", "t0-1", "t1-0", "t1-1"],
      C1: ["t0-2", "t1-2"],
    });
  });

  test("round-robin goes on over topics", () => {
    expect(shown(roundRobinAssignor.assign(members, sizes({ "t0-": 3, "t1-": 3 })))).toEqual({
      C0: ["t0-0", "t0-2", "t1-1"],
      C1: ["t0-1", "t1-0", "t1-2"],
    });
  });

  test("round-robin with different subscriptions", () => {
    const mixed = [member("C0", ["t0-"]), member("C1", ["t0-", "t1-"]), member("C2", ["t0-", "t1-", "t2-"])];
    expect(shown(roundRobinAssignor.assign(mixed, sizes({ "t0-": 1, "t1-": 2, "t2-": 3 })))).toEqual({
      C0: ["t0-0"],
      C1: ["t1-0"],
      C2: ["t1-1", "t2-0", "t2-1", "t2-2"],
    });
  });

  test("static members come first, by their instance", () => {
    const group = [
      member("a", ["t"]),
      member("z", ["t"], { instanceId: "i1" }),
      member("y", ["t"], { instanceId: "i2" }),
    ];
    expect(shown(rangeAssignor.assign(group, sizes({ t: 4 })))).toEqual({ z: ["t0", "t1"], y: ["t2"], a: ["t3"] });
  });
});

const group = fc
  .record({
    counts: fc.dictionary(fc.constantFrom("a", "b", "c"), fc.integer({ min: 0, max: 7 })),
    wants: fc.array(fc.subarray(["a", "b", "c", "gone"]), { minLength: 1, maxLength: 6 }),
  })
  .map(({ counts, wants }) => ({
    counts: sizes(counts),
    members: wants.map((topics, index) => member(`m${index}`, topics)),
  }));

function checkComplete(
  members: readonly MemberSubscription[],
  counts: ReadonlyMap<string, number>,
  assignment: Assignment,
): void {
  const seen = new Set<string>();
  for (const [memberId, partitions] of assignment) {
    const { topics } = members.find((one) => one.memberId === memberId)!;
    for (const { topic, partition } of partitions) {
      expect(topics).toContain(topic);
      expect(partition).toBeLessThan(counts.get(topic)!);
      expect(seen.has(`${topic}${partition}`)).toBe(false);
      seen.add(`${topic}${partition}`);
    }
  }
  const wanted = new Set(members.flatMap(({ topics }) => topics));
  expect(seen.size).toBe([...counts].reduce((sum, [topic, count]) => sum + (wanted.has(topic) ? count : 0), 0));
}

test.each([rangeAssignor, roundRobinAssignor, cooperativeStickyAssignor] as Assignor[])(
  "$name gives every partition to one member that wants it",
  (assignor) => {
    fc.assert(
      fc.property(group, ({ counts, members }) => checkComplete(members, counts, assignor.assign(members, counts))),
    );
  },
);

/** Rebalances as a group does: what the leader gives becomes what members own, until nothing moves any more. */
function settle(
  members: readonly MemberSubscription[],
  counts: ReadonlyMap<string, number>,
): { assignment: Assignment; rounds: number } {
  let current = members;
  for (let rounds = 1; ; rounds++) {
    const assignment = cooperativeStickyAssignor.assign(current, counts);
    const next = current.map((one) => ({ ...one, owned: assignment.get(one.memberId)!, generation: rounds }));
    const key = (list: readonly MemberSubscription[]): string => JSON.stringify(list.map(({ owned }) => owned));
    if (key(next) === key(current)) return { assignment, rounds };
    if (rounds > 5) throw new Error("does not settle");
    current = next;
  }
}

test("cooperative-sticky settles in a few rounds, complete and even", () => {
  fc.assert(
    fc.property(group, ({ counts, members }) => {
      const { assignment } = settle(members, counts);
      checkComplete(members, counts, assignment);
      const load = (memberId: string): number => assignment.get(memberId)!.length;
      for (const one of members) {
        for (const { topic } of assignment.get(one.memberId)!) {
          for (const other of members) {
            if (other.topics.includes(topic)) expect(load(one.memberId) - load(other.memberId)).toBeLessThan(2);
          }
        }
      }
    }),
  );
});

test("cooperative-sticky never gives out what another still owns, and a leaver's partitions alone move", () => {
  const members = ["m0", "m1", "m2", "m3"].map((id) => member(id, ["t"]));
  const counts = sizes({ t: 12 });
  const { assignment } = settle(members, counts);
  const settled = members.map((one) => ({ ...one, owned: assignment.get(one.memberId)!, generation: 5 }));
  const joined = cooperativeStickyAssignor.assign([...settled, member("m4", ["t"])], counts);
  expect(joined.get("m4")).toEqual([]);
  const left = cooperativeStickyAssignor.assign(settled.slice(1), counts);
  for (const one of settled.slice(1)) expect(left.get(one.memberId)).toEqual(expect.arrayContaining([...one.owned]));
  expect([...left.values()].map((partitions) => partitions.length)).toEqual([4, 4, 4]);
});

test("of two claims the later generation counts; of one generation neither", () => {
  const owned = [{ topic: "t", partition: 0 }];
  const counts = sizes({ t: 1 });
  const late = [member("a", ["t"], { owned, generation: 1 }), member("b", ["t"], { owned, generation: 2 })];
  expect(shown(cooperativeStickyAssignor.assign(late, counts))).toEqual({ a: [], b: ["t0"] });
  const same = late.map((one) => ({ ...one, generation: 2 }));
  expect(shown(cooperativeStickyAssignor.assign(same, counts))).toEqual({ a: ["t0"], b: [] });
});

describe("sticky", () => {
  const had = (topic: string, partitions: readonly number[], generation: number) =>
    stickyAssignor.userData!({
      topics: [topic],
      assigned: partitions.map((partition) => ({ topic, partition })),
      generation,
    });

  test("members that gave everything up keep what they told of", () => {
    const members = [
      member("a", ["t"], { userData: had("t", [0, 3, 4], 7) }),
      member("b", ["t"], { userData: had("t", [1, 2, 5], 7) }),
      member("c", ["t"]),
    ];
    const assignment = shown(stickyAssignor.assign(members, sizes({ t: 6 })));
    expect(Object.values(assignment).map((partitions) => partitions.length)).toEqual([2, 2, 2]);
    expect(["t0", "t3", "t4"]).toEqual(expect.arrayContaining(assignment.a!));
    expect(["t1", "t2", "t5"]).toEqual(expect.arrayContaining(assignment.b!));
  });

  test("of two that tell of one partition the later generation is believed", () => {
    const members = [
      member("old", ["t"], { userData: had("t", [0, 1], 3) }),
      member("new", ["t"], { userData: had("t", [0], 4) }),
    ];
    expect(shown(stickyAssignor.assign(members, sizes({ t: 2 })))).toEqual({ new: ["t0"], old: ["t1"] });
  });

  test("the bytes are those of Kafka's StickyAssignorUserData v1", () => {
    const bytes = had("ab", [1, 2], 9)!;
    expect(bytes.toString("hex")).toBe("00000001" + "00026162" + "00000002" + "00000001" + "00000002" + "00000009");
    expect(readStickyState(bytes)).toEqual({
      assigned: [
        { topic: "ab", partition: 1 },
        { topic: "ab", partition: 2 },
      ],
      generation: 9,
    });
    // Version 0 ends before the generation.
    expect(readStickyState(bytes.subarray(0, -4)).generation).toBe(-1);
  });

  test.each(["00000001", "7fffffff", "00000001000261627fffffff", "ffff"])(
    "bytes that are none say nothing: %s",
    (hex) => {
      expect(readStickyState(Buffer.from(hex, "hex"))).toEqual({ assigned: [], generation: -1 });
      expect(writeStickyState({ assigned: [], generation: -1 })).toHaveLength(8);
    },
  );
});
