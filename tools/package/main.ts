// npm run package [-- DIRECTORY]: the packages as npm would publish them, each a folder and a tarball, in dist/packages or where one says.
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { assemble } from "./assemble.ts";
import { publishedPackages } from "./packages.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const target = resolve(process.argv[2] ?? join(root, "dist", "packages"));
mkdirSync(target, { recursive: true });
for (const wanted of publishedPackages) {
  const directory = join(target, wanted.name.replace("@", "").replace("/", "-"));
  await assemble(root, wanted, directory);
  const packed = spawnSync("npm", ["pack", "--silent", "--pack-destination", target], {
    cwd: directory,
    encoding: "utf8",
  });
  if (packed.status !== 0) throw new Error(`npm pack of ${wanted.name} failed: ${packed.stderr}`);
  process.stdout.write(`${join(target, packed.stdout.trim())}\n`);
}
