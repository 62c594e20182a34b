// Where the last few batches of the active segment lie, so that a consumer at the tail is answered without reading a header. A ring of
// numbers; made with the first append, empty again after a roll.

export const recentBatchCountMax = 64;

export class RecentBatches {
  private readonly lastOffsets = new Float64Array(recentBatchCountMax);
  private readonly baseOffsets = new Float64Array(recentBatchCountMax);
  private readonly positions = new Float64Array(recentBatchCountMax);
  private readonly sizes = new Float64Array(recentBatchCountMax);
  private count = 0;
  private next = 0;

  add(baseOffset: number, lastOffset: number, position: number, sizeBytes: number): void {
    this.baseOffsets[this.next] = baseOffset;
    this.lastOffsets[this.next] = lastOffset;
    this.positions[this.next] = position;
    this.sizes[this.next] = sizeBytes;
    this.next = (this.next + 1) % recentBatchCountMax;
    if (this.count < recentBatchCountMax) this.count++;
  }

  clear(): void {
    this.count = 0;
  }

  /** The slot of the first batch that ends at `offset` or later; -1 where that may be one before the ring, or none. */
  find(offset: number): number {
    let found = -1;
    for (let back = 1; back <= this.count; back++) {
      const slot = (this.next - back + recentBatchCountMax) % recentBatchCountMax;
      if (this.lastOffsets[slot]! < offset) return found;
      found = slot;
    }
    // The oldest of the ring: an earlier batch may hold the offset too, unless this one begins at or before it.
    return found >= 0 && this.baseOffsets[found]! <= offset ? found : -1;
  }

  baseOffsetAt(slot: number): number {
    return this.baseOffsets[slot]!;
  }
  positionAt(slot: number): number {
    return this.positions[slot]!;
  }
  sizeAt(slot: number): number {
    return this.sizes[slot]!;
  }
}
