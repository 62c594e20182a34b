// The Disk port in memory: for brokers inside tests, and for simulations, which can fill it up and crash it. Same refusals as files, by
// the same codes. Bytes are copied in and out; a crash keeps what was synced.
import {
  type DirectoryEntry,
  type Disk,
  DiskError,
  type DiskFile,
  type DiskLock,
  type FileStatus,
} from "@blumfeld/core/base";
import { MemoryContent } from "./memory-file.ts";

export interface MemoryDiskOptions {
  /** All files together; writes past it are refused with ENOSPC. Default: no bound but memory. */
  readonly bytesMax?: number;
  /** What files are dated with. Default: the wall clock. */
  readonly wallMs?: () => number;
}

class MemoryDirectory {
  readonly entries = new Map<string, MemoryDirectory | MemoryContent>();
  modifiedMs = 0;
}

export class MemoryDisk implements Disk {
  private readonly root = new MemoryDirectory();
  private readonly locks = new Set<string>();
  private readonly wallMs: () => number;
  private bytesMax: number;
  private bytesUsed = 0;

  constructor(options: MemoryDiskOptions = {}) {
    this.bytesMax = options.bytesMax ?? Number.POSITIVE_INFINITY;
    this.wallMs = options.wallMs ?? Date.now;
  }

  get usedBytes(): number {
    return this.bytesUsed;
  }

  /** More or less room from now on. */
  setBytesMax(bytesMax: number): void {
    this.bytesMax = bytesMax;
  }

  /**
   * As if the machine had lost power: locks are gone, and of each file only what was synced is sure to be left. `kept` chooses how much of
   * the rest is, between `durableBytes` and `sizeBytes`; default none.
   */
  crash(
    kept: (path: string, durableBytes: number, sizeBytes: number) => number = (_path, durableBytes) => durableBytes,
  ): void {
    this.locks.clear();
    const visit = (directory: MemoryDirectory, path: string): void => {
      for (const [name, entry] of directory.entries) {
        const at = path === "" ? name : `${path}/${name}`;
        if (entry instanceof MemoryDirectory) visit(entry, at);
        else if (entry.durableBytes < entry.sizeBytes) {
          this.resize(entry, Math.min(kept(at, entry.durableBytes, entry.sizeBytes), entry.sizeBytes));
        }
      }
    };
    visit(this.root, "");
  }

  listDirectory(path: string): DirectoryEntry[] {
    const entry = this.find(path);
    if (entry === null) throw new DiskError("ENOENT", path, "list");
    if (!(entry instanceof MemoryDirectory)) throw new DiskError("ENOTDIR", path, "list");
    return Array.from(entry.entries, ([name, child]) => ({ name, isDirectory: child instanceof MemoryDirectory }));
  }

  async listDirectoryLater(path: string): Promise<DirectoryEntry[]> {
    return this.listDirectory(path);
  }

  status(path: string): FileStatus | null {
    const entry = this.find(path);
    if (entry === null) return null;
    const isDirectory = entry instanceof MemoryDirectory;
    return { sizeBytes: isDirectory ? 0 : entry.sizeBytes, modifiedMs: entry.modifiedMs, isDirectory };
  }

  makeDirectory(path: string): void {
    let directory = this.root;
    for (const name of namesOf(path)) {
      let entry = directory.entries.get(name);
      if (entry === undefined) {
        entry = new MemoryDirectory();
        entry.modifiedMs = this.wallMs();
        directory.entries.set(name, entry);
      }
      if (!(entry instanceof MemoryDirectory)) throw new DiskError("EEXIST", path, "make directory");
      directory = entry;
    }
  }

  removeFile(path: string): void {
    const { directory, name, entry } = this.place(path, "remove");
    if (entry === undefined) throw new DiskError("ENOENT", path, "remove");
    if (entry instanceof MemoryDirectory) throw new DiskError("EISDIR", path, "remove");
    this.bytesUsed -= entry.sizeBytes;
    directory.entries.delete(name);
  }

