// The controller's listener as other nodes use it: the log to replicas, what a single voter says to rivals, brokers that come, fall silent and
// go, requests that are handed on. Kafka's own answers are in cluster.golden.test.ts.
import type { Uuid } from "@blumfeld/core/base";
import { createTopics, supportedFeatures } from "@blumfeld/core/controller";
import { iterateBatches } from "@blumfeld/core/model";
import {
  ApiKey,
  apiVersionsOffered,
  decodeResponseFrame,
  ErrorCode,
  encodeRequestFrame,
  writePrincipal,
} from "@blumfeld/core/protocol";
import { listSnapshots } from "@blumfeld/core/quorum";
import { afterEach, describe, expect, test } from "vitest";
import type { FixtureClient } from "../fixture/broker-fixture.ts";
import { ControllerFixture, metadataFetch, onlyPartitionOf } from "../fixture/controller-fixture.ts";
import { allowAll } from "../security-seam.ts";

let fixture: ControllerFixture;
afterEach(() => fixture.stop());

async function started(options: Parameters<typeof ControllerFixture.start>[0] = {}): Promise<FixtureClient> {
  fixture = await ControllerFixture.start(options);
  return fixture.client();
}

function createTopic(name: string, numPartitions = 1) {
  const topic = { name, numPartitions, replicationFactor: 1, assignments: [], configs: [] };
  return fixture.metadata.node.controller.execute((context) =>
    createTopics(context, { timeoutMs: 1000, validateOnly: false, topics: [topic] }),
  );
}

describe("a listener for controllers", () => {
  test("offers every API that is declared for it, and has a handler for each", async () => {
    const client = await started();
    const { apiKeys } = await client.ask(ApiKey.ApiVersions, 3, {
      clientSoftwareName: "test",
      clientSoftwareVersion: "1",
    });
    expect(apiKeys).toEqual(apiVersionsOffered({ listener: "controller" }));
  });

  test("closes on what is for brokers' listeners", async () => {
    const client = await started();
    client.send(ApiKey.Metadata, 9, { topics: null });
    expect(await client.next()).toBeNull();
  });

  test("names itself where it is bound", async () => {
    const client = await started();
    const cluster = await client.ask(ApiKey.DescribeCluster, 2, {
      endpointType: 2,
      includeClusterAuthorizedOperations: false,
    });
    expect(cluster).toMatchObject({
      ...{ errorCode: ErrorCode.NONE, endpointType: 2, controllerId: 1 },
      brokers: [{ brokerId: 1, host: "127.0.0.1", port: fixture.server.port }],
    });
    const brokers = await client.ask(ApiKey.DescribeCluster, 2, {
      endpointType: 1,
      includeClusterAuthorizedOperations: false,
    });
    expect(brokers.errorCode).toBe(ErrorCode.MISMATCHED_ENDPOINT_TYPE);
    const topics = [{ topicName: "__cluster_metadata", partitions: [{ partitionIndex: 0 }] }];
    const quorum = await client.ask(ApiKey.DescribeQuorum, 2, { topics });
    expect(quorum.nodes).toMatchObject([
      { nodeId: 1, listeners: [{ name: "CONTROLLER", host: "127.0.0.1", port: fixture.server.port }] },
    ]);
  });

  test("keeps those out who may not act for the cluster", async () => {
    const client = await started({ authorizer: { ...allowAll, authorize: () => false } });
    const vote = await client.ask(ApiKey.Vote, 2, { clusterId: null, voterId: 1, topics: [] });
    expect(vote.errorCode).toBe(ErrorCode.CLUSTER_AUTHORIZATION_FAILED);
    const fetched = await client.ask(ApiKey.Fetch, 18, metadataFetch(fixture, 0));
    expect(fetched.errorCode).toBe(ErrorCode.CLUSTER_AUTHORIZATION_FAILED);
    const envelope = { requestData: Buffer.alloc(8), requestPrincipal: null, clientHostAddress: Buffer.alloc(4) };
    const enveloped = await client.ask(ApiKey.Envelope, 0, envelope);
    expect(enveloped).toMatchObject({ errorCode: ErrorCode.CLUSTER_AUTHORIZATION_FAILED, responseData: null });
  });
});

