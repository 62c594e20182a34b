// Judged by the rules of KIP-714: what a client is told, when it is throttled, and what a push is refused for.
import { type Clock, type Random, type Uuid, uuidZero } from "@blumfeld/core/base";
import { codecByName } from "@blumfeld/core/compression";
import { MetadataDelta, MetadataImage } from "@blumfeld/core/controller";
import { ErrorCode } from "@blumfeld/core/protocol";
import { expect, test } from "vitest";
import {
  type ClientAttributes,
  ClientTelemetry,
  clientInstanceCountMax,
  pushIntervalMsDefault,
  telemetryBytesMaxDefault,
  telemetryExpansionMax,
} from "./index.ts";

const client: ClientAttributes = {
  clientId: "orders-7",
  clientSoftwareName: "apache-kafka-java",
  clientSoftwareVersion: "4.3.0",
  clientSourceAddress: "127.0.0.1",
  clientSourcePort: 4000,
};

function arrange(settings: Readonly<Record<string, Readonly<Record<string, string>>>> = {}) {
  let nowMs = 1_000_000;
  let drawn = 0;
  const clock: Clock = { wallMs: () => nowMs, monotonicMs: () => nowMs };
  const random: Random = { uint32: () => ++drawn, bytes: (length) => Buffer.alloc(length, ++drawn) };
  const received: { metrics: Buffer }[] = [];
  const telemetry = new ClientTelemetry({ clock, random, receiver: { receive: (push) => received.push(push) } });
  const subscribeAll = (all: Readonly<Record<string, Readonly<Record<string, string>>>>): void => {
    const image = new MetadataImage();
    for (const [resourceName, each] of Object.entries(all)) {
      for (const [name, value] of Object.entries(each)) {
        const record = { resourceType: 16, resourceName, name, value };
        image.replay({ type: "ConfigRecord", version: 0, value: record }, new MetadataDelta());
      }
    }
    telemetry.onSubscriptions(image);
  };
  subscribeAll(settings);
  const push = (
    clientInstanceId: Uuid,
    subscriptionId: number,
    more: { metrics?: Buffer; codec?: number; last?: boolean } = {},
  ) =>
    telemetry.push(
      {
        clientInstanceId,
        subscriptionId,
        terminating: more.last === true,
        compressionType: more.codec ?? 0,
        metrics: more.metrics ?? Buffer.from("metrics"),
      },
      client,
    );
  const pass = (ms: number): void => {
    nowMs += ms;
  };
  return { telemetry, received, subscribeAll, push, pass };
}

test("a client without an id gets one; without subscriptions it is asked for nothing", () => {
  const { telemetry } = arrange();
  const answer = telemetry.subscribe(uuidZero, client);
  expect(answer).toMatchObject({
    errorCode: ErrorCode.NONE,
    acceptedCompressionTypes: [4, 3, 1, 2],
    pushIntervalMs: pushIntervalMsDefault,
    telemetryMaxBytes: telemetryBytesMaxDefault,
    deltaTemporality: true,
    requestedMetrics: [],
  });
  expect(answer.clientInstanceId).not.toBe(uuidZero);
});

test("subscriptions that match add up: all metrics, the shortest interval", () => {
  const { telemetry } = arrange({
    one: { metrics: "a.b,c", "interval.ms": "60000", match: "client_id=orders-.*,client_software_name=apache.*" },
    two: { metrics: "d", "interval.ms": "5000" },
    other: { metrics: "*", "interval.ms": "100", match: "client_id=orders" },
    broken: { metrics: "*", "interval.ms": "100", match: "client_id=(" },
    strange: { metrics: "*", "interval.ms": "100", match: "shoe_size=.*" },
  });
  expect(telemetry.subscribe(uuidZero, client)).toMatchObject({
    requestedMetrics: ["a.b", "c", "d"],
    pushIntervalMs: 5000,
  });
});

test("one star is a star for all", () => {
  const { telemetry } = arrange({ one: { metrics: "a" }, two: { metrics: "*" } });
  expect(telemetry.subscribe(uuidZero, client).requestedMetrics).toEqual(["*"]);
});

