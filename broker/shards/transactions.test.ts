// Transactions over real sockets, end to end: random interleavings of producers of transactions v1 and v2 with plain ones, over restarts, and what
// readers of committed records then see, held to a slow model: records in their order, whose transaction was committed, up to the first open one.
import { randomUuid } from "@blumfeld/core/base";
import {
  consumerOffsetsTopic,
  controlKey,
  iterateBatches,
  iterateRecords,
  parseControlKey,
  RecordBatchBuilder,
  transactionStateTopic,
} from "@blumfeld/core/model";
import { ApiKey, ErrorCode, transactionCoordinatorRecords } from "@blumfeld/core/protocol";
import { MemoryDisk } from "@blumfeld/host/disk";
import { systemRandom } from "@blumfeld/host/process";
import fc from "fast-check";
import { afterEach, expect, it } from "vitest";
import { BrokerFixture, type FixtureClient } from "../fixture/broker-fixture.ts";

const runs = Number(process.env.BLUMFELD_PROPERTY_RUNS ?? 25);
const settlingCodes: ReadonlySet<number> = new Set([
  ErrorCode.CONCURRENT_TRANSACTIONS,
  ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
  ErrorCode.NOT_COORDINATOR,
  ErrorCode.NOT_ENOUGH_REPLICAS,
]);

const topics = [transactionStateTopic, consumerOffsetsTopic, "t"].map((name) => ({
  name,
  id: randomUuid(systemRandom),
  partitionCount: name === "t" ? 2 : 1,
}));

let fixture: BrokerFixture | null = null;
afterEach(async () => {
  await fixture?.stop();
  fixture = null;
});

let producerIds = 0n;

async function start(disk: MemoryDisk): Promise<FixtureClient> {
  fixture = await BrokerFixture.start({ disk, topics });
  fixture.apply([{ type: "FeatureLevelRecord", version: 0, value: { name: "transaction.version", featureLevel: 2 } }]);
  const { parts } = fixture.broker;
  parts.cluster.nextProducerId = () => producerIds++;
  return fixture.client();
}

