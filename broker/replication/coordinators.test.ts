// Coordinators on one broker, what they coordinate on others: transactions whose markers and verifications cross brokers, offsets and transactions
// that outlive their coordinator, share state on whichever broker has it.
import { shareKeyText } from "@blumfeld/core/coordinator";
import {
  consumerOffsetsTopic,
  RecordBatchBuilder,
  shareGroupStateTopic,
  transactionStateTopic,
} from "@blumfeld/core/model";
import { ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import { afterEach, describe, expect, it } from "vitest";
import type { FixtureClient } from "../fixture/broker-fixture.ts";
import { DataCluster, until } from "../fixture/data-cluster.ts";
import { RemoteMarkers } from "../shards/remote-markers.ts";
import { RemoteVerifier } from "../shards/remote-verifier.ts";
import { javaPartition } from "../shards/shard-host.ts";
import { SharePersister } from "../shards/share-persister.ts";

const settling: ReadonlySet<number> = new Set([
  ErrorCode.CONCURRENT_TRANSACTIONS,
  ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
  ErrorCode.COORDINATOR_NOT_AVAILABLE,
  ErrorCode.NOT_COORDINATOR,
  ErrorCode.NOT_ENOUGH_REPLICAS,
  ErrorCode.NOT_LEADER_OR_FOLLOWER,
]);

async function settled<Answer>(ask: () => Promise<Answer>, codeOf: (answer: Answer) => number): Promise<Answer> {
  for (let attempt = 0; attempt < 300; attempt++) {
    const answer = await ask();
    if (!settling.has(codeOf(answer))) return answer;
    await new Promise((wake) => setTimeout(wake, 20));
  }
  throw new Error("never ready");
}

describe("coordinators of several brokers", () => {
  let cluster: DataCluster | null = null;
  afterEach(async () => {
    await cluster?.stop();
    cluster = null;
  });

  async function start(): Promise<DataCluster> {
    const made = await DataCluster.start();
    cluster = made;
    for (const name of [consumerOffsetsTopic, transactionStateTopic, shareGroupStateTopic])
      made.createTopic(name, [
        [1, 2, 3],
        [2, 3, 1],
        [3, 1, 2],
      ]);
    made.createTopic("t", [
      [1, 2, 3],
      [2, 3, 1],
      [3, 1, 2],
    ]);
    return made;
  }

  /** An id whose coordinator is `broker`. */
  function idOf(topic: string, broker: number): string {
    for (let attempt = 0; ; attempt++) {
      const id = `id-${attempt}`;
      if (cluster!.image.topics.get(topic)!.partitions[javaPartition(id, 3)]!.leader === broker) return id;
    }
  }

  async function initProducer(client: FixtureClient, transactionalId: string) {
    const request = { transactionalId, transactionTimeoutMs: 60_000, producerId: -1n, producerEpoch: -1 };
    const answer = await settled(
      () => client.ask(ApiKey.InitProducerId, 5, request),
      ({ errorCode }) => errorCode,
    );
    expect(answer.errorCode).toBe(0);
    return answer;
  }

  async function send(
    index: number,
    version: number,
    transactionalId: string,
    producer: { producerId: bigint; producerEpoch: number },
    baseSequence = 0,
  ): Promise<number> {
    const client = await cluster!.client(cluster!.image.topics.partition("t", index)!.leader);
    const builder = new RecordBatchBuilder();
    builder.append(Date.now(), null, `of-${transactionalId}`);
    const { producerEpoch, producerId } = producer;
    const owner = { producerId: Number(producerId), producerEpoch, transactional: true, baseSequence };
    const records = builder.build(owner);
    return settled(
      async () => {
        const answer = await client.ask(ApiKey.Produce, version, {
          ...{ transactionalId, acks: -1, timeoutMs: 5_000 },
          topicData: [{ name: "t", partitionData: [{ index, records: Buffer.from(records) }] }],
        });
        return answer.responses[0]!.partitionResponses[0]!.errorCode;
      },
      (code) => code,
    );
  }

  async function stable(index: number): Promise<{ lastStable: bigint; end: bigint }> {
    const client = await cluster!.client(cluster!.image.topics.partition("t", index)!.leader);
    const answer = await client.ask(ApiKey.Fetch, 12, {
      ...{ maxWaitMs: 0, minBytes: 0, isolationLevel: 1 },
      topics: [{ topic: "t", partitions: [{ partition: index, fetchOffset: 0, partitionMaxBytes: 1 << 20 }] }],
    });
    const { highWatermark, lastStableOffset } = answer.responses[0]!.partitions[0]!;
    return { lastStable: lastStableOffset, end: highWatermark };
  }

  async function untilEnded(index: number, end: bigint): Promise<void> {
    let seen = { lastStable: -1n, end: -1n };
    for (let attempt = 0; attempt < 200; attempt++) {
      seen = await stable(index);
      // A marker may come once more from the coordinator that took over.
      if (seen.end >= end && seen.lastStable === seen.end) return;
      await new Promise((wake) => setTimeout(wake, 20));
    }
    expect(seen).toEqual({ lastStable: end, end });
  }

  it("ends transactions in partitions of every broker, of both kinds of clients", async () => {
    const { client } = await start().then(async (made) => ({ client: await made.client(2) }));
    const transactionalId = idOf(transactionStateTopic, 2);
    const producer = await initProducer(client, transactionalId);
    for (const index of [0, 1, 2]) expect(await send(index, 12, transactionalId, producer)).toBe(0);
    expect((await stable(0)).lastStable).toBe(0n);
    const ended = await settled(
      () => client.ask(ApiKey.EndTxn, 5, { transactionalId, ...producer, committed: true }),
      ({ errorCode }) => errorCode,
    );
    expect(ended.errorCode).toBe(0);
    for (const index of [0, 1, 2]) await untilEnded(index, 2n);
    // A client of the first kind that has not said where it writes is refused by the leader, which asks the coordinator.
    const old = await initProducer(client, transactionalId);
    expect(await send(0, 11, transactionalId, old)).toBe(ErrorCode.TRANSACTION_ABORTABLE);
    const add = {
      v3AndBelowTransactionalId: transactionalId,
      v3AndBelowProducerId: old.producerId,
      v3AndBelowProducerEpoch: old.producerEpoch,
      v3AndBelowTopics: [{ name: "t", partitions: [0] }],
    };
    const added = await client.ask(ApiKey.AddPartitionsToTxn, 3, add);
    expect(added.resultsByTopicV3AndBelow[0]!.resultsByPartition[0]!.partitionErrorCode).toBe(0);
    expect(await send(0, 11, transactionalId, old)).toBe(0);
    const aborted = await client.ask(ApiKey.EndTxn, 4, { transactionalId, ...old, committed: false });
    expect(aborted.errorCode).toBe(0);
    await untilEnded(0, 4n);
  });

  it("sees a decided transaction to its end on the next coordinator, though a partition's leader was away", async () => {
    const made = await start();
    const transactionalId = idOf(transactionStateTopic, 2);
    const client = await made.client(2);
    const producer = await initProducer(client, transactionalId);
    for (const index of [0, 1]) expect(await send(index, 12, transactionalId, producer)).toBe(0);
    const ended = await settled(
      () => client.ask(ApiKey.EndTxn, 5, { transactionalId, ...producer, committed: true }),
      ({ errorCode }) => errorCode,
    );
    expect(ended.errorCode).toBe(0);
    made.kill(2);
    for (const index of [0, 1]) await untilEnded(index, 2n);
    const next = made.image.topics.get(transactionStateTopic)!.partitions[javaPartition(transactionalId, 3)]!.leader;
    expect(next).not.toBe(2);
    const again = await initProducer(await made.client(next), transactionalId);
    expect(again.producerEpoch).toBeGreaterThan(producer.producerEpoch);
  });

  it("names coordinators of other brokers, and keeps a group's offsets when its coordinator dies", async () => {
    const made = await start();
    const groupId = idOf(consumerOffsetsTopic, 3);
    const elsewhere = await made.client(1);
    const ask = { keyType: 0, coordinatorKeys: [groupId] };
    const found = await elsewhere.ask(ApiKey.FindCoordinator, 4, ask);
    expect(found.coordinators[0]).toMatchObject({ errorCode: 0, nodeId: 3, port: made.node(3).broker.port() });
    const commit = {
      ...{ groupId, memberId: "", generationIdOrMemberEpoch: -1 },
      topics: [{ name: "t", partitions: [{ partitionIndex: 0, committedOffset: 42n, committedMetadata: "m" }] }],
    };
    const coordinator = await made.client(3);
    const committed = await settled(
      () => coordinator.ask(ApiKey.OffsetCommit, 8, commit),
      (answer) => answer.topics[0]!.partitions[0]!.errorCode,
    );
    expect(committed.topics[0]!.partitions[0]!.errorCode).toBe(0);
    made.kill(3);
    const moved = await elsewhere.ask(ApiKey.FindCoordinator, 4, ask);
    const { nodeId } = moved.coordinators[0]!;
    expect(nodeId).not.toBe(3);
    const next = await made.client(nodeId);
    const fetched = await settled(
      () => next.ask(ApiKey.OffsetFetch, 7, { groupId, topics: [{ name: "t", partitionIndexes: [0] }] }),
      ({ errorCode }) => errorCode,
    );
    expect(fetched.topics[0]!.partitions[0]).toMatchObject({ committedOffset: 42n, metadata: "m" });
  });

  it("keeps share state on whichever broker coordinates it", async () => {
    const made = await start();
    const topicId = made.image.topics.get("t")!.id;
    const { parts } = made.node(1).broker;
    let remote = 0;
    for (let number = 0; number < 100 && remote < 5; number++) {
      const key = { groupId: `group-${number * 7}`, topicId, partition: number % 2 };
      const partition = javaPartition(shareKeyText(key), 3);
      const local = { partitionOf: () => partition } as unknown as ConstructorParameters<typeof SharePersister>[1];
      if (made.image.topics.get(shareGroupStateTopic)!.partitions[partition]!.leader === 1) continue;
      remote++;
      const persister = new SharePersister(parts, local, true);
      const codeOf = ({ errorCode }: { errorCode: number }): number => errorCode;
      const begun = await settled(() => persister.initialize(key, { stateEpoch: 3, startOffset: 10 }), codeOf);
      expect(begun.errorCode).toBe(0);
      const batch = { firstOffset: 12, lastOffset: 14, deliveryState: 0, deliveryCount: 2 };
      const write = { stateEpoch: 3, leaderEpoch: 1, startOffset: 12, deliveryCompleteCount: 0, stateBatches: [batch] };
      expect((await persister.write(key, write)).errorCode).toBe(0);
      const read = await persister.read(key, 2);
      expect(read.state).toMatchObject({ stateEpoch: 3, startOffset: 12, batches: [batch] });
      expect((await persister.summary(key)).state).toMatchObject({ startOffset: 12, deliveryCompleteCount: 0 });
      expect((await persister.write(key, write)).errorCode).toBe(ErrorCode.FENCED_LEADER_EPOCH);
      expect((await persister.delete(key)).errorCode).toBe(0);
      expect((await persister.summary(key)).state ?? null).toBeNull();
    }
    expect(remote).toBeGreaterThan(2);
  });

  it("tells who asked when the other broker is gone, so that it asks again", async () => {
    const made = await start();
    const { peers, parts } = { peers: made.node(1).peers, parts: made.node(1).broker.parts };
    const address = parts.replication!.addressOf(3)!;
    made.kill(3);
    const markers = new RemoteMarkers(parts.timers);
    const marker = { producerId: 1, producerEpoch: 0, coordinatorEpoch: 0, isCommit: true, transactionVersion: 2 };
    const codes: number[] = [];
    for (const index of [0, 1, 2])
      markers.write(peers, address, { marker, topic: "t", index, done: (code) => codes.push(code) });
    const question = { transactionalId: "x", producerId: 1, producerEpoch: 0, verifyOnly: true };
    const verifier = new RemoteVerifier(parts.timers);
    const answers = await Promise.all(
      [0, 1].map((index) => verifier.ask(peers, address, { ...question, partitions: new Map([["t", [index]]]) })),
    );
    expect(answers).toEqual([ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.COORDINATOR_NOT_AVAILABLE]);
    await until("markers told", () => codes.length === 3);
    expect(new Set(codes)).toEqual(new Set([ErrorCode.NOT_LEADER_OR_FOLLOWER]));
  }, 30_000);
});
