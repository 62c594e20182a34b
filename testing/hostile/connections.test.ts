// ../shared/design/hostile-inputs.md, section 1: connections that ask too much, take nothing, or end anyhow. A test bears the name of its row.
import { ApiKey, decodeCorrelationId, decodeResponseFrame, encodeRequestFrame } from "@blumfeld/core/protocol";
import { TcpNetwork } from "@blumfeld/host/transport";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { freePort } from "../compat/runner/process.ts";
import { makeBatch, WireConnection } from "../wire/index.ts";
import { framed, header, int32 } from "./bytes.ts";
import {
  createTopic,
  fetch,
  fetchRequest,
  offsets,
  pause,
  produce,
  StallWatch,
  stallMsMax,
  startVictim,
  type Victim,
} from "./victim.ts";

let victim: Victim;
let watch: StallWatch;
beforeAll(async () => {
  victim = await startVictim();
}, 30_000);
afterAll(() => victim?.stop());
beforeEach(() => {
  watch = new StallWatch();
});
afterEach(async () => {
  expect(watch.stop()).toBeLessThan(stallMsMax);
  await victim.control.check();
});

describe("length 100 MiB, then 1 byte each 10 s: progress deadline closes; all receive buffers are capped", () => {
  async function listen(limits: ConstructorParameters<typeof TcpNetwork>[0]) {
    const network = new TcpNetwork(limits);
    const closed: string[] = [];
    const listener = await network.listen({ host: "127.0.0.1", port: 0 }, () => ({
      frameBytesMax: () => 100 * 1024 * 1024,
      onFrame: () => {},
      onDrain: () => {},
      onClose: (reason: string) => void closed.push(reason),
    }));
    const stop = async (): Promise<void> => {
      await listener.close();
      network.destroyAll();
    };
    return { port: listener.port, closed, stop };
  }

  test("a frame that does not get on is given up, an idle connection without a frame is not", async () => {
    const { port, closed, stop } = await listen({ frameProgressMs: 200, deadlineTickMs: 20 });
    const [slow, idle] = [await WireConnection.open(port), await WireConnection.open(port)];
    slow.write(int32(100 * 1024 * 1024));
    const drip = setInterval(() => slow.write(Buffer.from([0])), 50);
    await slow.ended(3000);
    clearInterval(drip);
    expect(closed.length).toBe(1);
    expect(idle.isEnded).toBe(false);
    idle.destroy();
    await stop();
  });

  test("connections that send more than all may hold together are closed", async () => {
    const { port, stop } = await listen({ receiveBytesMax: 4 * 1024 * 1024 });
    const connections = await Promise.all(Array.from({ length: 16 }, () => WireConnection.open(port)));
    for (const each of connections) each.write(int32(90 * 1024 * 1024), Buffer.alloc(1024 * 1024));
    const untilMs = performance.now() + 5000;
    const endedCount = (): number => connections.filter((each) => each.isEnded).length;
    while (endedCount() < 8 && performance.now() < untilMs) await pause(20);
    expect(endedCount()).toBeGreaterThanOrEqual(8);
    for (const each of connections) each.destroy();
    await stop();
  });
});

describe("10,000 pipelined requests, nothing read back: one in work per connection, reading paused; order kept", () => {
  test("requests of several kinds are answered in order", async () => {
    const connection = await victim.open();
    await createTopic(connection, "pipelined");
    connection.socket.pause();
    const head = (correlationId: number) => ({ correlationId, clientId: "pipeline" });
    const frames: Buffer[] = [];
    for (let id = 0; id < 10_000; id++) {
      if (id % 3 === 0) {
        const topicData = [{ name: "pipelined", partitionData: [{ index: 0, records: makeBatch([`${id}`]) }] }];
        frames.push(...encodeRequestFrame(ApiKey.Produce, 9, head(id), { acks: -1, timeoutMs: 5000, topicData }));
      } else if (id % 3 === 1) {
        const topics = [{ name: "pipelined" }];
        frames.push(...encodeRequestFrame(ApiKey.Metadata, 8, head(id), { topics, allowAutoTopicCreation: false }));
      } else
        frames.push(
          ...encodeRequestFrame(
            ApiKey.Fetch,
            11,
            head(id),
            fetchRequest("pipelined", 0, Math.floor(id / 3), { maxBytes: 1 }),
          ),
        );
    }
    connection.write(Buffer.concat(frames));
    await pause(200);
    await victim.control.check();
    watch.stop();
    connection.socket.resume();
    for (let id = 0; id < 10_000; id++) {
      const frame = await connection.frame();
      expect(decodeCorrelationId(frame!)).toBe(id);
      if (id % 3 !== 0) continue;
      const produced = decodeResponseFrame(ApiKey.Produce, 9, frame!).responses[0]!.partitionResponses[0]!;
      expect([produced.errorCode, Number(produced.baseOffset)]).toEqual([0, id / 3]);
    }
    connection.destroy();
    watch = new StallWatch();
  });
});