/** Asks again while the coordinator is not ready. */
async function settled<Answer>(ask: () => Promise<Answer>, codeOf: (answer: Answer) => number): Promise<Answer> {
  for (let attempt = 0; attempt < 500; attempt++) {
    const answer = await ask();
    if (!settlingCodes.has(codeOf(answer))) return answer;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  throw new Error("the coordinator was never ready");
}

class Producer {
  client: FixtureClient;
  private readonly id: string;
  private readonly isV2: boolean;
  private producerId = -1n;
  private producerEpoch = -1;
  private sequences = [0, 0];
  private added = new Set<number>();

  constructor(client: FixtureClient, id: string, isV2: boolean) {
    this.client = client;
    this.id = id;
    this.isV2 = isV2;
  }

  async init(): Promise<void> {
    const request = {
      transactionalId: this.id,
      transactionTimeoutMs: 60_000,
      producerId: -1n,
      producerEpoch: -1,
    };
    const answer = await settled(
      () => this.client.ask(ApiKey.InitProducerId, 5, request),
      ({ errorCode }) => errorCode,
    );
    expect(answer.errorCode).toBe(0);
    this.take(answer.producerId, answer.producerEpoch);
  }

  private take(producerId: bigint, producerEpoch: number): void {
    if (producerId !== this.producerId || producerEpoch !== this.producerEpoch) this.sequences = [0, 0];
    this.producerId = producerId;
    this.producerEpoch = producerEpoch;
    this.added.clear();
  }

  owner() {
    return { producerId: this.producerId, producerEpoch: this.producerEpoch };
  }

  /** The error code. */
  async send(partition: number, value: string): Promise<number> {
    if (!this.isV2 && !this.added.has(partition)) {
      const code = await this.add(partition);
      if (code !== 0) return code;
    }
    const { producerId, producerEpoch } = this.owner();
    const builder = new RecordBatchBuilder();
    builder.append(1_700_000_000_000, null, value);
    const records = builder.build({
      ...{ producerId: Number(producerId), producerEpoch, transactional: true },
      baseSequence: this.sequences[partition]!,
    });
    const answer = await settled(
      () => produce(this.client, this.isV2 ? 12 : 11, this.id, partition, records),
      (code) => code,
    );
    if (answer === 0) this.sequences[partition]!++;
    return answer;
  }

  private async add(partition: number): Promise<number> {
    const request = {
      v3AndBelowTransactionalId: this.id,
      v3AndBelowProducerId: this.producerId,
      v3AndBelowProducerEpoch: this.producerEpoch,
      v3AndBelowTopics: [{ name: "t", partitions: [partition] }],
    };
    const code = await settled(
      async () => {
        const answer = await this.client.ask(ApiKey.AddPartitionsToTxn, 3, request);
        return answer.resultsByTopicV3AndBelow[0]!.resultsByPartition[0]!.partitionErrorCode;
      },
      (errorCode) => errorCode,
    );
    if (code === 0) this.added.add(partition);
    return code;
  }

  async end(committed: boolean): Promise<number> {
    const request = { transactionalId: this.id, ...this.owner(), committed };
    const answer = await settled(
      () => this.client.ask(ApiKey.EndTxn, this.isV2 ? 5 : 4, request),
      ({ errorCode }) => errorCode,
    );
    if (answer.errorCode === 0 && this.isV2) this.take(answer.producerId, answer.producerEpoch);
    this.added.clear();
    return answer.errorCode;
  }
}

async function produce(
  client: FixtureClient,
  version: number,
  transactionalId: string | null,
  index: number,
  records: Buffer,
): Promise<number> {
  const answer = await client.ask(ApiKey.Produce, version, {
    transactionalId,
    acks: -1,
    timeoutMs: 1000,
    topicData: [{ name: "t", partitionData: [{ index, records: Buffer.from(records) }] }],
  });
  return answer.responses[0]!.partitionResponses[0]!.errorCode;
}

/** What a consumer of committed records gets: batches of aborted transactions left out, as each answer's list says. */
async function committedValues(client: FixtureClient, partition: number): Promise<string[]> {
  const values: string[] = [];
  for (let fetchOffset = 0; ; ) {
    const answer = await client.ask(ApiKey.Fetch, 11, {
      ...{ maxWaitMs: 0, minBytes: 1, isolationLevel: 1 },
      topics: [{ topic: "t", partitions: [{ partition, fetchOffset, partitionMaxBytes: 1 << 20 }] }],
    });
    const { abortedTransactions, errorCode, records } = answer.responses[0]!.partitions[0]!;
    expect(errorCode).toBe(0);
    const waiting = [...(abortedTransactions ?? [])].sort((a, b) => Number(a.firstOffset - b.firstOffset));
    const aborted = new Set<number>();
    const batches = records === null ? [] : [...iterateBatches(records)];
    if (batches.length === 0) return values;
    for (const batch of batches) {
      while (waiting[0] !== undefined && Number(waiting[0].firstOffset) <= batch.lastOffset)
        aborted.add(Number(waiting.shift()!.producerId));
      for (const record of iterateRecords(batch)) {
        if (batch.isControl) {
          if (parseControlKey(record.key!)?.type === "abort") aborted.delete(batch.producerId);
        } else if (!batch.isTransactional || !aborted.has(batch.producerId)) values.push(String(record.value));
      }
      fetchOffset = batch.nextOffset;
    }
  }
}

interface Written {
  readonly value: string;
  /** Null: no transaction. */
  readonly transaction: { outcome: "open" | "committed" | "aborted" } | null;
}

function visible(written: readonly Written[]): string[] {
  const firstOpen = written.findIndex(({ transaction }) => transaction?.outcome === "open");
  const stable = firstOpen < 0 ? written : written.slice(0, firstOpen);
  return stable.filter(({ transaction }) => transaction?.outcome !== "aborted").map(({ value }) => value);
}

type Step =
  | { readonly kind: "send"; readonly producer: number; readonly partition: number }
  | { readonly kind: "end"; readonly producer: number; readonly isCommit: boolean }
  | { readonly kind: "init"; readonly producer: number }
  | { readonly kind: "plain"; readonly partition: number }
  | { readonly kind: "restart" };

const producer = fc.nat(2);
const partition = fc.nat(1);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("send" as const), producer, partition }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("end" as const), producer, isCommit: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("init" as const), producer }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("plain" as const), partition }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const) }) },
);

