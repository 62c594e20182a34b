// Each rule on the smallest file that breaks it, and on one that does not.
import { expect, test } from "vitest";
import { houseFindings } from "./house.ts";
import { importFindings } from "./imports.ts";
import { projectFindings } from "./project.ts";

const opening = "// What it is.\n";
const rulesOf = (path: string, text: string): string[] => houseFindings({ path, text }).map(({ rule }) => rule);
const importsOf = (path: string, ...names: string[]): string[] =>
  importFindings({ path, text: names.map((name) => `import "${name}";`).join("\n") }).map(({ message }) => message);

test.each([
  ["core/log/segment.ts", "node:fs"],
  ["core/log/segment.ts", "@blumfeld/host/disk"],
  ["core/log/segment.ts", "../quorum/index.ts"],
  ["core/log/segment.ts", "../model/record-batch.ts"],
  ["host/disk/file-disk.ts", "@blumfeld/broker"],
  ["broker/router.ts", "@blumfeld/client"],
  ["broker/router.ts", "../client/index.ts"],
  ["broker/router.ts", "node:net"],
  ["broker/router.ts", "blumfeld"],
  ["client/index.ts", "@blumfeld/broker"],
  ["platform/streams/index.ts", "@blumfeld/broker"],
  ["apps/cli/main.ts", "../../testing/shared.ts"],
  ["apps/server/node.ts", "node:fs"],
])("%s may not import %s", (path, name) => {
  expect(importsOf(path, name)).toHaveLength(1);
});

test.each([
  ["core/log/segment.ts", "node:zlib"],
  ["core/log/segment.ts", "../model/index.ts"],
  ["core/log/segment.ts", "./offset-index.ts"],
  ["core/log/segment.test.ts", "../../testing/shared.ts"],
  ["core/log/segment.test.ts", "node:fs"],
  ["core/log/segment.test.ts", "@blumfeld/host/disk"],
  ["core/log/log-config.ts", "../model/settings/index.ts"],
  ["host/disk/file-disk.ts", "node:fs"],
  ["broker/router.ts", "@blumfeld/core/protocol"],
  ["platform/streams/index.ts", "@blumfeld/client"],
  ["apps/cli/main.ts", "commander"],
  ["testing/fuzz/main.ts", "node:net"],
])("%s may import %s", (path, name) => {
  expect(importsOf(path, name)).toEqual([]);
});

test("the message of a refused import carries the reason", () => {
  expect(importsOf("core/quorum/voter.ts", "node:fs")[0]).toContain("simulated from one seed");
});

test("type-only and dynamic imports count", () => {
  const text = 'import type { Broker } from "@blumfeld/broker";\nconst later = import("@blumfeld/broker");\n';
  expect(importFindings({ path: "client/pool.ts", text }).map(({ line }) => line)).toEqual([1, 2]);
});

test("core may not take time or chance from the world", () => {
  const uses = [
    "Date.now()",
    "Math.random()",
    "performance.now()",
    "process.env.HOME",
    "setTimeout(stop, 1)",
    "new Date()",
  ];
  for (const use of uses) {
    expect(rulesOf("core/log/clock.ts", `${opening}const a = ${use};\n`), use).toEqual(["pure-core"]);
    expect(rulesOf("host/process/clock.ts", `${opening}const a = ${use};\n`), use).toEqual([]);
    expect(rulesOf("core/log/clock.test.ts", `${opening}const a = ${use};\n`), use).toEqual([]);
    expect(rulesOf("core/log/clock.ts", `${opening}// ${use}\nconst a = ${JSON.stringify(use)};\n`), use).toEqual([]);
  }
  expect(rulesOf("core/log/clock.ts", `${opening}const a = new Date(5);\n`)).toEqual([]);
});

test("sizes, names, openings, exports, unfinished words, paths", () => {
  const path = "broker/router.ts";
  expect(rulesOf(path, `${opening}${"a();\n".repeat(600)}`)).toEqual(["file-length"]);
  expect(rulesOf(path, `${opening}${"a();\n".repeat(599)}`)).toEqual(["file-length"]);
  expect(rulesOf(path, `${opening}${"a();\n".repeat(399)}`)).toEqual([]);
  expect(rulesOf("core/protocol/generated/fetch.ts", `${"a();\n".repeat(900)}`)).toEqual([]);
  expect(rulesOf("broker/theRouter.ts", opening)).toEqual(["file-name"]);
  expect(rulesOf("broker/handlers/00-produce.ts", opening)).toEqual([]);
  expect(rulesOf(path, "a();\n")).toEqual(["opening"]);
  expect(rulesOf(path, `${opening}export default a;\n`)).toEqual(["default-export"]);
  expect(rulesOf(path, `${opening}// ${"TO"}DO more\n`)).toEqual(["unfinished"]);
  expect(rulesOf(path, `${opening}const a = "${"/home"}/someone/x";\n`)).toEqual(["machine-path"]);
  expect(rulesOf(path, `${opening}function long() {\n${"a();\n".repeat(70)}}\n`)).toEqual(["function-length"]);
});

test("the project: lock file, README, documents", () => {
  const files = [
    { path: "package-lock.json", text: '{\n"resolved": "https://registry.example/a.tgz"\n}' },
    { path: "README.md", text: "npm ci && npm test" },
    { path: "docs/configuration.md", text: "`log.dirs`" },
    { path: "docs/errors.md", text: "" },
    { path: "docs/metrics.md", text: "`known_total`" },
    { path: "broker/a.ts", text: 'meter.counter("known_total", "x"); meter.gauge(\n  "unknown_bytes", "x", read);' },
  ];
  const found = projectFindings(files, { settingNames: ["log.dirs", "node.id"], errorNames: [] }).map(
    ({ file, message }) => `${file}: ${message}`,
  );
  expect(found).toEqual([
    expect.stringContaining("names a registry's host"),
    "README.md: lacks the command npm ci && npm start",
    "docs/configuration.md: says nothing of the setting node.id",
    "docs/metrics.md: says nothing of the metric unknown_bytes",
  ]);
});
