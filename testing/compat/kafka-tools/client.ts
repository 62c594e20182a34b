// Apache Kafka's own command line tools, in one JVM: against the running broker, and over its data directory once it has stopped.
import type { CompatClient } from "../runner/client.ts";
import { javaProgram } from "../runner/java.ts";

export const client: CompatClient = {
  name: "kafka-tools",
  codecs: [],
  omits: [],
  timestamps: true,
  phases: ["check", "dump"],
  deadlineMs: 240_000,
  prepare: () => javaProgram(["kafka-tools", "java"], "ToolsMain"),
};
