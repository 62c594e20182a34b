// The runner's cache of everything fetched from package registries. An entry is complete or absent: it is made in its folder and marked
// with a stamp at the end, and a stamp of another recipe makes it anew.
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "./process.ts";

const here = dirname(fileURLToPath(import.meta.url));

/** The folder testing/compat. */
export const compatDir = dirname(here);
/** The project's root. */
export const projectDir = dirname(dirname(compatDir));
/** Where everything fetched lies: testing/compat/.work, or BLUMFELD_COMPAT_CACHE. */
export const cacheDir = resolve(process.env.BLUMFELD_COMPAT_CACHE ?? join(compatDir, ".work"));

const lockAgeMsMax = 15 * 60_000;

async function withLock<T>(file: string, body: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      mkdirSync(file);
      break;
    } catch {
      // Another run fills this entry. A lock older than any install can take was left behind by a run that was killed.
      if (existsSync(file) && Date.now() - statSync(file).mtimeMs > lockAgeMsMax)
        rmSync(file, { recursive: true, force: true });
      else await new Promise((wake) => setTimeout(wake, 300));
    }
  }
  try {
    return await body();
  } finally {
    rmSync(file, { recursive: true, force: true });
  }
}

/**
 * The folder of a cache entry; `install` fills it when it is absent or was made by another recipe.
 * @param recipe any text that changes when the entry must be made anew: versions, or the content of a lock file.
 */
export async function cached(name: string, recipe: string, install: (dir: string) => Promise<void>): Promise<string> {
  const dir = join(cacheDir, name);
  const stamp = join(dir, ".complete");
  const complete = (): boolean => existsSync(stamp) && readFileSync(stamp, "utf8") === recipe;
  if (complete()) return dir;
  mkdirSync(cacheDir, { recursive: true });
  return withLock(`${dir}.lock`, async () => {
    if (complete()) return dir;
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(dir, { recursive: true });
    await install(dir);
    writeFileSync(stamp, recipe);
    return dir;
  });
}

/** Throws with a sentence that names what is missing and where it comes from, unless `command` can be run. */
export async function requireTool(command: string, args: readonly string[], hint: string): Promise<void> {
  const result = await run(command, args, { deadlineMs: 60_000 });
  if (result.code === 127) throw new Error(`${command} is not installed: ${hint}`);
  if (result.code !== 0) throw new Error(`${command} ${args.join(" ")} failed:\n${result.output.slice(-1000)}`);
}
