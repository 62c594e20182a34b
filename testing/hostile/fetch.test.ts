// ../shared/design/hostile-inputs.md, section 2: what is fetched. A test bears the name of its row.
import { ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { makeBatch, readBatches, type WireConnection } from "../wire/index.ts";
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
let connection: WireConnection;
let watch: StallWatch;
const topic = "fetched";
const recordCount = 10;

beforeAll(async () => {
  victim = await startVictim({ "max.incremental.fetch.session.cache.slots": 100 });
  const setup = await victim.open();
  await createTopic(setup, topic);
  for (let i = 0; i < recordCount; i++) await produce(setup, topic, 0, makeBatch([`value ${i}`]));
  setup.destroy();
}, 30_000);
afterAll(() => victim?.stop());
beforeEach(async () => {
  connection = await victim.open();
  watch = new StallWatch();
});
afterEach(async () => {
  const stall = watch.stop();
  connection.destroy();
  expect(stall).toBeLessThan(stallMsMax);
  await victim.control.check();
});

describe("fetch with replica id >= 0 without ClusterAction (CVE-2018-1288): follower state, HW, ISR unmoved", () => {
  test.each([1, 2, 99, 2 ** 31 - 1])("replica id %d", async (replicaId) => {
    await fetch(connection, topic, 0, recordCount, { replicaId, maxWaitMs: 0, minBytes: 0 });
    const beyond = await fetch(connection, topic, 0, recordCount + 1000, { replicaId, maxWaitMs: 0, minBytes: 0 });
    expect(beyond.errorCode).not.toBe(ErrorCode.NONE);
    expect(await offsets(connection, topic)).toEqual([0, recordCount]);
    const metadata = await connection.ask(ApiKey.Metadata, 12, {
      topics: [{ name: topic }],
      allowAutoTopicCreation: false,
    });
    expect(metadata.topics[0]!.partitions[0]!.isrNodes).toEqual([victim.broker.nodeId]);
    const own = await fetch(connection, topic, 0, 0);
    expect([own.errorCode, Number(own.highWatermark)]).toEqual([0, recordCount]);
  });
});

describe("fetch max bytes 2^31-1 over 10,000 partitions; min bytes 2^31-1, wait 2^31-1", () => {
  test("10,000 partitions of max bytes 2^31-1 in one request are answered, one by one", async () => {
    const one = fetchRequest(topic, 0, 0, { maxBytes: 2 ** 31 - 1 });
    const partition = one.topics[0]!.partitions[0]!;
    const partitions = Array.from({ length: 10_000 }, (_, i) => ({ ...partition, partition: i }));
    watch.stop();
    watch = new StallWatch();
    const answer = await connection.ask(ApiKey.Fetch, 11, { ...one, topics: [{ topic, partitions }] });
    const codes = answer.responses[0]!.partitions.map((each) => each.errorCode);
    expect(codes.length).toBe(10_000);
    expect(codes[0]).toBe(0);
    expect(new Set(codes.slice(1))).toEqual(new Set([ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]));
  });

  test("1,000 parked fetches that wait for ever cost little, and go with their connections", async () => {
    const before = process.memoryUsage();
    const connections = await Promise.all(Array.from({ length: 1000 }, () => victim.open()));
    const request = fetchRequest(topic, 0, recordCount, { maxWaitMs: 2 ** 31 - 1, minBytes: 2 ** 31 - 1 });
    for (const each of connections) each.send(ApiKey.Fetch, 11, request);
    await pause(300);
    await victim.control.check();
    expect(connections.filter((each) => each.framesWaiting > 0 || each.isEnded)).toEqual([]);
    const grown = process.memoryUsage().rss - before.rss;
    // Both ends of a thousand connections are in this process.
    expect(grown).toBeLessThan(200 * 1024 * 1024);
    for (const each of connections) each.destroy();
    await pause(100);
    const one = await fetch(connection, topic, 0, 0);
    expect(one.errorCode).toBe(0);
    watch.stop();
    watch = new StallWatch();
  });

  test("min bytes 2^31-1 is capped by what max bytes allow: the answer comes when there is as much", async () => {
    const request = fetchRequest(topic, 0, 0, { maxWaitMs: 500, minBytes: 2 ** 31 - 1, maxBytes: 100 });
    const answer = await connection.ask(ApiKey.Fetch, 11, request);
    expect(answer.responses[0]!.partitions[0]!.errorCode).toBe(0);
    expect(readBatches(answer.responses[0]!.partitions[0]!.records).length).toBeGreaterThan(0);
  });

  test.each([-1, 0, -(2 ** 31)])("max bytes %d", async (maxBytes) => {
    const one = await fetch(connection, topic, 0, 0, { maxBytes, maxWaitMs: 100 });
    expect(one.errorCode).toBe(0);
  });
});

describe("offset < 0 or > end: 1; epoch ahead / behind: 75 / 74", () => {
  test.each([-1, -5, recordCount + 1, 2 ** 53 - 1])("offset %d", async (offset) =>
    expect((await fetch(connection, topic, 0, offset, { maxWaitMs: 0 })).errorCode).toBe(ErrorCode.OFFSET_OUT_OF_RANGE),
  );
  test.each([2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)])("offset %s, which no number holds", async (offset) =>
    expect((await fetch(connection, topic, 0, offset, { maxWaitMs: 0 })).errorCode).toBe(ErrorCode.OFFSET_OUT_OF_RANGE),
  );
  test("leader epoch ahead", async () =>
    expect((await fetch(connection, topic, 0, 0, { currentLeaderEpoch: 1000 })).errorCode).toBe(
      ErrorCode.UNKNOWN_LEADER_EPOCH,
    ));
  test("leader epoch behind", async () => {
    // A partition's first epoch is 0, and nothing is behind that but what means "unknown".
    const one = await fetch(connection, topic, 0, 0, { currentLeaderEpoch: -2, maxWaitMs: 0 });
    expect([0, ErrorCode.FENCED_LEADER_EPOCH]).toContain(one.errorCode);
  });
});

