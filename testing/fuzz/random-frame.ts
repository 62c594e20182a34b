// Random requests that follow the declarations, written by a slow writer of its own. It shares no code with the generated codecs, so that a
// frame which they read back differently is a finding. It notes where lengths, counts and tags stand, for the mutations to aim at.
import type { seededRandom } from "@blumfeld/core/base";
import {
  type Field,
  fixedBytes,
  inVersions,
  isFlexible,
  type Message,
  type Struct,
} from "../../tools/codegen/model.ts";

export type SeededRandom = ReturnType<typeof seededRandom>;

/** What a byte range of a frame means. */
export type MarkKind = "count" | "length" | "tag-count" | "tag" | "tag-size" | "api-key" | "version" | "client-id";
export type Mark = { readonly kind: MarkKind; readonly at: number; readonly bytes: number; readonly isVarint: boolean };
export type RandomFrame = { readonly bytes: Buffer; readonly marks: readonly Mark[]; readonly bodyAt: number };

const elementCountMax = 4;
const textSamples = ["", "orders", "a.b_c", "naïve ☃", "__consumer_offsets", "..", "x".repeat(300), "𝄞"];
const int64Samples = [0n, 1n, -1n, -2n, -3n, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n)];

class MarkingWriter {
  readonly parts: number[] = [];
  readonly marks: Mark[] = [];
  private readonly random: SeededRandom;

  constructor(random: SeededRandom) {
    this.random = random;
  }

  get at(): number {
    return this.parts.length;
  }
  int(value: number | bigint, bytes: number): void {
    const wide = BigInt.asUintN(bytes * 8, BigInt(value));
    for (let shift = (bytes - 1) * 8; shift >= 0; shift -= 8) this.parts.push(Number((wide >> BigInt(shift)) & 0xffn));
  }
  marked(kind: MarkKind, value: number, bytes: number): void {
    this.marks.push({ kind, at: this.at, bytes, isVarint: false });
    this.int(value, bytes);
  }
  varint(kind: MarkKind, value: number): void {
    const start = this.at;
    let rest = value >>> 0;
    while (rest > 0x7f) {
      this.parts.push((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.parts.push(rest);
    this.marks.push({ kind, at: start, bytes: this.at - start, isVarint: true });
  }
  raw(bytes: Uint8Array): void {
    for (const byte of bytes) this.parts.push(byte);
  }
  anyBytes(countMax: number): Buffer {
    return this.random.bytes(this.random.below(countMax));
  }
}

function hasDefaultNull(field: Field): boolean {
  return field.default === "null";
}

function writeText(writer: MarkingWriter, random: SeededRandom, flexible: boolean, nullable: boolean): void {
  if (nullable && random.below(4) === 0) return flexible ? writer.varint("length", 0) : writer.marked("length", -1, 2);
  const bytes = Buffer.from(textSamples[random.below(textSamples.length)]!);
  if (flexible) writer.varint("length", bytes.length + 1);
  else writer.marked("length", bytes.length, 2);
  writer.raw(bytes);
}

function writeBytes(
  writer: MarkingWriter,
  random: SeededRandom,
  flexible: boolean,
  nullable: boolean,
  sample: Buffer | null,
): void {
  if (nullable && random.below(4) === 0) return flexible ? writer.varint("length", 0) : writer.marked("length", -1, 4);
  const bytes = sample ?? writer.anyBytes(80);
  if (flexible) writer.varint("length", bytes.length + 1);
  else writer.marked("length", bytes.length, 4);
  writer.raw(bytes);
}

/** Writes one frame of a message at a version, size and header included. `recordsOf` gives a batch for a records field. */
export class FrameMaker {
  private readonly random: SeededRandom;
  private readonly recordsOf: () => Buffer;

  constructor(random: SeededRandom, recordsOf: () => Buffer) {
    this.random = random;
    this.recordsOf = recordsOf;
  }

  request(apiKey: number, version: number, message: Message, correlationId: number): RandomFrame {
    const { random } = this;
    const writer = new MarkingWriter(random);
    writer.int(0, 4);
    writer.marked("api-key", apiKey, 2);
    writer.marked("version", version, 2);
    writer.int(correlationId, 4);
    const clientId = random.below(8) === 0 ? null : Buffer.from(textSamples[random.below(textSamples.length)]!);
    writer.marked("client-id", clientId === null ? -1 : clientId.length, 2);
    if (clientId !== null) writer.raw(clientId);
    if (inVersions(message.flexible, version)) writer.varint("tag-count", 0);
    const bodyAt = writer.at;
    this.struct(writer, message, message.root, version);
    const bytes = Buffer.from(writer.parts);
    bytes.writeInt32BE(bytes.length - 4, 0);
    return { bytes, marks: writer.marks, bodyAt };
  }

  private struct(writer: MarkingWriter, message: Message, struct: Struct, version: number): void {
    const present = struct.fields.filter((field) => inVersions(field.versions, version));
    for (const field of present)
      if (!this.isTagged(message, field, version)) this.field(writer, message, field, version);
    if (!inVersions(message.flexible, version)) return;
    const tagged = present
      .filter((field) => this.isTagged(message, field, version) && this.random.below(2) === 0)
      .sort((a, b) => a.tag! - b.tag!);
    writer.varint("tag-count", tagged.length);
    for (const field of tagged) {
      const inner = new MarkingWriter(this.random);
      this.field(inner, message, field, version);
      writer.varint("tag", field.tag!);
      writer.varint("tag-size", inner.at);
      for (const mark of inner.marks) writer.marks.push({ ...mark, at: mark.at + writer.at });
      writer.raw(inner.parts as unknown as Uint8Array);
    }
  }

  private isTagged(message: Message, field: Field, version: number): boolean {
    return field.tag !== null && inVersions(message.flexible, version);
  }

  private field(writer: MarkingWriter, message: Message, field: Field, version: number): void {
    const { random } = this;
    const flexible = isFlexible(message, field, version);
    const nullable = inVersions(field.nullable, version);
    if (!field.isArray) return this.value(writer, message, field, version, nullable);
    if (nullable && (random.below(4) === 0 || (hasDefaultNull(field) && random.below(2) === 0))) {
      return flexible ? writer.varint("count", 0) : writer.marked("count", -1, 4);
    }
    const count = random.below(elementCountMax);
    if (flexible) writer.varint("count", count + 1);
    else writer.marked("count", count, 4);
    for (let i = 0; i < count; i++) this.value(writer, message, field, version, false);
  }

  private value(writer: MarkingWriter, message: Message, field: Field, version: number, nullable: boolean): void {
    const { random } = this;
    const { base } = field;
    const flexible = isFlexible(message, field, version);
    if (typeof base !== "string") {
      if (nullable) {
        if (random.below(4) === 0) return writer.int(-1, 1);
        writer.int(1, 1);
      }
      return this.struct(writer, message, base, version);
    }
    if (base === "string") return writeText(writer, random, flexible, nullable);
    if (base === "bytes") return writeBytes(writer, random, flexible, nullable, null);
    if (base === "records") return writeBytes(writer, random, flexible, nullable, this.recordsOf());
    if (base === "bool") return writer.int(random.below(2), 1);
    if (base === "int64") return writer.int(int64Samples[random.below(int64Samples.length)]!, 8);
    const bytes = fixedBytes(base)!;
    // Small numbers now and then: they are the ones that mean something (partition 0, acks 1).
    if (bytes <= 4 && random.below(2) === 0) return writer.int(random.below(4) - 1, bytes);
    writer.raw(random.bytes(bytes));
  }
}
