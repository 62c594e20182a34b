// Timeouts of a whole client on one timer. Deadlines are kept in buckets of `tickMs`; one timer of the port waits for the earliest bucket.
// Adding and cancelling touch a set, never the port, so that a request's timeout costs an object and no timer of its own.
// A deadline never fires early; it fires up to one tick late.
import type { Clock, TimerHandle, Timers } from "@blumfeld/core/base";
import { clientError } from "../errors.ts";

export const deadlineTickMs = 16;

interface Entry {
  readonly bucket: number;
  readonly callback: () => void;
}

export class Deadlines {
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #buckets = new Map<number, Set<Entry>>();
  #armed: { readonly bucket: number; readonly handle: TimerHandle } | null = null;
  readonly #sleepers = new Set<(error: Error) => void>();
  #closed = false;

  constructor(clock: Clock, timers: Timers) {
    this.#clock = clock;
    this.#timers = timers;
  }

  /** Calls back once after `delayMs`, unless it is cancelled or the deadlines are closed. */
  after(delayMs: number, callback: () => void): TimerHandle {
    const bucket = Math.ceil((this.#clock.monotonicMs() + Math.max(0, delayMs)) / deadlineTickMs);
    const entry: Entry = { bucket, callback };
    if (this.#closed) return { cancel: () => {} };
    let entries = this.#buckets.get(bucket);
    if (entries === undefined) {
      entries = new Set();
      this.#buckets.set(bucket, entries);
    }
    entries.add(entry);
    if (this.#armed === null || bucket < this.#armed.bucket) this.#arm(bucket);
    return { cancel: () => this.#remove(entry) };
  }

  /** Resolves after `delayMs`; rejects with the signal's reason when it aborts first, and with CLIENT_CLOSED when the client is closed. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason);
      if (this.#closed) return reject(closedError());
      const end = (): void => {
        handle.cancel();
        this.#sleepers.delete(reject);
        signal?.removeEventListener("abort", onAbort);
      };
      const onAbort = (): void => {
        end();
        reject(signal?.reason);
      };
      const handle = this.after(delayMs, () => {
        end();
        resolve();
      });
      this.#sleepers.add(reject);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Settles as `promise` does, or rejects with `late()` after `delayMs`. The promise itself goes on. */
  within<Result>(promise: Promise<Result>, delayMs: number, late: () => Error): Promise<Result> {
    return new Promise((resolve, reject) => {
      const handle = this.after(delayMs, () => reject(late()));
      promise.then(
        (result) => {
          handle.cancel();
          resolve(result);
        },
        (error: unknown) => {
          handle.cancel();
          reject(error);
        },
      );
    });
  }

  /** Nothing fires afterwards and no timer stays open. */
  close(): void {
    this.#closed = true;
    this.#armed?.handle.cancel();
    this.#armed = null;
    this.#buckets.clear();
    for (const reject of [...this.#sleepers]) reject(closedError());
    this.#sleepers.clear();
  }

  get pendingCount(): number {
    let count = 0;
    for (const entries of this.#buckets.values()) count += entries.size;
    return count;
  }

  #remove(entry: Entry): void {
    const entries = this.#buckets.get(entry.bucket);
    if (entries === undefined) return;
    entries.delete(entry);
    // The timer stays armed for an emptied bucket: under load the next request fills a later one, and disarming each time would cost what the
    // buckets save.
    if (entries.size === 0) this.#buckets.delete(entry.bucket);
  }

  #arm(bucket: number): void {
    this.#armed?.handle.cancel();
    const delayMs = Math.max(0, bucket * deadlineTickMs - this.#clock.monotonicMs());
    this.#armed = { bucket, handle: this.#timers.after(delayMs, () => this.#onTimer()) };
  }

  #onTimer(): void {
    this.#armed = null;
    const now = Math.floor(this.#clock.monotonicMs() / deadlineTickMs);
    const due = [...this.#buckets.keys()].filter((bucket) => bucket <= now).sort((a, b) => a - b);
    for (const bucket of due) {
      const entries = this.#buckets.get(bucket);
      this.#buckets.delete(bucket);
      for (const entry of entries ?? []) entry.callback();
    }
    if (this.#closed || this.#buckets.size === 0) return;
    const next = Math.min(...this.#buckets.keys());
    const armed = this.#armed as { readonly bucket: number } | null;
    if (armed === null || next < armed.bucket) this.#arm(next);
  }
}

function closedError(): Error {
  return clientError("CLIENT_CLOSED", "the client is closed");
}
