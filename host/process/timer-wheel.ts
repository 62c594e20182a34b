// Many deadlines, one timer. Setting and cancelling are a list insertion and removal; a deadline is met at the next tick after it, never
// before it. Nothing ticks while nothing waits.
import type { Clock, TimerHandle, Timers } from "@blumfeld/core/base";

/** Something with a deadline. A base class, so that waiting costs no second object. */
export abstract class WheelTimer {
  /** In ticks. -1 while it is in no wheel. */
  wheelTick = -1;
  wheelNext: WheelTimer | null = null;
  wheelPrevious: WheelTimer | null = null;
  abstract onDeadline(): void;
}

class SlotHead extends WheelTimer {
  override onDeadline(): void {}
}

export interface TimerWheelOptions {
  readonly tickMs: number;
  /** Deadlines further away than all slots go round more than once. */
  readonly slotCount?: number;
}

export class TimerWheel {
  private readonly timers: Timers;
  private readonly clock: Clock;
  private readonly tickMs: number;
  private readonly slots: SlotHead[] = [];
  private readonly startMs: number;
  /** Every tick up to this one has been handled. */
  private handledTick = 0;
  private count = 0;
  private handle: TimerHandle | null = null;

  constructor(timers: Timers, clock: Clock, options: TimerWheelOptions) {
    this.timers = timers;
    this.clock = clock;
    this.tickMs = options.tickMs;
    this.startMs = clock.monotonicMs();
    for (let slot = 0; slot < (options.slotCount ?? 256); slot++) {
      const head = new SlotHead();
      head.wheelNext = head;
      head.wheelPrevious = head;
      this.slots.push(head);
    }
  }

  /** Timers that wait. */
  get size(): number {
    return this.count;
  }

  /** Calls `timer.onDeadline()` once, `delayMs` from now or up to a tick later; a former deadline of it is forgotten. */
  set(timer: WheelTimer, delayMs: number): void {
    this.cancel(timer);
    const elapsedMs = this.clock.monotonicMs() - this.startMs;
    if (this.count === 0) this.handledTick = Math.floor(elapsedMs / this.tickMs);
    const tick = Math.max(Math.ceil((elapsedMs + Math.max(0, delayMs)) / this.tickMs), this.handledTick + 1);
    const head = this.slots[tick % this.slots.length]!;
    timer.wheelTick = tick;
    timer.wheelPrevious = head.wheelPrevious;
    timer.wheelNext = head;
    head.wheelPrevious!.wheelNext = timer;
    head.wheelPrevious = timer;
    this.count++;
    this.arm();
  }

  /** Harmless for a timer that waits nowhere. */
  cancel(timer: WheelTimer): void {
    if (timer.wheelTick < 0) return;
    timer.wheelPrevious!.wheelNext = timer.wheelNext;
    timer.wheelNext!.wheelPrevious = timer.wheelPrevious;
    timer.wheelNext = null;
    timer.wheelPrevious = null;
    timer.wheelTick = -1;
    this.count--;
  }

  /** Forgets all that waits. */
  close(): void {
    this.handle?.cancel();
    this.handle = null;
    for (const head of this.slots) {
      while (head.wheelNext !== head) this.cancel(head.wheelNext!);
    }
  }

  private arm(): void {
    if (this.handle !== null) return;
    this.handle = this.timers.after(this.tickMs, () => {
      this.handle = null;
      this.advance();
      if (this.count > 0) this.arm();
    });
  }

  private advance(): void {
    const now = Math.floor((this.clock.monotonicMs() - this.startMs) / this.tickMs);
    // After a long stall each slot is looked at once, not once for each missed tick.
    const from = Math.max(this.handledTick + 1, now - this.slots.length + 1);
    const due: WheelTimer[] = [];
    for (let tick = from; tick <= now; tick++) {
      const head = this.slots[tick % this.slots.length]!;
      for (let timer = head.wheelNext!; timer !== head; ) {
        const next = timer.wheelNext!;
        if (timer.wheelTick <= now) due.push(timer);
        timer = next;
      }
    }
    this.handledTick = Math.max(this.handledTick, now);
    for (const timer of due) {
      // One may have cancelled or set another anew.
      if (timer.wheelTick < 0 || timer.wheelTick > now) continue;
      this.cancel(timer);
      timer.onDeadline();
    }
  }
}
