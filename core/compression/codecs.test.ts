// The codecs on what they write themselves, on joined, cut and foreign inputs, and on bombs. Frames that no library here writes are put
// together by hand from the formats' specifications.
import * as zlib from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Codec, codecById, codecByName, codecs, DecompressionProblem, isCodecName } from "./index.ts";
import { xxhash32 } from "./xxhash32.ts";
import { zstdOn } from "./zstd.ts";
import { zstdNodeLibrary, zstdPackageLibrary } from "./zstd-library.ts";

const mebibyte = 1024 * 1024;
const gzip = codecByName("gzip")!;
const snappy = codecByName("snappy")!;
const lz4 = codecByName("lz4")!;
const node = zstdNodeLibrary();
const zstds: [string, Codec][] = [["zstd (package)", zstdOn(zstdPackageLibrary)]];
if (node !== null) zstds.push(["zstd (node)", zstdOn(() => node)]);
const packing: [string, Codec][] = [["gzip", gzip], ["snappy", snappy], ["lz4", lz4], ...zstds];

async function both(codec: Codec, bytes: Buffer, outputBytesMax: number): Promise<Buffer | string> {
  const now = codec.decompress(bytes, { outputBytesMax });
  const later = await codec.decompressLater(bytes, { outputBytesMax });
  if (now instanceof DecompressionProblem) {
    expect((later as DecompressionProblem).code).toBe(now.code);
    return now.code;
  }
  expect(now.equals(later as Buffer)).toBe(true);
  return now;
}

/** Compares by memory: the matcher's walk over a large buffer takes a second. */
function expectBytes(output: Buffer | string, expected: Uint8Array): void {
  if (typeof output === "string") expect(output).toBe("bytes");
  else if (!output.equals(expected)) expect(output).toEqual(expected);
}

/** Text that packs well in parts: runs, repeats, noise. */
const payload = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc
        .tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 1, max: 70_000 }))
        .map(([b, n]) => Buffer.alloc(n, b)),
      fc.tuple(fc.string({ minLength: 1 }), fc.integer({ min: 1, max: 500 })).map(([s, n]) => Buffer.from(s.repeat(n))),
    ),
    { maxLength: 8 },
  )
  .map((pieces) => Buffer.concat(pieces));

test("ids and names are Kafka's; ids 5 to 7 and other names are nothing", () => {
  expect(codecs.map((codec) => [codec.id, codec.name])).toEqual([
    [0, "none"],
    [1, "gzip"],
    [2, "snappy"],
    [3, "lz4"],
    [4, "zstd"],
  ]);
  expect([5, 6, 7].map(codecById)).toEqual([null, null, null]);
  expect(codecByName("producer")).toBeNull();
  expect([isCodecName("zstd"), isCodecName("uncompressed")]).toEqual([true, false]);
});

describe.each(packing)("%s", (_name, codec) => {
  test("gives back what it packed, at once and later, at exactly the bound and not below", async () => {
    await fc.assert(
      fc.asyncProperty(payload, async (bytes) => {
        const packed = codec.compress(bytes);
        expectBytes(await both(codec, packed, bytes.length), bytes);
        expectBytes(await both(codec, await codec.compressLater(bytes), bytes.length), bytes);
        if (bytes.length > 0) expect(await both(codec, packed, bytes.length - 1)).toBe("too-large");
      }),
      { numRuns: 40 },
    );
  });

  test("packs at every end of its levels", () => {
    const bytes = Buffer.from("level ".repeat(1000));
    for (const level of codec.levels === null
      ? []
      : [codec.levels.minimum, codec.levels.maximum, codec.levels.default]) {
      expect(codec.decompress(codec.compress(bytes, level), { outputBytesMax: bytes.length })).toEqual(bytes);
    }
  });

  test("a cut input is corrupt wherever it is cut", async () => {
    const bytes = Buffer.from("cut somewhere ".repeat(20));
    const packed = codec.compress(bytes);
    for (let length = 0; length < packed.length; length++) {
      const output = await both(codec, packed.subarray(0, length), bytes.length);
      // A snappy stream without chunks is whole, and of nothing.
      if (codec.id === 2 && length === 16) expectBytes(output, Buffer.alloc(0));
      else expect([length, output]).toEqual([length, "corrupt"]);
    }
  });

  test("a damaged input gives a problem or bytes within the bound, and never throws", () => {
    const packed = codec.compress(Buffer.from("damage ".repeat(300)));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(packed.length - 1), fc.nat(255)), { minLength: 1, maxLength: 5 }),
        (flips) => {
          const damaged = Buffer.from(packed);
          for (const [at, byte] of flips) damaged[at] = byte;
          const output = codec.decompress(damaged, { outputBytesMax: 5000 });
          if (!(output instanceof DecompressionProblem)) expect(output.length).toBeLessThanOrEqual(5000);
        },
      ),
      { numRuns: 300 },
    );
  });

  test("noise is a problem", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), (noise) => {
        const output = codec.decompress(noise, { outputBytesMax: 4400 });
        // A raw snappy block has neither magic nor checksum, so noise may be one.
        if (codec.id !== 2) expect(output).toBeInstanceOf(DecompressionProblem);
      }),
    );
  });

  test("joined outputs are read as one", async () => {
    const one = Buffer.from("one and ".repeat(50));
    const other = Buffer.from("the other");
    const joined = Buffer.concat([codec.compress(one), codec.compress(other)]);
    const whole = Buffer.concat([one, other]);
    expectBytes(await both(codec, joined, whole.length), whole);
    expect(await both(codec, joined, whole.length - 1)).toBe("too-large");
  });
});

