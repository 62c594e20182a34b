// The producer against the model of a cluster, in virtual time.

import { RecordBatchView } from "@blumfeld/core/model";
import { ApiKey, ErrorCode, type ProduceRequest } from "@blumfeld/core/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ModelCluster } from "../test-double/model-cluster.ts";
import type { ProducerOptions } from "./options.ts";
import { Producer } from "./producer.ts";

let cluster: ModelCluster;
let producer: Producer;

function make(options: Partial<ProducerOptions> = {}): Producer {
  producer = new Producer({ bootstrapServers: cluster.bootstrapServers, ports: cluster.ports, ...options });
  return producer;
}

beforeEach(() => {
  cluster = new ModelCluster(3);
  cluster.createTopic("orders", 3);
});
afterEach(async () => {
  await cluster.time.until(producer.close({ timeoutMs: 1 }));
  expect(cluster.network.openCount).toBe(0);
  expect(cluster.time.pendingCount).toBe(0);
});

const until = <Result>(promise: Promise<Result>): Promise<Result> => cluster.time.until(promise);
const values = (count: number, topic = "orders", partition = 0) =>
  Array.from({ length: count }, (_, index) => ({ topic, partition, value: `v${index}` }));
const batches = () =>
  cluster
    .requestsOf(ApiKey.Produce)
    .flatMap(({ body }) =>
      (body as ProduceRequest).topicData.flatMap(({ partitionData }) =>
        partitionData.map(({ records }) => new RecordBatchView(records!)),
      ),
    );

describe("one record", () => {
  test("tells where it lies", async () => {
    make();
    const first = await until(producer.send({ topic: "orders", partition: 1, key: "k", value: "v", timestamp: 5 }));
    expect(first).toEqual({ topic: "orders", partition: 1, offset: 0, timestamp: 5 });
    const second = await until(producer.send({ topic: "orders", partition: 1, value: "w" }));
    expect(second.offset).toBe(1);
    const [record] = cluster.topics.get("orders")!.partitions[1]!.batches[0]!.records;
    expect([record!.key?.toString(), record!.value?.toString(), record!.timestamp]).toEqual(["k", "v", 5]);
  });

  test("keeps null keys, tombstones, and headers in their order", async () => {
    make();
    const headers = [
      ["a", "1"],
      ["b", null],
      ["a", Buffer.from([0xff])],
    ] as const;
    await until(producer.send({ topic: "orders", partition: 0, value: null, headers }));
    const [record] = cluster.topics.get("orders")!.partitions[0]!.batches[0]!.records;
    expect([record!.key, record!.value]).toEqual([null, null]);
    expect(record!.headers.map(({ key, value }) => [key, value?.toString("hex") ?? null])).toEqual([
      ["a", "31"],
      ["b", null],
      ["a", "ff"],
    ]);
  });

  test.each([
    [{ topic: "orders", partition: 3, value: "v" }, "CLIENT_INVALID_ARGUMENT"],
    [{ topic: "orders", partition: 0.5, value: "v" }, "CLIENT_INVALID_ARGUMENT"],
    [{ topic: "orders", value: "v", timestamp: -1 }, "CLIENT_INVALID_ARGUMENT"],
    [{ topic: "orders", value: Buffer.alloc(2_000_000) }, "CLIENT_RECORD_TOO_LARGE"],
  ])("that cannot be sent is refused by itself (%#)", async (record, code) => {
    make();
    const refused = expect(producer.send(record)).rejects.toMatchObject({ code, retriable: false });
    const sent = producer.send({ topic: "orders", partition: 0, value: "fine" });
    expect((await until(sent)).offset).toBe(0);
    await refused;
  });
});

