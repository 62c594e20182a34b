// The Disk port with everything that goes wrong with disks, from one seed: writes that fall short, tear, fail or find no room, reads and syncs
// that fail, operations that take long, and crashes that lose or reorder what was not synced, names included. What it promises is what POSIX
// promises and no more: a file's bytes are safe after `sync`, a name after `syncDirectory`.
//
//   const disk = new FaultyDisk({ seed: 7 });
//   disk.faults = { writeError: 0.01, syncError: 0.001 };     // chances
//   disk.failNext("sync", /\.log$/, "EIO");                    // or one at a time
//   disk.crash({ writes: "any", names: "any" });               // every handle and lock is gone
import {
  type DirectoryEntry,
  type Disk,
  DiskError,
  type DiskFile,
  type DiskLock,
  type FileStatus,
  seededRandom,
} from "@blumfeld/core/base";
import { FaultyContent, type LostWrites } from "./faulty-content.ts";
import { FaultyDirectory, type LostNames, type Node } from "./faulty-directory.ts";

export type FaultyOperation = "read" | "write" | "sync" | "rename" | "remove" | "open" | "truncate";

/** Chances, 0 to 1, of each operation. */
export interface DiskFaults {
  readonly readError?: number;
  /** Nothing of the write arrives. */
  readonly writeError?: number;
  /** A part of it does. */
  readonly shortWrite?: number;
  readonly syncError?: number;
  readonly renameError?: number;
}

export interface FaultyDiskOptions {
  readonly seed?: number;
  /** All files together; beyond it writes are refused with ENOSPC, as much as fits being written. */
  readonly bytesMax?: number;
  readonly wallMs?: () => number;
  /** How long a read, write or sync on the thread pool takes; a simulator gives its own timers. Default: no time. */
  readonly later?: (operation: FaultyOperation, path: string) => Promise<void>;
  /** Told of each operation before it is done: a simulator may let time pass, or count. */
  readonly onOperation?: (operation: FaultyOperation, path: string) => void;
}

export interface CrashOptions {
  readonly writes?: LostWrites;
  readonly names?: LostNames;
}

export class FaultyDisk implements Disk {
  faults: DiskFaults = {};
  bytesMax: number;
  /** Operations so far. */
  operationCount = 0;
  readonly options: FaultyDiskOptions;
  readonly random: ReturnType<typeof seededRandom>;
  private readonly root = new FaultyDirectory();
  private readonly locks = new Set<string>();
  private readonly planned: { operation: FaultyOperation; path: RegExp; code: string }[] = [];
  /** The number of crashes: handles of before are dead. */
  private life = 0;
  private crashAt = Number.POSITIVE_INFINITY;

  constructor(options: FaultyDiskOptions = {}) {
    this.options = options;
    this.random = seededRandom(options.seed ?? 1);
    this.bytesMax = options.bytesMax ?? Number.POSITIVE_INFINITY;
  }

  /** The next such operation on a path that fits is refused with `code`. */
  failNext(operation: FaultyOperation, path: RegExp, code: string): void {
    this.planned.push({ operation, path, code });
  }

  /** From the operation after `operations` more on everything is refused: the machine is about to lose power there. */
  stopAfter(operations: number): void {
    this.crashAt = this.operationCount + operations;
  }

  get hasStopped(): boolean {
    return this.operationCount >= this.crashAt;
  }

  /** Power is lost and comes back. Default: the process alone dies, and the system writes everything. */
  crash({ writes = "none", names = "none" }: CrashOptions = {}): void {
    this.root.crash(names, writes, this.random);
    this.locks.clear();
    this.planned.length = 0;
    this.life++;
    this.crashAt = Number.POSITIVE_INFINITY;
  }

  /** Flips one bit of the file, as a bad device does. */
  flipBit(path: string, position: number, bit: number): void {
    this.content(path, "flip").flipBit(position, bit);
  }

  get usedBytes(): number {
    const bytesOf = (node: Node): number => {
      if (node instanceof FaultyContent) return node.sizeBytes;
      let bytes = 0;
      for (const child of node.entries.values()) bytes += bytesOf(child);
      return bytes;
    };
    return bytesOf(this.root);
  }

  // --- the port --------------------------------------------------------------------------------

  listDirectory(path: string): DirectoryEntry[] {
    const node = this.find(path);
    if (node === null) throw new DiskError("ENOENT", path, "list");
    if (node instanceof FaultyContent) throw new DiskError("ENOTDIR", path, "list");
    return Array.from(node.entries, ([name, child]) => ({ name, isDirectory: child instanceof FaultyDirectory }));
  }

  async listDirectoryLater(path: string): Promise<DirectoryEntry[]> {
    return this.listDirectory(path);
  }

  status(path: string): FileStatus | null {
    const node = this.find(path);
    if (node === null) return null;
    const isDirectory = node instanceof FaultyDirectory;
    return { sizeBytes: isDirectory ? 0 : node.sizeBytes, modifiedMs: node.modifiedMs, isDirectory };
  }

