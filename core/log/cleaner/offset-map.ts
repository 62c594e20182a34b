// The latest offset of each key in the part of a log that is to be cleaned: open addressing over one block of memory, 24 bytes a key, of which
// 16 are the key's hash. Bounded when it is made; whoever fills it asks `isFull` first. Holds no key.
import { hashKey } from "./key-hash.ts";

const slotWords = 6;
export const offsetMapSlotBytes = slotWords * 4;
const two32 = 0x1_0000_0000;

export class OffsetMap {
  readonly slotCount: number;
  /** Of the last record that was taken into account, with a key or not; -1 before the first. */
  latestOffset = -1;
  private readonly words: Int32Array;
  private readonly hash = new Int32Array(4);
  private readonly seed: number;
  private readonly countMax: number;
  private count = 0;

  /** Takes at most `loadFactor` of its slots, so that a search for a key stays short. */
  constructor(slotCount: number, loadFactor: number, seed: number) {
    this.slotCount = Math.max(slotCount, 1);
    this.countMax = Math.max(Math.min(Math.floor(slotCount * loadFactor), slotCount - 1), 1);
    this.words = new Int32Array(Math.max(this.slotCount, 2) * slotWords);
    this.slotCount = this.words.length / slotWords;
    this.seed = seed | 0;
  }

  /** Keys in it. */
  get size(): number {
    return this.count;
  }

  get isFull(): boolean {
    return this.count >= this.countMax;
  }

  /** Of the slots, how many are taken: 0 to 1. */
  get utilization(): number {
    return this.count / this.slotCount;
  }

  put(bytes: Uint8Array, position: number, length: number, offset: number): void {
    const at = this.find(bytes, position, length);
    const { words, hash } = this;
    if (words[at + 4] === 0 && words[at + 5] === 0) {
      words[at] = hash[0]!;
      words[at + 1] = hash[1]!;
      words[at + 2] = hash[2]!;
      words[at + 3] = hash[3]!;
      this.count++;
    }
    // One more than the offset, so that an empty slot is all zeros.
    const high = Math.floor((offset + 1) / two32);
    words[at + 4] = high;
    words[at + 5] = offset + 1 - high * two32;
    this.latestOffset = offset;
  }

  /** -1 where the key is not in it. */
  get(bytes: Uint8Array, position: number, length: number): number {
    const at = this.find(bytes, position, length);
    return this.words[at + 4]! * two32 + (this.words[at + 5]! >>> 0) - 1;
  }

  /** The key's slot, or the free one where it would go. */
  private find(bytes: Uint8Array, position: number, length: number): number {
    const { words, hash } = this;
    hashKey(bytes, position, length, this.seed, hash);
    const h0 = hash[0]!;
    const h1 = hash[1]!;
    const h2 = hash[2]!;
    const h3 = hash[3]!;
    const end = words.length;
    let at = ((h0 >>> 0) % this.slotCount) * slotWords;
    while (words[at + 4] !== 0 || words[at + 5] !== 0) {
      if (words[at] === h0 && words[at + 1] === h1 && words[at + 2] === h2 && words[at + 3] === h3) return at;
      at += slotWords;
      if (at === end) at = 0;
    }
    return at;
  }
}
