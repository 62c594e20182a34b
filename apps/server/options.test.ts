// From options to a node's settings: the defaults of a start without anything, and who wins when several say something.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { logConfigDefaults, unlimited } from "@blumfeld/core/log";
import { afterAll, describe, expect, test } from "vitest";
import { brokerConfigFrom } from "./broker-config.ts";
import { logConfigFrom } from "./log-config.ts";
import { configureNode, parseAddress, SettingsRefused } from "./options.ts";

const folder = mkdtempSync(join(tmpdir(), "blumfeld-options-"));
afterAll(() => rmSync(folder, { recursive: true }));

function fileOf(...lines: string[]): string {
  const path = join(folder, `${lines.length}-${Math.random()}.properties`);
  writeFileSync(path, `${lines.join("\n")}\n`);
  return path;
}
const combined = [
  "process.roles=broker,controller",
  "node.id=7",
  "controller.quorum.voters=7@127.0.0.1:9093",
  "controller.listener.names=CONTROLLER",
  "listeners=PLAINTEXT://10.0.0.1:9092,CONTROLLER://127.0.0.1:9093",
  "advertised.listeners=PLAINTEXT://broker.example:9092",
  "log.dirs=/data/a,/data/b",
];

describe("without anything", () => {
  const { settings, warnings } = configureNode({});
  test("one node, both roles, on 127.0.0.1:9092", () => {
    expect(warnings).toEqual([]);
    expect(settings.shape).toMatchObject({
      nodeId: 1,
      isBroker: true,
      isController: true,
      interBrokerListenerName: "PLAINTEXT",
    });
    expect(brokerConfigFrom(settings, []).listeners).toEqual([
      {
        name: "PLAINTEXT",
        host: "127.0.0.1",
        port: 9092,
        isInterBroker: true,
        advertisedHost: null,
        advertisedPort: null,
      },
    ]);
  });
  test("internal topics with one replica", () => {
    expect(settings.get("offsets.topic.replication.factor")).toBe(1);
    expect(settings.get("transaction.state.log.min.isr")).toBe(1);
  });
  test("a topic's log has Kafka's defaults", () => {
    expect(logConfigFrom(settings.topic(new Map()))).toEqual({
      ...logConfigDefaults,
      compressionLevels: { lz4: 9, zstd: 3 },
    });
  });
});

describe("with a file", () => {
  test("it alone counts", () => {
    const { settings } = configureNode({ propertiesFile: fileOf(...combined) });
    expect(settings.shape.nodeId).toBe(7);
    expect(settings.shape.logDirectories).toEqual(["/data/a", "/data/b"]);
    expect(settings.get("offsets.topic.replication.factor")).toBe(3);
    expect(brokerConfigFrom(settings, []).listeners[0]).toMatchObject({
      host: "10.0.0.1",
      advertisedHost: "broker.example",
    });
  });
  test("options win over it, properties over all", () => {
    const { settings } = configureNode({
      propertiesFile: fileOf(...combined),
      host: "127.0.0.1",
      port: 0,
      dataDirectory: folder,
      properties: { "num.partitions": 5, "node.id": 7 },
    });
    expect(settings.shape.logDirectories).toEqual([folder]);
    expect(settings.get("num.partitions")).toBe(5);
    const [listener] = brokerConfigFrom(settings, []).listeners;
    expect(listener).toMatchObject({ host: "127.0.0.1", port: 0, advertisedHost: null });
  });
  test("what is wrong is told at once, all of it", () => {
    const path = fileOf(...combined, "num.partitions=0", "log.segment.bytes=5");
    expect(() => configureNode({ propertiesFile: path })).toThrow(SettingsRefused);
    expect(() => configureNode({ propertiesFile: path })).toThrow(
      /num\.partitions=0 is below 1.*\nlog\.segment\.bytes=5 is below 1048576/,
    );
  });
});

test("a topic's settings become the log's, in its units", () => {
  const { settings } = configureNode({
    properties: { "log.flush.interval.messages": "9223372036854775807", "compression.gzip.level": 5 },
  });
  const overrides = new Map([
    ["cleanup.policy", "compact,delete"],
    ["compression.type", "uncompressed"],
    ["internal.segment.bytes", "4096"],
    ["retention.ms", "-1"],
  ]);
  expect(logConfigFrom(settings.topic(overrides))).toMatchObject({
    cleanupPolicy: { compact: true, delete: true },
    compressionType: "none",
    compressionLevels: { gzip: 5 },
    flushMessages: unlimited,
    retentionMs: -1,
    segmentBytes: 4096,
  });
});

test.each([
  ["127.0.0.1:9092", { host: "127.0.0.1", port: 9092 }],
  [":9092", { host: "127.0.0.1", port: 9092 }],
  ["0", { host: "127.0.0.1", port: 0 }],
  ["[::1]:9092", { host: "::1", port: 9092 }],
  ["localhost", null],
  ["host:port", null],
  ["host:70000", null],
])("the address %s", (text, expected) => {
  expect(parseAddress(text)).toEqual(expected);
});
