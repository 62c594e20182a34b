// Time that a test moves by hand: clock and timers of the ports. Nothing happens between two moves but promises; a run is the same each time.
import type { Clock, TimerHandle, Timers } from "@blumfeld/core/base";

interface Entry {
  readonly atMs: number;
  readonly order: number;
  readonly callback: () => void;
}

export class VirtualTime implements Clock, Timers {
  nowMs = 1_000_000;
  #entries: Entry[] = [];
  #turnEnd: (() => void)[] = [];
  #order = 0;

  wallMs(): number {
    return 1_700_000_000_000 + this.nowMs;
  }

  monotonicMs(): number {
    return this.nowMs;
  }

  after(delayMs: number, callback: () => void): TimerHandle {
    const entry = { atMs: this.nowMs + Math.max(0, delayMs), order: this.#order++, callback };
    this.#entries.push(entry);
    return {
      cancel: () => {
        this.#entries = this.#entries.filter((one) => one !== entry);
      },
    };
  }

  atTurnEnd(callback: () => void): void {
    this.#turnEnd.push(callback);
  }

  /** Timers that are still to fire. */
  get pendingCount(): number {
    return this.#entries.length;
  }

  /** Lets everything happen that can without time passing. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 2; quiet++) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      const callbacks = this.#turnEnd.splice(0);
      if (callbacks.length > 0) quiet = -1;
      for (const callback of callbacks) callback();
    }
  }

  /** Moves on by `ms`, stopping at each timer on the way. */
  async advance(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    await this.settle();
    for (;;) {
      const next = this.#entries.reduce<Entry | null>(
        (first, one) =>
          first === null || one.atMs < first.atMs || (one.atMs === first.atMs && one.order < first.order) ? one : first,
        null,
      );
      if (next === null || next.atMs > endMs) break;
      this.nowMs = Math.max(this.nowMs, next.atMs);
      this.#entries = this.#entries.filter((one) => one !== next);
      next.callback();
      await this.settle();
    }
    this.nowMs = endMs;
    await this.settle();
  }

  /** Moves on until `promise` settles, or fails the test after `msMax`. */
  async until<Result>(promise: Promise<Result>, msMax = 600_000): Promise<Result> {
    let isSettled = false;
    promise.then(
      () => {
        isSettled = true;
      },
      () => {
        isSettled = true;
      },
    );
    const endMs = this.nowMs + msMax;
    await this.settle();
    while (!isSettled) {
      const next = Math.min(...this.#entries.map(({ atMs }) => atMs));
      if (next > endMs) throw new Error(`not settled within ${msMax} ms of virtual time`);
      await this.advance(Math.max(0, next - this.nowMs));
    }
    return promise;
  }
}
