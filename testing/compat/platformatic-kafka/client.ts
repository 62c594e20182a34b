// @platformatic/kafka. It wants a newer Node than the product does, so that it runs by a Node from the npm registry where this one is
// too old.
import { chmodSync } from "node:fs";
import { dirname, join } from "node:path";
import { allCodecs, type CompatClient } from "../runner/client.ts";
import { npmProgram } from "../runner/npm.ts";

const nodeVersion = "24.9.0";

function isNewEnough(): boolean {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  return major > 24 || (major === 24 && minor >= 6) || (major === 22 && minor >= 22);
}

export const client: CompatClient = {
  name: "platformatic-kafka",
  codecs: allCodecs,
  omits: [],
  timestamps: true,
  phases: ["check", "read"],
  deadlineMs: 120_000,
  async prepare() {
    const own = isNewEnough();
    const nodePackage = `node-linux-${process.arch}`;
    const dir = await npmProgram("platformatic-kafka", {
      "@platformatic/kafka": "2.12.1",
      ...(own ? {} : { [nodePackage]: nodeVersion }),
    });
    const node = own ? process.execPath : join(dir, "node_modules", nodePackage, "bin", "node");
    if (!own) chmodSync(node, 0o755);
    return { command: node, args: [join(dir, "main.mjs")] };
  },
  member: (program) => ({ ...program, args: [join(dirname(program.args[0]!), "member.mjs")] }),
};
