// Installs npm packages for a JavaScript program into the cache, and puts the program beside them, where its imports find them.
import { copyFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cached, compatDir } from "./cache.ts";
import { mustRun } from "./process.ts";

/** The folder with main.mjs, what it shares with others, and node_modules. Packages' install scripts do not run. */
export async function npmProgram(folder: string, dependencies: Readonly<Record<string, string>>): Promise<string> {
  const manifest = JSON.stringify({ name: `compat-${folder}`, private: true, type: "module", dependencies }, null, 1);
  const dir = await cached(`${folder}-npm`, manifest, async (target) => {
    writeFileSync(join(target, "package.json"), manifest);
    const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--engine-strict=false"];
    await mustRun("npm", ["install", ...quiet, "--no-workspaces"], { cwd: target });
  });
  for (const name of readdirSync(join(compatDir, folder)))
    if (name.endsWith(".mjs")) copyFileSync(join(compatDir, folder, name), join(dir, name));
  for (const name of ["checks.mjs", "member-events.mjs"]) copyFileSync(join(compatDir, "js", name), join(dir, name));
  return dir;
}
