// The handlers of cluster metadata on a real broker with a controller behind it: every version answers in its own shape, and what clients rely
// on between requests holds.
import { uuidZero } from "@blumfeld/core/base";
import { ApiKey, apiFacts, ErrorCode, type RequestInitOf, type ResponseOf } from "@blumfeld/core/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BrokerFixture, type FixtureClient } from "../fixture/broker-fixture.ts";
import { fixtureEndpoint, type MetadataFixture, startMetadata } from "../fixture/metadata-fixture.ts";

let metadata: MetadataFixture;
let fixture: BrokerFixture;
let client: FixtureClient;

beforeAll(async () => {
  metadata = await startMetadata({ properties: { "num.partitions": 2 } });
  const { node } = metadata;
  fixture = await BrokerFixture.start({
    disk: metadata.disk,
    config: { directoryIds: metadata.storage.directories.map(({ directoryId }) => directoryId) },
    broker: { metadata: node, cluster: node, controllerChannel: node.channel, clusterId: node.clusterId },
  });
  client = await fixture.client();
});
afterAll(async () => {
  await fixture.stop();
  await metadata.node.close();
});

function ask<Key extends ApiKey>(key: Key, version: number, request: RequestInitOf<Key>): Promise<ResponseOf<Key>> {
  return client.ask(key, version, request);
}

async function create(...names: string[]): Promise<void> {
  const topics = names.map((name) => ({
    name,
    numPartitions: -1,
    replicationFactor: -1,
    assignments: [],
    configs: [],
  }));
  await ask(ApiKey.CreateTopics, 7, { topics });
}

const someRequests: { [Key in ApiKey]?: RequestInitOf<Key> } = {
  [ApiKey.Metadata]: { topics: [{ name: "versions" }, { name: "no/where" }] },
  [ApiKey.CreateTopics]: {
    topics: [{ name: "versions", numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }],
    validateOnly: true,
  },
  [ApiKey.InitProducerId]: { transactionalId: null, transactionTimeoutMs: 1000 },
  [ApiKey.DescribeConfigs]: {
    resources: [
      { resourceType: 2, resourceName: "versions", configurationKeys: null },
      { resourceType: 4, resourceName: "1", configurationKeys: ["log.retention.ms", "node.id"] },
      { resourceType: 4, resourceName: "", configurationKeys: null },
      { resourceType: 8, resourceName: "1", configurationKeys: null },
      { resourceType: 32, resourceName: "g", configurationKeys: null },
      { resourceType: 16, resourceName: "m", configurationKeys: null },
      { resourceType: 2, resourceName: "nowhere", configurationKeys: null },
    ],
  },
  [ApiKey.AlterConfigs]: {
    resources: [{ resourceType: 2, resourceName: "versions", configs: [{ name: "retention.ms", value: "1000" }] }],
    validateOnly: true,
  },
  [ApiKey.DescribeLogDirs]: { topics: null },
  [ApiKey.CreatePartitions]: {
    topics: [{ name: "versions", count: 9, assignments: null }],
    timeoutMs: 0,
    validateOnly: true,
  },
  [ApiKey.ElectLeaders]: { topicPartitions: [{ topic: "versions", partitions: [0] }] },
  [ApiKey.IncrementalAlterConfigs]: {
    resources: [
      {
        ...{ resourceType: 2, resourceName: "versions" },
        configs: [{ name: "retention.ms", configOperation: 0, value: "1" }],
      },
    ],
    validateOnly: true,
  },
  [ApiKey.AlterPartitionReassignments]: {
    topics: [{ name: "versions", partitions: [{ partitionIndex: 0, replicas: null }] }],
  },
  [ApiKey.ListPartitionReassignments]: { topics: null },
  [ApiKey.DescribeClientQuotas]: { components: [], strict: false },
  [ApiKey.AlterClientQuotas]: {
    entries: [{ entity: [{ entityType: "user", entityName: "u" }], ops: [{ key: "x", value: 1, remove: false }] }],
    validateOnly: true,
  },
  [ApiKey.DescribeUserScramCredentials]: { users: null },
  [ApiKey.AlterUserScramCredentials]: { deletions: [{ name: "nobody", mechanism: 1 }], upsertions: [] },
  [ApiKey.DescribeQuorum]: { topics: [{ topicName: "__cluster_metadata", partitions: [{ partitionIndex: 0 }] }] },
  [ApiKey.UpdateFeatures]: { featureUpdates: [{ feature: "group.version", maxVersionLevel: 1 }] },
  [ApiKey.DescribeCluster]: { includeClusterAuthorizedOperations: true },
  [ApiKey.UnregisterBroker]: { brokerId: 77 },
  [ApiKey.ListConfigResources]: {},
  [ApiKey.DescribeTopicPartitions]: {
    topics: [{ name: "versions" }, { name: "nowhere" }],
    responsePartitionLimit: 100,
  },
  [ApiKey.AddRaftVoter]: {
    ...{ clusterId: null, timeoutMs: 0, voterId: 2, voterDirectoryId: metadataDirectory() },
    listeners: [{ name: "CONTROLLER", host: "localhost", port: 1 }],
  },
  [ApiKey.RemoveRaftVoter]: { clusterId: null, voterId: 9, voterDirectoryId: metadataDirectory() },
};

