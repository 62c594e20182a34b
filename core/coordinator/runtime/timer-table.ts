// Timers as data: a key, a deadline and what to do then, as a value that the shard understands. The host asks for the next deadline and hands
// back what is due; a timer that is set again moves. A binary heap with lazy removal, so that setting and cancelling cost a logarithm at most.

interface Entry<Action> {
  readonly key: string;
  readonly deadlineMs: number;
  readonly order: number;
  readonly action: Action;
}

export class TimerTable<Action> {
  private readonly monotonicMs: () => number;
  private readonly onSet: (deadlineMs: number) => void;
  private readonly heap: Entry<Action>[] = [];
  private readonly byKey = new Map<string, Entry<Action>>();
  private orders = 0;

  /** `onSet` hears of every timer that is set: the host keeps one timer of its own for the earliest of all shards. */
  constructor(monotonicMs: () => number, onSet: (deadlineMs: number) => void = () => {}) {
    this.monotonicMs = monotonicMs;
    this.onSet = onSet;
  }

  get size(): number {
    return this.byKey.size;
  }

  /** `delayMs` from now. Replaces the timer of the same key. */
  set(key: string, delayMs: number, action: Action): void {
    const deadlineMs = this.monotonicMs() + delayMs;
    const entry = { key, deadlineMs, order: this.orders++, action };
    this.byKey.set(key, entry);
    this.push(entry);
    if (this.heap.length > 64 && this.heap.length > this.byKey.size * 2) this.compact();
    this.onSet(deadlineMs);
  }

  cancel(key: string): void {
    this.byKey.delete(key);
  }

  has(key: string): boolean {
    return this.byKey.has(key);
  }

  deadlineOf(key: string): number | null {
    return this.byKey.get(key)?.deadlineMs ?? null;
  }

  /** Null when no timer is set. */
  nextDeadlineMs(): number | null {
    this.dropStale();
    return this.heap[0]?.deadlineMs ?? null;
  }

  /** Takes the earliest timer that is due out of the table; null when none is. */
  takeDue(): { key: string; action: Action } | null {
    this.dropStale();
    const first = this.heap[0];
    if (first === undefined || first.deadlineMs > this.monotonicMs()) return null;
    this.pop();
    this.byKey.delete(first.key);
    return { key: first.key, action: first.action };
  }

  clear(): void {
    this.heap.length = 0;
    this.byKey.clear();
  }

  private compact(): void {
    const live = [...this.byKey.values()];
    this.heap.length = 0;
    for (const entry of live) this.push(entry);
  }

  private dropStale(): void {
    while (this.heap.length > 0 && this.byKey.get(this.heap[0]!.key) !== this.heap[0]) this.pop();
  }

  private before(a: Entry<Action>, b: Entry<Action>): boolean {
    return a.deadlineMs < b.deadlineMs || (a.deadlineMs === b.deadlineMs && a.order < b.order);
  }

  private push(entry: Entry<Action>): void {
    const heap = this.heap;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.before(heap[at]!, heap[parent]!)) break;
      [heap[at], heap[parent]] = [heap[parent]!, heap[at]!];
      at = parent;
    }
  }

  private pop(): void {
    const heap = this.heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    heap[0] = last;
    let at = 0;
    for (;;) {
      const left = at * 2 + 1;
      let least = at;
      if (left < heap.length && this.before(heap[left]!, heap[least]!)) least = left;
      if (left + 1 < heap.length && this.before(heap[left + 1]!, heap[least]!)) least = left + 1;
      if (least === at) return;
      [heap[at], heap[least]] = [heap[least]!, heap[at]!];
      at = least;
    }
  }
}
