// Damages a frame where it hurts: lengths, counts and tags get the values that have broken parsers before; bytes flip; ends are cut.
import type { Mark, RandomFrame, SeededRandom } from "./random-frame.ts";

const hostileIntegers = [-1, -2, -5, 0x7fff_ffff, -0x8000_0000, 0x7fff, 0x1_0000, 0x0fff_ffff, 1, 0];
/** Unsigned varints: one over five bytes, an endless one, the largest, a zero written long. */
const hostileVarints = [
  [0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0x80, 0x00],
  [0xff, 0xff, 0xff, 0xff, 0x07],
  [0x00],
  [0x01],
];

function splice(bytes: Buffer, at: number, remove: number, insert: readonly number[]): Buffer {
  return Buffer.concat([bytes.subarray(0, at), Buffer.from(insert), bytes.subarray(at + remove)]);
}

function hitMark(bytes: Buffer, mark: Mark, random: SeededRandom): Buffer {
  if (mark.isVarint) return splice(bytes, mark.at, mark.bytes, hostileVarints[random.below(hostileVarints.length)]!);
  const value = hostileIntegers[random.below(hostileIntegers.length)]!;
  const changed = Buffer.from(bytes);
  for (let i = 0; i < mark.bytes; i++) changed[mark.at + i] = (value >> ((mark.bytes - 1 - i) * 8)) & 0xff;
  return changed;
}

/** A damaged copy whose size prefix is right, so that the damage reaches the parser behind the framing. */
export function mutate(frame: RandomFrame, random: SeededRandom): Buffer {
  let bytes = frame.bytes;
  const choice = random.below(10);
  if (choice < 5 && frame.marks.length > 0)
    bytes = hitMark(bytes, frame.marks[random.below(frame.marks.length)]!, random);
  else if (choice < 7) bytes = Buffer.from(bytes.subarray(0, 4 + random.below(bytes.length - 3)));
  else if (choice < 8)
    bytes = splice(bytes, 4 + random.below(bytes.length - 3), 0, [...random.bytes(1 + random.below(16))]);
  else {
    bytes = Buffer.from(bytes);
    const flips = 1 + random.below(8);
    for (let i = 0; i < flips && bytes.length > 4; i++)
      bytes[4 + random.below(bytes.length - 4)]! ^= 1 << random.below(8);
  }
  if (bytes === frame.bytes) bytes = Buffer.from(bytes);
  bytes.writeInt32BE(bytes.length - 4, 0);
  return bytes;
}
