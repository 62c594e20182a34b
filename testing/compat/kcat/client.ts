// kcat, from Debian's package of that name, run by a program of ours.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { requireTool } from "../runner/cache.ts";
import { allCodecs, type CompatClient } from "../runner/client.ts";
import { mustRun, run } from "../runner/process.ts";

const here = dirname(fileURLToPath(import.meta.url));

async function install(): Promise<void> {
  if ((await run("kcat", ["-V"], { deadlineMs: 10_000 })).code === 0) return;
  await requireTool(
    "apt-get",
    ["--version"],
    "kcat comes from Debian's package of that name; install it by hand on other systems",
  );
  const fetched = await run("apt-get", ["install", "-y", "-q", "--no-install-recommends", "kcat"], {
    env: { DEBIAN_FRONTEND: "noninteractive" },
  });
  if (fetched.code !== 0) {
    await mustRun("apt-get", ["update", "-q"]);
    await mustRun("apt-get", ["install", "-y", "-q", "--no-install-recommends", "kcat"], {
      env: { DEBIAN_FRONTEND: "noninteractive" },
    });
  }
}

export const client: CompatClient = {
  name: "kcat",
  codecs: allCodecs,
  // Keys and headers are arguments of a command line; an empty message is either null or empty, both as key and as value.
  omits: ["binaryKey", "binaryHeader", "emptyKey", "nullHeader"],
  partitions: 1,
  timestamps: false,
  phases: ["check", "read"],
  deadlineMs: 120_000,
  async prepare() {
    await install();
    return { command: process.execPath, args: [join(here, "main.mjs")] };
  },
};