test("asking again within the interval is throttled, unless the subscriptions have changed", () => {
  const { telemetry, subscribeAll, pass } = arrange({ one: { metrics: "a", "interval.ms": "1000" } });
  const { clientInstanceId } = telemetry.subscribe(uuidZero, client);
  pass(999);
  expect(telemetry.subscribe(clientInstanceId, client).errorCode).toBe(ErrorCode.THROTTLING_QUOTA_EXCEEDED);
  pass(1);
  expect(telemetry.subscribe(clientInstanceId, client).errorCode).toBe(ErrorCode.NONE);
  subscribeAll({ one: { metrics: "b", "interval.ms": "1000" } });
  expect(telemetry.subscribe(clientInstanceId, client).requestedMetrics).toEqual(["b"]);
});

test("a push is taken right after a get, then once an interval", () => {
  const { telemetry, received, push, pass } = arrange({ one: { metrics: "*", "interval.ms": "1000" } });
  const { clientInstanceId: id, subscriptionId } = telemetry.subscribe(uuidZero, client);
  pass(1);
  const metrics = codecByName("zstd")!.compress(Buffer.alloc(5000, 7));
  expect(push(id, subscriptionId, { metrics, codec: 4 })).toBe(ErrorCode.NONE);
  expect(received[0]!.metrics).toEqual(Buffer.alloc(5000, 7));
  pass(999);
  expect(push(id, subscriptionId)).toBe(ErrorCode.THROTTLING_QUOTA_EXCEEDED);
  pass(1);
  expect(push(id, subscriptionId)).toBe(ErrorCode.NONE);
  expect(received.length).toBe(2);
});

test("after the last push of a client no other is taken", () => {
  const { telemetry, push, pass } = arrange({ one: { metrics: "*", "interval.ms": "1000" } });
  const { clientInstanceId: id, subscriptionId } = telemetry.subscribe(uuidZero, client);
  expect(push(id, subscriptionId)).toBe(ErrorCode.NONE);
  expect(push(id, subscriptionId, { last: true })).toBe(ErrorCode.NONE);
  pass(5000);
  expect(push(id, subscriptionId)).toBe(ErrorCode.INVALID_REQUEST);
});

test("what a push is refused for", () => {
  const { telemetry, push, pass, received } = arrange();
  const { clientInstanceId: id, subscriptionId } = telemetry.subscribe(uuidZero, client);
  const next = (...push_: Parameters<typeof push>): ErrorCode => {
    pass(pushIntervalMsDefault);
    return push(...push_);
  };
  expect(next(uuidZero, subscriptionId)).toBe(ErrorCode.INVALID_REQUEST);
  expect(next(id, subscriptionId + 1)).toBe(ErrorCode.UNKNOWN_SUBSCRIPTION_ID);
  expect(next(id, subscriptionId, { codec: 5 })).toBe(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE);
  expect(next(id, subscriptionId, { metrics: Buffer.alloc(telemetryBytesMaxDefault + 1) })).toBe(
    ErrorCode.TELEMETRY_TOO_LARGE,
  );
  expect(next(id, subscriptionId, { codec: 4, metrics: Buffer.from("no zstd") })).toBe(ErrorCode.INVALID_RECORD);
  for (const name of ["gzip", "snappy", "lz4", "zstd"]) {
    const codec = codecByName(name)!;
    const bomb = codec.compress(Buffer.alloc(telemetryBytesMaxDefault * telemetryExpansionMax + 1));
    if (bomb.length > telemetryBytesMaxDefault) continue;
    expect([name, next(id, subscriptionId, { codec: codec.id, metrics: bomb })]).toEqual([
      name,
      ErrorCode.TELEMETRY_TOO_LARGE,
    ]);
  }
  expect(received).toEqual([]);
});

test("the table of instances is bounded", () => {
  const { telemetry } = arrange();
  for (let i = 0; i <= clientInstanceCountMax; i++) {
    telemetry.subscribe(Buffer.from(`instance-${i}`.padEnd(16)).toString("base64url") as Uuid, client);
  }
  expect(telemetry.instanceCount).toBe(clientInstanceCountMax);
});
