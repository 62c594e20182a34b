// The bounds of the TCP transport. Memory grows with bytes received and is given back when a connection falls silent.
import { assert, kibibyte, mebibyte } from "@blumfeld/core/base";

export interface TcpLimits {
  /** All bytes held for frames that have not wholly arrived; past it a connection that needs more is closed (queued.max.request.bytes). */
  readonly receiveBytesMax: number;
  /** One connection's answers that its peer has not taken. */
  readonly connectionUnsentBytesMax: number;
  /** All connections' answers together; past it the connection that holds the most is closed. */
  readonly unsentBytesMax: number;
  /** `onDrain` is told when unsent bytes come back to zero from above this. */
  readonly unsentHighWaterBytes: number;
  /** No byte in or out for so long closes a connection (connections.max.idle.ms). */
  readonly connectionIdleMs: number;
  /** A frame that has begun must bring this many bytes … */
  readonly frameProgressBytesMin: number;
  /** … in each period of this length, or end in it. */
  readonly frameProgressMs: number;
  /** How exact the two deadlines are. */
  readonly deadlineTickMs: number;
}

export const tcpLimitsDefault: TcpLimits = {
  receiveBytesMax: 512 * mebibyte,
  connectionUnsentBytesMax: 256 * mebibyte,
  unsentBytesMax: 1024 * mebibyte,
  unsentHighWaterBytes: mebibyte,
  connectionIdleMs: 600_000,
  frameProgressBytesMin: 4 * kibibyte,
  frameProgressMs: 30_000,
  deadlineTickMs: 1_000,
};

/** All connections that are not busy read into this one buffer; what stays of a read is copied out of it. */
export const landingBytes = 64 * kibibyte;
/** A read up to this size is copied into the turn's memory; from a larger one on the connection gets a buffer of its own. */
export const landingCopyBytesMax = 16 * kibibyte;
/** A busy connection's buffer: the first, and what it grows to while its reads fill it. */
export const ownBufferBytesMin = 64 * kibibyte;
export const ownBufferBytesMax = mebibyte;
/** Buffers kept for the next busy connection. */
export const pooledBytesMax = 16 * mebibyte;
/** Blocks of the turn's memory kept from turn to turn. */
export const turnBlockBytes = 256 * kibibyte;
export const turnBlocksKeptMax = 8;
/** Chunks up to this size are joined before they are written: a copy costs less than another entry of a writev. */
export const joinedChunkBytesMax = 4 * kibibyte;
/** The most chunks of one writev (IOV_MAX). */
export const writevChunksMax = 1024;

assert(landingCopyBytesMax <= turnBlockBytes, "a landed read fits a block of the turn's memory");
assert(ownBufferBytesMin >= 2 * landingCopyBytesMax, "a first own buffer holds a landed read and room for another");