describe("snappy", () => {
  test("one raw block is read, as clients without Java's framing send it", async () => {
    // Length 11, then a literal of 11 bytes.
    const raw = Buffer.concat([Buffer.from([11, 10 << 2]), Buffer.from("hello world")]);
    expectBytes(await both(snappy, raw, 11), Buffer.from("hello world"));
    expect(await both(snappy, raw, 10)).toBe("too-large");
  });

  test("is written as Java's stream: its header, then chunks of at most 32 KiB", () => {
    const packed = snappy.compress(Buffer.alloc(70_000));
    expect(packed.subarray(0, 16).toString("hex")).toBe("82534e41505059000000000100000001");
    let chunks = 0;
    for (let at = 16; at < packed.length; at += 4 + packed.readInt32BE(at)) chunks++;
    expect(chunks).toBe(3);
  });

  test.each(["7fffffff", "ffffffff", "80000000"])(
    "a chunk length of 0x%s is corrupt (CVE-2023-34455)",
    async (length) => {
      const bytes = Buffer.from(`82534e41505059000000000100000001${length}`, "hex");
      expect(await both(snappy, bytes, 100 * mebibyte)).toBe("corrupt");
    },
  );

  test("a block that declares more than it can hold is corrupt, before anything is allocated", async () => {
    expect(await both(snappy, Buffer.from("ffffffff0f00", "hex"), 2 ** 33)).toBe("corrupt");
    expect(await both(snappy, Buffer.from("ffffffffff0f00", "hex"), 2 ** 33)).toBe("corrupt");
  });
});

/** An LZ4 frame from its parts; blocks are stored, not compressed, unless given with their size word. */
function lz4Frame(options: {
  flags: number;
  contentBytes?: number;
  checksumOverMagic?: boolean;
  body: Buffer;
}): Buffer {
  const size = Buffer.alloc(options.contentBytes === undefined ? 0 : 8);
  if (options.contentBytes !== undefined) size.writeBigUInt64LE(BigInt(options.contentBytes));
  const magic = Buffer.from("04224d18", "hex");
  const descriptor = Buffer.concat([Buffer.from([options.flags, 0x40]), size]);
  const hashed = options.checksumOverMagic === true ? Buffer.concat([magic, descriptor]) : descriptor;
  return Buffer.concat([
    magic,
    descriptor,
    Buffer.from([(xxhash32(hashed) >>> 8) & 0xff]),
    options.body,
    Buffer.alloc(4),
  ]);
}

function storedBlock(text: string): Buffer {
  const word = Buffer.alloc(4);
  word.writeUInt32LE(0x8000_0000 + text.length);
  return Buffer.concat([word, Buffer.from(text)]);
}

