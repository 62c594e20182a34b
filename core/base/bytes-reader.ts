// Reads Kafka's wire types from one buffer. Every length is checked against what is left before anything is allocated, so memory grows
// with bytes received, never with bytes declared. Copies nothing but strings: `bytes` and `records` are views that live as long as the
// buffer they were read from. Whatever is wrong with the input, it throws MalformedMessage and nothing else.
import { isUtf8 } from "node:buffer";
import { limits } from "./limits.ts";
import { type Uuid, uuidFromBytes, uuidZero } from "./uuid.ts";

/** The input is not what its format says. `reason` is for the log; it never quotes the input. */
export class MalformedMessage extends Error {
  override name = "MalformedMessage";
  readonly reason: string;
  constructor(reason: string) {
    super(`malformed message: ${reason}`);
    this.reason = reason;
  }
}

/** Longest string of the protocol: its plain length is an int16, and Kafka holds compact strings to the same. */
export const stringBytesMax = 0x7fff;

let lastUuid: Uuid = uuidZero;
const lastUuidBytes = Buffer.alloc(16);

/** Texts up to this length are kept when they were read, so many of them: names of groups and topics come again and again. */
const seenTextBytesMax = 64;
const seenTextCountMax = 512;
const seenTexts: string[] = new Array<string>(seenTextCountMax).fill("");

/** The ASCII text of these bytes; the very string that was read before where the same bytes came lately. */
function seenText(buffer: Buffer, start: number, end: number, hash: number): string {
  const slot = (hash ^ (hash >>> 15)) & (seenTextCountMax - 1);
  const seen = seenTexts[slot]!;
  const length = end - start;
  if (seen.length === length) {
    let i = 0;
    while (i < length && seen.charCodeAt(i) === buffer[start + i]) i++;
    if (i === length) return seen;
  }
  const text = buffer.toString("latin1", start, end);
  seenTexts[slot] = text;
  return text;
}

export class ByteReader {
  readonly buffer: Buffer;
  /** The next byte to read. */
  position: number;
  /** One past the last byte that may be read. */
  readonly end: number;
  /** How many more array elements may come. */
  elementsLeft: number = limits.messageElementCountMax;

  constructor(buffer: Buffer, position = 0, end = buffer.length) {
    this.buffer = buffer;
    this.position = position;
    this.end = end;
  }

  /** Bytes that are left. */
  get rest(): number {
    return this.end - this.position;
  }

  /** The position of the next `size` bytes, which are passed over; refuses when fewer are left. */
  private take(size: number): number {
    const position = this.position;
    if (size > this.end - position) throw new MalformedMessage(`${size} bytes needed, ${this.end - position} left`);
    this.position = position + size;
    return position;
  }

  bool(): boolean {
    return this.buffer[this.take(1)] !== 0;
  }

  int8(): number {
    return (this.buffer[this.take(1)]! << 24) >> 24;
  }

  int16(): number {
    const at = this.take(2);
    const buffer = this.buffer;
    return (((buffer[at]! << 8) | buffer[at + 1]!) << 16) >> 16;
  }

  uint16(): number {
    const at = this.take(2);
    const buffer = this.buffer;
    return (buffer[at]! << 8) | buffer[at + 1]!;
  }

