// kafkajs. Its consumer always belongs to a (classic) group. Codecs other than gzip are plugins.
import { dirname, join } from "node:path";
import { allCodecs, type CompatClient } from "../runner/client.ts";
import { npmProgram } from "../runner/npm.ts";

export const client: CompatClient = {
  name: "kafkajs",
  codecs: allCodecs,
  // It measures a null header value as if it were text, and fails.
  omits: ["nullHeader"],
  timestamps: true,
  phases: ["check", "read"],
  deadlineMs: 120_000,
  async prepare() {
    const dependencies = {
      kafkajs: "2.2.4",
      "kafkajs-snappy": "1.1.0",
      "lz4-napi": "2.10.0",
      "@toondepauw/node-zstd": "2.0.0",
    };
    const dir = await npmProgram("kafkajs", dependencies);
    return { command: process.execPath, args: [join(dir, "main.mjs")], env: { KAFKAJS_NO_PARTITIONER_WARNING: "1" } };
  },
  member: (program) => ({ ...program, args: [join(dirname(program.args[0]!), "member.mjs")] }),
};
