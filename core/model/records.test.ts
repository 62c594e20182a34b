// Builder and cursor against a slow, obvious model of the format (bigint, one array of bytes), on arbitrary records and damaged bytes.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  batchDamage,
  batchRefusal,
  cursorHeaders,
  cursorRecord,
  iterateRecords,
  type LogRecord,
  MalformedRecords,
  RecordBatchBuilder,
  RecordBatchView,
  RecordCursor,
  type RecordHeaderInput,
  readRecords,
  recordBytesMax,
  validateRecords,
} from "./index.ts";
import { varintBytes, varlongBytes } from "./record-writer.ts";

// --- the model -----------------------------------------------------------------------------------------------------------------------

interface ModelRecord {
  timestamp: number;
  offsetDelta: number;
  key: Buffer | null;
  value: Buffer | null;
  headers: { key: string; value: Buffer | null }[];
}

function modelVarlong(value: bigint): number[] {
  let zigzag = BigInt.asUintN(64, value >= 0n ? value << 1n : (-value << 1n) - 1n);
  const bytes: number[] = [];
  while (zigzag > 127n) {
    bytes.push(Number(zigzag & 127n) + 128);
    zigzag >>= 7n;
  }
  return [...bytes, Number(zigzag)];
}

function modelBytes(bytes: Buffer | null): number[] {
  return bytes === null ? modelVarlong(-1n) : [...modelVarlong(BigInt(bytes.length)), ...bytes];
}

function modelRecord(record: ModelRecord, baseTimestamp: number): number[] {
  const body = [
    0,
    ...modelVarlong(BigInt(record.timestamp) - BigInt(baseTimestamp)),
    ...modelVarlong(BigInt(record.offsetDelta)),
    ...modelBytes(record.key),
    ...modelBytes(record.value),
    ...modelVarlong(BigInt(record.headers.length)),
    ...record.headers.flatMap((header) => [...modelBytes(Buffer.from(header.key)), ...modelBytes(header.value)]),
  ];
  return [...modelVarlong(BigInt(body.length)), ...body];
}

/** What the record bytes hold by a reading that trusts nothing, or null where they are not exactly `count` records. */
function modelRead(bytes: Buffer, count: number): { delta: bigint; offset: number; fields: unknown[] }[] | null {
  let at = 0;
  const varint = (limit: number, bytesMax: number): bigint => {
    let value = 0n;
    for (let index = 0; index < bytesMax; index++) {
      if (at >= limit) throw new RangeError();
      const byte = bytes[at++]!;
      value |= BigInt(byte & 127) << BigInt(7 * index);
      if (byte < 128) {
        const cut = BigInt.asUintN(bytesMax === 5 ? 32 : 64, value);
        return cut % 2n === 0n ? cut / 2n : -(cut + 1n) / 2n;
      }
    }
    throw new RangeError();
  };
  const slice = (limit: number, nullable: boolean): string | null => {
    const length = Number(varint(limit, 5));
    if (length < 0 && nullable) return null;
    if (length < 0 || length > limit - at) throw new RangeError();
    at += length;
    return bytes.toString("hex", at - length, at);
  };
  const records: { delta: bigint; offset: number; fields: unknown[] }[] = [];
  try {
    for (let index = 0; index < count; index++) {
      const length = Number(varint(bytes.length, 5));
      const limit = at + length;
      if (length < 6 || limit > bytes.length) return null;
      at++;
      const delta = varint(limit, 10);
      const offset = Number(varint(limit, 5));
      const fields: unknown[] = [slice(limit, true), slice(limit, true)];
      const headers = Number(varint(limit, 5));
      if (headers < 0) return null;
      for (let header = 0; header < headers; header++) fields.push(slice(limit, false), slice(limit, true));
      if (at !== limit) return null;
      records.push({ delta, offset, fields });
    }
  } catch {
    return null;
  }
  return at === bytes.length ? records : null;
}

