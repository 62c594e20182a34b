// Writes Kafka's wire types. One growing buffer; large pieces (record batches read from a file) are kept as they are and handed on
// without a copy, so they must not change until the result has been sent. The result's buffers belong to the caller; a writer may be
// used again for the next frame and continues behind what it handed out.
import { AssertionFailure, assert } from "./assert.ts";
import { stringBytesMax } from "./bytes-reader.ts";
import { type Uuid, uuidZero } from "./uuid.ts";

/** Pieces of at least this size are not copied into the writer's buffer. */
export const pieceBytesMin = 1024;
/** Strings up to this length are written by a loop, which beats the call into native code. */
const loopCharactersMax = 48;

export class ByteWriter {
  private readonly sizeHint: number;
  private buffer: Buffer;
  /** Where the current piece began in `buffer`. */
  private start = 0;
  private position = 0;
  /** What stands before the current piece, in order. */
  private pieces: Buffer[] = [];
  private piecesBytes = 0;
  /** Open tagged fields: their content is shifted when its size is known, so no piece may end inside one. */
  private taggedDepth = 0;

  constructor(sizeHint = 512) {
    this.sizeHint = sizeHint;
    this.buffer = Buffer.allocUnsafe(sizeHint);
  }

  /** Bytes written since the last `finish`. */
  get length(): number {
    return this.piecesBytes + this.position - this.start;
  }

  /** Makes room for `size` more bytes and returns where they go. */
  private grow(size: number): number {
    const at = this.position;
    const end = at + size;
    if (end > this.buffer.length) return this.enlarge(size);
    this.position = end;
    return at;
  }

  private enlarge(size: number): number {
    const used = this.position - this.start;
    const next = Buffer.allocUnsafe(Math.max(used * 2 + size, this.sizeHint));
    this.buffer.copy(next, 0, this.start, this.position);
    this.buffer = next;
    this.start = 0;
    this.position = used + size;
    return used;
  }

  bool(value: boolean): void {
    const at = this.grow(1);
    this.buffer[at] = value ? 1 : 0;
  }

  int8(value: number): void {
    const at = this.grow(1);
    this.buffer[at] = value;
  }

  int16(value: number): void {
    const at = this.grow(2);
    const buffer = this.buffer;
    buffer[at] = value >> 8;
    buffer[at + 1] = value;
  }

  uint16(value: number): void {
    this.int16(value);
  }

  int32(value: number): void {
    const at = this.grow(4);
    const buffer = this.buffer;
    buffer[at] = value >> 24;
    buffer[at + 1] = value >> 16;
    buffer[at + 2] = value >> 8;
    buffer[at + 3] = value;
  }

  uint32(value: number): void {
    this.int32(value | 0);
  }

  /** A number must be a safe integer; it is cheaper than a bigint of the same value. */
  int64(value: bigint | number): void {
    const at = this.grow(8);
    if (typeof value === "bigint") {
      this.buffer.writeBigInt64BE(value, at);
      return;
    }
    assert(Number.isSafeInteger(value), "an int64 given as a number is a safe integer");
    const high = Math.floor(value / 0x1_0000_0000);
    const low = value - high * 0x1_0000_0000;
    const buffer = this.buffer;
    buffer[at] = high >> 24;
    buffer[at + 1] = high >> 16;
    buffer[at + 2] = high >> 8;
    buffer[at + 3] = high;
    buffer[at + 4] = low >>> 24;
    buffer[at + 5] = low >>> 16;
    buffer[at + 6] = low >>> 8;
    buffer[at + 7] = low;
  }

  float64(value: number): void {
    const at = this.grow(8);
    this.buffer.writeDoubleBE(value, at);
  }

  uuid(value: Uuid): void {
    const at = this.grow(16);
    if (value === uuidZero) {
      this.buffer.fill(0, at, at + 16);
      return;
    }
    const written = this.buffer.write(value, at, 16, "base64url");
    assert(written === 16 && value.length === 22, "a uuid is 22 characters of base 64");
  }

  unsignedVarint(value: number): void {
    let left = value >>> 0;
    if (left < 0x80) {
      const at = this.grow(1);
      this.buffer[at] = left;
      return;
    }
    const size = unsignedVarintBytes(left);
    let at = this.grow(size);
    const buffer = this.buffer;
    while (left >= 0x80) {
      buffer[at++] = (left & 0x7f) | 0x80;
      left >>>= 7;
    }
    buffer[at] = left;
  }

  /** Zigzag. */
  varint(value: number): void {
    this.unsignedVarint((value << 1) ^ (value >> 31));
  }

