// The hash by which Kafka's producers choose a record's partition: MurmurHash2, 32 bits, with a seed that Kafka fixed.

const seed = 0x9747b28c | 0;
const multiplier = 0x5bd1e995;

/** As a signed 32-bit number. */
export function murmur2(bytes: Uint8Array): number {
  const length = bytes.length;
  let hash = seed ^ length;
  const wordsEnd = length & ~3;
  for (let at = 0; at < wordsEnd; at += 4) {
    let word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    word = Math.imul(word, multiplier);
    word ^= word >>> 24;
    hash = Math.imul(hash, multiplier) ^ Math.imul(word, multiplier);
  }
  const left = length - wordsEnd;
  if (left === 3) hash ^= bytes[wordsEnd + 2]! << 16;
  if (left >= 2) hash ^= bytes[wordsEnd + 1]! << 8;
  if (left >= 1) hash = Math.imul(hash ^ bytes[wordsEnd]!, multiplier);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, multiplier);
  return hash ^ (hash >>> 15);
}

/** Drops the sign bit: what Kafka calls positive, which is not the absolute value. */
export function hashPositive(hash: number): number {
  return hash & 0x7fffffff;
}

/** The partition of a record with this key. */
export function partitionOfKey(key: Uint8Array, partitionCount: number): number {
  return hashPositive(murmur2(key)) % partitionCount;
}
