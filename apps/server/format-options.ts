// What `blum storage format` is told, by the forms of Kafka's storage tool, checked against the node's settings. Throws StartRefused, which says what to do.
import { parseUuid } from "@blumfeld/core/base";
import {
  metadataVersionFeature,
  metadataVersionNames,
  metadataVersions,
  supportedFeatures,
} from "@blumfeld/core/controller";
import { type BrokerSettings, parseHostAndPort } from "@blumfeld/core/model/settings";
import type { Voter } from "@blumfeld/core/quorum";
import { StartRefused } from "./start-refused.ts";

/** Who votes first in a dynamic quorum. "default": this node alone where it is a controller. */
export type InitialControllers =
  | { readonly kind: "default" }
  | { readonly kind: "standalone" }
  | { readonly kind: "none" }
  | { readonly kind: "named"; readonly voters: readonly Voter[] };

/** `id@host:port:directoryId`, with commas between. */
export function parseInitialControllers(text: string, listenerName: string): readonly Voter[] {
  const voters = text.split(",").map((part) => voterOf(part.trim(), listenerName));
  const ids = new Set(voters.map(({ id }) => id));
  if (ids.size < voters.length) throw wrong(`--initial-controllers ${text}`, "names a node twice", "name each once");
  return voters;
}

function voterOf(text: string, listenerName: string): Voter {
  const match = /^(\d+)@(.+):([A-Za-z0-9_-]{22})$/.exec(text);
  const address = match === null ? null : parseHostAndPort(match[2]!);
  const directoryId = match === null ? null : parseUuid(match[3]!);
  if (match === null || address === null || directoryId === null)
    throw wrong(
      `--initial-controllers ${text}`,
      "is not id@host:port:directory-id",
      "write it as 1@127.0.0.1:9093:JEXY6aqzQY-32P5TStzaFg",
    );
  return { id: Number(match[1]), directoryId, endpoints: [{ name: listenerName, ...address }] };
}

/** Kafka's rules: static voters and a dynamic quorum exclude each other; the node that is formatted as a controller is told who votes. */
export function checkInitialControllers(settings: BrokerSettings, initial: InitialControllers): void {
  const { isController, nodeId, quorumVoters } = settings.shape;
  if (initial.kind === "default") return;
  if (quorumVoters.length > 0)
    throw wrong(
      "controller.quorum.voters",
      "is set, and names the voters for good",
      "remove it, or leave --standalone, --initial-controllers and --no-initial-controllers away",
    );
  if (!isController && initial.kind !== "none")
    throw wrong(
      `process.roles=${settings.get("process.roles").join(",")}`,
      "makes no controller of this node",
      "leave --standalone and --initial-controllers away",
    );
  if (initial.kind === "named" && !initial.voters.some(({ id }) => id === nodeId))
    throw wrong(
      "--initial-controllers",
      `does not name node ${nodeId}, which is formatted`,
      "add it, or use --no-initial-controllers for a controller that joins later",
    );
}

/** "4.1-IV0", or "4.1" for the newest of that release; the level. */
export function parseReleaseVersion(text: string): number {
  const { latestProduction, oldest } = metadataVersions;
  const names = metadataVersionNames.slice(0, latestProduction - oldest + 1);
  const at = Math.max(
    names.indexOf(text),
    names.findLastIndex((name) => name.startsWith(`${text}-IV`)),
  );
  if (at >= 0) return oldest + at;
  throw wrong(`--release-version ${text}`, "is no metadata.version", `use one from ${names[0]} to ${names.at(-1)}`);
}

/** `name=level`, each a feature that this release has. metadata.version is --release-version's. */
export function parseFeatures(texts: readonly string[]): ReadonlyMap<string, number> {
  const supported = supportedFeatures(false);
  const levels = new Map<string, number>();
  for (const text of texts) {
    const [name, level, ...more] = text.split("=");
    const range = supported.get(name ?? "");
    if (range === undefined || name === metadataVersionFeature || !/^\d+$/.test(level ?? "") || more.length > 0)
      throw wrong(`--feature ${text}`, "is not feature=level", `there are ${[...supported.keys()].join(", ")}`);
    if (Number(level) > range.maxVersion)
      throw wrong(`--feature ${text}`, `is above the level that this release has`, `use 0 to ${range.maxVersion}`);
    levels.set(name!, Number(level));
  }
  return levels;
}

function wrong(what: string, problem: string, nextStep: string): StartRefused {
  return new StartRefused("unsupported", `${what} ${problem}`, nextStep);
}