  int32(): number {
    const at = this.take(4);
    const buffer = this.buffer;
    return (buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!;
  }

  uint32(): number {
    return this.int32() >>> 0;
  }

  int64(): bigint {
    const at = this.take(8);
    const buffer = this.buffer;
    const high = (buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!;
    // Within 53 bits one conversion is enough; it is several times cheaper than shifting bigints.
    if (high >= -0x20_0000 && high < 0x20_0000) {
      const low = (buffer[at + 4]! << 24) | (buffer[at + 5]! << 16) | (buffer[at + 6]! << 8) | buffer[at + 7]!;
      return BigInt(high * 0x1_0000_0000 + (low >>> 0));
    }
    return buffer.readBigInt64BE(at);
  }

  float64(): number {
    return this.buffer.readDoubleBE(this.take(8));
  }

  /** Runs of records and of requests name the same topic again and again: its text is made once for as long as it repeats. */
  uuid(): Uuid {
    const at = this.take(16);
    const buffer = this.buffer;
    for (let i = 0; i < 16; i++) {
      if (buffer[at + i] === lastUuidBytes[i]) continue;
      buffer.copy(lastUuidBytes, 0, at, at + 16);
      lastUuid = uuidFromBytes(buffer, at);
      break;
    }
    return lastUuid;
  }

  /** At most five bytes; the value as an unsigned 32-bit number. */
  unsignedVarint(): number {
    const buffer = this.buffer;
    const end = this.end;
    let position = this.position;
    if (position < end) {
      const first = buffer[position]!;
      if (first < 0x80) {
        this.position = position + 1;
        return first;
      }
    }
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      if (position >= end) throw new MalformedMessage("varint is cut");
      const byte = buffer[position++]!;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.position = position;
        return value >>> 0;
      }
    }
    if (position >= end) throw new MalformedMessage("varint is cut");
    const last = buffer[position++]!;
    if (last > 0x0f) throw new MalformedMessage("varint is longer than 32 bits");
    this.position = position;
    return (value | (last << 28)) >>> 0;
  }

  /** Zigzag, at most five bytes. */
  varint(): number {
    const raw = this.unsignedVarint();
    return (raw >>> 1) ^ -(raw & 1);
  }

  /** Zigzag, at most ten bytes. */
  varlong(): bigint {
    const buffer = this.buffer;
    let position = this.position;
    let low = 0;
    // The first 28 bits as a number: nearly all values end there.
    for (let shift = 0; shift < 28; shift += 7) {
      if (position >= this.end) throw new MalformedMessage("varlong is cut");
      const byte = buffer[position++]!;
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.position = position;
        return BigInt((low >>> 1) ^ -(low & 1));
      }
    }
    let raw = BigInt(low);
    for (let shift = 28n; ; shift += 7n) {
      if (position >= this.end) throw new MalformedMessage("varlong is cut");
      const byte = buffer[position++]!;
      if (shift === 63n && byte > 1) throw new MalformedMessage("varlong is longer than 64 bits");
      raw |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    this.position = position;
    return (raw >> 1n) ^ -(raw & 1n);
  }

  string(): string {
    const length = this.int16();
    if (length < 0) throw new MalformedMessage(length === -1 ? "string is null" : `string length is ${length}`);
    return this.text(length);
  }

  nullableString(): string | null {
    const length = this.int16();
    if (length < 0) {
      if (length === -1) return null;
      throw new MalformedMessage(`string length is ${length}`);
    }
    return this.text(length);
  }

  compactString(): string {
    const length = this.unsignedVarint();
    if (length === 0) throw new MalformedMessage("string is null");
    return this.text(length - 1);
  }

  compactNullableString(): string | null {
    const length = this.unsignedVarint();
    return length === 0 ? null : this.text(length - 1);
  }

  private text(length: number): string {
    if (length > stringBytesMax) throw new MalformedMessage(`string of ${length} bytes`);
    const start = this.take(length);
    const buffer = this.buffer;
    const end = start + length;
    if (length === 0) return "";
    let position = start;
    let hash = length;
    for (; position < end; position++) {
      const byte = buffer[position]!;
      if (byte >= 0x80) break;
      hash = (Math.imul(hash, 31) + byte) | 0;
    }
    if (position === end)
      return length > seenTextBytesMax ? buffer.toString("latin1", start, end) : seenText(buffer, start, end, hash);
    if (!isUtf8(buffer.subarray(position, end))) throw new MalformedMessage("string is not UTF-8");
    return buffer.toString("utf8", start, end);
  }

  /** A view of the next `length` bytes. */
  view(length: number): Buffer {
    if (length < 0) throw new MalformedMessage(`length is ${length}`);
    const start = this.take(length);
    return this.buffer.subarray(start, start + length);
  }