describe("100,000 fetch sessions, wrong id/epoch: slots bounded; 70 / 71", () => {
  const session = (sessionId: number, sessionEpoch: number, topics = fetchRequest(topic, 0, 0).topics) => ({
    ...fetchRequest(topic, 0, 0, { maxWaitMs: 0, minBytes: 0 }),
    topics,
    sessionId,
    sessionEpoch,
  });
  test("wrong id", async () => {
    const answer = await connection.ask(ApiKey.Fetch, 11, session(12345, 1, []));
    expect(answer.errorCode).toBe(ErrorCode.FETCH_SESSION_ID_NOT_FOUND);
  });
  test("wrong epoch", async () => {
    const { sessionId } = await connection.ask(ApiKey.Fetch, 11, session(0, 0));
    expect(sessionId).not.toBe(0);
    const answer = await connection.ask(ApiKey.Fetch, 11, session(sessionId, 7, []));
    expect(answer.errorCode).toBe(ErrorCode.INVALID_FETCH_SESSION_EPOCH);
  });
  test("more sessions than slots: all are answered, the rest without a session", async () => {
    let withSession = 0;
    for (let i = 0; i < 2000; i++) {
      const answer = await connection.ask(ApiKey.Fetch, 11, session(0, 0));
      expect(answer.errorCode).toBe(0);
      if (answer.sessionId !== 0) withSession++;
    }
    expect(withSession).toBeLessThanOrEqual(100);
  });
});

describe("ListOffsets and OffsetForLeaderEpoch of nonsense", () => {
  test.each([-7, -99, -(2 ** 31)])("timestamp %d", async (timestamp) => {
    const answer = await connection.ask(ApiKey.ListOffsets, 7, {
      replicaId: -1,
      isolationLevel: 0,
      topics: [{ name: topic, partitions: [{ partitionIndex: 0, timestamp }] }],
    });
    const one = answer.topics[0]!.partitions[0]!;
    // Below all records' timestamps, so the first; or refused by name.
    if (one.errorCode === 0) expect(Number(one.offset)).toBe(0);
    else expect([ErrorCode.INVALID_REQUEST, ErrorCode.UNSUPPORTED_VERSION]).toContain(one.errorCode);
  });
  test("partitions -1 and 2^31-1", async () => {
    for (const partitionIndex of [-1, 2 ** 31 - 1]) {
      const one = await fetch(connection, topic, partitionIndex, 0);
      expect(one.errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
    }
  });
});
