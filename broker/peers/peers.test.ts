// Requests to other nodes over real sockets: what is asked, in which order, and what becomes of it when the other side is slow, gone or wrong.
import type { Connection, ConnectionHandler, NetworkListener } from "@blumfeld/core/base";
import {
  ApiKey,
  apiVersionsRefusal,
  apiVersionsResponse,
  decodeRequestHead,
  encodeResponseFrame,
  type RequestHead,
} from "@blumfeld/core/protocol";
import { systemClock, systemRandom, systemTimers } from "@blumfeld/host/process";
import { TcpNetwork } from "@blumfeld/host/transport";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { silentLogger } from "../fixture/broker-fixture.ts";
import { type PeerAddress, PeerConnections, PeerFailure, peerRequestCountMax } from "./index.ts";

type Answering = (head: RequestHead, connection: Connection) => void;

let network: TcpNetwork;
let peers: PeerConnections;
let listener: NetworkListener | null;
let asked: string[];
let connections: Connection[];

beforeEach(() => {
  network = new TcpNetwork();
  const ports = { network, clock: systemClock, timers: systemTimers, random: systemRandom, logger: silentLogger };
  peers = new PeerConnections({ ...ports, clientId: "node-1" });
  listener = null;
  asked = [];
  connections = [];
});

afterEach(async () => {
  await peers.close();
  await listener?.close();
  network.destroyAll();
});

const versions = (head: RequestHead) =>
  apiVersionsResponse(head.version, {
    listener: "controller",
    supportedFeatures: [],
    finalizedFeatures: [],
    finalizedFeaturesEpoch: -1,
  });

function answer(head: RequestHead, connection: Connection, body: unknown, version = head.version): void {
  connection.send(encodeResponseFrame(head.api.key, version, head.correlationId, body as never));
}

/** A node that answers as `answering` says; ApiVersions by itself. */
async function node(answering: Answering, onVersions: Answering | null = null, port = 0): Promise<PeerAddress> {
  const accept = (connection: Connection): ConnectionHandler => {
    connections.push(connection);
    const index = connections.length;
    return {
      frameBytesMax: () => 1_000_000,
      onFrame: (frame) => {
        const head = decodeRequestHead(Buffer.from(frame));
        if ("unsupported" in head) return connection.close();
        asked.push(`${index} ${head.clientId} ${head.api.name} v${head.version}`);
        if (head.api.key !== ApiKey.ApiVersions) answering(head, connection);
        else if (onVersions === null) answer(head, connection, versions(head));
        else onVersions(head, connection);
      },
      onClose: () => {},
    };
  };
  listener = await network.listen({ host: "127.0.0.1", port }, accept);
  return { id: 2, host: "127.0.0.1", port: listener.port };
}

const heartbeat = { brokerId: 1, brokerEpoch: 7n, currentMetadataOffset: 3n, wantFence: false, wantShutDown: false };
const beat = (to: PeerAddress, timeoutMs = 2_000, lane?: string) =>
  peers.request(to, ApiKey.BrokerHeartbeat, heartbeat, { timeoutMs, ...(lane === undefined ? {} : { lane }) });
const kindOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "answered",
    (error: unknown) => (error instanceof PeerFailure ? error.kind : String(error)),
  );

