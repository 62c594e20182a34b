// Makes the empty first segment of partitions that have no record yet, as Kafka has it from the start: its tools want the file. A new inode can
// cost more than all else that a new partition needs, and nobody waits for this one, so it is made a little later, in slices.
import type { Disk } from "../base/index.ts";
import { fileSuffix, offsetFileName } from "./file-names.ts";
import { writePlainFile } from "./log-state.ts";
import type { PartitionLog } from "./partition-log.ts";

/** How long after its partition a file is made. */
export const firstFileDelayMs = 500;
/** How long a slice may hold the loop. */
export const firstFilesMsMax = 10;
/** Between slices. */
export const firstFilesPauseMs = 20;

const nothing = Buffer.alloc(0);

export class FirstSegmentFiles {
  private readonly disk: Disk;
  private readonly isCurrent: (log: PartitionLog) => boolean;
  private waiting: PartitionLog[] = [];

  /** `isCurrent` says whether a log is still where it was: it may have been deleted since. */
  constructor(disk: Disk, isCurrent: (log: PartitionLog) => boolean) {
    this.disk = disk;
    this.isCurrent = isCurrent;
  }

  get isEmpty(): boolean {
    return this.waiting.length === 0;
  }

  add(log: PartitionLog): void {
    this.waiting.push(log);
  }

  /** Makes files until `isOver`. Throws DiskError. */
  make(isOver: () => boolean): void {
    let made = 0;
    try {
      while (made < this.waiting.length && !isOver()) this.makeFor(this.waiting[made++]!);
    } finally {
      this.waiting = this.waiting.slice(made);
    }
  }

  private makeFor(log: PartitionLog): void {
    if (!this.isCurrent(log) || log.isOffline || log.logEndOffset > 0) return;
    writePlainFileOnce(this.disk, `${log.path}/${offsetFileName(0, fileSuffix.log)}`);
  }
}

function writePlainFileOnce(disk: Disk, path: string): void {
  if (disk.status(path) === null) writePlainFile(disk, path, nothing);
}
