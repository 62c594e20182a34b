// Apache Kafka's Java clients where a coordinator answers: consumer groups of both protocols, transactions, share groups. One program,
// three names, so that each can be run alone.
import type { CompatClient } from "../runner/client.ts";
import { javaProgram } from "../runner/java.ts";

export const clients: readonly CompatClient[] = ["groups", "transactions", "share-groups"].map((area) => ({
  name: `java-${area}`,
  folder: "java-coordinators",
  codecs: [],
  omits: [],
  timestamps: true,
  phases: ["check"],
  deadlineMs: 180_000,
  async prepare() {
    const program = await javaProgram(["java-coordinators", "java"], "CoordinatorsMain");
    return { ...program, args: [...program.args, area] };
  },
}));
