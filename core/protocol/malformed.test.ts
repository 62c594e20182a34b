// What is wrong with a message is refused in one way, whatever it is; what cannot be written is refused by name.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { missingShared, sharedPath } from "../../testing/shared.ts";
import { ByteReader, ByteWriter, limits, MalformedMessage, seededRandom, type Uuid } from "../base/index.ts";
import * as protocol from "./index.ts";
import {
  ApiKey,
  decodeControlRecord,
  decodeFetchRequest,
  decodeMetadataRecord,
  decodeProduceRequest,
  decodeRequestHead,
  encodeFetchRequest,
  encodeFetchResponse,
  encodeMetadataRecord,
  encodeMetadataRequest,
  encodeOffsetFetchRequest,
  encodeProduceRequest,
  encodeRequestFrame,
  groupCoordinatorRecords,
  readConsumerAssignment,
  readConsumerSubscription,
  UnsupportedVersion,
} from "./index.ts";

type Decode = (reader: ByteReader, version: number) => unknown;

/** True when it was read; false when it was refused as malformed. Anything else goes on. */
function isRead(decode: Decode, bytes: Buffer, version: number): boolean {
  try {
    decode(new ByteReader(bytes), version);
    return true;
  } catch (error) {
    if (error instanceof MalformedMessage) return false;
    throw error;
  }
}

describe.skipIf(missingShared)("damaged vectors", () => {
  const vectors: { name: string; version: number; hex: string }[] = missingShared
    ? []
    : readFileSync(sharedPath("protocol/messages.jsonl"), "utf8")
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line));
  const decodeOf = (name: string): Decode => (protocol as unknown as Record<string, Decode>)[`decode${name}`]!;

  test("every cut is refused", () => {
    for (const { name, version, hex } of vectors) {
      const bytes = Buffer.from(hex, "hex");
      const step = Math.max(1, Math.floor(bytes.length / 40));
      for (let length = 0; length < bytes.length; length += step) {
        if (isRead(decodeOf(name), bytes.subarray(0, length), version)) {
          throw new Error(`${name} version ${version} cut to ${length} of ${bytes.length} bytes was read`);
        }
      }
    }
  });

  test("changed bytes are read or refused, nothing else", () => {
    const random = seededRandom(4300);
    let refused = 0;
    for (const { name, version, hex } of vectors) {
      if (hex.length === 0) continue;
      for (let round = 0; round < 8; round++) {
        const bytes = Buffer.from(hex, "hex");
        bytes[random.below(bytes.length)] = [0xff, 0x7f, 0x80, 0x00][random.below(4)]!;
        if (!isRead(decodeOf(name), bytes, version)) refused++;
      }
    }
    expect(refused).toBeGreaterThan(1000);
  });
});