describe("lz4", () => {
  test("xxHash32 gives the published answers", () => {
    expect(xxhash32(Buffer.from(""))).toBe(0x02cc5d05);
    expect(xxhash32(Buffer.from("a"))).toBe(0x550d7456);
    expect(xxhash32(Buffer.from("Nobody inspects the spammish repetition"))).toBe(0xe2293b2f);
  });

  test("a frame with its right header checksum, a content size, a wrong content size", async () => {
    const body = storedBlock("stored");
    expectBytes(await both(lz4, lz4Frame({ flags: 0x60, body }), 100), Buffer.from("stored"));
    expectBytes(await both(lz4, lz4Frame({ flags: 0x68, contentBytes: 6, body }), 100), Buffer.from("stored"));
    expect(await both(lz4, lz4Frame({ flags: 0x68, contentBytes: 7, body }), 100)).toBe("corrupt");
    expect(await both(lz4, lz4Frame({ flags: 0x68, contentBytes: 2 ** 50, body }), 100)).toBe("corrupt");
  });

  test("a header checksum over the magic too, as very old clients wrote it, is read; any other is not", async () => {
    const old = lz4Frame({ flags: 0x60, checksumOverMagic: true, body: storedBlock("old") });
    expect(old[6]).not.toBe(lz4Frame({ flags: 0x60, body: storedBlock("old") })[6]);
    const before = Buffer.from(old);
    expectBytes(await both(lz4, old, 100), Buffer.from("old"));
    expect(old).toEqual(before);
    old[6] = (old[6]! + 1) & 0xff;
    expect(await both(lz4, old, 100)).toBe("corrupt");
  });

  test("block and content checksums are checked", async () => {
    const text = "checked ".repeat(40);
    const library = (await import("lz4-napi")) as unknown as {
      compressFrameSync(b: Buffer, o: { contentChecksum: boolean; blockChecksums: boolean }): Buffer;
    };
    for (const options of [
      { contentChecksum: true, blockChecksums: false },
      { contentChecksum: false, blockChecksums: true },
    ]) {
      const packed = library.compressFrameSync(Buffer.from(text), options);
      expectBytes(await both(lz4, packed, 1000), Buffer.from(text));
      const at = options.contentChecksum ? packed.length - 1 : packed.length - 5;
      packed[at]! ^= 0xff;
      expect(await both(lz4, packed, 1000)).toBe("corrupt");
    }
  });

  test("frames whose blocks build on the ones before are read", async () => {
    // Version 1, linked blocks: the second block copies six bytes from the first.
    const copy = Buffer.from([0x02, 6, 0, 0x50, ...Buffer.from("after")]);
    const word = Buffer.alloc(4);
    word.writeUInt32LE(copy.length);
    const body = Buffer.concat([storedBlock("before"), word, copy]);
    expectBytes(await both(lz4, lz4Frame({ flags: 0x40, body }), 100), Buffer.from("beforebeforeafter"));
  });

  test("bytes after the frame are corrupt", async () => {
    const bytes = Buffer.concat([lz4.compress(Buffer.from("x")), Buffer.from("garbage!")]);
    expect(await both(lz4, bytes, 100)).toBe("corrupt");
  });
});

function zstdBlock(type: number, size: number, isLast: boolean, body: Buffer): Buffer {
  const word = Buffer.alloc(3);
  word.writeUIntLE((size << 3) | (type << 1) | (isLast ? 1 : 0), 0, 3);
  return Buffer.concat([word, body]);
}

/** A frame of runs: `blocks` times `runBytes` of the letter x, four bytes each. */
function zstdRuns(header: string, blocks: number, runBytes = 128 * 1024): Buffer {
  const pieces: Uint8Array[] = [Buffer.from(`28b52ffd${header}`, "hex")];
  for (let block = 0; block < blocks; block++) {
    pieces.push(zstdBlock(1, runBytes, block === blocks - 1, Buffer.from("x")));
  }
  return Buffer.concat(pieces);
}

describe.each(zstds)("%s", (_name, zstd) => {
  test("a frame without a content size is read", async () => {
    // No content size, window 128 KiB: as Java's stream begins.
    expectBytes(await both(zstd, zstdRuns("0038", 3), 3 * 128 * 1024), Buffer.alloc(3 * 128 * 1024, "x"));
  });

  test("a window above 128 MiB is corrupt, 2 GiB and more too", async () => {
    expectBytes(await both(zstd, zstdRuns("0088", 1), mebibyte), Buffer.alloc(128 * 1024, "x"));
    expect(await both(zstd, zstdRuns("0089", 1), mebibyte)).toBe("corrupt");
    expect(await both(zstd, zstdRuns("00a8", 1), mebibyte)).toBe("corrupt");
    expect(await both(zstd, zstdRuns("00ff", 1), mebibyte)).toBe("corrupt");
  });

  test("a declared size above the bound is too large, one that the blocks cannot give corrupt", async () => {
    const declared = Buffer.alloc(8);
    declared.writeBigUInt64LE(BigInt(128 * 1024));
    expect(await both(zstd, zstdRuns(`e0${declared.toString("hex")}`, 1), 128 * 1024 - 1)).toBe("too-large");
    expectBytes(
      await both(zstd, zstdRuns(`e0${declared.toString("hex")}`, 1), 128 * 1024),
      Buffer.alloc(128 * 1024, "x"),
    );
    declared.writeBigUInt64LE(2n ** 60n);
    expect(await both(zstd, zstdRuns(`e0${declared.toString("hex")}`, 1), mebibyte)).toBe("corrupt");
  });

  test("a declared size below what comes is corrupt or too large, and stays bounded", async () => {
    const declared = Buffer.alloc(8);
    declared.writeBigUInt64LE(128n * 1024n);
    const output = await both(zstd, zstdRuns(`e0${declared.toString("hex")}`, 400), mebibyte);
    expect(["corrupt", "too-large"]).toContain(output);
  });

  test("many small blocks that could pass the bound but do not are read", async () => {
    // Each compressed block below may give 128 KiB by its header, and gives 100 bytes: a run as the literals, no sequences.
    const literals = Buffer.alloc(2);
    literals.writeUInt16LE((100 << 4) | 0x05);
    const block = Buffer.concat([literals, Buffer.from("y"), Buffer.from([0])]);
    const pieces: Uint8Array[] = [Buffer.from("28b52ffd0058", "hex")];
    for (let at = 0; at < 500; at++) pieces.push(zstdBlock(2, block.length, at === 499, block));
    const bytes = Buffer.concat(pieces);
    const whole = Buffer.alloc(50_000, "y");
    expectBytes(await both(zstd, bytes, 50_000), whole);
    expectBytes(await both(zstd, bytes, mebibyte), whole);
    expectBytes(await both(zstd, bytes, 64 * mebibyte), whole);
    expect(await both(zstd, bytes, 49_999)).toBe("too-large");
  });

  test("skippable frames are skipped, bytes after the frames are corrupt", async () => {
    const skippable = Buffer.from("502a4d180300000000000a", "hex");
    const frame = zstd.compress(Buffer.from("payload"));
    expectBytes(await both(zstd, Buffer.concat([skippable, frame, skippable]), 7), Buffer.from("payload"));
    expect(await both(zstd, Buffer.concat([frame, Buffer.from("garbage!")]), 7)).toBe("corrupt");
    expect(await both(zstd, skippable, 7)).toBe("corrupt");
  });

  test("more than 1024 frames are corrupt", async () => {
    const frame = zstd.compress(Buffer.from("x"));
    expectBytes(await both(zstd, Buffer.concat(Array(1024).fill(frame)), 1024), Buffer.alloc(1024, "x"));
    expect(await both(zstd, Buffer.concat(Array(1025).fill(frame)), 2000)).toBe("corrupt");
  });
});

