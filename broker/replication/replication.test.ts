// Brokers that replicate to each other over real sockets: what is acknowledged is on all in-sync replicas, survives the leader, and in the end every
// replica has the same bytes. The controller is core/controller's decisions, so that each change is made where the test makes it.
import { alterPartitionReassignments, deleteTopics, fenceBroker, unfenceBroker } from "@blumfeld/core/controller";
import { RecordBatchBuilder } from "@blumfeld/core/model";
import { ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import { afterEach, describe, expect, it } from "vitest";
import type { FixtureClient } from "../fixture/broker-fixture.ts";
import { DataCluster, directoryOf, until } from "../fixture/data-cluster.ts";

function batch(value: string, count = 1): Buffer {
  const builder = new RecordBatchBuilder();
  for (let index = 0; index < count; index++) builder.append(Date.now(), null, `${value}-${index}`);
  return builder.build();
}

async function produce(
  client: FixtureClient,
  topic: string,
  value: string,
  options: { acks?: number; timeoutMs?: number } = {},
) {
  const answer = await client.ask(ApiKey.Produce, 9, {
    acks: options.acks ?? -1,
    timeoutMs: options.timeoutMs ?? 5_000,
    topicData: [{ name: topic, partitionData: [{ index: 0, records: batch(value) }] }],
  });
  return answer.responses[0]!.partitionResponses[0]!;
}

async function fetch(client: FixtureClient, topic: string, fetchOffset: number, version = 12, rackId = "") {
  const answer = await client.ask(ApiKey.Fetch, version, {
    ...{ maxWaitMs: 0, minBytes: 0, rackId },
    topics: [{ topic, partitions: [{ partition: 0, fetchOffset, partitionMaxBytes: 1 << 20 }] }],
  });
  return answer.responses[0]!.partitions[0]!;
}

describe("replication", () => {
  let cluster: DataCluster | null = null;
  afterEach(async () => {
    await cluster?.stop();
    cluster = null;
  });

  const isrOf = (topic: string): readonly number[] => [...cluster!.image.topics.partition(topic, 0)!.isr].sort();
  const leaderOf = (topic: string): number => cluster!.image.topics.partition(topic, 0)!.leader;

  async function untilEqual(topic: string, ids: readonly number[]): Promise<void> {
    const ends = (): number[] => ids.map((id) => cluster!.log(id, topic).writtenEndOffset);
    const marks = (): number[] => ids.map((id) => cluster!.log(id, topic).highWatermark);
    await until(`replicas of ${topic} equal`, () => new Set([...ends(), ...marks()]).size === 1);
    const [first, ...others] = ids.map((id) => cluster!.bytes(id, topic));
    for (const other of others) expect(other.equals(first!)).toBe(true);
    const epochs = ids.map((id) => cluster!.log(id, topic).leaderEpochs);
    for (const one of epochs)
      expect(one.filter(({ startOffset }) => startOffset < ends()[0]!)).toEqual(
        epochs[0]!.filter(({ startOffset }) => startOffset < ends()[0]!),
      );
  }

  it("acknowledges when all in-sync replicas have it, and tells them the high watermark", async () => {
    cluster = await DataCluster.start();
    cluster.createTopic("t", [[1, 2, 3]]);
    const client = await cluster.client(1);
    for (let index = 0; index < 20; index++) {
      const answer = await produce(client, "t", `v${index}`);
      expect(answer).toMatchObject({ errorCode: 0, baseOffset: BigInt(index) });
      for (const id of [2, 3]) expect(cluster.log(id, "t").writtenEndOffset).toBeGreaterThanOrEqual(index + 1);
    }
    expect((await fetch(client, "t", 0)).highWatermark).toBe(20n);
    await untilEqual("t", [1, 2, 3]);
  });

  it("takes a dead follower out of the in-sync replicas, and back in when it has caught up", async () => {
    cluster = await DataCluster.start();
    cluster.createTopic("t", [[1, 2, 3]]);
    const client = await cluster.client(1);
    await produce(client, "t", "first");
    // The controller does not notice: the leader has to.
    cluster.kill(3, { fence: false });
    const waiting = produce(client, "t", "second", { timeoutMs: 8_000 });
    expect((await waiting).errorCode).toBe(0);
    expect(isrOf("t")).toEqual([1, 2]);
    for (let index = 0; index < 5; index++) await produce(client, "t", `more${index}`);
    await cluster.restart(3);
    await until("3 in sync", () => isrOf("t").length === 3);
    await produce(client, "t", "last");
    await untilEqual("t", [1, 2, 3]);
  });

  it("refuses acks=all below min.insync.replicas, and commits nothing there", async () => {
    cluster = await DataCluster.start({ logConfig: { t: { minInsyncReplicas: 2 } } });
    cluster.createTopic("t", [[1, 2, 3]]);
    const client = await cluster.client(1);
    await produce(client, "t", "first");
    cluster.kill(2);
    cluster.kill(3);
    await until("alone", () => cluster!.partition(1, "t").isr.length === 1);
    expect((await produce(client, "t", "refused")).errorCode).toBe(ErrorCode.NOT_ENOUGH_REPLICAS);
    const alone = await produce(client, "t", "leader's own", { acks: 1 });
    expect(alone.errorCode).toBe(0);
    expect(cluster.log(1, "t").highWatermark).toBe(1);
    await cluster.restart(2);
    await until("2 in sync", () => isrOf("t").length === 2);
    expect((await produce(client, "t", "taken")).errorCode).toBe(0);
    expect(cluster.log(1, "t").highWatermark).toBe(3);
  });

  it("cuts the tail that a dead leader wrote alone, and keeps all that was acknowledged", async () => {
    cluster = await DataCluster.start();
    cluster.createTopic("t", [[1, 2, 3]]);
    const client = await cluster.client(1);
    for (let index = 0; index < 5; index++) await produce(client, "t", `kept${index}`);
    // Nobody fetches this any more: only the leader has it.
    for (const id of [2, 3]) cluster.node(id).broker.parts.replication!.close();
    await new Promise((wake) => setTimeout(wake, 300));
    await produce(client, "t", "lost", { acks: 1 });
    await produce(client, "t", "lost too", { acks: 1 });
    expect(cluster.log(1, "t").writtenEndOffset).toBe(7);
    // Both are in sync by the metadata still: whoever comes next may lead.
    cluster.kill(1);
    for (const id of [2, 3]) cluster.kill(id);
    for (const id of [3, 2]) await cluster.restart(id);
    const leader = leaderOf("t");
    const next = await cluster.client(leader);
    expect((await produce(next, "t", "after")).errorCode).toBe(0);
    await cluster.restart(1);
    await until("1 in sync", () => isrOf("t").length === 3);
    await untilEqual("t", [1, 2, 3]);
    const records = (await fetch(next, "t", 0)).records!.toString("latin1");
    expect(records).toContain("kept4");
    expect(records).toContain("after");
    expect(records).not.toContain("lost");
  });

  it("fences a leader that has not heard of the next one", async () => {
    cluster = await DataCluster.start();
    cluster.createTopic("t", [[1, 2, 3]]);
    const old = await cluster.client(1);
    await produce(old, "t", "first");
    cluster.holdBack(1);
    cluster.decide((context) => fenceBroker(context, 1));
    const leader = leaderOf("t");
    expect(leader).not.toBe(1);
    const client = await cluster.client(leader);
    // Its followers fetch elsewhere; its wish for a smaller set is refused: it cannot acknowledge.
    const refused = await produce(old, "t", "never", { timeoutMs: 2_500 });
    expect(refused.errorCode).toBe(ErrorCode.REQUEST_TIMED_OUT);
    expect((await produce(client, "t", "second")).errorCode).toBe(0);
    cluster.catchUp(1);
    cluster.decide((context) => unfenceBroker(context, 1));
    await until("1 in sync", () => isrOf("t").length === 3);
    await untilEqual("t", [1, 2, 3]);
    expect((await fetch(client, "t", 0)).records!.toString("latin1")).not.toContain("never");
  });

  it("follows deletions of records and of segments, and answers the deletion when all have followed", async () => {
    cluster = await DataCluster.start({ logConfig: { t: { segmentBytes: 1_000 } } });
    cluster.createTopic("t", [[1, 2, 3]]);
    const client = await cluster.client(1);
    for (let index = 0; index < 60; index++) await produce(client, "t", `value-${index}`);
    const answer = await client.ask(ApiKey.DeleteRecords, 2, {
      timeoutMs: 5_000,
      topics: [{ name: "t", partitions: [{ partitionIndex: 0, offset: 37n }] }],
    });
    expect(answer.topics[0]!.partitions[0]).toMatchObject({ errorCode: 0, lowWatermark: 37n });
    for (const id of [1, 2, 3]) expect(cluster.log(id, "t").logStartOffset).toBe(37);
    for (const id of [1, 2, 3]) cluster.node(id).logManager.retentionTick();
    expect(cluster.log(2, "t").firstSegmentOffset).toBeGreaterThan(0);
    expect(cluster.log(2, "t").segmentBaseOffsets).toEqual(cluster.log(1, "t").segmentBaseOffsets);
    await untilEqual("t", [1, 2, 3]);
  });

  it("starts over where the leader's log begins after its own ends", async () => {
    cluster = await DataCluster.start({ logConfig: { t: { segmentBytes: 1_000 } } });
    cluster.createTopic("t", [[1, 2, 3]]);
    const client = await cluster.client(1);
    await produce(client, "t", "first");
    cluster.kill(3);
    for (let index = 0; index < 60; index++) await produce(client, "t", `value-${index}`);
    await client.ask(ApiKey.DeleteRecords, 2, {
      timeoutMs: 5_000,
      topics: [{ name: "t", partitions: [{ partitionIndex: 0, offset: 45n }] }],
    });
    for (const id of [1, 2]) cluster.node(id).logManager.retentionTick();
    await cluster.restart(3);
    await until("3 in sync", () => isrOf("t").length === 3);
    expect(cluster.log(3, "t").logStartOffset).toBe(45);
    await produce(client, "t", "last");
    await until("ends equal", () => cluster!.log(3, "t").writtenEndOffset === cluster!.log(1, "t").writtenEndOffset);
  });

  it("moves a partition to other brokers and removes it where it was", async () => {
    cluster = await DataCluster.start({ brokerCount: 4 });
    cluster.createTopic("t", [[1, 2]]);
    const client = await cluster.client(1);
    for (let index = 0; index < 30; index++) await produce(client, "t", `value-${index}`);
    const move = (replicas: number[]) =>
      cluster!.decide((context) =>
        alterPartitionReassignments(context, {
          timeoutMs: 1_000,
          allowReplicationFactorChange: true,
          topics: [{ name: "t", partitions: [{ partitionIndex: 0, replicas }] }],
        }),
      );
    move([3, 4]);
    await until("moved", () => {
      const { isReassigning, replicas } = cluster!.image.topics.partition("t", 0)!;
      return !isReassigning && [...replicas].sort().join() === "3,4";
    });
    expect(cluster.node(1).broker.parts.partitions.get("t", 0)).toBeNull();
    const next = await cluster.client(leaderOf("t"));
    expect((await produce(next, "t", "after")).errorCode).toBe(0);
    await untilEqual("t", [3, 4]);
    expect(cluster.log(3, "t").writtenEndOffset).toBe(31);
  });

  it("lets consumers read in their own rack, up to what that replica knows to be committed", async () => {
    cluster = await DataCluster.start({
      racks: ["a", "b", "c"],
      properties: { "replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector" },
    });
    cluster.createTopic("t", [[1, 2, 3]]);
    const client = await cluster.client(1);
    await produce(client, "t", "value");
    await untilEqual("t", [1, 2, 3]);
    await until("told", () => cluster!.partition(1, "t").leaderReplicas!.follower(2)!.logEndOffset === 1);
    const redirected = await fetch(client, "t", 0, 12, "b");
    expect(redirected).toMatchObject({ errorCode: 0, preferredReadReplica: 2 });
    expect(redirected.records ?? Buffer.alloc(0)).toHaveLength(0);
    expect((await fetch(client, "t", 0, 12, "a")).preferredReadReplica).toBe(-1);
    expect((await fetch(client, "t", 0, 12, "z")).preferredReadReplica).toBe(-1);
    const follower = await cluster.client(2);
    const read = await fetch(follower, "t", 0, 12, "b");
    expect(read).toMatchObject({ errorCode: 0, highWatermark: 1n });
    expect(read.records!.toString("latin1")).toContain("value-0");
    expect((await fetch(follower, "t", 7, 12, "b")).errorCode).toBe(ErrorCode.OFFSET_OUT_OF_RANGE);
    // Clients from before KIP-392 are sent to the leader.
    expect((await fetch(follower, "t", 0, 10)).errorCode).toBe(ErrorCode.NOT_LEADER_OR_FOLLOWER);
  });

  it("keeps every acknowledged record while leaders die one after another", async () => {
    cluster = await DataCluster.start({ logConfig: { t: { minInsyncReplicas: 2 } } });
    cluster.createTopic("t", [[1, 2, 3]]);
    const acknowledged: string[] = [];
    for (let round = 0; round < 4; round++) {
      const leader = leaderOf("t");
      const client = await cluster.client(leader);
      for (let index = 0; index < 15; index++) {
        const value = `round${round}-value${index}`;
        const { errorCode } = await produce(client, "t", value);
        if (errorCode === ErrorCode.NONE) acknowledged.push(value);
      }
      const unanswered = produce(client, "t", `round${round}-cut`).catch(() => null);
      cluster.kill(leader);
      await unanswered;
      expect(leaderOf("t")).toBeGreaterThan(0);
      await cluster.restart(leader);
      await until("all in sync", () => isrOf("t").length === 3);
    }
    expect(acknowledged).toHaveLength(60);
    await untilEqual("t", [1, 2, 3]);
    const stored = cluster.bytes(1, "t").toString("latin1");
    let at = 0;
    for (const value of acknowledged) {
      const found = stored.indexOf(`${value}-0`, at);
      expect(found, `${value} in its order`).toBeGreaterThan(at - 1);
      expect(stored.indexOf(`${value}-0`, found + 1)).toBe(-1);
      at = found;
    }
  });

  it("tells the controller in which directories its replicas lie, and opens new ones where the metadata says", async () => {
    cluster = await DataCluster.start({ directoryCount: 2 });
    cluster.createTopic(
      "t",
      Array.from({ length: 6 }, () => [1, 2, 3]),
    );
    const told = () => cluster!.image.topics.get("t")!.partitions.map(({ directories }) => directories);
    const lies = (id: number, index: number) => directoryOf(id, Number(cluster!.log(id, "t", index).directory.at(-1)));
    await until("all directories told", () =>
      told().every((directories, index) => directories.every((one, at) => one === lies(at + 1, index))),
    );
    expect(new Set(told().flat()).size).toBe(6);
    cluster.kill(3);
    await cluster.restart(3);
    for (let index = 0; index < 6; index++) expect(told()[index]![2]).toBe(lies(3, index));
  });

  it("forgets a deleted topic everywhere and takes up another of its name", async () => {
    cluster = await DataCluster.start();
    const topicId = cluster.createTopic("t", [[1, 2, 3]]);
    const client = await cluster.client(1);
    await produce(client, "t", "old");
    cluster.decide((context) => deleteTopics(context, [topicId]));
    cluster.createTopic("t", [[2, 1, 3]]);
    const next = await cluster.client(2);
    expect(await produce(next, "t", "new")).toMatchObject({ errorCode: 0, baseOffset: 0n });
    await untilEqual("t", [1, 2, 3]);
    expect(cluster.bytes(3, "t").toString("latin1")).not.toContain("old");
  });
});