describe("hostile requests", () => {
  const head = { correlationId: 1, clientId: "c" };
  const frameOf = (build: (writer: ByteWriter) => void): Buffer => {
    const writer = new ByteWriter();
    build(writer);
    return writer.finishContiguous();
  };

  test("a frame that ends within its header", () => {
    const frame = Buffer.concat(encodeRequestFrame(ApiKey.Metadata, 12, head, { topics: null })).subarray(4);
    for (let length = 0; length < 12; length++) {
      expect(() => decodeRequestHead(frame.subarray(0, length))).toThrow(MalformedMessage);
    }
  });

  test("a client id of length -2, or longer than the frame", () => {
    for (const length of [-2, 500]) {
      const frame = frameOf((writer) => {
        writer.int16(ApiKey.Metadata);
        writer.int16(12);
        writer.int32(1);
        writer.int16(length);
        writer.int32(0);
      });
      expect(() => decodeRequestHead(frame)).toThrow(MalformedMessage);
    }
  });

  test("a header with more tagged fields than are allowed", () => {
    const frame = frameOf((writer) => {
      writer.int16(ApiKey.Metadata);
      writer.int16(12);
      writer.int32(1);
      writer.nullableString(null);
      writer.unsignedVarint(20_000_000);
      writer.raw(Buffer.alloc(limits.taggedFieldCountMax * 4));
    });
    expect(() => decodeRequestHead(frame)).toThrow("20000000 tagged fields");
  });

  test("unknown tags in header and body are passed over", () => {
    const frame = frameOf((writer) => {
      writer.int16(ApiKey.ListGroups);
      writer.int16(5);
      writer.int32(1);
      writer.nullableString("c");
      writer.raw(Buffer.from("0107020102", "hex"));
      writer.raw(Buffer.from("0101", "hex"));
      writer.raw(Buffer.from("020501ff0800", "hex"));
    });
    const request = decodeRequestHead(frame);
    if ("unsupported" in request) throw new Error("its version is served");
    expect(request.api.decodeRequest(request.reader, 5)).toEqual({ statesFilter: [], typesFilter: [] });
    expect(request.reader.rest).toBe(0);
  });

  test("a tag that the version does not have yet is an unknown one, and one cut short is refused", () => {
    const bytes = frameOf((writer) => {
      encodeFetchRequest(writer, { maxWaitMs: 1, minBytes: 1, topics: [], forgottenTopicsData: [] }, 14);
    });
    // Tag 1 is the replica's state from version 15.
    const tagged = Buffer.concat([bytes.subarray(0, -1), Buffer.from("010103ffffff", "hex")]);
    expect(decodeFetchRequest(new ByteReader(tagged), 14).replicaState).toEqual({ replicaId: -1, replicaEpoch: -1n });
    expect(() => decodeFetchRequest(new ByteReader(tagged), 15)).toThrow(MalformedMessage);
  });

  test("null where the version has none", () => {
    const bytes = frameOf((writer) => encodeMetadataRequest(writer, { topics: null }, 1));
    expect(() => protocol.decodeMetadataRequest(new ByteReader(bytes), 0)).toThrow("array is null");
  });

  test("a request of more elements than one may have", () => {
    const count = limits.requestElementCountMax + 1;
    const frame = frameOf((writer) => {
      writer.int16(ApiKey.DeleteGroups);
      writer.int16(2);
      writer.int32(1);
      writer.nullableString("c");
      writer.int8(0);
      writer.compactArrayCount(count);
      writer.raw(Buffer.alloc(count + 1, 1));
    });
    const request = decodeRequestHead(frame);
    if ("unsupported" in request) throw new Error("its version is served");
    expect(() => request.api.decodeRequest(request.reader, 2)).toThrow(`array of ${count} elements`);
  });

  test("unknown APIs and versions are told apart", () => {
    const heads = [
      [999, 0],
      [ApiKey.Metadata, 99],
      [ApiKey.Metadata, -1],
      [ApiKey.InitProducerId, 6],
      [4, 0],
    ].map(([key, version]) =>
      decodeRequestHead(frameOf((writer) => [writer.int16(key!), writer.int16(version!), writer.int32(7)])),
    );
    expect(heads.map((one) => ("unsupported" in one ? one.unsupported : null))).toEqual([
      "api",
      "version",
      "version",
      "version",
      "api",
    ]);
  });

  test("a version that may still change is served only where it is enabled", () => {
    const frame = Buffer.concat(
      encodeRequestFrame(ApiKey.InitProducerId, 6, head, { transactionalId: null, transactionTimeoutMs: 1 }),
    );
    expect(decodeRequestHead(frame.subarray(4))).toMatchObject({ unsupported: "version" });
    expect(decodeRequestHead(frame.subarray(4), true)).toMatchObject({ version: 6, clientId: "c" });
  });
});

