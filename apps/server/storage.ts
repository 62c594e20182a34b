// The data directories of a node at its start: locked, checked, and formatted when they are new. Kafka wants its format tool run first; a
// directory that is empty can only be meant to be new, so here the start formats it.
import type { Clock, Disk, DiskLock, Logger, Random } from "@blumfeld/core/base";
import type { BrokerSettings } from "@blumfeld/core/model/settings";
import { openStorage, type Storage, type StorageRefusal } from "@blumfeld/core/quorum";
import { formatNode } from "./format.ts";
import { StartRefused } from "./start-refused.ts";

export interface NodeStorage {
  readonly storage: Storage;
  readonly wasFormatted: boolean;
  release(): void;
}

/** Kafka's name for the lock of a log directory. */
export const lockFileName = ".lock";

/** Throws StartRefused and DiskError; holds no lock then. */
export function openNodeStorage(
  settings: BrokerSettings,
  ports: { readonly disk: Disk; readonly random: Random; readonly clock: Clock; readonly logger: Logger },
): NodeStorage {
  const { clock, disk, logger, random } = ports;
  const { logDirectories, metadataLogDirectory, nodeId } = settings.shape;
  const paths = [...new Set([...logDirectories, metadataLogDirectory])];
  const locks: DiskLock[] = [];
  const release = (): void => {
    for (const lock of locks.splice(0)) lock.release();
  };
  try {
    for (const path of paths) locks.push(lockDirectory(disk, path));
    const options = { disk, random, logDirectories, metadataDirectory: metadataLogDirectory, nodeId };
    let opened = openStorage(options);
    const wasFormatted = opened.kind === "refused" && opened.code === "unformatted";
    if (wasFormatted) {
      for (const path of paths) checkEmpty(disk, path);
      const { clusterId } = formatNode(settings, { disk, random, nowMs: clock.wallMs(), clusterId: null });
      logger.info({ clusterId, directories: paths }, "formatted new data directories");
      opened = openStorage(options);
    }
    if (opened.kind === "refused") throw refused(opened);
    return { storage: opened.storage, wasFormatted, release };
  } catch (error) {
    release();
    throw error;
  }
}

function lockDirectory(disk: Disk, path: string): DiskLock {
  disk.makeDirectory(path);
  const lock = disk.lock(`${path}/${lockFileName}`);
  if (lock !== null) return lock;
  throw new StartRefused(
    "directory-in-use",
    `${path} is in use: another broker holds its ${lockFileName}`,
    "stop that broker, or choose another directory with --data",
  );
}

/** Whatever lies in an unformatted directory belongs to somebody. */
function checkEmpty(disk: Disk, path: string): void {
  const other = disk.listDirectory(path).find(({ name }) => name !== lockFileName && name !== "lost+found");
  if (other === undefined) return;
  throw new StartRefused(
    "directory-foreign",
    `${path} is no data directory of Kafka's: it has no meta.properties, and it holds ${other.name}`,
    "choose an empty directory, or the one that the data is in, with --data",
  );
}

function refused({ code, message }: StorageRefusal): StartRefused {
  return new StartRefused(code === "disk" ? "disk" : "directory-foreign", message, "");
}
