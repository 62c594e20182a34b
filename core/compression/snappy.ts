// snappy by the library's raw blocks, framed as Java's streams are when written, framed or raw when read. Every block says how much it
// unpacks to and the library holds it to that, so the bound is checked on the sum before anything is unpacked.
import { asBuffer, type Codec, type DecompressionOptions, DecompressionProblem } from "./codec.ts";
import { CodecUnavailable, lazyNative } from "./native.ts";
import { type SnappyBlock, snappyBlocks, snappyChunkBytes, snappyStreamHeader } from "./snappy-frame.ts";

interface SnappyLibrary {
  compressSync(input: Uint8Array): Buffer;
  compress(input: Uint8Array): Promise<Buffer>;
  uncompressSync(input: Uint8Array): Buffer;
  uncompress(input: Uint8Array): Promise<Buffer>;
}

const library = lazyNative<SnappyLibrary>("snappy");

/** The blocks to unpack, once their sum is known to be within the bound. */
function plan(bytes: Buffer, options: DecompressionOptions): SnappyBlock[] | DecompressionProblem {
  const blocks = snappyBlocks(bytes);
  if (blocks === null) return new DecompressionProblem("corrupt", "snappy", "neither a stream nor a block");
  let outputBytes = 0;
  for (const block of blocks) outputBytes += block.outputBytes;
  if (outputBytes <= options.outputBytesMax) return blocks;
  return new DecompressionProblem("too-large", "snappy", `${outputBytes} bytes, above ${options.outputBytesMax}`);
}

function problemFrom(error: unknown): DecompressionProblem {
  const code = error instanceof CodecUnavailable ? "unsupported" : "corrupt";
  return new DecompressionProblem(code, "snappy", error instanceof Error ? error.message : "not a snappy block");
}

function chunksOf(input: Buffer): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0; at < input.length; at += snappyChunkBytes) chunks.push(input.subarray(at, at + snappyChunkBytes));
  return chunks;
}

function framed(blocks: readonly Buffer[]): Buffer {
  const pieces: Buffer[] = [snappyStreamHeader()];
  for (const block of blocks) {
    const length = Buffer.allocUnsafe(4);
    length.writeInt32BE(block.length);
    pieces.push(length, block);
  }
  return Buffer.concat(pieces);
}

export const snappy: Codec = {
  id: 2,
  name: "snappy",
  levels: null,

  compress(bytes) {
    const { compressSync } = library();
    return framed(chunksOf(asBuffer(bytes)).map((chunk) => compressSync(chunk)));
  },

  decompress(bytes, options) {
    const input = asBuffer(bytes);
    const blocks = plan(input, options);
    if (blocks instanceof DecompressionProblem) return blocks;
    try {
      const { uncompressSync } = library();
      const outputs = blocks.map((block) => uncompressSync(input.subarray(block.start, block.end)));
      return outputs.length === 1 ? outputs[0]! : Buffer.concat(outputs);
    } catch (error) {
      return problemFrom(error);
    }
  },

  async compressLater(bytes) {
    const { compress } = library();
    return framed(await Promise.all(chunksOf(asBuffer(bytes)).map((chunk) => compress(chunk))));
  },

  async decompressLater(bytes, options) {
    const input = asBuffer(bytes);
    const blocks = plan(input, options);
    if (blocks instanceof DecompressionProblem) return blocks;
    try {
      const { uncompress } = library();
      const outputs: Buffer[] = [];
      for (const block of blocks) outputs.push(await uncompress(input.subarray(block.start, block.end)));
      return Buffer.concat(outputs);
    } catch (error) {
      return problemFrom(error);
    }
  },
};
