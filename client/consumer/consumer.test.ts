// The consumer against the model of a cluster, in virtual time.
import { seededRandom } from "@blumfeld/core/base";
import { codecByName } from "@blumfeld/core/compression";
import { controlKey, endTxnMarkerValue } from "@blumfeld/core/model";
import { ApiKey, ErrorCode, type FetchRequest } from "@blumfeld/core/protocol";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ModelCluster } from "../test-double/model-cluster.ts";
import { Consumer } from "./consumer.ts";
import type { Message } from "./message.ts";
import type { ConsumerOptions } from "./options.ts";

let cluster: ModelCluster;
let consumer: Consumer;

function make(options: Partial<ConsumerOptions> = {}): Consumer {
  consumer = new Consumer({
    bootstrapServers: cluster.bootstrapServers,
    ports: cluster.ports,
    autoOffsetReset: "earliest",
    apiTimeoutMs: 5000,
    ...options,
  });
  return consumer;
}

beforeEach(() => {
  cluster = new ModelCluster(2);
  cluster.createTopic("orders", 2);
});
afterEach(async () => {
  await cluster.time.until(consumer.close());
  expect(cluster.network.openCount).toBe(0);
});

const until = <Result>(promise: Promise<Result>): Promise<Result> => cluster.time.until(promise);
const partitionOf = (partition: number) => cluster.topics.get("orders")!.partitions[partition]!;
const here = { topic: "orders", partition: 0 };

function fill(partition: number, values: readonly string[], perBatch = values.length, codec = "none"): void {
  for (let from = 0; from < values.length; from += perBatch) {
    cluster.append(partitionOf(partition), (builder) => {
      for (const [index, value] of values.slice(from, from + perBatch).entries()) {
        builder.append(1000 + from + index, `k${from + index}`, value, [{ key: "h", value: "1" }]);
      }
      return builder.build({ compressor: codecByName(codec)! });
    });
  }
}