async function play(steps: readonly Step[]): Promise<void> {
  const disk = new MemoryDisk();
  let client = await start(disk);
  const producers = [
    new Producer(client, "x", true),
    new Producer(client, "y", false),
    new Producer(client, "z", true),
  ];
  for (const one of producers) await one.init();
  const open: (Written["transaction"] | null)[] = [null, null, null];
  const written: Written[][] = [[], []];
  let count = 0;
  for (const one of steps) {
    switch (one.kind) {
      case "send": {
        open[one.producer] ??= { outcome: "open" };
        const value = `v${count++}`;
        expect(await producers[one.producer]!.send(one.partition, value)).toBe(0);
        written[one.partition]!.push({ value, transaction: open[one.producer]! });
        break;
      }
      case "end": {
        const transaction = open[one.producer] ?? null;
        if (transaction === null) break;
        expect(await producers[one.producer]!.end(one.isCommit)).toBe(0);
        transaction.outcome = one.isCommit ? "committed" : "aborted";
        open[one.producer] = null;
        break;
      }
      case "init": {
        await producers[one.producer]!.init();
        const transaction = open[one.producer] ?? null;
        if (transaction !== null) transaction.outcome = "aborted";
        open[one.producer] = null;
        break;
      }
      case "plain": {
        const builder = new RecordBatchBuilder();
        const value = `v${count++}`;
        builder.append(1_700_000_000_000, null, value);
        expect(await produce(client, 11, null, one.partition, builder.build({}))).toBe(0);
        written[one.partition]!.push({ value, transaction: null });
        break;
      }
      case "restart":
        await fixture!.stop();
        client = await start(disk);
        for (const each of producers) each.client = client;
        break;
    }
  }
  for (const index of [0, 1]) {
    const expected = visible(written[index]!);
    // An end is answered when it is decided; its markers follow.
    for (let attempt = 0; attempt < 100; attempt++) {
      if ((await committedValues(client, index)).length === expected.length) break;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(await committedValues(client, index)).toEqual(expected);
  }
  expect(fixture!.logger.lines).toEqual([]);
  await fixture!.stop();
  fixture = null;
}

it("shows readers of committed records what a slow model shows", async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 25 }), play), { numRuns: runs });
}, 120_000);

it("sees to its end what was decided before a crash", async () => {
  const disk = new MemoryDisk();
  const client = await start(disk);
  const one = new Producer(client, "x", false);
  await one.init();
  expect(await one.send(0, "before")).toBe(0);
  // The decision is in the log, its markers are not: as if the process had ended between the two.
  const partition = fixture!.broker.parts.partitions.get(transactionStateTopic, 0)!;
  const { key, value } = transactionCoordinatorRecords.encode({
    type: "TransactionLog",
    key: { transactionalId: "x" },
    valueVersion: 1,
    value: {
      ...{ producerId: producerIds - 1n, producerEpoch: 0, transactionTimeoutMs: 60_000, transactionStatus: 2 },
      transactionPartitions: [{ topic: "t", partitionIds: [0] }],
      ...{ transactionLastUpdateTimestampMs: 1n, transactionStartTimestampMs: 1n },
    },
  });
  const builder = new RecordBatchBuilder();
  builder.append(1, key, value!);
  partition.append(builder.build({}), { origin: "coordinator", nowMs: 1 });
  await fixture!.stop();
  const again = await start(disk);
  await expect.poll(() => committedValues(again, 0)).toEqual(["before"]);
  const described = await again.ask(ApiKey.DescribeTransactions, 0, { transactionalIds: ["x"] });
  expect(described.transactionStates[0]).toMatchObject({ errorCode: 0, transactionState: "CompleteCommit" });
});

it("refuses what no transaction of the producer covers", async () => {
  const client = await start(new MemoryDisk());
  const [old, other] = [new Producer(client, "x", true), new Producer(client, "x", true)];
  await old.init();
  expect(await old.send(0, "open")).toBe(0);
  await other.init();
  expect(await old.send(0, "late")).toBe(ErrorCode.INVALID_PRODUCER_EPOCH);
  expect(await old.send(1, "late")).toBe(ErrorCode.INVALID_PRODUCER_EPOCH);
  expect(await old.end(true)).toBe(ErrorCode.PRODUCER_FENCED);
  expect(await other.end(true)).toBe(ErrorCode.INVALID_TXN_STATE);
  const builder = new RecordBatchBuilder();
  builder.append(1, controlKey("commit"), Buffer.alloc(6));
  const marker = builder.build({ producerId: 0, producerEpoch: 9, transactional: true, control: true });
  expect(await produce(client, 12, "x", 0, marker)).not.toBe(0);
  expect(await committedValues(client, 0)).toEqual([]);
});

