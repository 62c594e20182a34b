// A session over real sockets: order of answers, what may run side by side, back-pressure, and what ends a connection.
import { batchHeaderBytes, RecordBatchBuilder } from "@blumfeld/core/model";
import { ApiKey, decodeCorrelationId, ErrorCode } from "@blumfeld/core/protocol";
import { afterEach, describe, expect, it } from "vitest";
import { BrokerFixture, type FixtureClient } from "../fixture/broker-fixture.ts";

function batch(value: string): Buffer {
  const builder = new RecordBatchBuilder();
  builder.append(1_700_000_000_000, null, value);
  return builder.build();
}

function produceRequest(records: Buffer | null, acks = 1, topic = "t") {
  return { acks, timeoutMs: 1_000, topicData: [{ name: topic, partitionData: [{ index: 0, records }] }] };
}

function fetchRequest(
  fetchOffset: number,
  options: { maxWaitMs?: number; minBytes?: number; partition?: number } = {},
) {
  return {
    maxWaitMs: options.maxWaitMs ?? 0,
    minBytes: options.minBytes ?? 1,
    maxBytes: 1 << 20,
    topics: [
      { topic: "t", partitions: [{ partition: options.partition ?? 0, fetchOffset, partitionMaxBytes: 1 << 20 }] },
    ],
  };
}

