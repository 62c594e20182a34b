// ../shared/design/hostile-inputs.md, section 1: frames that are none, headers and bodies that lie. A test bears the name of its row.
import { ApiKey } from "@blumfeld/core/protocol";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { WireConnection } from "../wire/index.ts";
import { framed, header, int16, int32, unsignedVarint } from "./bytes.ts";
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

/** Sends the bytes on a connection of their own; it must be closed, without an answer. */
async function expectClosedAt(port: number, bytes: Buffer): Promise<void> {
  const connection = await WireConnection.open(port);
  try {
    connection.write(bytes);
    await connection.ended(2_000);
    expect(connection.framesWaiting).toBe(0);
  } finally {
    connection.destroy();
  }
}

/** On the clients' listener and on the controllers'. */
async function expectClosed(bytes: Buffer): Promise<void> {
  await expectClosedAt(victim.port, bytes);
  await expectClosedAt(victim.broker.controllerPort, bytes);
}

const requestBytesMax = 100 * 1024 * 1024;

describe("length < 0 or > socket.request.max.bytes: close at once, nothing allocated", () => {
  test.each([-1, -(2 ** 31), requestBytesMax + 1, 2 ** 31 - 1])("length %d", (length) => expectClosed(int32(length)));

  test("many large lengths at once (CVE-2022-34917)", async () => {
    await Promise.all(Array.from({ length: 200 }, () => expectClosed(int32(2 ** 31 - 1))));
  });
});

describe("zero-length frame, 1-7 byte frame, header cut, client id length -2 / > rest: close", () => {
  test("a frame of no bytes", () => expectClosed(framed()));
  test.each([1, 2, 3, 4, 5, 6, 7])("a frame of %d bytes", (length) =>
    expectClosed(framed(header(ApiKey.Metadata, 9).subarray(0, length))),
  );
  test("a header cut in the client id's length", () => expectClosed(framed(header(ApiKey.Metadata, 9).subarray(0, 9))));
  test("client id length -2", () => expectClosed(framed(int16(3), int16(4), int32(7), int16(-2), "00000000")));
  test("client id longer than the rest", () => expectClosed(framed(int16(3), int16(4), int32(7), int16(100), "6162")));
});

describe("HTTP, TLS hello, SSH banner on a plain port: close", () => {
  test("HTTP", () => expectClosed(Buffer.from("GET / HTTP/1.1\r\nHost: localhost:9092\r\nAccept: */*\r\n\r\n")));
  test("TLS hello", () => {
    const hello = `16030100c8010000c40303${"00".repeat(32)}20${"00".repeat(32)}0002130101000079${"00".repeat(121)}`;
    return expectClosed(Buffer.from(hello, "hex"));
  });
  test("SSH banner", () => expectClosed(Buffer.from("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n")));
});

describe("unknown API key; known key with version not offered: close; ApiVersions too new: v0 body, error 35 and the range", () => {
  test.each([-1, 4, 5, 6, 7, 93, 999, 32767])("API key %d", (key) => expectClosed(framed(header(key, 0), "00")));
  test.each([
    [ApiKey.Metadata, 99],
    [ApiKey.Metadata, -1],
    [ApiKey.Fetch, 3],
    [ApiKey.Produce, 2],
  ])("API %d version %d", (key, version) => expectClosed(framed(header(key, version), "0000")));

  test("ApiVersions version 99", async () => {
    const connection = await victim.open();
    connection.write(framed(header(ApiKey.ApiVersions, 99), "00", "0278", "0231", "00"));
    const answer = await connection.frame();
    // Correlation id 7, error 35, one API: 18, 0 to 4.
    expect(answer?.toString("hex")).toBe("00000007" + "0023" + "00000001" + "0012" + "0000" + "0004");
    const versions = await connection.ask(ApiKey.ApiVersions, 4, {
      clientSoftwareName: "x",
      clientSoftwareVersion: "1",
    });
    expect(versions.errorCode).toBe(0);
    connection.destroy();
  });
});

