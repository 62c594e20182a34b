// A new cluster: the records that a formatted directory brings (bootstrap.checkpoint) and what the first leader writes of them.
import { type Disk, type Random, randomUuid, type Uuid } from "../base/index.ts";
import type { BrokerSettings } from "../model/settings/index.ts";
import type { MetadataRecord, MetadataRecordInit } from "../protocol/index.ts";
import {
  bootstrapCheckpointName,
  formatMetaProperties,
  metadataLogFolder,
  metaPropertiesName,
  readSnapshot,
  SnapshotDamaged,
  type StorageRefusal,
  snapshotFileName,
  storageRefusal,
  type Voter,
  writeSnapshotNow,
} from "../quorum/index.ts";
import { isrFloorRecords } from "./decide/index.ts";
import { featuresOfNewCluster } from "./features-table.ts";
import {
  MetadataDelta,
  MetadataImage,
  metadataVersionFeature,
  metadataVersions,
  type SupportedRange,
} from "./image/index.ts";

/** Null where the directory has none: a cluster of an older Kafka, or one that has begun long ago. */
export function readBootstrap(
  disk: Disk,
  metadataDirectory: string,
): readonly MetadataRecord[] | null | StorageRefusal {
  const path = `${metadataDirectory}/${bootstrapCheckpointName}`;
  if (disk.status(path) === null) return null;
  try {
    return [...readSnapshot(disk, path)].flatMap((batch) => batch.records);
  } catch (error) {
    if (!(error instanceof SnapshotDamaged)) throw error;
    return storageRefusal("damaged", `${error.message}. Format the directory anew, or restore the file from a backup.`);
  }
}

/** What the first leader of a cluster writes, in one metadata transaction where its level has them. */
export function bootstrapRecords(
  bootstrap: readonly MetadataRecordInit[] | null,
  settings: BrokerSettings,
): readonly MetadataRecordInit[] {
  const records = [...(bootstrap ?? featureRecords(featuresOfNewCluster(metadataVersions.latestProduction)))];
  const image = new MetadataImage();
  for (const record of records) image.replay(record as MetadataRecord, new MetadataDelta());
  if (image.features.isElrEnabled) records.push(...isrFloorRecords({ image, settings }));
  if (image.features.metadataVersion < metadataVersions.transactions) return records;
  return [
    { type: "BeginTransactionRecord", version: 0, value: { name: "Bootstrap records" } },
    ...records,
    { type: "EndTransactionRecord", version: 0, value: {} },
  ];
}

export function featureRecords(levels: ReadonlyMap<string, number>): MetadataRecordInit[] {
  return [...levels].map(([name, featureLevel]) => ({
    type: "FeatureLevelRecord",
    version: 0,
    value: { name, featureLevel },
  }));
}

export interface FormatOptions {
  readonly disk: Disk;
  readonly random: Random;
  readonly nowMs: number;
  readonly nodeId: number;
  /** A random one where it is left out. */
  readonly clusterId?: string;
  readonly logDirectories: readonly string[];
  readonly metadataDirectory: string;
  /** Default: the newest production level. */
  readonly metadataVersion?: number;
  /** For a dynamic quorum (kraft.version 1) of this node alone; null for static voters (kraft.version 0). */
  readonly standalone: { readonly endpoints: Voter["endpoints"] } | null;
  /** The first voters of a dynamic quorum, this node with its directory's id among them where it is one. Default: as `standalone` says. */
  readonly initialVoters?: readonly Voter[] | null;
  /** Levels that differ from those of a new cluster at `metadataVersion`; 0 leaves a feature out. */
  readonly features?: ReadonlyMap<string, number>;
  /** SCRAM users and the like, written with the first records. */
  readonly records?: readonly MetadataRecordInit[];
}

/** As Kafka's storage tool formats. Directories that are formatted are the caller's to look for: this writes over nothing. */
export function formatStorage(options: FormatOptions): { readonly clusterId: string } {
  const { disk, metadataDirectory, nodeId, nowMs, random } = options;
  const clusterId = options.clusterId ?? randomUuid(random);
  const metadataVersion = options.metadataVersion ?? metadataVersions.latestProduction;
  const levels = new Map(featuresOfNewCluster(metadataVersion));
  for (const [name, level] of options.features ?? []) {
    if (level === 0) levels.delete(name);
    else levels.set(name, level);
  }
  const bootstrap = [...featureRecords(levels), ...(options.records ?? [])];
  const own = options.initialVoters?.find(({ id }) => id === nodeId)?.directoryId ?? null;
  for (const path of new Set([...options.logDirectories, metadataDirectory])) {
    const directoryId = path === metadataDirectory && own !== null ? own : randomUuid(random);
    disk.makeDirectory(path);
    if (path === metadataDirectory) {
      formatMetadataDirectory(options, path, directoryId);
      const head = { id: { endOffset: 0, epoch: 0 }, lastContainedMs: 0, nowMs, quorum: null };
      writeSnapshotNow(disk, path, head, bootstrap, bootstrapCheckpointName);
    }
    // Last: a directory with this file is formatted.
    const text = formatMetaProperties({ clusterId, nodeId, directoryId });
    disk.writeFileAtomic(`${path}/${metaPropertiesName}`, Buffer.from(text));
  }
  return { clusterId };
}

function formatMetadataDirectory(options: FormatOptions, path: string, directoryId: Uuid): void {
  const { disk, nodeId, nowMs, standalone } = options;
  const alone = standalone === null ? null : [{ id: nodeId, directoryId, endpoints: standalone.endpoints }];
  const voters = options.initialVoters ?? alone;
  if (voters === null) return;
  const metadataPath = `${path}/${metadataLogFolder}`;
  disk.makeDirectory(metadataPath);
  const id = { endOffset: 0, epoch: 0 };
  const quorum = { kraftVersion: 1, voters };
  writeSnapshotNow(disk, metadataPath, { id, lastContainedMs: nowMs, nowMs, quorum }, [], snapshotFileName(id));
}

/** Null where this code supports all that the cluster has finalized. */
export function unsupportedFeature(
  image: MetadataImage,
  supported: ReadonlyMap<string, SupportedRange>,
): StorageRefusal | null {
  for (const [name, level] of image.features.finalized) {
    const range = supported.get(name);
    if (range !== undefined && level >= range.minVersion && level <= range.maxVersion) continue;
    const bound = range === undefined ? "does not know it" : `supports ${range.minVersion} to ${range.maxVersion}`;
    const isUnstable = name === metadataVersionFeature && level === metadataVersions.latest;
    const next = isUnstable ? "Set unstable.feature.versions.enable=true to use it." : "Use a newer release.";
    return storageRefusal("unsupported-feature", `The cluster has ${name}=${level}; this release ${bound}. ${next}`);
  }
  return null;
}
