// Who may connect, and when.
import { describe, expect, it } from "vitest";
import { admissionDelayMsMax, ConnectionLimits } from "./connection-limits.ts";

const unbounded = 0x7fff_ffff;

function limitsOf(options: Partial<ConstructorParameters<typeof ConnectionLimits>[0]>) {
  const clock = { nowMs: 10_000, wallMs: () => clock.nowMs, monotonicMs: () => clock.nowMs };
  const limits = new ConnectionLimits(
    {
      connectionsMax: unbounded,
      connectionsPerIpMax: unbounded,
      connectionsPerIpMaxOf: new Map(),
      connectionRateMax: unbounded,
      ...options,
    },
    clock,
  );
  return { clock, limits };
}

describe("connection limits", () => {
  it("bounds all clients together, but keeps no broker out", () => {
    const { limits } = limitsOf({ connectionsMax: 2 });
    expect(limits.admit("a", false)).toBe(0);
    expect(limits.admit("b", false)).toBe(0);
    expect(limits.admit("c", false)).toBe(-1);
    expect(limits.admit("c", true)).toBe(0);
    limits.release("a");
    expect(limits.admit("d", false)).toBe(-1);
    limits.release("c");
    expect(limits.admit("d", false)).toBe(0);
  });

  it("bounds each address, with its own bound where it has one", () => {
    const { limits } = limitsOf({ connectionsPerIpMax: 1, connectionsPerIpMaxOf: new Map([["b", 2]]) });
    expect([
      limits.admit("a", false),
      limits.admit("a", false),
      limits.admit("b", false),
      limits.admit("b", false),
      limits.admit("b", false),
    ]).toEqual([0, -1, 0, 0, -1]);
    limits.release("a");
    expect(limits.admit("a", false)).toBe(0);
  });

  it("delays what comes above the rate, and closes what would wait too long", () => {
    const { clock, limits } = limitsOf({ connectionRateMax: 10 });
    const delays = Array.from({ length: 40 }, () => limits.admit("a", false));
    // A second's worth at once, one more second's worth at the rate, the rest not at all.
    expect(delays.filter((delay) => delay === 0).length).toBe(11);
    expect(delays.filter((delay) => delay > 0).every((delay) => delay <= admissionDelayMsMax + 1e-6)).toBe(true);
    expect(delays.at(-1)).toBe(-1);
    clock.nowMs += 5_000;
    expect(limits.admit("a", false)).toBe(0);
  });
});
