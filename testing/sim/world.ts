// One simulated world from one seed: virtual time, the order of events, the faults, and a trace of all of it. Nothing in it waits: time jumps
// to the next event. Between two events everything that code has started with promises is finished, so the same seed is the same run.
import { type Clock, type Logger, seededRandom, type TimerHandle, type Timers } from "@blumfeld/core/base";
import { EventQueue } from "./event-queue.ts";
import { Trace } from "./trace.ts";

/** Rounds of turn ends within one event; more is a loop. */
const turnRoundsMax = 1_000;

/** What events belong to: a process that can be paused, and that ends. */
export interface SimProcess {
  readonly name: string;
  readonly isAlive: boolean;
  /** Stopped (as by SIGSTOP) until then. */
  readonly pausedUntilMs: number;
  /** Added to the world's wall clock. */
  readonly wallSkewMs: number;
}

/** Something that must hold did not. */
export class InvariantBroken extends Error {
  override name = "InvariantBroken";
}

export class SimWorld {
  readonly seed: number;
  readonly random: ReturnType<typeof seededRandom>;
  readonly trace: Trace;
  nowMs = 0;
  eventCount = 0;
  /** Called after every event. */
  afterEvent: () => void = () => {};
  private readonly queue = new EventQueue();
  private turnEnds: { readonly owner: SimProcess | null; readonly run: () => void }[] = [];

  constructor(seed: number, options: { readonly keepsTrace: boolean }) {
    this.seed = seed;
    this.random = seededRandom(seed);
    this.trace = new Trace(options.keepsTrace, () => this.nowMs);
  }

  // --- chance ------------------------------------------------------------------------------------

  below(bound: number): number {
    return this.random.below(bound);
  }

  between(low: number, high: number): number {
    return low + this.random.below(high - low + 1);
  }

  chance(probability: number): boolean {
    return this.random.fraction() < probability;
  }

  pick<Item>(items: readonly Item[]): Item | undefined {
    return items[this.random.below(items.length)];
  }

  // --- time --------------------------------------------------------------------------------------

  /** `owner` null: the world's own. An event of a process that has ended does not happen; that of a paused one happens when it goes on. */
  at(delayMs: number, owner: SimProcess | null, run: () => void): TimerHandle {
    return this.queue.push(this.nowMs + Math.max(delayMs, 0), owner, run);
  }

  timersOf(owner: SimProcess): Timers {
    return {
      after: (delayMs, callback) => this.at(delayMs, owner, callback),
      atTurnEnd: (callback) => void this.turnEnds.push({ owner, run: callback }),
    };
  }

  clockOf(owner: SimProcess): Clock {
    return {
      wallMs: () => 1_700_000_000_000 + Math.floor(this.nowMs) + owner.wallSkewMs,
      monotonicMs: () => this.nowMs,
    };
  }

  loggerOf(owner: SimProcess): Logger {
    const write = (level: string) => (fields: object, message: string) => {
      if (this.trace.isKept)
        this.trace.note(`${owner.name} ${level} ${message} ${JSON.stringify(fields, bigintAsText)}`);
    };
    const logger: Logger = {
      debug() {},
      info: write("info"),
      warn: write("warn"),
      error: write("error"),
      child: () => logger,
    };
    return logger;
  }

  /** Runs until the virtual time is reached or `isDone` says so. What an event throws is thrown here. */
  async runUntil(endMs: number, isDone: () => boolean = () => false): Promise<void> {
    for (;;) {
      const event = this.queue.pop(endMs);
      if (event === null) {
        this.nowMs = Math.max(this.nowMs, endMs);
        return;
      }
      this.nowMs = Math.max(this.nowMs, event.atMs);
      const { owner } = event;
      if (owner !== null) {
        if (!owner.isAlive) continue;
        if (owner.pausedUntilMs > this.nowMs) {
          this.queue.pushAgain(event, owner.pausedUntilMs);
          continue;
        }
      }
      this.eventCount++;
      event.run();
      await this.settle();
      this.afterEvent();
      if (isDone()) return;
    }
  }

  /** Promises first, then the ends of the turn, until neither leaves anything. */
  private async settle(): Promise<void> {
    for (let round = 0; ; round++) {
      await new Promise<void>((resolve) => void setImmediate(resolve));
      if (this.turnEnds.length === 0) return;
      if (round > turnRoundsMax) throw new InvariantBroken("turn ends go on for ever");
      for (const { owner, run } of this.turnEnds.splice(0)) if (owner === null || owner.isAlive) run();
    }
  }
}

function bigintAsText(_key: string, value: unknown): unknown {
  if (value instanceof Error) return value.message;
  return typeof value === "bigint" ? String(value) : value;
}
