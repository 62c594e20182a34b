// One line of a kind in a period, and the rest counted.
import { describe, expect, it } from "vitest";
import { LimitedLog, limitedLogKindsMax, limitedLogPeriodMs } from "./limited-log.ts";

describe("limited log", () => {
  it("logs the first of a kind, then how many more there were", () => {
    const lines: string[] = [];
    const push = (fields: object, message: string) => void lines.push(`${message} ${JSON.stringify(fields)}`);
    const logger = { debug: push, info: push, warn: push, error: push, child: () => logger };
    const clock = { nowMs: 50_000, wallMs: () => 0, monotonicMs: () => clock.nowMs };
    const log = new LimitedLog(logger, clock);
    for (let index = 0; index < 1_000; index++) log.warn("malformed", { index }, "closed");
    log.error("failed", {}, () => "failed");
    log.error("failed", {}, () => {
      throw new Error("not made where it is not logged");
    });
    expect(lines).toEqual(['closed {"index":0}', "failed {}"]);
    clock.nowMs += limitedLogPeriodMs;
    log.warn("malformed", { index: -1 }, "closed");
    expect(lines.slice(2)).toEqual([
      'more of the same were not logged {"kind":"malformed","suppressed":999}',
      'more of the same were not logged {"kind":"failed","suppressed":1}',
      'closed {"index":-1}',
    ]);
    for (let index = 0; index < 1_000; index++) log.warn(`kind ${index}`, {}, "x");
    expect(lines.length).toBe(5 + limitedLogKindsMax - 1);
  });
});
