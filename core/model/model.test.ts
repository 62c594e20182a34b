// Checks of headers, patches in place, checksums, names and ids.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { crc32cByTable } from "./crc32c-table.ts";
import {
  batchComputeCrc,
  batchDamage,
  batchProduceProblem,
  batchRefreshCrc,
  batchSetBaseOffset,
  batchSetCreateTime,
  batchSetLeaderEpoch,
  batchSetLogAppendTime,
  batchSetProducer,
  batchSizeAt,
  batchStamp,
  controlKey,
  crc32c,
  crc32cIsNative,
  isInternalTopic,
  iterateBatches,
  offsetFromInt64,
  offsetOf,
  parseControlKey,
  parseEndTxnMarker,
  parseTopicPartition,
  producerEpochOf,
  RecordBatchBuilder,
  RecordBatchView,
  readInt64,
  readInt64Exact,
  sequencePlus,
  topicNameProblem,
  topicNamesCollide,
  topicPartitionKey,
  writeInt64,
} from "./index.ts";

function batchOf(count: number, options: Parameters<RecordBatchBuilder["build"]>[0] = {}): Buffer {
  const builder = new RecordBatchBuilder();
  for (let index = 0; index < count; index++) builder.append(1000 + index, `key ${index}`, `value ${index}`);
  return builder.build(options);
}

describe("crc32c", () => {
  test("the native form is in use here, and both give the published answers", () => {
    expect(crc32cIsNative).toBe(true);
    for (const checksum of [crc32c, crc32cByTable]) {
      expect(checksum(Buffer.from("123456789"))).toBe(0xe3069283);
      // RFC 3720, B.4.
      expect(checksum(Buffer.alloc(32))).toBe(0x8a9136aa);
      expect(checksum(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43);
      expect(checksum(Buffer.alloc(0))).toBe(0);
    }
  });

  test("both agree on everything, whole and continued", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(300), (bytes, cut) => {
        const whole = crc32c(bytes);
        expect(crc32cByTable(bytes)).toBe(whole);
        expect(crc32c(bytes.subarray(cut), crc32c(bytes.subarray(0, cut)))).toBe(whole);
        expect(crc32cByTable(bytes.subarray(cut), crc32cByTable(bytes.subarray(0, cut)))).toBe(whole);
      }),
    );
  });
});

describe("int64", () => {
  test("is exact for safe integers and never safe for others", () => {
    const buffer = Buffer.alloc(8);
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.maxSafeInteger(), (any, safe) => {
        buffer.writeBigInt64BE(any);
        const isSafe = any >= BigInt(Number.MIN_SAFE_INTEGER) && any <= BigInt(Number.MAX_SAFE_INTEGER);
        expect(Number.isSafeInteger(readInt64(buffer, 0))).toBe(isSafe);
        expect(readInt64Exact(buffer, 0)).toBe(isSafe ? Number(any) : null);
        expect(offsetFromInt64(any)).toBe(isSafe ? Number(any) : null);
        writeInt64(buffer, 0, safe);
        expect(buffer.readBigInt64BE()).toBe(BigInt(safe));
        expect(readInt64(buffer, 0)).toBe(safe);
      }),
    );
  });
});

