// What people are told of wrong settings, and how layers of settings resolve.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { missingShared, sharedPath } from "../../../testing/shared.ts";
import { actedOn, namesActedOn } from "./acted-on.ts";
import { type BrokerSettings, parseBrokerSettings } from "./broker-settings.ts";
import { dynamicBrokerDefinitions, groupDefinitions, topicDefinitions } from "./definitions.ts";
import { nearestName, parseSettings } from "./parse.ts";
import { parseProperties } from "./properties-file.ts";
import { checkDynamicBrokerSettings, checkGroupSettings, checkTopicSettings } from "./topic-rules.ts";
import { updateModeOf } from "./update-modes.ts";
import { javaDoubleText } from "./value.ts";

const node = {
  "process.roles": "broker,controller",
  "node.id": 1,
  "controller.quorum.voters": "1@127.0.0.1:9093",
  "controller.listener.names": "CONTROLLER",
  listeners: "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093",
};

function settingsOf(more: Record<string, string | number> = {}): BrokerSettings {
  const outcome = parseBrokerSettings({ ...node, ...more });
  if (!outcome.ok) throw new Error(outcome.problems[0]!.message);
  return outcome.settings;
}

describe("a problem names the setting, the value, the bound and the next step", () => {
  test.each([
    [{ "segment.bytes": "100" }, "segment.bytes=100 is below 1048576; raise it or remove the setting"],
    [
      { "compression.type": "lzma" },
      "compression.type=lzma is not one of uncompressed, zstd, lz4, snappy, gzip, producer; choose one of these",
    ],
    [
      { "retention.ms": "1d" },
      "retention.ms=1d is not a whole number of 64 bits; write digits without unit or fraction",
    ],
    [{ "retnetion.ms": "1" }, "retnetion.ms=1 is not a known setting; did you mean retention.ms?"],
    [
      { "cleanup.policy": "compact,,delete" },
      "cleanup.policy=compact,,delete has an empty entry; remove the spare comma",
    ],
    [{ constructor: "1" }, "constructor=1 is not a known setting; check its spelling or remove it"],
  ])("%j", (pairs, message) => {
    const outcome = parseSettings(topicDefinitions, pairs as Record<string, string>, { unknownNames: "refuse" });
    expect(outcome.ok ? [] : outcome.problems.map((one) => one.message)).toEqual([message]);
  });

  test("all problems at once, and a secret never shown", () => {
    const outcome = parseBrokerSettings({
      ...node,
      "num.partitions": 0,
      "log.segment.bytes": 1,
      "ssl.key.password": "hush",
      "sasl.jaas.password": "hush",
    });
    expect(outcome.ok).toBe(false);
    expect(JSON.stringify(outcome)).not.toContain("hush");
    expect(outcome.ok ? [] : outcome.problems.map(({ name }) => name)).toEqual(["num.partitions", "log.segment.bytes"]);
    expect(outcome.warnings.map(({ name }) => name)).toEqual(["sasl.jaas.password"]);
  });
});

test("the nearest name is one of few edits, or none", () => {
  expect(nearestName("log.retention.hour", Object.keys(dynamicBrokerDefinitions))).toBe("log.retention.hours");
  expect(nearestName("something.else.entirely", Object.keys(topicDefinitions))).toBeNull();
});

test("a long beyond a number's exactness keeps its text and stops at the bound", () => {
  const settings = settingsOf({
    "log.retention.bytes": "9223372036854775807",
    "log.flush.interval.ms": "9007199254740991",
  });
  expect(settings.get("log.retention.bytes")).toBe(Number.MAX_SAFE_INTEGER);
  expect(settings.describe("log.retention.bytes")?.value).toBe("9223372036854775807");
  expect(settings.get("log.flush.interval.ms")).toBe(2 ** 53 - 1);
});

test("doubles are printed as Java prints them", () => {
  const printed = [0.5, 1, 100, 1e7, 1.5e10, 0.001, 0.0001, Number.MAX_VALUE, 0].map(javaDoubleText);
  expect(printed).toEqual([
    "0.5",
    "1.0",
    "100.0",
    "1.0E7",
    "1.5E10",
    "0.001",
    "1.0E-4",
    "1.7976931348623157E308",
    "0.0",
  ]);
});