describe("the metadata log", () => {
  test("is read from its beginning, batch by batch, by who is shown as an observer then", async () => {
    const client = await started();
    const { quorum } = fixture.metadata.node;
    let offset = 0;
    let epoch = 0;
    while (offset < quorum.highWatermark) {
      const answer = await client.ask(ApiKey.Fetch, 18, metadataFetch(fixture, offset, { lastFetchedEpoch: epoch }));
      const partition = onlyPartitionOf(answer);
      expect(partition).toMatchObject({
        ...{ errorCode: ErrorCode.NONE, highWatermark: BigInt(quorum.highWatermark) },
        currentLeader: { leaderId: 1, leaderEpoch: fixture.epoch },
      });
      expect(answer.nodeEndpoints).toMatchObject([{ nodeId: 1, port: fixture.server.port }]);
      const last = [...iterateBatches(partition.records!)].at(-1)!;
      offset = last.lastOffset + 1;
      epoch = last.leaderEpoch;
    }
    const end = metadataFetch(fixture, offset, { maxWaitMs: 1, replicaId: 7 });
    expect(onlyPartitionOf(await client.ask(ApiKey.Fetch, 18, end)).records).toHaveLength(0);
    const { observers } = quorum.describe(Date.now());
    expect(observers).toMatchObject([{ id: 7, logEndOffset: offset }]);
    expect(observers[0]!.lastCaughtUpMs).toBe(observers[0]!.lastFetchMs);
    await client.ask(ApiKey.Fetch, 18, metadataFetch(fixture, offset, { replicaId: -1 }));
    expect(quorum.describe(Date.now()).observers).toHaveLength(1);
  });

  test("holds a fetch until there is something new", async () => {
    const client = await started();
    const offset = fixture.metadata.node.quorum.nextOffset;
    client.send(ApiKey.Fetch, 18, metadataFetch(fixture, offset, { maxWaitMs: 30_000, highWatermark: BigInt(offset) }));
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(client.answerCount).toBe(0);
    await createTopic("new");
    const partition = onlyPartitionOf(await client.receive(ApiKey.Fetch, 18));
    expect([...iterateBatches(partition.records!)][0]!.baseOffset).toBe(offset);
    // Its end is known, that it is committed is not: answered at once.
    const next = fixture.metadata.node.quorum.nextOffset;
    const behind = metadataFetch(fixture, next, { maxWaitMs: 30_000, highWatermark: BigInt(offset) });
    const answer = onlyPartitionOf(await client.ask(ApiKey.Fetch, 18, behind));
    expect(answer).toMatchObject({ highWatermark: BigInt(next), errorCode: ErrorCode.NONE });
  });

  test("says where another log parts from it, and whose epoch is wrong", async () => {
    const client = await started();
    const { quorum } = fixture.metadata.node;
    const ask = async (...args: Parameters<typeof metadataFetch>) =>
      onlyPartitionOf(await client.ask(ApiKey.Fetch, 18, metadataFetch(...args)));
    const end = quorum.highWatermark;
    expect(await ask(fixture, end + 5)).toMatchObject({
      divergingEpoch: { epoch: fixture.epoch, endOffset: BigInt(end) },
    });
    expect(await ask(fixture, 3, { lastFetchedEpoch: 99 })).toMatchObject({
      divergingEpoch: { epoch: fixture.epoch, endOffset: BigInt(end) },
    });
    expect(await ask(fixture, 3, { currentLeaderEpoch: fixture.epoch - 1 })).toMatchObject({
      ...{ errorCode: ErrorCode.FENCED_LEADER_EPOCH, highWatermark: -1n },
      currentLeader: { leaderId: 1, leaderEpoch: fixture.epoch },
    });
    expect((await ask(fixture, 3, { currentLeaderEpoch: 9 })).errorCode).toBe(ErrorCode.UNKNOWN_LEADER_EPOCH);
    expect((await ask(fixture, -1)).errorCode).toBe(ErrorCode.INVALID_REQUEST);
    expect((await ask(fixture, 1, { maxWaitMs: -1 })).errorCode).toBe(ErrorCode.INVALID_REQUEST);
    const whole = async (changes: Parameters<typeof metadataFetch>[2]) =>
      (await client.ask(ApiKey.Fetch, 18, metadataFetch(fixture, 0, changes))).errorCode;
    expect(await whole({ clusterId: "another" })).toBe(ErrorCode.INCONSISTENT_CLUSTER_ID);
    expect(await whole({ topicId: "AAAAAAAAAAAAAAAAAAAABQ" })).toBe(ErrorCode.INVALID_REQUEST);
  });

  test("that a snapshot has replaced is read from the snapshot, piece by piece", async () => {
    const client = await started({ properties: { "metadata.log.max.record.bytes.between.snapshots": 1000 } });
    await createTopic("many", 50);
    await createTopic("more", 50);
    const { disk, storage } = fixture.metadata;
    const isKept = () => listSnapshots(disk, storage.metadataPath).some(({ endOffset }) => endOffset > 0);
    while (!isKept()) await new Promise((resolve) => setTimeout(resolve, 5));
    await new Promise((resolve) => setTimeout(resolve, 20));
    const first = onlyPartitionOf(
      await client.ask(ApiKey.Fetch, 18, metadataFetch(fixture, 0, { lastFetchedEpoch: 0 })),
    );
    const { endOffset, epoch } = first.snapshotId;
    expect(endOffset).toBeGreaterThan(0n);
    expect(first.records).toHaveLength(0);
    const ask = async (position: number, changes: { epoch?: number; name?: string; leaderEpoch?: number } = {}) => {
      const { leaderEpoch = fixture.epoch, name = "__cluster_metadata" } = changes;
      const snapshotId = { endOffset, epoch: changes.epoch ?? epoch };
      const partition = { partition: 0, currentLeaderEpoch: leaderEpoch, snapshotId, position };
      const answer = await client.ask(ApiKey.FetchSnapshot, 1, {
        ...{ clusterId: null, replicaId: 7, maxBytes: 100 },
        topics: [{ name, partitions: [partition] }],
      });
      return answer.topics[0]!.partitions[0]!;
    };
    const pieces: Buffer[] = [];
    for (let position = 0, size = 1; position < size; ) {
      const piece = await ask(position);
      expect(piece).toMatchObject({ errorCode: ErrorCode.NONE, position: BigInt(position), snapshotId: { epoch } });
      size = Number(piece.size);
      pieces.push(Buffer.from(piece.unalignedRecords!));
      position += piece.unalignedRecords!.length;
    }
    const name = listSnapshots(disk, storage.metadataPath).find((id) => id.endOffset === Number(endOffset))!;
    const file = `${String(name.endOffset).padStart(20, "0")}-${String(name.epoch).padStart(10, "0")}.checkpoint`;
    expect(Buffer.concat(pieces).equals(disk.readFile(`${storage.metadataPath}/${file}`))).toBe(true);
    expect((await ask(1e9)).errorCode).toBe(ErrorCode.POSITION_OUT_OF_RANGE);
    expect((await ask(-1)).errorCode).toBe(ErrorCode.POSITION_OUT_OF_RANGE);
    expect((await ask(0, { epoch: 77 })).errorCode).toBe(ErrorCode.SNAPSHOT_NOT_FOUND);
    expect((await ask(0, { name: "t" })).errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
    expect((await ask(0, { leaderEpoch: 0 })).errorCode).toBe(ErrorCode.FENCED_LEADER_EPOCH);
  });
});

describe("rivals of the only voter", () => {
  const topicName = "__cluster_metadata";
  const nobody = "AAAAAAAAQACAAAAAAAAAAg" as Uuid;

  async function vote(client: FixtureClient, changes: Record<string, unknown> = {}) {
    const { clusterId = null, voterId = -1, ...fields } = changes;
    const partition = {
      ...{ partitionIndex: 0, replicaId: 2, replicaEpoch: fixture.epoch, replicaDirectoryId: nobody },
      ...{ voterDirectoryId: nobody, lastOffsetEpoch: 0, lastOffset: 1_000_000, preVote: true },
      ...fields,
    };
    const request = { clusterId, voterId, topics: [{ topicName, partitions: [partition] }] };
    return client.ask(ApiKey.Vote, 2, request as never);
  }

  test("get no vote, and learn who leads", async () => {
    const client = await started();
    const { epoch } = fixture;
    const directoryId = fixture.metadata.node.quorum.directoryId!;
    const outcome = async (changes: Record<string, unknown>) => {
      const { errorCode, topics } = await vote(client, changes);
      if (errorCode !== ErrorCode.NONE) return errorCode;
      expect(topics[0]!.partitions[0]).toMatchObject({ leaderId: 1, leaderEpoch: epoch, voteGranted: false });
      return topics[0]!.partitions[0]!.errorCode;
    };
    expect(await outcome({})).toBe(ErrorCode.NONE);
    expect(await outcome({ voterId: 1, voterDirectoryId: directoryId })).toBe(ErrorCode.NONE);
    expect(await outcome({ preVote: false, replicaEpoch: epoch + 5 })).toBe(ErrorCode.NONE);
    expect(await outcome({ clusterId: "another" })).toBe(ErrorCode.INCONSISTENT_CLUSTER_ID);
    expect(await outcome({ partitionIndex: 1 })).toBe(ErrorCode.INVALID_REQUEST);
    expect(await outcome({ replicaEpoch: epoch - 1 })).toBe(ErrorCode.FENCED_LEADER_EPOCH);
    expect(await outcome({ replicaId: -1 })).toBe(ErrorCode.INVALID_REQUEST);
    expect(await outcome({ lastOffsetEpoch: epoch + 1 })).toBe(ErrorCode.INVALID_REQUEST);
    expect(await outcome({ lastOffsetEpoch: epoch, preVote: false })).toBe(ErrorCode.INVALID_REQUEST);
    expect(await outcome({ lastOffset: -1 })).toBe(ErrorCode.INVALID_REQUEST);
    expect(await outcome({ voterId: 2 })).toBe(ErrorCode.INVALID_VOTER_KEY);
    expect(await outcome({ voterId: 1 })).toBe(ErrorCode.INVALID_VOTER_KEY);
    expect((await vote(client)).nodeEndpoints).toMatchObject([{ nodeId: 1, port: fixture.server.port }]);
    // Nobody's epoch was taken over: it goes on writing in its own.
    await createTopic("after");
    expect(fixture.epoch).toBe(epoch);
  });

  test("begin and end no epoch here", async () => {
    const client = await started();
    const { epoch } = fixture;
    const begin = async (leaderId: number, leaderEpoch: number, voterId = -1) => {
      const partition = { partitionIndex: 0, voterDirectoryId: nobody, leaderId, leaderEpoch };
      const topics = [{ topicName, partitions: [partition] }];
      const answer = await client.ask(ApiKey.BeginQuorumEpoch, 1, { voterId, topics, leaderEndpoints: [] });
      return answer.topics[0]!.partitions[0]!.errorCode;
    };
    const end = async (leaderId: number, leaderEpoch: number, clusterId: string | null = null) => {
      const partition = { partitionIndex: 0, leaderId, leaderEpoch, preferredCandidates: [] };
      const topics = [{ topicName, partitions: [partition] }];
      const answer = await client.ask(ApiKey.EndQuorumEpoch, 1, { clusterId, topics, leaderEndpoints: [] });
      return answer.topics[0]?.partitions[0]?.errorCode ?? answer.errorCode;
    };
    expect(await begin(1, epoch)).toBe(ErrorCode.NONE);
    expect(await begin(1, epoch, 3)).toBe(ErrorCode.INVALID_VOTER_KEY);
    expect(await begin(2, epoch - 1)).toBe(ErrorCode.FENCED_LEADER_EPOCH);
    expect(await begin(2, epoch + 1)).toBe(ErrorCode.UNKNOWN_LEADER_EPOCH);
    expect(await begin(2, epoch)).toBe(ErrorCode.INVALID_REQUEST);
    expect(await begin(-1, epoch)).toBe(ErrorCode.INVALID_REQUEST);
    expect(await end(2, epoch - 1)).toBe(ErrorCode.FENCED_LEADER_EPOCH);
    expect(await end(2, epoch + 1)).toBe(ErrorCode.UNKNOWN_LEADER_EPOCH);
    expect(await end(1, epoch)).toBe(ErrorCode.NONE);
    expect(await end(1, epoch, "another")).toBe(ErrorCode.INCONSISTENT_CLUSTER_ID);
    expect(fixture.metadata.node.leader).toEqual({ leaderId: 1, epoch });
  });

  test("a voter's addresses are its own to tell", async () => {
    const client = await started();
    const { quorum } = fixture.metadata.node;
    const listeners = quorum.voters[0]!.endpoints;
    const update = async (changes: Record<string, unknown>) => {
      const request = {
        ...{ clusterId: null, currentLeaderEpoch: fixture.epoch, voterId: 1, voterDirectoryId: quorum.directoryId },
        ...{ listeners, kRaftVersionFeature: { minSupportedVersion: 0, maxSupportedVersion: 1 } },
        ...changes,
      };
      return (await client.ask(ApiKey.UpdateRaftVoter, 0, request as never)).errorCode;
    };
    expect(await update({})).toBe(ErrorCode.NONE);
    expect(await update({ voterId: 2 })).toBe(ErrorCode.VOTER_NOT_FOUND);
    expect(await update({ voterDirectoryId: nobody })).toBe(ErrorCode.VOTER_NOT_FOUND);
    expect(await update({ listeners: [] })).toBe(ErrorCode.INVALID_REQUEST);
    expect(await update({ currentLeaderEpoch: 0 })).toBe(ErrorCode.FENCED_LEADER_EPOCH);
    expect(await update({ clusterId: "another" })).toBe(ErrorCode.INCONSISTENT_CLUSTER_ID);
  });
});

describe("other brokers", () => {
  const features = [...supportedFeatures(false)].map(([name, { maxVersion, minVersion }]) => ({
    ...{ name, minSupportedVersion: minVersion, maxSupportedVersion: maxVersion },
  }));

  async function register(client: FixtureClient, changes: Record<string, unknown> = {}) {
    const request = {
      ...{ brokerId: 2, clusterId: fixture.metadata.storage.clusterId, rack: null, features },
      incarnationId: "AAAAAAAAQACAAAAAAAAAAw",
      logDirs: ["AAAAAAAAQACAAAAAAAAABA"],
      listeners: [{ name: "PLAINTEXT", host: "two", port: 9092, securityProtocol: 0 }],
      ...changes,
    };
    return client.ask(ApiKey.BrokerRegistration, 4, request as never);
  }

  function heartbeat(client: FixtureClient, brokerEpoch: bigint, changes: Record<string, unknown> = {}) {
    const request = { brokerId: 2, brokerEpoch, currentMetadataOffset: 1_000_000, wantFence: false };
    return client.ask(ApiKey.BrokerHeartbeat, 2, { ...request, wantShutDown: false, ...changes } as never);
  }

  test("register, take part, fall silent and are fenced, stop", async () => {
    const client = await started({ properties: { "broker.session.timeout.ms": 100 } });
    const { image } = fixture.metadata.node;
    expect(await register(client, { clusterId: "another" })).toMatchObject({
      ...{ errorCode: ErrorCode.INCONSISTENT_CLUSTER_ID, brokerEpoch: -1n },
    });
    expect((await register(client, { isMigratingZkBroker: true })).errorCode).toBe(ErrorCode.BROKER_ID_NOT_REGISTERED);
    const { brokerEpoch, errorCode } = await register(client);
    expect(errorCode).toBe(ErrorCode.NONE);
    expect(image.cluster.broker(2)).toMatchObject({ fenced: true, epoch: Number(brokerEpoch) });
    expect((await heartbeat(client, 3n)).errorCode).toBe(ErrorCode.STALE_BROKER_EPOCH);
    expect(await heartbeat(client, brokerEpoch, { currentMetadataOffset: 2 })).toMatchObject({
      ...{ isCaughtUp: false, isFenced: true },
    });
    expect(await heartbeat(client, brokerEpoch)).toMatchObject({ isCaughtUp: true, isFenced: false });
    expect(image.cluster.isUnfenced(2)).toBe(true);
    while (image.cluster.isUnfenced(2)) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(image.cluster.isUnfenced(1)).toBe(true);
    await heartbeat(client, brokerEpoch);
    expect(await heartbeat(client, brokerEpoch, { wantShutDown: true })).toMatchObject({ shouldShutDown: true });
    expect(image.cluster.isUnfenced(2)).toBe(false);
  });

  test("have what they forward decided in their clients' names", async () => {
    const asked: string[] = [];
    const client = await started({
      authorizer: {
        ...allowAll,
        authorize: ({ clientAddress, principal }, operation) => {
          asked.push(`${principal.principalType}:${principal.name}@${clientAddress} ${operation}`);
          return true;
        },
      },
    });
    const topics = [{ name: "handed-on", numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }];
    const head = { correlationId: 77, clientId: "inner" };
    const inner = (frame: Buffer[]) => Buffer.concat(frame).subarray(4);
    const requestData = inner(
      encodeRequestFrame(ApiKey.CreateTopics, 7, head, { topics, timeoutMs: 1000, validateOnly: false }),
    );
    const requestPrincipal = writePrincipal({ type: "User", name: "alice", tokenAuthenticated: false });
    const envelope = { requestData, requestPrincipal, clientHostAddress: Buffer.from([10, 0, 0, 9]) };
    const answer = await client.ask(ApiKey.Envelope, 0, envelope);
    expect(answer.errorCode).toBe(ErrorCode.NONE);
    expect(answer.responseData!.readInt32BE(0)).toBe(77);
    const created = decodeResponseFrame(ApiKey.CreateTopics, 7, answer.responseData!);
    expect(created.topics).toMatchObject([{ name: "handed-on", errorCode: ErrorCode.NONE }]);
    expect(fixture.metadata.node.image.topics.get("handed-on")).toBeDefined();
    expect(asked[0]).toBe("User:ANONYMOUS@127.0.0.1 9");
    expect(asked.slice(1).every((each) => each.startsWith("User:alice@10.0.0.9"))).toBe(true);

    const refused = async (changes: Partial<typeof envelope> & { requestPrincipal?: Buffer | null }) =>
      (await client.ask(ApiKey.Envelope, 0, { ...envelope, ...changes })).errorCode;
    expect(await refused({ requestPrincipal: Buffer.from([0, 9]) })).toBe(ErrorCode.PRINCIPAL_DESERIALIZATION_FAILURE);
    expect(await refused({ clientHostAddress: Buffer.alloc(3) })).toBe(ErrorCode.INVALID_REQUEST);
    expect(await refused({ requestData: requestData.subarray(0, 20) })).toBe(ErrorCode.INVALID_REQUEST);
    // A request inside a request, and what brokers answer themselves.
    const nested = inner(encodeRequestFrame(ApiKey.Envelope, 0, head, envelope));
    expect(await refused({ requestData: nested })).toBe(ErrorCode.INVALID_REQUEST);
    const vote = inner(encodeRequestFrame(ApiKey.Vote, 2, head, { clusterId: null, voterId: 1, topics: [] }));
    expect(await refused({ requestData: vote })).toBe(ErrorCode.INVALID_REQUEST);
  });
});
