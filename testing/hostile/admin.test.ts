// ../shared/design/hostile-inputs.md, section 3: topics and settings that must not be. A test bears the name of its row.
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import { type RunningBroker, startBroker } from "blumfeld";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { WireConnection } from "../wire/index.ts";
import { Control, StallWatch, stallMsMax } from "./victim.ts";

let broker: RunningBroker;
let control: Control;
let connection: WireConnection;
let folder = "";
let watch: StallWatch;

// On a disk: what a name does to paths is what is asked here.
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "blumfeld-hostile-"));
  broker = await startBroker({ storage: "file", dataDirectory: join(folder, "data"), port: 0 });
  control = await Control.start(broker.port);
}, 30_000);
afterAll(async () => {
  await control?.stop();
  await broker?.close();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  connection = await WireConnection.open(broker.port);
  watch = new StallWatch();
});
afterEach(async () => {
  const stall = watch.stop();
  connection.destroy();
  expect(stall).toBeLessThan(stallMsMax);
  await control.check();
});

interface Asked {
  readonly numPartitions?: number;
  readonly replicationFactor?: number;
  readonly assignments?: { partitionIndex: number; brokerIds: number[] }[];
  readonly configs?: { name: string; value: string | null }[];
}

async function create(names: readonly string[], asked: Asked = {}): Promise<number[]> {
  const answer = await connection.ask(ApiKey.CreateTopics, 7, {
    topics: names.map((name) => ({
      name,
      numPartitions: asked.numPartitions ?? 1,
      replicationFactor: asked.replicationFactor ?? 1,
      assignments: asked.assignments ?? [],
      configs: asked.configs ?? [],
    })),
    timeoutMs: 10_000,
  });
  return answer.topics.map((topic) => topic.errorCode);
}

describe("CreateTopics: names", () => {
  const invalid = [
    "",
    ".",
    "..",
    "../up",
    "a/b",
    "/etc",
    "a\\b",
    "a\0b",
    "a b",
    "ä",
    "x".repeat(250),
    "a\nb",
    "%2e%2e",
    "~",
  ];
  test.each(invalid.map((name) => [JSON.stringify(name).slice(0, 40), name]))(
    "%s: 17, and no path is made",
    async (_shown, name) => {
      const before = readdirSync(join(folder, "data")).sort();
      expect(await create([name])).toEqual([ErrorCode.INVALID_TOPIC_EXCEPTION]);
      expect(readdirSync(join(folder, "data")).sort()).toEqual(before);
      expect(readdirSync(folder)).toEqual(["data"]);
      expect(existsSync(join(dirname(folder), "up-0"))).toBe(false);
    },
  );
  test("249 characters", async () => expect(await create(["y".repeat(249)])).toEqual([0]));
  test("a.b after a_b: 17", async () => {
    expect(await create(["col_lide"])).toEqual([0]);
    expect(await create(["col.lide"])).toEqual([ErrorCode.INVALID_TOPIC_EXCEPTION]);
  });
  test("the same name twice in a request: 42 for both", async () =>
    expect(new Set(await create(["twice", "twice"]))).toEqual(new Set([ErrorCode.INVALID_REQUEST])));
  test("the metadata log's own name: 42", async () =>
    expect(await create(["__cluster_metadata"])).toEqual([ErrorCode.INVALID_REQUEST]));
});

