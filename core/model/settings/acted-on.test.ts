// The table of what is acted on, held to the code: a setting that counts as acted on is read somewhere in what ships, and one that is read
// counts as acted on, but for those that are only passed on.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { namesActedOn } from "./acted-on.ts";
import { brokerDefinitions, groupDefinitions, topicDefinitions } from "./definitions.ts";
import { topicSynonyms } from "./synonyms.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
/** Tables about settings, and a node's own rules, which judge settings and do not act on them. */
const tables =
  /settings\/((.*-)?definitions|acted-on|update-modes|synonyms|node-(limit-)?rules|topic-rules|described-setting)\.ts$|apps\/cli\//;

function shippedSource(): string {
  let text = "";
  for (const layer of ["core", "host", "broker", "apps"]) {
    for (const { name, parentPath } of readdirSync(join(root, layer), { recursive: true, withFileTypes: true })) {
      const path = join(parentPath, name);
      if (!name.endsWith(".ts") || /\.(test|golden)\./.test(name) || path.includes("node_modules") || tables.test(path))
        continue;
      text += readFileSync(path, "utf8");
    }
  }
  // Two-part names are read through their shape.
  return (
    text +
    readFileSync(join(root, "core/model/settings/node-rules.ts"), "utf8")
      .split("function shapeNode")[1]!
      .split("return problems")[0]!
  );
}

/** Read, and given on to somebody who does nothing with them yet; or read only to be refused. */
const passedOn = new Set([
  "local.retention.bytes",
  "local.retention.ms",
  "remote.log.copy.disable",
  "remote.log.delete.on.disable",
  "remote.storage.enable",
  "share.coordinator.state.topic.min.isr",
  "share.coordinator.state.topic.num.partitions",
  "share.coordinator.state.topic.replication.factor",
  "share.coordinator.state.topic.segment.bytes",
]);

test("what counts as acted on is read, and what is read counts", () => {
  const source = shippedSource();
  const all: Record<string, { internal: boolean }> = { ...brokerDefinitions, ...topicDefinitions, ...groupDefinitions };
  const acted = namesActedOn();
  const brokerForms = new Set(
    Object.entries(topicSynonyms).flatMap(([topic, synonyms]) =>
      acted.has(topic) ? synonyms.map(({ name }) => name) : [],
    ),
  );
  const shape = new Set([
    "node.id",
    "broker.id",
    "process.roles",
    "inter.broker.listener.name",
    "security.inter.broker.protocol",
    "listener.security.protocol.map",
  ]);
  // As an argument, not as the key of a table.
  const isArgument = (name: string): boolean => new RegExp(`"${name.replaceAll(".", "\\.")}"\\s*[,)]`).test(source);
  const isRead = (name: string): boolean => isArgument(name) || brokerForms.has(name) || shape.has(name);
  expect([...acted].filter((name) => !isRead(name))).toEqual([]);
  const unlisted = Object.keys(all).filter((name) => !all[name]!.internal && isArgument(name) && !acted.has(name));
  expect(
    unlisted.filter((name) => !passedOn.has(name)),
    "list them in acted-on.ts",
  ).toEqual([]);
});
