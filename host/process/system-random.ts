// Randomness for ids, salts and nonces: the system's generator, read in blocks because a call for four bytes costs as much as one for
// four thousand.
import { randomFillSync } from "node:crypto";
import type { Random } from "@blumfeld/core/base";

const blockBytes = 4096;
const block = Buffer.alloc(blockBytes);
let used = blockBytes;

function take(length: number): number {
  if (used + length > blockBytes) {
    randomFillSync(block);
    used = 0;
  }
  const at = used;
  used += length;
  return at;
}

export const systemRandom: Random = {
  uint32: () => block.readUInt32BE(take(4)),
  bytes(length) {
    if (length > blockBytes / 4) return randomFillSync(Buffer.allocUnsafeSlow(length));
    const at = take(length);
    const bytes = Buffer.from(block.subarray(at, at + length));
    // What was given out is not kept: a secret does not stay readable here.
    block.fill(0, at, at + length);
    return bytes;
  },
};
