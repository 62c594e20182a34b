// The metadata side of one node over restarts, crashes and Kafka's own directories. Judged by what Apache Kafka wrote in the same place.
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Disk } from "@blumfeld/core/base";
import { createTopics } from "@blumfeld/core/controller";
import { iterateBatches, iterateRecords } from "@blumfeld/core/model";
import { type CreateTopicsRequest, decodeControlRecord, decodeMetadataRecord } from "@blumfeld/core/protocol";
import { listSnapshots, parseQuorumState } from "@blumfeld/core/quorum";
import { FileDisk } from "@blumfeld/host/disk";
import { afterAll, describe, expect, test } from "vitest";
import { missingShared, sharedPath } from "../../testing/shared.ts";
import { type MetadataFixture, startMetadata, tryMetadata } from "../fixture/metadata-fixture.ts";

const scratch: string[] = [];
afterAll(() => {
  for (const path of scratch) rmSync(path, { recursive: true, force: true });
});

function topicsRequest(...topics: [name: string, partitionCount: number][]): CreateTopicsRequest {
  return {
    timeoutMs: 1000,
    validateOnly: false,
    topics: topics.map(([name, numPartitions]) => ({
      ...{ name, numPartitions, replicationFactor: 1, assignments: [], configs: [] },
    })),
  };
}

function create(fixture: MetadataFixture, ...topics: [string, number][]) {
  return fixture.node.controller.execute((context) => createTopics(context, topicsRequest(...topics)));
}

/** Types and offsets of the metadata log's records, without their contents. */
function typesInLog(disk: Disk, directory = "/data"): string[] {
  const bytes = disk.readFile(`${directory}/__cluster_metadata-0/00000000000000000000.log`);
  const types: string[] = [];
  for (const batch of iterateBatches(bytes)) {
    for (const record of iterateRecords(batch)) {
      const { type } = batch.isControl
        ? decodeControlRecord(record.key!, record.value!)
        : decodeMetadataRecord(record.value!);
      types.push(type);
    }
  }
  return types;
}

describe("a new cluster", () => {
  test("begins as Kafka's does: control records, one transaction, registrations", async () => {
    const fixture = await startMetadata();
    expect(typesInLog(fixture.disk)).toEqual([
      ...["LeaderChange", "KRaftVersion", "Voters"],
      ...["BeginTransactionRecord", ...Array(6).fill("FeatureLevelRecord"), "ConfigRecord", "EndTransactionRecord"],
      ...["RegisterControllerRecord", "RegisterBrokerRecord"],
      ...["BrokerRegistrationChangeRecord", "BrokerRegistrationChangeRecord"],
    ]);
    const { image } = fixture.node;
    expect(Object.fromEntries(image.features.finalized)).toEqual({
      "metadata.version": 30,
      "eligible.leader.replicas.version": 1,
      "group.version": 1,
      "share.version": 1,
      "streams.version": 1,
      "transaction.version": 2,
    });
    expect(image.configs.broker("").get("min.insync.replicas")).toBe("1");
    // The epoch of a registration is the offset of its record.
    expect(fixture.node.brokerEpoch).toBe(typesInLog(fixture.disk).indexOf("RegisterBrokerRecord"));
    await fixture.node.close();
  });

  test("with static voters has kraft.version 0 and quorum-state of version 0", async () => {
    const fixture = await startMetadata({ format: "static" });
    expect(typesInLog(fixture.disk)[1]).toBe("BeginTransactionRecord");
    const text = fixture.disk.readFile("/data/__cluster_metadata-0/quorum-state").toString();
    expect(text).toBe(
      '{"clusterId":"","leaderId":1,"leaderEpoch":1,"votedId":-1,"appliedOffset":0,"currentVoters":[{"voterId":1}],"data_version":0}',
    );
    await fixture.node.close();
  });

  test("of an older level writes the records of that level", async () => {
    const fixture = await startMetadata({ metadataVersion: 12 });
    expect(typesInLog(fixture.disk)).not.toContain("BeginTransactionRecord");
    expect(typesInLog(fixture.disk)).not.toContain("RegisterControllerRecord");
    await create(fixture, ["old", 1]);
    expect(fixture.node.image.topics.partition("old", 0)).toMatchObject({ leader: 1, isr: [1] });
    await fixture.node.close();
  });
});

