// Builds the Go programs of the compat folder, with module and build caches of the runner's own.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cacheDir, cached, compatDir, requireTool } from "./cache.ts";
import type { Program } from "./client.ts";
import { mustRun } from "./process.ts";

/** The program in testing/compat/<folder>, built against its pinned modules and the shared package in testing/compat/go. */
export async function goProgram(folder: string): Promise<Program> {
  const dir = join(compatDir, folder);
  const hash = createHash("sha256");
  for (const source of [dir, join(compatDir, "go")]) {
    const names = readdirSync(source).filter((name) => /\.(go|mod|sum)$/.test(name));
    for (const name of names.sort()) hash.update(name).update(readFileSync(join(source, name)));
  }
  const built = await cached(`${folder}-program`, hash.digest("hex"), async (target) => {
    await requireTool(
      "go",
      ["version"],
      "Go 1.26 or newer is needed (https://go.dev/dl, or Debian: apt-get install golang)",
    );
    const env = {
      GOMODCACHE: join(cacheDir, "go-modules"),
      GOCACHE: join(cacheDir, "go-build"),
      GOFLAGS: "-modcacherw -buildvcs=false",
      GOWORK: "off",
    };
    if (!existsSync(join(dir, "go.sum"))) await mustRun("go", ["mod", "tidy"], { cwd: dir, env });
    await mustRun("go", ["build", "-o", join(target, folder), "."], { cwd: dir, env });
  });
  return { command: join(built, folder), args: [] };
}
