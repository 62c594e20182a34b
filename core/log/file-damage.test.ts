// Damaged files, a sample of what `npm run fuzz -- log` tries at every byte.
import { describe, expect, test } from "vitest";
import { cutEverywhere, flipBits, makeDamageSubject, staleSectors } from "../../testing/log/file-damage.ts";

describe("a directory with a damaged file", () => {
  test("opens wherever a file is cut, with all before the cut", async () => {
    const report = await cutEverywhere(await makeDamageSubject(1), 397);
    expect(report.findings).toEqual([]);
    expect(report.cases).toBeGreaterThan(200);
  });

  test("opens where sectors are zeros or old", async () => {
    const report = await staleSectors(await makeDamageSubject(2), 3);
    expect(report.findings).toEqual([]);
    expect(report.cases).toBeGreaterThan(100);
  });

  test("serves no batch with a flipped bit as good", async () => {
    const report = await flipBits(await makeDamageSubject(3), 600, 3);
    expect(report.findings).toEqual([]);
    expect(report.cases).toBeGreaterThan(500);
  });
});