describe("a restart", () => {
  test("after leaving gives each partition two new leader epochs, as Kafka's single node does", async () => {
    const first = await startMetadata();
    await create(first, ["topic", 2]);
    await first.node.leave();
    expect(first.node.image.topics.partition("topic", 1)).toMatchObject({
      ...{ leader: -1, leaderEpoch: 1, isr: [], elr: [1], lastKnownElr: [1] },
    });
    await first.node.close();
    const second = await startMetadata({ disk: first.disk });
    expect(second.node.image.topics.partition("topic", 1)).toMatchObject({
      ...{ leader: 1, leaderEpoch: 2, isr: [1], elr: [], lastKnownElr: [], leaderRecoveryState: 0 },
    });
    expect(second.node.leader).toEqual({ leaderId: 1, epoch: 2 });
    await second.node.close();
  });

  test("without leaving finds everything that was acknowledged, in a higher quorum epoch", async () => {
    const first = await startMetadata();
    await create(first, ["kept", 3]);
    await first.node.close();
    const second = await startMetadata({ disk: first.disk });
    expect(second.node.image.topics.get("kept")?.partitions.map(({ leader }) => leader)).toEqual([1, 1, 1]);
    const state = parseQuorumState(second.disk.readFile("/data/__cluster_metadata-0/quorum-state"));
    expect(state).toMatchObject({ kind: "read", state: { leaderId: 1, leaderEpoch: 2 } });
    await second.node.close();
  });

  test("from a snapshot gives the same image as from the log", async () => {
    const properties = { "metadata.log.max.record.bytes.between.snapshots": 3000 };
    const first = await startMetadata({ properties });
    for (let round = 0; round < 40; round++) await create(first, [`topic-${round}`, 3]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(listSnapshots(first.disk, "/data/__cluster_metadata-0").length).toBeGreaterThan(1);
    const topics = [...first.node.image.topicsByName.keys()].sort();
    await first.node.close();
    const second = await startMetadata({ disk: first.disk, properties });
    expect([...second.node.image.topicsByName.keys()].sort()).toEqual(topics);
    expect(second.node.image.topics.partitionCount).toBe(120);
    await second.node.close();
  });

  test("without quorum-state is refused", async () => {
    const first = await startMetadata();
    await first.node.close();
    first.disk.removeFile("/data/__cluster_metadata-0/quorum-state");
    const { started } = await tryMetadata({ disk: first.disk });
    expect(started).toMatchObject({ kind: "refused", code: "quorum-state-missing" });
  });
});

describe("decisions share writes", () => {
  test("all that one turn decides is one batch", async () => {
    const fixture = await startMetadata();
    const path = "/data/__cluster_metadata-0/00000000000000000000.log";
    const before = [...iterateBatches(fixture.disk.readFile(path))].length;
    await Promise.all(Array.from({ length: 50 }, (_, index) => create(fixture, [`topic-${index}`, 2])));
    const batches = [...iterateBatches(fixture.disk.readFile(path))];
    expect(batches.length - before).toBe(1);
    expect(batches.at(-1)!.recordCount).toBe(150);
    await fixture.node.close();
  });

  test("10,000 partitions are created well within five seconds, in one topic or in a thousand", async () => {
    const fixture = await startMetadata();
    const begin = performance.now();
    await create(fixture, ["wide", 10_000]);
    await create(fixture, ...Array.from({ length: 1000 }, (_, index): [string, number] => [`many-${index}`, 10]));
    expect(performance.now() - begin).toBeLessThan(5000);
    expect(fixture.node.image.topics.partitionCount).toBe(20_000);
    await fixture.node.close();
  });
});

describe("a directory that Apache Kafka's storage tool formatted", () => {
  const testdata = join(dirname(fileURLToPath(import.meta.url)), "testdata");
  const copyOf = (name: string): string => {
    const root = mkdtempSync(join(tmpdir(), "metadata-node-"));
    scratch.push(root);
    cpSync(join(testdata, name), root, { recursive: true });
    return root;
  };

  test("for a dynamic quorum begins with its users and levels", async () => {
    const directory = copyOf("kafka-dynamic");
    const fixture = await startMetadata({ disk: new FileDisk(), directory, format: null });
    const { image } = fixture.node;
    expect(fixture.node.clusterId).toBe("Z29sZGVuLWZvcm1hdC0wMQ");
    expect(fixture.node.kraftVersion).toBe(1);
    expect(image.features.metadataVersion).toBe(30);
    expect(image.scram.get(1, "alice")).toMatchObject({ iterations: 4096 });
    await fixture.node.close();
    // The format's own snapshot stays as it was.
    const name = "__cluster_metadata-0/00000000000000000000-0000000000.checkpoint";
    expect(readFileSync(join(directory, name))).toEqual(readFileSync(join(testdata, "kafka-dynamic", name)));
  });

  test("for static voters at 3.9 has that level's features only", async () => {
    const properties = { "controller.quorum.voters": "1@127.0.0.1:9093" };
    const fixture = await startMetadata({
      disk: new FileDisk(),
      directory: copyOf("kafka-static"),
      properties,
      format: null,
    });
    expect(Object.fromEntries(fixture.node.image.features.finalized)).toEqual({ "metadata.version": 21 });
    expect(fixture.node.kraftVersion).toBe(0);
    await create(fixture, ["t", 1]);
    expect(fixture.node.image.topics.partition("t", 0)).toMatchObject({ leader: 1, elr: [] });
    await fixture.node.close();
  });

  test("for static voters is refused without controller.quorum.voters", async () => {
    const { started } = await tryMetadata({ disk: new FileDisk(), directory: copyOf("kafka-static"), format: null });
    expect(started).toMatchObject({ kind: "refused", code: "unsupported-quorum" });
  });
});

test("the unstable metadata.version is refused, unless it is asked for", async () => {
  const refused = await tryMetadata({ metadataVersion: 31 });
  expect(refused.started).toMatchObject({ kind: "refused", code: "unsupported-feature" });
  const allowed = await tryMetadata({
    metadataVersion: 31,
    properties: { "unstable.feature.versions.enable": "true" },
  });
  if (allowed.started.kind !== "started") throw new Error(allowed.started.message);
  expect(allowed.started.node.image.features.metadataVersion).toBe(31);
  await allowed.started.node.close();
  const again = await tryMetadata({ disk: allowed.disk });
  expect(again.started).toMatchObject({ kind: "refused", code: "unsupported-feature" });
});

describe.skipIf(missingShared)("a directory that Apache Kafka left", () => {
  test.each(["data-clean", "data-killed"])("%s opens, and its broker comes back", async (name) => {
    const root = mkdtempSync(join(tmpdir(), "metadata-node-"));
    scratch.push(root);
    execFileSync("tar", ["-C", root, "-xzf", sharedPath(`protocol/data-dirs/${name}.tar.gz`)]);
    const properties = Object.fromEntries(
      readFileSync(sharedPath(`protocol/data-dirs/${name}.properties`), "utf8")
        .split("\n")
        .filter((line) => /^[a-z]/.test(line))
        .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)] as const)
        .filter(([key]) => !key.startsWith("listener.name.") && key !== "log.dirs"),
    );
    const fixture = await startMetadata({
      disk: new FileDisk(),
      directory: join(root, "data"),
      properties,
      format: null,
    });
    const { clients } = JSON.parse(readFileSync(sharedPath(`protocol/data-dirs/${name}.expected.json`), "utf8"));
    expect(fixture.node.clusterId).toBe(clients.clusterId);
    expect(fixture.node.leader).toEqual({ leaderId: 1, epoch: 3 });
    for (const [topic, { topicId, partitions }] of Object.entries<{ topicId: string; partitions: object[] }>(
      clients.topics,
    )) {
      const image = fixture.node.image.topics.get(topic)!;
      expect(image.id).toBe(topicId);
      expect(image.partitions).toHaveLength(partitions.length);
      for (const partition of image.partitions) expect(partition).toMatchObject({ leader: 1, isr: [1] });
    }
    await create(fixture, ["made-by-us", 1]);
    await fixture.node.close();
  });
});
