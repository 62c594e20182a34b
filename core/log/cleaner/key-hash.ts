// A 128-bit hash of a record's key: MurmurHash3 in its form for 32-bit words, with a seed. Several times faster here than a digest, and as
// unlikely to give two keys one value. It does not withstand somebody who looks for such keys, and need not: who may write colliding keys to a
// topic may write the other key itself.

const c1 = 0x239b961b;
const c2 = 0xab0e9789 | 0;
const c3 = 0x38b34ae5;
const c4 = 0xa1e38b93 | 0;

/** Writes the hash of `length` bytes from `position` on into `words`: four of them. */
export function hashKey(bytes: Uint8Array, position: number, length: number, seed: number, words: Int32Array): void {
  let h1 = seed;
  let h2 = seed;
  let h3 = seed;
  let h4 = seed;
  let at = position;
  for (const end = position + (length & ~15); at < end; at += 16) {
    h1 ^= mixed(wordAt(bytes, at), c1, 15, c2);
    h1 = (Math.imul(rotated(h1, 19) + h2, 5) + 0x561ccd1b) | 0;
    h2 ^= mixed(wordAt(bytes, at + 4), c2, 16, c3);
    h2 = (Math.imul(rotated(h2, 17) + h3, 5) + 0x0bcaa747) | 0;
    h3 ^= mixed(wordAt(bytes, at + 8), c3, 17, c4);
    h3 = (Math.imul(rotated(h3, 15) + h4, 5) + 0x96cd1c35) | 0;
    h4 ^= mixed(wordAt(bytes, at + 12), c4, 18, c1);
    h4 = (Math.imul(rotated(h4, 13) + h1, 5) + 0x32ac3b17) | 0;
  }
  const rest = length & 15;
  if (rest > 12) h4 ^= mixed(partAt(bytes, at + 12, rest - 12), c4, 18, c1);
  if (rest > 8) h3 ^= mixed(partAt(bytes, at + 8, Math.min(rest - 8, 4)), c3, 17, c4);
  if (rest > 4) h2 ^= mixed(partAt(bytes, at + 4, Math.min(rest - 4, 4)), c2, 16, c3);
  if (rest > 0) h1 ^= mixed(partAt(bytes, at, Math.min(rest, 4)), c1, 15, c2);
  h1 ^= length;
  h2 ^= length;
  h3 ^= length;
  h4 ^= length;
  h1 = (h1 + h2 + h3 + h4) | 0;
  h2 = (h2 + h1) | 0;
  h3 = (h3 + h1) | 0;
  h4 = (h4 + h1) | 0;
  h1 = settled(h1);
  h2 = settled(h2);
  h3 = settled(h3);
  h4 = settled(h4);
  h1 = (h1 + h2 + h3 + h4) | 0;
  words[0] = h1;
  words[1] = h2 + h1;
  words[2] = h3 + h1;
  words[3] = h4 + h1;
}

function rotated(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

function mixed(word: number, first: number, bits: number, second: number): number {
  return Math.imul(rotated(Math.imul(word, first), bits), second);
}

function settled(word: number): number {
  let h = word;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

function wordAt(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

function partAt(bytes: Uint8Array, at: number, length: number): number {
  let word = 0;
  for (let index = length - 1; index >= 0; index--) word = (word << 8) | bytes[at + index]!;
  return word;
}
