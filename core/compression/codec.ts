// One interface for the five ways in which a batch's records may be packed, and the ways in which unpacking fails.

export type CodecName = "none" | "gzip" | "snappy" | "lz4" | "zstd";
/** As in the attributes of a batch. */
export type CodecId = 0 | 1 | 2 | 3 | 4;

export type DecompressionProblemCode =
  /** The output would pass `outputBytesMax`. Noticed before that much memory is taken. */
  | "too-large"
  /** The bytes are not what the codec writes, or are cut. */
  | "corrupt"
  /** A codec id that names nothing, or a codec whose native part this platform lacks. */
  | "unsupported";

export class DecompressionProblem {
  readonly code: DecompressionProblemCode;
  readonly codec: string;
  /** For the log. Never holds payload. */
  readonly detail: string;

  constructor(code: DecompressionProblemCode, codec: string, detail: string) {
    this.code = code;
    this.codec = codec;
    this.detail = detail;
  }

  toString(): string {
    return `${this.codec}: ${this.code}: ${this.detail}`;
  }
}

export interface DecompressionOptions {
  /** The most bytes that may come out. Memory taken stays within about twice this, whatever the input declares. */
  readonly outputBytesMax: number;
}

/** Kafka's levels of a codec: `compression.gzip.level`, `compression.lz4.level`, `compression.zstd.level`. */
export interface CodecLevels {
  readonly minimum: number;
  readonly maximum: number;
  readonly default: number;
}

/**
 * Inputs are only read and may be reused once a call has returned (the `Later` forms: once their promise has settled). Outputs belong to
 * the caller, but `none` gives its input back.
 */
export interface Codec {
  readonly id: CodecId;
  readonly name: CodecName;
  /** Null for a codec without levels. */
  readonly levels: CodecLevels | null;
  /** Throws where this platform lacks the native part. */
  compress(bytes: Uint8Array, level?: number): Buffer;
  decompress(bytes: Uint8Array, options: DecompressionOptions): Buffer | DecompressionProblem;
  /** The same on the thread pool: for what would hold up the loop. */
  compressLater(bytes: Uint8Array, level?: number): Promise<Buffer>;
  decompressLater(bytes: Uint8Array, options: DecompressionOptions): Promise<Buffer | DecompressionProblem>;
}

/** The same memory as a Buffer. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
