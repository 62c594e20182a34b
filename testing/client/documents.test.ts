// The programs of docs/client, run as they stand there against a broker in this process, and what they print compared with what the page says.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as client from "@blumfeld/client";
import { type RunningBroker, startBroker } from "blumfeld";
import { transformSync } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";

const folder = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "docs", "client");
const names = Object.keys(client).filter((name) => /^[A-Z]/.test(name));

interface Example {
  readonly name: string;
  readonly code: string;
  readonly output: string;
}

function examplesOf(file: string): Example[] {
  const text = readFileSync(join(folder, file), "utf8");
  return [...text.matchAll(/```ts\n([\s\S]*?)```\n(?:\n```text\n([\s\S]*?)```)?/g)].map(([, code, output], at) => ({
    name: `${file}, program ${at + 1}`,
    code: code!,
    output: output ?? "",
  }));
}

const examples = readdirSync(folder)
  .filter((file) => file.endsWith(".md"))
  .flatMap(examplesOf);

let broker: RunningBroker;
beforeAll(async () => {
  broker = await startBroker({
    storage: "memory",
    port: 0,
    properties: {
      "group.share.min.heartbeat.interval.ms": 100,
      "group.share.heartbeat.interval.ms": 200,
      "group.consumer.min.heartbeat.interval.ms": 100,
      "group.consumer.heartbeat.interval.ms": 200,
    },
  });
});
afterAll(() => broker.close());

test("there are programs to run", () => {
  expect(examples.length).toBeGreaterThan(3);
});

test.each(examples)("$name", { timeout: 30_000 }, async ({ code, output }) => {
  const printed: string[] = [];
  const { code: script } = transformSync(`async () => {${code}}`, { loader: "ts", target: "node20" });
  const make = new Function("bootstrapServers", "console", ...names, `return ${script}`);
  const exported = client as unknown as Readonly<Record<string, unknown>>;
  const log = { log: (line: unknown) => printed.push(`${String(line)}\n`) };
  await make(broker.bootstrap, log, ...names.map((name) => exported[name]))();
  expect(printed.join("")).toBe(output);
});