it("lets an administrator find and end a transaction that no coordinator knows", async () => {
  const client = await start(new MemoryDisk());
  const builder = new RecordBatchBuilder();
  builder.append(1_700_000_000_000, null, "hanging");
  const records = builder.build({ producerId: 77, producerEpoch: 3, baseSequence: 0, transactional: true });
  const partition = fixture!.broker.parts.partitions.get("t", 0)!;
  expect(partition.append(records, { origin: "client", nowMs: Date.now() }).kind).toBe("appended");
  const describe = async () => {
    const answer = await client.ask(ApiKey.DescribeProducers, 0, { topics: [{ name: "t", partitionIndexes: [0] }] });
    return answer.topics[0]!.partitions[0]!.activeProducers[0]!;
  };
  expect(await describe()).toMatchObject({ producerId: 77n, producerEpoch: 3, currentTxnStartOffset: 0n });
  const listed = await settled(
    () => client.ask(ApiKey.ListTransactions, 0, { stateFilters: ["Ongoing", "Nonsense"], producerIdFilters: [77n] }),
    ({ errorCode }) => errorCode,
  );
  expect(listed).toMatchObject({ errorCode: 0, transactionStates: [], unknownStateFilters: ["Nonsense"] });
  const marker = { producerId: 77n, producerEpoch: 3, coordinatorEpoch: 0, transactionResult: false };
  const topics = [
    { name: "t", partitionIndexes: [0] },
    { name: "nowhere", partitionIndexes: [0] },
  ];
  const ended = await client.ask(ApiKey.WriteTxnMarkers, 1, { markers: [{ ...marker, topics }] });
  expect(ended.markers[0]!.topics.map(({ partitions }) => partitions[0]!.errorCode)).toEqual([
    ErrorCode.NONE,
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
  ]);
  expect(await describe()).toMatchObject({ currentTxnStartOffset: -1n });
  expect(partition.log!.lastStableOffset).toBe(2);
});

it("lists transactional ids by state, time and pattern", async () => {
  const client = await start(new MemoryDisk());
  for (const id of ["app-1", "app-2", "other"]) await new Producer(client, id, true).init();
  const open = new Producer(client, "app-3", true);
  await open.init();
  expect(await open.send(0, "open")).toBe(0);
  const list = async (filters: {
    stateFilters?: string[];
    durationFilter?: bigint;
    transactionalIdPattern?: string;
  }) => {
    const request = { stateFilters: [], producerIdFilters: [], ...filters };
    const answer = await client.ask(ApiKey.ListTransactions, 2, request);
    return answer.errorCode !== 0
      ? answer.errorCode
      : answer.transactionStates.map((one) => one.transactionalId).sort();
  };
  expect(await list({})).toEqual(["app-1", "app-2", "app-3", "other"]);
  expect(await list({ stateFilters: ["Ongoing"] })).toEqual(["app-3"]);
  expect(await list({ stateFilters: ["Ongoing"], durationFilter: 60_000n })).toEqual([]);
  expect(await list({ transactionalIdPattern: "app-[12]" })).toEqual(["app-1", "app-2"]);
  expect(await list({ transactionalIdPattern: "app-(" })).toBe(ErrorCode.INVALID_REGULAR_EXPRESSION);
});

it("lets a producer begin anew without asking twice while its last transaction is being completed", async () => {
  const client = await start(new MemoryDisk());
  const one = new Producer(client, "x", false);
  await one.init();
  const { producerEpoch, producerId } = one.owner();
  const added = {
    ...{ v3AndBelowTransactionalId: "x", v3AndBelowProducerId: producerId, v3AndBelowProducerEpoch: producerEpoch },
    v3AndBelowTopics: [{ name: "t", partitions: [0, 1] }],
  };
  for (let round = 0; round < 20; round++) {
    client.send(ApiKey.AddPartitionsToTxn, 3, added);
    client.send(ApiKey.EndTxn, 4, { transactionalId: "x", producerId, producerEpoch, committed: round % 2 === 0 });
  }
  for (let round = 0; round < 20; round++) {
    const answer = await client.receive(ApiKey.AddPartitionsToTxn, 3);
    const results = answer.resultsByTopicV3AndBelow[0]!.resultsByPartition;
    expect(results.map(({ partitionErrorCode }) => partitionErrorCode)).toEqual([0, 0]);
    expect((await client.receive(ApiKey.EndTxn, 4)).errorCode).toBe(0);
  }
});

it("loads its log whatever markers were written into it", async () => {
  const disk = new MemoryDisk();
  const client = await start(disk);
  await new Producer(client, "x", true).init();
  const marker = { producerId: 5n, producerEpoch: 0, coordinatorEpoch: 0, transactionResult: true };
  const topics = [{ name: transactionStateTopic, partitionIndexes: [0] }];
  await client.ask(ApiKey.WriteTxnMarkers, 1, { markers: [{ ...marker, topics }] });
  await fixture!.stop();
  const again = await start(disk);
  const described = await settled(
    () => again.ask(ApiKey.DescribeTransactions, 0, { transactionalIds: ["x"] }),
    (answer) => answer.transactionStates[0]!.errorCode,
  );
  expect(described.transactionStates[0]).toMatchObject({ errorCode: 0, transactionState: "Empty" });
});
