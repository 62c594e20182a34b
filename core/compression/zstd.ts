// zstd: frames are walked here and unpacked one by one, so that frames without a declared size, joined frames and cut frames get the
// same answer whichever library there is.
import { asBuffer, type Codec, type DecompressionOptions, DecompressionProblem } from "./codec.ts";
import { CodecUnavailable } from "./native.ts";
import { type ZstdFrame, zstdFrames, zstdWindowBytesMax } from "./zstd-frame.ts";
import { type ZstdLibrary, zstdLibrary } from "./zstd-library.ts";

const levelDefault = 3;

function corrupt(detail: string): DecompressionProblem {
  return new DecompressionProblem("corrupt", "zstd", detail);
}

function tooLarge(options: DecompressionOptions): DecompressionProblem {
  return new DecompressionProblem("too-large", "zstd", `above ${options.outputBytesMax} bytes`);
}

/** The frames to unpack, once nothing that they declare is above a bound. */
function plan(bytes: Buffer, options: DecompressionOptions): ZstdFrame[] | DecompressionProblem {
  const frames = zstdFrames(bytes);
  if (typeof frames === "string") return corrupt(frames);
  let declaredBytes = 0;
  for (const frame of frames) {
    if (frame.contentBytes > frame.outputBytesMax) return corrupt("a declared size that the blocks cannot give");
    if (frame.contentBytes >= 0) declaredBytes += frame.contentBytes;
    if (frame.windowBytes > zstdWindowBytesMax) return corrupt(`a window above ${zstdWindowBytesMax} bytes`);
  }
  return declaredBytes > options.outputBytesMax ? tooLarge(options) : frames;
}

function problemFrom(error: unknown): DecompressionProblem {
  if (error instanceof CodecUnavailable) return new DecompressionProblem("unsupported", "zstd", error.message);
  return corrupt(error instanceof Error ? error.message : "not a zstd frame");
}

function joined(outputs: readonly Buffer[]): Buffer {
  return outputs.length === 1 ? outputs[0]! : Buffer.concat(outputs);
}

/** The codec on a given library: the tests try each that there is. */
export function zstdOn(library: () => ZstdLibrary): Codec {
  return {
    id: 4,
    name: "zstd",
    levels: { minimum: -131072, maximum: 22, default: levelDefault },

    compress: (bytes, level = levelDefault) => library().compress(asBuffer(bytes), level),

    decompress(bytes, options) {
      const input = asBuffer(bytes);
      const frames = plan(input, options);
      if (frames instanceof DecompressionProblem) return frames;
      try {
        const outputs: Buffer[] = [];
        let left = options.outputBytesMax;
        for (const frame of frames) {
          const output = library().decompress(input, frame, left);
          if (output === null) return tooLarge(options);
          left -= output.length;
          outputs.push(output);
        }
        return joined(outputs);
      } catch (error) {
        return problemFrom(error);
      }
    },

    compressLater: async (bytes, level = levelDefault) => library().compressLater(asBuffer(bytes), level),

    async decompressLater(bytes, options) {
      const input = asBuffer(bytes);
      const frames = plan(input, options);
      if (frames instanceof DecompressionProblem) return frames;
      try {
        const outputs: Buffer[] = [];
        let left = options.outputBytesMax;
        for (const frame of frames) {
          const output = await library().decompressLater(input, frame, left);
          if (output === null) return tooLarge(options);
          left -= output.length;
          outputs.push(output);
        }
        return joined(outputs);
      } catch (error) {
        return problemFrom(error);
      }
    },
  };
}

export const zstd: Codec = zstdOn(zstdLibrary);