describe("peer that never reads 50 MiB fetches: per-connection and global output cap", () => {
  test("a connection that takes nothing holds a bounded number of bytes, and others are served", async () => {
    const setup = await victim.open();
    await createTopic(setup, "large", { "max.message.bytes": "1048588" });
    const megabyte = makeBatch(["x".repeat(1_000_000)]);
    for (let i = 0; i < 50; i++) expect((await produce(setup, "large", 0, megabyte)).errorCode).toBe(0);
    watch.stop();
    const before = process.memoryUsage().rss;
    const greedy = await victim.open();
    greedy.socket.pause();
    for (let i = 0; i < 40; i++)
      greedy.send(ApiKey.Fetch, 11, fetchRequest("large", 0, 0, { maxBytes: 50 * 1024 * 1024 }));
    await pause(1000);
    await victim.control.check();
    // One answer of 50 MiB is in work; the other requests wait unread.
    expect(process.memoryUsage().rss - before).toBeLessThan(300 * 1024 * 1024);
    greedy.destroy();
    setup.destroy();
    watch = new StallWatch();
  });
});

describe("2,000 connects at once; > max.connections.per.ip; > max.connections", () => {
  test("2,000 connects at once", async () => {
    watch.stop();
    const connections = await Promise.all(Array.from({ length: 2000 }, () => victim.open().catch(() => null)));
    await victim.control.check();
    const open = connections.filter((each) => each !== null);
    expect(open.length).toBeGreaterThan(0);
    for (const each of open) each.destroy();
    await pause(200);
    const after = await victim.open();
    expect((await after.ask(ApiKey.ApiVersions, 0, {})).errorCode).toBe(0);
    after.destroy();
    watch = new StallWatch();
  });

  test.each([
    ["max.connections.per.ip", { "max.connections.per.ip": 5 }],
    ["max.connections", { "max.connections": 5 }],
  ])("> %s", async (_name, properties) => {
    // The control connection is one of the five.
    const small = await startVictim(properties);
    const connections = await Promise.all(Array.from({ length: 12 }, () => small.open()));
    await pause(300);
    const open = connections.filter((each) => !each.isEnded);
    expect(open.length).toBeLessThanOrEqual(4);
    await small.control.check();
    for (const each of connections) each.destroy();
    await pause(200);
    const again = await small.open();
    expect((await again.ask(ApiKey.ApiVersions, 0, {})).errorCode).toBe(0);
    again.destroy();
    await small.stop();
  });

  test("the brokers' own listener is unharmed by clients", async () => {
    const port = await freePort();
    const two = await startVictim({
      listeners: `PLAINTEXT://127.0.0.1:0,INTERNAL://127.0.0.1:${port},CONTROLLER://127.0.0.1:0`,
      "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
      "inter.broker.listener.name": "INTERNAL",
      "max.connections": 3,
    });
    const connections = await Promise.all(Array.from({ length: 10 }, () => two.open()));
    await pause(200);
    expect(connections.filter((each) => !each.isEnded).length).toBeLessThanOrEqual(2);
    const internal = await WireConnection.open(port);
    expect((await internal.ask(ApiKey.ApiVersions, 0, {})).errorCode).toBe(0);
    for (const each of [internal, ...connections]) each.destroy();
    await two.stop();
  });

  test("max.connection.creation.rate: connections above it wait, and are served then", async () => {
    const slow = await startVictim({ "max.connection.creation.rate": 20 });
    const began = performance.now();
    const connections = await Promise.all(Array.from({ length: 35 }, () => slow.open()));
    const answers = await Promise.all(connections.map((each) => each.ask(ApiKey.ApiVersions, 0, {}).catch(() => null)));
    const served = answers.filter((each) => each !== null).length;
    // A second's worth at once, then 20 a second; who would wait more than a second is closed.
    expect(served).toBeGreaterThanOrEqual(20);
    expect(served === 20 || performance.now() - began > 500).toBe(true);
    for (const each of connections) each.destroy();
    await slow.stop();
  });
});

