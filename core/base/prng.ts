// A seeded generator (sfc32). One seed replays any failure. Never for secrets.
import type { Random } from "./ports.ts";

/** The same seed gives the same sequence on every machine. */
export function seededRandom(seed: number): Random & { below(bound: number): number; fraction(): number } {
  let a = 0x9e3779b9 | 0;
  let b = 0x243f6a88 | 0;
  let c = seed | 0;
  let d = 1;
  const uint32 = (): number => {
    const sum = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return sum >>> 0;
  };
  for (let round = 0; round < 12; round++) uint32();
  return {
    uint32,
    fraction: () => uint32() / 0x1_0000_0000,
    below: (bound) => Math.floor((uint32() / 0x1_0000_0000) * bound),
    bytes(length) {
      const out = Buffer.allocUnsafe(length);
      for (let i = 0; i < length; i++) out[i] = uint32() & 0xff;
      return out;
    },
  };
}
