// A listener that asks for SASL, over real sockets: the project's own client by each mechanism, and what must not get in (hostile inputs, section 4).
import { pbkdf2Sync } from "node:crypto";
import { ListenerSecurity, type SecurityProblem } from "@blumfeld/broker/security";
import { Admin, type SaslOptions } from "@blumfeld/client";
import { scramMechanismCode } from "@blumfeld/core/controller";
import { parseBrokerSettings } from "@blumfeld/core/model/settings";
import { ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import { plainToken, scramKeysOf } from "@blumfeld/core/security";
import { systemClock, systemRandom } from "@blumfeld/host/process";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { BrokerFixture, type FixtureClient } from "../../broker/fixture/broker-fixture.ts";

const jaas =
  'org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="alice-secret" user_bob="bob-secret";';
const failureDelayMs = 50;
const base = {
  "process.roles": "broker,controller",
  "node.id": "1",
  listeners: "PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0",
  "listener.security.protocol.map": "PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
  "inter.broker.listener.name": "PLAINTEXT",
  "sasl.mechanism.inter.broker.protocol": "PLAIN",
  "controller.listener.names": "CONTROLLER",
  "controller.quorum.voters": "1@127.0.0.1:9093",
  "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
  "listener.name.plaintext.plain.sasl.jaas.config": jaas,
  "connection.failed.authentication.delay.ms": String(failureDelayMs),
};

let fixture: BrokerFixture;

function securityFrom(more: Readonly<Record<string, string>> = {}): ListenerSecurity | SecurityProblem {
  const outcome = parseBrokerSettings({ ...base, ...more });
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.problems));
  const { settings } = outcome;
  return ListenerSecurity.from({ settings, image: () => fixture.image, clock: systemClock, random: systemRandom });
}

async function start(more: Readonly<Record<string, string>> = {}): Promise<void> {
  const listenerSecurity = securityFrom(more);
  if ("problem" in listenerSecurity) throw new Error(listenerSecurity.problem);
  fixture = await BrokerFixture.start({ broker: { listenerSecurity } });
  for (const [mechanism, digest] of [
    ["SCRAM-SHA-256", "sha256"],
    ["SCRAM-SHA-512", "sha512"],
  ] as const) {
    const salt = systemRandom.bytes(16);
    const salted = pbkdf2Sync("alice-secret", salt, 4096, digest === "sha256" ? 32 : 64, digest);
    const { iterations, serverKey, storedKey } = scramKeysOf(mechanism, salted, salt, 4096);
    const value = { name: "alice", mechanism: scramMechanismCode[mechanism], salt, storedKey, serverKey, iterations };
    fixture.apply([{ type: "UserScramCredentialRecord", version: 0, value }]);
  }
}

afterEach(() => fixture.stop());

const bootstrap = (): string => `127.0.0.1:${fixture.broker.port()}`;

async function describeAs(sasl: SaslOptions | undefined): Promise<string> {
  const admin = new Admin({
    bootstrapServers: bootstrap(),
    apiTimeoutMs: 3000,
    ...(sasl === undefined ? {} : { sasl }),
  });
  try {
    return (await admin.describeCluster()).clusterId ?? "";
  } finally {
    await admin.close();
  }
}

async function handshake(client: FixtureClient, mechanism: string, version = 1): Promise<number> {
  return (await client.ask(ApiKey.SaslHandshake, version, { mechanism })).errorCode;
}

/** Null: the connection ended. */
async function endsWith(client: FixtureClient): Promise<Buffer | null> {
  return client.next(3000);
}

