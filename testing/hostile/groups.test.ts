// Section 3, groups: members that ask for what cannot be, ids by the thousand, patterns that cost other engines their life, bytes by the megabyte.

import { pendingMemberCountMax } from "@blumfeld/core/coordinator";
import { ApiKey, ErrorCode, type JoinGroupRequestInit } from "@blumfeld/core/protocol";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { WireConnection } from "../wire/index.ts";
import { createTopic, pause, StallWatch, stallMsMax, startVictim, type Victim } from "./victim.ts";

let victim: Victim;
let connection: WireConnection;
let watch: StallWatch;

beforeAll(async () => {
  victim = await startVictim({
    ...{ "offsets.topic.num.partitions": 1, "group.initial.rebalance.delay.ms": 0, "group.max.size": 3 },
    ...{ "group.min.session.timeout.ms": 1000, "group.max.session.timeout.ms": 60_000, "group.consumer.max.size": 3 },
  });
  connection = await victim.open();
  await createTopic(connection, "orders", {}, 2);
  for (let at = 0; at < patternTopicCount; at++) await createTopic(connection, `${"a".repeat(240)}${at}b`);
  for (let tries = 0; tries < 200; tries++) {
    const find = { key: "", keyType: 0, coordinatorKeys: ["g"] };
    const found = await connection.ask(ApiKey.FindCoordinator, 6, find);
    const isFound = found.coordinators[0]!.errorCode === ErrorCode.NONE;
    if (isFound && (await join({ groupId: "first" })).errorCode === ErrorCode.MEMBER_ID_REQUIRED) break;
    await pause(20);
  }
}, 30_000);
beforeEach(() => {
  watch = new StallWatch();
});
afterEach(async () => {
  expect(watch.stop()).toBeLessThan(stallMsMax);
  await victim.control.check();
});
afterAll(async () => {
  connection.destroy();
  await victim.stop();
});

const patternTopicCount = 100;
const protocols = [{ name: "range", metadata: Buffer.from("x") }];

function join(request: Partial<JoinGroupRequestInit>, on: WireConnection = connection) {
  return on.ask(ApiKey.JoinGroup, 9, {
    ...{ groupId: "g", memberId: "", sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 10_000 },
    ...{ protocolType: "consumer", protocols, ...request },
  });
}

/** Joins and takes its place. */
async function member(groupId: string, rest: Partial<JoinGroupRequestInit> = {}) {
  const asked = await join({ groupId, ...rest });
  const joined =
    asked.errorCode === ErrorCode.MEMBER_ID_REQUIRED
      ? await join({ groupId, ...rest, memberId: asked.memberId })
      : asked;
  expect(joined.errorCode).toBe(ErrorCode.NONE);
  const { generationId, memberId } = joined;
  const assignments = [{ memberId, assignment: Buffer.from("a") }];
  await connection.ask(ApiKey.SyncGroup, 5, { groupId, generationId, memberId, assignments, protocolType: "consumer" });
  return { groupId, generationId, memberId };
}

test("JoinGroup without a member id by the ten thousand: 79 with a bounded list, then 81", async () => {
  const askers = await Promise.all(Array.from({ length: 4 }, () => victim.open()));
  const codes = new Map<number, number>();
  const each = Math.ceil((pendingMemberCountMax + 200) / askers.length);
  await Promise.all(
    askers.map(async (asker) => {
      for (let at = 0; at < each; at++) {
        const { errorCode } = await join({ groupId: "flood" }, asker);
        codes.set(errorCode, (codes.get(errorCode) ?? 0) + 1);
      }
    }),
  );
  expect(codes.get(ErrorCode.MEMBER_ID_REQUIRED)).toBe(pendingMemberCountMax);
  expect(codes.get(ErrorCode.GROUP_MAX_SIZE_REACHED)).toBe(4 * each - pendingMemberCountMax);
  for (const asker of askers) asker.destroy();
}, 120_000);

test("a group at group.max.size: 81", async () => {
  const first = await member("full");
  const others = await Promise.all([0, 1].map(() => victim.open()));
  const joining = others.map(async (other) => {
    const { memberId } = await join({ groupId: "full" }, other);
    return join({ groupId: "full", memberId }, other);
  });
  await pause(200);
  expect((await join({ groupId: "full", memberId: first.memberId })).errorCode).toBe(ErrorCode.NONE);
  for (const { errorCode } of await Promise.all(joining)) expect(errorCode).toBe(ErrorCode.NONE);
  expect((await join({ groupId: "full" })).errorCode).toBe(ErrorCode.GROUP_MAX_SIZE_REACHED);
  for (const other of others) other.destroy();
});

