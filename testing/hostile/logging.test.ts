// ../shared/design/hostile-inputs.md, the rule for all: one rate-limited log line without payload or secret.
import type { Logger } from "@blumfeld/core/base";
import { startBroker } from "blumfeld";
import { expect, test } from "vitest";
import { WireConnection } from "../wire/index.ts";
import { framed, header } from "./bytes.ts";

const secret = "correct-horse-battery-staple";
const attempts = 300;

test("hundreds of bad frames of a few kinds give a few lines, and none quotes what was sent", async () => {
  const lines: string[] = [];
  const write = (fields: object, message: string): void => void lines.push(`${message} ${JSON.stringify(fields)}`);
  const logger: Logger = { debug: () => {}, info: () => {}, warn: write, error: write, child: () => logger };
  await using broker = await startBroker({ storage: "memory", port: 0, logger });
  const hostile = [
    Buffer.from(`GET /${secret} HTTP/1.1\r\n\r\n`),
    framed(header(3, 99), Buffer.from(secret)),
    framed(header(999, 0), Buffer.from(secret)),
    framed(header(3, 4), "7fffffff", Buffer.from(secret)),
  ];
  for (let i = 0; i < attempts; i++) {
    const connection = await WireConnection.open(broker.port);
    connection.write(hostile[i % hostile.length]!);
    await connection.ended();
    connection.destroy();
  }
  expect(lines.length).toBeGreaterThan(0);
  expect(lines.length).toBeLessThan(20);
  expect(lines.filter((line) => line.includes(secret))).toEqual([]);
});
