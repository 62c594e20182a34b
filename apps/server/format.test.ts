// Formatting as Kafka's storage tool does, judged by what starts from it: a dynamic quorum of three, a controller that joins later, refusals.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomUuid } from "@blumfeld/core/base";
import { systemRandom } from "@blumfeld/host/process";
import { TcpNetwork } from "@blumfeld/host/transport";
import { afterEach, beforeEach, expect, test } from "vitest";
import { formatStorage } from "./format.ts";
import { parseFeatures, parseInitialControllers, parseReleaseVersion } from "./format-options.ts";
import { freePorts } from "./free-ports.ts";
import { configureNode } from "./options.ts";
import { type RunningBroker, startBroker } from "./start-broker.ts";

let root: string;
let running: RunningBroker[];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "blumfeld-format-"));
  running = [];
});
afterEach(async () => {
  for (const node of running.reverse()) await node.close();
  rmSync(root, { recursive: true, force: true });
});

const clusterId = randomUuid(systemRandom);

function optionsOf(nodeId: number, controllerPort: number, bootstrap: string) {
  return {
    dataDirectory: join(root, `node-${nodeId}`),
    properties: {
      "node.id": nodeId,
      listeners: `PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:${controllerPort}`,
      "controller.quorum.bootstrap.servers": bootstrap,
    },
  };
}

test("three controllers that are named at formatting are one dynamic quorum", { timeout: 60_000 }, async () => {
  const ports = await freePorts(new TcpNetwork(), "127.0.0.1", 3);
  const bootstrap = ports.map((port) => `127.0.0.1:${port}`).join(",");
  const named = ports.map((port, index) => `${index + 1}@127.0.0.1:${port}:${randomUuid(systemRandom)}`).join(",");
  const voters = parseInitialControllers(named, "CONTROLLER");
  const nodes = ports.map((port, index) => optionsOf(index + 1, port, bootstrap));
  for (const options of nodes)
    formatStorage(configureNode(options).settings, {
      ...{ clusterId, ignoreFormatted: false },
      initialControllers: { kind: "named", voters },
    });
  running = await Promise.all(nodes.map((options) => startBroker(options)));
  expect(new Set(running.map((node) => node.clusterId))).toEqual(new Set([clusterId]));
  const { Admin } = await import("@blumfeld/client");
  const admin = new Admin({ bootstrapServers: running[2]!.bootstrap });
  try {
    const quorum = await admin.describeQuorum();
    expect(quorum.voters.map(({ replicaId }) => replicaId).sort()).toEqual([1, 2, 3]);
    expect((await admin.describeCluster()).nodes.map(({ nodeId }) => nodeId).sort()).toEqual([1, 2, 3]);
  } finally {
    await admin.close();
  }
});

test("a broker of another cluster is not let in, and says why", { timeout: 60_000 }, async () => {
  const first = await startBroker({ dataDirectory: join(root, "first"), port: 0 });
  running.push(first);
  const options = {
    dataDirectory: join(root, "stranger"),
    properties: {
      "process.roles": "broker",
      "node.id": 2,
      listeners: "PLAINTEXT://127.0.0.1:0",
      "controller.quorum.bootstrap.servers": `127.0.0.1:${first.controllerPort}`,
    },
  };
  formatStorage(configureNode(options).settings, { clusterId: randomUuid(systemRandom), ignoreFormatted: false });
  await expect(startBroker(options)).rejects.toThrow(/cluster/i);
});

test("levels are those that were asked for", { timeout: 30_000 }, async () => {
  const options = { dataDirectory: join(root, "old"), port: 0 };
  formatStorage(configureNode(options).settings, {
    ...{ clusterId, ignoreFormatted: false, metadataVersion: parseReleaseVersion("4.0") },
    features: parseFeatures(["transaction.version=1"]),
  });
  running.push(await startBroker(options));
  const { Admin } = await import("@blumfeld/client");
  const admin = new Admin({ bootstrapServers: running[0]!.bootstrap });
  const { features } = await admin.describeFeatures();
  await admin.close();
  const levelOf = (name: string) => features.find((feature) => feature.name === name)?.finalized;
  expect(levelOf("metadata.version")).toBe(25);
  expect(levelOf("transaction.version")).toBe(1);
});

test.each([
  [() => parseInitialControllers("1@host", "CONTROLLER"), "id@host:port:directory-id"],
  [() => parseInitialControllers(`1@h:1:${clusterId},1@h:2:${clusterId}`, "CONTROLLER"), "twice"],
  [() => parseReleaseVersion("2.8"), "2.8 is no metadata.version"],
  [() => parseFeatures(["group.version=9"]), "above the level"],
  [() => parseFeatures(["planet.version=1"]), "is not feature=level"],
  [() => parseFeatures(["metadata.version=7"]), "is not feature=level"],
])("what cannot be formatted says how it is written: %#", (work, message) => {
  expect(work).toThrow(message);
});

test("who votes is said once, and by a controller", () => {
  const format = (properties: Readonly<Record<string, string | number>>, kind: "standalone" | "none") =>
    formatStorage(configureNode({ dataDirectory: join(root, "x"), properties }).settings, {
      ...{ clusterId, ignoreFormatted: false, initialControllers: { kind } },
    });
  const staticVoters = {
    listeners: "PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:9093",
    "controller.quorum.bootstrap.servers": "",
    "controller.quorum.voters": "1@127.0.0.1:9093",
  };
  expect(() => format(staticVoters, "standalone")).toThrow("names the voters for good");
  const brokerAlone = { "process.roles": "broker", listeners: "PLAINTEXT://127.0.0.1:0" };
  expect(() => format(brokerAlone, "standalone")).toThrow("makes no controller");
});
