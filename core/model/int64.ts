// 64-bit integers of the wire and the log as numbers, without a bigint. Never rounds in silence: a value past 2^53 reads as a
// double that Number.isSafeInteger refuses, so one check at a boundary is enough.

const two32 = 0x1_0000_0000;

/**
 * The big-endian int64 at `position`. Exact where it is a safe integer; else the nearest double, which is never a safe integer
 * (rounding cannot bring a value back below 2^53). Throws RangeError past the buffer's end, as Buffer's own readers do.
 */
export function readInt64(buffer: Buffer, position: number): number {
  return buffer.readInt32BE(position) * two32 + buffer.readUInt32BE(position + 4);
}

/** The int64 at `position`, or null where no number holds it exactly. */
export function readInt64Exact(buffer: Buffer, position: number): number | null {
  const value = readInt64(buffer, position);
  return Number.isSafeInteger(value) ? value : null;
}

/** Writes a safe integer as a big-endian int64. */
export function writeInt64(buffer: Buffer, position: number, value: number): void {
  const high = Math.floor(value / two32);
  buffer.writeInt32BE(high, position);
  buffer.writeUInt32BE(value - high * two32, position + 4);
}

/** The number that `value` is, or null where no number holds it exactly. */
export function numberFromInt64(value: bigint): number | null {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : null;
}
