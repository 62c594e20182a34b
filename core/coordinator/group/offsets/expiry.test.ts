// Expiry looks at groups in slices, so that a million of them hold nothing up; each is met, whatever comes and goes meanwhile.
import { expect, test } from "vitest";
import { TestShard } from "../fixture/test-shard.ts";
import { expiryWorkMax } from "../group-administration.ts";

function commit(test: TestShard, groupId: string): void {
  const partition = { partitionIndex: 0, committedOffset: 1n, committedLeaderEpoch: -1, committedMetadata: "" };
  const committer = {
    memberId: "",
    groupInstanceId: null,
    generationOrEpoch: -1,
    isTransactional: false,
    apiVersion: 9,
  };
  const topics = [{ name: "t", partitions: [partition] }];
  test.runtime.write(
    "commit",
    (shard, nowMs) => shard.offsets.commit({ groupId, committer, retentionMs: -1, topics }, nowMs),
    () => {},
  );
}

test("more groups than one slice takes all go in one round, and those that live stay", () => {
  const shard = TestShard.empty({ config: { offsetsRetentionMs: 1000, offsetsRetentionCheckIntervalMs: 60_000 } });
  const count = expiryWorkMax / 2 + 10;
  for (let at = 0; at < count; at++) commit(shard, `old-${at}`);
  shard.commit();
  shard.pass(59_500);
  commit(shard, "young");
  shard.commit();
  expect([...shard.shard.groups]).toHaveLength(count + 1);
  // The first slice, then the others a few milliseconds apart.
  shard.pass(500);
  expect([...shard.shard.groups].length).toBeGreaterThan(1);
  shard.pass(100);
  expect([...shard.shard.groups].map(({ groupId }) => groupId)).toEqual(["young"]);
  expect([...shard.reloaded().shard.groups].map(({ groupId }) => groupId)).toEqual(["young"]);
});
