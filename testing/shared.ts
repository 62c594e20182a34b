// Finds the golden data beside the project. Tests that need it skip with a clear message where it is absent.
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "shared");

/** The absolute path of a file in ../shared, whether or not it is there. */
export function sharedPath(relative: string): string {
  return join(root, relative);
}

/** For `describe.skipIf(missingShared)`: true, with one line on standard error, where ../shared is absent. */
export const missingShared = !existsSync(root);
if (missingShared) process.stderr.write("skipped: the golden data ../shared is not beside this checkout\n");
