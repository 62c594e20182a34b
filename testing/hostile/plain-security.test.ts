// What a broker without SASL and without an authorizer answers to requests about them, at every version, over a socket: Kafka's codes, and no
// request without an answer. And the row of ../shared/design/hostile-inputs.md, section 3, about pushed telemetry.
import { uuidZero } from "@blumfeld/core/base";
import { codecByName } from "@blumfeld/core/compression";
import { ApiKey, apiOf, ErrorCode } from "@blumfeld/core/protocol";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { WireConnection } from "../wire/index.ts";
import { startVictim, type Victim } from "./victim.ts";

let victim: Victim;
let connection: WireConnection;
beforeAll(async () => {
  victim = await startVictim();
}, 30_000);
afterAll(() => victim?.stop());
beforeEach(async () => {
  connection = await victim.open();
});
afterEach(async () => {
  connection.destroy();
  await victim.control.check();
});

function versionsOf(key: ApiKey): number[] {
  const { minVersion, latestStableVersion } = apiOf(key);
  return Array.from({ length: latestStableVersion - minVersion + 1 }, (_, i) => minVersion + i);
}

const none = Buffer.alloc(0);
const anyAcl = {
  resourceTypeFilter: 1,
  resourceNameFilter: null,
  principalFilter: null,
  hostFilter: null,
  operation: 1,
  permissionType: 1,
};

describe("SASL on a listener without it", () => {
  test.each(versionsOf(ApiKey.SaslHandshake))("SaslHandshake v%d", async (version) => {
    const answer = await connection.ask(ApiKey.SaslHandshake, version, { mechanism: "PLAIN" });
    expect(answer).toEqual({ errorCode: ErrorCode.ILLEGAL_SASL_STATE, mechanisms: [] });
  });
  test.each(versionsOf(ApiKey.SaslAuthenticate))("SaslAuthenticate v%d", async (version) => {
    const answer = await connection.ask(ApiKey.SaslAuthenticate, version, { authBytes: Buffer.from("\0a\0b") });
    expect(answer.errorCode).toBe(ErrorCode.ILLEGAL_SASL_STATE);
  });
});

describe("ACLs without an authorizer", () => {
  test.each(versionsOf(ApiKey.DescribeAcls))("DescribeAcls v%d", async (version) => {
    const answer = await connection.ask(ApiKey.DescribeAcls, version, anyAcl);
    expect(answer.errorCode).toBe(ErrorCode.SECURITY_DISABLED);
  });
  test.each(versionsOf(ApiKey.CreateAcls))("CreateAcls v%d", async (version) => {
    const one = { resourceType: 2, resourceName: "t", principal: "User:a", host: "*", operation: 3, permissionType: 3 };
    const answer = await connection.ask(ApiKey.CreateAcls, version, { creations: [one, one] });
    expect(answer.results.map((each) => each.errorCode)).toEqual([54, 54]);
  });
  test.each(versionsOf(ApiKey.DeleteAcls))("DeleteAcls v%d", async (version) => {
    const answer = await connection.ask(ApiKey.DeleteAcls, version, { filters: [anyAcl] });
    expect(answer.filterResults).toMatchObject([{ errorCode: ErrorCode.SECURITY_DISABLED, matchingAcls: [] }]);
  });
});

describe("delegation tokens for a client that is not authenticated", () => {
  const notAllowed = { errorCode: ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED };
  test.each(versionsOf(ApiKey.CreateDelegationToken))("CreateDelegationToken v%d", async (version) => {
    const answer = await connection.ask(ApiKey.CreateDelegationToken, version, { renewers: [], maxLifetimeMs: -1 });
    expect(answer).toMatchObject({ ...notAllowed, principalName: "ANONYMOUS", tokenId: "", issueTimestampMs: -1n });
  });
  test.each(versionsOf(ApiKey.RenewDelegationToken))("RenewDelegationToken v%d", async (version) => {
    const answer = await connection.ask(ApiKey.RenewDelegationToken, version, { hmac: none, renewPeriodMs: 1 });
    expect(answer).toMatchObject({ ...notAllowed, expiryTimestampMs: -1n });
  });
  test.each(versionsOf(ApiKey.ExpireDelegationToken))("ExpireDelegationToken v%d", async (version) => {
    const answer = await connection.ask(ApiKey.ExpireDelegationToken, version, { hmac: none, expiryTimePeriodMs: 1 });
    expect(answer).toMatchObject({ ...notAllowed, expiryTimestampMs: -1n });
  });
  test.each(versionsOf(ApiKey.DescribeDelegationToken))("DescribeDelegationToken v%d", async (version) => {
    const answer = await connection.ask(ApiKey.DescribeDelegationToken, version, { owners: null });
    expect(answer).toMatchObject({ ...notAllowed, tokens: [] });
  });
});

test.each(versionsOf(ApiKey.AlterReplicaLogDirs))(
  "AlterReplicaLogDirs v%d to a directory that is not there: 57",
  async (version) => {
    const dirs = [{ path: "/no/such/dir", topics: [{ name: "control", partitions: [0] }] }];
    const answer = await connection.ask(ApiKey.AlterReplicaLogDirs, version, { dirs });
    expect(answer.results).toEqual([
      { topicName: "control", partitions: [{ partitionIndex: 0, errorCode: ErrorCode.LOG_DIR_NOT_FOUND }] },
    ]);
  },
);

describe("PushTelemetry bomb (CVE-2026-111073), unknown id: 118 with decompression cap; 117", () => {
  async function push(compressionType: number, metrics: Buffer, difference = 0): Promise<number> {
    const { clientInstanceId, subscriptionId } = await connection.ask(ApiKey.GetTelemetrySubscriptions, 0, {
      clientInstanceId: uuidZero,
    });
    const answer = await connection.ask(ApiKey.PushTelemetry, 0, {
      clientInstanceId,
      subscriptionId: subscriptionId + difference,
      terminating: false,
      compressionType,
      metrics,
    });
    return answer.errorCode;
  }
  test("a push of a little is taken", async () => {
    expect(await push(0, Buffer.from("metrics"))).toBe(0);
    expect(await push(1, codecByName("gzip")!.compress(Buffer.from("metrics")))).toBe(0);
  });
  test("an unknown subscription", async () => expect(await push(0, none, 1)).toBe(ErrorCode.UNKNOWN_SUBSCRIPTION_ID));
  test.each(["gzip", "zstd"] as const)("a %s bomb", async (name) => {
    const codec = codecByName(name)!;
    const bomb = codec.compress(Buffer.alloc(400 * 1024 * 1024));
    expect(await push(codec.id, bomb)).toBe(ErrorCode.TELEMETRY_TOO_LARGE);
  });
  test("2 MiB as they are", async () =>
    expect(await push(0, Buffer.alloc(2 * 1024 * 1024))).toBe(ErrorCode.TELEMETRY_TOO_LARGE));
});