function metadataDirectory() {
  return "N85IxdTFTpqIm9aPpAFvcA" as typeof uuidZero;
}

const everyVersion = Object.keys(someRequests)
  .map(Number)
  .flatMap((key) => {
    const { latestStableVersion, minVersion, name } = apiFacts[key as ApiKey];
    const versions = Array.from({ length: latestStableVersion - minVersion + 1 }, (_, step) => minVersion + step);
    return versions.map((version) => ({ key: key as ApiKey, name, version }));
  });

describe("every version answers in its own shape", () => {
  beforeAll(() => create("versions"));

  test.each(everyVersion)("$name v$version", async ({ key, version }) => {
    const answer = await ask(key, version, someRequests[key] as RequestInitOf<ApiKey>);
    expect(answer).toBeTypeOf("object");
    expect("errorCode" in answer ? answer.errorCode : 0).not.toBe(ErrorCode.UNKNOWN_SERVER_ERROR);
    expect(fixture.logger.lines).toEqual([]);
  });
});

describe("topics", () => {
  test("that a Metadata request names are made in the background where it allows that", async () => {
    const request = { topics: [{ name: "wanted" }], allowAutoTopicCreation: true };
    const first = await ask(ApiKey.Metadata, 9, request);
    expect(first.topics[0]).toMatchObject({ errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, name: "wanted" });
    const later = await ask(ApiKey.Metadata, 9, request);
    expect(later.topics[0]).toMatchObject({
      errorCode: ErrorCode.NONE,
      partitions: [{ leaderId: 1 }, { leaderId: 1 }],
    });
    const never = await ask(ApiKey.Metadata, 9, { topics: [{ name: "a/b" }], allowAutoTopicCreation: true });
    expect(never.topics[0]).toMatchObject({ errorCode: ErrorCode.INVALID_TOPIC_EXCEPTION });
    const quiet = await ask(ApiKey.Metadata, 9, { topics: [{ name: "unwanted" }], allowAutoTopicCreation: false });
    expect(quiet.topics[0]).toMatchObject({ errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION });
  });

  test("are known by id, and their ids outlive nothing", async () => {
    await create("by-id");
    const { topics } = await ask(ApiKey.Metadata, 12, { topics: [{ name: "by-id" }] });
    const { topicId } = topics[0]!;
    const byId = await ask(ApiKey.Metadata, 12, { topics: [{ topicId, name: null }] });
    expect(byId.topics[0]).toMatchObject({ name: "by-id", topicId, errorCode: 0 });
    const deleted = await ask(ApiKey.DeleteTopics, 6, { topics: [{ name: null, topicId }], timeoutMs: 0 });
    expect(deleted.responses).toMatchObject([{ name: "by-id", topicId, errorCode: 0 }]);
    const after = await ask(ApiKey.Metadata, 12, { topics: [{ topicId, name: null }] });
    expect(after.topics[0]).toMatchObject({ name: null, topicId, errorCode: ErrorCode.UNKNOWN_TOPIC_ID });
  });

  test("asked for deletion in a wrong way are refused one by one", async () => {
    await create("kept");
    const topicId = metadata.node.image.topics.get("kept")!.id;
    const { responses } = await ask(ApiKey.DeleteTopics, 6, {
      topics: [
        { name: "kept", topicId },
        { name: null, topicId: uuidZero },
        { name: "twice", topicId: uuidZero },
        { name: "twice", topicId: uuidZero },
        { name: "nowhere", topicId: uuidZero },
      ],
      timeoutMs: 0,
    });
    expect(responses.map(({ name, errorCode }) => [name, errorCode])).toEqual([
      ["kept", ErrorCode.INVALID_REQUEST],
      [null, ErrorCode.INVALID_REQUEST],
      ["twice", ErrorCode.INVALID_REQUEST],
      ["nowhere", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION],
    ]);
    expect(metadata.node.image.topics.get("kept")).toBeDefined();
  });

  test("come in pages, none lost and none twice", async () => {
    await create("page-a", "page-b", "page-c");
    const names = ["page-a", "page-b", "page-c"].map((name) => ({ name }));
    const seen: string[] = [];
    let cursor: { topicName: string; partitionIndex: number } | null = null;
    for (let page = 0; page < 10; page++) {
      const answer: ResponseOf<typeof ApiKey.DescribeTopicPartitions> = await ask(ApiKey.DescribeTopicPartitions, 0, {
        ...{ topics: names, responsePartitionLimit: 1, cursor },
      });
      for (const { name, partitions } of answer.topics) {
        for (const { partitionIndex } of partitions) seen.push(`${name}-${partitionIndex}`);
      }
      cursor = answer.nextCursor;
      if (cursor === null) break;
    }
    expect(seen).toEqual(["page-a-0", "page-a-1", "page-b-0", "page-b-1", "page-c-0", "page-c-1"]);
  });

  test("too many for one request refuse it as a whole, topic by topic", async () => {
    const topics = [{ name: "huge", numPartitions: 10_001, replicationFactor: 1, assignments: [], configs: [] }];
    const answer = await ask(ApiKey.CreateTopics, 7, { topics });
    expect(answer.topics).toMatchObject([{ name: "huge", errorCode: ErrorCode.POLICY_VIOLATION }]);
  });
});