describe("batches", () => {
  test("what one turn sends goes together", async () => {
    make();
    await until(producer.send(values(1)));
    cluster.requests.length = 0;
    await until(Promise.all(values(100).map((record) => producer.send(record))));
    expect(cluster.requestsOf(ApiKey.Produce)).toHaveLength(1);
    expect(batches().map(({ recordCount }) => recordCount)).toEqual([100]);
  });

  test("without linger, what comes while a request is under way waits for it and goes together", async () => {
    make();
    await until(producer.send(values(1)));
    cluster.requests.length = 0;
    const all: Promise<unknown>[] = [];
    cluster.fault = (request) => {
      // While the first is with the broker, ten more come one by one.
      if (request.key === ApiKey.Produce && all.length < 10)
        all.push(producer.send({ topic: "orders", partition: 0, value: "x" }));
      return undefined;
    };
    await until(producer.send(values(1)));
    for (let index = 0; index < 9; index++) all.push(producer.send({ topic: "orders", partition: 0, value: "y" }));
    await until(Promise.all(all));
    expect(batches().length).toBeLessThanOrEqual(4);
  });

  test("linger holds a batch back that long; a full one goes at once", async () => {
    make({ lingerMs: 50, batchBytes: 1000 });
    await until(producer.send(values(1)));
    const start = cluster.time.nowMs;
    await until(producer.send(values(1)));
    expect(cluster.time.nowMs - start).toBeGreaterThanOrEqual(50);
    const full = cluster.time.nowMs;
    const big = values(30).map((record) => ({ ...record, value: "x".repeat(100) }));
    const sent = producer.send(big);
    await cluster.time.advance(10);
    expect(cluster.valuesOf("orders", 0).length).toBeGreaterThanOrEqual(2 + 24);
    expect(cluster.time.nowMs - full).toBe(10);
    await until(sent);
    for (const batch of batches()) expect(batch.sizeBytes).toBeLessThanOrEqual(1000);
  });

  test("flush does not wait for linger, and resolves when all is confirmed", async () => {
    make({ lingerMs: 10_000 });
    await until(producer.partitionsFor("orders"));
    const all = [producer.send(values(3)), producer.send(values(2, "orders", 1))];
    const start = cluster.time.nowMs;
    await until(producer.flush());
    expect(cluster.time.nowMs - start).toBeLessThan(100);
    expect([cluster.valuesOf("orders", 0).length, cluster.valuesOf("orders", 1).length]).toEqual([3, 2]);
    await until(Promise.all(all));
  });

  test.each(["gzip", "snappy", "lz4", "zstd"] as const)("%s batches hold what was sent", async (compression) => {
    make({ compression });
    const records = values(500).map((record) => ({ ...record, value: record.value.repeat(20) }));
    await until(producer.send(records));
    expect(cluster.valuesOf("orders", 0)).toEqual(records.map(({ value }) => value));
    expect(batches().every(({ codecId }) => codecId > 0)).toBe(true);
  });

  test("a batch above the broker's bound goes in parts, each record once and in order", async () => {
    cluster.batchBytesMax = 2000;
    make();
    const records = values(400).map((record, index) => ({ ...record, value: `${index}`.padStart(30, "-") }));
    const results = await until(producer.send(records));
    expect(cluster.valuesOf("orders", 0)).toEqual(records.map(({ value }) => value));
    expect(results.map(({ offset }) => offset)).toEqual(records.map((_, index) => index));
  });

  test("a single record above it is refused, and what comes after it goes on", async () => {
    cluster.batchBytesMax = 2000;
    make();
    const refused = expect(
      producer.send({ topic: "orders", partition: 0, value: "x".repeat(3000) }),
    ).rejects.toMatchObject({
      code: "MESSAGE_TOO_LARGE",
    });
    await cluster.time.advance(100);
    await refused;
    await until(producer.send(values(5)));
    expect(cluster.valuesOf("orders", 0)).toEqual(["v0", "v1", "v2", "v3", "v4"]);
  });
});

describe("lists", () => {
  test("results come in the records' order, whatever the partitions", async () => {
    make();
    const records = Array.from({ length: 300 }, (_, index) => ({
      topic: "orders",
      partition: (index * 7) % 3,
      value: `${index}`,
    }));
    const results = await until(producer.send(records));
    results.forEach(({ partition, offset }, index) => {
      expect(partition).toBe(records[index]!.partition);
      expect(cluster.valuesOf("orders", partition)[offset]).toBe(`${index}`);
    });
  });

  test("one refusal rejects the list and tells each record's result", async () => {
    make();
    const records = [...values(2), { topic: "orders", partition: 9, value: "bad" }];
    const error = await until(producer.send(records).catch((reason: unknown) => reason));
    expect(error).toMatchObject({ code: "CLIENT_INVALID_ARGUMENT", message: /1 of 3 records failed/ });
    expect((error as { results: unknown[] }).results).toMatchObject([
      { offset: 0 },
      { offset: 1 },
      { code: "CLIENT_INVALID_ARGUMENT" },
    ]);
  });

  test("an unknown topic holds up its own records only", async () => {
    make({ blockMsMax: 2000 });
    const lost = expect(producer.send([{ topic: "nowhere", value: "x" }, ...values(1)])).rejects.toMatchObject({
      code: "UNKNOWN_TOPIC_OR_PARTITION",
    });
    await until(producer.send(values(1)));
    expect(cluster.valuesOf("orders", 0)).toEqual(["v0", "v0"]);
    await cluster.time.advance(3000);
    await lost;
  });
});

