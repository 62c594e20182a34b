// What is to happen, by time; what is due at the same time happens in the order in which it was asked for. A binary heap.
import type { TimerHandle } from "@blumfeld/core/base";
import type { SimProcess } from "./world.ts";

export interface SimEvent {
  atMs: number;
  order: number;
  readonly owner: SimProcess | null;
  run: () => void;
  isCancelled: boolean;
}

function isBefore(one: SimEvent, other: SimEvent): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}

export class EventQueue {
  private readonly heap: SimEvent[] = [];
  private nextOrder = 0;

  push(atMs: number, owner: SimProcess | null, run: () => void): TimerHandle {
    const event: SimEvent = { atMs, order: this.nextOrder++, owner, run, isCancelled: false };
    this.insert(event);
    return {
      cancel: () => {
        event.isCancelled = true;
        // What it closes over may be a whole node.
        event.run = () => {};
      },
    };
  }

  /** Later, behind what is already due then. */
  pushAgain(event: SimEvent, atMs: number): void {
    event.atMs = atMs;
    event.order = this.nextOrder++;
    this.insert(event);
  }

  /** The next one that is due by `endMs`. */
  pop(endMs: number): SimEvent | null {
    for (;;) {
      const first = this.heap[0];
      if (first === undefined || first.atMs > endMs) return null;
      this.removeFirst();
      if (!first.isCancelled) return first;
    }
  }

  private insert(event: SimEvent): void {
    const { heap } = this;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  private removeFirst(): void {
    const { heap } = this;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}
