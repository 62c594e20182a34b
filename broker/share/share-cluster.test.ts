// Share partitions among several brokers: dead letters for a partition that another broker leads, and a question to a coordinator that never comes, which
// ends with the broker that asks.
import { RecordBatchBuilder, shareGroupStateTopic } from "@blumfeld/core/model";
import { ErrorCode } from "@blumfeld/core/protocol";
import { afterEach, expect, test } from "vitest";
import { DataCluster } from "../fixture/data-cluster.ts";
import { ShareCoordinator } from "../shards/share-coordinator.ts";
import { DeadLetterTopics } from "./dead-letter-topics.ts";

let cluster: DataCluster | null = null;
afterEach(async () => {
  await cluster?.stop();
  cluster = null;
});

const everywhere = [
  [1, 2, 3],
  [2, 3, 1],
  [3, 1, 2],
];
const retried: ReadonlySet<number> = new Set([ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.NOT_ENOUGH_REPLICAS]);

test("letters go to the leader of the source's partition modulo the count, wherever it is", {
  timeout: 30_000,
}, async () => {
  const made = await DataCluster.start();
  cluster = made;
  made.createTopic("dlq.t", everywhere);
  const topics = new DeadLetterTopics(made.node(1).broker.parts);
  const batch = (): Buffer => {
    const builder = new RecordBatchBuilder();
    builder.append(1, null, "letter", []);
    return builder.build();
  };
  for (const source of [0, 1, 2, 4]) {
    let errorCode = await topics.write("dlq.t", source, batch());
    while (retried.has(errorCode)) {
      await new Promise((wake) => setTimeout(wake, 20));
      errorCode = await topics.write("dlq.t", source, batch());
    }
    expect(errorCode).toBe(ErrorCode.NONE);
  }
  expect([0, 1, 2].map((index) => made.partition(index + 1, "dlq.t", index).log!.highWatermark)).toEqual([1, 2, 1]);
  expect(await topics.write("dlq.missing", 0, batch())).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
});

test("who asks a coordinator that never comes stops within a second of the broker", { timeout: 30_000 }, async () => {
  const made = await DataCluster.start();
  made.createTopic(shareGroupStateTopic, everywhere);
  const shares = new ShareCoordinator(made.node(1).broker.parts);
  let count = 0;
  const asking = shares.persistently(async () => {
    count++;
    return { errorCode: ErrorCode.NOT_COORDINATOR, errorMessage: null };
  });
  await new Promise((wake) => setTimeout(wake, 300));
  await made.stop();
  const stoppedMs = performance.now();
  expect((await asking).errorCode).toBe(ErrorCode.NOT_COORDINATOR);
  expect(performance.now() - stoppedMs).toBeLessThan(1000);
  expect(count).toBeGreaterThan(1);
});