test("producer ids are never given twice, not even after a restart", async () => {
  const ids = new Set<bigint>();
  for (let round = 0; round < 30; round++) {
    const { errorCode, producerEpoch, producerId } = await ask(ApiKey.InitProducerId, 4, {
      ...{ transactionalId: null, transactionTimeoutMs: 1000 },
    });
    expect([errorCode, producerEpoch]).toEqual([0, 0]);
    ids.add(BigInt(producerId));
  }
  expect(ids.size).toBe(30);
  expect(metadata.node.image.nextProducerId).toBeGreaterThanOrEqual(1000);
});

test("a log level is set, shown and refused", async () => {
  const alter = (value: string) =>
    ask(ApiKey.IncrementalAlterConfigs, 1, {
      resources: [
        {
          ...{ resourceType: 8, resourceName: "1" },
          configs: [{ name: "kafka.server.KafkaApis", configOperation: 0, value }],
        },
      ],
      validateOnly: false,
    });
  expect((await alter("DEBUG")).responses).toMatchObject([{ errorCode: 0 }]);
  expect((await alter("LOUD")).responses).toMatchObject([{ errorCode: ErrorCode.INVALID_CONFIG }]);
  const { results } = await ask(ApiKey.DescribeConfigs, 4, {
    resources: [{ resourceType: 8, resourceName: "1", configurationKeys: ["kafka.server.KafkaApis"] }],
  });
  expect(results[0]!.configs).toMatchObject([{ name: "kafka.server.KafkaApis", value: "DEBUG", configSource: 6 }]);
});

test("clients get the address of the listener that they came in by", async () => {
  const { brokers, controllerId } = await ask(ApiKey.Metadata, 9, { topics: [] });
  expect(brokers).toMatchObject([{ nodeId: 1, host: fixtureEndpoint.host, port: fixtureEndpoint.port }]);
  expect(controllerId).toBe(1);
});
