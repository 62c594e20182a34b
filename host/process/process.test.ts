// The wheel against a slow obvious model, the turn's end against the loop, randomness against repetition.
import { type Clock, seededRandom, type Timers } from "@blumfeld/core/base";
import { describe, expect, it } from "vitest";
import { systemRandom } from "./system-random.ts";
import { systemTimers } from "./system-timers.ts";
import { TimerWheel, WheelTimer } from "./timer-wheel.ts";

class Alarm extends WheelTimer {
  readonly rings: number[] = [];
  private readonly now: () => number;
  constructor(now: () => number) {
    super();
    this.now = now;
  }
  override onDeadline(): void {
    this.rings.push(this.now());
  }
}

/** Time that moves when told, with one pending timer at most at a time for each `after`. */
function handTime() {
  let nowMs = 0;
  let pending: { at: number; callback: () => void }[] = [];
  const clock: Clock = { wallMs: () => nowMs, monotonicMs: () => nowMs };
  const timers: Timers = {
    after(delayMs, callback) {
      const one = { at: nowMs + delayMs, callback };
      pending.push(one);
      return {
        cancel() {
          pending = pending.filter((other) => other !== one);
        },
      };
    },
    atTurnEnd: () => {},
  };
  return {
    clock,
    timers,
    now: () => nowMs,
    pendingCount: () => pending.length,
    advance(ms: number) {
      nowMs += ms;
      const due = pending.filter((one) => one.at <= nowMs);
      pending = pending.filter((one) => one.at > nowMs);
      for (const one of due) one.callback();
    },
  };
}

describe("timer wheel", () => {
  it("meets each deadline at the first tick after it, whatever is set, moved and cancelled meanwhile", () => {
    const time = handTime();
    const random = seededRandom(77);
    const wheel = new TimerWheel(time.timers, time.clock, { tickMs: 10, slotCount: 8 });
    const expected = new Map<Alarm, number>();
    const alarms = Array.from({ length: 50 }, () => new Alarm(time.now));
    for (let step = 0; step < 5_000; step++) {
      const alarm = alarms[random.below(alarms.length)]!;
      const choice = random.below(10);
      if (choice < 4) {
        const delayMs = random.below(400);
        wheel.set(alarm, delayMs);
        expected.set(alarm, time.now() + delayMs);
      } else if (choice < 5) {
        wheel.cancel(alarm);
        expected.delete(alarm);
      } else {
        time.advance(random.below(25));
        for (const [one, deadline] of [...expected]) {
          const rang = one.rings.pop();
          if (rang === undefined) {
            // Two ticks: the one that it falls into, and the one that the timer itself is late.
            expect(time.now()).toBeLessThan(deadline + 45);
            continue;
          }
          expect(rang).toBeGreaterThanOrEqual(deadline);
          expect(one.rings.length).toBe(0);
          expected.delete(one);
        }
        for (const one of alarms) expect(one.rings.length).toBe(0);
      }
      expect(wheel.size).toBe(expected.size);
    }
  });

  it("does not tick while nothing waits, and catches up after a stall", () => {
    const time = handTime();
    const wheel = new TimerWheel(time.timers, time.clock, { tickMs: 10, slotCount: 8 });
    expect(time.pendingCount()).toBe(0);
    const alarm = new Alarm(time.now);
    wheel.set(alarm, 30);
    expect(time.pendingCount()).toBe(1);
    time.advance(100_000);
    expect(alarm.rings).toEqual([100_000]);
    expect(time.pendingCount()).toBe(0);
    wheel.set(alarm, 30);
    wheel.close();
    time.advance(1_000);
    expect(alarm.rings.length).toBe(1);
  });
});

describe("system timers", () => {
  it("runs what waits for the turn's end together, in order, also what is queued by it", async () => {
    const order: string[] = [];
    systemTimers.atTurnEnd(() => {
      order.push("first");
      systemTimers.atTurnEnd(() => order.push("queued at the end"));
    });
    systemTimers.atTurnEnd(() => order.push("second"));
    await new Promise((resolve) => setImmediate(resolve));
    expect(order).toEqual(["first", "second", "queued at the end"]);
  });

  it("lets the loop go on under callbacks that queue themselves for ever", async () => {
    let runs = 0;
    let isStopped = false;
    const again = (): void => {
      runs++;
      if (!isStopped) systemTimers.atTurnEnd(again);
    };
    systemTimers.atTurnEnd(again);
    await new Promise((resolve) => setTimeout(resolve, 20));
    isStopped = true;
    // That the timer came is the point; how often they ran meanwhile is the machine's affair.
    expect(runs).toBeGreaterThan(1);
  });

  it("calls back once, and not after cancel", async () => {
    let calls = 0;
    systemTimers.after(5, () => calls++);
    systemTimers.after(5, () => calls++).cancel();
    await new Promise((resolve) => setTimeout(resolve, 40));
    expect(calls).toBe(1);
  });
});

describe("system random", () => {
  it("repeats nothing and fills every byte", () => {
    const seen = new Set<string>();
    let or = Buffer.alloc(16);
    for (let index = 0; index < 2_000; index++) {
      const bytes = systemRandom.bytes(16);
      seen.add(bytes.toString("hex"));
      or = Buffer.from(or.map((one, at) => one | bytes[at]!));
      expect(systemRandom.uint32()).toBeLessThan(2 ** 32);
    }
    expect(seen.size).toBe(2_000);
    expect(or.every((one) => one === 0xff)).toBe(true);
    expect(systemRandom.bytes(5_000).length).toBe(5_000);
  });
});