describe("the byte budget", () => {
  test("records wait for room in their order, and all go", async () => {
    make({ bufferBytes: 50_000, batchBytes: 10_000 });
    const records = values(2000).map((record, index) => ({ ...record, value: `${index}`.padStart(100, ".") }));
    const all = records.map((record) => producer.send(record));
    expect(producer.bufferedBytes).toBeLessThanOrEqual(60_000);
    let most = 0;
    cluster.fault = () => {
      most = Math.max(most, producer.bufferedBytes);
      return undefined;
    };
    await until(Promise.all(all));
    expect(most).toBeLessThanOrEqual(60_000);
    expect(most).toBeGreaterThan(20_000);
    expect(cluster.valuesOf("orders", 0)).toEqual(records.map(({ value }) => value));
    expect(producer.bufferedBytes).toBe(0);
  });

  test("who waits too long is told, and the others go on", async () => {
    make({ bufferBytes: 20_000, batchBytes: 10_000, blockMsMax: 500 });
    await until(producer.send(values(1)));
    cluster.fault = (request) => (request.key === ApiKey.Produce ? "silence" : undefined);
    const first = producer.send(values(100).map((record) => ({ ...record, value: "x".repeat(150) })));
    const late = expect(
      producer.send({ topic: "orders", partition: 0, value: "x".repeat(9000) }),
    ).rejects.toMatchObject({
      code: "CLIENT_BUFFER_FULL",
      retriable: true,
    });
    await cluster.time.advance(600);
    await late;
    cluster.fault = () => undefined;
    await until(first);
    expect(cluster.valuesOf("orders", 0)).toHaveLength(101);
  });
});

describe("failures", () => {
  test("a lost answer is no second record: the batch is sent again and recognised", async () => {
    make();
    await until(producer.send(values(1)));
    let lost = 0;
    cluster.fault = (request) => (request.key === ApiKey.Produce && lost++ === 0 ? "lose-answer" : undefined);
    const [result] = await until(producer.send(values(1)));
    expect(result!.offset).toBe(1);
    expect(cluster.valuesOf("orders", 0)).toHaveLength(2);
    expect(lost).toBe(2);
  });

  test("a moved leader is followed by its hint without asking for metadata", async () => {
    make();
    await until(producer.send(values(1)));
    cluster.requests.length = 0;
    cluster.moveLeader("orders", 0, 3);
    expect((await until(producer.send(values(1))))[0]!.offset).toBe(1);
    expect(cluster.requestsOf(ApiKey.Produce).map(({ address }) => address)).toEqual(["node1:9092", "node3:9092"]);
    expect(cluster.requestsOf(ApiKey.Metadata)).toHaveLength(0);
  });

  test("a moved leader is found by metadata where there is no hint", async () => {
    cluster.givesLeaderHints = false;
    make();
    await until(producer.send(values(1)));
    cluster.moveLeader("orders", 0, 3);
    expect((await until(producer.send(values(1))))[0]!.offset).toBe(1);
  });

  test("a partition without a leader is waited for", async () => {
    make();
    await until(producer.send(values(1)));
    cluster.moveLeader("orders", 0, -1);
    const sent = producer.send(values(1));
    await cluster.time.advance(3000);
    cluster.moveLeader("orders", 0, 2);
    expect((await until(sent))[0]!.offset).toBe(1);
  });

  test("a broker that forgot the producer gets a new epoch, and nothing is lost", async () => {
    make();
    await until(producer.send(values(3)));
    cluster.topics.get("orders")!.partitions[0]!.producers.clear();
    await until(producer.send(values(2)));
    await until(producer.send(values(2, "orders", 1)));
    expect(cluster.valuesOf("orders", 0)).toHaveLength(5);
    expect(batches().at(-1)!.producerEpoch).toBe(1);
  });

  test("what is not confirmed in time is told; its memory stays until the request ends", async () => {
    make({ deliveryTimeoutMs: 3000, requestTimeoutMs: 2000 });
    await until(producer.send(values(1)));
    cluster.fault = (request) => (request.key === ApiKey.Produce ? "silence" : undefined);
    const sent = expect(producer.send(values(2))).rejects.toMatchObject({ code: "CLIENT_DELIVERY_TIMEOUT" });
    await cluster.time.advance(3100);
    await sent;
    expect(producer.bufferedBytes).toBeGreaterThan(0);
    cluster.fault = () => undefined;
    await cluster.time.advance(5000);
    expect(producer.bufferedBytes).toBe(0);
    await until(producer.send([{ topic: "orders", partition: 0, value: "after" }]));
    expect(cluster.valuesOf("orders", 0).at(-1)).toBe("after");
  });

  test("an error that trying again does not mend is told at once", async () => {
    make();
    await until(producer.send(values(1)));
    cluster.fault = ({ key, body }) => {
      if (key !== ApiKey.Produce) return undefined;
      const responses = (body as ProduceRequest).topicData.map(({ topicId, partitionData }) => ({
        topicId,
        partitionResponses: partitionData.map(({ index }) => ({
          index,
          errorCode: ErrorCode.TOPIC_AUTHORIZATION_FAILED,
          baseOffset: -1,
        })),
      }));
      return { answer: { responses } };
    };
    await expect(until(producer.send(values(1)))).rejects.toMatchObject({ code: "TOPIC_AUTHORIZATION_FAILED" });
  });
});