// --- arbitrary records ---------------------------------------------------------------------------------------------------------------

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 60 }),
  fc.integer({ min: 100, max: 20_000 }).map((length) => Buffer.alloc(length, 7)),
);
const optionalBytes = fc.option(bytes).map((some) => (some === null ? null : Buffer.from(some)));
const timestamp = fc.oneof(
  fc.integer({ min: 1_700_000_000_000, max: 1_700_000_100_000 }),
  fc.constant(-1),
  fc.integer({ min: -(2 ** 51), max: 2 ** 51 }),
);
const header = fc.record({ key: fc.string({ unit: "binary", maxLength: 50 }), value: optionalBytes });
const gap = fc.oneof(fc.constant(0), fc.nat(1_000_000));
const records = fc.array(
  fc.record({ timestamp, gap, key: optionalBytes, value: optionalBytes, headers: fc.array(header, { maxLength: 3 }) }),
  { minLength: 1, maxLength: 12 },
);

/** Bytes as hex: the matcher walks large buffers slowly. */
function plain({
  key,
  value,
  headers,
  ...rest
}: Pick<LogRecord, "key" | "value" | "headers"> & { offset: number }): unknown {
  return {
    ...rest,
    key: key?.toString("hex"),
    value: value?.toString("hex"),
    headers: headers.map((header) => [header.key, header.value?.toString("hex")]),
  };
}

function withDeltas(some: (Omit<ModelRecord, "offsetDelta"> & { gap: number })[]): ModelRecord[] {
  let next = 0;
  return some.map(({ gap: skipped, ...record }) => {
    const offsetDelta = next + skipped;
    next = offsetDelta + 1;
    return { ...record, offsetDelta };
  });
}

function build(some: ModelRecord[], builder = new RecordBatchBuilder({ bytesInitial: 64 })): Buffer {
  for (const record of some) {
    builder.appendAt(record.offsetDelta, record.timestamp, record.key, record.value, record.headers);
  }
  return builder.build({ baseOffset: 5000 });
}

describe("against the model", () => {
  test("the builder writes what the model writes", () => {
    fc.assert(
      fc.property(records, (some) => {
        const model = withDeltas(some);
        const batch = new RecordBatchView(build(model));
        const expected = Buffer.from(model.flatMap((record) => modelRecord(record, model[0]!.timestamp)));
        expect(batch.recordsBytes.equals(expected)).toBe(true);
        expect(batchDamage(batch.buffer, 0)).toBeNull();
        expect(batch.baseTimestamp).toBe(model[0]!.timestamp);
        expect(batch.maxTimestamp).toBe(Math.max(-1, ...model.map((record) => record.timestamp)));
        expect(batch.lastOffsetDelta).toBe(model.at(-1)!.offsetDelta);
        expect(batch.recordCount).toBe(model.length);
      }),
    );
  });

  test("what is built reads back, by cursor, by iterator and at once", () => {
    fc.assert(
      fc.property(records, (some) => {
        const model = withDeltas(some);
        const batch = new RecordBatchView(build(model));
        const expected = model.map(({ offsetDelta, ...record }) => plain({ offset: 5000 + offsetDelta, ...record }));
        expect((readRecords(batch) as LogRecord[]).map(plain)).toEqual(expected);
        expect([...iterateRecords(batch)].map(plain)).toEqual(expected);
        const cursor = new RecordCursor().openBatch(batch.buffer, 0);
        let count = 0;
        while (cursor.next()) expect(plain(cursorRecord(cursor))).toEqual(expected[count++]);
        expect(count).toBe(expected.length);
      }),
    );
  });

  test("damaged records are refused exactly where the model refuses them, and read the same elsewhere", () => {
    const damage = fc.array(fc.tuple(fc.nat(10_000), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(records, damage, fc.integer({ min: -2, max: 14 }), (some, flips, count) => {
        const batch = new RecordBatchView(build(withDeltas(some)));
        const damaged = Buffer.from(batch.recordsBytes);
        for (const [at, byte] of flips) damaged[at % damaged.length] = byte;
        batch.buffer.writeInt32BE(count, 57);
        const expected = count < 0 ? null : modelRead(damaged, count);
        const cursor = new RecordCursor().openRecords(batch, damaged);
        const seen: unknown[] = [];
        while (cursor.next()) {
          const fields: unknown[] = [cursor.key?.toString("hex") ?? null, cursor.value?.toString("hex") ?? null];
          // As hex: a header's key that was damaged need not be text.
          for (const { value } of cursorHeaders(cursor)) fields.push(value?.toString("hex") ?? null);
          seen.push([cursor.timestampDelta, cursor.offsetDelta, fields]);
        }
        const unsafe = expected?.some(
          ({ delta }) =>
            !Number.isSafeInteger(Number(delta)) || !Number.isSafeInteger(batch.baseTimestamp + Number(delta)),
        );
        if (expected === null) {
          expect(cursor.problem).not.toBeNull();
          expect(() => [...iterateRecords(batch, damaged)]).toThrow(MalformedRecords);
        } else if (unsafe === true) {
          expect(cursor.problem?.code).toBe("timestamp-out-of-range");
        } else {
          expect(cursor.problem).toBeNull();
          expect(seen).toEqual(
            expected.map(({ delta, offset, fields }) => [
              Number(delta),
              offset,
              fields.filter((_field, index) => index < 2 || index % 2 === 1),
            ]),
          );
        }
      }),
      { numRuns: 500 },
    );
  });

  test("text is written as its UTF-8", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.string({ minLength: 30, maxLength: 60 }),
      fc.constant("é".repeat(50)),
    );
    fc.assert(
      fc.property(text, text, (key, value) => {
        const builder = new RecordBatchBuilder({ bytesInitial: 61 });
        builder.append(1, key, value, [{ key: value, value: key }]);
        const asText = builder.build();
        builder.append(1, Buffer.from(key), Buffer.from(value), [{ key: Buffer.from(value), value: Buffer.from(key) }]);
        expect(asText.equals(builder.build())).toBe(true);
      }),
    );
  });

  test("sizes of varints are those of the model", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.integer(), fc.nat(53), (any, int32, bits) => {
        for (const value of [any, int32, 2 ** bits - 1, 2 ** Math.min(bits, 52), -(2 ** bits) + 1]) {
          expect(varlongBytes(value)).toBe(modelVarlong(BigInt(value)).length);
        }
        expect(varintBytes(int32)).toBe(modelVarlong(BigInt(int32)).length);
      }),
    );
  });
});

