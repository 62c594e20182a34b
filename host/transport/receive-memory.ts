// Memory that frames arrive in. Idle connections own none of it:
//   landing      one buffer that every connection without a buffer of its own reads into; its content is moved before the read callback returns
//   turn blocks  where small reads are moved; reused in the next turn
//   own buffers  of busy connections and of frames that come in pieces; pooled by size, returned at the turn's end because frames are
//                views of them
import {
  landingBytes,
  ownBufferBytesMax,
  ownBufferBytesMin,
  pooledBytesMax,
  turnBlockBytes,
  turnBlocksKeptMax,
} from "./tcp-limits.ts";

export class ReceiveMemory {
  readonly landing: Buffer = Buffer.allocUnsafeSlow(landingBytes);
  /** Bytes of own buffers given out. */
  givenBytes = 0;
  private blocks: Buffer[] = [];
  private blockAt = 0;
  private blockUsed = 0;
  /** By size: 64 KiB, 128 KiB … 1 MiB. */
  private readonly pool: Buffer[][] = [];
  private pooledBytes = 0;
  private retired: Buffer[] = [];

  /** Moves `length` bytes of `source` into this turn's memory; the view is valid to the end of the turn. */
  keepForTurn(source: Buffer, length: number): Buffer {
    let block = this.blocks[this.blockAt];
    if (block !== undefined && this.blockUsed + length > block.length) {
      this.blockAt++;
      this.blockUsed = 0;
      block = this.blocks[this.blockAt];
    }
    if (block === undefined) {
      block = Buffer.allocUnsafeSlow(turnBlockBytes);
      this.blocks.push(block);
      this.blockAt = this.blocks.length - 1;
      this.blockUsed = 0;
    }
    const at = this.blockUsed;
    source.copy(block, at, 0, length);
    this.blockUsed = at + length;
    return block.subarray(at, at + length);
  }

  /** A buffer of at least `bytesMin`: a power of two up to the largest pooled size, above it exactly that. */
  take(bytesMin: number): Buffer {
    let size = bytesMin;
    if (bytesMin <= ownBufferBytesMax) {
      size = ownBufferBytesMin;
      let pooled = 0;
      while (size < bytesMin) {
        size *= 2;
        pooled++;
      }
      const buffer = this.pool[pooled]?.pop();
      if (buffer !== undefined) {
        this.pooledBytes -= size;
        this.givenBytes += size;
        return buffer;
      }
    }
    this.givenBytes += size;
    return Buffer.allocUnsafeSlow(size);
  }

  /** Views of it may be in use until the turn ends; then it may be given to another. */
  retire(buffer: Buffer): void {
    this.givenBytes -= buffer.length;
    this.retired.push(buffer);
  }

  /** The buffer belongs to somebody else from now on, for good. */
  forget(buffer: Buffer): void {
    this.givenBytes -= buffer.length;
  }

  endTurn(): void {
    this.blockAt = 0;
    this.blockUsed = 0;
    if (this.blocks.length > turnBlocksKeptMax) this.blocks.length = turnBlocksKeptMax;
    if (this.retired.length === 0) return;
    for (const buffer of this.retired) this.putBack(buffer);
    this.retired = [];
  }

  private putBack(buffer: Buffer): void {
    const size = buffer.length;
    if (size > ownBufferBytesMax || this.pooledBytes + size > pooledBytesMax) return;
    const at = 31 - Math.clz32(size / ownBufferBytesMin);
    let list = this.pool[at];
    if (list === undefined) {
      list = [];
      this.pool[at] = list;
    }
    list.push(buffer);
    this.pooledBytes += size;
  }
}
