// Judged by JavaScript's own engine, which has the same meaning for the syntax that both know, and by the time that hostile patterns take.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LinearRegex } from "./linear-regex.ts";
import { RegexProblem } from "./parse.ts";

const atom = fc.constantFrom("a", "b", ".", "-", "_", "[a-c]", "[^b]", "\\d", "\\w", "\\.", "\\b", "^", "$", "x");
const quantifier = fc.constantFrom("", "", "", "*", "+", "?", "{2}", "{1,3}", "{0,}", "*?");
const pattern = fc.letrec((tie) => ({
  node: fc.oneof({ maxDepth: 3, withCrossShrink: true }, tie("sequence"), tie("alternation"), tie("group")),
  sequence: fc
    .array(fc.tuple(atom, quantifier), { minLength: 1, maxLength: 4 })
    .map((parts) => parts.map(([what, how]) => (/^(?:\\b|\^|\$)$/.test(what) ? what : what + how)).join("")),
  alternation: fc.tuple(tie("node"), tie("node")).map(([left, right]) => `${left}|${right}`),
  group: fc
    .tuple(tie("node"), fc.constantFrom("(", "(?:"), quantifier)
    .map(([inner, open, how]) => `${open}${inner})${how}`),
})).node;
const text = fc
  .array(fc.constantFrom("a", "b", "c", "x", ".", "-", "_", "1", " "), { maxLength: 10 })
  .map((parts) => parts.join(""));

describe("LinearRegex", () => {
  it("matches what JavaScript's engine matches", () => {
    fc.assert(
      fc.property(pattern, text, (source, input) => {
        expect(new LinearRegex(source as string).matches(input)).toBe(new RegExp(`^(?:${source})$`).test(input));
      }),
      { numRuns: 3000 },
    );
  });

  it.each([
    ["orders\\..*", "orders.eu", true],
    ["orders\\..*", "orders", false],
    ["(?i)Orders", "oRDERS", true],
    ["(?i:A)b", "ab", true],
    ["(?i:A)b", "aB", false],
    ["\\Qa.b\\E+", "a.b", true],
    ["[[:alpha:]_]+", "topic_one", true],
    ["[]a]+", "]a]", true],
    ["\\x61", "a", true],
    ["(?P<name>foo|bar)-\\d{2,3}", "bar-123", true],
    ["", "", true],
  ])("%s on %s", (source, input, expected) => {
    expect(new LinearRegex(source).matches(input)).toBe(expected);
  });

  it.each([
    "(",
    ")",
    "[a",
    "a{3,2}",
    "a{1001}",
    "*a",
    "a**",
    "\\",
    "(?=a)",
    "(?<!a)b",
    "\\1",
    "a++",
    "(?z)",
    "[z-a]",
    "\\p{L}",
  ])("refuses %s", (source) => {
    expect(() => new LinearRegex(source)).toThrow(RegexProblem);
  });

  it("refuses what is too long, too deep or too large once repetitions are multiplied", () => {
    expect(() => new LinearRegex("a".repeat(10_241))).toThrow(/10241 characters/);
    expect(() => new LinearRegex("(".repeat(101) + ")".repeat(101))).toThrow(/within each other/);
    expect(() => new LinearRegex("((a{100}){100}){100}")).toThrow(/more than 4020 steps/);
  });

  it("is linear where backtracking takes forever", () => {
    const regex = new LinearRegex("(a+)+(b|a)*c");
    const startedMs = performance.now();
    expect(regex.matches("a".repeat(20_000))).toBe(false);
    // Backtracking would need 2^20000 steps; the bound only tells those two apart.
    expect(performance.now() - startedMs).toBeLessThan(5000);
  });
});
