import { describe, expect, it } from "vitest";
import { judge, parseChecks } from "./checks.ts";

const ended = { code: 0, timedOut: false };

describe("parseChecks", () => {
  it("reads the lines of checks and leaves a program's log alone", () => {
    const output = "starting\nok first\nFAIL second thing: expected 1: got 2\nnot ok third\nok fourth\ndone\n";
    expect(parseChecks(output, ended)).toEqual([
      { name: "first", ok: true, why: "" },
      { name: "second thing", ok: false, why: "expected 1: got 2" },
      { name: "fourth", ok: true, why: "" },
    ]);
  });

  it("fails a program that ended before its last line, whatever its exit code", () => {
    expect(parseChecks("ok first\n", ended)).toContainEqual({
      name: "end",
      ok: false,
      why: "the program ended early, exit code 0",
    });
    const killed = parseChecks("ok first\n", { code: 137, timedOut: true });
    expect(killed.at(-1)).toEqual({ name: "end", ok: false, why: "the program reached its deadline" });
  });

  it("fails two checks of one name: one could hide the other in the list of known differences", () => {
    expect(parseChecks("ok first\nok first\ndone\n", ended).filter((check) => !check.ok)).toHaveLength(1);
  });
});

describe("judge", () => {
  const failing = { name: "seek", ok: false, why: "no" };
  const row = { check: "seek", why: "not built yet", since: "2026-01-01" };

  it("marks a failure that is listed as known, and no other", () => {
    const outcomes = judge([failing, { name: "read", ok: false, why: "no" }], [row]);
    expect(outcomes.map((outcome) => outcome.known)).toEqual([true, false]);
  });

  it("fails a listed check that passes or was not run, so that the list shrinks", () => {
    expect(judge([{ ...failing, ok: true }], [row]).some((outcome) => !outcome.ok && !outcome.known)).toBe(true);
    expect(judge([], [row])).toHaveLength(1);
  });
});
