// gzip by node:zlib, which bounds its own output piece by piece. Members that follow one another are read as one.
import * as zlib from "node:zlib";
import { kibibyte, mebibyte } from "../base/index.ts";
import { type Codec, type DecompressionOptions, DecompressionProblem } from "./codec.ts";

function optionsFor(bytes: Uint8Array, options: DecompressionOptions): zlib.ZlibOptions {
  return {
    // zlib takes no bound below one byte; the caller's bound of none is checked on the result.
    maxOutputLength: Math.max(options.outputBytesMax, 1),
    chunkSize: Math.min(Math.max(bytes.length * 4, 16 * kibibyte), mebibyte),
  };
}

function problemFrom(error: unknown, options: DecompressionOptions): DecompressionProblem {
  const code = (error as { code?: unknown }).code;
  if (code === "ERR_BUFFER_TOO_LARGE") {
    return new DecompressionProblem("too-large", "gzip", `above ${options.outputBytesMax} bytes`);
  }
  return new DecompressionProblem("corrupt", "gzip", String(code ?? error));
}

function checked(output: Buffer, options: DecompressionOptions): Buffer | DecompressionProblem {
  if (output.length <= options.outputBytesMax) return output;
  return new DecompressionProblem("too-large", "gzip", `above ${options.outputBytesMax} bytes`);
}

const emptyProblem = new DecompressionProblem("corrupt", "gzip", "no bytes");

export const gzip: Codec = {
  id: 1,
  name: "gzip",
  levels: { minimum: 1, maximum: 9, default: zlib.constants.Z_DEFAULT_COMPRESSION },

  compress(bytes, level = zlib.constants.Z_DEFAULT_COMPRESSION) {
    return zlib.gzipSync(bytes, { level });
  },

  decompress(bytes, options) {
    if (bytes.length === 0) return emptyProblem;
    try {
      return checked(zlib.gunzipSync(bytes, optionsFor(bytes, options)), options);
    } catch (error) {
      return problemFrom(error, options);
    }
  },

  compressLater(bytes, level = zlib.constants.Z_DEFAULT_COMPRESSION) {
    return new Promise((resolve, reject) => {
      zlib.gzip(bytes, { level }, (error, output) => (error === null ? resolve(output) : reject(error)));
    });
  },

  decompressLater(bytes, options) {
    if (bytes.length === 0) return Promise.resolve(emptyProblem);
    return new Promise((resolve) => {
      zlib.gunzip(bytes, optionsFor(bytes, options), (error, output) => {
        resolve(error === null ? checked(output, options) : problemFrom(error, options));
      });
    });
  },
};
