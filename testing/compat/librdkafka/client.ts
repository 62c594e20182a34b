// librdkafka, as the Python package confluent-kafka carries it, in a virtual environment of its own.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { cached, compatDir, requireTool } from "../runner/cache.ts";
import { allCodecs, type CompatClient } from "../runner/client.ts";
import { mustRun } from "../runner/process.ts";

const folder = join(compatDir, "librdkafka");

export const client: CompatClient = {
  name: "librdkafka",
  codecs: allCodecs,
  omits: [],
  timestamps: true,
  phases: ["check", "read"],
  deadlineMs: 120_000,
  async prepare() {
    const requirements = join(folder, "requirements.txt");
    const environment = await cached("librdkafka-venv", readFileSync(requirements, "utf8"), async (target) => {
      await requireTool(
        "python3",
        ["-m", "venv", "--help"],
        "Python 3 with venv is needed (Debian: apt-get install python3-venv)",
      );
      await mustRun("python3", ["-m", "venv", join(target, "venv")]);
      await mustRun(join(target, "venv", "bin", "pip"), [
        "install",
        "-q",
        "--only-binary",
        ":all:",
        "-r",
        requirements,
      ]);
    });
    const env = { PYTHONDONTWRITEBYTECODE: "1" };
    return { command: join(environment, "venv", "bin", "python"), args: [join(folder, "main.py")], env };
  },
  member: (program) => ({ ...program, args: [join(folder, "member.py")] }),
};
