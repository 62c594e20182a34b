// ../shared/design/hostile-inputs.md, section 2: what is produced. A test bears the name of its row.
import { batchRecordsBytes, codecByName } from "@blumfeld/core/compression";
import { crc32c, iterateBatches, RecordBatchBuilder } from "@blumfeld/core/model";
import { ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { makeBatch, type WireConnection } from "../wire/index.ts";
import { createTopic, fetch, offsets, produce, StallWatch, stallMsMax, startVictim, type Victim } from "./victim.ts";

let victim: Victim;
let connection: WireConnection;
let watch: StallWatch;
let topicCount = 0;
let topic = "";

beforeAll(async () => {
  victim = await startVictim();
}, 30_000);
afterAll(() => victim?.stop());
beforeEach(async () => {
  connection = await victim.open();
  topic = `t${topicCount++}`;
  await createTopic(connection, topic);
  watch = new StallWatch();
});
afterEach(async () => {
  const stall = watch.stop();
  connection.destroy();
  expect(stall).toBeLessThan(stallMsMax);
  await victim.control.check();
});

/** Where the fields of a batch (v2) stand. */
const at = {
  size: 8,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastDelta: 23,
  producerId: 43,
  sequence: 53,
  count: 57,
  records: 61,
};

/** A batch changed by `change`, with a checksum that is right again. */
function altered(change: (batch: Buffer) => void, batch = makeBatch(["one", "two", "three"])): Buffer {
  const copy = Buffer.from(batch);
  change(copy);
  copy.writeUInt32BE(crc32c(copy.subarray(at.attributes)), at.crc);
  return copy;
}

async function errorOf(records: Buffer | null, options: Parameters<typeof produce>[4] = {}): Promise<number> {
  return (await produce(connection, topic, 0, records, options)).errorCode;
}

/** Refused with one of these codes, and nothing of it is in the log. */
async function expectRefused(
  records: Buffer | null,
  codes: readonly number[],
  options: Parameters<typeof produce>[4] = {},
) {
  expect(codes).toContain(await errorOf(records, options));
  expect(await offsets(connection, topic)).toEqual([0, 0]);
}

describe("acks 2, -2: 21 INVALID_REQUIRED_ACKS", () => {
  test.each([2, -2, 32767])("acks %d", (acks) =>
    expectRefused(makeBatch(["x"]), [ErrorCode.INVALID_REQUIRED_ACKS], { acks }),
  );
});

describe("acks 0 and any error: close, so that the client refreshes", () => {
  const send = (name: string, partition: number, records: Buffer): void => {
    const topicData = [{ name, partitionData: [{ index: partition, records }] }];
    connection.send(ApiKey.Produce, 12, { acks: 0, timeoutMs: 1000, topicData });
  };
  test("no such topic", async () => {
    send("nowhere", 0, makeBatch(["x"]));
    await connection.ended(2_000);
  });
  test("wrong checksum", async () => {
    const batch = makeBatch(["x"]);
    batch[at.crc]! ^= 1;
    send(topic, 0, batch);
    await connection.ended(2_000);
    expect(connection.framesWaiting).toBe(0);
  });
  test("none is answered when nothing is wrong", async () => {
    send(topic, 0, makeBatch(["x"]));
    expect(await offsets(connection, topic)).toEqual([0, 1]);
  });
});

describe("CRC wrong; size < 61; bad magic; size > rest: 2 CORRUPT_MESSAGE", () => {
  const corrupt = [ErrorCode.CORRUPT_MESSAGE];
  test("CRC wrong", () => {
    const batch = makeBatch(["x"]);
    batch[at.crc]! ^= 1;
    return expectRefused(batch, corrupt);
  });
  test("a bit of the records turned", () => {
    const batch = makeBatch(["x"]);
    batch[batch.length - 1]! ^= 4;
    return expectRefused(batch, corrupt);
  });
  // Kafka answers 87 to a length that says so; both tell the client not to try again with these bytes.
  test.each([0, -1, 13, 48])("size %d", (size) =>
    expectRefused(
      altered((batch) => batch.writeInt32BE(size, at.size)),
      [...corrupt, ErrorCode.INVALID_RECORD],
    ),
  );
  test.each([3, 9, 127])("magic %d", (magic) =>
    expectRefused(
      altered((batch) => batch.writeInt8(magic, at.magic)),
      [...corrupt, ErrorCode.INVALID_RECORD],
    ),
  );
  test("size > rest", () =>
    expectRefused(
      altered((batch) => batch.writeInt32BE(batch.readInt32BE(at.size) + 50, at.size)),
      [...corrupt, ErrorCode.INVALID_RECORD],
    ));
  test("a batch cut anywhere", async () => {
    const batch = makeBatch(["x", "y"]);
    for (let length = 1; length < batch.length; length += 7)
      expect([2, 87]).toContain(await errorOf(batch.subarray(0, length)));
    expect(await offsets(connection, topic)).toEqual([0, 0]);
  });
});

describe("no batch, two batches, magic 0/1 in v3+: 87 INVALID_RECORD", () => {
  const invalid = [ErrorCode.INVALID_RECORD];
  test("null", () => expectRefused(null, invalid));
  test("no byte", () => expectRefused(Buffer.alloc(0), invalid));
  test("two batches", () => expectRefused(Buffer.concat([makeBatch(["x"]), makeBatch(["y"])]), invalid));
  test.each([0, 1])("magic %d", (magic) =>
    expectRefused(
      altered((batch) => batch.writeInt8(magic, at.magic)),
      invalid,
    ),
  );
});

describe("what records and batch say of each other is not so: 87", () => {
  const invalid = [ErrorCode.INVALID_RECORD];
  test("record count above the records", () =>
    expectRefused(
      altered((batch) => {
        batch.writeInt32BE(4, at.count);
        batch.writeInt32BE(3, at.lastDelta);
      }),
      invalid,
    ));
  test("record count below the records", () =>
    expectRefused(
      altered((batch) => {
        batch.writeInt32BE(2, at.count);
        batch.writeInt32BE(1, at.lastDelta);
      }),
      invalid,
    ));
  test.each([0, -1, 2 ** 31 - 1])("record count %d", (count) =>
    expectRefused(
      altered((batch) => batch.writeInt32BE(count, at.count)),
      invalid,
    ),
  );
  test.each([0, 1, 3, -1, 2 ** 31 - 1])("last delta %d of three records", (delta) =>
    expectRefused(
      altered((batch) => batch.writeInt32BE(delta, at.lastDelta)),
      invalid,
    ),
  );
  test.each([0x02, 0x7f, 0x01])("a record length of 0x%s", (length) =>
    expectRefused(
      altered((batch) => batch.writeUInt8(length, at.records)),
      invalid,
    ),
  );
  test("a control batch from a client", () =>
    expectRefused(makeBatch(["x"], { control: true, producerId: 1, producerEpoch: 0, baseSequence: 0 }), invalid));
  test("a negative sequence with a producer id", () =>
    expectRefused(makeBatch(["x"], { producerId: 1, producerEpoch: 0, baseSequence: -1 }), invalid));
  test("a null key on a compacted topic", async () => {
    await createTopic(connection, `${topic}-compacted`, { "cleanup.policy": "compact" });
    const answer = await produce(connection, `${topic}-compacted`, 0, makeBatch(["no key"]));
    expect(answer.errorCode).toBe(ErrorCode.INVALID_RECORD);
    expect(answer.recordErrors.map((each) => each.batchIndex)).toEqual([0]);
    expect(await offsets(connection, `${topic}-compacted`)).toEqual([0, 0]);
  });
});

describe("batch or record > max.message.bytes / segment: 10 / 18", () => {
  test("above max.message.bytes", async () => {
    await createTopic(connection, `${topic}-small`, { "max.message.bytes": "1000" });
    const small = await produce(connection, `${topic}-small`, 0, makeBatch(["x".repeat(2000)]));
    expect(small.errorCode).toBe(ErrorCode.MESSAGE_TOO_LARGE);
    await expectRefused(makeBatch(["x".repeat(1024 * 1024 + 100)]), [ErrorCode.MESSAGE_TOO_LARGE]);
  });
  test("above the segment", async () => {
    await createTopic(connection, `${topic}-segment`, { "segment.bytes": "1048576", "max.message.bytes": "3000000" });
    const answer = await produce(connection, `${topic}-segment`, 0, makeBatch(["x".repeat(2 * 1024 * 1024)]));
    expect(answer.errorCode).toBe(ErrorCode.RECORD_LIST_TOO_LARGE);
  });
});

describe("timestamp outside the before/after limits: 32", () => {
  test.each([-60_000, 60_000])("%d ms from now", async (difference) => {
    const bounds = { "message.timestamp.before.max.ms": "1000", "message.timestamp.after.max.ms": "1000" };
    await createTopic(connection, `${topic}-bounded`, bounds);
    const batch = makeBatch(["x"], { timestampMs: Date.now() + difference });
    const answer = await produce(connection, `${topic}-bounded`, 0, batch);
    expect(answer.errorCode).toBe(ErrorCode.INVALID_TIMESTAMP);
  });
});

describe("codec id 5-7; zstd in old version: 76", () => {
  test.each([5, 6, 7])("codec id %d", (id) =>
    expectRefused(
      altered((batch) => batch.writeInt16BE(id, at.attributes)),
      [ErrorCode.UNSUPPORTED_COMPRESSION_TYPE],
    ),
  );
  test("zstd in Produce 6", () => {
    const batch = makeBatch(["x"], { compressor: codecByName("zstd")! });
    return expectRefused(batch, [ErrorCode.UNSUPPORTED_COMPRESSION_TYPE], { version: 6 });
  });
});

const codecNames = ["gzip", "snappy", "lz4", "zstd"] as const;

describe("broken compressed stream: 2 or 87", () => {
  test.each(codecNames)("%s", async (name) => {
    const good = makeBatch(["a".repeat(500), "b".repeat(500)], { compressor: codecByName(name)! });
    let refused = 0;
    for (let position = at.records; position < good.length; position += 3) {
      const code = await errorOf(altered((batch) => (batch[position]! ^= 0x55), good));
      expect([ErrorCode.NONE, ErrorCode.CORRUPT_MESSAGE, ErrorCode.INVALID_RECORD]).toContain(code);
      if (code !== ErrorCode.NONE) refused++;
    }
    expect(refused).toBeGreaterThan(3);
    // What was accepted can be unpacked by every consumer. What is inside a record is its producer's own affair.
    const [, end] = await offsets(connection, topic);
    for (let next = 0; next < end; ) {
      const fetched = (await fetch(connection, topic, 0, next)).records as Buffer;
      const before = next;
      for (const batch of iterateBatches(fetched)) {
        expect(batchRecordsBytes(batch, { outputBytesMax: 1024 * 1024 })).toBeInstanceOf(Buffer);
        next = batch.nextOffset;
      }
      expect(next).toBeGreaterThan(before);
    }
  });
  test.each(codecNames)("%s of nothing", (name) => {
    const good = makeBatch(["a"], { compressor: codecByName(name)! });
    const cut = Buffer.from(good.subarray(0, at.records));
    cut.writeInt32BE(cut.length - 12, at.size);
    return expectRefused(
      altered(() => {}, cut),
      [ErrorCode.CORRUPT_MESSAGE, ErrorCode.INVALID_RECORD],
    );
  });
});

/** A batch whose packed records are these bytes. */
function packed(codecId: number, records: Buffer, recordCount: number): Buffer {
  const batch = Buffer.concat([makeBatch(["x"]).subarray(0, at.records), records]);
  batch.writeInt32BE(batch.length - 12, at.size);
  batch.writeInt16BE(codecId, at.attributes);
  batch.writeInt32BE(recordCount - 1, at.lastDelta);
  batch.writeInt32BE(recordCount, at.count);
  return altered(() => {}, batch);
}

describe("bombs: 10 or 2; memory and time within bounds", () => {
  const bombCodes = [ErrorCode.MESSAGE_TOO_LARGE, ErrorCode.CORRUPT_MESSAGE, ErrorCode.INVALID_RECORD];
  const zeros = Buffer.alloc(512 * 1024 * 1024);
  test.each([
    ["gzip 1000:1", "gzip", 1],
    ["zstd 10000:1", "zstd", 4],
  ])("%s", async (_name, name, id) => {
    watch.stop();
    const bomb = packed(id, codecByName(name)!.compress(zeros), 1);
    expect(bomb.length).toBeLessThan(1024 * 1024);
    const before = process.memoryUsage.rss();
    watch = new StallWatch();
    expect(bombCodes).toContain(await errorOf(bomb));
    expect(process.memoryUsage.rss() - before).toBeLessThan(256 * 1024 * 1024);
  });
  test("zstd window of 2 GiB", () =>
    // Magic, a frame header without content size whose window descriptor asks for 2^31 bytes, an empty last block.
    expectRefused(packed(4, Buffer.from("28b52ffd00a8010000", "hex"), 1), bombCodes));
  test("lz4 with a false content size", () =>
    // Magic, FLG with content size, BD, 2^62 bytes announced, a header checksum, end mark.
    expectRefused(packed(3, Buffer.from("04224d186c7000000000000000400000000000", "hex"), 1), bombCodes));
  test("snappy chunk length 0x7FFFFFFF (CVE-2023-34455)", () =>
    expectRefused(packed(2, Buffer.from("82534e41505059000000000100000001" + "7fffffff" + "00", "hex"), 1), bombCodes));
  test("snappy that announces 2 GiB", () => expectRefused(packed(2, Buffer.from("ffffffff0700", "hex"), 1), bombCodes));
  test("1 M empty records in little space", async () => {
    const builder = new RecordBatchBuilder({ bytesInitial: 16 * 1024 * 1024 });
    for (let i = 0; i < 1_000_000; i++) builder.append(1, null, null);
    const batch = builder.build({ compressor: codecByName("zstd")! });
    watch.stop();
    watch = new StallWatch();
    const code = await errorOf(batch);
    // Whole and true, so it may also be taken; never a stall, and what was taken is there.
    expect([ErrorCode.NONE, ...bombCodes]).toContain(code);
    if (code === ErrorCode.NONE) expect(await offsets(connection, topic)).toEqual([0, 1_000_000]);
  });
});

describe("sequences of an idempotent producer", () => {
  const producerId = 4_000_000;
  const batch = (sequence: number, count = 1, producerEpoch = 0): Buffer =>
    makeBatch(
      Array.from({ length: count }, (_, i) => `s${sequence + i}`),
      { producerId, producerEpoch, baseSequence: sequence },
    );

  test("sequence gap: 45", async () => {
    expect(await errorOf(batch(0))).toBe(0);
    expect(await errorOf(batch(2))).toBe(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER);
    expect(await errorOf(batch(1))).toBe(0);
  });
  test("repeat of one of the last five: ok with the first offset; older: 45 or 46", async () => {
    for (let i = 0; i < 7; i++) expect(await errorOf(batch(i * 2, 2))).toBe(0);
    for (let i = 2; i < 7; i++) {
      const answer = await produce(connection, topic, 0, batch(i * 2, 2));
      expect([answer.errorCode, Number(answer.baseOffset)]).toEqual([0, i * 2]);
    }
    expect([45, 46]).toContain(await errorOf(batch(0, 2)));
    expect(await offsets(connection, topic)).toEqual([0, 14]);
  });
  test("wrong epoch start: 45; stale producer epoch: 47", async () => {
    expect(await errorOf(batch(0, 1, 5))).toBe(0);
    expect(await errorOf(batch(3, 1, 6))).toBe(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER);
    expect(await errorOf(batch(0, 1, 6))).toBe(0);
    expect(await errorOf(batch(1, 1, 5))).toBe(ErrorCode.INVALID_PRODUCER_EPOCH);
  });
  test("the wrap from 2^31-1 to 0 works", async () => {
    expect(await errorOf(batch(2 ** 31 - 2, 2))).toBe(0);
    expect(await errorOf(batch(1))).toBe(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER);
    expect(await errorOf(batch(0))).toBe(0);
  });
  test("unknown producer that starts in the middle: accepted or 59, never a silent gap", async () => {
    const code = await errorOf(batch(5));
    expect([0, ErrorCode.UNKNOWN_PRODUCER_ID]).toContain(code);
    if (code === 0) expect(await errorOf(batch(7))).toBe(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER);
  });
});

describe("ISR < minISR: 19 before, 20 after append", () => {
  // What is below the minimum needs replicas that fall behind. Kafka holds a topic to no more replicas than it has.
  test("a topic of one replica is not held to two", async () => {
    await createTopic(connection, `${topic}-two`, { "min.insync.replicas": "2" });
    expect((await produce(connection, `${topic}-two`, 0, makeBatch(["x"]))).errorCode).toBe(0);
  });
});

describe("txn batch with null or other's transactional id (CVE-2018-17196): 53", () => {
  test("null transactional id", () => {
    const batch = makeBatch(["x"], { producerId: 1, producerEpoch: 0, baseSequence: 0, transactional: true });
    return expectRefused(batch, [ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED]);
  });
});

describe("64-bit offsets, ids, timestamps > 2^53: exact (bigint), never rounded", () => {
  test("a producer id above 2^53 comes back as it was sent, or is refused", async () => {
    const batch = altered((bytes) => {
      bytes.writeBigInt64BE(2n ** 53n + 1n, at.producerId);
      bytes.writeInt16BE(0, 51);
      bytes.writeInt32BE(0, at.sequence);
    });
    const code = await errorOf(batch);
    if (code !== 0) return;
    const fetched = (await fetch(connection, topic, 0, 0)).records!;
    expect(Buffer.concat([fetched as Buffer]).readBigInt64BE(at.producerId)).toBe(2n ** 53n + 1n);
  });
  test("a timestamp above 2^53 comes back as it was sent, or is refused", async () => {
    const timestamp = 2n ** 53n + 1n;
    const batch = altered(
      (bytes) => {
        bytes.writeBigInt64BE(timestamp, 27);
        bytes.writeBigInt64BE(timestamp, 35);
      },
      makeBatch(["one"]),
    );
    const code = await errorOf(batch);
    expect([0, ErrorCode.INVALID_TIMESTAMP, ErrorCode.INVALID_RECORD]).toContain(code);
    if (code !== 0) return;
    const fetched = (await fetch(connection, topic, 0, 0)).records!;
    expect(Buffer.concat([fetched as Buffer]).readBigInt64BE(27)).toBe(timestamp);
  });
});
