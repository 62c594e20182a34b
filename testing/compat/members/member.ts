// One process of a run in which members are killed and paused: what it told, line by line, and what was done to it. The machine's clock
// is the same for all of them, so that events of several members can be put in order.
import type { Program as Command } from "../runner/client.ts";
import { type Program, startProgram } from "../runner/process.ts";

export type MemberEvent = {
  readonly member: string;
  readonly event: string;
  readonly ms: number;
  readonly generation?: number;
  readonly partition?: number;
  readonly partitions?: readonly number[];
  readonly offsets?: readonly number[];
  readonly why?: string;
};

export class Member {
  readonly name: string;
  readonly #program: Program;
  readonly #history: MemberEvent[];
  #owned = new Set<number>();
  #isPaused = false;
  #isStarted = false;

  /** Starts it; its events go to the end of `history`, which all members of a run share. */
  constructor(name: string, command: Command, args: readonly string[], history: MemberEvent[]) {
    this.name = name;
    this.#history = history;
    this.#program = startProgram(command.command, [...command.args, ...args], {
      cwd: command.cwd,
      env: command.env,
      onLine: (line) => this.#take(line),
    });
  }

  #take(line: string): void {
    if (!line.startsWith('{"event"')) return;
    this.#note({ ...(JSON.parse(line) as Omit<MemberEvent, "member">), member: this.name });
  }

  #note(event: MemberEvent): void {
    this.#history.push(event);
    if (event.event === "started") this.#isStarted = true;
    if (event.event === "assigned") this.#owned = new Set(event.partitions);
    if (event.event === "revoked" || event.event === "lost")
      for (const partition of event.partitions ?? []) this.#owned.delete(partition);
    if (event.event === "left") this.#owned.clear();
  }

  get isStarted(): boolean {
    return this.#isStarted;
  }

  /** Whether it runs and is not paused. */
  get isLive(): boolean {
    return this.#program.exitCode() === undefined && !this.#isPaused;
  }

  get exitCode(): number | undefined {
    return this.#program.exitCode();
  }

  /** The partitions that it holds by what it told last. */
  get owned(): ReadonlySet<number> {
    return this.#owned;
  }

  get errors(): string {
    return this.#program.errors();
  }

  write(line: string): void {
    this.#program.write(line);
  }

  async kill(): Promise<void> {
    if (this.#program.exitCode() === undefined) this.#program.signal("SIGKILL");
    await this.#program.ended;
    this.#note({ member: this.name, event: "killed", ms: Date.now() });
  }

  pause(): void {
    this.#program.signal("SIGSTOP");
    this.#isPaused = true;
    this.#note({ member: this.name, event: "paused", ms: Date.now() });
  }

  resume(): void {
    this.#note({ member: this.name, event: "resumed", ms: Date.now() });
    this.#isPaused = false;
    this.#program.signal("SIGCONT");
  }

  /** Asks it to leave and waits until it is gone; the exit code, or 137 when it had to be killed. */
  async leave(msMax = 15_000): Promise<number> {
    this.#program.signal("SIGTERM");
    const timer = setTimeout(() => this.#program.signal("SIGKILL"), msMax);
    const code = await this.#program.ended;
    clearTimeout(timer);
    return code;
  }

  async ended(): Promise<number> {
    return this.#program.ended;
  }
}

/** Waits until `holds`; throws with `what` and what `why` tells when it does not within `msMax`. */
export async function until(
  what: string,
  msMax: number,
  holds: () => boolean | Promise<boolean>,
  why: () => string = () => "",
): Promise<void> {
  const untilMs = performance.now() + msMax;
  while (!(await holds())) {
    if (performance.now() > untilMs) throw new Error(`${what}: not within ${msMax / 1000} s; ${why()}`);
    await new Promise((wake) => setTimeout(wake, 50));
  }
}

export const sleep = (ms: number): Promise<void> => new Promise((wake) => setTimeout(wake, ms));
