// What the client believes of the cluster, and when it stops believing it.
import { ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ModelCluster } from "../test-double/model-cluster.ts";
import { ClusterClient } from "./cluster-client.ts";

let cluster: ModelCluster;
let client: ClusterClient;

beforeEach(() => {
  cluster = new ModelCluster(3);
  cluster.createTopic("orders", 3);
  const options = {
    bootstrapServers: cluster.bootstrapServers,
    ports: cluster.ports,
    apiTimeoutMs: 5000,
    rebootstrapAfterMs: 30_000,
  };
  client = new ClusterClient(options, { allowAutoTopicCreation: false, topicIdleMsMax: 300_000 });
});
afterEach(() => client.close());

const topic = (name = "orders", waitMs = 5000) =>
  cluster.time.until(client.metadata.waitForTopic(name, cluster.time.nowMs + waitMs));

test("a topic is known by name and id, with its leaders", async () => {
  const info = await topic();
  expect(info.partitions.map(({ leaderId }) => leaderId)).toEqual([1, 2, 3]);
  expect(client.metadata.topicName(info.id)).toBe("orders");
  expect(client.metadata.clusterId).toBe("model");
});

test("a leader of an older epoch does not replace a newer one", async () => {
  cluster.moveLeader("orders", 0, 2);
  await topic();
  const state = cluster.topics.get("orders")!.partitions[0]!;
  state.leader = 1;
  state.leaderEpoch = 0;
  await cluster.time.until(client.metadata.refresh());
  expect(client.metadata.partition("orders", 0)).toMatchObject({ leaderId: 2, leaderEpoch: 1 });
  state.leaderEpoch = 2;
  await cluster.time.until(client.metadata.refresh());
  expect(client.metadata.partition("orders", 0)).toMatchObject({ leaderId: 1, leaderEpoch: 2 });
});

test("a topic made anew begins its epochs anew", async () => {
  cluster.moveLeader("orders", 0, 2);
  await topic();
  cluster.topics.delete("orders");
  cluster.createTopic("other", 1);
  cluster.createTopic("orders", 1);
  await cluster.time.until(client.metadata.refresh());
  expect(client.metadata.partition("orders", 0)).toMatchObject({ leaderId: 1, leaderEpoch: 0 });
  expect(client.metadata.topic("orders")!.partitions).toHaveLength(1);
});

test("a leader hint is taken when it is newer, and only then", async () => {
  await topic();
  const endpoint = { nodeId: 9, host: "node9", port: 9092, rack: null };
  expect(client.metadata.applyLeaderHint("orders", 0, { leaderId: 9, leaderEpoch: 0, endpoint })).toBe(false);
  expect(client.metadata.applyLeaderHint("orders", 0, { leaderId: 8, leaderEpoch: 1, endpoint: null })).toBe(false);
  expect(client.metadata.applyLeaderHint("orders", 0, { leaderId: 9, leaderEpoch: 1, endpoint })).toBe(true);
  expect(client.metadata.partition("orders", 0)).toMatchObject({ leaderId: 9, leaderEpoch: 1 });
  expect(client.metadata.brokers.get(9)?.host).toBe("node9");
});

test("a missing topic is waited for, and told by name when the time is over", async () => {
  const found = client.metadata.waitForTopic("late", cluster.time.nowMs + 5000);
  await cluster.time.advance(1000);
  cluster.createTopic("late", 1);
  expect((await cluster.time.until(found)).partitions).toHaveLength(1);
  await expect(topic("never")).rejects.toMatchObject({ code: "UNKNOWN_TOPIC_OR_PARTITION", message: /no topic never/ });
});

test("a refusal that waiting does not mend is told at once", async () => {
  cluster.fault = (request) =>
    request.key === ApiKey.Metadata
      ? {
          answer: {
            brokers: [],
            topics: [{ name: "secret", errorCode: ErrorCode.TOPIC_AUTHORIZATION_FAILED, partitions: [] }],
          },
        }
      : undefined;
  const before = cluster.time.nowMs;
  await expect(topic("secret")).rejects.toMatchObject({ code: "TOPIC_AUTHORIZATION_FAILED" });
  expect(cluster.time.nowMs - before).toBeLessThan(100);
});

test("what is wanted is refreshed when it is old", async () => {
  await topic();
  const before = cluster.requestsOf(ApiKey.Metadata).length;
  client.metadata.touch("orders");
  await cluster.time.advance(300_000 + 1000);
  expect(cluster.requestsOf(ApiKey.Metadata).length).toBe(before + 1);
});

test("when no broker that is known answers, the bootstrap addresses are asked", async () => {
  await topic();
  // The cluster moved away; the bootstrap names answer again under other addresses.
  client.metadata.brokers = new Map([[7, { nodeId: 7, host: "node7", port: 9092, rack: null }]]);
  cluster.network.refused.add("node7:9092");
  await cluster.time.until(client.metadata.refresh());
  expect([...client.metadata.brokers.keys()]).toEqual([1, 2, 3]);
});