describe("a topic's settings", () => {
  test("its own before dynamic broker, dynamic cluster, static, default", () => {
    const settings = settingsOf({ "log.retention.ms": 4 });
    const retention = (own: [string, string][] = []): number => settings.topic(new Map(own)).get("retention.ms");
    expect(retention()).toBe(4);
    settings.applyDynamic(new Map(), new Map([["log.retention.ms", "3"]]));
    expect(retention()).toBe(3);
    settings.applyDynamic(new Map([["log.retention.ms", "2"]]), new Map([["log.retention.ms", "3"]]));
    expect(retention()).toBe(2);
    expect(retention([["retention.ms", "1"]])).toBe(1);
    settings.applyDynamic(new Map(), new Map());
    expect(retention()).toBe(4);
  });

  test.each([
    [{}, 604_800_000],
    [{ "log.retention.hours": 1 }, 3_600_000],
    [{ "log.retention.hours": 1, "log.retention.minutes": 1 }, 60_000],
    [{ "log.retention.hours": 1, "log.retention.minutes": 1, "log.retention.ms": 7 }, 7],
    [{ "log.retention.hours": -1 }, -1],
    [{ "log.retention.minutes": -5, "log.retention.hours": 3 }, -1],
  ])("retention of %j is %d ms", (more, expected) => {
    expect(
      settingsOf(more as Record<string, number>)
        .topic(new Map())
        .get("retention.ms"),
    ).toBe(expected);
  });

  test("unknown names and broken relations are refused", () => {
    const names = (pairs: [string, string][]): string[] =>
      checkTopicSettings(settingsOf(), new Map(pairs)).map(({ name }) => name);
    expect(names([["retention.ms", "5"]])).toEqual([]);
    expect(names([["no.such", "5"]])).toEqual(["no.such"]);
    expect(
      names([
        ["min.compaction.lag.ms", "10"],
        ["max.compaction.lag.ms", "9"],
      ]),
    ).toEqual(["min.compaction.lag.ms"]);
    expect(
      names([
        ["remote.storage.enable", "true"],
        ["cleanup.policy", "compact"],
      ]),
    ).toEqual(["remote.storage.enable"]);
  });
});

test("a group stays within the brokers' bounds", () => {
  const names = (pairs: [string, string][]): string[] =>
    checkGroupSettings(settingsOf(), new Map(pairs)).map(({ name }) => name);
  expect(names([["consumer.session.timeout.ms", "50000"]])).toEqual([]);
  expect(names([["consumer.session.timeout.ms", "44999"]])).toEqual(["consumer.session.timeout.ms"]);
  expect(names([["consumer.heartbeat.interval.ms", "15001"]])).toEqual(["consumer.heartbeat.interval.ms"]);
  expect(names([["share.delivery.count.limit", "11"]])).toEqual(["share.delivery.count.limit"]);
  expect(names([["consumer.heartbeat.interval.msx", "1"]])).toEqual(["consumer.heartbeat.interval.msx"]);
});

describe("dynamic settings of brokers", () => {
  test("subscribers hear what changed, once each", () => {
    const settings = settingsOf();
    const heard: string[][] = [];
    const stop = settings.onChange((changed) => heard.push([...changed]));
    settings.applyDynamic(new Map(), new Map([["max.connections", "5"]]));
    settings.applyDynamic(new Map(), new Map([["max.connections", "5"]]));
    settings.applyDynamic(new Map([["max.connections", "6"]]), new Map([["max.connections", "5"]]));
    expect(settings.get("max.connections")).toBe(6);
    stop();
    settings.applyDynamic(new Map(), new Map());
    expect(settings.get("max.connections")).toBe(2147483647);
    expect(heard).toEqual([["max.connections"], ["max.connections"]]);
  });

  test("only dynamic ones, per-broker ones on a broker only, values in their bounds", () => {
    const told = (pairs: [string, string][], one: boolean): string[] =>
      checkDynamicBrokerSettings(new Map(pairs), one).map(({ name, complaint }) => `${name} ${complaint}`);
    expect(told([["log.retention.ms", "5"]], false)).toEqual([]);
    expect(told([["node.id", "5"]], true)).toEqual(["node.id cannot change while a broker runs"]);
    expect(told([["ssl.keystore.location", "/k"]], false)).toEqual([
      "ssl.keystore.location can be set for one broker only",
    ]);
    expect(told([["listener.name.external.ssl.keystore.location", "/k"]], true)).toEqual([]);
    expect(told([["num.io.threads", "0"]], false)).toEqual(["num.io.threads is below 1"]);
    expect(told([["leader.replication.throttled.rate", "-1"]], true)).toEqual([
      "leader.replication.throttled.rate is below 0",
    ]);
  });
});

test.skipIf(missingShared)("the settings of the recorded data directories are taken", () => {
  for (const kind of ["clean", "killed"]) {
    const source = readFileSync(sharedPath(`protocol/data-dirs/data-${kind}.properties`));
    const outcome = parseBrokerSettings(parseProperties(source));
    expect(outcome.ok ? [] : outcome.problems, kind).toEqual([]);
    expect(outcome.warnings, kind).toEqual([]);
  }
});

test("every name of the tables about names exists", () => {
  const known = { ...dynamicBrokerDefinitions, ...topicDefinitions, ...groupDefinitions };
  expect([...namesActedOn()].filter((name) => !Object.hasOwn(known, name))).toEqual([]);
  expect(actedOn("num.io.threads").kind).toBe("needless");
  expect(updateModeOf("listener.name.external.plain.sasl.jaas.config")).toBe("per-broker");
  expect(updateModeOf("listener.name.external.max.connections")).toBe("cluster-wide");
});
