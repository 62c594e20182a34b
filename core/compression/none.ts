// No compression, as a codec: what comes in goes out, the same memory.
import { asBuffer, type Codec, type DecompressionOptions, DecompressionProblem } from "./codec.ts";

function decompress(bytes: Uint8Array, options: DecompressionOptions): Buffer | DecompressionProblem {
  if (bytes.length <= options.outputBytesMax) return asBuffer(bytes);
  return new DecompressionProblem("too-large", "none", `${bytes.length} bytes, above ${options.outputBytesMax}`);
}

export const none: Codec = {
  id: 0,
  name: "none",
  levels: null,
  compress: asBuffer,
  decompress,
  compressLater: async (bytes) => asBuffer(bytes),
  decompressLater: async (bytes, options) => decompress(bytes, options),
};
