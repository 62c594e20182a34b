// franz-go, a Go client that writes every feature of the record format and can be held to old protocol versions.
import { allCodecs, type CompatClient } from "../runner/client.ts";
import { goProgram } from "../runner/go.ts";

export const client: CompatClient = {
  name: "franz-go",
  codecs: allCodecs,
  omits: [],
  timestamps: true,
  phases: ["check", "read"],
  deadlineMs: 120_000,
  prepare: () => goProgram("franz-go"),
  member: (program) => program,
};