describe("what a client may not produce", () => {
  test.each<[string, (batch: Buffer) => void]>([
    ["base-offset-not-zero", (batch) => batchSetBaseOffset(batch, 0, 1)],
    ["offset-range-invalid", (batch) => batch.writeInt32BE(-1, 23)],
    ["count-not-positive", (batch) => batch.writeInt32BE(0, 57)],
    ["count-not-positive", (batch) => batch.writeInt32BE(-3, 57)],
    ["count-mismatch", (batch) => batch.writeInt32BE(4, 57)],
    ["count-mismatch", (batch) => batch.writeInt32BE(0x7fff_ffff, 23)],
    ["control-batch", (batch) => batch.writeInt16BE(0x20, 21)],
    ["codec-unknown", (batch) => batch.writeInt16BE(5, 21)],
    ["codec-unknown", (batch) => batch.writeInt16BE(7, 21)],
    ["timestamp-out-of-range", (batch) => batch.writeBigInt64BE(2n ** 53n, 35)],
    ["timestamp-out-of-range", (batch) => batch.writeBigInt64BE(-(2n ** 63n), 27)],
    ["sequence-negative", (batch) => writeProducer(batch, 7n, 0, -1)],
    ["producer-epoch-negative", (batch) => writeProducer(batch, 7n, -1, 0)],
    ["producer-id-unknown", (batch) => writeProducer(batch, -2n, 0, 0)],
    ["producer-id-unknown", (batch) => writeProducer(batch, 2n ** 60n, 0, 0)],
    ["transactional-without-producer", (batch) => batch.writeInt16BE(0x10, 21)],
  ])("%s", (problem, change) => {
    const batch = batchOf(3);
    expect(batchProduceProblem(batch, 0)).toBeNull();
    change(batch);
    batchRefreshCrc(batch, 0);
    expect(batchProduceProblem(batch, 0)).toBe(problem);
  });

  function writeProducer(batch: Buffer, id: bigint, epoch: number, sequence: number): void {
    batch.writeBigInt64BE(id, 43);
    batch.writeInt16BE(epoch, 51);
    batch.writeInt32BE(sequence, 53);
  }

  test("any flipped bit behind the checksum is noticed, before it a change of size or magic", () => {
    const batch = batchOf(2);
    for (let bit = 8 * 17; bit < 8 * batch.length; bit++) {
      batch[bit >> 3]! ^= 1 << (bit & 7);
      expect(batchDamage(batch, 0)).toBe("crc-mismatch");
      batch[bit >> 3]! ^= 1 << (bit & 7);
    }
    for (const [length, problem] of [
      [batch.length - 11, "size-past-end"],
      [0x7fff_ffff, "size-past-end"],
      [48, "size-too-small"],
      [-1, "size-too-small"],
    ] as const) {
      const changed = Buffer.from(batch);
      changed.writeInt32BE(length, 8);
      expect(batchDamage(changed, 0)).toBe(problem);
    }
    for (const [magic, problem] of [
      [0, "magic-old"],
      [1, "magic-old"],
      [3, "magic-unknown"],
      [-1, "magic-unknown"],
    ] as const) {
      const changed = Buffer.from(batch);
      changed.writeInt8(magic, 16);
      expect(batchDamage(changed, 0)).toBe(problem);
    }
  });

  test("no cut batch passes and none is read past its end", () => {
    const whole = batchOf(2);
    for (let end = 0; end < whole.length; end++) {
      expect(batchProduceProblem(whole, 0, end)).not.toBeNull();
      expect(batchProduceProblem(whole.subarray(0, end), 0)).not.toBeNull();
    }
  });
});

describe("patches", () => {
  test("base offset and leader epoch leave the checksum true", () => {
    const batch = batchOf(2);
    const { crc } = new RecordBatchView(batch);
    batchStamp(batch, 0, 123_456_789_012, 42);
    expect([new RecordBatchView(batch).baseOffset, new RecordBatchView(batch).leaderEpoch]).toEqual([
      123_456_789_012, 42,
    ]);
    batchSetBaseOffset(batch, 0, 7);
    batchSetLeaderEpoch(batch, 0, 8);
    expect(batchDamage(batch, 0)).toBeNull();
    expect(batchComputeCrc(batch, 0)).toBe(crc);
  });

  test("timestamp type and producer fields make it true again", () => {
    const batch = Buffer.concat([Buffer.alloc(5), batchOf(2), Buffer.alloc(5)]);
    const view = new RecordBatchView(batch, 5);
    batchSetLogAppendTime(batch, 5, 77);
    expect([view.timestampType, view.maxTimestamp, batchDamage(batch, 5)]).toEqual(["LogAppendTime", 77, null]);
    batchSetCreateTime(batch, 5, 1001);
    expect([view.timestampType, view.maxTimestamp, batchDamage(batch, 5)]).toEqual(["CreateTime", 1001, null]);
    batchSetProducer(batch, 5, { producerId: 2 ** 40, producerEpoch: 3, baseSequence: 0x7fff_ffff });
    expect([view.producerId, view.producerEpoch, view.baseSequence]).toEqual([2 ** 40, 3, 0x7fff_ffff]);
    expect(view.lastSequence).toBe(0);
    expect(batchDamage(batch, 5)).toBeNull();
  });
});