describe("requests to a node", () => {
  test("share a connection in a lane, have their own between lanes, ask for versions once", async () => {
    const to = await node((head, connection) => answer(head, connection, { isCaughtUp: true }));
    const answers = await Promise.all([beat(to), beat(to), beat(to, 2_000, "metadata")]);
    expect(answers.every(({ isCaughtUp }) => isCaughtUp)).toBe(true);
    await beat(to);
    expect(asked.filter((line) => line.includes("control")).map((line) => line.slice(2))).toEqual([
      "node-1-control ApiVersions v4",
      "node-1-control BrokerHeartbeat v2",
      "node-1-control BrokerHeartbeat v2",
      "node-1-control BrokerHeartbeat v2",
    ]);
    expect(asked.filter((line) => line.includes("metadata"))).toHaveLength(2);
    expect(connections).toHaveLength(2);
  });

  test("take the highest version that both know, or the one that is allowed", async () => {
    const to = await node(
      (head, connection) => answer(head, connection, {}),
      (head, connection) => {
        if (head.version > 2) {
          const [own] = apiVersionsRefusal().apiKeys!;
          return answer(head, connection, { errorCode: 35, apiKeys: [{ ...own, maxVersion: 2 }] }, 0);
        }
        const apiKeys = [
          { apiKey: ApiKey.BrokerHeartbeat, minVersion: 0, maxVersion: 1 },
          { apiKey: ApiKey.Vote, minVersion: 100, maxVersion: 101 },
        ];
        answer(head, connection, { apiKeys });
      },
    );
    await beat(to);
    await peers.request(to, ApiKey.BrokerHeartbeat, heartbeat, { timeoutMs: 2_000, versionMax: 0 });
    const vote = peers.request(to, ApiKey.Vote, { clusterId: null, topics: [] }, { timeoutMs: 2_000 });
    expect(await kindOf(vote)).toBe("unsupported-version");
    const unknown = peers.request(to, ApiKey.AllocateProducerIds, { brokerId: 1 }, { timeoutMs: 2_000 });
    expect(await kindOf(unknown)).toBe("unsupported-version");
    // The connection serves on.
    await beat(to);
    expect(asked.map((line) => line.slice("1 node-1-control ".length))).toEqual([
      ...["ApiVersions v4", "ApiVersions v2", "BrokerHeartbeat v1", "BrokerHeartbeat v0", "BrokerHeartbeat v1"],
    ]);
  });

  test("are rejected where nobody listens, and find the node when it is there", async () => {
    const to = await node((head, connection) => answer(head, connection, {}));
    await listener!.close();
    const startMs = performance.now();
    expect(await kindOf(beat(to))).toBe("unreachable");
    expect(await kindOf(beat(to))).toBe("unreachable");
    expect(await kindOf(beat(to))).toBe("unreachable");
    // Held back: the second by 50 ms or so, the third by 100.
    expect(performance.now() - startMs).toBeGreaterThan(100);
    await node((head, connection) => answer(head, connection, {}), null, to.port);
    expect(await kindOf(beat(to))).toBe("answered");
  });

  test("are late: the connection ends, with all in flight on it", async () => {
    const to = await node((head, connection) => {
      if (connections.length > 1) answer(head, connection, {});
    });
    const slow = beat(to, 5_000);
    const late = beat(to, 50);
    expect(await kindOf(late)).toBe("timeout");
    expect(await kindOf(slow)).toBe("closed");
    expect(await kindOf(beat(to))).toBe("answered");
    expect(connections).toHaveLength(2);
  });

  test("are closed by the other side: those in flight fail, the next connects anew", async () => {
    const to = await node((head, connection) => {
      if (connections.length === 1) connection.close();
      else answer(head, connection, {});
    });
    expect(await kindOf(beat(to))).toBe("closed");
    expect(await kindOf(beat(to))).toBe("answered");
  });

  test("get answers that cannot be theirs", async () => {
    const to = await node((head, connection) => {
      if (connections.length === 1) {
        const body = encodeResponseFrame(ApiKey.Heartbeat, 4, head.correlationId + 1, { errorCode: 0 });
        return connection.send(body);
      }
      if (connections.length === 2) return connection.send([Buffer.from([0, 0, 0, 5, 0, 0, 0, 1, 9])]);
      answer(head, connection, {});
    });
    expect(await kindOf(beat(to))).toBe("malformed");
    expect(await kindOf(beat(to))).toBe("malformed");
    expect(await kindOf(beat(to))).toBe("answered");
  });

  test("end when the node is forgotten, and all of them at the end", async () => {
    const to = await node(() => {});
    const lost = beat(to);
    while (asked.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
    peers.forget(3);
    peers.forget(to.id);
    expect(await kindOf(lost)).toBe("closed");
    const last = beat(to);
    await peers.close();
    expect(await kindOf(last)).toBe("closed");
    expect(await kindOf(beat(to))).toBe("closed");
  });

  test("are bounded", async () => {
    const to = await node(() => {});
    const many = Array.from({ length: peerRequestCountMax }, () => kindOf(beat(to, 10_000)));
    expect(await kindOf(beat(to))).toBe("overloaded");
    peers.forget(to.id);
    expect(new Set(await Promise.all(many))).toEqual(new Set(["closed"]));
  });
});
