// 64-bit integers of the wire and the log as numbers, without a bigint. Never rounds in silence: a value past 2^53 reads as a
// double that Number.isSafeInteger refuses, so one check at a boundary is enough.

const two32 = 0x1_0000_0000;

/**
 * The big-endian int64 at `position`. Exact where it is a safe integer; else the nearest double, which is never a safe integer
 * (rounding cannot bring a value back below 2^53). Throws RangeError past the buffer's end, as Buffer's own readers do.
 */
export function readInt64(buffer: Buffer, position: number): number {
  if (!(position >= 0 && position + 8 <= buffer.length))
    throw new RangeError(`no int64 at ${position} of ${buffer.length}`);
  // Byte by byte: every batch is asked for several, and Buffer's readers check their arguments one at a time.
  const high =
    (buffer[position]! << 24) | (buffer[position + 1]! << 16) | (buffer[position + 2]! << 8) | buffer[position + 3]!;
  const low =
    (buffer[position + 4]! << 24) |
    (buffer[position + 5]! << 16) |
    (buffer[position + 6]! << 8) |
    buffer[position + 7]!;
  return high * two32 + (low >>> 0);
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
