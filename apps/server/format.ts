// Makes empty directories into a node's, as Kafka's storage tool would for the same settings.
import type { Disk, Random } from "@blumfeld/core/base";
import { formatStorage as formatDirectories } from "@blumfeld/core/controller";
import type { BrokerSettings } from "@blumfeld/core/model/settings";
import { metaPropertiesName, parseMetaProperties } from "@blumfeld/core/quorum";
import { FileDisk } from "@blumfeld/host/disk";
import { systemClock, systemRandom } from "@blumfeld/host/process";
import { checkInitialControllers, type InitialControllers } from "./format-options.ts";
import { StartRefused } from "./start-refused.ts";

export interface Formatted {
  readonly clusterId: string;
  readonly directories: readonly string[];
}

export interface FormatPlan {
  readonly clusterId: string | null;
  readonly initialControllers?: InitialControllers;
  /** Default: the newest of production. */
  readonly metadataVersion?: number;
  readonly features?: ReadonlyMap<string, number>;
}

/** Static voters where controller.quorum.voters names them; else, on a controller, a dynamic quorum of this node alone unless the plan says otherwise. */
export function formatNode(
  settings: BrokerSettings,
  ports: FormatPlan & { readonly disk: Disk; readonly random: Random; readonly nowMs: number },
): Formatted {
  const { features, initialControllers = { kind: "default" }, metadataVersion } = ports;
  const { controllerListenerNames, isController, listeners, logDirectories, metadataLogDirectory, nodeId } =
    settings.shape;
  const isAlone =
    initialControllers.kind === "standalone" ||
    (initialControllers.kind === "default" && isController && settings.shape.quorumVoters.length === 0);
  const endpoints = listeners
    .filter(({ listenerName }) => controllerListenerNames.includes(listenerName))
    .map(({ listenerName: name, host, port }) => ({ name, host, port }));
  const { clusterId } = formatDirectories({
    disk: ports.disk,
    random: ports.random,
    nowMs: ports.nowMs,
    nodeId,
    ...(ports.clusterId === null ? {} : { clusterId: ports.clusterId }),
    logDirectories,
    metadataDirectory: metadataLogDirectory,
    standalone: isAlone ? { endpoints } : null,
    initialVoters: initialControllers.kind === "named" ? initialControllers.voters : null,
    ...(metadataVersion === undefined ? {} : { metadataVersion }),
    ...(features === undefined ? {} : { features }),
  });
  return { clusterId, directories: [...new Set([...logDirectories, metadataLogDirectory])] };
}

/** For the command line: formatted directories are refused, or left as they are where `ignoreFormatted` says so. */
export function formatStorage(
  settings: BrokerSettings,
  options: FormatPlan & { readonly ignoreFormatted: boolean },
): Formatted {
  checkInitialControllers(settings, options.initialControllers ?? { kind: "default" });
  const disk = new FileDisk();
  const { logDirectories, metadataLogDirectory } = settings.shape;
  const directories = [...new Set([...logDirectories, metadataLogDirectory])];
  for (const path of directories) {
    const file = `${path}/${metaPropertiesName}`;
    if (disk.status(file) === null) continue;
    const outcome = parseMetaProperties(disk.readFile(file, 65_536));
    if (options.ignoreFormatted && outcome.kind === "read")
      return { clusterId: outcome.properties.clusterId, directories };
    throw new StartRefused(
      "directory-foreign",
      `${path} is formatted already`,
      "use it as it is (--ignore-formatted), or choose an empty directory",
    );
  }
  return formatNode(settings, { ...options, disk, random: systemRandom, nowMs: systemClock.wallMs() });
}
