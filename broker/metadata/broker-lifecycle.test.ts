// A broker's life against a controller that is a script: what it asks, in which order, and when it stops asking.
import { seededRandom, type Uuid } from "@blumfeld/core/base";
import { supportedFeatures } from "@blumfeld/core/controller";
import { ApiKey, type BrokerHeartbeatRequest, ErrorCode } from "@blumfeld/core/protocol";
import { systemClock, systemTimers } from "@blumfeld/host/process";
import { afterEach, expect, test } from "vitest";
import { silentLogger } from "../fixture/broker-fixture.ts";
import { RequestError } from "../request-context.ts";
import { BrokerLifecycle, type BrokerLifecycleOptions } from "./broker-lifecycle.ts";

const directory = "AAAAAAAAQACAAAAAAAAABA" as Uuid;
const entry = {
  endpoints: [{ name: "PLAINTEXT", host: "one", port: 9092, securityProtocol: 0 }],
  previousBrokerEpoch: 41,
};

let lifecycle: BrokerLifecycle;
let asked: string[];
let isUnfenced: boolean;
let offline: Uuid[];
afterEach(() => lifecycle.close());

/** What the controller says to registrations and heartbeats, one after another; the last one goes on. */
interface Script {
  readonly registrations?: readonly number[];
  readonly onHeartbeat?: (request: BrokerHeartbeatRequest, count: number) => object;
}

function begin({ onHeartbeat, registrations = [] }: Script, options: Partial<BrokerLifecycleOptions> = {}): void {
  asked = [];
  isUnfenced = false;
  offline = [];
  let registrationCount = 0;
  let heartbeatCount = 0;
  lifecycle = new BrokerLifecycle({
    ...{ nodeId: 1, clusterId: "cluster", incarnationId: "AAAAAAAAQACAAAAAAAAAAw" as Uuid, rack: "a" },
    ...{ directoryIds: [directory], features: supportedFeatures(false), heartbeatMs: 20, sessionMs: 2_000 },
    ...{ registrationMs: 2_000, clock: systemClock, timers: systemTimers, random: seededRandom(1) },
    logger: silentLogger,
    metadataOffset: () => 100,
    isUnfenced: () => isUnfenced,
    offlineDirectories: () => offline,
    cordonedDirectories: () => [],
    channel: {
      request: (key, request) => {
        if (key === ApiKey.BrokerRegistration) {
          const { previousBrokerEpoch } = request as { previousBrokerEpoch: bigint };
          asked.push(`register after ${previousBrokerEpoch}`);
          const errorCode = registrations[registrationCount++] ?? ErrorCode.NONE;
          return Promise.resolve({ errorCode, brokerEpoch: 50n }) as never;
        }
        const heartbeat = request as unknown as BrokerHeartbeatRequest;
        const wish = heartbeat.wantShutDown ? "out" : heartbeat.wantFence ? "fence" : "in";
        asked.push(`${wish} ${heartbeat.brokerEpoch} offline ${heartbeat.offlineLogDirs.length}`);
        const answer = onHeartbeat?.(heartbeat, ++heartbeatCount) ?? { isFenced: heartbeat.wantFence };
        return Promise.resolve({ errorCode: ErrorCode.NONE, ...answer }) as never;
      },
    },
    ...options,
  });
}

const until = async (isSo: () => boolean): Promise<void> => {
  for (let round = 0; round < 400 && !isSo(); round++) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(isSo()).toBe(true);
};

test("registers again while its earlier life is thought alive, is fenced, enters, leaves when it may", async () => {
  const { DUPLICATE_BROKER_REGISTRATION, NONE } = ErrorCode;
  begin({
    registrations: [DUPLICATE_BROKER_REGISTRATION, NONE],
    onHeartbeat: ({ wantFence, wantShutDown }, count) => ({
      isFenced: wantFence || count < 4,
      shouldShutDown: wantShutDown && count >= 8,
    }),
  });
  expect(await lifecycle.register(entry)).toBe(50);
  expect(asked.slice(0, 2)).toEqual(["register after 41", "register after 41"]);
  let hasEntered = false;
  const entering = lifecycle.unfence().then(() => {
    hasEntered = true;
  });
  // The controller's word is not enough: the broker's own metadata has to say so too.
  await until(() => asked.length > 6);
  expect(hasEntered).toBe(false);
  isUnfenced = true;
  lifecycle.onMetadata();
  await entering;
  expect(await lifecycle.leave()).toBe(true);
  const count = asked.length;
  expect(asked.at(-1)).toBe("out 50 offline 0");
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(asked).toHaveLength(count);
});

test("tells of a failed directory at once", async () => {
  begin({}, { heartbeatMs: 60_000 });
  await lifecycle.register(entry);
  await until(() => asked.length === 2);
  offline = [directory];
  lifecycle.onDirectoryFailure();
  await until(() => asked.at(-1) === "fence 50 offline 1");
});

test("goes on when heartbeats are refused, and enters later", async () => {
  begin({
    onHeartbeat: (_request, count) =>
      count < 3 ? { errorCode: ErrorCode.STALE_BROKER_EPOCH } : { isFenced: false, isCaughtUp: true },
  });
  await lifecycle.register(entry);
  isUnfenced = true;
  await lifecycle.unfence();
  expect(asked.length).toBeGreaterThanOrEqual(4);
});

test("is told what to do where no later try can help", async () => {
  const refusal = async (errorCode: number): Promise<string> => {
    begin({ registrations: [errorCode] });
    return lifecycle.register(entry).then(
      () => "registered",
      (error: unknown) => (error instanceof RequestError ? error.message : String(error)),
    );
  };
  expect(await refusal(ErrorCode.INCONSISTENT_CLUSTER_ID)).toMatch(/another cluster than cluster.*bootstrap\.servers/);
  expect(await refusal(ErrorCode.INVALID_REGISTRATION)).toMatch(/meta\.properties of its own/);
  expect(await refusal(ErrorCode.UNSUPPORTED_VERSION)).toMatch(/newer release/);
  expect(asked).toHaveLength(1);
});

test("names the other broker where the id stays taken", async () => {
  begin({ registrations: Array(100).fill(ErrorCode.DUPLICATE_BROKER_REGISTRATION) }, { registrationMs: 150 });
  await expect(lifecycle.register(entry)).rejects.toThrow(/node\.id=1 and is alive\. Stop it/);
});
