// What a pattern finds is what its member may see; when the topics change it is looked for again, and no more often than the bound allows.
import { expect, test } from "vitest";
import { TestShard, TestTopics } from "../fixture/test-shard.ts";
import { ConsumerGroup } from "./consumer-group.ts";

function beat(test: TestShard, memberEpoch: number, mayFindTopic?: (topic: string) => boolean): number {
  const answer = test.decide((shard, nowMs) =>
    shard.consumerGroupHeartbeat(
      {
        ...{ groupId: "g", memberId: "m", memberEpoch, instanceId: null, rackId: null, serverAssignor: null },
        ...{
          rebalanceTimeoutMs: 60_000,
          subscribedTopicNames: [],
          subscribedTopicRegex: "shop.*",
          topicPartitions: [],
        },
      },
      { clientId: "c", clientHost: "/h", apiVersion: 1, mayFindTopic },
      nowMs,
    ),
  );
  expect(answer.errorCode).toBe(0);
  return (answer as { memberEpoch: number }).memberEpoch;
}

function found(test: TestShard): string[] {
  const group = test.shard.group("g");
  return group instanceof ConsumerGroup ? [...group.subscribedTopics()].sort() : [];
}

test("a pattern finds the topics that its member may describe", () => {
  const topics = new TestTopics();
  for (const name of ["shop-orders", "shop-secrets", "other"]) topics.set(name, 1);
  const test = TestShard.empty({ topics });
  beat(test, 0, (topic) => topic !== "shop-secrets");
  test.pass(1);
  expect(found(test)).toEqual(["shop-orders"]);
  expect(found(test.reloaded())).toEqual(["shop-orders"]);
});

test("new topics are found with a later heartbeat, and ask for an epoch only where one matches", () => {
  const topics = new TestTopics();
  topics.set("shop-orders", 1);
  const test = TestShard.empty({ topics });
  let epoch = beat(test, 0);
  test.pass(1);
  const before = (test.shard.group("g") as ConsumerGroup).groupEpoch;
  topics.set("elsewhere", 1);
  test.pass(10_001);
  epoch = beat(test, epoch);
  test.pass(1);
  expect((test.shard.group("g") as ConsumerGroup).groupEpoch).toBe(before);
  topics.set("shop-bills", 1);
  epoch = beat(test, epoch);
  test.pass(1);
  expect(found(test), "not yet: it was looked for a moment ago").toEqual(["shop-orders"]);
  test.pass(10_001);
  beat(test, epoch);
  test.pass(1);
  expect(found(test)).toEqual(["shop-bills", "shop-orders"]);
  expect((test.shard.group("g") as ConsumerGroup).groupEpoch).toBeGreaterThan(before);
});
