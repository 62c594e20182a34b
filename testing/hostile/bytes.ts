// Frames by hand: whatever no encoder would write.

/** Big-endian int16. */
export function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value & 0xffff);
  return bytes;
}

/** Big-endian int32. */
export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value | 0);
  return bytes;
}

/** The size before the bytes. */
export function framed(...pieces: readonly (Buffer | string)[]): Buffer {
  const body = Buffer.concat(pieces.map((piece) => (typeof piece === "string" ? Buffer.from(piece, "hex") : piece)));
  return Buffer.concat([int32(body.length), body]);
}

/** Key, version, correlation id 7, client id null: the header of version 1. */
export function header(apiKey: number, version: number): Buffer {
  return Buffer.concat([int16(apiKey), int16(version), int32(7), int16(-1)]);
}

export function unsignedVarint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  while (left >= 0x80) {
    bytes.push((left % 0x80) + 0x80);
    left = Math.floor(left / 0x80);
  }
  return Buffer.from([...bytes, left]);
}
