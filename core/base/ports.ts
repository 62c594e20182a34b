// The ports: everything that core needs from the world, as arguments. `host` has the real ones, `testing` the simulated ones.
// Each port brings its own test suite (testing/compliance), which every implementation passes.

/** Two clocks: one that people read, one that only goes forward. */
export interface Clock {
  /** Milliseconds since 1970-01-01 UTC, as records carry them. May jump. */
  wallMs(): number;
  /** Milliseconds from an arbitrary start, never going back. For timeouts and durations. */
  monotonicMs(): number;
}

export interface TimerHandle {
  /** After this the callback is never called. Harmless when it has been. */
  cancel(): void;
}

export interface Timers {
  /** Calls back once, no earlier than `delayMs` from now. */
  after(delayMs: number, callback: () => void): TimerHandle;
  /** Calls back once, when all input that has already arrived in this turn of the loop has been handled. */
  atTurnEnd(callback: () => void): void;
}

export interface Random {
  /** Uniform in [0, 2^32). */
  uint32(): number;
  /** `length` random bytes in a fresh buffer. */
  bytes(length: number): Buffer;
}

/** What an operation of the disk refuses with. `code` is the system's (`ENOSPC`, `EIO`, `ENOENT`, `EACCES` …). */
export class DiskError extends Error {
  override name = "DiskError";
  readonly code: string;
  readonly path: string;
  /** "write", "sync", "rename" …; of a file, so that a sync that failed is told from a write. */
  readonly operation: string;
  constructor(code: string, path: string, operation: string, cause?: unknown) {
    super(`${operation} ${path}: ${code}`, { cause });
    this.code = code;
    this.path = path;
    this.operation = operation;
  }
}

export interface DirectoryEntry {
  readonly name: string;
  readonly isDirectory: boolean;
}

export interface FileStatus {
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  readonly isDirectory: boolean;
}

/**
 * Files below absolute or relative paths with `/` between names. All operations throw DiskError.
 *
 * Synchronous operations are for what the page cache answers: a write to it and a read from it cost less than a trip to the thread pool.
 * What may wait for the device (fsync, a cold read, appending to a directory known to be slow) has a Promise form.
 */
export interface Disk {
  /** The entries, in no particular order. ENOENT where there is no such directory. */
  listDirectory(path: string): DirectoryEntry[];
  /** As `listDirectory`, on the thread pool. */
  listDirectoryLater(path: string): Promise<DirectoryEntry[]>;
  /** Null where nothing is. */
  status(path: string): FileStatus | null;
  /** Makes missing parents too; harmless where it is. */
  makeDirectory(path: string): void;
  removeFile(path: string): void;
  /** With all that is in it; harmless where nothing is. */
  removeDirectory(path: string): void;
  /** Replaces `to` when it is a file. Durable only after `syncDirectory` of both parents. */
  rename(from: string, to: string): void;
  syncDirectory(path: string): void;
  /** As `syncDirectory`, on the thread pool. */
  syncDirectoryLater(path: string): Promise<void>;
  /** The whole file. `bytesMax` refuses a larger one with EFBIG before anything is allocated. */
  readFile(path: string, bytesMax?: number): Buffer;
  /** Writes beside the target, syncs, renames over it, syncs the directory: after a crash the file is the old or the new one, whole. */
  writeFileAtomic(path: string, bytes: Uint8Array): void;
  /** "read": must be there. "append": read and write, made when missing. "create": read and write, must not be there (EEXIST). */
  open(path: string, mode: "read" | "append" | "create"): DiskFile;
  /** Bytes that may still be written to the file system that holds `path`. */
  freeBytes(path: string): number;
  /** The size of the file system that holds `path`. */
  totalBytes(path: string): number;
  /** Takes the exclusive lock file at `path`; null when another process holds it. */
  lock(path: string): DiskLock | null;
}

export interface DiskLock {
  release(): void;
}

/**
 * One file. A handle costs no descriptor while it is idle: the host keeps a bounded number open and reopens on use, so a
 * handle stays valid across `rename` only when the rename goes through `renameTo`.
 */
export interface DiskFile {
  readonly path: string;
  sizeBytes(): number;
  /** Fills as much of `target` as the file has from `position`; the count read, 0 at or past the end. */
  read(target: Uint8Array, position: number): number;
  /** As `read`, on the thread pool: a cold page stalls nobody. `target` belongs to the file until the promise settles. */
  readLater(target: Uint8Array, position: number): Promise<number>;
  /** All of `chunks`, one after another from `position`, in one system call where the system can. Throws when not all was written. */
  write(chunks: readonly Uint8Array[], position: number): void;
  /** As `write`, on the thread pool. The chunks belong to the file until the promise settles. */
  writeLater(chunks: readonly Uint8Array[], position: number): Promise<void>;
  /** Data and size are on the device when it returns. */
  sync(): void;
  syncLater(): Promise<void>;
  truncate(sizeBytes: number): void;
  renameTo(path: string): void;
  /** Idempotent. */
  close(): void;
}

/** Counters and histograms by name; labels are fixed at creation so that the hot path adds a number to a field. */
export interface Meter {
  counter(name: string, help: string, labels?: Labels): Counter;
  gauge(name: string, help: string, read: () => number, labels?: Labels): void;
  histogram(name: string, help: string, boundaries: readonly number[], labels?: Labels): Histogram;
  /**
   * For series that come and go with what they are about, and cost work to find: `read` makes them anew at each reading. It gives way to the
   * loop itself; readings that come while one is under way share it.
   */
  collect(read: (reading: MetricReading) => Promise<void>): void;
}
export interface MetricReading {
  /** A family; what it returns adds one series. */
  gauge(name: string, help: string): (value: number, labels: Labels) => void;
}
export type Labels = Readonly<Record<string, string>>;
export interface Counter {
  add(amount: number): void;
}
export interface Histogram {
  observe(value: number): void;
}

/** Where the parts write what a person on call should read. Structured: fields first, then a sentence. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: object): Logger;
}
