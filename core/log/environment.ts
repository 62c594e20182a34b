// What all logs of one manager share: the ports, the index cache, and what a log asks of its manager.
import type { Clock, Disk, DiskError, Logger, Random } from "../base/index.ts";
import type { Offset } from "../model/index.ts";
import { IndexCache } from "./index-cache.ts";

export interface LogEnvironment {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly indexCache: IndexCache;
  /** A producer that has been idle for this long is forgotten, unless its transaction is open. */
  readonly producerIdExpirationMs: number;
  /** An append counts as written once it is on the device (blumfeld.log.group.commit.enable). */
  readonly isGroupCommit: boolean;
  /** Removes files (already renamed `.deleted`) after `delayMs`: readers may still be in them. `onRemoved` lets go of what holds them open. */
  removeLater(paths: readonly string[], delayMs: number, onRemoved?: () => void): void;
  /** The log has rolled: what lies before `upTo` should reach the device soon. */
  flushSoon(log: { flushLater(upTo?: Offset): Promise<void> }, upTo: Offset): void;
  /** A recovery point has gone back: the directory's checkpoint is written now, for all its logs. Throws DiskError. */
  saveRecoveryPoints(directory: string): void;
  /** The device has failed under `directory`. Not called when it is only full: that passes. */
  onStorageFailure(directory: string, error: DiskError): void;
}

export const producerIdExpirationMsDefault = 24 * 60 * 60 * 1000;

const quiet: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => quiet,
};

/** An environment without a manager, for a log that stands alone: removal happens at once, nothing flushes by itself. */
export function standaloneEnvironment(
  parts: Pick<LogEnvironment, "disk" | "clock" | "random"> & Partial<LogEnvironment>,
): LogEnvironment {
  return {
    logger: quiet,
    indexCache: new IndexCache(),
    producerIdExpirationMs: producerIdExpirationMsDefault,
    isGroupCommit: false,
    removeLater: (paths, _delayMs, onRemoved) => {
      for (const path of paths) if (parts.disk.status(path) !== null) parts.disk.removeFile(path);
      onRemoved?.();
    },
    flushSoon() {},
    saveRecoveryPoints() {},
    onStorageFailure() {},
    ...parts,
  };
}

/** The device works, there is just no room: the same operation may succeed later. */
export function isFull(error: DiskError): boolean {
  return error.code === "ENOSPC" || error.code === "EDQUOT";
}
