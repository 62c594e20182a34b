// ../shared/design/hostile-inputs.md, section 2: transactions. A test bears the name of its row.
import { ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { makeBatch, readBatches, type WireConnection } from "../wire/index.ts";
import {
  createTopic,
  fetch,
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
let count = 0;
let topic = "";
let id = "";

const passing: ReadonlySet<number> = new Set([
  ErrorCode.COORDINATOR_NOT_AVAILABLE,
  ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
  ErrorCode.NOT_COORDINATOR,
  ErrorCode.CONCURRENT_TRANSACTIONS,
]);

/** Asks until the answer is not one that passes by itself. */
async function settled(ask: () => Promise<number>): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const code = await ask();
    if (!passing.has(code)) return code;
    await pause(20);
  }
  throw new Error("the coordinator does not come to rest");
}

interface Producer {
  readonly producerId: number;
  readonly producerEpoch: number;
}

async function init(
  transactionalId: string,
  from: Producer = { producerId: -1, producerEpoch: -1 },
  timeoutMs = 60_000,
) {
  let producer: Producer = from;
  const code = await settled(async () => {
    const request = { transactionalId, transactionTimeoutMs: timeoutMs, ...from };
    const answer = await connection.ask(ApiKey.InitProducerId, 5, request);
    producer = { producerId: Number(answer.producerId), producerEpoch: answer.producerEpoch };
    return answer.errorCode;
  });
  return { code, producer };
}

const add = (producer: Producer, partition = 0) =>
  settled(async () => {
    const answer = await connection.ask(ApiKey.AddPartitionsToTxn, 3, {
      v3AndBelowTransactionalId: id,
      v3AndBelowProducerId: producer.producerId,
      v3AndBelowProducerEpoch: producer.producerEpoch,
      v3AndBelowTopics: [{ name: topic, partitions: [partition] }],
    });
    return answer.resultsByTopicV3AndBelow[0]!.resultsByPartition[0]!.partitionErrorCode;
  });

const end = (producer: Producer, committed: boolean, version = 4) =>
  settled(async () => {
    const request = { transactionalId: id, ...producer, committed };
    return (await connection.ask(ApiKey.EndTxn, version, request)).errorCode;
  });

const write = async (producer: Producer, sequence: number, version = 11): Promise<number> => {
  // Of now, as markers are: a log rolls when timestamps lie far apart, and a fetch reads one segment.
  const how = { timestampMs: Date.now(), baseSequence: sequence, transactional: true };
  const batch = makeBatch([`s${sequence}`], { ...producer, ...how });
  return (await produce(connection, topic, 0, batch, { version, transactionalId: id })).errorCode;
};

beforeAll(async () => {
  victim = await startVictim();
  // Whoever asks first for the coordinator has the log of transactions made.
  connection = await victim.open();
  const find = { key: "", keyType: 1, coordinatorKeys: ["any"] };
  const code = await settled(
    async () => (await connection.ask(ApiKey.FindCoordinator, 6, find)).coordinators[0]!.errorCode,
  );
  expect(code).toBe(0);
  connection.destroy();
}, 30_000);
afterAll(() => victim?.stop());
beforeEach(async () => {
  connection = await victim.open();
  topic = `tx${count}`;
  id = `id${count++}`;
  await createTopic(connection, topic);
  watch = new StallWatch();
});
afterEach(async () => {
  const stall = watch.stop();
  connection.destroy();
  expect(stall).toBeLessThan(stallMsMax);
  await victim.control.check();
});

describe("produce to a partition not in the txn: 48, or 120 for new clients, via verification", () => {
  test.each([
    [9, ErrorCode.INVALID_TXN_STATE],
    [10, ErrorCode.INVALID_TXN_STATE],
    [11, ErrorCode.TRANSACTION_ABORTABLE],
  ])("Produce v%d", async (version, code) => {
    const { producer } = await init(id);
    expect(await write(producer, 0, version)).toBe(code);
    expect(await offsets(connection, topic)).toEqual([0, 0]);
  });
  test("of a producer that nobody knows", async () => {
    expect(await write({ producerId: 123_456, producerEpoch: 0 }, 0)).not.toBe(0);
    expect(await offsets(connection, topic)).toEqual([0, 0]);
  });
});

