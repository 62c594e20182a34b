// The verdicts of the benchmark: a promise is met only by the figure it speaks of.
import { describe, expect, it } from "vitest";
import { judge, median } from "./measure.ts";

const higher = { name: "throughput", unit: "MB/s", better: "higher", ratio: 3 } as const;
const lower = { name: "CPU", unit: "s/GB", better: "lower", ratio: 0.4, bound: 2 } as const;

describe("judge", () => {
  it("takes the median of the rounds", () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 2, 3])).toBe(2.5);
  });
  it("wants at least the ratio where higher is better", () => {
    expect(
      judge(
        "m",
        higher,
        new Map([
          ["blumfeld", [600]],
          ["kafka", [200]],
        ]),
      ).met,
    ).toBe(true);
    expect(
      judge(
        "m",
        higher,
        new Map([
          ["blumfeld", [599]],
          ["kafka", [200]],
        ]),
      ).met,
    ).toBe(false);
  });
  it("wants both the ratio and the bound where both are promised", () => {
    expect(
      judge(
        "m",
        lower,
        new Map([
          ["blumfeld", [1]],
          ["kafka", [5]],
        ]),
      ).met,
    ).toBe(true);
    expect(
      judge(
        "m",
        lower,
        new Map([
          ["blumfeld", [3]],
          ["kafka", [10]],
        ]),
      ).met,
    ).toBe(false);
    expect(
      judge(
        "m",
        lower,
        new Map([
          ["blumfeld", [1.9]],
          ["kafka", [3]],
        ]),
      ).met,
    ).toBe(false);
  });
  it("says nothing where the other side was not measured", () => {
    expect(judge("m", higher, new Map([["blumfeld", [600]]])).met).toBeNull();
  });
});
