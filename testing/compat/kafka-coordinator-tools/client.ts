// Apache Kafka's command line tools for groups and transactions, in one JVM: what they print of our broker is what they print of Apache
// Kafka in the same state, which expected-*.txt holds.
import { join } from "node:path";
import { compatDir } from "../runner/cache.ts";
import type { CompatClient } from "../runner/client.ts";
import { javaProgram } from "../runner/java.ts";

const folder = "kafka-coordinator-tools";

export const clients: readonly CompatClient[] = ["groups", "transactions"].map((area) => ({
  name: `kafka-tools-${area}`,
  folder,
  codecs: [],
  omits: [],
  timestamps: true,
  phases: ["check"],
  deadlineMs: 240_000,
  async prepare() {
    const program = await javaProgram([folder, "kafka-tools", "java"], "CoordinatorToolsMain", { streams: true });
    return { ...program, args: [...program.args, area, join(compatDir, folder, `expected-${area}.txt`)] };
  },
}));
