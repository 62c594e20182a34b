// ../shared/design/hostile-inputs.md on a controller's listener: the same limits as on a client's, and what only such a listener takes.
import { type Uuid, uuidZero } from "@blumfeld/core/base";
import { ApiKey, apis, ErrorCode, encodeRequestFrame } from "@blumfeld/core/protocol";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { WireConnection } from "../wire/index.ts";
import { framed, header, int16, int32 } from "./bytes.ts";
import { StallWatch, stallMsMax, startVictim, type Victim } from "./victim.ts";

let victim: Victim;
let watch: StallWatch;
beforeAll(async () => {
  victim = await startVictim();
}, 30_000);
afterAll(() => victim?.stop());
beforeEach(() => {
  watch = new StallWatch();
});
afterEach(async () => {
  expect(watch.stop()).toBeLessThan(stallMsMax);
  await victim.control.check();
});

const open = (): Promise<WireConnection> => WireConnection.open(victim.broker.controllerPort);

/** Sends the bytes on a connection of their own; it must be closed, without an answer. */
async function expectClosed(bytes: Buffer): Promise<void> {
  const connection = await open();
  try {
    connection.write(bytes);
    await connection.ended(2_000);
    expect(connection.framesWaiting).toBe(0);
  } finally {
    connection.destroy();
  }
}

const requestBytesMax = 100 * 1024 * 1024;

describe("frames that are none: close", () => {
  test.each([-1, -(2 ** 31), requestBytesMax + 1, 2 ** 31 - 1])("length %d", (length) => expectClosed(int32(length)));
  test("a frame of no bytes", () => expectClosed(framed()));
  test.each([1, 4, 7])("a frame of %d bytes", (length) =>
    expectClosed(framed(header(ApiKey.Vote, 2).subarray(0, length))),
  );
  test("client id length -2", () => expectClosed(framed(int16(52), int16(2), int32(7), int16(-2), "00000000")));
  test("HTTP", () => expectClosed(Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")));
});

describe("APIs that are not a controller's: close", () => {
  const others = [...apis.values()].filter(({ listeners }) => !listeners.includes("controller"));
  test.each(others.map(({ key, minVersion, name }) => [name, key, minVersion] as const))("%s", (_, key, version) =>
    expectClosed(framed(header(key, version), "0000000000000000")),
  );
});

describe("bodies that lie, in requests of the quorum: close", () => {
  const keys = [52, 53, 54, 56, 58, 59, 62, 63, 70, 73, 82];
  test.each(keys)("API %d with counts beyond the frame", (key) => {
    const { maxVersion } = apis.get(key)!;
    return expectClosed(framed(header(key, maxVersion), "00", "ff".repeat(5), "7f".repeat(40)));
  });
  test.each(keys)("API %d without a body", (key) => expectClosed(framed(header(key, apis.get(key)!.maxVersion), "00")));
});

test("an epoch beyond all others displaces nobody", async () => {
  const connection = await open();
  const partition = {
    ...{
      partitionIndex: 0,
      replicaEpoch: 0x7fff_ffff,
      replicaId: 0x7fff_ffff,
      lastOffsetEpoch: 0,
      lastOffset: 2n ** 62n,
    },
    ...{ replicaDirectoryId: uuidZero, voterDirectoryId: uuidZero, preVote: false },
  };
  const topics = [{ topicName: "__cluster_metadata", partitions: [partition] }];
  const answer = await connection.ask(ApiKey.Vote, 2, { clusterId: null, voterId: -1, topics });
  expect(answer.topics[0]!.partitions[0]).toMatchObject({ leaderId: 1, leaderEpoch: 1, voteGranted: false });
  connection.destroy();
});

test("fetches and snapshots with absurd numbers are answered or refused", async () => {
  const connection = await open();
  const topicId = "AAAAAAAAAAAAAAAAAAAAAQ" as Uuid;
  for (const [fetchOffset, maxBytes] of [
    [2n ** 63n - 1n, -1],
    [-(2n ** 63n), 2 ** 31 - 1],
    [2n ** 53n + 1n, 0],
    [1n, -(2 ** 31)],
  ] as const) {
    const fields = { partition: 0, currentLeaderEpoch: 1, lastFetchedEpoch: 0x7fff_ffff, partitionMaxBytes: maxBytes };
    const answer = await connection.ask(ApiKey.Fetch, 18, {
      ...{ maxWaitMs: 0, minBytes: -1, maxBytes, forgottenTopicsData: [] },
      replicaState: { replicaId: 2 ** 31 - 1, replicaEpoch: -1 },
      topics: [{ topicId, partitions: [{ ...fields, fetchOffset }] }],
    });
    expect(answer.errorCode).toBe(ErrorCode.NONE);
  }
  const snapshotId = { endOffset: 2n ** 63n - 1n, epoch: -1 };
  const partitions = [{ partition: 0, currentLeaderEpoch: 1, snapshotId, position: 2n ** 63n - 1n }];
  const snapshot = await connection.ask(ApiKey.FetchSnapshot, 1, {
    ...{ clusterId: null, replicaId: -5, maxBytes: -1 },
    topics: [{ name: "__cluster_metadata", partitions }],
  });
  expect(snapshot.topics[0]!.partitions[0]!.errorCode).toBe(ErrorCode.SNAPSHOT_NOT_FOUND);
  connection.destroy();
});

test("envelopes in envelopes are not opened", async () => {
  const connection = await open();
  let requestData = Buffer.alloc(4);
  for (let depth = 0; depth < 50; depth++) {
    const envelope = { requestData, requestPrincipal: null, clientHostAddress: Buffer.alloc(4) };
    const frame = encodeRequestFrame(ApiKey.Envelope, 0, { correlationId: depth, clientId: null }, envelope);
    requestData = Buffer.concat(frame).subarray(4);
  }
  const requestPrincipal = Buffer.from("000004616c", "hex");
  const answer = await connection.ask(ApiKey.Envelope, 0, {
    requestData,
    requestPrincipal,
    clientHostAddress: Buffer.alloc(4),
  });
  expect([ErrorCode.INVALID_REQUEST, ErrorCode.PRINCIPAL_DESERIALIZATION_FAILURE]).toContain(answer.errorCode);
  connection.destroy();
});
