// Names of snapshot files: the offset after the last record in them (20 digits), the epoch of that record (10 digits).
import type { Disk } from "../base/index.ts";
import type { SnapshotId } from "./metadata-quorum.ts";

export const snapshotSuffix = ".checkpoint";
/** A snapshot that is still being written; what a crash leaves of it is removed at the next start. */
export const snapshotPartSuffix = ".checkpoint.part";
/** A snapshot that Kafka has marked for deletion. */
const snapshotDeletedSuffix = ".checkpoint.deleted";

const snapshotName = /^(\d{20})-(\d{10})\.checkpoint$/;

export function snapshotFileName(id: SnapshotId): string {
  return `${String(id.endOffset).padStart(20, "0")}-${String(id.epoch).padStart(10, "0")}${snapshotSuffix}`;
}

export function parseSnapshotFileName(name: string): SnapshotId | null {
  const match = snapshotName.exec(name);
  if (match === null) return null;
  return { endOffset: Number(match[1]), epoch: Number(match[2]) };
}

/** The snapshots of a metadata log's folder, oldest first. */
export function listSnapshots(disk: Disk, path: string): SnapshotId[] {
  return disk
    .listDirectory(path)
    .map((entry) => parseSnapshotFileName(entry.name))
    .filter((id): id is SnapshotId => id !== null)
    .sort((one, other) => one.endOffset - other.endOffset || one.epoch - other.epoch);
}

/** Removes what unfinished writing and unfinished removal left. */
export function removeSnapshotRemains(disk: Disk, path: string): void {
  for (const { name } of disk.listDirectory(path)) {
    if (name.endsWith(snapshotPartSuffix) || name.endsWith(snapshotDeletedSuffix)) disk.removeFile(`${path}/${name}`);
  }
}
