// What a start and a stop do for very many logs at once, so that the device and the thread pool are kept at work: folders are listed ahead, and
// several logs are closed at a time. Holds a bounded number of listings, no records.
import type { Clock, DirectoryEntry, Disk } from "../base/index.ts";
import { parsePartitionFolder } from "./file-names.ts";
import type { LogDirectory } from "./log-directory.ts";
import type { PartitionLog } from "./partition-log.ts";

/** Logs that are closed at a time: as many as keep the thread pool at work. */
export const closingLogsMax = 8;
/** Folders that are listed ahead of the log that is being opened. */
export const foldersAheadMax = 16;

/**
 * Lists the folders of replicas on the thread pool, a few ahead of the one that is asked for, by its place in `names`: with a cold cache that is
 * most of the waiting. Undefined where the folder is none of a replica's.
 */
export function listAhead(
  disk: Disk,
  path: string,
  names: readonly string[],
): (index: number) => Promise<readonly DirectoryEntry[]> | undefined {
  const underWay = new Map<number, Promise<readonly DirectoryEntry[]>>();
  let next = 0;
  return (index) => {
    for (; next < names.length && next <= index + foldersAheadMax; next++) {
      if (parsePartitionFolder(names[next]!)?.state !== "live") continue;
      const listing = disk.listDirectoryLater(`${path}/${names[next]!}`);
      // Who awaits it hears of a failure; a start that ends before that need not.
      listing.catch(() => {});
      underWay.set(next, listing);
    }
    const listing = underWay.get(index);
    underWay.delete(index);
    return listing;
  };
}

/** Waits for the device on the thread pool, for several logs at once, and once for the names of all folders. Rejects when all have settled. */
export async function closeLogs(disk: Disk, { path }: LogDirectory, logs: readonly PartitionLog[]): Promise<void> {
  if (logs.some((log) => log.isFolderNew)) {
    await disk.syncDirectoryLater(path);
    for (const log of logs) log.onDirectorySynced();
  }
  let next = 0;
  const lane = async (): Promise<void> => {
    try {
      while (next < logs.length) await logs[next++]!.closeLater();
    } finally {
      // Over, or one has failed: the directory gets no mark, whatever the others could still do.
      next = logs.length;
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: closingLogsMax }, lane));
  for (const outcome of lanes) if (outcome.status === "rejected") throw outcome.reason;
}

/** Gives others a turn where this one has lasted `sliceMs`, or `isDue`; says whether it did. */
export function turnsBetween(
  clock: Clock,
  sliceMs: number,
  turn: () => Promise<void>,
): (isDue: boolean) => Promise<boolean> {
  let startMs = clock.monotonicMs();
  return async (isDue) => {
    if (!isDue && clock.monotonicMs() - startMs < sliceMs) return false;
    await turn();
    startMs = clock.monotonicMs();
    return true;
  };
}
