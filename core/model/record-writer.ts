// The inner loops of the batch builder: varints and text, written into a buffer that is known to have room. Each returns the position
// after what it wrote.

/** Bytes of an int32 as a zigzag varint. */
export function varintBytes(value: number): number {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0;
  if (zigzag < 0x80) return 1;
  if (zigzag < 0x4000) return 2;
  if (zigzag < 0x20_0000) return 3;
  return zigzag < 0x1000_0000 ? 4 : 5;
}

export function writeVarint(buffer: Uint8Array, position: number, value: number): number {
  let at = position;
  let zigzag = (value << 1) ^ (value >> 31);
  while ((zigzag & ~0x7f) !== 0) {
    buffer[at++] = (zigzag & 0x7f) | 0x80;
    zigzag >>>= 7;
  }
  buffer[at++] = zigzag;
  return at;
}

/** Bytes of a safe integer as a zigzag varlong. */
export function varlongBytes(value: number): number {
  if (value === (value | 0)) return varintBytes(value);
  // Zigzag doubles the magnitude, so a first byte holds 64 magnitudes and each further one 128 times more.
  let magnitude = value < 0 ? -value - 1 : value;
  let bytes = 1;
  for (magnitude = Math.floor(magnitude / 64); magnitude > 0; magnitude = Math.floor(magnitude / 128)) bytes++;
  return bytes;
}

export function writeVarlong(buffer: Uint8Array, position: number, value: number): number {
  if (value === (value | 0)) return writeVarint(buffer, position, value);
  let at = position;
  const magnitude = value < 0 ? -value - 1 : value;
  // Never doubled: 2^53 doubled and made odd is no longer exact.
  let low = (magnitude % 64) * 2 + (value < 0 ? 1 : 0);
  let rest = Math.floor(magnitude / 64);
  while (rest > 0) {
    buffer[at++] = low | 0x80;
    low = rest % 128;
    rest = Math.floor(rest / 128);
  }
  buffer[at++] = low;
  return at;
}

/** Above this the native calls win over a loop. */
const shortTextCharacters = 40;
const shortBytes = 24;

/** Bytes of `text` as UTF-8. */
export function textBytes(text: string): number {
  const { length } = text;
  if (length > shortTextCharacters) return Buffer.byteLength(text);
  for (let index = 0; index < length; index++) if (text.charCodeAt(index) > 0x7f) return Buffer.byteLength(text);
  return length;
}

/** Writes `text`, which is `byteLength` bytes of UTF-8. */
export function writeText(buffer: Buffer, position: number, text: string, byteLength: number): number {
  if (byteLength !== text.length || byteLength > shortTextCharacters) {
    buffer.write(text, position, byteLength, byteLength === text.length ? "latin1" : "utf8");
    return position + byteLength;
  }
  for (let index = 0; index < byteLength; index++) buffer[position + index] = text.charCodeAt(index);
  return position + byteLength;
}

export function writeBytes(buffer: Buffer, position: number, bytes: Uint8Array): number {
  const { length } = bytes;
  if (length > shortBytes) buffer.set(bytes, position);
  else for (let index = 0; index < length; index++) buffer[position + index] = bytes[index]!;
  return position + length;
}
