// The open descriptors of a FileDisk: a bounded number, given back to the system by the second-chance rule. A descriptor that an
// operation on the thread pool is using is never closed under it: its number could be another file's by then.
import { closeSync } from "node:fs";

export interface DescriptorHolder {
  /** -1 while closed. */
  descriptor: number;
  /** Set at each use, cleared when the hand passes. */
  wasUsed: boolean;
  /** Operations on the thread pool that use the descriptor now. */
  operationCount: number;
}

export class Descriptors {
  private readonly holders: DescriptorHolder[] = [];
  private hand = 0;
  private readonly countMax: number;

  constructor(countMax: number) {
    this.countMax = countMax;
  }

  get openCount(): number {
    return this.holders.length;
  }

  /** Takes note of a descriptor just opened; closes others while there are too many. */
  add(holder: DescriptorHolder): void {
    holder.wasUsed = true;
    this.holders.push(holder);
    if (this.holders.length > this.countMax) this.evict(holder);
  }

  /** Closes the holder's descriptor. */
  close(holder: DescriptorHolder): void {
    const index = this.holders.indexOf(holder);
    if (index >= 0) this.closeAt(index);
  }

  /** The bound may be passed while more operations are under way than it allows: closing under them would be worse. */
  private evict(newest: DescriptorHolder): void {
    for (let step = 0; step < 2 * this.holders.length && this.holders.length > this.countMax; step++) {
      if (this.hand >= this.holders.length) this.hand = 0;
      const holder = this.holders[this.hand]!;
      if (holder === newest || holder.operationCount > 0) {
        this.hand++;
      } else if (holder.wasUsed) {
        holder.wasUsed = false;
        this.hand++;
      } else {
        this.closeAt(this.hand);
      }
    }
  }

  private closeAt(index: number): void {
    const holder = this.holders[index]!;
    const last = this.holders.pop()!;
    if (last !== holder) this.holders[index] = last;
    const { descriptor } = holder;
    holder.descriptor = -1;
    closeSync(descriptor);
  }
}
