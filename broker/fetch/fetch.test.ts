// Fetches over real sockets: sessions, waiting, bounds, isolation, cold reads; and the session cache's rules against Kafka's.
import { type Disk, DiskError, type DiskFile, seededRandom } from "@blumfeld/core/base";
import { controlKey, endTxnMarkerValue, RecordBatchBuilder } from "@blumfeld/core/model";
import { ApiKey, ErrorCode, type FetchRequestInit, type FetchResponse } from "@blumfeld/core/protocol";
import { MemoryDisk } from "@blumfeld/host/disk";
import { afterEach, describe, expect, it } from "vitest";
import { BrokerFixture, type FixtureClient, type FixtureOptions } from "../fixture/broker-fixture.ts";
import { FetchItem } from "./fetch-item.ts";
import { FetchSessionCache, nextSessionEpoch, sessionEvictionMs } from "./fetch-session.ts";
import { ResponseBuffers } from "./response-buffers.ts";

const version = 11;

interface Producer {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly transactional: true;
}

function batch(value: string, producer?: Producer): Buffer {
  const builder = new RecordBatchBuilder();
  builder.append(1_700_000_000_000, null, value);
  return builder.build(producer);
}

/** What a transaction coordinator writes. */
function abortMarker(producerId: number): Buffer {
  const builder = new RecordBatchBuilder();
  builder.append(1_700_000_000_000, controlKey("abort"), endTxnMarkerValue(0));
  return builder.build({ producerId, producerEpoch: 0, baseSequence: -1, transactional: true, control: true });
}

function fetchOf(positions: Record<number, number>, rest: Partial<FetchRequestInit> = {}): FetchRequestInit {
  const partitions = Object.entries(positions).map(([partition, fetchOffset]) => ({
    partition: Number(partition),
    fetchOffset,
    partitionMaxBytes: 1 << 20,
  }));
  return { maxWaitMs: 0, minBytes: 1, topics: partitions.length === 0 ? [] : [{ topic: "t", partitions }], ...rest };
}

function partitionsOf(response: FetchResponse): number[] {
  return response.responses.flatMap((topic) => topic.partitions.map((one) => one.partitionIndex));
}

