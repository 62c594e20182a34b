// Buffers that fetches read segments into, given back once their answer has left. Bounded twice: what is kept for the next fetch, and what
// is out with peers that read slowly.

/** Below this a buffer is left to the garbage collector: it comes from Buffer's own pool. */
export const pooledResponseBytesMin = 16 * 1024;
export const pooledResponseBytesMax = 64 * 1024 * 1024;
/** Kept for reuse, all sizes together. */
export const keptResponseBytesMax = 48 * 1024 * 1024;
/** Given out to answers that have not left. Past it fetches get one batch at a time. */
export const givenResponseBytesMax = 512 * 1024 * 1024;

export class ResponseBuffers {
  givenBytes = 0;
  private keptBytes = 0;
  private readonly kept: Buffer[][] = [];
  private readonly givenBytesMax: number;

  constructor(givenBytesMax: number = givenResponseBytesMax) {
    this.givenBytesMax = givenBytesMax;
  }

  /** How much the next answer may take. */
  get availableBytes(): number {
    return Math.max(0, this.givenBytesMax - this.givenBytes);
  }

  /** At least `bytes` long; `give` it back when its bytes have left. */
  take(bytes: number): Buffer {
    if (bytes < pooledResponseBytesMin) {
      const small = Buffer.allocUnsafe(bytes);
      this.givenBytes += small.length;
      return small;
    }
    const sizeClass = classOf(bytes);
    const size = bytes > pooledResponseBytesMax ? bytes : pooledResponseBytesMin << sizeClass;
    this.givenBytes += size;
    const buffer = bytes > pooledResponseBytesMax ? undefined : this.kept[sizeClass]?.pop();
    if (buffer === undefined) return Buffer.allocUnsafeSlow(size);
    this.keptBytes -= size;
    return buffer;
  }

  give(buffer: Buffer): void {
    const size = buffer.length;
    this.givenBytes -= size;
    if (size < pooledResponseBytesMin || size > pooledResponseBytesMax) return;
    if (this.keptBytes + size > keptResponseBytesMax) return;
    const sizeClass = classOf(size);
    let list = this.kept[sizeClass];
    if (list === undefined) {
      list = [];
      this.kept[sizeClass] = list;
    }
    list.push(buffer);
    this.keptBytes += size;
  }
}

/** 0 for the smallest size, one more for each doubling. */
function classOf(bytes: number): number {
  const units = Math.ceil(bytes / pooledResponseBytesMin);
  return units <= 1 ? 0 : 32 - Math.clz32(units - 1);
}