describe("CreateTopics 10^9 partitions, RF > brokers, bad assignment: 37 or 44; 38; 39", () => {
  test.each([1_000_000_000, 2 ** 31 - 1, 1_000_001])("%d partitions", async (numPartitions) => {
    expect([ErrorCode.INVALID_PARTITIONS, ErrorCode.POLICY_VIOLATION]).toContain(
      (await create(["many"], { numPartitions }))[0],
    );
  });
  test.each([0, -2, -(2 ** 31)])("%d partitions", async (numPartitions) =>
    expect(await create(["few"], { numPartitions })).toEqual([ErrorCode.INVALID_PARTITIONS]),
  );
  test.each([2, 32_767, 0, -2])("replication factor %d", async (replicationFactor) =>
    expect(await create(["replicas"], { replicationFactor })).toEqual([ErrorCode.INVALID_REPLICATION_FACTOR]),
  );
  test.each([
    ["an unknown broker", [{ partitionIndex: 0, brokerIds: [77] }]],
    ["one broker twice", [{ partitionIndex: 0, brokerIds: [1, 1] }]],
    ["no broker", [{ partitionIndex: 0, brokerIds: [] }]],
    ["partition 5 alone", [{ partitionIndex: 5, brokerIds: [1] }]],
    ["partition -1", [{ partitionIndex: -1, brokerIds: [1] }]],
  ])("assignment: %s", async (_what, assignments) => {
    const [code] = await create(["assigned"], { numPartitions: -1, replicationFactor: -1, assignments });
    expect(code).toBe(ErrorCode.INVALID_REPLICA_ASSIGNMENT);
  });
  test("CreatePartitions to 10^9: 37 or 44", async () => {
    expect(await create(["grow"])).toEqual([0]);
    const answer = await connection.ask(ApiKey.CreatePartitions, 3, {
      topics: [{ name: "grow", count: 1_000_000_000, assignments: null }],
      timeoutMs: 5000,
      validateOnly: false,
    });
    expect([ErrorCode.INVALID_PARTITIONS, ErrorCode.POLICY_VIOLATION]).toContain(answer.results[0]!.errorCode);
  });
});

describe("10,000 topics in one request; create/delete loop: the controller stays live", () => {
  test("10,000 names that are none", async () => {
    watch.stop();
    const codes = await create(Array.from({ length: 10_000 }, (_, i) => `no/${i}`));
    expect(new Set(codes)).toEqual(new Set([ErrorCode.INVALID_TOPIC_EXCEPTION]));
    watch = new StallWatch();
  });
  test("created and deleted a hundred times, at once from ten connections", async () => {
    watch.stop();
    const loop = async (worker: number): Promise<void> => {
      const own = await WireConnection.open(broker.port);
      for (let i = 0; i < 10; i++) {
        const name = `loop-${worker}`;
        const topics = [{ name, numPartitions: 3, replicationFactor: 1, assignments: [], configs: [] }];
        const created = await own.ask(ApiKey.CreateTopics, 7, { topics, timeoutMs: 10_000 });
        expect(created.topics[0]!.errorCode).toBe(0);
        const deleted = await own.ask(ApiKey.DeleteTopics, 6, { topics: [{ name }], timeoutMs: 10_000 });
        expect(deleted.responses[0]!.errorCode).toBe(0);
      }
      own.destroy();
    };
    await Promise.all(Array.from({ length: 10 }, (_, i) => loop(i)));
    watch = new StallWatch();
  });
});

describe("unknown or ill-typed config; duplicate entry: 40; 42; only allow-listed keys", () => {
  const alter = async (
    configs: { name: string; value: string | null; configOperation?: number }[],
    resourceType = 2,
  ) => {
    const resourceName = resourceType === 2 ? "control" : "";
    const answer = await connection.ask(ApiKey.IncrementalAlterConfigs, 1, {
      resources: [{ resourceType, resourceName, configs: configs.map((each) => ({ configOperation: 0, ...each })) }],
      validateOnly: false,
    });
    return answer.responses[0]!.errorCode;
  };
  test.each([
    ["unknown", "no.such.setting", "1"],
    ["no number", "retention.ms", "soon"],
    ["out of range", "segment.bytes", "1"],
    ["no boolean", "preallocate", "maybe"],
    ["of no list", "cleanup.policy", "burn"],
    ["a number too large", "retention.ms", "9".repeat(40)],
    ["__proto__", "__proto__", "1"],
    ["constructor", "constructor", "1"],
  ])("%s: 40", async (_what, name, value) => expect(await alter([{ name, value }])).toBe(ErrorCode.INVALID_CONFIG));
  test("a duplicate entry: 42", async () => {
    const twice = [
      { name: "retention.ms", value: "1000" },
      { name: "retention.ms", value: "2000" },
    ];
    expect(await alter(twice)).toBe(ErrorCode.INVALID_REQUEST);
  });
  test.each([
    ["authorizer.class.name", "org.evil.Authorizer"],
    ["log.dirs", "/etc"],
    ["node.id", "7"],
  ])("%s is not to be changed while running (CVE-2025-27819)", async (name, value) => {
    expect([ErrorCode.INVALID_REQUEST, ErrorCode.INVALID_CONFIG]).toContain(await alter([{ name, value }], 4));
  });
});
