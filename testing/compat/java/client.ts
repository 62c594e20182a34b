// Apache Kafka's own Java clients: producer, assigned consumer, admin.
import { allCodecs, type CompatClient } from "../runner/client.ts";
import { javaProgram } from "../runner/java.ts";

export const client: CompatClient = {
  name: "java",
  codecs: allCodecs,
  omits: [],
  timestamps: true,
  phases: ["check", "read"],
  deadlineMs: 180_000,
  prepare: () => javaProgram(["java"], "Main"),
};
