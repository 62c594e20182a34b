// The judges find what is wrong, and nothing where all is well.
import { describe, expect, it } from "vitest";
import {
  acknowledgements,
  assignedTwice,
  heldByTwo,
  miscounted,
  notExactlyOnce,
  notProcessed,
  outOfOrder,
} from "./judge.ts";
import type { MemberEvent } from "./member.ts";

let clockMs = 0;
const says = (member: string, event: string, more: Partial<MemberEvent> = {}): MemberEvent => ({
  member,
  event,
  ms: ++clockMs,
  ...more,
});
const records = (member: string, ...offsets: number[]): MemberEvent =>
  says(member, "records", { partition: 0, offsets });

describe("who holds a partition", () => {
  it("is one at a time", () => {
    const handedOver = [
      says("a", "assigned", { partitions: [0, 1] }),
      says("a", "revoked", { partitions: [1] }),
      says("b", "assigned", { partitions: [1] }),
    ];
    expect(heldByTwo(handedOver)).toEqual([]);
    const taken = [says("a", "assigned", { partitions: [0] }), says("b", "assigned", { partitions: [0] })];
    expect(heldByTwo(taken)).toHaveLength(1);
  });

  it("is nobody who is killed, paused, or told that the partitions are lost", () => {
    for (const end of ["killed", "paused"])
      expect(
        heldByTwo([
          says("a", "assigned", { partitions: [0] }),
          says("a", end),
          says("b", "assigned", { partitions: [0] }),
        ]),
      ).toEqual([]);
    const late = [
      says("a", "assigned", { partitions: [0] }),
      says("b", "assigned", { partitions: [0] }),
      says("a", "lost", { partitions: [0] }),
    ];
    expect(heldByTwo(late)).toEqual([]);
  });

  it("is one in each generation, at whatever time", () => {
    const first = says("a", "assigned", { partitions: [0], generation: 3 });
    expect(assignedTwice([first, says("b", "assigned", { partitions: [0], generation: 4 })])).toEqual([]);
    expect(assignedTwice([first, says("b", "assigned", { partitions: [0], generation: 3 })])).toHaveLength(1);
  });
});

describe("records", () => {
  it("are processed up to the end", () => {
    expect(notProcessed([records("a", 0, 1), records("b", 1, 2)], { "0": 3 })).toEqual([]);
    expect(notProcessed([records("a", 0, 2)], { "0": 3 })).toEqual(["partition 0: 1 of 3, the first at 1"]);
  });

  it("come in order while a partition is held, and anew when it comes back", () => {
    const held = says("a", "assigned", { partitions: [0] });
    const again = [held, records("a", 0, 1), says("a", "revoked", { partitions: [0] }), held, records("a", 0, 1)];
    expect(outOfOrder(again)).toEqual([]);
    expect(outOfOrder([held, records("a", 0, 1), records("a", 1, 2)])).toHaveLength(1);
    expect(outOfOrder([held, records("a", 0, 2)])).toHaveLength(1);
  });

  it("of a share group are acknowledged by the one who holds them, and do not come again", () => {
    const late = [records("a", 0), records("b", 0), says("b", "acknowledged", { partition: 0, offsets: [0] })];
    const tooLate = says("a", "acknowledged", { partition: 0, offsets: [0] });
    expect(acknowledgements([...late, tooLate])).toEqual({ count: 1, problems: [] });
    expect(acknowledgements([...late, records("a", 0)]).problems).toHaveLength(1);
  });

  it("are copied once and in order", () => {
    const rows = (...values: number[]) => values.map((value): [number, null, string] => [0, null, `${value}`]);
    expect(notExactlyOnce(rows(0, 1, 2), { "0": 3 })).toEqual([]);
    for (const wrong of [rows(0, 1), rows(0, 1, 1), rows(0, 2, 1)])
      expect(notExactlyOnce(wrong, { "0": 3 })).not.toEqual([]);
  });

  it("are counted once", () => {
    const input: [number, null, string][] = [[0, null, "a b a"]];
    const counted = (...rows: [string, string][]) =>
      rows.map(([key, value]): [number, string, string] => [0, key, value]);
    expect(miscounted(input, counted(["a", "1"], ["b", "1"], ["a", "2"]))).toEqual([]);
    expect(miscounted(input, counted(["a", "1"], ["b", "1"], ["a", "1"]))).not.toEqual([]);
    expect(miscounted(input, counted(["a", "1"], ["b", "1"]))).not.toEqual([]);
  });
});
