// What the wire types look like in bytes is judged by Kafka's vectors (core/protocol). Here: the edges that those do not reach, what is
// refused and before what is allocated, and that pieces of a frame come out in order.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ByteReader, ByteWriter, limits, MalformedMessage, pieceBytesMin, stringBytesMax, type Uuid } from "./index.ts";

const reader = (hex: string): ByteReader => new ByteReader(Buffer.from(hex.replaceAll(" ", ""), "hex"));
const written = (write: (writer: ByteWriter) => void, sizeHint = 1): string => {
  const writer = new ByteWriter(sizeHint);
  write(writer);
  return writer.finishContiguous().toString("hex");
};

describe("malformed input is refused by name", () => {
  const cases: [string, string, (reader: ByteReader) => unknown, string][] = [
    ["an int8 of nothing", "", (r) => r.int8(), "1 bytes needed, 0 left"],
    ["an int16 cut", "01", (r) => r.int16(), "2 bytes needed, 1 left"],
    ["an int32 cut", "010203", (r) => r.int32(), "4 bytes needed, 3 left"],
    ["an int64 cut", "01020304050607", (r) => r.int64(), "8 bytes needed, 7 left"],
    ["a float64 cut", "01020304050607", (r) => r.float64(), "8 bytes needed, 7 left"],
    ["a uuid cut", "00".repeat(15), (r) => r.uuid(), "16 bytes needed, 15 left"],
    ["a varint cut", "8080", (r) => r.unsignedVarint(), "varint is cut"],
    ["a varint of nothing", "", (r) => r.unsignedVarint(), "varint is cut"],
    ["a varint of six bytes", "808080808001", (r) => r.unsignedVarint(), "longer than 32 bits"],
    ["a varint of 33 bits", "ffffffff1f", (r) => r.unsignedVarint(), "longer than 32 bits"],
    ["a varlong cut", "ffffffffffff", (r) => r.varlong(), "varlong is cut"],
    ["a varlong of eleven bytes", `${"80".repeat(10)}01`, (r) => r.varlong(), "longer than 64 bits"],
    ["a varlong of 65 bits", `${"ff".repeat(9)}02`, (r) => r.varlong(), "longer than 64 bits"],
    ["a string longer than the rest", "0005 61626364", (r) => r.string(), "5 bytes needed, 4 left"],
    ["a null string", "ffff", (r) => r.string(), "string is null"],
    ["a string of length -2", "fffe", (r) => r.nullableString(), "string length is -2"],
    ["a compact string longer than the rest", "06 61626364", (r) => r.compactString(), "5 bytes needed, 4 left"],
    ["a null compact string", "00", (r) => r.compactString(), "string is null"],
    ["a compact string of 2^31", "8180808008", (r) => r.compactNullableString(), "string of 2147483648 bytes"],
    ["a string that is not UTF-8", "0003 61c328", (r) => r.string(), "not UTF-8"],
    ["a string that ends inside a character", "0003 61e298", (r) => r.string(), "not UTF-8"],
    ["an encoded surrogate", "04 eda080", (r) => r.compactString(), "not UTF-8"],
    ["bytes longer than the rest", "7fffffff 00", (r) => r.bytes(), "2147483647 bytes needed, 1 left"],
    ["null bytes", "ffffffff", (r) => r.bytes(), "bytes are null"],
    ["bytes of length -2", "fffffffe", (r) => r.nullableBytes(), "length is -2"],
    ["compact bytes longer than the rest", "ffffffff0f 00", (r) => r.compactBytes(), "bytes needed, 1 left"],
    ["null compact bytes", "00", (r) => r.compactBytes(), "bytes are null"],
    ["an array of 2^31-1", "7fffffff 00000000", (r) => r.arrayCount(4), "array of 2147483647 elements in 4 bytes"],
    ["an array of -5", "fffffffb", (r) => r.nullableArrayCount(4), "array count is -5"],
    ["a null array", "ffffffff", (r) => r.arrayCount(4), "array is null"],
    [
      "one element more than fits",
      "00000003 0000000000000000",
      (r) => r.arrayCount(4),
      "array of 3 elements in 8 bytes",
    ],
    ["a compact array of 2^32-2", "ffffffff0f 00", (r) => r.compactArrayCount(1), "array of 4294967294 elements"],
    ["a null compact array", "00", (r) => r.compactArrayCount(1), "array is null"],
    ["more tagged fields than fit", "03 0000 00", (r) => r.taggedFieldCount(), "3 tagged fields"],
    ["tags out of order", "02 0100 0000", (r) => r.skipTaggedFields(), "tag 0 after tag 1"],
    ["a tag twice", "02 0100 0100", (r) => r.skipTaggedFields(), "tag 1 after tag 1"],
    [
      "a tagged field longer than the rest",
      "01 0005 00",
      (r) => r.skipTaggedFields(),
      "tagged field of 5 bytes, 1 left",
    ],
  ];
  test.each(cases)("%s", (_what, hex, read, reason) => {
    let error: unknown;
    try {
      read(reader(hex));
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(MalformedMessage);
    expect((error as MalformedMessage).reason).toContain(reason);
  });

  test("20 million tagged fields are refused by count, though there is room for them", () => {
    const count = limits.taggedFieldCountMax + 1;
    const bytes = Buffer.alloc(count * 4);
    const writer = new ByteWriter();
    writer.unsignedVarint(count);
    writer.finishContiguous().copy(bytes);
    expect(() => new ByteReader(bytes).taggedFieldCount()).toThrow(`${count} tagged fields`);
  });

  test("more array elements than one message may have are refused, though there is room for them", () => {
    const one = reader(`00000002 0102 00000003 010203 00000001 01`);
    one.elementsLeft = 5;
    expect([one.arrayCount(1), one.view(2), one.arrayCount(1), one.view(3)].length).toBe(4);
    expect(() => one.arrayCount(1)).toThrow("array of 1 elements, 0 may come");
  });

  test("a reader ends where it was told, not where its buffer does", () => {
    const bounded = new ByteReader(Buffer.from("0001020304", "hex"), 1, 3);
    expect(bounded.int16()).toBe(0x0102);
    expect(() => bounded.int8()).toThrow(MalformedMessage);
  });

  test("whatever the bytes are, nothing else is thrown", () => {
    const reads: ((reader: ByteReader) => unknown)[] = cases.map(([, , read]) => read);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(reads.length - 1), (bytes, which) => {
        const one = new ByteReader(Buffer.from(bytes));
        try {
          reads[which]!(one);
        } catch (error) {
          if (!(error instanceof MalformedMessage)) throw error;
        }
        expect(one.position).toBeLessThanOrEqual(one.end);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("values at their edges", () => {
  test.each([
    [0n, "0000000000000000"],
    [-1n, "ffffffffffffffff"],
    [9007199254740991n, "001fffffffffffff"],
    [9007199254740993n, "0020000000000001"],
    [-9007199254740993n, "ffdfffffffffffff"],
    [9223372036854775807n, "7fffffffffffffff"],
    [-9223372036854775808n, "8000000000000000"],
  ])("int64 %s", (value, hex) => {
    expect(reader(hex).int64()).toBe(value);
    expect(written((writer) => writer.int64(value))).toBe(hex);
    if (value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER) {
      expect(written((writer) => writer.int64(Number(value)))).toBe(hex);
    }
  });

  test("an int64 that is no safe integer is our mistake", () => {
    for (const value of [2 ** 53, 0.5, Number.NaN]) expect(() => new ByteWriter().int64(value)).toThrow("safe integer");
  });

  // Zigzag and base 128 by their definition, with bigints throughout.
  const zigzag = (value: bigint): string => {
    let left = value >= 0n ? value * 2n : -value * 2n - 1n;
    const bytes: number[] = [];
    do {
      bytes.push(Number(left % 128n) + (left >= 128n ? 128 : 0));
      left /= 128n;
    } while (left > 0n);
    return Buffer.from(bytes).toString("hex");
  };

  test("varint and varlong follow their definition", () => {
    fc.assert(
      fc.property(fc.integer(), (value) => {
        const hex = zigzag(BigInt(value));
        expect(written((writer) => writer.varint(value))).toBe(hex);
        expect(reader(hex).varint()).toBe(value);
      }),
    );
    const edges = [-(2n ** 63n), 2n ** 63n - 1n, 2n ** 27n, -(2n ** 27n) - 1n, 0n, -1n];
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
        const hex = zigzag(value);
        expect(written((writer) => writer.varlong(value))).toBe(hex);
        expect(reader(hex).varlong()).toBe(value);
      }),
      { examples: edges.map((edge) => [edge]) },
    );
  });

  test("a string of any length and script is what Buffer makes of it", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 300 }), (value) => {
        const bytes = Buffer.from(value, "utf8");
        const plain = written((writer) => writer.string(value));
        expect(plain).toBe(bytes.length.toString(16).padStart(4, "0") + bytes.toString("hex"));
        expect(reader(plain).string()).toBe(value);
        expect(reader(written((writer) => writer.compactString(value))).compactString()).toBe(value);
      }),
    );
  });

  test("the longest string is written, a longer one is not", () => {
    expect(reader(written((writer) => writer.compactString("x".repeat(stringBytesMax)))).compactString().length).toBe(
      stringBytesMax,
    );
    expect(() => new ByteWriter().string("x".repeat(stringBytesMax + 1))).toThrow("at most 32767");
    expect(() => new ByteWriter().string("é".repeat(stringBytesMax))).toThrow("65534 bytes");
  });

  test("a uuid that is none is our mistake", () => {
    expect(() => new ByteWriter().uuid("short" as Uuid)).toThrow("22 characters");
  });

  test("bytes are views", () => {
    const bytes = Buffer.from("0000000201020304", "hex");
    const view = new ByteReader(bytes).bytes();
    bytes[4] = 9;
    expect(view).toEqual(Buffer.from([9, 2]));
  });
});

