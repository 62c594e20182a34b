// Apache Kafka's Java clients where a coordinator answers: consumer groups of both protocols, transactions, share groups.
import type { CompatClient } from "../runner/client.ts";
import { javaProgram } from "../runner/java.ts";

export const client: CompatClient = {
  name: "java-coordinators",
  codecs: [],
  omits: [],
  timestamps: true,
  phases: ["check"],
  deadlineMs: 240_000,
  prepare: () => javaProgram(["java-coordinators", "java"], "CoordinatorsMain"),
};
