import { describe, expect, test } from "vitest";
import {
  adminOptionsFromProperties,
  consumerOptionsFromProperties,
  producerOptionsFromProperties,
} from "./properties.ts";

const servers = { "bootstrap.servers": "a:1,b:2" };

describe("Java's names", () => {
  test("of a producer, with what changes nothing told", () => {
    const source = {
      ...servers,
      "linger.ms": 7,
      acks: "1",
      "compression.type": "zstd",
      "compression.zstd.level": 9,
      "compression.lz4.level": 4,
      "key.serializer": "org.apache.kafka.common.serialization.StringSerializer",
      "metric.reporters": "x",
    };
    expect(producerOptionsFromProperties(source)).toEqual({
      options: { bootstrapServers: ["a:1", "b:2"], lingerMs: 7, acks: 1, compression: "zstd", compressionLevel: 9 },
      ignored: ["metric.reporters"],
    });
  });

  test("of a transactional producer", () => {
    const source = { ...servers, "transactional.id": "t", "transaction.timeout.ms": "5000" };
    expect(producerOptionsFromProperties(source).options).toEqual({
      bootstrapServers: ["a:1", "b:2"],
      transactionalId: "t",
      transactionTimeoutMs: 5000,
    });
  });

  test("of a consumer in a group", () => {
    const source = {
      ...servers,
      "group.id": "billing",
      "auto.offset.reset": "by_duration:P1DT2H3M4S",
      "isolation.level": "READ_COMMITTED".toLowerCase(),
      "enable.auto.commit": "false",
      "partition.assignment.strategy": "org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
    };
    expect(consumerOptionsFromProperties(source).options).toEqual({
      bootstrapServers: ["a:1", "b:2"],
      groupId: "billing",
      autoOffsetReset: { byDurationMs: 93_784_000 },
      isolationLevel: "read_committed",
      autoCommit: false,
      assignors: ["cooperative-sticky"],
    });
  });

  test("of an admin client", () => {
    expect(adminOptionsFromProperties({ ...servers, "request.timeout.ms": "5" }).options).toEqual({
      bootstrapServers: ["a:1", "b:2"],
      requestTimeoutMs: 5,
    });
  });
});

test.each([
  [{ ...servers, "linge.ms": 7 }, /did you mean linger.ms/],
  [{ ...servers, "linger.ms": -7 }, /linger.ms=-7/],
  [{ ...servers, "linger.ms": "soon" }, /linger.ms=soon/],
  [{}, /bootstrap.servers/],
  [{ ...servers, "security.protocol": "SSL" }, /security.protocol=SSL is not supported/],
  [{ ...servers, "interceptor.classes": "a.B" }, /interceptor.classes=a.B is not supported/],
] as const)("%j is refused by name", (source, message) => {
  expect(() => producerOptionsFromProperties(source)).toThrow(message);
});