describe("tagged fields", () => {
  test.each([0, 1, 127, 128, 16383, 16384])("content of %d bytes is moved to where its size leaves room", (size) => {
    const content = Buffer.alloc(size, 7);
    const hex = written((writer) => {
      writer.int8(5);
      const begin = writer.taggedFieldBegin(3);
      writer.raw(content);
      writer.taggedFieldEnd(begin);
      writer.int8(6);
    });
    const back = reader(hex);
    expect([back.int8(), back.taggedFieldTag(-1)]).toEqual([5, 3]);
    expect(back.taggedFieldEnd() - back.position).toBe(size);
    expect(back.view(size)).toEqual(content);
    expect([back.int8(), back.rest]).toEqual([6, 0]);
  });

  test("one inside another", () => {
    const hex = written((writer) => {
      const outer = writer.taggedFieldBegin(0);
      const inner = writer.taggedFieldBegin(1);
      writer.raw(Buffer.alloc(200, 1));
      writer.taggedFieldEnd(inner);
      writer.taggedFieldEnd(outer);
    });
    expect(hex).toBe(`00cb0101c801${"01".repeat(200)}`);
  });

  test("a known tag must take exactly its size", () => {
    expect(() => reader("0000").taggedFieldDone(2, 4)).toThrow("tagged field 4");
  });
});