describe("bombs take no more memory than about twice the bound", () => {
  const outputBytesMax = 4 * mebibyte;
  const slackBytes = 24 * mebibyte;
  const gzipMember = zlib.gzipSync(Buffer.alloc(8 * mebibyte), { level: 9 });
  // 4 MiB from one literal and one match, 16 KiB of length bytes.
  const lz4Body = (() => {
    const lengthBytes = Math.floor((4 * mebibyte - 20 - 19) / 255);
    const block = Buffer.concat([
      Buffer.from([0x1f, 0x61, 1, 0]),
      Buffer.alloc(lengthBytes, 255),
      Buffer.from([0, 0x50]),
    ]);
    const whole = Buffer.concat([block, Buffer.from("tail!")]);
    const word = Buffer.alloc(4);
    word.writeUInt32LE(whole.length);
    return Buffer.concat([word, whole]);
  })();
  const lz4Bomb = (blocks: number) => {
    const header = Buffer.from("04224d186070", "hex");
    const checksum = Buffer.from([(xxhash32(header.subarray(4)) >>> 8) & 0xff]);
    return Buffer.concat([header, checksum, ...Array(blocks).fill(lz4Body), Buffer.alloc(4)]);
  };
  const snappyChunk = snappy.compress(Buffer.alloc(32 * 1024)).subarray(16);
  const bombs: [string, Codec, Buffer][] = [
    ["gzip", gzip, Buffer.concat(Array(64).fill(gzipMember))],
    ["snappy", snappy, Buffer.concat([snappy.compress(Buffer.alloc(0)), ...Array(16_384).fill(snappyChunk)])],
    ["lz4", lz4, lz4Bomb(128)],
    ...zstds.map(([name, codec]): [string, Codec, Buffer] => [name, codec, zstdRuns("0058", 4096)]),
    ...zstds.map(([name, codec]): [string, Codec, Buffer] => [
      `${name}, an honest start`,
      codec,
      Buffer.concat([
        Buffer.from("28b52ffd0058", "hex"),
        zstdBlock(0, 1, false, Buffer.from("x")),
        zstdRuns("0058", 4096).subarray(6),
      ]),
    ]),
  ];

  test.each(bombs)("%s, 512 MiB packed", async (_name, codec, bomb) => {
    const before = process.resourceUsage().maxRSS;
    expect(codec.decompress(bomb, { outputBytesMax })).toMatchObject({ code: "too-large" });
    expect(await codec.decompressLater(bomb, { outputBytesMax })).toMatchObject({ code: "too-large" });
    const grownBytes = (process.resourceUsage().maxRSS - before) * 1024;
    expect(grownBytes).toBeLessThan(2 * outputBytesMax + slackBytes);
  });

  test("the lz4 bomb is a frame, so that its refusal is not for being malformed", () => {
    const output = lz4.decompress(lz4Bomb(1), { outputBytesMax });
    expect((output as Buffer).length).toBeGreaterThan(3.9 * mebibyte);
  });
});