  makeDirectory(path: string): void {
    let directory = this.root;
    for (const name of namesOf(path)) {
      let node = directory.entries.get(name);
      if (node === undefined) {
        node = new FaultyDirectory();
        node.modifiedMs = this.wallMs();
        directory.change([name, node]);
      }
      if (node instanceof FaultyContent) throw new DiskError("EEXIST", path, "make directory");
      directory = node;
    }
  }

  removeFile(path: string): void {
    this.begin("remove", path);
    const { directory, name, node } = this.place(path, "remove");
    if (node === undefined) throw new DiskError("ENOENT", path, "remove");
    if (node instanceof FaultyDirectory) throw new DiskError("EISDIR", path, "remove");
    directory.change([name, null]);
  }

  removeDirectory(path: string): void {
    if (this.find(path) === null) return;
    this.begin("remove", path);
    const { directory, name } = this.place(path, "remove directory");
    directory.change([name, null]);
  }

  rename(from: string, to: string): void {
    this.begin("rename", from);
    const source = this.place(from, "rename");
    const { node } = source;
    if (node === undefined) throw new DiskError("ENOENT", from, "rename");
    const target = this.place(to, "rename");
    if (target.node === node) return;
    if (target.node instanceof FaultyDirectory && node instanceof FaultyContent)
      throw new DiskError("EISDIR", to, "rename");
    if (target.node instanceof FaultyDirectory && target.node.entries.size > 0)
      throw new DiskError("ENOTEMPTY", to, "rename");
    if (target.node instanceof FaultyContent && node instanceof FaultyDirectory)
      throw new DiskError("ENOTDIR", to, "rename");
    if (source.directory === target.directory) source.directory.change([source.name, null], [target.name, node]);
    else {
      target.directory.change([target.name, node]);
      source.directory.change([source.name, null]);
    }
  }

  syncDirectory(path: string): void {
    const node = this.find(path);
    if (!(node instanceof FaultyDirectory)) throw new DiskError("ENOENT", path, "sync directory");
    this.begin("sync", path);
    node.sync();
  }

  async syncDirectoryLater(path: string): Promise<void> {
    this.syncDirectory(path);
  }

  readFile(path: string, bytesMax = Number.POSITIVE_INFINITY): Buffer {
    const content = this.content(path, "read");
    if (content.sizeBytes > bytesMax) throw new DiskError("EFBIG", path, "read");
    this.begin("read", path);
    const bytes = Buffer.alloc(content.sizeBytes);
    content.read(bytes, 0);
    return bytes;
  }

  writeFileAtomic(path: string, bytes: Uint8Array): void {
    const temporary = `${path}.tmp`;
    const parent = path.slice(0, path.lastIndexOf("/"));
    const file = this.open(temporary, "append");
    file.truncate(0);
    file.write([bytes], 0);
    file.sync();
    file.close();
    this.rename(temporary, path);
    this.syncDirectory(parent);
  }

  open(path: string, mode: "read" | "append" | "create"): DiskFile {
    const { directory, name, node } = this.place(path, "open");
    if (node instanceof FaultyDirectory) throw new DiskError("EISDIR", path, "open");
    if (node !== undefined && mode === "create") throw new DiskError("EEXIST", path, "open");
    if (node === undefined && mode === "read") throw new DiskError("ENOENT", path, "open");
    this.begin("open", path);
    if (node !== undefined) return new FaultyFile(this, path, node, mode !== "read");
    const content = new FaultyContent();
    content.modifiedMs = this.wallMs();
    directory.change([name, content]);
    return new FaultyFile(this, path, content, true);
  }

  freeBytes(_path: string): number {
    return Math.max(this.totalBytes(_path) - this.usedBytes, 0);
  }

  totalBytes(_path: string): number {
    return Math.min(this.bytesMax, Number.MAX_SAFE_INTEGER);
  }

  lock(path: string): DiskLock | null {
    if (this.locks.has(path)) return null;
    this.open(path, "append").close();
    this.locks.add(path);
    const { life } = this;
    return {
      release: () => {
        if (life === this.life && this.locks.delete(path) && this.find(path) !== null) this.removeFile(path);
      },
    };
  }

  // --- for the files ---------------------------------------------------------------------------

  get lifeCount(): number {
    return this.life;
  }

  wallMs(): number {
    return (this.options.wallMs ?? Date.now)();
  }

  /** Counts the operation, and refuses it where that is planned. */
  begin(operation: FaultyOperation, path: string): void {
    if (this.hasStopped) throw new DiskError("EIO", path, `${operation} after the power went`);
    this.operationCount++;
    this.options.onOperation?.(operation, path);
    const index = this.planned.findIndex((plan) => plan.operation === operation && plan.path.test(path));
    if (index >= 0) throw new DiskError(this.planned.splice(index, 1)[0]!.code, path, operation);
    const chance = { read: this.faults.readError, rename: this.faults.renameError, write: this.faults.writeError };
    const own = (chance as Partial<Record<FaultyOperation, number>>)[operation] ?? 0;
    if (own > 0 && this.random.fraction() < own) throw new DiskError("EIO", path, operation);
  }

