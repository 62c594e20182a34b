// Files and folders that are already renamed and wait for file.delete.delay.ms: readers may still be in them. A restart removes what is left.
import { type Disk, DiskError, type Logger } from "../base/index.ts";

interface Removal {
  readonly dueMs: number;
  readonly path: string;
  readonly isDirectory: boolean;
  /** Called when it is gone. */
  readonly onRemoved?: (() => void) | undefined;
}

export class DelayedRemoval {
  private readonly disk: Disk;
  private readonly logger: Logger;
  private removals: Removal[] = [];

  constructor(disk: Disk, logger: Logger) {
    this.disk = disk;
    this.logger = logger;
  }

  get count(): number {
    return this.removals.length;
  }

  add(path: string, dueMs: number, isDirectory: boolean, onRemoved?: () => void): void {
    this.removals.push({ dueMs, path, isDirectory, onRemoved });
  }

  /** The folder of these files has another name now. */
  moveFolder(from: string, to: string): void {
    this.removals = this.removals.map((removal) =>
      removal.path.startsWith(`${from}/`) ? { ...removal, path: to + removal.path.slice(from.length) } : removal,
    );
  }

  /** Removes at most `countMax` of what is due, so that a deleted topic of many partitions holds up nothing. */
  run(nowMs: number, countMax: number): void {
    const left: Removal[] = [];
    let count = 0;
    for (const removal of this.removals) {
      if (removal.dueMs > nowMs || count >= countMax) left.push(removal);
      else {
        count++;
        this.remove(removal);
      }
    }
    this.removals = left;
  }

  private remove({ path, isDirectory, onRemoved }: Removal): void {
    try {
      if (isDirectory) this.disk.removeDirectory(path);
      else if (this.disk.status(path) !== null) this.disk.removeFile(path);
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      this.logger.warn(
        { path, code: error.code },
        "a deleted file could not be removed and stays until the next start",
      );
    }
    onRemoved?.();
  }
}
