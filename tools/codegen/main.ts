// Writes core/protocol/generated from core/protocol/messages, or with --check tells what is not current.
//   npm run codegen            writes
//   npm run codegen:check      fails with the list of files that differ
//   npm run codegen -- --freeze  also adds the hashes of versions that have none yet to frozen.json
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { emitFile } from "./emit-file.ts";
import { emitIndex, emitRegistry } from "./emit-registry.ts";
import { addFrozen, type Frozen } from "./freeze.ts";
import type { Declaration } from "./model.ts";
import { parseDeclaration } from "./parse.ts";

const protocol = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "core", "protocol");
const messages = join(protocol, "messages");
const generated = join(protocol, "generated");

function listFiles(directory: string, ending: string): string[] {
  const found: string[] = [];
  for (const entry of readdirSync(directory, { withFileTypes: true, recursive: true })) {
    if (entry.isFile() && entry.name.endsWith(ending))
      found.push(relative(directory, join(entry.parentPath, entry.name)));
  }
  return found.sort();
}

export function readDeclarations(): Declaration[] {
  return listFiles(messages, ".kafka").map((file) =>
    parseDeclaration(file.slice(0, -".kafka".length), readFileSync(join(messages, file), "utf8")),
  );
}

/** The path of each generated file below core/protocol/generated, with its text. */
export function generate(declarations: readonly Declaration[]): Map<string, string> {
  const files = new Map<string, string>();
  for (const declaration of declarations) files.set(`${declaration.path}.ts`, emitFile(declaration));
  for (const [path, text] of emitRegistry(declarations)) files.set(path, text);
  files.set("index.ts", emitIndex([...files.keys()]));
  return files;
}

/** Generated files that are missing, differ, or should not be there. */
export function filesNotCurrent(files: ReadonlyMap<string, string>): string[] {
  const present = new Map(
    listFiles(generated, ".ts").map((file) => [file, readFileSync(join(generated, file), "utf8")]),
  );
  const wrong = [...files].filter(([path, text]) => present.get(path) !== text).map(([path]) => path);
  return [...wrong, ...[...present.keys()].filter((path) => !files.has(path))].sort();
}

function write(files: ReadonlyMap<string, string>): void {
  mkdirSync(generated, { recursive: true });
  for (const path of filesNotCurrent(files)) {
    const text = files.get(path);
    const target = join(generated, path);
    if (text === undefined) rmSync(target);
    else {
      mkdirSync(dirname(target), { recursive: true });
      writeFileSync(target, text);
    }
  }
}

function freeze(declarations: readonly Declaration[]): void {
  const path = join(protocol, "frozen.json");
  const frozen = JSON.parse(readFileSync(path, "utf8")) as Frozen;
  writeFileSync(path, `${JSON.stringify(addFrozen(frozen, declarations), null, 2)}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const declarations = readDeclarations();
  const files = generate(declarations);
  if (process.argv.includes("--check")) {
    const wrong = filesNotCurrent(files);
    if (wrong.length > 0) {
      process.stderr.write(`not current, run \`npm run codegen\`:\n${wrong.map((path) => `  ${path}\n`).join("")}`);
      process.exitCode = 1;
    }
  } else {
    write(files);
    if (process.argv.includes("--freeze")) freeze(declarations);
  }
}
