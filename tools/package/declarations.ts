// The type declarations of a package: what the compiler emits for its entries, cut down to what those reach, with the workspaces' names replaced by
// paths, so that the package needs no other to be understood.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import ts from "typescript";

export interface Declarations {
  /** By path within the package, such as "types/client/index.d.ts". */
  readonly files: ReadonlyMap<string, string>;
  /** Packages outside the workspaces that the types name. */
  readonly dependencies: ReadonlySet<string>;
}

export const workspaces = ["core", "host", "broker", "client", "apps/server", "apps/cli"];

const specifierPattern = /(\bfrom\s*|\bimport\s*\(\s*|\bimport\s+)"([^"]+)"/g;

/** Throws with the compiler's messages where an entry does not compile. */
export function declarationsOf(root: string, entries: readonly string[]): Declarations {
  const { config } = ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile);
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root);
  const outDir = mkdtempSync(join(tmpdir(), "blumfeld-types-"));
  try {
    const emitOptions: ts.CompilerOptions = {
      ...options,
      ...{ noEmit: false, declaration: true, emitDeclarationOnly: true, incremental: false, outDir, rootDir: root },
      tsBuildInfoFile: undefined,
      // Found by way of node_modules they would count as somebody else's, of whom nothing is emitted.
      paths: workspacePaths(root),
    };
    const program = ts.createProgram(
      entries.map((entry) => join(root, entry)),
      emitOptions,
    );
    const emitted = new Map<string, string>();
    const { diagnostics } = program.emit(undefined, (path, text) => emitted.set(relative(outDir, path), text));
    const errors = [...ts.getPreEmitDiagnostics(program), ...diagnostics];
    if (errors.length > 0) throw new Error(messagesOf(errors));
    return reachable(root, entries, emitted, emitOptions);
  } finally {
    rmSync(outDir, { recursive: true, force: true });
  }
}

function workspacePaths(root: string): Record<string, string[]> {
  const paths: Record<string, string[]> = {};
  for (const workspace of workspaces) {
    const { exports, name } = JSON.parse(textOf(root, `${workspace}/package.json`)) as {
      readonly name: string;
      readonly exports: Readonly<Record<string, string | { readonly default: string }>>;
    };
    for (const [as, to] of Object.entries(exports)) {
      const file = typeof to === "string" ? to : to.default;
      paths[as.replace(/^\./, name)] = [join(root, workspace, file)];
    }
  }
  return paths;
}

function messagesOf(errors: readonly ts.Diagnostic[]): string {
  return errors
    .slice(0, 20)
    .map(({ file, messageText }) => `${file?.fileName ?? ""}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`)
    .join("\n");
}

function reachable(
  root: string,
  entries: readonly string[],
  emitted: ReadonlyMap<string, string>,
  options: ts.CompilerOptions,
): Declarations {
  const files = new Map<string, string>();
  const dependencies = new Set<string>();
  const left = entries.map(declarationOf);
  for (let path = left.pop(); path !== undefined; path = left.pop()) {
    if (files.has(target(path))) continue;
    const text = emitted.get(path);
    if (text === undefined) throw new Error(`no declarations were made for ${path}`);
    const source = join(root, path.replace(/\.d\.ts$/, ".ts"));
    const rewritten = text.replace(specifierPattern, (_whole, before: string, specifier: string) => {
      const found = ts.resolveModuleName(specifier, source, options, ts.sys).resolvedModule?.resolvedFileName;
      const inside = found === undefined ? null : relative(root, resolve(ts.sys.realpath?.(found) ?? found));
      if (inside === null || inside.startsWith("..") || inside.includes("node_modules") || inside.endsWith(".d.ts")) {
        if (!isBuiltin(specifier)) dependencies.add(packageOf(specifier));
        return `${before}"${specifier}"`;
      }
      const declaration = declarationOf(inside);
      left.push(declaration);
      const path_ = relative(dirname(path!), declaration).replace(/\.d\.ts$/, ".js");
      return `${before}"${path_.startsWith(".") ? path_ : `./${path_}`}"`;
    });
    files.set(target(path), rewritten);
  }
  return { files, dependencies };
}

function declarationOf(source: string): string {
  return source.replace(/\.ts$/, ".d.ts");
}

function target(path: string): string {
  return join("types", path);
}

function isBuiltin(specifier: string): boolean {
  return specifier.startsWith("node:") || builtinModules.includes(specifier);
}

function packageOf(specifier: string): string {
  const [scope, name] = specifier.split("/");
  return specifier.startsWith("@") ? `${scope}/${name}` : scope!;
}

export function writeFiles(directory: string, files: ReadonlyMap<string, string>): void {
  for (const [path, text] of files) {
    const file = join(directory, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}

/** The text of a file of the project. */
export function textOf(root: string, path: string): string {
  return readFileSync(join(root, path), "utf8");
}