describe("walking batches", () => {
  const first = batchOf(1);
  const second = batchOf(3, { baseOffset: 1 });

  test("gives whole batches and says where it stopped", () => {
    const both = Buffer.concat([first, second]);
    for (let end = 0; end <= both.length; end++) {
      const walk = iterateBatches(both.subarray(0, end));
      const offsets: number[] = [];
      let step = walk.next();
      for (; step.done !== true; step = walk.next()) offsets.push(step.value.baseOffset);
      const expected = end === both.length ? [0, 1] : end >= first.length ? [0] : [];
      expect(offsets).toEqual(expected);
      expect(step.value).toBe(expected.length === 2 ? both.length : expected.length === 1 ? first.length : 0);
    }
  });

  test("tells a cut length field from one that cannot be", () => {
    expect(batchSizeAt(first, 0)).toBe(first.length);
    expect(batchSizeAt(first, 0, 11)).toBe(-1);
    const negative = Buffer.from(first);
    negative.writeInt32BE(-5, 8);
    expect(batchSizeAt(negative, 0)).toBe(-2);
    expect([...iterateBatches(negative)]).toEqual([]);
  });
});

describe("names and ids", () => {
  test("topic names follow Kafka's rules", () => {
    for (const name of ["a", "A.b_c-9", "...", "x".repeat(249), "__consumer_offsets"]) {
      expect([name, topicNameProblem(name)]).toEqual([name, null]);
    }
    for (const name of ["", ".", "..", "x".repeat(250), "a/b", "a b", "é", "a\0", "a\n", "../x"]) {
      expect(topicNameProblem(name), name).toBeTypeOf("string");
    }
    expect(topicNamesCollide("a.b", "a_b")).toBe(true);
    expect(topicNamesCollide("a.b", "a.b")).toBe(false);
    expect(topicNamesCollide("a.b", "a-b")).toBe(false);
    expect(["__consumer_offsets", "__share_group_state", "__cluster_metadata", "orders"].map(isInternalTopic)).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  test("partitions have a text form", () => {
    expect(topicPartitionKey("a-b", 12)).toBe("a-b-12");
    expect(parseTopicPartition("a-b-12")).toEqual({ topic: "a-b", partition: 12 });
    for (const key of ["a", "a-", "-1", "a-01", "a-2147483648", "a-1x", "a--1x"])
      expect(parseTopicPartition(key)).toBeNull();
  });

  test("checked constructors assert, sequences wrap", () => {
    expect(() => offsetOf(2 ** 53)).toThrow("safe integer");
    expect(() => producerEpochOf(32768)).toThrow("producer epoch");
    expect([sequencePlus(5, 3), sequencePlus(0x7fff_ffff, 1), sequencePlus(0x7fff_fffe, 3)]).toEqual([8, 0, 1]);
  });

  test("control keys of later Kafkas are named as unknown, short ones refused", () => {
    expect(parseControlKey(controlKey("kraftVoters"))).toEqual({ version: 0, typeId: 6, type: "kraftVoters" });
    expect(parseControlKey(Buffer.from("000100070000", "hex"))).toEqual({ version: 1, typeId: 7, type: null });
    expect(parseControlKey(Buffer.from("0000ffff", "hex"))?.type).toBeNull();
    expect(parseControlKey(Buffer.from("000000", "hex"))).toBeNull();
    expect(parseControlKey(Buffer.from("ffff0000", "hex"))).toBeNull();
    expect(parseEndTxnMarker(Buffer.from("00000000000", "hex"))).toBeNull();
  });
});