test("session timeout out of range: 26; empty group: 24", async () => {
  for (const sessionTimeoutMs of [0, -1, 999, 60_001, 0x7fff_ffff])
    expect((await join({ sessionTimeoutMs })).errorCode).toBe(ErrorCode.INVALID_SESSION_TIMEOUT);
  expect((await join({ groupId: "" })).errorCode).toBe(ErrorCode.INVALID_GROUP_ID);
});

test("unknown member: 25; old generation: 22; protocols that nobody shares: 23", async () => {
  const { generationId, memberId } = await member("known");
  const beat = async (request: { memberId: string; generationId: number }) =>
    (await connection.ask(ApiKey.Heartbeat, 4, { groupId: "known", ...request })).errorCode;
  expect(await beat({ memberId: "nobody", generationId })).toBe(ErrorCode.UNKNOWN_MEMBER_ID);
  expect(await beat({ memberId, generationId: generationId - 1 })).toBe(ErrorCode.ILLEGAL_GENERATION);
  expect(await beat({ memberId, generationId })).toBe(ErrorCode.NONE);
  expect((await join({ groupId: "known", memberId: "nobody" })).errorCode).toBe(ErrorCode.UNKNOWN_MEMBER_ID);
  const other = [{ name: "other", metadata: Buffer.from("x") }];
  expect((await join({ groupId: "known", protocols: other })).errorCode).toBe(ErrorCode.INCONSISTENT_GROUP_PROTOCOL);
  expect((await join({ groupId: "known", protocolType: "connect" })).errorCode).toBe(
    ErrorCode.INCONSISTENT_GROUP_PROTOCOL,
  );
});

test("a static id that is taken: the one before is fenced with 82", async () => {
  const before = await member("fixed", { groupInstanceId: "i" });
  const after = await member("fixed", { groupInstanceId: "i" });
  expect(after.memberId).not.toBe(before.memberId);
  const beat = { groupId: "fixed", groupInstanceId: "i", generationId: after.generationId };
  const old = await connection.ask(ApiKey.Heartbeat, 4, { ...beat, memberId: before.memberId });
  expect(old.errorCode).toBe(ErrorCode.FENCED_INSTANCE_ID);
});

function consumerBeat(request: object) {
  return connection.ask(ApiKey.ConsumerGroupHeartbeat, 1, {
    ...{ groupId: "new", memberId: "m", memberEpoch: 0, rebalanceTimeoutMs: 10_000, topicPartitions: [] },
    ...{ subscribedTopicNames: ["orders"], ...request },
  });
}

test("KIP-848: fenced epochs 110, a static id that is held 111, an unknown assignor 112, a full group 81", async () => {
  const joined = await consumerBeat({});
  expect(joined.errorCode).toBe(ErrorCode.NONE);
  const later = { memberEpoch: joined.memberEpoch + 7 };
  expect((await consumerBeat(later)).errorCode).toBe(ErrorCode.FENCED_MEMBER_EPOCH);
  expect((await consumerBeat({ memberId: "n", memberEpoch: 3 })).errorCode).toBe(ErrorCode.UNKNOWN_MEMBER_ID);
  expect((await consumerBeat({ memberId: "s1", instanceId: "i" })).errorCode).toBe(ErrorCode.NONE);
  expect((await consumerBeat({ memberId: "s2", instanceId: "i" })).errorCode).toBe(ErrorCode.UNRELEASED_INSTANCE_ID);
  expect((await consumerBeat({ serverAssignor: "dice" })).errorCode).toBe(ErrorCode.UNSUPPORTED_ASSIGNOR);
  expect((await consumerBeat({ memberId: "third" })).errorCode).toBe(ErrorCode.NONE);
  expect((await consumerBeat({ memberId: "fourth" })).errorCode).toBe(ErrorCode.GROUP_MAX_SIZE_REACHED);
  const stale = { groupId: "new", memberId: "m", generationIdOrMemberEpoch: joined.memberEpoch + 7 };
  const partitions = [{ partitionIndex: 0, committedOffset: 1n, committedLeaderEpoch: -1, committedMetadata: "" }];
  const commit = await connection.ask(ApiKey.OffsetCommit, 9, { ...stale, topics: [{ name: "orders", partitions }] });
  expect(commit.topics[0]!.partitions[0]!.errorCode).toBe(ErrorCode.STALE_MEMBER_EPOCH);
});

