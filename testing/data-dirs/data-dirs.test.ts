// Data directories that Apache Kafka wrote, one stopped cleanly and one killed, opened by this broker: a client must see what it saw before.
// Each is opened twice, the second time after our own clean stop.
import { ApiKey } from "@blumfeld/core/protocol";
import { type RunningBroker, startBroker } from "blumfeld";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { missingShared } from "../shared.ts";
import { WireConnection } from "../wire/index.ts";
import { type Archive, archives, openArchive } from "./archive.ts";
import { type Expected, type ExpectedGroup, type ExpectedTopic, readExpected } from "./expected.ts";
import { observeConfigs, observePartition } from "./observe.ts";
import { listGroups, observeGroup } from "./observe-groups.ts";
import { observeTransactions } from "./observe-transactions.ts";

const resourceType = { topic: 2, broker: 4, clientMetrics: 16, group: 32 } as const;
const configSource = { topic: 1, broker: 2, defaultBroker: 3, clientMetrics: 7, group: 8 } as const;
/** Leader epochs rise when a broker restarts: by two in Kafka. */
const epochsPerRestartMax = 2;

/** Parts of the expectations that are not looked at so far, and what they wait for. */
const skipped: Readonly<Record<string, string>> = {
  "share groups: start offsets and lags": "share groups",
  "acls: as one text": "an authorizer",
  "delegationTokens: described": "SASL listeners",
};

const expectedOf = (name: string): Expected =>
  missingShared ? ({ topics: {}, groups: {} } as Expected) : readExpected(name);

describe.skipIf(missingShared).each(archives)("%s", (name) => {
  const expected = expectedOf(name);
  const topics = Object.entries(expected.topics);
  const groups = Object.entries(expected.groups).filter(([, { type }]) => type !== "Share");
  let archive: Archive;
  beforeAll(() => {
    archive = openArchive(name);
  });
  afterAll(() => archive.remove());

  describe.each([1, 2])("opened %d times", (openings) => {
    let broker: RunningBroker;
    let connection: WireConnection;
    beforeAll(async () => {
      const { dataDirectory, properties } = archive;
      broker = await startBroker({ storage: "file", dataDirectory, port: 0, properties });
    }, 30_000);
    afterAll(() => broker?.close());
    beforeEach(async () => {
      connection = await WireConnection.open(broker.port);
    });
    afterEach(() => connection?.destroy());

    test("cluster id, features and topics", async () => {
      const metadata = await connection.ask(ApiKey.Metadata, 12, { topics: null, allowAutoTopicCreation: false });
      expect(metadata.clusterId).toBe(expected.clusterId);
      const list = metadata.topics.map(({ name: topic, topicId, isInternal, partitions }) => [
        topic,
        topicId,
        isInternal,
        partitions.length,
      ]);
      expect(list.sort()).toEqual(
        topics.map(([topic, one]) => [topic, one.topicId, one.internal, one.partitions.length]).sort(),
      );
      const versions = await connection.ask(ApiKey.ApiVersions, 4, {
        clientSoftwareName: "wire",
        clientSoftwareVersion: "1",
      });
      const features = versions.finalizedFeatures.map((each) => [each.name, each.maxVersionLevel] as const);
      expect(Object.fromEntries(features)).toEqual(expected.features);
    });

    test.each(topics)("topic %s", async (topic: string, one: ExpectedTopic) => {
      expect(await observeConfigs(connection, resourceType.topic, topic, configSource.topic)).toEqual(
        one.dynamicConfigs,
      );
      for (const partition of one.partitions) {
        const observed = await observePartition(connection, topic, one, partition);
        const { latestOffsetLeaderEpoch: before } = partition;
        expect(observed.latestOffsetLeaderEpoch).toBeGreaterThanOrEqual(before);
        expect(observed.latestOffsetLeaderEpoch).toBeLessThanOrEqual(before + openings * epochsPerRestartMax);
        expect({ ...observed, latestOffsetLeaderEpoch: before }).toEqual(partition);
      }
    });

    test.each(groups)("group %s", async (group: string, one: ExpectedGroup) => {
      const observed = await observeGroup(connection, group, one.type);
      expect(observed).toEqual(one);
      const listed = await listGroups(connection);
      expect(listed[group]).toBe(`${one.type.toLowerCase()} "${one.protocol}" ${one.state}`);
    });

    test("transactions", async () => {
      expect(await observeTransactions(connection)).toEqual(expected.transactions);
    });

    test("settings of brokers, groups and client metrics", async () => {
      for (const [broker_, configs] of Object.entries(expected.brokerConfigs)) {
        const isDefault = broker_ === "(default)";
        const source = isDefault ? configSource.defaultBroker : configSource.broker;
        const observed = await observeConfigs(connection, resourceType.broker, isDefault ? "" : broker_, source);
        expect(observed).toEqual(configs);
      }
      for (const [group, configs] of Object.entries(expected.groupConfigs))
        expect(await observeConfigs(connection, resourceType.group, group, configSource.group)).toEqual(configs);
      for (const [metrics, configs] of Object.entries(expected.clientMetricsConfigs)) {
        const observed = await observeConfigs(
          connection,
          resourceType.clientMetrics,
          metrics,
          configSource.clientMetrics,
        );
        expect(observed).toEqual(configs);
      }
    });

    test("quotas", async () => {
      const answer = await connection.ask(ApiKey.DescribeClientQuotas, 1, { components: [], strict: false });
      const observed = (answer.entries ?? []).map(({ entity, values }) => ({
        entity: Object.fromEntries(entity.map((each) => [each.entityType, each.entityName])),
        values: Object.fromEntries(values.map((each) => [each.key, each.value])),
      }));
      const inOrder = (list: Expected["quotas"]): Expected["quotas"] =>
        [...list].sort((a, b) => (JSON.stringify(a.values) < JSON.stringify(b.values) ? -1 : 1));
      expect(inOrder(observed)).toEqual(inOrder(expected.quotas));
    });

    test("SCRAM users", async () => {
      const answer = await connection.ask(ApiKey.DescribeUserScramCredentials, 0, { users: null });
      const mechanisms = ["", "SCRAM-SHA-256", "SCRAM-SHA-512"];
      const observed = answer.results.map(({ user, credentialInfos }) => [
        user,
        credentialInfos.map((each) => `${mechanisms[each.mechanism]} ${each.iterations}`).sort(),
      ]);
      expect(Object.fromEntries(observed)).toEqual(expected.scramUsers);
    });

    test.each(Object.entries(skipped))("%s wait for: %s", { skip: true }, () => {});
  });
});
