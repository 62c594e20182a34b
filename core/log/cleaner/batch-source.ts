// Reads a segment's batches one chunk after another, each checked against its checksum: a damaged batch must neither hide a key nor be
// written anew with a checksum that is right. Owns one buffer, which grows to the largest batch; a batch is valid until the next chunk is read.
import { limits } from "../../base/index.ts";
import { batchDamage, batchHeaderBytes, batchSizeAt } from "../../model/index.ts";
import type { Segment } from "../segment.ts";

/** Where compaction cannot go on: the partition is left alone until a start or a person has looked at it. */
export class UncleanableSegment extends Error {
  override name = "UncleanableSegment";
}

export interface Chunk {
  readonly bytes: Buffer;
  /** Where its whole batches end. */
  readonly end: number;
  /** Of the chunk, in the file. */
  readonly position: number;
}

export class BatchSource {
  private buffer: Buffer;

  constructor(chunkBytes: number) {
    this.buffer = Buffer.allocUnsafeSlow(Math.max(chunkBytes, batchHeaderBytes));
  }

  /** The batches from `position` on; null at the end. On the thread pool. Throws UncleanableSegment and DiskError. */
  async read(segment: Segment, position: number): Promise<Chunk | null> {
    const left = segment.writtenBytes - position;
    if (left <= 0) return null;
    for (;;) {
      const wanted = Math.min(this.buffer.length, left);
      const count = await segment.log.readLater(this.buffer.subarray(0, wanted), position);
      const first = batchSizeAt(this.buffer, 0, count);
      if (first < batchHeaderBytes || first > Math.min(left, limits.requestBytesMax) || count < wanted)
        throw new UncleanableSegment(`no whole batch at byte ${position} of ${segment.log.path}`);
      if (first <= count) return { bytes: this.buffer, end: wholeEnd(this.buffer, count), position };
      this.buffer = Buffer.allocUnsafeSlow(first);
    }
  }

  /** The size of the batch at `at` of a chunk. Throws UncleanableSegment where it is damaged. */
  check(segment: Segment, chunk: Chunk, at: number): number {
    const damage = batchDamage(chunk.bytes, at, chunk.end);
    if (damage !== null)
      throw new UncleanableSegment(
        `the batch at byte ${chunk.position + at} of ${segment.log.path} is damaged: ${damage}`,
      );
    return batchSizeAt(chunk.bytes, at, chunk.end);
  }
}

function wholeEnd(bytes: Buffer, count: number): number {
  let at = 0;
  for (;;) {
    const size = batchSizeAt(bytes, at, count);
    if (size < batchHeaderBytes || at + size > count) return at;
    at += size;
  }
}