describe("other settings", () => {
  test("acks 0 resolves without an offset, and the records are there", async () => {
    make({ acks: 0 });
    const results = await until(producer.send(values(3)));
    expect(results.map(({ offset }) => offset)).toEqual([-1, -1, -1]);
    await cluster.time.advance(10);
    expect(cluster.valuesOf("orders", 0)).toEqual(["v0", "v1", "v2"]);
    expect(batches().every(({ producerId }) => producerId === -1)).toBe(true);
  });

  test("an idempotent producer numbers its batches from 0 in each partition", async () => {
    make();
    for (let round = 0; round < 3; round++) await until(producer.send([...values(2), ...values(3, "orders", 1)]));
    const ofSize = (count: number) => batches().filter(({ recordCount }) => recordCount === count);
    expect(ofSize(2).map(({ baseSequence }) => baseSequence)).toEqual([0, 2, 4]);
    expect(ofSize(3).map(({ baseSequence }) => baseSequence)).toEqual([0, 3, 6]);
  });

  test("close sends what is left; afterwards nothing is taken", async () => {
    make({ lingerMs: 10_000 });
    await until(producer.partitionsFor("orders"));
    const sent = producer.send(values(3));
    await until(producer.close());
    expect((await sent).length).toBe(3);
    await expect(producer.send(values(1))).rejects.toMatchObject({ code: "CLIENT_CLOSED" });
  });

  test("close with a bound gives up and tells who waits", async () => {
    make();
    await until(producer.send(values(1)));
    cluster.fault = (request) => (request.key === ApiKey.Produce ? "silence" : undefined);
    const sent = expect(producer.send(values(1))).rejects.toMatchObject({ code: "CLIENT_CLOSED" });
    const start = cluster.time.nowMs;
    await until(producer.close({ timeoutMs: 100 }));
    await sent;
    expect(cluster.time.nowMs - start).toBeLessThan(200);
  });

  test.each([
    [{ acks: 1, idempotent: true } as const, /acks=1/],
    [{ inFlightRequestsMax: 6 }, /inFlightRequestsMax=6 is above 5/],
    [{ lingerMs: -1 }, /lingerMs=-1/],
    [{ compression: "brotli" as "zstd" }, /compression=brotli/],
    [{ compression: "zstd", compressionLevel: 99 } as const, /compressionLevel=99/],
    [{ deliveryTimeoutMs: 100 }, /deliveryTimeoutMs=100 is below/],
    [{ bootstrapServers: "nowhere" }, /bootstrapServers/],
  ])("wrong options are named (%#)", (options, message) => {
    make();
    expect(() => new Producer({ bootstrapServers: "a:1", ...options })).toThrow(message);
  });
});