  writeContent(content: FaultyContent, path: string, chunks: readonly Uint8Array[], position: number): void {
    const bytes = Buffer.concat(chunks);
    this.begin("write", path);
    let fits = bytes.length;
    if (Number.isFinite(this.bytesMax)) {
      const growth = Math.max(position + bytes.length - content.sizeBytes, 0);
      const room = Math.max(this.bytesMax - this.usedBytes, 0);
      fits = Math.max(bytes.length - Math.max(growth - room, 0), 0);
    }
    const isShort = (this.faults.shortWrite ?? 0) > 0 && this.random.fraction() < this.faults.shortWrite!;
    const count = isShort ? Math.min(fits, this.random.below(bytes.length + 1)) : fits;
    content.write(bytes.subarray(0, count), position);
    content.modifiedMs = this.wallMs();
    if (isShort) throw new DiskError("EIO", path, "write");
    if (count < bytes.length) throw new DiskError("ENOSPC", path, "write");
  }

  syncContent(content: FaultyContent, path: string): void {
    try {
      this.begin("sync", path);
      const chance = this.faults.syncError ?? 0;
      if (chance > 0 && this.random.fraction() < chance) throw new DiskError("EIO", path, "sync");
    } catch (error) {
      if (!this.hasStopped) content.loseDirtyPages();
      throw error;
    }
    content.sync();
  }

  private content(path: string, operation: string): FaultyContent {
    const node = this.find(path);
    if (node === null) throw new DiskError("ENOENT", path, operation);
    if (node instanceof FaultyDirectory) throw new DiskError("EISDIR", path, operation);
    return node;
  }

  private find(path: string): Node | null {
    let node: Node = this.root;
    for (const name of namesOf(path)) {
      const child: Node | undefined = node instanceof FaultyDirectory ? node.entries.get(name) : undefined;
      if (child === undefined) return null;
      node = child;
    }
    return node;
  }

  private place(path: string, operation: string): { directory: FaultyDirectory; name: string; node: Node | undefined } {
    const names = namesOf(path);
    const name = names.pop();
    if (name === undefined) throw new DiskError("EISDIR", path, operation);
    let directory = this.root;
    for (const parent of names) {
      const node = directory.entries.get(parent);
      if (node === undefined) throw new DiskError("ENOENT", path, operation);
      if (node instanceof FaultyContent) throw new DiskError("ENOTDIR", path, operation);
      directory = node;
    }
    return { directory, name, node: directory.entries.get(name) };
  }
}

class FaultyFile implements DiskFile {
  path: string;
  private readonly disk: FaultyDisk;
  private readonly content: FaultyContent;
  private readonly isWritable: boolean;
  private readonly life: number;
  private isClosed = false;

  constructor(disk: FaultyDisk, path: string, content: FaultyContent, isWritable: boolean) {
    this.disk = disk;
    this.path = path;
    this.content = content;
    this.isWritable = isWritable;
    this.life = disk.lifeCount;
  }

  sizeBytes(): number {
    this.check(false);
    return this.content.sizeBytes;
  }
  read(target: Uint8Array, position: number): number {
    this.check(false);
    this.disk.begin("read", this.path);
    return this.content.read(target, position);
  }
  async readLater(target: Uint8Array, position: number): Promise<number> {
    this.check(false);
    await this.disk.options.later?.("read", this.path);
    this.disk.begin("read", this.path);
    return this.content.read(target, position);
  }
  write(chunks: readonly Uint8Array[], position: number): void {
    this.check(true);
    this.disk.writeContent(this.content, this.path, chunks, position);
  }
  async writeLater(chunks: readonly Uint8Array[], position: number): Promise<void> {
    this.check(true);
    await this.disk.options.later?.("write", this.path);
    this.disk.writeContent(this.content, this.path, chunks, position);
  }
  sync(): void {
    this.check(false);
    this.disk.syncContent(this.content, this.path);
  }
  async syncLater(): Promise<void> {
    this.check(false);
    await this.disk.options.later?.("sync", this.path);
    this.disk.syncContent(this.content, this.path);
  }
  truncate(sizeBytes: number): void {
    this.check(true);
    this.disk.begin("truncate", this.path);
    this.content.truncate(sizeBytes);
  }
  renameTo(path: string): void {
    this.disk.rename(this.path, path);
    this.path = path;
  }
  close(): void {
    this.isClosed = true;
  }

  private check(isWrite: boolean): void {
    if (this.isClosed || this.life !== this.disk.lifeCount || (isWrite && !this.isWritable))
      throw new DiskError("EBADF", this.path, "use");
  }
}

/** Absolute and relative paths are told apart by their first name. */
function namesOf(path: string): string[] {
  const names = path.split("/").filter((name) => name !== "" && name !== ".");
  if (path.startsWith("/") && names.length > 0) names[0] = `/${names[0]}`;
  return names;
}
