// The Disk port on node:fs. Holds no data; a bounded number of descriptors.
import {
  close,
  closeSync,
  type Dirent,
  fstatSync,
  fsync,
  fsyncSync,
  mkdirSync,
  open,
  openSync,
  readdir,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  statfsSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { promisify } from "node:util";
import {
  type DirectoryEntry,
  type Disk,
  DiskError,
  type DiskFile,
  type DiskLock,
  type FileStatus,
} from "@blumfeld/core/base";
import { Descriptors } from "./descriptors.ts";
import { diskFailure } from "./disk-failure.ts";
import { takeLock } from "./file-lock.ts";
import { type OpenMode, SystemFile } from "./system-file.ts";
import { Unlinker } from "./unlink.ts";

/** Half of the soft limit that many systems give a process: sockets need the rest. */
export const descriptorCountMaxDefault = 512;

/** What a read of a small file asks for at once: the many checkpoints of a partition are shorter, and need no question for their size. */
const smallFileBytes = 4096;
const smallFile = Buffer.allocUnsafeSlow(smallFileBytes);

const closeLater = promisify(close);
const fsyncLater = promisify(fsync);
const openLater = promisify(open);
const readdirLater = promisify(readdir);

export interface FileDiskOptions {
  /** Open at once, save for more operations under way than this. */
  readonly descriptorCountMax?: number;
}

export class FileDisk implements Disk {
  private readonly descriptors: Descriptors;
  private readonly unlinker = new Unlinker();

  constructor(options: FileDiskOptions = {}) {
    this.descriptors = new Descriptors(options.descriptorCountMax ?? descriptorCountMaxDefault);
  }

  /** For metrics and tests. */
  get descriptorCount(): number {
    return this.descriptors.openCount;
  }

  listDirectory(path: string): DirectoryEntry[] {
    return attempt(path, "list", () => entriesOf(path, readdirSync(path, { withFileTypes: true })));
  }

  async listDirectoryLater(path: string): Promise<DirectoryEntry[]> {
    try {
      return entriesOf(path, await readdirLater(path, { withFileTypes: true }));
    } catch (error) {
      throw diskFailure(error, path, "list");
    }
  }

  status(path: string): FileStatus | null {
    try {
      const status = statSync(path, { throwIfNoEntry: false });
      if (status === undefined) return null;
      return { sizeBytes: status.size, modifiedMs: status.mtimeMs, isDirectory: status.isDirectory() };
    } catch (error) {
      if ((error as { code?: string }).code === "ENOTDIR") return null;
      throw diskFailure(error, path, "stat");
    }
  }

  makeDirectory(path: string): void {
    try {
      mkdirSync(path);
      return;
    } catch (error) {
      const { code } = error as { code?: string };
      if (code !== "ENOENT" && code !== "EEXIST") throw diskFailure(error, path, "make directory");
    }
    attempt(path, "make directory", () => mkdirSync(path, { recursive: true }));
  }

  removeFile(path: string): void {
    attempt(path, "remove", () => this.unlinker.file(path));
  }

  removeDirectory(path: string): void {
    attempt(path, "remove directory", () => this.unlinker.directory(path));
  }

  rename(from: string, to: string): void {
    attempt(from, "rename", () => renameSync(from, to));
  }

  syncDirectory(path: string): void {
    attempt(path, "sync directory", () => {
      const descriptor = openSync(path, "r");
      try {
        fsyncSync(descriptor);
      } finally {
        closeSync(descriptor);
      }
    });
  }

  async syncDirectoryLater(path: string): Promise<void> {
    try {
      const descriptor = await openLater(path, "r");
      try {
        await fsyncLater(descriptor);
      } finally {
        await closeLater(descriptor);
      }
    } catch (error) {
      throw diskFailure(error, path, "sync directory");
    }
  }

  readFile(path: string, bytesMax = Number.POSITIVE_INFINITY): Buffer {
    return attempt(path, "read", () => {
      if (bytesMax === Number.POSITIVE_INFINITY) return readFileSync(path);
      const descriptor = openSync(path, "r");
      try {
        return readBounded(descriptor, path, bytesMax);
      } finally {
        closeSync(descriptor);
      }
    });
  }

  writeFileAtomic(path: string, bytes: Uint8Array): void {
    const temporary = `${path}.tmp`;
    attempt(path, "write", () => {
      const descriptor = openSync(temporary, "w", 0o644);
      try {
        for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done);
        fsyncSync(descriptor);
      } finally {
        closeSync(descriptor);
      }
      renameSync(temporary, path);
    });
    this.syncDirectory(dirname(path));
  }

  open(path: string, mode: OpenMode): DiskFile {
    return new SystemFile(path, mode, this.descriptors);
  }

  freeBytes(path: string): number {
    return attempt(path, "free bytes", () => {
      const { bavail, bsize } = statfsSync(path);
      return bavail * bsize;
    });
  }

  totalBytes(path: string): number {
    return attempt(path, "total bytes", () => {
      const { blocks, bsize } = statfsSync(path);
      return blocks * bsize;
    });
  }

  lock(path: string): DiskLock | null {
    return takeLock(path);
  }
}

function attempt<T>(path: string, operation: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw diskFailure(error, path, operation);
  }
}

function entriesOf(path: string, entries: readonly Dirent[]): DirectoryEntry[] {
  return entries.map((entry) => ({
    name: entry.name,
    isDirectory: entry.isDirectory() || (entry.isSymbolicLink() && isDirectory(`${path}/${entry.name}`)),
  }));
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** Takes no more memory than the file has, and none when that is above the bound. */
function readBounded(descriptor: number, path: string, bytesMax: number): Buffer {
  const start = readSync(descriptor, smallFile, 0, smallFileBytes, 0);
  if (start < smallFileBytes && start <= bytesMax) return Buffer.from(smallFile.subarray(0, start));
  const { size } = fstatSync(descriptor);
  if (size > bytesMax) throw new DiskError("EFBIG", path, "read");
  const bytes = Buffer.allocUnsafe(size);
  let done = 0;
  while (done < size) {
    const count = readSync(descriptor, bytes, done, size - done, done);
    if (count === 0) break;
    done += count;
  }
  return bytes.subarray(0, done);
}