describe("session", () => {
  let fixture: BrokerFixture | null = null;
  afterEach(async () => {
    await fixture?.stop();
    fixture = null;
  });

  async function start(): Promise<FixtureClient> {
    fixture = await BrokerFixture.start({ topics: [{ name: "t", partitionCount: 2 }] });
    return fixture.client();
  }

  it("answers pipelined produces in order, written together", async () => {
    const client = await start();
    const log = fixture!.broker.parts.partitions.get("t", 0)!.log!;
    let writes = 0;
    const write = log.writePending.bind(log);
    log.writePending = () => {
      writes++;
      write();
    };
    for (let index = 0; index < 50; index++) client.send(ApiKey.Produce, 9, produceRequest(batch(`value ${index}`)));
    for (let index = 0; index < 50; index++) {
      const answer = await client.receive(ApiKey.Produce, 9);
      expect(answer.responses[0]!.partitionResponses[0]!).toMatchObject({ errorCode: 0, baseOffset: BigInt(index) });
    }
    expect(writes).toBeLessThan(10);
  });

  it("lets a later request of the connection see what an earlier produce appended", async () => {
    const client = await start();
    const ids = [
      client.send(ApiKey.Produce, 9, produceRequest(batch("one"))),
      client.send(ApiKey.Fetch, 11, fetchRequest(0)),
      client.send(ApiKey.Produce, 9, produceRequest(batch("two"))),
      client.send(ApiKey.ListOffsets, 6, {
        replicaId: -1,
        topics: [{ name: "t", partitions: [{ partitionIndex: 0, timestamp: -1 }] }],
      }),
    ];
    await client.receive(ApiKey.Produce, 9);
    const fetched = await client.receive(ApiKey.Fetch, 11);
    expect(fetched.responses[0]!.partitions[0]!.highWatermark).toBe(1n);
    expect(fetched.responses[0]!.partitions[0]!.records!.length).toBeGreaterThan(batchHeaderBytes);
    await client.receive(ApiKey.Produce, 9);
    const listed = await client.receive(ApiKey.ListOffsets, 6);
    expect(listed.topics[0]!.partitions[0]!.offset).toBe(2n);
    expect(ids).toEqual([1, 2, 3, 4]);
  });

  it("takes up nothing behind a waiting fetch, and goes on after it", async () => {
    const client = await start();
    const other = await fixture!.client();
    client.send(ApiKey.Fetch, 11, fetchRequest(0, { maxWaitMs: 10_000 }));
    client.send(ApiKey.Produce, 9, produceRequest(batch("behind")));
    client.send(ApiKey.ApiVersions, 0, {});
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(client.answerCount).toBe(0);
    expect(fixture!.broker.parts.partitions.get("t", 0)!.log!.logEndOffset).toBe(0);
    await other.ask(ApiKey.Produce, 9, produceRequest(batch("wakes")));
    const answers = [await client.next(), await client.next(), await client.next()];
    expect(answers.map((answer) => decodeCorrelationId(answer!))).toEqual([1, 2, 3]);
  });

  it("does not answer acks=0, and closes where it fails", async () => {
    const client = await start();
    client.send(ApiKey.Produce, 9, produceRequest(batch("unanswered"), 0));
    const listed = await client.ask(ApiKey.ListOffsets, 6, {
      replicaId: -1,
      topics: [{ name: "t", partitions: [{ partitionIndex: 0, timestamp: -1 }] }],
    });
    expect(listed.topics[0]!.partitions[0]!.offset).toBe(1n);
    client.send(ApiKey.Produce, 9, produceRequest(batch("nowhere"), 0, "missing"));
    expect(await client.next()).toBeNull();
  });

  it.each([
    ["an empty frame", Buffer.from("00000000", "hex")],
    ["a cut header", Buffer.from("00000003000000", "hex")],
    ["a client id of length -2", Buffer.from("0000000a0003000000000001fffe", "hex")],
    ["a client id longer than the rest", Buffer.from("0000000c00030000000000010fff6162", "hex")],
    ["an array of 2^31-1 topics", Buffer.from("0000001200020001000000010000ffffffff7fffffff", "hex")],
    ["a TLS hello", Buffer.from(`16030100${"00".repeat(60)}`, "hex")],
    ["HTTP", Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")],
    ["a negative size", Buffer.from("ffffffff", "hex")],
  ])("closes on %s, and nobody else is hurt", async (_, bytes) => {
    const client = await start();
    const other = await fixture!.client();
    client.sendRaw(bytes);
    expect(await client.next()).toBeNull();
    const answer = await other.ask(ApiKey.ApiVersions, 0, {});
    expect(answer.errorCode).toBe(ErrorCode.NONE);
    expect(fixture!.logger.lines.every((line) => !line.includes("GET /"))).toBe(true);
  });

  it("closes on an API that only controllers serve", async () => {
    const client = await start();
    client.send(ApiKey.Vote, 0, { clusterId: null, topics: [] });
    expect(await client.next()).toBeNull();
  });

  it("answers in the API's own shape where a handler throws, logs it, and lives on", async () => {
    const client = await start();
    const { partitions } = fixture!.broker.parts;
    const get = partitions.get.bind(partitions);
    partitions.get = () => {
      throw new Error("broken on purpose");
    };
    const produced = await client.ask(ApiKey.Produce, 9, produceRequest(batch("one")));
    expect(produced.responses[0]!.partitionResponses[0]!.errorCode).toBe(ErrorCode.UNKNOWN_SERVER_ERROR);
    const fetched = await client.ask(ApiKey.Fetch, 11, fetchRequest(0));
    expect(fetched.errorCode).toBe(ErrorCode.UNKNOWN_SERVER_ERROR);
    partitions.get = get;
    expect(fixture!.logger.lines.filter((line) => line.includes("broken on purpose")).length).toBe(2);
    const again = await client.ask(ApiKey.Produce, 9, produceRequest(batch("one")));
    expect(again.responses[0]!.partitionResponses[0]!.errorCode).toBe(0);
  });

  it("frees a waiting fetch when its connection ends", async () => {
    const client = await start();
    client.send(ApiKey.Fetch, 11, fetchRequest(0, { maxWaitMs: 60_000 }));
    const wheel = fixture!.broker.parts.requestWheel;
    while (wheel.size === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    client.connection.destroy();
    while (wheel.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(fixture!.broker.connectionCount).toBe(0);
  });

  it("does not go on for a peer that reads nothing", async () => {
    const client = await start();
    const big = batch("x".repeat(900_000));
    for (let index = 0; index < 8; index++) await client.ask(ApiKey.Produce, 9, produceRequest(Buffer.from(big)));
    client.connection.pause();
    for (let index = 0; index < 40; index++)
      client.send(ApiKey.Fetch, 11, {
        ...fetchRequest(0),
        maxBytes: 8 << 20,
        topics: [{ topic: "t", partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 8 << 20 }] }],
      });
    await new Promise((resolve) => setTimeout(resolve, 300));
    // 40 answers of 7 MB were asked for; what waits is about one of them beyond what the sockets hold.
    expect(fixture!.broker.parts.responseBuffers.givenBytes).toBeLessThan(40_000_000);
    client.connection.resume();
    for (let index = 0; index < 40; index++) expect(await client.next()).not.toBeNull();
    while (fixture!.broker.parts.responseBuffers.givenBytes > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  });
});
