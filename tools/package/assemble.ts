// Puts one package together in a directory: bundle, declarations, package.json, licence. What npm would publish, and nothing that it does not need.
import { chmodSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { declarationsOf, textOf, workspaces, writeFiles } from "./declarations.ts";
import type { PublishedPackage } from "./packages.ts";

const manifestText = (root: string, workspace: string) =>
  JSON.parse(textOf(root, `${workspace}/package.json`)) as {
    readonly version: string;
    readonly engines: Readonly<Record<string, string>>;
    readonly dependencies?: Readonly<Record<string, string>>;
  };

/** The packages outside the workspaces that any of those uses, with the versions that they ask for. */
function outsideDependencies(root: string, used: readonly string[]): Record<string, string> {
  const all: Record<string, string> = {};
  for (const workspace of used) {
    for (const [name, version] of Object.entries(manifestText(root, workspace).dependencies ?? {}))
      if (!name.startsWith("@blumfeld/") && name !== "blumfeld") all[name] = version;
  }
  return all;
}

/** Empties `directory` and fills it. */
export async function assemble(root: string, wanted: PublishedPackage, directory: string): Promise<void> {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const names = Object.fromEntries(Object.entries(wanted.entries).map(([as, file]) => [entryName(as), file]));
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: Object.fromEntries(
      [...Object.entries(names), ...Object.entries(wanted.commands)].map(([name, file]) => [name, join(root, file)]),
    ),
    outdir: join(directory, "lib"),
    outExtension: { ".js": ".mjs" },
    ...{ bundle: true, splitting: true, format: "esm", platform: "node", target: "node20", logLevel: "warning" },
    ...{ metafile: true, external: Object.keys(outsideDependencies(root, workspaces)) },
    banner: { js: bannerRequire },
  });
  const { files, dependencies: typed } = declarationsOf(root, Object.values(wanted.entries));
  writeFiles(directory, files);
  // Whole workspaces: codecs are loaded when they are first needed, which no bundler sees.
  const inputs = Object.keys(metafile.inputs);
  const used = workspaces.filter((workspace) => inputs.some((path) => path.startsWith(`${workspace}/`)));
  const dependencies = outsideDependencies(root, used);
  const unnamed = [...typed].filter((name) => !(name in dependencies));
  if (unnamed.length > 0)
    throw new Error(`the types of ${wanted.name} name packages that it does not depend on: ${unnamed}`);
  writeManifest(root, wanted, directory, dependencies);
  writeCommands(wanted, directory);
  writeFileSync(join(directory, "LICENSE"), textOf(root, "LICENSE"));
}

const bannerRequire =
  'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);';

/** "." → "index", "./assert" → "assert". */
function entryName(as: string): string {
  return as === "." ? "index" : as.replace(/^\.\//, "");
}

function writeManifest(
  root: string,
  wanted: PublishedPackage,
  directory: string,
  dependencies: Readonly<Record<string, string>>,
): void {
  const { engines, version } = manifestText(root, "apps/server");
  const exports = Object.fromEntries(
    Object.entries(wanted.entries).map(([as, file]) => [
      as,
      { types: `./types/${file.replace(/\.ts$/, ".d.ts")}`, default: `./lib/${entryName(as)}.mjs` },
    ]),
  );
  const bin = Object.fromEntries(Object.keys(wanted.commands).map((name) => [name, `./bin/${name}.mjs`]));
  const manifest = {
    name: wanted.name,
    version,
    description: wanted.description,
    keywords: wanted.keywords,
    license: "Apache-2.0",
    type: "module",
    engines,
    exports,
    ...(Object.keys(bin).length > 0 ? { bin } : {}),
    files: readdirSync(directory).concat(Object.keys(bin).length > 0 ? ["bin"] : []),
    dependencies,
    // Buffers are in the public types.
    peerDependencies: { "@types/node": ">=20.19" },
    peerDependenciesMeta: { "@types/node": { optional: true } },
  };
  writeFileSync(join(directory, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
}

function writeCommands(wanted: PublishedPackage, directory: string): void {
  for (const name of Object.keys(wanted.commands)) {
    mkdirSync(join(directory, "bin"), { recursive: true });
    const file = join(directory, "bin", `${name}.mjs`);
    writeFileSync(file, `#!/usr/bin/env node\nimport { main } from "../lib/${name}.mjs";\nawait main();\n`);
    chmodSync(file, 0o755);
  }
}