  bytes(): Buffer {
    const length = this.int32();
    if (length === -1) throw new MalformedMessage("bytes are null");
    return this.view(length);
  }

  nullableBytes(): Buffer | null {
    const length = this.int32();
    return length === -1 ? null : this.view(length);
  }

  compactBytes(): Buffer {
    const length = this.unsignedVarint();
    if (length === 0) throw new MalformedMessage("bytes are null");
    return this.view(length - 1);
  }

  compactNullableBytes(): Buffer | null {
    const length = this.unsignedVarint();
    return length === 0 ? null : this.view(length - 1);
  }

  /** The count of an array whose elements take at least `elementBytesMin` each; refuses what the rest cannot hold. */
  arrayCount(elementBytesMin: number): number {
    const count = this.int32();
    if (count < 0) throw new MalformedMessage(count === -1 ? "array is null" : `array count is ${count}`);
    return this.checkedCount(count, elementBytesMin);
  }

  /** -1 for null. */
  nullableArrayCount(elementBytesMin: number): number {
    const count = this.int32();
    if (count < -1) throw new MalformedMessage(`array count is ${count}`);
    return count === -1 ? -1 : this.checkedCount(count, elementBytesMin);
  }

  compactArrayCount(elementBytesMin: number): number {
    const count = this.unsignedVarint();
    if (count === 0) throw new MalformedMessage("array is null");
    return this.checkedCount(count - 1, elementBytesMin);
  }

  /** -1 for null. */
  compactNullableArrayCount(elementBytesMin: number): number {
    const count = this.unsignedVarint();
    return count === 0 ? -1 : this.checkedCount(count - 1, elementBytesMin);
  }

  private checkedCount(count: number, elementBytesMin: number): number {
    if (count * elementBytesMin > this.end - this.position) {
      throw new MalformedMessage(`array of ${count} elements in ${this.end - this.position} bytes`);
    }
    if (count > this.elementsLeft)
      throw new MalformedMessage(`array of ${count} elements, ${this.elementsLeft} may come`);
    this.elementsLeft -= count;
    return count;
  }

  /** The byte before a struct that may be null: true when a struct follows. */
  structPresent(): boolean {
    return this.int8() >= 0;
  }

  /** The same inside a tagged field, where Kafka writes null as 0 instead of -1. */
  taggedStructPresent(): boolean {
    return this.unsignedVarint() > 0;
  }

  /** How many tagged fields follow. */
  taggedFieldCount(): number {
    const count = this.unsignedVarint();
    if (count === 0) return 0;
    // A tag and a size take two bytes at least.
    if (count > limits.taggedFieldCountMax || count * 2 > this.end - this.position) {
      throw new MalformedMessage(`${count} tagged fields`);
    }
    return count;
  }

  /** The next tag, which must be above `previous` (-1 before the first). */
  taggedFieldTag(previous: number): number {
    const tag = this.unsignedVarint();
    if (tag <= previous) throw new MalformedMessage(`tag ${tag} after tag ${previous}`);
    return tag;
  }

  /** The size of the tagged field that follows, checked against the rest; the position where it ends. */
  taggedFieldEnd(): number {
    const size = this.unsignedVarint();
    if (size > this.end - this.position) throw new MalformedMessage(`tagged field of ${size} bytes, ${this.rest} left`);
    return this.position + size;
  }

  /** After a known tagged field: it must have taken exactly its size. */
  taggedFieldDone(end: number, tag: number): void {
    if (this.position !== end)
      throw new MalformedMessage(`tagged field ${tag} has ${this.position - end} bytes too many`);
  }

  /** A section in which no tag is known. */
  skipTaggedFields(): void {
    let tag = -1;
    for (let left = this.taggedFieldCount(); left > 0; left--) {
      tag = this.taggedFieldTag(tag);
      this.position = this.taggedFieldEnd();
    }
  }
}
