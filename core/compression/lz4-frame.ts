// The LZ4 frame format, walked without unpacking: where each frame ends, how much it can give, whether its header's checksum is right
// or wrong in the way of very old Kafka clients. The library neither notices a cut frame nor bounds its output: this does.
import { xxhash32 } from "./xxhash32.ts";

const frameMagic = 0x184d2204;
const skippableMagicMask = 0xffff_fff0;
const skippableMagic = 0x184d2a50;

/** By the block size id of the frame's header; ids below 4 are not in use. */
const blockBytesMaxById = [0, 0, 0, 0, 64 * 1024, 256 * 1024, 1024 * 1024, 4 * 1024 * 1024];
/** A byte of a block gives at most this many: a match length grows by 255 with each byte. */
const expansionMax = 255;

/** Most frames in one input. Kafka's clients write one; each costs a call into the library. */
export const lz4FrameCountMax = 1024;

export interface Lz4Frame {
  /** Into the input. */
  readonly start: number;
  readonly end: number;
  /** What comes out is no more than this. */
  readonly outputBytesMax: number;
  /** Null where the header's checksum is right, else the position and the value that it should have. */
  readonly checksumFix: { readonly position: number; readonly value: number } | null;
  /** Each block that is compressed, for lz4FrameOutputBytes. */
  readonly blocks: readonly Lz4Block[];
}

interface Lz4Block {
  readonly start: number;
  readonly end: number;
  readonly isCompressed: boolean;
}

/** The frames of `bytes`, in order, without skippable ones; a text that says what is wrong where they are not whole. */
export function lz4Frames(bytes: Buffer): Lz4Frame[] | string {
  const frames: Lz4Frame[] = [];
  let at = 0;
  for (let count = 0; at < bytes.length; count++) {
    if (count >= lz4FrameCountMax) return `more than ${lz4FrameCountMax} frames`;
    if (bytes.length - at < 8) return "bytes left over after a frame";
    const magic = bytes.readUInt32LE(at);
    if ((magic & skippableMagicMask) >>> 0 === skippableMagic) {
      at += 8 + bytes.readUInt32LE(at + 4);
      if (at > bytes.length) return "a cut skippable frame";
      continue;
    }
    if (magic !== frameMagic) return "no frame magic";
    const frame = readFrame(bytes, at);
    if (typeof frame === "string") return frame;
    frames.push(frame);
    at = frame.end;
  }
  return frames.length > 0 ? frames : "no frame";
}

function readFrame(bytes: Buffer, start: number): Lz4Frame | string {
  const flags = bytes[start + 4]!;
  const blockDescriptor = bytes[start + 5]!;
  if (flags >>> 6 !== 1) return "an unknown frame version";
  if ((flags & 0x02) !== 0 || (blockDescriptor & 0x8f) !== 0) return "reserved bits are set";
  if ((flags & 0x01) !== 0) return "a dictionary is needed";
  const blockBytesMax = blockBytesMaxById[blockDescriptor >>> 4]!;
  if (blockBytesMax === 0) return "an unknown block size";
  const hasBlockChecksum = (flags & 0x10) !== 0;
  const checksumAt = start + 6 + ((flags & 0x08) !== 0 ? 8 : 0);
  if (checksumAt >= bytes.length) return "a cut frame header";
  const checksumFix = headerChecksumFix(bytes, start, checksumAt);
  if (typeof checksumFix === "string") return checksumFix;

  const blocks: Lz4Block[] = [];
  let outputBytesMax = 0;
  let at = checksumAt + 1;
  for (;;) {
    if (bytes.length - at < 4) return "a cut frame";
    const word = bytes.readUInt32LE(at);
    at += 4;
    if (word === 0) break;
    const isCompressed = word < 0x8000_0000;
    const size = word % 0x8000_0000;
    if (size > blockBytesMax) return "a block above the frame's block size";
    const end = at + size;
    if (end + (hasBlockChecksum ? 4 : 0) > bytes.length) return "a cut block";
    blocks.push({ start: at, end, isCompressed });
    outputBytesMax += isCompressed ? Math.min(blockBytesMax, size * expansionMax) : size;
    at = end + (hasBlockChecksum ? 4 : 0);
  }
  if ((flags & 0x04) !== 0) at += 4;
  if (at > bytes.length) return "a cut content checksum";
  return { start, end: at, outputBytesMax, checksumFix, blocks };
}

/** The second byte of the hash of the descriptor. Clients before 0.10 (KAFKA-3160) hashed the magic with it; nobody else is forgiven. */
function headerChecksumFix(bytes: Buffer, start: number, checksumAt: number): Lz4Frame["checksumFix"] | string {
  const right = (xxhash32(bytes.subarray(start + 4, checksumAt)) >>> 8) & 0xff;
  const found = bytes[checksumAt]!;
  if (found === right) return null;
  const withMagic = (xxhash32(bytes.subarray(start, checksumAt)) >>> 8) & 0xff;
  return found === withMagic ? { position: checksumAt, value: right } : "a wrong frame header checksum";
}

/** Exactly how much the frame gives, by walking its sequences; -1 where a block is malformed. Linear in the frame's size. */
export function lz4FrameOutputBytes(bytes: Buffer, frame: Lz4Frame): number {
  let total = 0;
  for (const block of frame.blocks) {
    const output = block.isCompressed ? blockOutputBytes(bytes, block.start, block.end) : block.end - block.start;
    if (output < 0) return -1;
    total += output;
  }
  return total;
}

function blockOutputBytes(bytes: Buffer, start: number, end: number): number {
  let at = start;
  let output = 0;
  while (at < end) {
    const token = bytes[at++]!;
    let literals = token >>> 4;
    if (literals === 15) {
      let more: number;
      do {
        if (at >= end) return -1;
        more = bytes[at++]!;
        literals += more;
      } while (more === 255);
    }
    at += literals;
    output += literals;
    if (at === end) return output;
    at += 2;
    let match = (token & 0x0f) + 4;
    if ((token & 0x0f) === 15) {
      let more: number;
      do {
        if (at >= end) return -1;
        more = bytes[at++]!;
        match += more;
      } while (more === 255);
    }
    if (at > end) return -1;
    output += match;
  }
  return output;
}
