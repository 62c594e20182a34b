// The framing that Java's snappy streams put around raw snappy blocks, and which Kafka's Java clients write: a 16-byte header, then
// chunks of a 4-byte big-endian length and a raw block. Other clients send one raw block; both are read.
// Finds the blocks and what they declare; unpacks nothing.

/** 0x82 "SNAPPY" 0. A raw block cannot begin so: 0x82 0x53 declares 10,626 bytes, and 0x4e is then a copy with nothing to copy from. */
const streamMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const streamHeaderBytes = 16;
const streamVersion = 1;
/** Java's stream cuts its input so. */
export const snappyChunkBytes = 32 * 1024;

/** The longest copy gives 64 bytes for 3, so no block declares more than this many bytes for each of its own. */
const expansionMax = 22;

export interface SnappyBlock {
  /** Into the input. */
  readonly start: number;
  readonly end: number;
  /** What the block says it unpacks to: at most `expansionMax` times its size. */
  readonly outputBytes: number;
}

/** The blocks of a framed or a raw input, in order; null where it is neither. */
export function snappyBlocks(bytes: Buffer): SnappyBlock[] | null {
  if (!startsStream(bytes, 0)) {
    const outputBytes = declaredBytes(bytes, 0, bytes.length);
    return outputBytes < 0 ? null : [{ start: 0, end: bytes.length, outputBytes }];
  }
  const blocks: SnappyBlock[] = [];
  let at = 0;
  while (at < bytes.length) {
    // Streams may be joined: a header stands where a chunk's length would.
    if (startsStream(bytes, at)) {
      if (bytes.length - at < streamHeaderBytes) return null;
      at += streamHeaderBytes;
      continue;
    }
    if (bytes.length - at < 4) return null;
    const length = bytes.readInt32BE(at);
    at += 4;
    if (length < 0 || length > bytes.length - at) return null;
    const outputBytes = declaredBytes(bytes, at, at + length);
    if (outputBytes < 0) return null;
    blocks.push({ start: at, end: at + length, outputBytes });
    at += length;
  }
  return blocks;
}

/** The 16 bytes that open a stream. */
export function snappyStreamHeader(): Buffer {
  const header = Buffer.alloc(streamHeaderBytes);
  streamMagic.copy(header);
  header.writeInt32BE(streamVersion, 8);
  header.writeInt32BE(streamVersion, 12);
  return header;
}

function startsStream(bytes: Buffer, at: number): boolean {
  return bytes.length - at >= streamMagic.length && streamMagic.equals(bytes.subarray(at, at + streamMagic.length));
}

/** The length that opens a raw block; -1 where it is no uint32 or cannot be true of a block of this size. */
function declaredBytes(bytes: Buffer, start: number, end: number): number {
  let value = 0;
  let scale = 1;
  for (let at = start; at < end && at < start + 5; at++) {
    const byte = bytes[at]!;
    value += (byte & 0x7f) * scale;
    scale *= 128;
    if (byte >= 0x80) continue;
    return value <= (end - start) * expansionMax ? value : -1;
  }
  return -1;
}