describe("fetch", () => {
  let fixture: BrokerFixture | null = null;
  afterEach(async () => {
    await fixture?.stop();
    fixture = null;
  });

  async function start(options: FixtureOptions = {}): Promise<FixtureClient> {
    fixture = await BrokerFixture.start({ topics: [{ name: "t", partitionCount: 4 }], ...options });
    return fixture.client();
  }

  async function produce(client: FixtureClient, index: number, records: Buffer, isFine = true): Promise<void> {
    const answer = await client.ask(ApiKey.Produce, 9, {
      transactionalId: "tx",
      acks: -1,
      timeoutMs: 1_000,
      topicData: [{ name: "t", partitionData: [{ index, records }] }],
    });
    if (isFine) expect(answer.responses[0]!.partitionResponses[0]!.errorCode).toBe(0);
  }

  it("names in a session's answers only the partitions that have news, and lets those with records go to the end", async () => {
    const client = await start();
    const first = await client.ask(ApiKey.Fetch, version, fetchOf({ 0: 0, 1: 0, 2: 0 }, { sessionEpoch: 0 }));
    expect(partitionsOf(first)).toEqual([0, 1, 2]);
    const { sessionId } = first;
    expect(sessionId).not.toBe(0);
    const nothing = await client.ask(ApiKey.Fetch, version, fetchOf({}, { sessionId, sessionEpoch: 1 }));
    expect(nothing.responses).toEqual([]);
    for (const index of [0, 1, 2]) await produce(client, index, batch("x"));
    const all = await client.ask(ApiKey.Fetch, version, fetchOf({}, { sessionId, sessionEpoch: 2, maxBytes: 1 }));
    // One batch in the whole answer: partition 0's; the others have a new high watermark.
    expect(all.responses[0]!.partitions.map((one) => [one.partitionIndex, (one.records?.length ?? 0) > 0])).toEqual([
      [0, true],
      [1, false],
      [2, false],
    ]);
    const next = await client.ask(ApiKey.Fetch, version, fetchOf({}, { sessionId, sessionEpoch: 3, maxBytes: 1 }));
    expect(partitionsOf(next)).toEqual([1]);
    const last = await client.ask(ApiKey.Fetch, version, fetchOf({}, { sessionId, sessionEpoch: 4, maxBytes: 1 }));
    expect(partitionsOf(last)).toEqual([2]);
    const forgotten = await client.ask(
      ApiKey.Fetch,
      version,
      fetchOf({ 3: 0 }, { sessionId, sessionEpoch: 5, forgottenTopicsData: [{ topic: "t", partitions: [0, 1, 2] }] }),
    );
    expect(partitionsOf(forgotten)).toEqual([3]);
    expect((await client.ask(ApiKey.Fetch, version, fetchOf({}, { sessionId, sessionEpoch: 4 }))).errorCode).toBe(
      ErrorCode.INVALID_FETCH_SESSION_EPOCH,
    );
    await client.ask(ApiKey.Fetch, version, fetchOf({}, { sessionId, sessionEpoch: -1 }));
    expect(fixture!.broker.parts.fetchSessions.size).toBe(0);
  });

  it("gives a partition nothing where what is left cannot hold its first batch, but the first of all its batch whole", async () => {
    const client = await start();
    const bytes = batch("x".repeat(200));
    for (const index of [0, 1, 2]) await produce(client, index, batch("x".repeat(200)));
    const sizesWith = async (maxBytes: number) => {
      const answer = await client.ask(ApiKey.Fetch, version, fetchOf({ 0: 0, 1: 0, 2: 0 }, { maxBytes }));
      return answer.responses.flatMap(({ partitions }) => partitions.map(({ records }) => records?.length ?? 0));
    };
    expect(await sizesWith(bytes.length * 2 + 40)).toEqual([bytes.length, bytes.length, 0]);
    expect(await sizesWith(1)).toEqual([bytes.length, 0, 0]);
  });

  it("keeps no bytes in a session between fetches", async () => {
    const client = await start();
    await produce(client, 0, batch("x".repeat(100_000)));
    const { sessionId } = await client.ask(ApiKey.Fetch, version, fetchOf({ 0: 0 }, { sessionEpoch: 0 }));
    expect(sessionId).not.toBe(0);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(fixture!.broker.parts.responseBuffers.givenBytes).toBe(0);
  });

  it("waits until there are enough bytes, and no longer than asked", async () => {
    const client = await start();
    const other = await fixture!.client();
    const one = batch("x".repeat(1_000));
    const started = performance.now();
    client.send(ApiKey.Fetch, version, fetchOf({ 0: 0, 1: 0 }, { maxWaitMs: 10_000, minBytes: one.length * 2 + 1 }));
    await produce(other, 0, Buffer.from(one));
    await produce(other, 1, Buffer.from(one));
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(client.answerCount).toBe(0);
    await produce(other, 0, Buffer.from(one));
    const woken = await client.receive(ApiKey.Fetch, version);
    expect(performance.now() - started).toBeLessThan(5_000);
    expect(woken.responses[0]!.partitions.map((part) => part.records?.length)).toEqual([one.length * 2, one.length]);
    const before = performance.now();
    const late = await client.ask(ApiKey.Fetch, version, fetchOf({ 0: 2 }, { maxWaitMs: 80 }));
    expect(performance.now() - before).toBeGreaterThanOrEqual(79);
    expect(late.responses[0]!.partitions[0]).toMatchObject({ errorCode: 0, highWatermark: 2n });
    expect(fixture!.broker.parts.requestWheel.size).toBe(0);
  });

  it("wakes a waiting fetch when its topic is deleted", async () => {
    const client = await start();
    const other = await fixture!.client();
    await produce(other, 0, batch("one"));
    await produce(other, 0, batch("two"));
    client.send(ApiKey.Fetch, version, fetchOf({ 0: 2 }, { maxWaitMs: 10_000 }));
    const wheel = fixture!.broker.parts.requestWheel;
    while (wheel.size === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    fixture!.apply([{ type: "RemoveTopicRecord", version: 0, value: { topicId: fixture!.topicId("t") } }]);
    const answer = await client.receive(ApiKey.Fetch, version);
    expect(answer.responses[0]!.partitions[0]!.errorCode).toBe(ErrorCode.NOT_LEADER_OR_FOLLOWER);
    expect((await client.ask(ApiKey.Fetch, version, fetchOf({ 0: 2 }))).responses[0]!.partitions[0]!.errorCode).toBe(
      ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    );
  });

  it("gives readers of committed records nothing of an open transaction, and the aborted ones by name", async () => {
    const client = await start({ broker: { transactionVerifier: { verify: () => null } } });
    await produce(client, 0, batch("plain"));
    await produce(client, 0, batch("open", { producerId: 7, producerEpoch: 0, baseSequence: 0, transactional: true }));
    const all = await client.ask(ApiKey.Fetch, version, fetchOf({ 0: 0 }));
    expect(all.responses[0]!.partitions[0]).toMatchObject({
      highWatermark: 2n,
      lastStableOffset: 1n,
      abortedTransactions: null,
    });
    const committed = await client.ask(ApiKey.Fetch, version, fetchOf({ 0: 0 }, { isolationLevel: 1 }));
    const part = committed.responses[0]!.partitions[0]!;
    expect(part.abortedTransactions).toEqual([]);
    expect(part.records!.length).toBeLessThan(all.responses[0]!.partitions[0]!.records!.length);
    const listed = await client.ask(ApiKey.ListOffsets, 6, {
      replicaId: -1,
      isolationLevel: 1,
      topics: [{ name: "t", partitions: [{ partitionIndex: 0, timestamp: -1 }] }],
    });
    expect(listed.topics[0]!.partitions[0]!.offset).toBe(1n);
    const partition = fixture!.broker.parts.partitions.get("t", 0)!;
    expect(partition.append(abortMarker(7), { origin: "coordinator", nowMs: Date.now() }).kind).toBe("appended");
    await produce(client, 0, batch("after"));
    const aborted = await client.ask(ApiKey.Fetch, version, fetchOf({ 0: 0 }, { isolationLevel: 1 }));
    expect(aborted.responses[0]!.partitions[0]).toMatchObject({
      highWatermark: 4n,
      lastStableOffset: 4n,
      abortedTransactions: [{ producerId: 7n, firstOffset: 1n }],
    });
    const behind = await client.ask(ApiKey.Fetch, version, fetchOf({ 0: 3 }, { isolationLevel: 1 }));
    expect(behind.responses[0]!.partitions[0]!.abortedTransactions).toEqual([]);
  });

  it("refuses replicas that are none, and whom the authorizer does not know as a broker", async () => {
    const client = await start();
    await produce(client, 0, batch("one"));
    const log = fixture!.broker.parts.partitions.get("t", 0)!.log!;
    const asReplica = await client.ask(ApiKey.Fetch, version, fetchOf({ 0: 0 }, { replicaId: 5 }));
    expect(asReplica.responses[0]!.partitions[0]!.errorCode).toBe(ErrorCode.NOT_LEADER_OR_FOLLOWER);
    const { authorizer } = fixture!.broker.parts;
    const allow = authorizer.authorize;
    (authorizer as { authorize: unknown }).authorize = () => false;
    try {
      const refused = await client.ask(ApiKey.Fetch, version, fetchOf({ 0: 0, 1: 0 }, { replicaId: 1 }));
      expect(refused.responses[0]!.partitions.map((one) => one.errorCode)).toEqual([29, 29]);
      const unread = await client.ask(ApiKey.Fetch, version, fetchOf({ 0: 0 }));
      expect(unread.responses[0]!.partitions[0]!.errorCode).toBe(ErrorCode.TOPIC_AUTHORIZATION_FAILED);
    } finally {
      (authorizer as { authorize: unknown }).authorize = allow;
    }
    expect(log.highWatermark).toBe(1);
  });

  it("reads what is cold on the pool, and answers 56 where it cannot be read", async () => {
    const disk = coldDisk();
    const client = await start({ disk });
    const value = "x".repeat(200_000);
    for (let index = 0; index < 5; index++) await produce(client, 0, batch(value));
    const log = fixture!.broker.parts.partitions.get("t", 0)!.log!;
    const read = log.read.bind(log);
    log.read = (from, options) => {
      const outcome = read(from, options);
      return outcome.kind === "slice" ? { ...outcome, isRecent: false } : outcome;
    };
    // The probe takes as long as a device would.
    disk.nowReadMs = 3;
    const cold = await client.ask(ApiKey.Fetch, version, fetchOf({ 0: 0, 1: 0 }));
    expect(disk.laterReads).toBe(1);
    disk.laterReads = 0;
    // Too soon for another probe.
    const again = await client.ask(ApiKey.Fetch, version, fetchOf({ 0: 0 }));
    expect(disk.laterReads).toBe(1);
    expect(cold.responses[0]!.partitions[0]!.records!.length).toBeGreaterThan(900_000);
    expect(again.responses[0]!.partitions[0]!.records!.equals(cold.responses[0]!.partitions[0]!.records!)).toBe(true);
    // Memory is quick, but for a machine that is busy: then a later probe finds it so.
    disk.nowReadMs = 0;
    for (let attempt = 0; ; attempt++) {
      disk.laterReads = 0;
      const cached = await client.ask(ApiKey.Fetch, version, fetchOf({ 0: 0 }));
      expect(cached.responses[0]!.partitions[0]!.records!.equals(cold.responses[0]!.partitions[0]!.records!)).toBe(
        true,
      );
      if (disk.laterReads === 0) break;
      expect(attempt).toBeLessThan(50);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    disk.nowReadMs = 3;
    disk.isBroken = true;
    const broken = await client.ask(ApiKey.Fetch, version, fetchOf({ 0: 0 }));
    expect(broken.responses[0]!.partitions[0]).toMatchObject({
      errorCode: ErrorCode.KAFKA_STORAGE_ERROR,
      highWatermark: -1n,
    });
  });

  it("moves the log's start, and tells where it is", async () => {
    const client = await start();
    for (let index = 0; index < 3; index++) await produce(client, 0, batch("x"));
    const ask = (partition: number, offset: number) =>
      client.ask(ApiKey.DeleteRecords, 2, {
        timeoutMs: 1_000,
        topics: [{ name: "t", partitions: [{ partitionIndex: partition, offset }] }],
      });
    expect((await ask(0, 2)).topics[0]!.partitions[0]).toMatchObject({ errorCode: 0, lowWatermark: 2n });
    expect((await ask(0, 4)).topics[0]!.partitions[0]).toMatchObject({
      errorCode: ErrorCode.OFFSET_OUT_OF_RANGE,
      lowWatermark: -1n,
    });
    expect((await ask(9, 4)).topics[0]!.partitions[0]!.errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
    expect((await ask(0, -1)).topics[0]!.partitions[0]).toMatchObject({ errorCode: 0, lowWatermark: 3n });
    expect((await client.ask(ApiKey.Fetch, version, fetchOf({ 0: 1 }))).responses[0]!.partitions[0]!.errorCode).toBe(
      ErrorCode.OFFSET_OUT_OF_RANGE,
    );
  });
});

interface ColdDisk extends Disk {
  laterReads: number;
  nowReadMs: number;
  isBroken: boolean;
}

/** Counts reads on the pool, and can refuse them. */
function coldDisk(): ColdDisk {
  const memory = new MemoryDisk();
  const state = { laterReads: 0, nowReadMs: 0, isBroken: false };
  const wrap = (file: DiskFile): DiskFile =>
    new Proxy(file, {
      get(target, name) {
        const value = Reflect.get(target, name) as unknown;
        if (name === "readLater")
          return (buffer: Uint8Array, position: number) => {
            state.laterReads++;
            if (state.isBroken) return Promise.reject(new DiskError("EIO", target.path, "read"));
            return target.readLater(buffer, position);
          };
        if (name === "read")
          return (buffer: Uint8Array, position: number) => {
            const until = performance.now() + state.nowReadMs;
            while (performance.now() < until);
            return target.read(buffer, position);
          };
        return typeof value === "function" ? (value.bind(target) as unknown) : value;
      },
    });
  return new Proxy(memory as unknown as ColdDisk, {
    get(_, name) {
      if (name === "open") return (path: string, mode: "read" | "append" | "create") => wrap(memory.open(path, mode));
      if (name in state) return state[name as keyof typeof state];
      const value = Reflect.get(memory, name) as unknown;
      return typeof value === "function" ? (value.bind(memory) as unknown) : value;
    },
    set(_, name, value) {
      (state as Record<string | symbol, unknown>)[name] = value;
      return true;
    },
  });
}

describe("fetch session cache", () => {
  const items = (count: number): Map<string, FetchItem> =>
    new Map(
      Array.from({ length: count }, (_, index) => {
        const item = new FetchItem("t", "AAAAAAAAAAAAAAAAAAAAAA" as never, index);
        return [item.key, item];
      }),
    );

  function cacheOf(slots: number) {
    const clock = { nowMs: 0, wallMs: () => clock.nowMs, monotonicMs: () => clock.nowMs };
    return { clock, cache: new FetchSessionCache(slots, clock, seededRandom(1)) };
  }

  it("gives no slot to a newcomer while all others are young and used", () => {
    const { clock, cache } = cacheOf(2);
    const first = cache.create(items(1), false, false)!;
    cache.create(items(1), false, false);
    expect(cache.create(items(100), false, false)).toBeNull();
    clock.nowMs = sessionEvictionMs + 1;
    const touched = cache.continue(first.id, 1, false, () => {});
    expect(touched).toBe(first);
    // The second was not used for two minutes.
    expect(cache.create(items(1), false, false)).not.toBeNull();
    expect(cache.continue(first.id, 2, false, () => {})).toBe(first);
  });

  it("displaces an old session by a larger one, not by a smaller one, and a follower's by none of a consumer", () => {
    const { clock, cache } = cacheOf(2);
    const consumer = cache.create(items(5), false, false)!;
    const follower = cache.create(items(5), true, false)!;
    clock.nowMs = sessionEvictionMs;
    cache.continue(consumer.id, 1, false, () => {});
    cache.continue(follower.id, 1, false, () => {});
    clock.nowMs = sessionEvictionMs + 10;
    expect(cache.create(items(4), false, false)).toBeNull();
    const larger = cache.create(items(6), false, false);
    expect(larger).not.toBeNull();
    expect(cache.continue(consumer.id, 2, false, () => {})).toEqual({
      errorCode: ErrorCode.FETCH_SESSION_ID_NOT_FOUND,
    });
    expect(cache.create(items(100), false, false)).toBeNull();
    // A follower may displace a consumer however young it is.
    expect(cache.create(items(1), true, false)).not.toBeNull();
    expect(cache.evictionCount).toBe(2);
  });

  it("begins epochs anew at 1 after 2^31-1", () => {
    expect(nextSessionEpoch(0)).toBe(1);
    expect(nextSessionEpoch(0x7fff_ffff)).toBe(1);
    expect(nextSessionEpoch(-1)).toBe(-1);
  });
});

describe("response buffers", () => {
  it("gives the same memory again, and keeps within its bounds", () => {
    const buffers = new ResponseBuffers(1 << 20);
    const one = buffers.take(100_000);
    expect(one.length).toBe(131_072);
    expect(buffers.availableBytes).toBe((1 << 20) - 131_072);
    buffers.give(one);
    expect(buffers.take(131_072)).toBe(one);
    const huge = buffers.take(70_000_000);
    expect(huge.length).toBe(70_000_000);
    expect(buffers.availableBytes).toBe(0);
    buffers.give(huge);
    buffers.give(one);
    expect(buffers.givenBytes).toBe(0);
    for (let bytes = 1; bytes < 1 << 20; bytes = bytes * 3 + 1) {
      const buffer = buffers.take(bytes);
      expect(buffer.length).toBeGreaterThanOrEqual(bytes);
      buffers.give(buffer);
    }
  });
});
