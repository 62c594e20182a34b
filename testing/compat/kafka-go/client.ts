// kafka-go, a Go client.
import { allCodecs, type CompatClient } from "../runner/client.ts";
import { goProgram } from "../runner/go.ts";

export const client: CompatClient = {
  name: "kafka-go",
  codecs: allCodecs,
  omits: [],
  timestamps: true,
  phases: ["check", "read"],
  deadlineMs: 120_000,
  prepare: () => goProgram("kafka-go"),
};
