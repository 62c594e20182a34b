// LZ4 frames by the library. Its only speed is the fast one, so a level is accepted and makes no difference; every LZ4 reader reads it.
// The library does not bound what it unpacks: frames are walked first, and where the cheap bound is above the caller's, sequence by sequence.
import { asBuffer, type Codec, type DecompressionOptions, DecompressionProblem } from "./codec.ts";
import { type Lz4Frame, lz4FrameOutputBytes, lz4Frames } from "./lz4-frame.ts";
import { CodecUnavailable, lazyNative } from "./native.ts";

interface Lz4Library {
  compressFrameSync(input: Buffer): Buffer;
  compressFrame(input: Buffer): Promise<Buffer>;
  decompressFrameSync(input: Buffer): Buffer;
  decompressFrame(input: Buffer): Promise<Buffer>;
}

const library = lazyNative<Lz4Library>("lz4-napi");

/** Each frame as the library should see it, once all together are known to be within the bound. */
function plan(bytes: Buffer, options: DecompressionOptions): Buffer[] | DecompressionProblem {
  const frames = lz4Frames(bytes);
  if (typeof frames === "string") return new DecompressionProblem("corrupt", "lz4", frames);
  let outputBytesMax = 0;
  for (const frame of frames) outputBytesMax += frame.outputBytesMax;
  if (outputBytesMax > options.outputBytesMax) {
    outputBytesMax = 0;
    for (const frame of frames) {
      const outputBytes = lz4FrameOutputBytes(bytes, frame);
      if (outputBytes < 0) return new DecompressionProblem("corrupt", "lz4", "a malformed block");
      outputBytesMax += outputBytes;
    }
    if (outputBytesMax > options.outputBytesMax) {
      const detail = `${outputBytesMax} bytes, above ${options.outputBytesMax}`;
      return new DecompressionProblem("too-large", "lz4", detail);
    }
  }
  return frames.map((frame) => frameBytes(bytes, frame));
}

function frameBytes(bytes: Buffer, frame: Lz4Frame): Buffer {
  const view = bytes.subarray(frame.start, frame.end);
  if (frame.checksumFix === null) return view;
  const copy = Buffer.from(view);
  copy[frame.checksumFix.position - frame.start] = frame.checksumFix.value;
  return copy;
}

function problemFrom(error: unknown): DecompressionProblem {
  const code = error instanceof CodecUnavailable ? "unsupported" : "corrupt";
  return new DecompressionProblem(code, "lz4", error instanceof Error ? error.message : "not an LZ4 frame");
}

export const lz4: Codec = {
  id: 3,
  name: "lz4",
  levels: { minimum: 1, maximum: 17, default: 9 },

  compress(bytes) {
    return library().compressFrameSync(asBuffer(bytes));
  },

  decompress(bytes, options) {
    const frames = plan(asBuffer(bytes), options);
    if (frames instanceof DecompressionProblem) return frames;
    try {
      const { decompressFrameSync } = library();
      const outputs = frames.map((frame) => decompressFrameSync(frame));
      return outputs.length === 1 ? outputs[0]! : Buffer.concat(outputs);
    } catch (error) {
      return problemFrom(error);
    }
  },

  async compressLater(bytes) {
    return library().compressFrame(asBuffer(bytes));
  },

  async decompressLater(bytes, options) {
    const frames = plan(asBuffer(bytes), options);
    if (frames instanceof DecompressionProblem) return frames;
    try {
      const { decompressFrame } = library();
      const outputs: Buffer[] = [];
      for (const frame of frames) outputs.push(await decompressFrame(frame));
      return outputs.length === 1 ? outputs[0]! : Buffer.concat(outputs);
    } catch (error) {
      return problemFrom(error);
    }
  },
};
