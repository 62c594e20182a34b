// Which zstd there is: node:zlib's from Node 22.15 on, else the native package. Chosen at first use. Each unpacks exactly one frame
// that is known to be whole; the bound is node:zlib's own, and for the package a measured one.
import * as zlib from "node:zlib";
import { kibibyte, mebibyte } from "../base/index.ts";
import { lazyNative } from "./native.ts";
import { type ZstdFrame, zstdFramePrefix } from "./zstd-frame.ts";

/** Of one frame: what came out, or null where it is more than `outputBytesMax`. Throws where the frame is corrupt. */
export interface ZstdLibrary {
  compress(bytes: Buffer, level: number): Buffer;
  compressLater(bytes: Buffer, level: number): Promise<Buffer>;
  decompress(bytes: Buffer, frame: ZstdFrame, outputBytesMax: number): Buffer | null;
  decompressLater(bytes: Buffer, frame: ZstdFrame, outputBytesMax: number): Promise<Buffer | null>;
}

/** What Node has from 22.15 on; the type package of Node 20 does not know it. */
interface NodeZstd {
  readonly constants: { readonly ZSTD_c_compressionLevel: number };
  zstdCompressSync(bytes: Buffer, options: NodeZstdOptions): Buffer;
  zstdDecompressSync(bytes: Buffer, options: NodeZstdOptions): Buffer;
  zstdCompress(bytes: Buffer, options: NodeZstdOptions, done: NodeZstdDone): void;
  zstdDecompress(bytes: Buffer, options: NodeZstdOptions, done: NodeZstdDone): void;
}
interface NodeZstdOptions {
  readonly params?: Readonly<Record<number, number>>;
  readonly maxOutputLength?: number;
  readonly chunkSize?: number;
}
type NodeZstdDone = (error: Error | null, output: Buffer) => void;

interface ZstdPackage {
  readonly Encoder: new (level: number) => { encodeSync(data: Buffer): Buffer; encode(data: Buffer): Promise<Buffer> };
  readonly Decoder: new () => { decodeSync(data: Buffer): Buffer; decode(data: Buffer): Promise<Buffer> };
}

const loadPackage = lazyNative<ZstdPackage>("@toondepauw/node-zstd");

function isTooLarge(error: unknown): boolean {
  return (error as { code?: unknown }).code === "ERR_BUFFER_TOO_LARGE";
}

function nodeLibrary(node: NodeZstd): ZstdLibrary {
  const compressOptions = (level: number): NodeZstdOptions => ({
    params: { [node.constants.ZSTD_c_compressionLevel]: level },
  });
  const decompressOptions = (frame: ZstdFrame, outputBytesMax: number): NodeZstdOptions => ({
    maxOutputLength: Math.max(outputBytesMax, 1),
    chunkSize: Math.min(Math.max(Math.min(frame.outputBytesMax, outputBytesMax), kibibyte), mebibyte),
  });
  const bounded = (output: Buffer, outputBytesMax: number) => (output.length <= outputBytesMax ? output : null);
  return {
    compress: (bytes, level) => node.zstdCompressSync(bytes, compressOptions(level)),
    compressLater: (bytes, level) =>
      new Promise((resolve, reject) => {
        node.zstdCompress(bytes, compressOptions(level), (error, output) =>
          error === null ? resolve(output) : reject(error),
        );
      }),
    decompress(bytes, frame, outputBytesMax) {
      try {
        const view = bytes.subarray(frame.start, frame.end);
        return bounded(node.zstdDecompressSync(view, decompressOptions(frame, outputBytesMax)), outputBytesMax);
      } catch (error) {
        if (isTooLarge(error)) return null;
        throw error;
      }
    },
    decompressLater: (bytes, frame, outputBytesMax) =>
      new Promise((resolve, reject) => {
        const view = bytes.subarray(frame.start, frame.end);
        node.zstdDecompress(view, decompressOptions(frame, outputBytesMax), (error, output) => {
          if (error === null) resolve(bounded(output, outputBytesMax));
          else if (isTooLarge(error)) resolve(null);
          else reject(error);
        });
      }),
  };
}

/**
 * The package unpacks a frame whole, so a frame that could pass the bound is measured first: its first blocks are unpacked as a frame of
 * their own, as many as can give no more than the bound on top of what is known, until they are all known to fit or do not.
 */
const measureStepsMax = 16;
/** Below this nobody minds memory, and small blocks are measured in few steps. */
const measuredBytesMin = 8 * mebibyte;

/** The next prefix to measure, in blocks; all of them where the whole frame may be unpacked. */
function measurableBlocks(frame: ZstdFrame, knownBlocks: number, knownBytes: number, outputBytesMax: number): number {
  const bytesMax = Math.max(2 * outputBytesMax, measuredBytesMin);
  let count = knownBlocks;
  let bytes = knownBytes;
  while (count < frame.blocks.length) {
    bytes += frame.blocks[count]!.outputBytesMax;
    if (bytes > bytesMax && count > knownBlocks) break;
    count++;
  }
  return count;
}

function packageLibrary(zstd: ZstdPackage): ZstdLibrary {
  const encoders = new Map<number, InstanceType<ZstdPackage["Encoder"]>>();
  const encoder = (level: number) => {
    let made = encoders.get(level);
    if (made === undefined) {
      made = new zstd.Encoder(level);
      // Kafka's levels are 22 and a range of fast ones below zero that nobody uses all of.
      if (encoders.size < 32) encoders.set(level, made);
    }
    return made;
  };
  const decoder = new zstd.Decoder();
  return {
    compress: (bytes, level) => encoder(level).encodeSync(bytes),
    compressLater: (bytes, level) => encoder(level).encode(bytes),
    decompress(bytes, frame, outputBytesMax) {
      let known = 0;
      let knownBytes = 0;
      for (let step = 0; step < measureStepsMax; step++) {
        const count = measurableBlocks(frame, known, knownBytes, outputBytesMax);
        const isAll = count === frame.blocks.length;
        const input = isAll ? bytes.subarray(frame.start, frame.end) : zstdFramePrefix(bytes, frame, count);
        const output = decoder.decodeSync(input);
        if (output.length > outputBytesMax) return null;
        if (isAll) return output;
        known = count;
        knownBytes = output.length;
      }
      return null;
    },
    async decompressLater(bytes, frame, outputBytesMax) {
      let known = 0;
      let knownBytes = 0;
      for (let step = 0; step < measureStepsMax; step++) {
        const count = measurableBlocks(frame, known, knownBytes, outputBytesMax);
        const isAll = count === frame.blocks.length;
        const input = isAll ? bytes.subarray(frame.start, frame.end) : zstdFramePrefix(bytes, frame, count);
        const output = await decoder.decode(input);
        if (output.length > outputBytesMax) return null;
        if (isAll) return output;
        known = count;
        knownBytes = output.length;
      }
      return null;
    },
  };
}

/** For the tests, which run both where both are. */
export function zstdNodeLibrary(): ZstdLibrary | null {
  const node = zlib as unknown as Partial<NodeZstd>;
  return typeof node.zstdCompressSync === "function" ? nodeLibrary(node as NodeZstd) : null;
}

/** Throws CodecUnavailable where the package is not there for this platform. */
export function zstdPackageLibrary(): ZstdLibrary {
  return packageLibrary(loadPackage());
}

let chosen: ZstdLibrary | null = null;

/** Throws CodecUnavailable where there is none. */
export function zstdLibrary(): ZstdLibrary {
  chosen ??= zstdNodeLibrary() ?? zstdPackageLibrary();
  return chosen;
}
