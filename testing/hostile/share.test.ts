// Section 3, share: acknowledgements of what is not held, that contradict themselves, or that come in a session that is not. What is refused changes
// nothing: the records stay their member's.
import { ErrorCode } from "@blumfeld/core/protocol";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Ack, ackOf, ackTypes, ShareMember, shareProperties } from "../share/share-member.ts";
import type { WireConnection } from "../wire/index.ts";
import { makeBatch } from "../wire/index.ts";
import { createTopic, produce, StallWatch, stallMsMax, startVictim, type Victim } from "./victim.ts";

const { INVALID_RECORD_STATE, INVALID_REQUEST, INVALID_SHARE_SESSION_EPOCH, NONE, SHARE_SESSION_NOT_FOUND } = ErrorCode;
const recordCount = 10;

let victim: Victim;
let connection: WireConnection;
let watch: StallWatch;
let holder: ShareMember;
let other: ShareMember;

beforeAll(async () => {
  victim = await startVictim(shareProperties);
  connection = await victim.open();
  await createTopic(connection, "jobs");
  // A group begins at the end: it has to be there before the records.
  holder = await ShareMember.joined(victim.port, "crew", "jobs");
  other = await ShareMember.joined(victim.port, "crew", "jobs");
  await holder.fetch();
  await other.fetch();
  const values = Array.from({ length: recordCount }, (_, at) => `job ${at}`);
  expect((await produce(connection, "jobs", 0, makeBatch(values))).errorCode).toBe(NONE);
  // 0 to 3 are the holder's, 4 to 6 the other's; 7 to 9 are nobody's.
  expect((await holder.fetchSome({ recordCountMax: 4 })).acquired.map(({ offset }) => offset)).toEqual([0, 1, 2, 3]);
  expect((await other.fetchSome({ recordCountMax: 3 })).acquired.map(({ offset }) => offset)).toEqual([4, 5, 6]);
}, 30_000);
beforeEach(() => {
  watch = new StallWatch();
});
afterEach(async () => {
  expect(watch.stop()).toBeLessThan(stallMsMax);
  await victim.control.check();
});
afterAll(async () => {
  for (const member of [holder, other]) member.close();
  connection.destroy();
  await victim.stop();
});

const { accept } = ackTypes;

describe.each(["acknowledgement", "fetch"] as const)("in a share %s", (api) => {
  /** The partition's error. */
  const say = async (acks: readonly Ack[]): Promise<number> => {
    if (api === "acknowledgement") return holder.acknowledge(acks);
    const { acknowledgeErrorCode, acquired, errorCode } = await holder.fetch({ acks, recordCountMax: 0 });
    expect(errorCode).toBe(NONE);
    expect(acquired).toEqual([]);
    return acknowledgeErrorCode;
  };

  test.each<[string, readonly Ack[], number]>([
    ["offsets that another holds", [ackOf("accept", 4, 6)], INVALID_RECORD_STATE],
    ["offsets of which only some are held", [ackOf("accept", 2, 5)], INVALID_RECORD_STATE],
    ["held offsets beside others", [ackOf("accept", 0), ackOf("accept", 5)], INVALID_RECORD_STATE],
    ["overlapping ranges", [ackOf("accept", 0, 2), ackOf("release", 2, 3)], INVALID_REQUEST],
    ["the same range twice", [ackOf("accept", 0, 3), ackOf("accept", 0, 3)], INVALID_REQUEST],
    ["ranges out of order", [ackOf("accept", 2, 3), ackOf("accept", 0, 1)], INVALID_REQUEST],
    ["a range that ends before it begins", [ackOf("accept", 3, 1)], INVALID_REQUEST],
    ["negative offsets", [ackOf("accept", -5, 1)], INVALID_REQUEST],
    ["offsets past all that was given out", [ackOf("accept", 0, 2 ** 50)], INVALID_REQUEST],
    ["an unknown type", [{ first: 0, last: 0, types: [5] }], INVALID_REQUEST],
    ["a negative type", [{ first: 0, last: 0, types: [-1] }], INVALID_REQUEST],
    ["no type", [{ first: 0, last: 0, types: [] }], INVALID_REQUEST],
    ["fewer types than offsets", [{ first: 0, last: 2, types: [accept, accept] }], INVALID_REQUEST],
    ["more types than offsets", [{ first: 0, last: 0, types: [accept, accept] }], INVALID_REQUEST],
  ])("%s", async (_name, acks, errorCode) => {
    expect(await say(acks)).toBe(errorCode);
  });
});

test("sessions that are not: unknown, of another group, behind and ahead of their epoch, begun with acknowledgements", async () => {
  const acks = [ackOf("accept", 0, 3)];
  const stranger = await ShareMember.open(victim.port, "crew", "jobs");
  expect(await stranger.acknowledge(acks, { epoch: 1 })).toBe(SHARE_SESSION_NOT_FOUND);
  expect((await stranger.fetch({ acks, epoch: 1 })).errorCode).toBe(SHARE_SESSION_NOT_FOUND);
  expect(await stranger.acknowledge(acks, { epoch: -1 })).toBe(SHARE_SESSION_NOT_FOUND);
  expect(await stranger.acknowledge(acks, { epoch: 0 })).toBe(INVALID_SHARE_SESSION_EPOCH);
  expect((await stranger.fetch({ acks, epoch: 0 })).errorCode).toBe(INVALID_REQUEST);
  stranger.close();
  const elsewhere = await ShareMember.open(victim.port, "crew 2", "jobs");
  elsewhere.memberId = holder.memberId;
  expect(await elsewhere.acknowledge(acks, { epoch: holder.sessionEpoch })).toBe(SHARE_SESSION_NOT_FOUND);
  elsewhere.close();
  for (const epoch of [holder.sessionEpoch - 1, holder.sessionEpoch + 1, 0x7fff_ffff]) {
    expect(await holder.acknowledge(acks, { epoch })).toBe(INVALID_SHARE_SESSION_EPOCH);
    expect((await holder.fetch({ acks, epoch })).errorCode).toBe(INVALID_SHARE_SESSION_EPOCH);
  }
});

test("nothing of all this took a record from its member", async () => {
  expect(await holder.acknowledge([ackOf("accept", 0, 3)])).toBe(NONE);
  expect(await holder.acknowledge([ackOf("accept", 3)])).toBe(NONE);
  expect(await other.acknowledge([ackOf("release", 4, 6)])).toBe(NONE);
  // Given back, they are nobody's: 121 for who had them.
  expect(await other.acknowledge([ackOf("accept", 4)])).toBe(INVALID_RECORD_STATE);
  const left = await holder.fetchSome();
  expect(left.acquired).toEqual([
    ...[4, 5, 6].map((offset) => ({ offset, deliveryCount: 2 })),
    ...[7, 8, 9].map((offset) => ({ offset, deliveryCount: 1 })),
  ]);
});
