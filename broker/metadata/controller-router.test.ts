// The way to the active controller: followed from node to node, in the client's name and version, and given up when the time is over.
import {
  ApiKey,
  decodeRequestHead,
  type EnvelopeRequestInit,
  ErrorCode,
  encodeResponseFrame,
  type RequestInitOf,
  type ResponseOf,
  readPrincipal,
} from "@blumfeld/core/protocol";
import { systemClock, systemTimers } from "@blumfeld/host/process";
import { describe, expect, test } from "vitest";
import type { ControllerChannel } from "../parts.ts";
import { type PeerAddress, PeerFailure, type Peers } from "../peers/index.ts";
import { RequestError } from "../request-context.ts";
import { type ControllerOrigin, ownOrigin } from "./controller-requests.ts";
import { addressBytes, ControllerRouter } from "./controller-router.ts";

type Answering = (to: PeerAddress, key: ApiKey, request: unknown) => unknown;

const node = (id: number): PeerAddress => ({ id, host: "127.0.0.1", port: 9000 + id });

function routerOf(
  answering: Answering,
  options: { leader: () => PeerAddress | null; local?: { isActive: boolean; channel: ControllerChannel } },
): ControllerRouter {
  const peers: Peers = {
    request: async <Key extends ApiKey>(to: PeerAddress, key: Key, request: RequestInitOf<Key>) =>
      answering(to, key, request) as ResponseOf<Key>,
    forget: () => {},
    close: () => Promise.resolve(),
  };
  const { leader, local } = options;
  return new ControllerRouter({
    ...{ peers, nodeId: 1, clock: systemClock, timers: systemTimers, leaderAddress: leader },
    local: local === undefined ? null : { controller: local, channel: local.channel },
  });
}

const origin: ControllerOrigin = {
  principal: { principalType: "User", name: "alice" },
  ...{ clientAddress: "10.0.0.9", listenerName: "PLAINTEXT", clientId: "app", timeoutMs: 5_000 },
};
const registration = { brokerId: 1, brokerEpoch: 7n };
const allocate = (router: ControllerRouter, timeoutMs = 5_000) =>
  router.request(ApiKey.AllocateProducerIds, registration, ownOrigin(timeoutMs));
const codeOf = (promise: Promise<unknown>): Promise<number> =>
  promise.then(
    () => -1,
    (error: unknown) => (error instanceof RequestError ? error.errorCode : -2),
  );

describe("the way to the active controller", () => {
  test("follows it: from one that does not lead any more, over one that is gone, to the one that answers", async () => {
    const asked: number[] = [];
    let leader = 2;
    const router = routerOf(
      (to) => {
        asked.push(to.id);
        leader = to.id + 1;
        if (to.id === 2) return { errorCode: ErrorCode.NOT_CONTROLLER };
        if (to.id === 3) throw new PeerFailure("unreachable", to, "ECONNREFUSED");
        return { errorCode: ErrorCode.NONE, producerIdStart: 1000n, producerIdLen: 1000 };
      },
      { leader: () => node(leader) },
    );
    expect(await allocate(router)).toMatchObject({ producerIdStart: 1000n });
    expect(asked).toEqual([2, 3, 4]);
  });

  test("is a call where this node is active, and the wire as soon as it is not", async () => {
    const asked: string[] = [];
    const local = {
      isActive: true,
      channel: {
        request: () => {
          asked.push("here");
          // The lead was lost before the records were committed.
          local.isActive = false;
          return Promise.reject(new RequestError(ErrorCode.NOT_CONTROLLER, "lost"));
        },
      },
    };
    const router = routerOf(
      (to) => {
        asked.push(`node ${to.id}`);
        return { errorCode: ErrorCode.NONE, producerIdStart: 0n, producerIdLen: 1000 };
      },
      { leader: () => node(2), local },
    );
    await allocate(router);
    expect(asked).toEqual(["here", "node 2"]);
  });

  test("is given up in time where nobody leads, and at once when the node closes", async () => {
    const router = routerOf(() => ({}), { leader: () => null });
    const startMs = performance.now();
    expect(await codeOf(allocate(router, 1))).toBe(ErrorCode.REQUEST_TIMED_OUT);
    expect(performance.now() - startMs).toBeLessThan(3_000);
    const waiting = codeOf(allocate(router, 60_000));
    router.close();
    expect(await waiting).toBe(ErrorCode.REQUEST_TIMED_OUT);
  });

  test("leads through an envelope for clients: their principal, address, name and version", async () => {
    let seen: unknown = null;
    const router = routerOf(
      (_to, key, request) => {
        expect(key).toBe(ApiKey.Envelope);
        const { clientHostAddress, requestData, requestPrincipal } = request as EnvelopeRequestInit & {
          requestData: Buffer;
          requestPrincipal: Buffer;
        };
        const head = decodeRequestHead(requestData);
        if ("unsupported" in head) throw new Error("unreadable");
        const { name, type } = readPrincipal(requestPrincipal);
        seen = { api: head.api.name, version: head.version, clientId: head.clientId, who: `${type}:${name}` };
        expect([...clientHostAddress]).toEqual([10, 0, 0, 9]);
        const answer = { responses: [{ name: "orders", errorCode: ErrorCode.TOPIC_AUTHORIZATION_FAILED }] };
        const frame = Buffer.concat(encodeResponseFrame(ApiKey.DeleteTopics, head.version, 0, answer));
        return { errorCode: ErrorCode.NONE, responseData: frame.subarray(4) };
      },
      { leader: () => node(2) },
    );
    const request = { topics: [], topicNames: ["orders"], timeoutMs: 1_000 };
    const asClient = { ...origin, apiKey: ApiKey.DeleteTopics, apiVersion: 3 };
    const answer = await router.request(ApiKey.DeleteTopics, request, asClient);
    expect(seen).toEqual({ api: "DeleteTopics", version: 3, clientId: "app", who: "User:alice" });
    expect(answer.responses).toMatchObject([{ name: "orders", errorCode: ErrorCode.TOPIC_AUTHORIZATION_FAILED }]);
  });

  test("tells what cannot be mended by another try", async () => {
    const refusing = routerOf(() => ({ errorCode: ErrorCode.PRINCIPAL_DESERIALIZATION_FAILURE, responseData: null }), {
      leader: () => node(2),
    });
    const request = { topics: [], topicNames: [], timeoutMs: 1_000 };
    expect(await codeOf(refusing.request(ApiKey.DeleteTopics, request, origin))).toBe(ErrorCode.UNKNOWN_SERVER_ERROR);
    const old = routerOf(
      (to) => {
        throw new PeerFailure("unsupported-version", to, "no common version");
      },
      { leader: () => node(2) },
    );
    expect(await codeOf(allocate(old))).toBe(ErrorCode.UNSUPPORTED_VERSION);
  });
});

test("addresses go as their bytes", () => {
  expect([...addressBytes("192.168.0.1")]).toEqual([192, 168, 0, 1]);
  expect([...addressBytes("::ffff:10.1.2.3")]).toEqual([10, 1, 2, 3]);
  expect(addressBytes("2001:db8::1").toString("hex")).toBe("20010db8000000000000000000000001");
  expect(addressBytes("fe80::1%eth0").toString("hex")).toBe("fe800000000000000000000000000001");
  expect(addressBytes("::1").toString("hex")).toBe("00000000000000000000000000000001");
});