describe("with all mechanisms", () => {
  beforeEach(() => start());

  test.each(["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] as const)(
    "%s lets the right password in",
    async (mechanism) => {
      const sasl = { mechanism, username: "alice", password: "alice-secret" };
      await expect(describeAs(sasl)).resolves.toBe("z29sZGVuLXRyYW5zY3JpcA");
    },
  );

  test.each(["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] as const)(
    "%s keeps out a wrong password and an unknown user, and tells both the same, after the delay",
    async (mechanism) => {
      const failure = async (username: string): Promise<{ message: string; tookMs: number }> => {
        const before = performance.now();
        const error = await describeAs({ mechanism, username, password: "wrong" }).catch((caught: Error) => caught);
        expect(error).toMatchObject({ code: "SASL_AUTHENTICATION_FAILED", retriable: false });
        const { message } = error as Error;
        expect(message).not.toContain("wrong");
        return { message: message.replaceAll(username, "NAME"), tookMs: performance.now() - before };
      };
      const known = await failure("alice");
      const unknown = await failure("mallory");
      expect(unknown.message).toBe(known.message);
      expect(known.tookMs).toBeGreaterThanOrEqual(failureDelayMs);
      expect(unknown.tookMs).toBeGreaterThanOrEqual(failureDelayMs);
    },
  );

  test("whoever does not log in is not served", async () => {
    await expect(describeAs(undefined)).rejects.toThrow();
  });

  test.each([
    ["Metadata", ApiKey.Metadata, 12, { topics: null }],
    [
      "SaslAuthenticate before a handshake",
      ApiKey.SaslAuthenticate,
      2,
      { authBytes: plainToken("alice", "alice-secret") },
    ],
  ] as const)("%s first ends the connection", async (_what, key, version, request) => {
    const client = await fixture.client();
    client.send(key, version, request as never);
    expect(await endsWith(client)).toBeNull();
  });

  test("ApiVersions comes first, a second handshake or ApiVersions in the middle ends the connection", async () => {
    for (const middle of [ApiKey.SaslHandshake, ApiKey.ApiVersions, ApiKey.Metadata] as const) {
      const client = await fixture.client();
      const versions = await client.ask(ApiKey.ApiVersions, 3, { clientSoftwareName: "t", clientSoftwareVersion: "1" });
      expect(versions.errorCode).toBe(ErrorCode.NONE);
      expect(await handshake(client, "PLAIN")).toBe(ErrorCode.NONE);
      if (middle === ApiKey.SaslHandshake) client.send(middle, 1, { mechanism: "PLAIN" });
      else if (middle === ApiKey.ApiVersions) client.send(middle, 0, {});
      else client.send(middle, 12, { topics: null });
      expect(await endsWith(client)).toBeNull();
    }
  });

  test("an unknown mechanism hears which there are, and the connection ends", async () => {
    const client = await fixture.client();
    const answer = await client.ask(ApiKey.SaslHandshake, 1, { mechanism: "GSSAPI" });
    expect(answer).toMatchObject({
      errorCode: ErrorCode.UNSUPPORTED_SASL_MECHANISM,
      mechanisms: ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"],
    });
    expect(await endsWith(client)).toBeNull();
  });

  test("a refused token is answered 58 and nothing more is taken", async () => {
    const client = await fixture.client();
    expect(await handshake(client, "PLAIN")).toBe(ErrorCode.NONE);
    const answer = await client.ask(ApiKey.SaslAuthenticate, 2, { authBytes: Buffer.from("bob\0alice\0alice-secret") });
    expect(answer.errorCode).toBe(ErrorCode.SASL_AUTHENTICATION_FAILED);
    expect(answer.errorMessage).toContain("invalid credentials with SASL mechanism PLAIN");
    expect(await endsWith(client)).toBeNull();
  });

  test("a token of 1 MiB is refused", async () => {
    const client = await fixture.client();
    await handshake(client, "SCRAM-SHA-256");
    const authBytes = Buffer.from(`n,,n=${"a".repeat(1024 * 1024)},r=abc`);
    const answer = await client.ask(ApiKey.SaslAuthenticate, 2, { authBytes });
    expect(answer.errorCode).toBe(ErrorCode.SASL_AUTHENTICATION_FAILED);
  });

  test("after SaslHandshake v0 tokens come without a header", async () => {
    const frame = (token: Buffer): Buffer => {
      const size = Buffer.alloc(4);
      size.writeInt32BE(token.length);
      return Buffer.concat([size, token]);
    };
    const client = await fixture.client();
    expect(await handshake(client, "PLAIN", 0)).toBe(ErrorCode.NONE);
    client.sendRaw(frame(plainToken("alice", "alice-secret")));
    expect(await client.next()).toEqual(Buffer.alloc(0));
    const metadata = await client.ask(ApiKey.Metadata, 12, { topics: null });
    expect(metadata.brokers).toHaveLength(1);
    const wrong = await fixture.client();
    await handshake(wrong, "PLAIN", 0);
    wrong.sendRaw(frame(plainToken("alice", "guess")));
    expect(await endsWith(wrong)).toBeNull();
  });

  test("authenticating anew too soon, as another mechanism or as somebody else does not work", async () => {
    const client = await fixture.client();
    await handshake(client, "PLAIN");
    const first = await client.ask(ApiKey.SaslAuthenticate, 2, { authBytes: plainToken("alice", "alice-secret") });
    expect(first).toMatchObject({ errorCode: ErrorCode.NONE, sessionLifetimeMs: 0n });
    expect(await handshake(client, "PLAIN")).toBe(ErrorCode.ILLEGAL_SASL_STATE);
    await new Promise((wake) => setTimeout(wake, 1100));
    expect(await handshake(client, "PLAIN")).toBe(ErrorCode.NONE);
    const again = await client.ask(ApiKey.SaslAuthenticate, 2, { authBytes: plainToken("alice", "alice-secret") });
    expect(again.errorCode).toBe(ErrorCode.NONE);
    await new Promise((wake) => setTimeout(wake, 1100));
    expect(await handshake(client, "PLAIN")).toBe(ErrorCode.NONE);
    const other = await client.ask(ApiKey.SaslAuthenticate, 2, { authBytes: plainToken("bob", "bob-secret") });
    expect(other.errorCode).toBe(ErrorCode.SASL_AUTHENTICATION_FAILED);
    expect(await endsWith(client)).toBeNull();
  });
});

test("a session ends by connections.max.reauth.ms unless it is authenticated anew", async () => {
  await start({ "connections.max.reauth.ms": "1500" });
  const login = async (client: FixtureClient): Promise<bigint> => {
    expect(await handshake(client, "PLAIN")).toBe(ErrorCode.NONE);
    const { sessionLifetimeMs } = await client.ask(ApiKey.SaslAuthenticate, 2, {
      authBytes: plainToken("alice", "alice-secret"),
    });
    return sessionLifetimeMs;
  };
  const keen = await fixture.client();
  const lazy = await fixture.client();
  expect(await login(keen)).toBe(1500n);
  await login(lazy);
  await new Promise((wake) => setTimeout(wake, 1100));
  await login(keen);
  await new Promise((wake) => setTimeout(wake, 600));
  expect((await keen.ask(ApiKey.Metadata, 12, { topics: null })).brokers).toHaveLength(1);
  lazy.send(ApiKey.Metadata, 12, { topics: null });
  expect(await endsWith(lazy)).toBeNull();
});

test("settings that cannot be kept are refused before anybody logs in, without their secrets", async () => {
  await start();
  const problem = (more: Readonly<Record<string, string>>): SecurityProblem => securityFrom(more) as SecurityProblem;
  const setting = "listener.name.plaintext.plain.sasl.jaas.config";
  expect(problem({ [setting]: 'Wrong required user_a="hush";' })).toMatchObject({ setting });
  expect(
    problem({ [setting]: 'org.apache.kafka.common.security.plain.PlainLoginModule required user_a="hush"' }).problem,
  ).toMatch(/cannot be read/);
  expect(JSON.stringify(problem({ [setting]: 'Wrong required user_a="hush";' }))).not.toContain("hush");
  expect(problem({ "sasl.enabled.mechanisms": "PLAIN,GSSAPI" }).problem).toContain("GSSAPI");
});
