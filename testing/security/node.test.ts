// A whole node that asks who somebody is and looks up what they may do: passwords and entries come through the admin client, as a person's would.
import { Admin, Consumer, Producer, type SaslOptions } from "@blumfeld/client";
import { type RunningBroker, startBroker } from "blumfeld";
import { afterEach, beforeEach, expect, test } from "vitest";

const plain = "org.apache.kafka.common.security.plain.PlainLoginModule";
const admin: SaslOptions = { mechanism: "PLAIN", username: "admin", password: "admin-secret" };
const alice: SaslOptions = { mechanism: "SCRAM-SHA-512", username: "alice", password: "alice-secret" };

let broker: RunningBroker;
let closers: (() => Promise<void>)[];

beforeEach(async () => {
  closers = [];
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
});

afterEach(async () => {
  for (const close of closers.reverse()) await close();
  await broker.close();
});

function adminAs(sasl: SaslOptions): Admin {
  const client = new Admin({ bootstrapServers: broker.bootstrap, sasl, apiTimeoutMs: 5000 });
  closers.push(() => client.close());
  return client;
}

function producerAs(sasl: SaslOptions): Producer {
  const client = new Producer({
    bootstrapServers: broker.bootstrap,
    sasl,
    deliveryTimeoutMs: 5000,
    requestTimeoutMs: 2000,
  });
  closers.push(() => client.close());
  return client;
}

test("nothing before an entry allows it; what is denied stays denied; taking the entry away closes again", async () => {
  const root = adminAs(admin);
  await root.createTopic({ name: "orders", partitions: 1 });
  const [set] = await root.setUserPasswords([{ name: "alice", password: "alice-secret" }]);
  expect(set).toEqual({ name: "alice", error: null });
  expect(await root.describeUsers()).toEqual([
    { name: "alice", credentials: [{ mechanism: "SCRAM-SHA-512", iterations: 4096 }] },
  ]);

  const producer = producerAs(alice);
  await expect(producer.send({ topic: "orders", value: "1" })).rejects.toMatchObject({
    code: "TOPIC_AUTHORIZATION_FAILED",
  });
  expect(await adminAs(alice).listTopics()).toEqual([]);

  const acl = {
    resourceType: "topic",
    resourceName: "ord",
    patternType: "prefixed",
    principal: "User:alice",
    host: "*",
    permission: "allow",
  } as const;
  const created = await root.createAcls([
    { ...acl, operation: "write" },
    { ...acl, operation: "write" },
    { ...acl, operation: "read", permission: "deny" },
    { ...acl, operation: "read", principal: "alice" },
  ]);
  expect(created.map(({ error }) => error?.code ?? null)).toEqual([null, null, null, "INVALID_REQUEST"]);
  expect(await root.describeAcls({ resourceType: "topic", resourceName: "orders", patternType: "match" })).toHaveLength(
    2,
  );

  await producer.send({ topic: "orders", value: "2" });
  const consumer = new Consumer({
    ...{ bootstrapServers: broker.bootstrap, sasl: alice, autoOffsetReset: "earliest", apiTimeoutMs: 3000 },
  });
  closers.push(() => consumer.close());
  await consumer.assign([{ topic: "orders", partition: 0 }]);
  await expect(consumer[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "TOPIC_AUTHORIZATION_FAILED" });

  const [refused] = await adminAs(alice).createAcls([{ ...acl, operation: "all" }]);
  expect(refused!.error?.code).toBe("CLUSTER_AUTHORIZATION_FAILED");
  const [gone] = await root.deleteAcls([{ principal: "User:alice", permission: "allow" }]);
  expect(gone!.acls).toHaveLength(1);
  await expect(producer.send({ topic: "orders", value: "3" })).rejects.toMatchObject({
    code: "TOPIC_AUTHORIZATION_FAILED",
  });
});

test("a password that is changed counts at the next login, one that is taken away never again", async () => {
  const root = adminAs(admin);
  await root.setUserPasswords([{ name: "alice", password: "alice-secret" }]);
  await adminAs(alice).listTopics();
  await root.setUserPasswords([{ name: "alice", password: "other" }]);
  await expect(adminAs(alice).listTopics()).rejects.toMatchObject({ code: "SASL_AUTHENTICATION_FAILED" });
  await adminAs({ ...alice, password: "other" }).listTopics();
  await root.deleteUserPasswords([{ name: "alice", mechanism: "SCRAM-SHA-512" }]);
  await expect(adminAs({ ...alice, password: "other" }).listTopics()).rejects.toMatchObject({
    code: "SASL_AUTHENTICATION_FAILED",
  });
});
