// The zstd frame format (RFC 8878), walked without unpacking: where each frame and block ends and how much it can give. Neither
// library reads this for us: node:zlib stops after the first frame and takes a cut one for whole (Node 22), the other bounds nothing.

const frameMagic = 0xfd2fb528;
const skippableMagicMask = 0xffff_fff0;
const skippableMagic = 0x184d2a50;
/** RFC 8878, 3.1.1.2.4: no block gives more, whatever its frame's window. */
const blockOutputBytesMax = 128 * 1024;

/** The largest window that is read: zstd's own default bound for streams, and what its level 22 uses. */
export const zstdWindowBytesMax = 128 * 1024 * 1024;
/** Most frames in one input. Kafka's clients write one; each costs a call into the library. */
export const zstdFrameCountMax = 1024;

export interface ZstdFrame {
  /** Into the input. */
  readonly start: number;
  readonly end: number;
  readonly windowBytes: number;
  /** What the header declares; -1 where it declares nothing. Not to be trusted. */
  readonly contentBytes: number;
  readonly blocks: readonly ZstdBlock[];
  /** What comes out is no more than this: the sum over the blocks. */
  readonly outputBytesMax: number;
}

export interface ZstdBlock {
  /** Of its three-byte header, into the input. */
  readonly start: number;
  readonly end: number;
  readonly outputBytesMax: number;
}

/** The frames of `bytes`, in order, without skippable ones; a text that says what is wrong where they are not whole. */
export function zstdFrames(bytes: Buffer): ZstdFrame[] | string {
  const frames: ZstdFrame[] = [];
  let at = 0;
  for (let count = 0; at < bytes.length; count++) {
    if (count >= zstdFrameCountMax) return `more than ${zstdFrameCountMax} frames`;
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

interface FrameHeader {
  readonly end: number;
  readonly windowBytes: number;
  readonly contentBytes: number;
  readonly hasChecksum: boolean;
}

function readHeader(bytes: Buffer, start: number): FrameHeader | string {
  const descriptor = bytes[start + 4]!;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  if ((descriptor & 0x08) !== 0) return "reserved bits are set";
  const contentSizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >>> 6]!;
  const dictionaryIdBytes = [0, 1, 2, 4][descriptor & 0x03]!;
  let at = start + 5;
  const end = at + (isSingleSegment ? 0 : 1) + dictionaryIdBytes + contentSizeBytes;
  if (end > bytes.length) return "a cut frame header";
  let windowBytes = 0;
  if (!isSingleSegment) {
    const window = bytes[at++]!;
    const base = 2 ** (10 + (window >>> 3));
    windowBytes = base + (base / 8) * (window & 0x07);
  }
  for (let index = 0; index < dictionaryIdBytes; index++) if (bytes[at++] !== 0) return "a dictionary is needed";
  let contentBytes = -1;
  if (contentSizeBytes > 0) {
    contentBytes = contentSizeBytes === 2 ? 256 : 0;
    for (let index = 0; index < contentSizeBytes; index++) contentBytes += bytes[at + index]! * 256 ** index;
  }
  if (isSingleSegment) windowBytes = contentBytes;
  return { end, windowBytes, contentBytes, hasChecksum: (descriptor & 0x04) !== 0 };
}

function readFrame(bytes: Buffer, start: number): ZstdFrame | string {
  const header = readHeader(bytes, start);
  if (typeof header === "string") return header;
  const { windowBytes, contentBytes } = header;
  const blocks: ZstdBlock[] = [];
  let outputBytesMax = 0;
  let at = header.end;
  for (let isLast = false; !isLast; ) {
    if (bytes.length - at < 3) return "a cut frame";
    const word = bytes.readUIntLE(at, 3);
    isLast = (word & 1) === 1;
    const type = (word >>> 1) & 0x03;
    const size = word >>> 3;
    if (type === 3) return "a reserved block type";
    const end = at + 3 + (type === 1 ? 1 : size);
    if (end > bytes.length) return "a cut block";
    if (size > blockOutputBytesMax) return "a block above the format's block size";
    const output = type === 2 ? Math.min(blockOutputBytesMax, Math.max(windowBytes, 1024)) : size;
    blocks.push({ start: at, end, outputBytesMax: output });
    outputBytesMax += output;
    at = end;
  }
  if (header.hasChecksum) at += 4;
  if (at > bytes.length) return "a cut content checksum";
  return { start, end: at, windowBytes, contentBytes, blocks, outputBytesMax };
}

/**
 * A frame of its own that holds the first `blockCount` blocks of `frame` and gives what they give: without a declared size and a
 * checksum, with the last of them marked as the last.
 */
export function zstdFramePrefix(bytes: Buffer, frame: ZstdFrame, blockCount: number): Buffer {
  const first = frame.blocks[0]!;
  const last = frame.blocks[blockCount - 1]!;
  const headerBytes = 6;
  const prefix = Buffer.allocUnsafe(headerBytes + last.end - first.start);
  prefix.writeUInt32LE(frameMagic, 0);
  prefix[4] = 0;
  prefix[5] = windowDescriptor(frame.windowBytes);
  bytes.copy(prefix, headerBytes, first.start, last.end);
  prefix[headerBytes + last.start - first.start]! |= 1;
  return prefix;
}

/** The smallest window of the form (8 + mantissa) / 8 × 2^(10 + exponent) that holds `windowBytes`. */
function windowDescriptor(windowBytes: number): number {
  for (let exponent = 0; exponent < 32; exponent++) {
    for (let mantissa = 0; mantissa < 8; mantissa++) {
      if (((8 + mantissa) / 8) * 2 ** (10 + exponent) >= windowBytes) return (exponent << 3) | mantissa;
    }
  }
  return 0xff;
}