describe("the builder", () => {
  test("its size is what it builds, and the bound of a record holds", () => {
    fc.assert(
      fc.property(records, (some) => {
        const builder = new RecordBatchBuilder();
        for (const record of some) {
          const before = builder.sizeBytes;
          builder.append(record.timestamp, record.key, record.value, record.headers);
          const grown = builder.sizeBytes - before;
          expect(grown).toBeLessThanOrEqual(recordBytesMax(record.key, record.value, record.headers));
        }
        const { sizeBytes } = builder;
        expect(builder.build().length).toBe(sizeBytes);
      }),
    );
  });

  test("may be used again, and leaves what it built alone", () => {
    const builder = new RecordBatchBuilder({ bytesInitial: 80 });
    builder.append(10, "first", "of the first");
    const first = builder.build();
    const before = Buffer.from(first);
    builder.append(20, "second", "of the second", [{ key: "h", value: null }]);
    const second = builder.build();
    expect(first.equals(before)).toBe(true);
    expect(readRecords(new RecordBatchView(second))).toMatchObject([{ offset: 0, timestamp: 20 }]);
    expect(batchRefusal(second, 0)).toBeNull();
  });

  test("with a delete horizon the records keep their timestamps, relative to it (KIP-534)", () => {
    const builder = new RecordBatchBuilder({ deleteHorizonMs: 9_000 });
    builder.appendAt(3, 1_000, "key", null);
    builder.appendAt(7, 1_500, "other", null);
    const batch = new RecordBatchView(builder.build({ baseOffset: 100, lastOffsetDelta: 9 }));
    expect([batch.deleteHorizon, batch.maxTimestamp, batch.lastOffset, batch.recordCount]).toEqual([
      9_000, 1_500, 109, 2,
    ]);
    expect(readRecords(batch)).toMatchObject([
      { offset: 103, timestamp: 1_000 },
      { offset: 107, timestamp: 1_500 },
    ]);
  });

  test("a batch of no records stands for the offsets that it had", () => {
    const batch = new RecordBatchView(
      new RecordBatchBuilder().build({ baseOffset: 40, lastOffsetDelta: 4, producerId: 7 }),
    );
    expect([batch.sizeBytes, batch.lastOffset, batch.recordCount, batch.maxTimestamp]).toEqual([61, 44, 0, -1]);
    expect(batchDamage(batch.buffer, 0)).toBeNull();
    expect(readRecords(batch)).toEqual([]);
    const later = new RecordBatchView(new RecordBatchBuilder().build({ lastOffsetDelta: 0, emptyTimestampMs: 33 }));
    expect([later.baseTimestamp, later.maxTimestamp]).toEqual([33, 33]);
  });

  test("refuses our own mistakes", () => {
    const builder = new RecordBatchBuilder();
    expect(() => builder.build()).toThrow("ends before its last record");
    builder.appendAt(5, 0, null, null);
    expect(() => builder.appendAt(5, 0, null, null)).toThrow("order of their offsets");
    expect(() => builder.append(Number.NaN, null, null)).toThrow("timestamp");
  });
});

