import fc from "fast-check";
import { expect, test } from "vitest";
import { VirtualTime } from "../test-double/virtual-time.ts";
import { Deadlines, deadlineTickMs } from "./deadlines.ts";

test("every deadline fires once, never early, at most a tick late, unless it was cancelled", async () => {
  const plan = fc.array(
    fc.record({ delayMs: fc.integer({ min: 0, max: 500 }), cancelAtMs: fc.option(fc.integer({ min: 0, max: 500 })) }),
    {
      maxLength: 30,
    },
  );
  await fc.assert(
    fc.asyncProperty(plan, async (entries) => {
      const time = new VirtualTime();
      const deadlines = new Deadlines(time, time);
      const start = time.nowMs;
      const fired = new Map<number, number[]>();
      entries.forEach(({ delayMs, cancelAtMs }, index) => {
        const handle = deadlines.after(delayMs, () =>
          fired.set(index, [...(fired.get(index) ?? []), time.nowMs - start]),
        );
        if (cancelAtMs !== null) time.after(cancelAtMs, () => handle.cancel());
      });
      await time.advance(600);
      entries.forEach(({ delayMs, cancelAtMs }, index) => {
        const times = fired.get(index) ?? [];
        if (cancelAtMs !== null && cancelAtMs < delayMs) expect(times).toEqual([]);
        if (cancelAtMs === null) expect(times).toHaveLength(1);
        for (const at of times) {
          expect(at).toBeGreaterThanOrEqual(delayMs);
          expect(at).toBeLessThanOrEqual(delayMs + deadlineTickMs);
        }
      });
      expect(deadlines.pendingCount).toBe(0);
    }),
    { numRuns: 40 },
  );
});

test("many deadlines need one timer of the port", () => {
  const time = new VirtualTime();
  const deadlines = new Deadlines(time, time);
  for (let index = 0; index < 1000; index++) deadlines.after(1000 + index, () => {});
  expect(time.pendingCount).toBe(1);
});

test("closing rejects who sleeps and leaves no timer", async () => {
  const time = new VirtualTime();
  const deadlines = new Deadlines(time, time);
  const sleeping = expect(deadlines.sleep(1000)).rejects.toMatchObject({ code: "CLIENT_CLOSED" });
  const controller = new AbortController();
  const aborted = expect(deadlines.sleep(1000, controller.signal)).rejects.toThrow("enough");
  controller.abort(new Error("enough"));
  deadlines.close();
  await sleeping;
  await aborted;
  expect(time.pendingCount).toBe(0);
});