describe("connections.max.idle.ms", () => {
  test("a silent connection is closed, a busy one is not", async () => {
    const strict = await startVictim({ "connections.max.idle.ms": 700 });
    const silent = await strict.open();
    await silent.ended(6000);
    await strict.control.check();
    silent.destroy();
    await strict.stop();
  });
});

describe("RST or FIN in any state, duplicate correlation ids, replayed frames: state freed; ids are only echoed", () => {
  const request = (correlationId: number): Buffer =>
    Buffer.concat(encodeRequestFrame(ApiKey.Metadata, 8, { correlationId, clientId: null }, { topics: null }));

  test.each(["RST", "FIN"])("%s after each byte of a request", async (how) => {
    const bytes = request(1);
    for (let length = 0; length <= bytes.length; length++) {
      const connection = await victim.open();
      if (length > 0) connection.write(bytes.subarray(0, length));
      if (length % 3 === 0) await pause(1);
      if (how === "RST") connection.reset();
      else connection.finish();
    }
  });

  test.each(["RST", "FIN"])("%s while a fetch is parked and while a produce is in work", async (how) => {
    const setup = await victim.open();
    const topic = `ended-${how.toLowerCase()}`;
    await createTopic(setup, topic);
    for (let i = 0; i < 50; i++) {
      const connection = await victim.open();
      if (i % 2 === 0) connection.send(ApiKey.Fetch, 11, fetchRequest(topic, 0, 0, { maxWaitMs: 60_000 }));
      else {
        const topicData = [{ name: topic, partitionData: [{ index: 0, records: makeBatch([`${i}`]) }] }];
        connection.send(ApiKey.Produce, 9, { acks: -1, timeoutMs: 5000, topicData });
      }
      if (i % 4 < 2) await pause(2);
      if (how === "RST") connection.reset();
      else connection.finish();
    }
    await pause(100);
    const [, end] = await offsets(setup, topic);
    expect(end).toBeGreaterThanOrEqual(1);
    expect((await fetch(setup, topic, 0, 0)).errorCode).toBe(0);
    setup.destroy();
  });

  test("the same correlation id again and again, and frames replayed", async () => {
    const connection = await victim.open();
    const bytes = request(7);
    connection.write(Buffer.concat(Array.from({ length: 50 }, () => bytes)));
    for (let i = 0; i < 50; i++) expect(decodeCorrelationId((await connection.frame())!)).toBe(7);
    connection.destroy();
  });

  test.each([-1, 0, -(2 ** 31), 2 ** 31 - 1])("correlation id %d is echoed", async (id) => {
    const connection = await victim.open();
    connection.write(request(id));
    expect(decodeCorrelationId((await connection.frame())!)).toBe(id);
    connection.destroy();
  });
});

describe("a request that asks for a longer answer than a frame may be", () => {
  test("metadata of the same topic 100,000 times", async () => {
    const connection = await victim.open();
    watch.stop();
    const names = Buffer.concat(Array.from({ length: 100_000 }, () => Buffer.from("000161", "hex")));
    connection.write(framed(header(ApiKey.Metadata, 4), int32(100_000), names, "00"));
    const frame = await connection.frame(10_000).catch(() => null);
    expect(frame === null || decodeCorrelationId(frame) === 7).toBe(true);
    connection.destroy();
    watch = new StallWatch();
  });
});