describe("validateRecords", () => {
  const rules = { keyRequired: false, timestampMin: 100, timestampMax: 200, logAppendTime: false };
  const verdict = (fill: (builder: RecordBatchBuilder) => void, some: Partial<typeof rules> = {}) => {
    const builder = new RecordBatchBuilder();
    fill(builder);
    const batch = new RecordBatchView(builder.build());
    return validateRecords(batch, batch.recordsBytes, { ...rules, ...some });
  };

  test("names the latest timestamp and the first record that has it", () => {
    const headers: RecordHeaderInput[] = [{ key: "k", value: "v" }];
    expect(
      verdict((builder) => {
        builder.append(150, "a", "1");
        builder.append(180, "b", "2", headers);
        builder.append(180, null, "3");
        builder.append(-1, "d", "4");
      }),
    ).toEqual({ type: "valid", recordCount: 4, maxTimestamp: 180, maxTimestampOffsetDelta: 1 });
  });

  test("names each refused record and why", () => {
    const fill = (builder: RecordBatchBuilder) => {
      builder.append(99, "a", null);
      builder.append(150, null, "b");
      builder.append(201, "c", "c");
    };
    const late = [
      { code: "timestamp-out-of-range", recordIndex: 0 },
      { code: "timestamp-out-of-range", recordIndex: 2 },
    ];
    expect(verdict(fill)).toEqual({ type: "refused", refusals: late });
    expect(verdict(fill, { logAppendTime: true })).toMatchObject({ type: "valid" });
    expect(verdict(fill, { keyRequired: true, logAppendTime: true })).toEqual({
      type: "refused",
      refusals: [{ code: "key-null", recordIndex: 1 }],
    });
    expect(verdict((builder) => void builder.appendAt(1, 150, "a", "b"))).toEqual({
      type: "refused",
      refusals: [{ code: "offset-delta-not-next", recordIndex: 0 }],
    });
  });

  test("names at most a thousand", () => {
    const result = verdict((builder) => {
      for (let index = 0; index < 1200; index++) builder.append(0, null, null);
    });
    expect(result.type === "refused" && result.refusals.length).toBe(1000);
  });
});

test.each([
  ["records-missing", 2, "0c000000010100"],
  ["bytes-left-over", 1, "0c00000001010000"],
  ["varint-malformed", 1, "ffffffffffff"],
  ["record-length-invalid", 1, "0a00000001010000"],
  ["record-length-invalid", 1, "7e000000010100"],
  ["record-length-invalid", 1, "01000000010100"],
  ["varint-malformed", 1, "0c00ffffffffff"],
  ["key-length-invalid", 1, "0c000000700100"],
  ["value-length-invalid", 1, "0c000000017000"],
  ["header-count-invalid", 1, "0c000000010101"],
  ["header-count-invalid", 1, "0c000000010170"],
  ["header-key-null", 1, "10000000010102" + "0101"],
  ["header-length-invalid", 1, "10000000010102" + "0070"],
  ["record-length-lies", 1, "0e00000001010000"],
  ["timestamp-out-of-range", 1, "1e00ffffffffffffffffff01000101" + "00"],
])("%s: %i records in %s", (code, count, hex) => {
  const batch = new RecordBatchView(new RecordBatchBuilder().build({ lastOffsetDelta: 0 }));
  batch.buffer.writeInt32BE(count, 57);
  expect(readRecords(batch, Buffer.from(hex, "hex"))).toMatchObject({ code });
});