  removeDirectory(path: string): void {
    const entry = this.find(path);
    if (entry === null) return;
    const { directory, name } = this.place(path, "remove directory");
    const release = (node: MemoryDirectory | MemoryContent): void => {
      if (node instanceof MemoryContent) this.bytesUsed -= node.sizeBytes;
      else for (const child of node.entries.values()) release(child);
    };
    release(entry);
    directory.entries.delete(name);
  }

  rename(from: string, to: string): void {
    const source = this.place(from, "rename");
    const { entry } = source;
    if (entry === undefined) throw new DiskError("ENOENT", from, "rename");
    const target = this.place(to, "rename");
    if (target.entry === entry) return;
    if (target.entry instanceof MemoryDirectory) {
      if (!(entry instanceof MemoryDirectory)) throw new DiskError("EISDIR", to, "rename");
      if (target.entry.entries.size > 0) throw new DiskError("ENOTEMPTY", to, "rename");
    } else if (target.entry !== undefined) {
      if (entry instanceof MemoryDirectory) throw new DiskError("ENOTDIR", to, "rename");
      this.bytesUsed -= target.entry.sizeBytes;
    }
    source.directory.entries.delete(source.name);
    target.directory.entries.set(target.name, entry);
  }

  syncDirectory(path: string): void {
    if (!(this.find(path) instanceof MemoryDirectory)) throw new DiskError("ENOENT", path, "sync directory");
  }

  async syncDirectoryLater(path: string): Promise<void> {
    this.syncDirectory(path);
  }

  readFile(path: string, bytesMax = Number.POSITIVE_INFINITY): Buffer {
    const content = this.content(path, "read");
    if (content.sizeBytes > bytesMax) throw new DiskError("EFBIG", path, "read");
    const bytes = Buffer.allocUnsafe(content.sizeBytes);
    content.read(bytes, 0);
    return bytes;
  }

  writeFileAtomic(path: string, bytes: Uint8Array): void {
    const { directory, name, entry } = this.place(path, "write");
    if (entry instanceof MemoryDirectory) throw new DiskError("EISDIR", path, "write");
    // The old file goes when the new one is whole: both must fit.
    if (this.bytesUsed + bytes.length > this.bytesMax) throw new DiskError("ENOSPC", path, "write");
    const content = new MemoryContent();
    content.write(bytes, 0);
    content.durableBytes = bytes.length;
    content.modifiedMs = this.wallMs();
    this.bytesUsed += bytes.length - (entry?.sizeBytes ?? 0);
    directory.entries.set(name, content);
  }

  open(path: string, mode: "read" | "append" | "create"): DiskFile {
    const { directory, name, entry } = this.place(path, "open");
    if (entry instanceof MemoryDirectory) throw new DiskError("EISDIR", path, "open");
    if (entry !== undefined) {
      if (mode === "create") throw new DiskError("EEXIST", path, "open");
      return new MemoryFile(this, path, entry, mode !== "read");
    }
    if (mode === "read") throw new DiskError("ENOENT", path, "open");
    const content = new MemoryContent();
    content.modifiedMs = this.wallMs();
    directory.entries.set(name, content);
    return new MemoryFile(this, path, content, true);
  }

  freeBytes(_path: string): number {
    return this.bytesMax === Number.POSITIVE_INFINITY ? Number.MAX_SAFE_INTEGER : this.bytesMax - this.bytesUsed;
  }

  totalBytes(_path: string): number {
    return Math.min(this.bytesMax, Number.MAX_SAFE_INTEGER);
  }

  lock(path: string): DiskLock | null {
    if (this.locks.has(path)) return null;
    this.open(path, "append").close();
    this.locks.add(path);
    return {
      release: () => {
        if (this.locks.delete(path) && this.find(path) !== null) this.removeFile(path);
      },
    };
  }