function range(count: number, prefix = "v"): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index}`);
}

async function readAll(options: { until?: "end" } = { until: "end" }): Promise<Message[]> {
  const messages: Message[] = [];
  const reading = (async () => {
    for await (const message of consumer.messages(options)) messages.push(message);
  })();
  await until(reading);
  return messages;
}

describe("reading", () => {
  test.each(["none", "gzip", "snappy", "lz4", "zstd"])("%s records come as they were written", async (codec) => {
    fill(0, range(50), 20, codec);
    make().assign([here]);
    const messages = await readAll();
    expect(messages.map(({ offset }) => offset)).toEqual(Array.from({ length: 50 }, (_, index) => index));
    expect(messages.map((message) => message.valueText())).toEqual(range(50));
    const last = messages[49]!;
    expect([last.keyText(), last.timestamp, last.key?.toString(), last.value?.toString()]).toEqual([
      "k49",
      1049,
      "k49",
      "v49",
    ]);
    expect(last.headers.map(({ key, value }) => [key, String(value)])).toEqual([["h", "1"]]);
    expect([last.header("h")?.toString(), last.header("none")]).toEqual(["1", undefined]);
  });

  test("messages, batches and polls give the same", async () => {
    fill(0, range(100), 7);
    fill(1, range(40, "w"), 40);
    make({ pollRecordsMax: 11 });
    await until(consumer.assignTopics(["orders"]));
    const seen = async (): Promise<string[]> =>
      (await readAll()).map(({ partition, offset }) => `${partition}:${offset}`).sort();
    const byMessage = await seen();
    consumer.seekToBeginning();
    const byBatch: string[] = [];
    const reading = (async () => {
      for await (const batch of consumer.batches({ until: "end" })) {
        for (const { partition, offset } of batch) byBatch.push(`${partition}:${offset}`);
      }
    })();
    await until(reading);
    consumer.seekToBeginning();
    const byPoll: string[] = [];
    for (;;) {
      const messages = await until(consumer.poll(100));
      expect(messages.length).toBeLessThanOrEqual(11);
      if (messages.length === 0) break;
      for (const { partition, offset } of messages) byPoll.push(`${partition}:${offset}`);
    }
    expect(byMessage).toHaveLength(140);
    expect(byBatch.sort()).toEqual(byMessage);
    expect(byPoll.sort()).toEqual(byMessage);
  });

  test("a loop waits for what comes later, and ends when the consumer is closed", async () => {
    make().assign([here]);
    const values: (string | null)[] = [];
    const reading = (async () => {
      for await (const message of consumer) values.push(message.valueText());
    })();
    await cluster.time.advance(2000);
    fill(0, ["late"]);
    await cluster.time.advance(1000);
    expect(values).toEqual(["late"]);
    await until(consumer.close());
    await reading;
  });

  test("a signal ends the loop with its reason", async () => {
    make().assign([here]);
    const controller = new AbortController();
    const reading = expect(
      (async () => {
        for await (const _ of consumer.messages({ signal: controller.signal }));
      })(),
    ).rejects.toThrow("stop");
    await cluster.time.advance(100);
    controller.abort(new Error("stop"));
    await until(reading);
  });

  test("poll gives nothing when nothing comes, after its time", async () => {
    make().assign([here]);
    await until(consumer.position(here));
    const start = cluster.time.nowMs;
    expect(await until(consumer.poll(300))).toEqual([]);
    expect(cluster.time.nowMs - start).toBeGreaterThanOrEqual(300);
    expect(cluster.time.nowMs - start).toBeLessThan(350);
  });
});

describe("positions", () => {
  test.each([
    ["beginning", 0],
    ["end", 30],
    [12, 12],
    [-5, 25],
    [-500, 0],
    [{ timestamp: 1020 }, 20],
    [{ timestamp: 9_999_999 }, 30],
  ] as const)("startAt %j is offset %d", async (startAt, offset) => {
    fill(0, range(30), 10);
    make().assign([{ ...here, startAt }]);
    expect(await until(consumer.position(here))).toBe(offset);
  });

  test("a position inside a batch skips what is before it", async () => {
    fill(0, range(30), 30, "zstd");
    make().assign([{ ...here, startAt: 17 }]);
    expect((await readAll())[0]!.offset).toBe(17);
    consumer.seek(here, 17);
    const { value: batch } = await until(consumer.batches()[Symbol.asyncIterator]().next());
    expect([...batch!].map(({ offset }: Message) => offset)).toEqual(
      Array.from({ length: 13 }, (_, index) => 17 + index),
    );
    expect(await until(consumer.position(here))).toBe(30);
  });

  test("a seek in the middle of a loop takes effect with the next message", async () => {
    fill(0, range(100), 10);
    make().assign([here]);
    const offsets: number[] = [];
    const reading = (async () => {
      for await (const { offset } of consumer) {
        offsets.push(offset);
        if (offsets.length === 5) consumer.seek(here, 90);
        if (offset === 99) break;
      }
    })();
    await until(reading);
    expect(offsets).toEqual([0, 1, 2, 3, 4, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99]);
  });

  test("a seek does not wait for a fetch that waits for data", async () => {
    fill(0, range(10));
    make({ fetchWaitMsMax: 500 }).assign([{ ...here, startAt: "end" }]);
    await until(consumer.position(here));
    await cluster.time.advance(100);
    consumer.seek(here, 0);
    const start = cluster.time.nowMs;
    expect((await until(consumer.poll(400))).length).toBe(10);
    expect(cluster.time.nowMs - start).toBeLessThan(50);
  });

  test("offsets by time, beginnings and ends", async () => {
    fill(0, range(30), 10);
    partitionOf(0).startOffset = 4;
    make();
    expect(await until(consumer.beginningOffsets([here]))).toEqual([{ ...here, offset: 4 }]);
    expect(await until(consumer.endOffsets([here]))).toEqual([{ ...here, offset: 30 }]);
    const questions = [
      { ...here, timestamp: 1025 },
      { ...here, timestamp: 1e12 },
    ];
    expect(await until(consumer.offsetsForTimes(questions))).toEqual([{ ...here, offset: 25, timestamp: 1025 }, null]);
  });

  test("pause keeps what was fetched: nothing is fetched twice", async () => {
    fill(0, range(30), 30);
    fill(1, ["other"]);
    make();
    await until(consumer.assignTopics(["orders"]));
    await cluster.time.advance(50);
    consumer.pause([here]);
    const others = await until(consumer.poll(50));
    expect(others.map(({ partition }) => partition)).toEqual([1]);
    expect(consumer.paused()).toEqual([here]);
    const fetchesOfFirst = (): number =>
      cluster
        .requestsOf(ApiKey.Fetch)
        .flatMap(({ body }) => (body as FetchRequest).topics.flatMap(({ partitions }) => partitions))
        .filter(({ partition, fetchOffset }) => partition === 0 && fetchOffset === 0n).length;
    const before = fetchesOfFirst();
    await cluster.time.advance(5000);
    consumer.resume();
    expect((await until(consumer.poll(50))).length).toBe(30);
    expect([before, fetchesOfFirst()]).toEqual([1, 1]);
  });

  test("an offset that retention took away is reset as autoOffsetReset says", async () => {
    fill(0, range(30), 10);
    partitionOf(0).batches.splice(0, 2);
    partitionOf(0).startOffset = 20;
    make().assign([{ ...here, startAt: 3 }]);
    expect((await readAll()).map(({ offset }) => offset)).toEqual([20, 21, 22, 23, 24, 25, 26, 27, 28, 29]);
  });

  test("with none it is told, and a seek mends it", async () => {
    fill(0, range(5));
    partitionOf(0).startOffset = 2;
    make({ autoOffsetReset: "none" }).assign([{ ...here, startAt: 0 }]);
    await expect(until(consumer.poll(100))).rejects.toMatchObject({ code: "OFFSET_OUT_OF_RANGE" });
    consumer.seek(here, 2);
    expect((await until(consumer.poll(100))).map(({ offset }) => offset)).toEqual([2, 3, 4]);
  });

  test("with none a partition needs a place to begin", async () => {
    make({ autoOffsetReset: "none" }).assign([here]);
    await expect(until(consumer.poll(100))).rejects.toMatchObject({ code: "CLIENT_NO_POSITION" });
  });
});

describe("transactions", () => {
  const producerId = 77;
  function transactional(values: readonly string[], id = producerId): number {
    const batch = cluster.append(partitionOf(0), (builder) => {
      for (const value of values) builder.append(1, null, value);
      return builder.build({ producerId: id, producerEpoch: 0, baseSequence: 0, transactional: true });
    });
    return batch.baseOffset;
  }
  function marker(type: "commit" | "abort", id = producerId): void {
    cluster.append(partitionOf(0), (builder) => {
      builder.append(1, controlKey(type), endTxnMarkerValue(0));
      return builder.build({ producerId: id, producerEpoch: 0, transactional: true, control: true });
    });
  }

  beforeEach(() => {
    fill(0, ["plain"]);
    const first = transactional(["gone 1", "gone 2"]);
    transactional(["kept by another"], 78);
    transactional(["gone 3"]);
    marker("abort");
    partitionOf(0).aborted.push({ producerId, firstOffset: first });
    marker("commit", 78);
    transactional(["kept"]);
    marker("commit");
  });

  test("read_committed leaves out what was aborted, and markers always", async () => {
    make({ isolationLevel: "read_committed" }).assign([here]);
    expect((await readAll()).map((message) => message.valueText())).toEqual(["plain", "kept by another", "kept"]);
    expect(await until(consumer.position(here))).toBe(partitionOf(0).endOffset);
  });

  test("read_uncommitted has everything but markers", async () => {
    make().assign([here]);
    expect((await readAll()).map((message) => message.valueText())).toEqual([
      "plain",
      "gone 1",
      "gone 2",
      "kept by another",
      "gone 3",
      "kept",
    ]);
  });
});

describe("bad answers", () => {
  function corrupt(change: (bytes: Buffer) => void): void {
    change(partitionOf(0).batches[0]!.bytes);
  }

  test.each([
    ["a wrong checksum", (bytes: Buffer) => bytes.writeUInt32BE(1, 17)],
    ["a record that lies about its length", (bytes: Buffer) => (bytes[61] = 0xfe)],
  ])("%s is told with the offset; a seek past it goes on", async (_name, change) => {
    fill(0, range(10), 5);
    corrupt(change);
    make({ checkCrcs: _name === "a wrong checksum" }).assign([here]);
    await expect(until(consumer.poll(100))).rejects.toMatchObject({
      code: "CLIENT_CORRUPT_BATCH",
      message: /orders-0 at offset 0/,
    });
    await expect(until(consumer.poll(100))).rejects.toMatchObject({ code: "CLIENT_CORRUPT_BATCH" });
    consumer.seek(here, 5);
    expect((await until(consumer.poll(100))).map(({ offset }) => offset)).toEqual([5, 6, 7, 8, 9]);
  });

  test("a batch that unpacks to more than allowed is refused", async () => {
    fill(0, ["x".repeat(1_000_000)], 1, "zstd");
    make({ decompressedBytesMax: 100_000 }).assign([here]);
    await expect(until(consumer.poll(100))).rejects.toMatchObject({
      code: "CLIENT_CORRUPT_BATCH",
      message: /too-large/,
    });
  });

  test("bytes that never go on from the position are refused, not asked for again and again", async () => {
    fill(0, range(10), 10);
    cluster.fault = ({ key, body }) => {
      if (key !== ApiKey.Fetch) return undefined;
      const bytes = Buffer.from(partitionOf(0).batches[0]!.bytes);
      bytes.writeInt32BE(-5, 23);
      const { topicId } = (body as FetchRequest).topics[0]!;
      const partition = { partitionIndex: 0, errorCode: 0, highWatermark: 10, records: bytes };
      return { answer: { responses: [{ topicId, partitions: [partition] }] } };
    };
    make().assign([here]);
    await expect(until(consumer.poll(100))).rejects.toMatchObject({ code: "CLIENT_CORRUPT_BATCH" });
    const before = cluster.requestsOf(ApiKey.Fetch).length;
    await cluster.time.advance(1000);
    expect(cluster.requestsOf(ApiKey.Fetch).length - before).toBeLessThanOrEqual(20);
  });

  test("a topic that one may not read is told", async () => {
    cluster.fault = ({ key, body }) => {
      if (key !== ApiKey.Fetch) return undefined;
      const { topicId } = (body as FetchRequest).topics[0]!;
      const partition = {
        partitionIndex: 0,
        errorCode: ErrorCode.TOPIC_AUTHORIZATION_FAILED,
        highWatermark: -1,
        records: null,
      };
      return { answer: { responses: [{ topicId, partitions: [partition] }] } };
    };
    make().assign([here]);
    await expect(until(consumer.poll(100))).rejects.toMatchObject({ code: "TOPIC_AUTHORIZATION_FAILED" });
  });
});

test("what is fetched and not yet read stays within the budget", async () => {
  fill(
    0,
    range(3000).map((value) => value.padEnd(200, ".")),
    50,
  );
  fill(
    1,
    range(3000).map((value) => value.padEnd(200, ".")),
    50,
  );
  make({ bufferBytes: 60_000, partitionBytesMax: 20_000, fetchBytesMax: 40_000 });
  await until(consumer.assignTopics(["orders"]));
  let count = 0;
  const reading = (async () => {
    for await (const _ of consumer.messages({ until: "end" })) count++;
  })();
  await until(reading);
  expect(count).toBe(6000);
  const asked = cluster.requestsOf(ApiKey.Fetch).map(({ body }) => (body as FetchRequest).maxBytes);
  expect(Math.max(...asked)).toBeLessThanOrEqual(40_000);
});

test("every record once and in order, whatever fails on the way", { timeout: 60_000 }, async () => {
  const plan = fc.record({
    seed: fc.integer({ min: 1, max: 1e6 }),
    perBatch: fc.integer({ min: 1, max: 9 }),
    share: fc.constantFrom(0.1, 0.4),
  });
  await fc.assert(
    fc.asyncProperty(plan, async ({ seed, perBatch, share }) => {
      const random = seededRandom(seed);
      cluster = new ModelCluster(3);
      cluster.createTopic("orders", 3);
      for (const partition of [0, 1, 2]) fill(partition, range(60, `${partition}-`), perBatch);
      let left = 30;
      cluster.fault = ({ key }) => {
        if (left === 0 || random.fraction() >= share) return undefined;
        left--;
        if (random.below(3) === 0) cluster.moveLeader("orders", random.below(3), 1 + random.below(3));
        const isFetch = key === ApiKey.Fetch;
        return ([undefined, "close", isFetch ? "silence" : "close", "lose-answer"] as const)[random.below(4)];
      };
      make({ partitionBytesMax: 300, requestTimeoutMs: 2000, apiTimeoutMs: 600_000 });
      await until(consumer.assignTopics(["orders"], "beginning"));
      const read: string[][] = [[], [], []];
      const pauses = seededRandom(seed + 1);
      const reading = (async () => {
        for await (const message of consumer.messages({ until: "end" })) {
          read[message.partition]!.push(message.valueText()!);
          if (pauses.below(20) === 0) {
            consumer.pause();
            cluster.time.after(pauses.below(100), () => consumer.resume());
          }
        }
      })();
      await cluster.time.until(reading, 3_600_000);
      for (const partition of [0, 1, 2]) expect(read[partition]).toEqual(range(60, `${partition}-`));
      await until(consumer.close());
    }),
    { numRuns: 40, endOnFailure: true },
  );
});