  /** Zigzag. */
  varlong(value: bigint | number): void {
    let left = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n));
    while (left >= 0x80n) {
      this.int8(Number(left & 0x7fn) | 0x80);
      left >>= 7n;
    }
    this.int8(Number(left));
  }

  string(value: string): void {
    this.text(value, false);
  }

  nullableString(value: string | null): void {
    if (value === null) this.int16(-1);
    else this.text(value, false);
  }

  compactString(value: string): void {
    this.text(value, true);
  }

  compactNullableString(value: string | null): void {
    if (value === null) this.int8(0);
    else this.text(value, true);
  }

  private text(value: string, compact: boolean): void {
    const length = value.length;
    if (length <= loopCharactersMax) {
      // Written as ASCII; the first other character takes it back.
      const prefixBytes = compact ? 1 : 2;
      const at = this.grow(prefixBytes + length);
      const buffer = this.buffer;
      let index = 0;
      for (let target = at + prefixBytes; index < length; index++, target++) {
        const code = value.charCodeAt(index);
        if (code >= 0x80) break;
        buffer[target] = code;
      }
      if (index === length) {
        if (compact) buffer[at] = length + 1;
        else {
          buffer[at] = 0;
          buffer[at + 1] = length;
        }
        return;
      }
      this.position = at;
    }
    const size = Buffer.byteLength(value, "utf8");
    if (size > stringBytesMax)
      throw new AssertionFailure(`string of ${size} bytes; the protocol's strings have at most ${stringBytesMax}`);
    if (compact) this.unsignedVarint(size + 1);
    else this.int16(size);
    const at = this.grow(size);
    this.buffer.write(value, at, size, "utf8");
  }

  bytes(value: Uint8Array): void {
    this.int32(value.length);
    this.raw(value);
  }

  nullableBytes(value: Uint8Array | null): void {
    if (value === null) this.int32(-1);
    else this.bytes(value);
  }

  compactBytes(value: Uint8Array): void {
    this.unsignedVarint(value.length + 1);
    this.raw(value);
  }

  compactNullableBytes(value: Uint8Array | null): void {
    if (value === null) this.int8(0);
    else this.compactBytes(value);
  }

  records(value: Buffer | readonly Buffer[]): void {
    this.int32(recordsBytes(value));
    this.recordPieces(value);
  }

  nullableRecords(value: Buffer | readonly Buffer[] | null): void {
    if (value === null) this.int32(-1);
    else this.records(value);
  }

  compactRecords(value: Buffer | readonly Buffer[]): void {
    this.unsignedVarint(recordsBytes(value) + 1);
    this.recordPieces(value);
  }

  compactNullableRecords(value: Buffer | readonly Buffer[] | null): void {
    if (value === null) this.int8(0);
    else this.compactRecords(value);
  }

  private recordPieces(value: Buffer | readonly Buffer[]): void {
    if (Buffer.isBuffer(value)) {
      this.piece(value);
      return;
    }
    for (const one of value) this.piece(one);
  }

  /** Copies `value`. */
  raw(value: Uint8Array): void {
    const at = this.grow(value.length);
    this.buffer.set(value, at);
  }

  /** Appends `value` as it is when it is large; it must not change until the result has been sent. */
  piece(value: Buffer): void {
    if (value.length < pieceBytesMin || this.taggedDepth > 0) {
      this.raw(value);
      return;
    }
    this.cut();
    this.pieces.push(value);
    this.piecesBytes += value.length;
  }

  /** Ends the current piece. */
  private cut(): void {
    if (this.position === this.start) return;
    this.pieces.push(this.buffer.subarray(this.start, this.position));
    this.piecesBytes += this.position - this.start;
    this.start = this.position;
  }

  arrayCount(count: number): void {
    this.int32(count);
  }

  compactArrayCount(count: number): void {
    this.unsignedVarint(count + 1);
  }

  structPresent(present: boolean): void {
    this.int8(present ? 1 : -1);
  }

  /** The same inside a tagged field, where Kafka writes null as 0 instead of -1. */
  taggedStructPresent(present: boolean): void {
    this.int8(present ? 1 : 0);
  }

  /** Begins a tagged field whose size is not known yet; give the result to `taggedFieldEnd`. */
  taggedFieldBegin(tag: number): number {
    this.unsignedVarint(tag);
    this.taggedDepth++;
    this.grow(1);
    // Relative to the start: the buffer may be replaced meanwhile.
    return this.position - this.start;
  }

  taggedFieldEnd(begin: number): void {
    this.taggedDepth--;
    const content = this.start + begin;
    const size = this.position - content;
    const sizeBytes = unsignedVarintBytes(size);
    if (sizeBytes === 1) {
      this.buffer[content - 1] = size;
      return;
    }
    this.grow(sizeBytes - 1);
    const from = this.start + begin;
    this.buffer.copyWithin(from + sizeBytes - 1, from, from + size);
    const end = this.position;
    this.position = from - 1;
    this.unsignedVarint(size);
    this.position = end;
  }

  /** Leaves room for the size of a frame, which `frameEnd` fills in. */
  frameBegin(): void {
    assert(this.length === 0, "a frame begins an empty writer");
    this.grow(4);
  }

  /** Writes into the room that `frameBegin` left how many bytes follow it. */
  frameEnd(): void {
    const size = this.length - 4;
    const first = this.pieces[0];
    if (first === undefined) this.buffer.writeInt32BE(size, this.start);
    else first.writeInt32BE(size, 0);
  }

  /** Everything written, in order. The writer is then empty and may be used again. */
  finish(): Buffer[] {
    this.cut();
    const pieces = this.pieces;
    this.pieces = [];
    this.piecesBytes = 0;
    return pieces;
  }

  /** Forgets what was written since the last `finish`, as after an error in the middle of a message. */
  discard(): void {
    this.position = this.start;
    this.pieces = [];
    this.piecesBytes = 0;
    this.taggedDepth = 0;
  }

  /** Everything written in one buffer, which is a copy only where there were pieces. */
  finishContiguous(): Buffer {
    if (this.pieces.length === 0) {
      const whole = this.buffer.subarray(this.start, this.position);
      this.start = this.position;
      return whole;
    }
    return Buffer.concat(this.finish());
  }
}

function recordsBytes(value: Buffer | readonly Buffer[]): number {
  if (Buffer.isBuffer(value)) return value.length;
  let size = 0;
  for (const one of value) size += one.length;
  return size;
}

/** Bytes that `value` takes as an unsigned varint. */
export function unsignedVarintBytes(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  return value < 0x1000_0000 ? 4 : 5;
}
