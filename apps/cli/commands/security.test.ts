// blum acl, blum user and --command-config, against a node in this process that asks for logins.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunningBroker, startBroker } from "blumfeld";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { CliIo } from "../io.ts";
import { runBlum } from "../main.ts";

const plain = "org.apache.kafka.common.security.plain.PlainLoginModule";
const scram = "org.apache.kafka.common.security.scram.ScramLoginModule";
let broker: RunningBroker;
let folder: string;

function writeConfig(name: string, mechanism: string, module: string, user: string, password: string): string {
  const path = join(folder, name);
  const jaas = `${module} required username="${user}" password="${password}";`;
  writeFileSync(path, `security.protocol=SASL_PLAINTEXT\nsasl.mechanism=${mechanism}\nsasl.jaas.config=${jaas}\n`);
  return path;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "blumfeld-cli-"));
  broker = await startBroker({
    storage: "memory",
    port: 0,
    properties: {
      "listener.security.protocol.map": "PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
      "inter.broker.listener.name": "PLAINTEXT",
      "sasl.mechanism.inter.broker.protocol": "PLAIN",
      "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
      "listener.name.plaintext.plain.sasl.jaas.config": `${plain} required user_admin="admin-secret";`,
      "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
      "super.users": "User:admin",
    },
  });
  writeConfig("admin.properties", "PLAIN", plain, "admin", "admin-secret");
  writeConfig("alice.properties", "SCRAM-SHA-512", scram, "alice", "alice-secret");
}, 30_000);

afterAll(async () => {
  await broker.close();
  rmSync(folder, { recursive: true, force: true });
});

async function blum(as: "admin" | "alice" | null, input: string, ...args: string[]) {
  const run = { out: "", error: "" };
  const io: CliIo = {
    out: (text) => {
      run.out += text;
    },
    error: (text) => {
      run.error += text;
    },
    input: (async function* () {
      yield Buffer.from(input);
    })(),
    isTerminal: false,
    columnCount: 100,
    environment: {
      BLUM_BOOTSTRAP: broker.bootstrap,
      ...(as === null ? {} : { BLUM_COMMAND_CONFIG: join(folder, `${as}.properties`) }),
    },
    onStopSignal: () => () => {},
    exit: (code) => {
      throw new Error(`exit ${code}`);
    },
  };
  return { code: await runBlum(args, io), ...run };
}

test("a user and entries, from nothing to reading", { timeout: 60_000 }, async () => {
  expect(await blum("admin", "", "topic", "create", "orders")).toMatchObject({ code: 0 });
  expect(await blum("admin", "alice-secret\n", "user", "set", "alice")).toMatchObject({ code: 0 });
  expect((await blum("admin", "", "user", "list")).out).toMatch(/alice +SCRAM-SHA-512 +4096/);
  expect((await blum("alice", "", "topic", "list")).out).not.toContain("orders");
  expect((await blum("alice", "hello\n", "produce", "orders")).code).toBe(1);

  expect(await blum("admin", "", "acl", "add", "allow", "User:alice", "read,write", "topic:ord*")).toMatchObject({
    code: 0,
  });
  expect(
    await blum("admin", "", "acl", "add", "deny", "User:bob", "all", "topic:orders", "--host", "10.0.0.7"),
  ).toMatchObject({
    code: 0,
  });
  expect(await blum("alice", "hello\n", "produce", "orders")).toMatchObject({
    code: 0,
    error: expect.not.stringContaining("AUTH"),
  });
  expect((await blum("alice", "", "consume", "orders", "--count", "1")).out).toBe("hello\n");

  const listed = await blum("admin", "", "acl", "list", "topic:orders");
  expect(listed.out.split("\n").slice(1, 4)).toEqual([
    expect.stringMatching(/^topic:ord\* +User:alice +allow +read +everywhere/),
    expect.stringMatching(/^topic:ord\* +User:alice +allow +write +everywhere/),
    expect.stringMatching(/^topic:orders +User:bob +deny +all +10\.0\.0\.7/),
  ]);
  const who = JSON.parse((await blum("admin", "", "acl", "who-can", "describe", "topic:orders", "--json")).out);
  expect(who.allowed).toEqual([{ principal: "User:alice", host: "*" }]);

  expect((await blum("admin", "", "acl", "remove", "topic:ord*", "--principal", "User:alice")).out).toContain(
    "User:alice",
  );
  expect((await blum("alice", "hello\n", "produce", "orders")).code).toBe(1);
});

test("what cannot be done says how it is done", { timeout: 60_000 }, async () => {
  expect((await blum("admin", "", "acl", "remove")).error).toContain("every entry");
  expect((await blum("admin", "", "acl", "add", "allow", "User:a", "fly", "topic:x")).error).toContain(
    "fly is no operation",
  );
  expect((await blum("admin", "", "acl", "add", "allow", "User:a", "read", "planet:x")).error).toContain(
    "planet:x is no resource",
  );
  expect((await blum("admin", "\n", "user", "set", "bob")).error).toContain("BLUM_PASSWORD");
  const wrong = writeConfig("wrong.properties", "PLAIN", plain, "admin", "guess-me");
  const refused = await blum(null, "", "topic", "list", "--command-config", wrong);
  expect(refused.error).toContain("SASL_AUTHENTICATION_FAILED");
  expect(refused.error).not.toContain("guess-me");
  const missing = await blum(null, "", "topic", "list", "--command-config", join(folder, "none"));
  expect(missing).toMatchObject({ code: 2, error: expect.stringContaining("cannot be read") });
});