describe("pieces", () => {
  const large = Buffer.alloc(pieceBytesMin, 0xaa);
  const small = Buffer.alloc(pieceBytesMin - 1, 0xbb);

  test("a large one is passed on as it is, a small one is copied", () => {
    const writer = new ByteWriter(1);
    writer.frameBegin();
    writer.compactRecords([small, large, small]);
    writer.int8(1);
    expect(writer.length).toBe(4 + 2 + small.length * 2 + large.length + 1);
    writer.frameEnd();
    const pieces = writer.finish();
    expect(pieces.length).toBe(3);
    expect(pieces[1]).toBe(large);
    const whole = Buffer.concat(pieces);
    expect(whole.readInt32BE(0)).toBe(whole.length - 4);
    expect(new ByteReader(whole, 4).compactBytes()).toEqual(Buffer.concat([small, large, small]));
  });

  test("a writer goes on behind what it handed out", () => {
    const writer = new ByteWriter(64);
    const frames: Buffer[][] = [];
    for (let index = 0; index < 20; index++) {
      writer.frameBegin();
      writer.int32(index);
      if (index % 3 === 0) writer.records(large);
      writer.frameEnd();
      frames.push(writer.finish());
      expect(writer.length).toBe(0);
    }
    for (const [index, pieces] of frames.entries()) {
      const whole = Buffer.concat(pieces);
      expect([whole.readInt32BE(0), whole.readInt32BE(4)]).toEqual([whole.length - 4, index]);
    }
  });

  test("what was begun can be dropped", () => {
    const writer = new ByteWriter(16);
    writer.frameBegin();
    writer.taggedFieldBegin(0);
    writer.piece(large);
    writer.discard();
    writer.int8(1);
    writer.piece(large);
    expect(writer.finish()).toEqual([Buffer.from([1]), large]);
  });

  test("records of several buffers, or none", () => {
    expect(written((writer) => writer.nullableRecords(null))).toBe("ffffffff");
    expect(written((writer) => writer.compactNullableRecords(null))).toBe("00");
    expect(written((writer) => writer.records([]))).toBe("00000000");
    expect(written((writer) => writer.records([Buffer.from([1]), Buffer.from([2])]))).toBe("000000020102");
  });
});
