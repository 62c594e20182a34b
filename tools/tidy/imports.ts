// Who may import whom: the layers of docs/architecture.md, the order of packages inside core, and which of Node's own modules a layer may use.
import { posix } from "node:path";
import ts from "typescript";
import { type Finding, isGenerated, isTest, lineAt, type SourceFile } from "./finding.ts";

type Layer = "core" | "host" | "broker" | "client" | "platform" | "apps" | "testing" | "tools";

const mayImport: Readonly<Record<Layer, readonly Layer[]>> = {
  core: ["core"],
  host: ["host", "core"],
  broker: ["broker", "host", "core"],
  client: ["client", "host", "core"],
  platform: ["platform", "client", "host", "core"],
  apps: ["apps", "platform", "client", "broker", "host", "core"],
  testing: ["testing", "tools", "apps", "platform", "client", "broker", "host", "core"],
  tools: ["tools", "testing", "apps", "platform", "client", "broker", "host", "core"],
};

const reasons: Readonly<Record<Layer, string>> = {
  core: "core decides and does nothing: what it needs from the world comes as an argument, so that a cluster can be simulated from one seed",
  host: "host implements core's ports for any program; a broker or a client is built on it, not into it",
  broker: "a broker and a client meet on the wire only, as strangers do; what apps compose a broker must not know",
  client: "a client must work against any Kafka cluster, so it may not know our broker",
  platform:
    "the platform is written as a user's program would be, on the client alone, so that it runs on any Kafka cluster",
  apps: "what users install may not carry tests or tools",
  testing: "testing may import everything",
  tools: "tools may import everything",
};

/** Each may import those before it. */
const corePackages = [
  "base",
  "model",
  "compression",
  "protocol",
  "log",
  "replication",
  "quorum",
  "controller",
  "coordinator",
  "security",
];

const workspaceFolders: readonly (readonly [name: string, folder: string])[] = [
  ["@blumfeld/core", "core"],
  ["@blumfeld/host", "host"],
  ["@blumfeld/broker", "broker"],
  ["@blumfeld/client", "client"],
  ["@blumfeld/cli", "apps/cli"],
  ["@blumfeld/testing", "testing"],
  ["blumfeld", "apps/server"],
];

/** Modules of Node that do things: files, sockets, processes, time. */
const doing =
  /^node:(fs|fs\/promises|net|tls|dgram|dns|dns\/promises|http|https|http2|child_process|cluster|timers|timers\/promises|worker_threads|perf_hooks|os)$/;
/** What an app needs of the machine itself to be a process: its memory, its cores, where its own bundle lies. */
const doingInApps = /^node:(perf_hooks|os)$/;
/** Files that a user names on the command line are read by the command itself. */
const doingInCommands = /^node:(fs|fs\/promises)$/;
/** `module` finds the codecs' native parts. */
const pureInCore = /^node:(buffer|zlib|crypto|util|assert|module)$/;

export function importFindings({ path, text }: SourceFile): Finding[] {
  if (!path.endsWith(".ts") || isGenerated(path)) return [];
  const layer = path.split("/", 1)[0] as Layer;
  if (!(layer in mayImport)) return [];
  const findings: Finding[] = [];
  for (const { fileName, pos } of ts.preProcessFile(text, true, true).importedFiles) {
    const complaint = fileName.startsWith("node:")
      ? builtinComplaint(layer, path, fileName)
      : layerComplaint(layer, path, fileName);
    if (complaint !== null) findings.push({ file: path, line: lineAt(text, pos), rule: "imports", message: complaint });
  }
  return findings;
}

function builtinComplaint(layer: Layer, path: string, name: string): string | null {
  if (layer === "host" || layer === "testing" || layer === "tools" || isTest(path)) return null;
  if (layer === "core") return pureInCore.test(name) ? null : `core may not import ${name}: ${reasons.core}`;
  if (!doing.test(name) || (layer === "apps" && doingInApps.test(name))) return null;
  if (path.startsWith("apps/cli/") && doingInCommands.test(name)) return null;
  return `${layer} may not import ${name}: files, sockets, processes and time are host's, behind ports that a test can replace`;
}

function layerComplaint(layer: Layer, path: string, name: string): string | null {
  const target = targetOf(path, name);
  if (target === null) return null;
  const targetLayer = target.split("/", 1)[0] as Layer;
  if (!(targetLayer in mayImport)) return null;
  if (!mayImport[layer].includes(targetLayer)) {
    // Tests stand on the real ports and on what testing/ offers.
    if ((targetLayer === "testing" || targetLayer === "host") && isTest(path)) return null;
    if (targetLayer === "testing") return `${layer} may not import ${name}: nothing that ships may depend on tests`;
    return `${layer} may not import ${name}: ${reasons[layer]}`;
  }
  return layer === "core" && targetLayer === "core" && !isTest(path) ? coreComplaint(path, target, name) : null;
}

/** The path from the root that an import means; null for what is not ours. */
function targetOf(path: string, name: string): string | null {
  if (name.startsWith(".")) return posix.normalize(posix.join(posix.dirname(path), name));
  for (const [workspace, folder] of workspaceFolders)
    if (name === workspace || name.startsWith(`${workspace}/`)) return folder + name.slice(workspace.length);
  return null;
}

function coreComplaint(path: string, target: string, name: string): string | null {
  const own = path.split("/")[1]!;
  const other = target.split("/")[1]!;
  if (own === other) return null;
  const ownPlace = corePackages.indexOf(own);
  const otherPlace = corePackages.indexOf(other);
  if (otherPlace < 0) return `core has no package ${other}: add it to the order in tools/tidy/imports.ts`;
  if (otherPlace > ownPlace)
    return `core/${own} may not import core/${other}: inside core each package knows only those before it (${corePackages.join(", ")}), so that each can be read and tested alone`;
  if (name.startsWith(".") && !target.endsWith("/index.ts"))
    return `import ${other} through its index.ts: what a package exports is what others may rely on`;
  return null;
}