  /** As much of `chunks` as there is room for is written before the refusal, as on a device that fills up. */
  writeContent(content: MemoryContent, path: string, chunks: readonly Uint8Array[], position: number): void {
    let at = position;
    for (const chunk of chunks) {
      const growth = Math.max(at + chunk.length - content.sizeBytes, 0);
      const room = Math.max(this.bytesMax - this.bytesUsed, 0);
      const fits = growth <= room ? chunk : chunk.subarray(0, Math.max(chunk.length - (growth - room), 0));
      const before = content.sizeBytes;
      content.write(fits, at);
      this.bytesUsed += content.sizeBytes - before;
      at += fits.length;
      if (fits.length < chunk.length) throw new DiskError("ENOSPC", path, "write");
    }
    content.modifiedMs = this.wallMs();
  }

  resize(content: MemoryContent, sizeBytes: number): void {
    this.bytesUsed += sizeBytes - content.sizeBytes;
    content.truncate(sizeBytes);
  }

  private content(path: string, operation: string): MemoryContent {
    const entry = this.find(path);
    if (entry === null) throw new DiskError("ENOENT", path, operation);
    if (entry instanceof MemoryDirectory) throw new DiskError("EISDIR", path, operation);
    return entry;
  }

  private find(path: string): MemoryDirectory | MemoryContent | null {
    let entry: MemoryDirectory | MemoryContent = this.root;
    for (const name of namesOf(path)) {
      if (!(entry instanceof MemoryDirectory)) return null;
      const child: MemoryDirectory | MemoryContent | undefined = entry.entries.get(name);
      if (child === undefined) return null;
      entry = child;
    }
    return entry;
  }

  /** Where `path` is or would be; its parent must be there. */
  private place(
    path: string,
    operation: string,
  ): { directory: MemoryDirectory; name: string; entry: MemoryDirectory | MemoryContent | undefined } {
    const names = namesOf(path);
    const name = names.pop();
    if (name === undefined) throw new DiskError("EISDIR", path, operation);
    let directory = this.root;
    for (const parent of names) {
      const entry = directory.entries.get(parent);
      if (entry === undefined) throw new DiskError("ENOENT", path, operation);
      if (!(entry instanceof MemoryDirectory)) throw new DiskError("ENOTDIR", path, operation);
      directory = entry;
    }
    return { directory, name, entry: directory.entries.get(name) };
  }
}

class MemoryFile implements DiskFile {
  path: string;
  private readonly disk: MemoryDisk;
  private readonly content: MemoryContent;
  private readonly isWritable: boolean;
  private isClosed = false;

  constructor(disk: MemoryDisk, path: string, content: MemoryContent, isWritable: boolean) {
    this.disk = disk;
    this.path = path;
    this.content = content;
    this.isWritable = isWritable;
  }

  sizeBytes(): number {
    this.check(false);
    return this.content.sizeBytes;
  }
  read(target: Uint8Array, position: number): number {
    this.check(false);
    return this.content.read(target, position);
  }
  async readLater(target: Uint8Array, position: number): Promise<number> {
    return this.read(target, position);
  }
  write(chunks: readonly Uint8Array[], position: number): void {
    this.check(true);
    this.disk.writeContent(this.content, this.path, chunks, position);
  }
  async writeLater(chunks: readonly Uint8Array[], position: number): Promise<void> {
    this.write(chunks, position);
  }
  sync(): void {
    this.check(false);
    this.content.durableBytes = this.content.sizeBytes;
  }
  async syncLater(): Promise<void> {
    this.sync();
  }
  truncate(sizeBytes: number): void {
    this.check(true);
    this.disk.resize(this.content, sizeBytes);
  }
  renameTo(path: string): void {
    this.disk.rename(this.path, path);
    this.path = path;
  }
  close(): void {
    this.isClosed = true;
  }

  private check(isWrite: boolean): void {
    if (this.isClosed || (isWrite && !this.isWritable)) throw new DiskError("EBADF", this.path, "use");
  }
}

/** Absolute and relative paths are told apart by their first name. */
function namesOf(path: string): string[] {
  const names = path.split("/").filter((name) => name !== "" && name !== ".");
  if (path.startsWith("/") && names.length > 0) names[0] = `/${names[0]}`;
  return names;
}
