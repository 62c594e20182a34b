// Which partition a record goes to. With a key: Java's murmur2, so that every client of a topic agrees. Without one: the sticky partition of
// the topic, changed after a batch's worth of bytes; adaptive choice prefers short queues (KIP-794). No allocation per record.
import type { Random } from "@blumfeld/core/base";
import { partitionOfKey } from "@blumfeld/core/protocol";
import type { Bytes, ProducerRecord } from "../records.ts";

/** A program's own choice; null leaves it to the default. */
export type Partitioner = (record: ProducerRecord, partitionCount: number) => number | null;

const scratch = Buffer.allocUnsafeSlow(256);
/** One view per length: a key's bytes are hashed without a new object. */
const scratchViews: Buffer[] = [];

/** The partition of a key, text being hashed as UTF-8. */
export function partitionOf(key: string | Uint8Array, partitionCount: number): number {
  if (typeof key !== "string") return partitionOfKey(key, partitionCount);
  const { length } = key;
  if (length > scratch.length / 3) return partitionOfKey(Buffer.from(key), partitionCount);
  let index = 0;
  for (; index < length; index++) {
    const code = key.charCodeAt(index);
    if (code > 0x7f) break;
    scratch[index] = code;
  }
  const byteLength = index === length ? length : scratch.write(key);
  scratchViews[byteLength] ??= scratch.subarray(0, byteLength);
  return partitionOfKey(scratchViews[byteLength], partitionCount);
}

export interface PartitionLoad {
  /** Whether the partition has a leader to send to. */
  readonly hasLeader: boolean;
  /** Batches that wait there. */
  readonly queueLength: number;
}

/** The keyless choice of one topic. */
export class StickyPartition {
  readonly #random: Random;
  readonly #batchBytes: number;
  readonly #adaptive: boolean;
  #partition = -1;
  #bytes = 0;

  constructor(random: Random, batchBytes: number, adaptive: boolean) {
    this.#random = random;
    this.#batchBytes = batchBytes;
    this.#adaptive = adaptive;
  }

  /** The partition for the next record. */
  choose(partitionCount: number, loadOf: (partition: number) => PartitionLoad): number {
    if (this.#partition < 0 || this.#partition >= partitionCount) this.#partition = this.#draw(partitionCount, loadOf);
    return this.#partition;
  }

  /** Counts what went there. A full batch's worth, or a batch that closed, moves on to another partition. */
  added(bytes: number, closedBatch: boolean): void {
    this.#bytes += bytes;
    const isEnough = this.#bytes >= this.#batchBytes && closedBatch;
    if (!isEnough && this.#bytes < this.#batchBytes * 2) return;
    this.#partition = -1;
    this.#bytes = 0;
  }

  /** Uniform among the partitions that have leaders, or by the room in their queues. */
  #draw(partitionCount: number, loadOf: (partition: number) => PartitionLoad): number {
    const candidates: number[] = [];
    const queues: number[] = [];
    let longest = 0;
    for (let partition = 0; partition < partitionCount; partition++) {
      const load = loadOf(partition);
      if (!load.hasLeader) continue;
      candidates.push(partition);
      queues.push(load.queueLength);
      longest = Math.max(longest, load.queueLength);
    }
    if (candidates.length === 0) return this.#random.uint32() % partitionCount;
    if (!this.#adaptive || longest === 0) return candidates[this.#random.uint32() % candidates.length]!;
    // A queue as long as the longest still gets a share of one.
    let total = 0;
    for (const length of queues) total += longest + 1 - length;
    let point = this.#random.uint32() % total;
    for (let index = 0; index < candidates.length; index++) {
      point -= longest + 1 - queues[index]!;
      if (point < 0) return candidates[index]!;
    }
    return candidates[candidates.length - 1]!;
  }
}

export function hasKey(key: Bytes | undefined): key is string | Uint8Array {
  return key !== undefined && key !== null;
}