describe("hostile records", () => {
  const topic = encodeMetadataRecord({
    type: "TopicRecord",
    version: 0,
    value: { name: "a", topicId: "AAAAAAAAAAAAAAAAAAAABQ" as Uuid },
  });
  test.each([
    ["an unknown frame", Buffer.concat([Buffer.from([2]), topic.subarray(1)]), "frame version 2"],
    ["an unknown type", Buffer.from([1, 99, 0]), "type 99"],
    ["a version of a later Kafka", Buffer.concat([Buffer.from([1, 2, 1]), topic.subarray(3)]), "TopicRecord version 1"],
    ["bytes after the end", Buffer.concat([topic, Buffer.from([0])]), "1 bytes too many"],
    ["nothing", Buffer.alloc(0), "varint is cut"],
  ])("metadata: %s", (_what, bytes, reason) => expect(() => decodeMetadataRecord(bytes)).toThrow(reason));

  test("a coordinator's record of a later type is passed over; of a later version refused", () => {
    expect(groupCoordinatorRecords.decode(Buffer.from("03e70000", "hex"), null)).toBeNull();
    const { key } = groupCoordinatorRecords.encode({
      type: "GroupMetadata",
      key: { group: "g" },
      valueVersion: 0,
      value: null,
    });
    expect(() => groupCoordinatorRecords.decode(key, Buffer.from("0009", "hex"))).toThrow(
      "GroupMetadataValue version 9",
    );
    expect(() => groupCoordinatorRecords.decode(Buffer.alloc(1), null)).toThrow(MalformedMessage);
  });

  test("control records of a later type are passed over; impossible ones refused", () => {
    expect(decodeControlRecord(Buffer.from("00000063", "hex"), Buffer.alloc(0))).toEqual({ type: "Unknown", key: 99 });
    expect(() => decodeControlRecord(Buffer.from("ffff0001", "hex"), Buffer.alloc(6))).toThrow("control record key");
    expect(() => decodeControlRecord(Buffer.from("00000001", "hex"), Buffer.from("0000", "hex"))).toThrow(
      MalformedMessage,
    );
    expect(() => decodeControlRecord(Buffer.from("00000006", "hex"), Buffer.from("fffe", "hex"))).toThrow("version -2");
  });

  test("a principal of a later version is refused", () => {
    const bytes = protocol.writePrincipal({ type: "User", name: "alice", tokenAuthenticated: false });
    bytes.writeInt16BE(1, 0);
    expect(() => protocol.readPrincipal(bytes)).toThrow("principal version 1");
  });

  test("a subscription of a later version is read as the newest known; a negative one is refused", () => {
    const bytes = protocol.writeConsumerSubscription({ topics: ["a"], rackId: "r" });
    bytes.writeInt16BE(7, 0);
    expect(readConsumerSubscription(Buffer.concat([bytes, Buffer.from([1, 2, 3])]))).toMatchObject({
      topics: ["a"],
      rackId: "r",
    });
    expect(() => readConsumerSubscription(Buffer.from("ffff", "hex"))).toThrow("version -1");
    expect(readConsumerAssignment(Buffer.alloc(0)).assignedPartitions).toEqual([]);
  });
});

describe("what a version cannot carry", () => {
  const writer = (): ByteWriter => new ByteWriter();
  const id = "AAAAAAAAAAAAAAAAAAAABQ" as Uuid;

  test.each([
    [
      "no such version",
      () => encodeFetchRequest(writer(), { maxWaitMs: 0, minBytes: 0, topics: [] }, 3),
      "FetchRequest version 3: there is no such version",
    ],
    [
      "no such version to read",
      () => decodeProduceRequest(new ByteReader(Buffer.alloc(0)), 14),
      "ProduceRequest version 14: there is no such version",
    ],
    [
      "a field that is not ignorable",
      () => encodeOffsetFetchRequest(writer(), { groups: [{ groupId: "g", topics: null }] }, 7),
      "OffsetFetchRequest version 7: no field groups",
    ],
    [
      "null",
      () => encodeMetadataRequest(writer(), { topics: null }, 0),
      "MetadataRequest version 0: topics cannot be null",
    ],
    [
      "a tagged struct that is not its default",
      () =>
        encodeFetchResponse(
          writer(),
          {
            responses: [
              {
                partitions: [
                  { partitionIndex: 0, errorCode: 0, highWatermark: 0, records: null, divergingEpoch: { epoch: 3 } },
                ],
              },
            ],
          },
          11,
        ),
      "FetchResponse version 11: no field divergingEpoch",
    ],
  ])("%s is refused", (_what, encode, message) => {
    expect(encode).toThrow(UnsupportedVersion);
    expect(encode).toThrow(message);
  });

  test("an ignorable field is left out", () => {
    const out = writer();
    encodeProduceRequest(
      out,
      { acks: 1, timeoutMs: 1, topicData: [{ name: "a", topicId: id, partitionData: [] }] },
      12,
    );
    const back = decodeProduceRequest(new ByteReader(out.finishContiguous()), 12);
    expect(back.topicData).toEqual([{ name: "a", topicId: "AAAAAAAAAAAAAAAAAAAAAA", partitionData: [] }]);
  });

  test("a default may be named in a version without the field", () => {
    const responses = [
      {
        partitions: [
          {
            partitionIndex: 0,
            errorCode: 0,
            highWatermark: 0,
            records: null,
            divergingEpoch: { epoch: -1, endOffset: -1 },
          },
        ],
      },
    ];
    expect(() => encodeFetchResponse(writer(), { responses }, 11)).not.toThrow();
  });
});
