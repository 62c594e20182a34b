// A short run of the parser's fuzzer with a fixed seed; `npm run fuzz` does the long one.
import { describe, expect, it } from "vitest";
import { requestShapes } from "./corpus.ts";
import { fuzzParser } from "./parser.ts";

describe("request parsers", () => {
  it("cover every API and version", () => {
    const shapes = requestShapes("any");
    expect(new Set(shapes.map((each) => each.apiKey)).size).toBeGreaterThan(80);
  });
  it("refuse damage as malformed, read whole frames to the end and write them back", () => {
    const report = fuzzParser({ seed: 1, frameCount: 8000 });
    expect(report.findings).toEqual([]);
    // Both outcomes must occur, or the mutations miss their aim.
    expect(report.refused).toBeGreaterThan(500);
    expect(report.accepted).toBeGreaterThan(2000);
  });
});
