// A node from start to close: what a client finds there, what a restart keeps, and how a start that cannot be is told.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Admin, Consumer, Producer } from "@blumfeld/client";
import { afterAll, describe, expect, test } from "vitest";
import { type RunningBroker, SettingsRefused, StartRefused, startBroker } from "./index.ts";

const folder = mkdtempSync(join(tmpdir(), "blumfeld-start-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let folderCount = 0;
const newFolder = (): string => join(folder, String(folderCount++));

async function produce(broker: RunningBroker, topic: string, ...values: string[]): Promise<void> {
  await using producer = new Producer({ bootstrapServers: broker.bootstrap });
  await Promise.all(values.map((value) => producer.send({ topic, value })));
}

async function consume(broker: RunningBroker, topic: string, count: number): Promise<string[]> {
  await using consumer = new Consumer({ bootstrapServers: broker.bootstrap });
  await consumer.assign([{ topic, partition: 0, startAt: "beginning" }]);
  const values: string[] = [];
  for await (const message of consumer) {
    values.push(message.value?.toString() ?? "");
    if (values.length === count) break;
  }
  return values;
}

describe("a node in memory", () => {
  test("serves clients and leaves nothing behind", async () => {
    await using broker = await startBroker({ storage: "memory", port: 0 });
    expect(broker.port).toBeGreaterThan(0);
    expect(broker.dataDirectory).toBeNull();
    await using admin = new Admin({ bootstrapServers: broker.bootstrap });
    await admin.createTopic({ name: "orders", partitions: 1 });
    await produce(broker, "orders", "one", "two");
    expect(await consume(broker, "orders", 2)).toEqual(["one", "two"]);
    expect(await broker.metrics()).toMatch(/blumfeld_requests_total\{api="Produce"\} [1-9]/);
  });

  test("two live side by side, each with a cluster of its own", async () => {
    await using first = await startBroker({ storage: "memory", port: 0 });
    await using second = await startBroker({ storage: "memory", port: 0 });
    expect(first.clusterId).not.toBe(second.clusterId);
    expect(first.port).not.toBe(second.port);
  });

  test("close is idempotent and frees the port", async () => {
    const broker = await startBroker({ storage: "memory", port: 0 });
    await Promise.all([broker.close(), broker.close()]);
    await using again = await startBroker({ storage: "memory", port: broker.port });
    expect(again.port).toBe(broker.port);
  });
});

describe("a node on disk", () => {
  test("keeps topics, settings and records over restarts", async () => {
    const dataDirectory = newFolder();
    let clusterId = "";
    {
      await using broker = await startBroker({ dataDirectory, port: 0 });
      clusterId = broker.clusterId;
      await using admin = new Admin({ bootstrapServers: broker.bootstrap });
      await admin.createTopic({ name: "orders", partitions: 1, configs: { "retention.ms": "-1" } });
      await admin.alterConfigs([
        { type: "broker", name: "", changes: [{ name: "log.segment.bytes", operation: "set", value: "2097152" }] },
      ]);
      await produce(broker, "orders", "kept");
    }
    await using broker = await startBroker({ dataDirectory, port: 0 });
    expect(broker.clusterId).toBe(clusterId);
    expect(broker.settings.get("log.segment.bytes")).toBe(2097152);
    expect(await consume(broker, "orders", 1)).toEqual(["kept"]);
  });

  test("is what Kafka's format tool would have made: static voters give kraft.version 0", async () => {
    const dataDirectory = newFolder();
    const propertiesFile = join(folder, "static.properties");
    writeFileSync(
      propertiesFile,
      [
        "process.roles=broker,controller",
        "node.id=3",
        "controller.quorum.voters=3@127.0.0.1:19093",
        "controller.listener.names=CONTROLLER",
        "listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:19093",
        `log.dirs=${dataDirectory}`,
      ].join("\n"),
    );
    await using broker = await startBroker({ propertiesFile });
    expect(broker.nodeId).toBe(3);
    expect(readFileSync(join(dataDirectory, "meta.properties"), "utf8")).toContain(`cluster.id=${broker.clusterId}`);
    const quorumState = JSON.parse(readFileSync(join(dataDirectory, "__cluster_metadata-0", "quorum-state"), "utf8"));
    expect(quorumState).toMatchObject({ leaderId: 3, data_version: 0 });
  });
});

test("metrics and health are served over HTTP", async () => {
  await using broker = await startBroker({ storage: "memory", port: 0, metrics: { host: "127.0.0.1", port: 0 } });
  const metrics = await fetch(broker.metricsUrl!);
  expect(metrics.headers.get("content-type")).toContain("version=0.0.4");
  expect(await metrics.text()).toContain("process_resident_memory_bytes ");
  const health = await fetch(broker.metricsUrl!.replace("/metrics", "/health"));
  expect([health.status, await health.text()]).toEqual([200, "ok\n"]);
  expect((await fetch(broker.metricsUrl!.replace("/metrics", "/other"))).status).toBe(404);
  expect((await fetch(broker.metricsUrl!, { method: "POST" })).status).toBe(405);
});

describe("a start that cannot be is told, with the next step, and holds nothing", () => {
  const refusal = async (options: Parameters<typeof startBroker>[0]): Promise<StartRefused> => {
    const outcome = await startBroker(options).then(
      () => null,
      (error: unknown) => error,
    );
    expect(outcome).toBeInstanceOf(StartRefused);
    return outcome as StartRefused;
  };

  test("a port in use", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await new Promise((listening) => server.once("listening", listening));
    const { port } = server.address() as { port: number };
    const dataDirectory = newFolder();
    const refused = await refusal({ dataDirectory, port });
    expect(refused.message).toBe(`127.0.0.1:${port} is taken: another process listens there`);
    expect(refused.nextStep).toContain("--listen");
    await new Promise((closed) => server.close(closed));
    await (await startBroker({ dataDirectory, port })).close();
  });

  test("a port in use, that the controller should listen at", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await new Promise((listening) => server.once("listening", listening));
    const { port } = server.address() as { port: number };
    const dataDirectory = newFolder();
    const listeners = `PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:${port}`;
    const refused = await refusal({ dataDirectory, properties: { listeners } });
    expect(refused.message).toBe(`127.0.0.1:${port} is taken: another process listens there`);
    expect(refused.nextStep).toContain("listeners");
    await new Promise((closed) => server.close(closed));
    await using broker = await startBroker({ dataDirectory, properties: { listeners } });
    expect(broker.controllerPort).toBe(port);
  });

  test("a data directory in use", async () => {
    const dataDirectory = newFolder();
    await using _broker = await startBroker({ dataDirectory, port: 0 });
    expect((await refusal({ dataDirectory, port: 0 })).code).toBe("directory-in-use");
  });

  test("a directory of somebody else's", async () => {
    const dataDirectory = newFolder();
    mkdirSync(dataDirectory);
    writeFileSync(join(dataDirectory, "holiday.jpg"), "");
    const refused = await refusal({ dataDirectory, port: 0 });
    expect(refused.message).toContain("holiday.jpg");
  });

  test("another node's directory", async () => {
    const dataDirectory = newFolder();
    await (await startBroker({ dataDirectory, port: 0 })).close();
    const refused = await refusal({ dataDirectory, port: 0, properties: { "node.id": 2 } });
    expect(refused.message).toContain("node.id=1");
  });

  test("what is not served yet is not served in another way", async () => {
    const properties = {
      listeners: "SSL://127.0.0.1:0,CONTROLLER://127.0.0.1:0",
      "listener.security.protocol.map": "SSL:SSL,CONTROLLER:PLAINTEXT",
      "security.inter.broker.protocol": "SSL",
    };
    expect((await refusal({ storage: "memory", properties })).message).toContain("SSL");
    const nobody = {
      "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
      "super.users": "User:admin;bob",
    };
    expect((await refusal({ storage: "memory", port: 0, properties: nobody })).message).toContain('"bob"');
  });

  test("settings out of their bounds", async () => {
    await expect(startBroker({ storage: "memory", properties: { "num.partitions": 0 } })).rejects.toThrow(
      SettingsRefused,
    );
  });
});
