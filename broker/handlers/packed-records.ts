// Unpacks what a producer has packed, before the log takes it: small batches at once, which costs less than a trip to the thread pool; what
// turns out to be large on the thread pool, so that no batch, and no hundred of them, holds up the loop.
import { type Clock, kibibyte, type Timers } from "@blumfeld/core/base";
import { codecById, DecompressionProblem } from "@blumfeld/core/compression";
import { batchCodecId, batchHeaderBytes } from "@blumfeld/core/model";

/** Unpacked at once up to this. */
export const unpackedAtOnceBytesMax = 512 * kibibyte;
/** What all batches of one turn may take that are unpacked at once; those that come then go to the thread pool. */
export const unpackTurnMsMax = 10;
/** Batches that are unpacked on the thread pool at a time: each may take `unpackedRecordsBytesMax`, and the pool has other work too. */
export const unpackLaterCountMax = 2;

/** Undefined: not unpacked; the log looks at the batch as it is, and says what is wrong with it. */
export type Unpacked = Buffer | undefined;

export class BatchUnpacker {
  private readonly clock: Clock;
  private readonly timers: Timers;
  private turnMs = 0;
  private runningCount = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(parts: { readonly clock: Clock; readonly timers: Timers }) {
    this.clock = parts.clock;
    this.timers = parts.timers;
  }

  /** The records; undefined for what is not packed, or cannot be unpacked; "later" for what `unpackLater` is to unpack. */
  unpackAtOnce(batch: Buffer): Unpacked | "later" {
    if (batch.length < batchHeaderBytes) return undefined;
    const codecId = batchCodecId(batch, 0);
    const codec = codecId === 0 ? null : codecById(codecId);
    if (codec === null) return undefined;
    if (this.turnMs >= unpackTurnMsMax) return "later";
    const startedMs = this.clock.monotonicMs();
    const records = codec.decompress(batch.subarray(batchHeaderBytes), { outputBytesMax: unpackedAtOnceBytesMax });
    if (this.turnMs === 0) this.timers.atTurnEnd(this.endTurn);
    this.turnMs += Math.max(this.clock.monotonicMs() - startedMs, Number.MIN_VALUE);
    if (!(records instanceof DecompressionProblem)) return records;
    return records.code === "too-large" ? "later" : undefined;
  }

  private readonly endTurn = (): void => {
    this.turnMs = 0;
  };

  /** On the thread pool, a few at a time, in the order in which they came. The batch must stay as it is meanwhile. */
  async unpackLater(batch: Buffer, outputBytesMax: number): Promise<Unpacked | "too-large"> {
    if (this.runningCount >= unpackLaterCountMax) await new Promise<void>((go) => this.waiting.push(go));
    else this.runningCount++;
    try {
      const codec = codecById(batchCodecId(batch, 0))!;
      const records = await codec.decompressLater(batch.subarray(batchHeaderBytes), { outputBytesMax });
      if (!(records instanceof DecompressionProblem)) return records;
      return records.code === "too-large" ? "too-large" : undefined;
    } finally {
      // Whoever waits takes over the place.
      const next = this.waiting.shift();
      if (next === undefined) this.runningCount--;
      else next();
    }
  }
}
