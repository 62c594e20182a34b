// A whole log directory, looked through offline: whose it is, its checkpoints, every partition, the metadata log with its snapshots. Ours or Apache
// Kafka's: the files are the same. Reads only.
import { type Disk, DiskError } from "@blumfeld/core/base";
import {
  checkpointBytesMax,
  decodeOffsetCheckpoint,
  directoryFile,
  MalformedCheckpoint,
  parsePartitionFolder,
} from "@blumfeld/core/log";
import { checkPartition, type Finding, Findings, type PartitionCheck } from "@blumfeld/core/log/inspect";
import { clusterMetadataTopic, topicPartitionKey } from "@blumfeld/core/model";
import {
  listSnapshots,
  metaPropertiesName,
  parseMetaProperties,
  quorumStateName,
  readQuorumState,
  readSnapshot,
  SnapshotDamaged,
  snapshotFileName,
} from "@blumfeld/core/quorum";

export interface CheckedPartition extends PartitionCheck {
  readonly name: string;
  readonly folder: string;
  readonly findings: readonly Finding[];
}

export interface DirectoryCheck {
  readonly path: string;
  readonly clusterId: string | null;
  readonly nodeId: number | null;
  readonly hadCleanShutdown: boolean;
  readonly partitions: readonly CheckedPartition[];
  readonly findings: readonly Finding[];
}

/** Throws DiskError where the directory itself cannot be listed. */
export function checkDirectory(
  disk: Disk,
  path: string,
  onProgress: (done: { readonly loaded: number; readonly total: number }) => void = () => {},
): DirectoryCheck {
  const found = new Findings();
  const entries = disk.listDirectory(path);
  const names = new Set(entries.map(({ name }) => name));
  const identity = checkIdentity(disk, path, names, found);
  const hadCleanShutdown = names.has(directoryFile.cleanShutdown);
  const folders = entries.filter(({ isDirectory }) => isDirectory).map(({ name }) => name);
  const partitions: CheckedPartition[] = [];
  for (const [index, name] of folders.sort().entries()) {
    onProgress({ loaded: index, total: folders.length });
    const parsed = parsePartitionFolder(name);
    const folder = `${path}/${name}`;
    if (parsed === null) {
      if (name !== "lost+found") found.add("note", folder, null, "no partition's folder; a start leaves it alone");
      continue;
    }
    if (parsed.state !== "live") {
      const what = {
        delete: "waits for its removal",
        future: "a replica that was being moved here",
        stray: "was not this broker's",
      };
      found.add("note", folder, null, `the folder ${what[parsed.state]}`);
      continue;
    }
    const own = new Findings();
    const isMetadata = parsed.topicPartition.topic === clusterMetadataTopic;
    const checked = checkPartition(disk, folder, own, { hadCleanShutdown: hadCleanShutdown && !isMetadata });
    if (isMetadata) checkMetadata(disk, folder, own);
    partitions.push({ ...checked, name, folder, findings: own.list });
  }
  onProgress({ loaded: folders.length, total: folders.length });
  checkCheckpoints(disk, path, names, partitions, found);
  const findings = [...found.list, ...partitions.flatMap((partition) => partition.findings)];
  return { path, ...identity, hadCleanShutdown, partitions, findings };
}

function checkIdentity(
  disk: Disk,
  path: string,
  names: ReadonlySet<string>,
  found: Findings,
): { clusterId: string | null; nodeId: number | null } {
  const file = `${path}/${metaPropertiesName}`;
  const nobody = { clusterId: null, nodeId: null };
  if (!names.has(metaPropertiesName)) {
    found.add(
      "damage",
      file,
      null,
      "it is missing: a node takes this for no data directory of Kafka's",
      "whose directory it is",
    );
    return nobody;
  }
  const outcome = parseMetaProperties(disk.readFile(file, 65_536));
  if (outcome.kind === "damaged") {
    found.add("damage", file, null, outcome.problem, "whose directory it is");
    return nobody;
  }
  const { clusterId, nodeId } = outcome.properties;
  return { clusterId, nodeId };
}

function checkCheckpoints(
  disk: Disk,
  path: string,
  names: ReadonlySet<string>,
  partitions: readonly CheckedPartition[],
  found: Findings,
): void {
  const ends = new Map(partitions.map(({ name, endOffset }) => [name, endOffset]));
  const checkpoints = [
    [directoryFile.recoveryPoints, "the recovery point"],
    [directoryFile.logStartOffsets, "the log start"],
    [directoryFile.highWatermarks, "the high watermark"],
    [directoryFile.cleanedOffsets, "the end of compaction"],
  ] as const;
  for (const [name, what] of checkpoints) {
    if (!names.has(name)) continue;
    const file = `${path}/${name}`;
    try {
      for (const { topicPartition, offset } of decodeOffsetCheckpoint(disk.readFile(file, checkpointBytesMax))) {
        const key = topicPartitionKey(topicPartition.topic, topicPartition.partition);
        const end = ends.get(key);
        if (end === undefined) found.add("note", file, null, `${key} is named, and there is no such folder`);
        else if (offset > end)
          found.add(
            name === directoryFile.recoveryPoints ? "damage" : "mendable",
            file,
            null,
            `${what} of ${key} is ${offset}, and its log ends at ${end}`,
            name === directoryFile.recoveryPoints
              ? `records of ${key} that were flushed: offsets ${end} to ${offset - 1}`
              : null,
          );
      }
    } catch (error) {
      if (error instanceof MalformedCheckpoint)
        found.add("mendable", file, null, `${error.message}; a start goes on without it`);
      else if (error instanceof DiskError) found.add("damage", file, null, `it cannot be read: ${error.code}`);
      else throw error;
    }
  }
}

/** Snapshots and the vote, which only the metadata log has. */
function checkMetadata(disk: Disk, folder: string, found: Findings): void {
  for (const id of listSnapshots(disk, folder)) {
    const path = `${folder}/${snapshotFileName(id)}`;
    try {
      for (const batch of readSnapshot(disk, path)) void batch;
    } catch (error) {
      if (
        !(error instanceof SnapshotDamaged) &&
        (error as Error).name !== "MalformedMessage" &&
        !(error instanceof DiskError)
      )
        throw error;
      found.add("damage", path, null, (error as Error).message, "the cluster's metadata as of this snapshot");
    }
  }
  const outcome = readQuorumState(disk, folder);
  if (outcome.kind === "damaged")
    found.add(
      "damage",
      `${folder}/${quorumStateName}`,
      null,
      outcome.problem,
      "whom this node voted for, and the epoch",
    );
}
