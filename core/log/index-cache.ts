// The indexes of closed segments that are in memory, all logs together: least recently used ones go when there are too many bytes. Holds
// what implements CachedIndex; the segment that is written to is not in here.
import { mebibyte } from "../base/index.ts";

/** A segment's indexes at Kafka's defaults are about 5 MiB when it is full, mostly far less. */
export const indexCacheBytesMaxDefault = 64 * mebibyte;

export interface CachedIndex {
  /** Lets go of the memory; what is needed again is read again. */
  unload(): void;
}

export class IndexCache {
  private readonly bytesOf = new Map<CachedIndex, number>();
  private readonly bytesMax: number;
  private bytes = 0;

  constructor(bytesMax: number = indexCacheBytesMaxDefault) {
    this.bytesMax = bytesMax;
  }

  get sizeBytes(): number {
    return this.bytes;
  }

  /** `index` was used just now and takes `bytes`. */
  touch(index: CachedIndex, bytes: number): void {
    const before = this.bytesOf.get(index);
    if (before !== undefined) {
      this.bytesOf.delete(index);
      this.bytes -= before;
    }
    this.bytesOf.set(index, bytes);
    this.bytes += bytes;
    if (this.bytes <= this.bytesMax) return;
    for (const [oldest, oldestBytes] of this.bytesOf) {
      if (this.bytes <= this.bytesMax || oldest === index) break;
      this.bytesOf.delete(oldest);
      this.bytes -= oldestBytes;
      oldest.unload();
    }
  }

  forget(index: CachedIndex): void {
    const bytes = this.bytesOf.get(index);
    if (bytes === undefined) return;
    this.bytesOf.delete(index);
    this.bytes -= bytes;
  }
}
