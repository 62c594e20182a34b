// xxHash32 with seed 0, for the header checksum of LZ4 frames: a few bytes at a time, so written for clarity.

const prime1 = 0x9e3779b1;
const prime2 = 0x85ebca77;
const prime3 = 0xc2b2ae3d;
const prime4 = 0x27d4eb2f;
const prime5 = 0x165667b1;

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

function round(lane: number, input: number): number {
  return Math.imul(rotateLeft((lane + Math.imul(input, prime2)) | 0, 13), prime1);
}

/** Unsigned. */
export function xxhash32(bytes: Buffer): number {
  const { length } = bytes;
  let at = 0;
  let hash: number;
  if (length >= 16) {
    let lane1 = (prime1 + prime2) | 0;
    let lane2 = prime2 | 0;
    let lane3 = 0;
    let lane4 = -prime1 | 0;
    for (; at + 16 <= length; at += 16) {
      lane1 = round(lane1, bytes.readInt32LE(at));
      lane2 = round(lane2, bytes.readInt32LE(at + 4));
      lane3 = round(lane3, bytes.readInt32LE(at + 8));
      lane4 = round(lane4, bytes.readInt32LE(at + 12));
    }
    hash = rotateLeft(lane1, 1) + rotateLeft(lane2, 7) + rotateLeft(lane3, 12) + rotateLeft(lane4, 18);
  } else {
    hash = prime5;
  }
  hash = (hash + length) | 0;
  for (; at + 4 <= length; at += 4) {
    hash = Math.imul(rotateLeft((hash + Math.imul(bytes.readInt32LE(at), prime3)) | 0, 17), prime4);
  }
  for (; at < length; at++) {
    hash = Math.imul(rotateLeft((hash + Math.imul(bytes[at]!, prime5)) | 0, 11), prime1);
  }
  hash = Math.imul(hash ^ (hash >>> 15), prime2);
  hash = Math.imul(hash ^ (hash >>> 13), prime3);
  return (hash ^ (hash >>> 16)) >>> 0;
}