test("patterns: (a+)+$ and its kin in linear time, a syntax error and one of 10 KiB: 128 or served", async () => {
  const pattern = (subscribedTopicRegex: string) =>
    consumerBeat({ groupId: `p-${subscribedTopicRegex.length}`, subscribedTopicNames: null, subscribedTopicRegex });
  for (const nested of ["(a+)+$", "(a|a)*$", "(a|aa)+$", "(.*)*x", "(a{1,30}){1,30}$"])
    expect([ErrorCode.NONE, ErrorCode.INVALID_REGULAR_EXPRESSION], nested).toContain((await pattern(nested)).errorCode);
  for (const wrong of ["(", "a{2,1}", "[z-a]", "*"])
    expect((await pattern(wrong)).errorCode, wrong).toBe(ErrorCode.INVALID_REGULAR_EXPRESSION);
  const long = await pattern("(a|b)".repeat(2048));
  expect([ErrorCode.NONE, ErrorCode.INVALID_REGULAR_EXPRESSION]).toContain(long.errorCode);
  // Resolved off the request, at once after it: that must not hold the loop up either.
  await pause(50);
}, 60_000);

test("metadata and assignments of a megabyte and more: taken or refused as a whole, nothing stays", async () => {
  const big = Buffer.alloc(1024 * 1024, "x");
  const groupId = "heavy";
  const asked = await join({ groupId, protocols: [{ name: "range", metadata: big }] });
  const joined = await join({ groupId, memberId: asked.memberId, protocols: [{ name: "range", metadata: big }] });
  expect(joined.errorCode).toBe(ErrorCode.NONE);
  const { generationId, memberId } = joined;
  const assignments = [{ memberId, assignment: Buffer.alloc(4 * 1024 * 1024, "y") }];
  const ask = { groupId, generationId, memberId, protocolType: "consumer", protocolName: "range", assignments };
  const synced = await connection.ask(ApiKey.SyncGroup, 5, ask, 20_000);
  // The record of the group would be larger than the internal topic takes.
  expect(synced.errorCode).toBe(ErrorCode.UNKNOWN_SERVER_ERROR);
  const described = await connection.ask(ApiKey.DescribeGroups, 5, { groups: [groupId] });
  expect(described.groups[0]!.groupState).not.toBe("Stable");
}, 30_000);

test("commit metadata over 4096: 12, and the other partitions are committed", async () => {
  const partition = (partitionIndex: number, length: number) => ({
    ...{ partitionIndex, committedOffset: 3n, committedLeaderEpoch: -1, committedMetadata: "m".repeat(length) },
  });
  const partitions = [partition(0, 4096), partition(1, 4097)];
  const ask = {
    groupId: "noted",
    memberId: "",
    generationIdOrMemberEpoch: -1,
    topics: [{ name: "orders", partitions }],
  };
  const answer = await connection.ask(ApiKey.OffsetCommit, 9, ask);
  expect(answer.topics[0]!.partitions.map(({ errorCode }) => errorCode)).toEqual([
    ErrorCode.NONE,
    ErrorCode.OFFSET_METADATA_TOO_LARGE,
  ]);
  const fetched = await connection.ask(ApiKey.OffsetFetch, 8, { groups: [{ groupId: "noted", topics: null }] });
  expect(fetched.groups[0]!.topics[0]!.partitions.map(({ partitionIndex }) => partitionIndex)).toEqual([0]);
});

test("a commit by nobody of a group that has members: 25; offsets and generations at the edges of 64 and 32 bits are kept exactly", async () => {
  const { groupId } = await member("owned");
  const commit = async (
    group: string,
    memberId: string,
    generationIdOrMemberEpoch: number,
    committedOffset: bigint,
  ) => {
    const partitions = [{ partitionIndex: 0, committedOffset, committedLeaderEpoch: -1, committedMetadata: "" }];
    const topics = [{ name: "orders", partitions }];
    const ask = { groupId: group, memberId, generationIdOrMemberEpoch, topics };
    return (await connection.ask(ApiKey.OffsetCommit, 9, ask)).topics[0]!.partitions[0]!.errorCode;
  };
  expect(await commit(groupId, "", -1, 5n)).toBe(ErrorCode.UNKNOWN_MEMBER_ID);
  expect(await commit(groupId, "nobody", 1, 5n)).toBe(ErrorCode.UNKNOWN_MEMBER_ID);
  expect(await commit("none", "x", 0x7fff_ffff, 5n)).toBe(ErrorCode.GROUP_ID_NOT_FOUND);
  expect(await commit("far", "", -1, 2n ** 63n - 1n)).toBe(ErrorCode.NONE);
  const fetched = await connection.ask(ApiKey.OffsetFetch, 8, { groups: [{ groupId: "far", topics: null }] });
  expect(fetched.groups[0]!.topics[0]!.partitions[0]!.committedOffset).toBe(2n ** 63n - 1n);
});
