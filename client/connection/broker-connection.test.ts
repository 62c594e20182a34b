// One connection against a scripted other end.
import { ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ModelCluster } from "../test-double/model-cluster.ts";
import { ClusterClient } from "./cluster-client.ts";

let cluster: ModelCluster;
let client: ClusterClient;

beforeEach(() => {
  cluster = new ModelCluster(1);
  const options = {
    bootstrapServers: cluster.bootstrapServers,
    ports: cluster.ports,
    requestTimeoutMs: 1000,
    apiTimeoutMs: 5000,
  };
  client = new ClusterClient(options, { allowAutoTopicCreation: false, topicIdleMsMax: 300_000 });
});
afterEach(() => client.close());

const address = { host: "node1", port: 9092 };
const open = () => cluster.time.until(client.pool.connect("1", address, "main"));

describe("versions", () => {
  test("an ApiVersions that the broker does not know is asked again in the version it names", async () => {
    const asked: number[] = [];
    cluster.fault = (request) => {
      if (request.key !== ApiKey.ApiVersions) return undefined;
      asked.push(request.version);
      if (request.version <= 2) return undefined;
      const offered = [{ apiKey: ApiKey.ApiVersions, minVersion: 0, maxVersion: 2 }];
      return { answer: { errorCode: ErrorCode.UNSUPPORTED_VERSION, apiKeys: offered }, version: 0 };
    };
    const connection = await open();
    expect(asked).toEqual([4, 2]);
    expect(connection.isReady).toBe(true);
  });

  test("requests go in the newest version that both know", async () => {
    cluster.fault = (request) => {
      if (request.key !== ApiKey.ApiVersions) return undefined;
      const answer = cluster.apiVersions();
      const apiKeys = answer.apiKeys.map((api) => (api.apiKey === ApiKey.Metadata ? { ...api, maxVersion: 7 } : api));
      return { answer: { ...answer, apiKeys } };
    };
    await open();
    await cluster.time.until(client.requestAny(ApiKey.Metadata, { topics: null }));
    expect(cluster.requestsOf(ApiKey.Metadata).map(({ version }) => version)).toEqual([7]);
  });

  test("an API without a common version is refused before anything is sent", async () => {
    cluster.fault = (request) =>
      request.key === ApiKey.ApiVersions
        ? { answer: { errorCode: 0, apiKeys: [{ apiKey: ApiKey.ApiVersions, minVersion: 0, maxVersion: 4 }] } }
        : undefined;
    const connection = await open();
    await expect(connection.request(ApiKey.Metadata, { topics: null })).rejects.toMatchObject({
      code: "UNSUPPORTED_VERSION",
      retriable: false,
    });
    expect(cluster.requestsOf(ApiKey.Metadata)).toEqual([]);
  });
});

describe("what goes wrong", () => {
  test("an answer that does not come ends the connection, and all that is in flight on it", async () => {
    const connection = await open();
    cluster.fault = () => "silence";
    const all = [1, 2, 3].map(() => connection.request(ApiKey.Metadata, { topics: null }));
    const outcomes = await cluster.time.until(Promise.allSettled(all));
    expect(outcomes.map((one) => (one as PromiseRejectedResult).reason.code)).toEqual([
      "REQUEST_TIMED_OUT",
      "NETWORK_EXCEPTION",
      "NETWORK_EXCEPTION",
    ]);
    expect(connection.isReady).toBe(false);
    expect(cluster.network.openCount).toBe(0);
  });

  test.each([
    ["another correlation id", Buffer.from([0, 0, 0, 99, 0])],
    ["an array of two thousand million", Buffer.from([0, 0, 0, 2, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x07])],
    ["half an answer", Buffer.from([0, 0, 0, 2, 0, 0, 0])],
    ["nothing", Buffer.alloc(0)],
  ])("%s is a malformed answer: the request rejects and the connection ends", async (_name, rawAnswer) => {
    const connection = await open();
    cluster.fault = () => ({ rawAnswer });
    const outcome = cluster.time.until(connection.request(ApiKey.Metadata, { topics: null }));
    await expect(outcome).rejects.toMatchObject({ code: "NETWORK_EXCEPTION", retriable: true });
    expect(connection.isReady).toBe(false);
  });

  test("an abort rejects at once; the answer that still comes is dropped and the next request gets its own", async () => {
    const connection = await open();
    const controller = new AbortController();
    const aborted = connection.request(ApiKey.Metadata, { topics: null }, { signal: controller.signal });
    const other = connection.request(ApiKey.ListOffsets, { replicaId: -1, topics: [] });
    controller.abort(new Error("changed my mind"));
    await expect(aborted).rejects.toThrow("changed my mind");
    expect((await cluster.time.until(other)).body.topics).toEqual([]);
    expect(connection.isReady).toBe(true);
  });

  test("connecting again waits for a back-off that grows", async () => {
    cluster.network.refused.add("node1:9092");
    const waits: number[] = [];
    for (let attempt = 0; attempt < 5; attempt++) {
      const before = cluster.time.nowMs;
      await expect(open()).rejects.toMatchObject({ code: "NETWORK_EXCEPTION" });
      waits.push(cluster.time.nowMs - before);
    }
    expect(waits[0]).toBeLessThanOrEqual(2);
    // 50, 100, 200, 400 ms, each ±20 %, on a wheel of 16 ms.
    expect(waits[1]).toBeGreaterThanOrEqual(40);
    expect(waits[4]).toBeGreaterThanOrEqual(320);
    expect(waits[4]).toBeLessThanOrEqual(500);
  });
});

test("a connection nobody uses is closed; closing the client leaves no timer", async () => {
  await open();
  expect(cluster.network.openCount).toBe(1);
  await cluster.time.advance(540_000 + 100);
  expect(cluster.network.openCount).toBe(0);
  await open();
  client.close();
  expect(cluster.network.openCount).toBe(0);
  expect(cluster.time.pendingCount).toBe(0);
});

test("closing the client ends a connection that is still being opened", async () => {
  cluster.fault = () => "silence";
  const opening = expect(client.pool.connect("1", address, "main")).rejects.toMatchObject({
    code: "NETWORK_EXCEPTION",
  });
  await cluster.time.advance(10);
  expect(cluster.network.openCount).toBe(1);
  client.close();
  await opening;
  expect(cluster.network.openCount).toBe(0);
  expect(cluster.time.pendingCount).toBe(0);
});