describe("controller/broker-only API on a client listener: close or 31", () => {
  test.each([
    ["Vote", ApiKey.Vote, 2],
    ["BeginQuorumEpoch", ApiKey.BeginQuorumEpoch, 1],
    ["EndQuorumEpoch", ApiKey.EndQuorumEpoch, 1],
    ["AlterPartition", ApiKey.AlterPartition, 3],
    ["Envelope", ApiKey.Envelope, 0],
    ["FetchSnapshot", ApiKey.FetchSnapshot, 1],
    ["BrokerRegistration", ApiKey.BrokerRegistration, 4],
    ["BrokerHeartbeat", ApiKey.BrokerHeartbeat, 1],
    ["AllocateProducerIds", ApiKey.AllocateProducerIds, 0],
    ["ControllerRegistration", ApiKey.ControllerRegistration, 0],
    ["AssignReplicasToDirs", ApiKey.AssignReplicasToDirs, 0],
    ["UpdateRaftVoter", ApiKey.UpdateRaftVoter, 0],
  ])("%s", (_name, key, version) => expectClosedAt(victim.port, framed(header(key, version), "00".repeat(64))));
});

describe("array count 2^31-1, -5, or > rest / smallest element (CVE-2026-111108): parse error before allocation; close", () => {
  // Metadata 4: an array of topic names, then a boolean.
  test.each([2 ** 31 - 1, -5, 1000])("Metadata with %d topics", (count) =>
    expectClosed(framed(header(ApiKey.Metadata, 4), int32(count), "000161", "00")),
  );
  test("Metadata 12 with 2^32-2 topics, compact", () =>
    expectClosed(framed(header(ApiKey.Metadata, 12), "00", "ffffffff0f", "00000000")));
  test("Fetch with 2^31-1 partitions in a topic", () => {
    const start = Buffer.concat([int32(-1), int32(0), int32(0), int32(1000), Buffer.alloc(1)]);
    return expectClosed(
      framed(header(ApiKey.Fetch, 4), start, int32(1), int16(1), "61", int32(2 ** 31 - 1), "00".repeat(16)),
    );
  });
  test("an array that would fit but has more elements than a request may have", () => {
    const count = 3_000_000;
    return expectClosed(framed(header(ApiKey.Metadata, 4), int32(count), Buffer.alloc(count * 2), "00"));
  });
});

describe("20 M tagged fields in a flexible header (CVE-2026-111115); same tag twice; tags out of order: close", () => {
  const flexible = header(ApiKey.Metadata, 12);
  test("20 million tagged fields", () => {
    const count = 20_000_000;
    return expectClosed(framed(flexible, unsignedVarint(count), Buffer.alloc(1024)));
  });
  test("20 million tagged fields, all of them there", async () => {
    // To make and send 40 MB holds up this process itself.
    watch.stop();
    const count = 20_000_000;
    await expectClosed(framed(flexible, unsignedVarint(count), Buffer.alloc(count * 2)));
    watch = new StallWatch();
  });
  test("the same tag twice", () => expectClosed(framed(flexible, "02", "0100", "0100", "0100000000")));
  test("tags out of order", () => expectClosed(framed(flexible, "02", "0500", "0100", "0100000000")));
  test("a tagged field longer than the rest", () => expectClosed(framed(flexible, "01", "00ffffffff0f", "00")));
});

describe("compact string longer than rest; varint of 6+ bytes; invalid UTF-8; null where not allowed; nesting: close", () => {
  const flexible = Buffer.concat([header(ApiKey.ApiVersions, 3), Buffer.from("00", "hex")]);
  test("compact string longer than the rest", () => expectClosed(framed(flexible, "7f", "6162")));
  test("a varint of six bytes", () => expectClosed(framed(flexible, "808080808001", "00", "00")));
  test("a varint of 33 bits", () => expectClosed(framed(flexible, "ffffffff7f", "00", "00")));
  test("invalid UTF-8", () => expectClosed(framed(flexible, "03c328", "0231", "00")));
  test("an encoded surrogate", () => expectClosed(framed(flexible, "04eda080", "0231", "00")));
  test("null where it is not allowed", () => expectClosed(framed(flexible, "00", "0231", "00")));
  test("invalid UTF-8 in the client id", () =>
    expectClosed(framed(int16(18), int16(3), int32(7), int16(2), "c328", "00", "0278", "0231", "00")));
  test("arrays within arrays, each with one element that is not there", () =>
    expectClosed(framed(header(ApiKey.CreateTopics, 7), "00", "02".repeat(64))));
});

describe("spare bytes after the body: ignored as in Kafka, counted", () => {
  test("the request is answered", async () => {
    const connection = await victim.open();
    connection.write(framed(header(ApiKey.ApiVersions, 0), "deadbeef".repeat(100)));
    const answer = await connection.frame();
    expect(answer?.readInt32BE(0)).toBe(7);
    expect(answer?.readInt16BE(4)).toBe(0);
    connection.destroy();
  });
});
