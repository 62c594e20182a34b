// The log directories of a node at its start: do they belong to this node and this cluster, and where does the metadata log lie. Reads
// only; what cannot be accepted is returned with the sentence that its owner needs. Format of the directories: Kafka's.
import { type Disk, DiskError, type Random, randomUuid, type Uuid, uuidZero } from "../../base/index.ts";
import {
  formatMetaProperties,
  type MetaProperties,
  metaPropertiesName,
  parseMetaProperties,
} from "./meta-properties.ts";

/** The folder of the metadata log within its log directory. */
export const metadataLogFolder = "__cluster_metadata-0";
export const bootstrapCheckpointName = "bootstrap.checkpoint";
const metaPropertiesBytesMax = 64 * 1024;

export interface StorageDirectory {
  readonly path: string;
  readonly directoryId: Uuid;
}

export interface Storage {
  readonly clusterId: string;
  readonly nodeId: number;
  readonly directories: readonly StorageDirectory[];
  /** Of the log directory that holds the metadata log. */
  readonly metadataDirectory: StorageDirectory;
  /** `<log directory>/__cluster_metadata-0`. */
  readonly metadataPath: string;
}

export type StorageRefusalCode =
  | "unformatted"
  | "damaged"
  | "foreign-cluster"
  | "wrong-node"
  | "duplicate-directory-id"
  | "metadata-elsewhere"
  | "metadata-missing"
  | "quorum-state-missing"
  | "unsupported-feature"
  | "unsupported-quorum"
  | "disk";

export interface StorageRefusal {
  readonly kind: "refused";
  readonly code: StorageRefusalCode;
  /** Names the thing, the value, the bound and the next step. */
  readonly message: string;
}

export type StorageOutcome = { readonly kind: "opened"; readonly storage: Storage } | StorageRefusal;

export interface StorageOptions {
  readonly disk: Disk;
  readonly random: Random;
  /** log.dirs, and metadata.log.dir where it is another one. */
  readonly logDirectories: readonly string[];
  /** metadata.log.dir; by default the first of log.dirs. */
  readonly metadataDirectory: string;
  readonly nodeId: number;
  /** Where the caller knows which cluster it must be. */
  readonly clusterId?: string;
}

export function storageRefusal(code: StorageRefusalCode, message: string): StorageRefusal {
  return { kind: "refused", code, message };
}

/** New directories beside formatted ones are taken in: they get a meta.properties of their own, as in Kafka. */
export function openStorage(options: StorageOptions): StorageOutcome {
  try {
    return readDirectories(options);
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    return storageRefusal("disk", `${error.path} cannot be used: ${error.code}. Check that it exists and is writable.`);
  }
}

function readDirectories(options: StorageOptions): StorageOutcome {
  const { disk, metadataDirectory } = options;
  const paths = [...new Set([metadataDirectory, ...options.logDirectories])];
  const found = new Map<string, MetaProperties | null>();
  for (const path of paths) {
    const outcome = readMetaProperties(disk, path);
    if (outcome !== null && "kind" in outcome) return outcome;
    found.set(path, outcome);
  }
  const first = found.get(metadataDirectory) ?? null;
  if (first === null) {
    const elsewhere = paths.filter((path) => found.get(path) != null);
    return storageRefusal(
      "unformatted",
      elsewhere.length === 0
        ? `No meta.properties in ${paths.join(", ")}: the storage is not formatted. Format it before the first start.`
        : `No meta.properties in the metadata log directory ${metadataDirectory}, but in ${elsewhere.join(", ")}. Point metadata.log.dir to the directory that holds ${metadataLogFolder}.`,
    );
  }
  for (const [path, properties] of found) {
    const refusal = properties === null ? null : propertiesRefusal(path, properties, first, options);
    if (refusal !== null) return refusal;
  }
  return completeDirectories(options, found, first);
}

function readMetaProperties(disk: Disk, path: string): MetaProperties | null | StorageRefusal {
  const file = `${path}/${metaPropertiesName}`;
  if (disk.status(file) === null) return null;
  const outcome = parseMetaProperties(disk.readFile(file, metaPropertiesBytesMax));
  if (outcome.kind === "read") return outcome.properties;
  return storageRefusal("damaged", `${file} has ${outcome.problem}. Restore the file from a backup or correct it.`);
}

function propertiesRefusal(
  path: string,
  properties: MetaProperties,
  first: MetaProperties,
  options: StorageOptions,
): StorageRefusal | null {
  const file = `${path}/${metaPropertiesName}`;
  const clusterId = options.clusterId ?? first.clusterId;
  if (properties.clusterId !== clusterId) {
    return storageRefusal(
      "foreign-cluster",
      `${file} has cluster.id=${properties.clusterId}, but this node belongs to cluster ${clusterId}. Use a directory of this cluster, or remove this one from log.dirs.`,
    );
  }
  if (properties.nodeId !== options.nodeId) {
    return storageRefusal(
      "wrong-node",
      `${file} has node.id=${properties.nodeId}, but node.id=${options.nodeId} is configured. Start node ${properties.nodeId} here, or give node ${options.nodeId} a directory of its own.`,
    );
  }
  return null;
}

function completeDirectories(
  options: StorageOptions,
  found: ReadonlyMap<string, MetaProperties | null>,
  first: MetaProperties,
): StorageOutcome {
  const { disk, metadataDirectory, nodeId, random } = options;
  const owners = new Map<Uuid, string>();
  const directories: StorageDirectory[] = [];
  for (const [path, properties] of found) {
    const misplaced = path !== metadataDirectory && disk.status(`${path}/${metadataLogFolder}`) !== null;
    if (misplaced) {
      return storageRefusal(
        "metadata-elsewhere",
        `${path} holds ${metadataLogFolder}, but the metadata log directory is ${metadataDirectory}. Set metadata.log.dir=${path}, or move the folder.`,
      );
    }
    const directoryId = properties?.directoryId ?? randomUuid(random);
    const owner = owners.get(directoryId);
    if (owner !== undefined || directoryId === uuidZero) {
      return storageRefusal(
        "duplicate-directory-id",
        `${path} and ${owner ?? "no directory"} have the same directory.id=${directoryId}. Each log directory needs its own: was one copied from the other? Remove the copy from log.dirs.`,
      );
    }
    owners.set(directoryId, path);
    directories.push({ path, directoryId });
    if (properties === null || properties.directoryId === null) {
      disk.makeDirectory(path);
      const text = formatMetaProperties({ clusterId: first.clusterId, nodeId, directoryId });
      disk.writeFileAtomic(`${path}/${metaPropertiesName}`, Buffer.from(text));
    }
  }
  return {
    kind: "opened",
    storage: {
      clusterId: first.clusterId,
      nodeId,
      directories: directories.filter(({ path }) => options.logDirectories.includes(path)),
      metadataDirectory: directories.find(({ path }) => path === metadataDirectory)!,
      metadataPath: `${metadataDirectory}/${metadataLogFolder}`,
    },
  };
}