describe("EndTxn late, repeated, other epoch: repeat gets the same answer; old epoch 47/90; never touches a later txn", () => {
  test("repeated, and the other way round", async () => {
    const { producer } = await init(id);
    expect(await add(producer)).toBe(0);
    expect(await write(producer, 0)).toBe(0);
    expect(await end(producer, true)).toBe(0);
    expect(await end(producer, true)).toBe(0);
    expect(await end(producer, false)).toBe(ErrorCode.INVALID_TXN_STATE);
  });
  test("late, of an old epoch", async () => {
    const { producer: old } = await init(id);
    expect(await add(old)).toBe(0);
    expect(await write(old, 0)).toBe(0);
    const { producer } = await init(id);
    expect(producer.producerEpoch).toBeGreaterThan(old.producerEpoch);
    expect(await add(producer)).toBe(0);
    expect(await write(producer, 0)).toBe(0);
    expect([ErrorCode.INVALID_PRODUCER_EPOCH, ErrorCode.PRODUCER_FENCED]).toContain(await end(old, true));
    expect([ErrorCode.INVALID_PRODUCER_EPOCH, ErrorCode.PRODUCER_FENCED]).toContain(await end(old, false));
    // The later transaction is open, as it was.
    expect(await write(producer, 1)).toBe(0);
    expect(await end(producer, true)).toBe(0);
  });
  test.each([
    ["another producer id", (p: Producer) => ({ ...p, producerId: p.producerId + 1 })],
    ["an epoch ahead", (p: Producer) => ({ ...p, producerEpoch: p.producerEpoch + 3 })],
    ["epoch -1", (p: Producer) => ({ ...p, producerEpoch: -1 })],
  ])("%s", async (_what, change) => {
    const { producer } = await init(id);
    expect(await add(producer)).toBe(0);
    expect(await end(change(producer), true)).not.toBe(0);
    expect(await end(producer, false)).toBe(0);
  });
});

describe("InitProducerId timeout > max: 50", () => {
  test.each([2 ** 31 - 1, 900_001, 0, -1])("timeout %d ms", async (timeoutMs) => {
    const { code } = await init(id, undefined, timeoutMs);
    expect(code).toBe(ErrorCode.INVALID_TRANSACTION_TIMEOUT);
  });
  test("an empty transactional id: 42", async () => expect((await init("")).code).toBe(ErrorCode.INVALID_REQUEST));
  test("somebody else's producer id: fenced or refused", async () => {
    const { producer } = await init(id);
    const { code } = await init(id, { producerId: producer.producerId + 7, producerEpoch: 0 });
    expect([ErrorCode.PRODUCER_FENCED, ErrorCode.INVALID_PRODUCER_ID_MAPPING]).toContain(code);
  });
});

describe("stale producer epoch; sequence reused after an aborted txn: 47 / 90; must be a new record, not a repeat", () => {
  test("a write of a fenced epoch", async () => {
    const { producer: old } = await init(id);
    expect(await add(old)).toBe(0);
    expect(await write(old, 0)).toBe(0);
    const { producer } = await init(id);
    expect([ErrorCode.INVALID_PRODUCER_EPOCH, ErrorCode.PRODUCER_FENCED, ErrorCode.TRANSACTION_ABORTABLE]).toContain(
      await write(old, 1),
    );
    expect(producer.producerId).toBe(old.producerId);
  });
  test("sequence 0 again after an abort that raised the epoch is a new record", async () => {
    const { producer } = await init(id);
    expect(await add(producer)).toBe(0);
    expect(await write(producer, 0)).toBe(0);
    expect(await end(producer, false)).toBe(0);
    const { producer: next } = await init(id);
    expect(await add(next)).toBe(0);
    expect(await write(next, 0)).toBe(0);
    expect(await end(next, true)).toBe(0);
    let records: readonly string[] = [];
    for (let tries = 0; tries < 50 && records.length < 2; tries++) {
      const batches = readBatches((await fetch(connection, topic, 0, 0)).records);
      records = batches
        .filter(({ batch }) => !batch.isControl)
        .flatMap((each) => each.records.map((one) => String(one.offset)));
      await pause(20);
    }
    // The aborted record, its marker, the new one.
    expect(records.length).toBe(2);
  });
});

describe("WriteTxnMarkers of what no coordinator has: nothing is written", () => {
  test.each([
    ["a negative producer id", { producerId: -5n }, ErrorCode.INVALID_PRODUCER_ID_MAPPING],
    ["a producer id above 2^53", { producerId: 2n ** 62n }, ErrorCode.INVALID_PRODUCER_ID_MAPPING],
    ["a negative producer epoch", { producerEpoch: -3 }, ErrorCode.INVALID_PRODUCER_EPOCH],
    ["a negative coordinator epoch", { coordinatorEpoch: -(2 ** 31) }, ErrorCode.TRANSACTION_COORDINATOR_FENCED],
  ])("%s", async (_what, change, code) => {
    const topics = [{ name: topic, partitionIndexes: [0] }];
    const marker = {
      producerId: 7n,
      producerEpoch: 0,
      transactionResult: true,
      topics,
      coordinatorEpoch: 0,
      ...change,
    };
    const answer = await connection.ask(ApiKey.WriteTxnMarkers, 1, { markers: [marker] });
    expect(answer.markers[0]!.topics[0]!.partitions).toEqual([{ partitionIndex: 0, errorCode: code }]);
    expect(await offsets(connection, topic)).toEqual([0, 0]);
  });
});
