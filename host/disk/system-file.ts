// One file of the operating system behind the DiskFile port. Opens its descriptor on use and may lose it to others at any time between
// two operations; the next one opens it again. Keeps no bytes: reads and writes go straight to the caller's buffers.
import {
  constants,
  fstatSync,
  fsync,
  fsyncSync,
  ftruncateSync,
  openSync,
  read,
  readSync,
  renameSync,
  writev,
  writevSync,
} from "node:fs";
import type { DiskFile } from "@blumfeld/core/base";
import { DiskError } from "@blumfeld/core/base";
import type { DescriptorHolder, Descriptors } from "./descriptors.ts";
import { diskFailure } from "./disk-failure.ts";

export type OpenMode = "read" | "append" | "create";

/** Chunks that one system call takes at most (IOV_MAX). */
const chunkCountMax = 1024;

const flagsOf: Record<OpenMode, number> = {
  read: constants.O_RDONLY,
  append: constants.O_RDWR | constants.O_CREAT,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
};

export class SystemFile implements DiskFile, DescriptorHolder {
  path: string;
  descriptor = -1;
  wasUsed = false;
  operationCount = 0;
  private readonly descriptors: Descriptors;
  private readonly flagsAgain: number;
  private isClosed = false;

  constructor(path: string, mode: OpenMode, descriptors: Descriptors) {
    this.path = path;
    this.descriptors = descriptors;
    this.flagsAgain = mode === "read" ? constants.O_RDONLY : constants.O_RDWR;
    this.open(flagsOf[mode]);
  }

  sizeBytes(): number {
    return this.attempt("stat", (descriptor) => fstatSync(descriptor).size);
  }

  read(target: Uint8Array, position: number): number {
    const descriptor = this.acquire();
    try {
      let done = 0;
      while (done < target.length) {
        const count = readSync(descriptor, target, done, target.length - done, position + done);
        if (count === 0) break;
        done += count;
      }
      return done;
    } catch (error) {
      throw diskFailure(error, this.path, "read");
    }
  }

  readLater(target: Uint8Array, position: number): Promise<number> {
    return this.later("read", (descriptor, settle) => {
      let done = 0;
      const step = (): void => {
        read(descriptor, target, done, target.length - done, position + done, (error, count) => {
          if (error !== null) return settle(error, 0);
          done += count;
          if (count === 0 || done === target.length) return settle(null, done);
          step();
        });
      };
      if (target.length === 0) settle(null, 0);
      else step();
    });
  }

  write(chunks: readonly Uint8Array[], position: number): void {
    const descriptor = this.acquire();
    try {
      let rest = chunks;
      let at = position;
      while (rest.length > 0) {
        const part = rest.length > chunkCountMax ? rest.slice(0, chunkCountMax) : rest;
        const count = writevSync(descriptor, part, at);
        rest = chunksAfter(rest, count);
        if (count === 0 && rest.length > 0) throw new DiskError("EIO", this.path, "write");
        at += count;
      }
    } catch (error) {
      throw diskFailure(error, this.path, "write");
    }
  }

  writeLater(chunks: readonly Uint8Array[], position: number): Promise<void> {
    return this.later<void>("write", (descriptor, settle) => {
      let rest = chunksAfter(chunks, 0);
      let at = position;
      const step = (): void => {
        if (rest.length === 0) return settle(null, undefined);
        writev(descriptor, rest.slice(0, chunkCountMax), at, (error, count) => {
          if (error !== null) return settle(error, undefined);
          if (count === 0) return settle(new DiskError("EIO", this.path, "write"), undefined);
          rest = chunksAfter(rest, count);
          at += count;
          step();
        });
      };
      step();
    });
  }

  sync(): void {
    this.attempt("sync", fsyncSync);
  }

  syncLater(): Promise<void> {
    return this.later<void>("sync", (descriptor, settle) => fsync(descriptor, (error) => settle(error, undefined)));
  }

  truncate(sizeBytes: number): void {
    this.attempt("truncate", (descriptor) => ftruncateSync(descriptor, sizeBytes));
  }

  renameTo(path: string): void {
    try {
      renameSync(this.path, path);
    } catch (error) {
      throw diskFailure(error, this.path, "rename");
    }
    this.path = path;
  }

  close(): void {
    this.isClosed = true;
    if (this.operationCount === 0 && this.descriptor >= 0) this.descriptors.close(this);
  }

  private open(flags: number): void {
    try {
      this.descriptor = openSync(this.path, flags, 0o644);
    } catch (error) {
      throw diskFailure(error, this.path, "open");
    }
    this.descriptors.add(this);
  }

  private acquire(): number {
    if (this.isClosed) throw new DiskError("EBADF", this.path, "use");
    if (this.descriptor < 0) this.open(this.flagsAgain);
    this.wasUsed = true;
    return this.descriptor;
  }

  private attempt<T>(operation: string, work: (descriptor: number) => T): T {
    const descriptor = this.acquire();
    try {
      return work(descriptor);
    } catch (error) {
      throw diskFailure(error, this.path, operation);
    }
  }

  private later<T>(
    operation: string,
    start: (descriptor: number, settle: (error: Error | null, value: T) => void) => void,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const descriptor = this.acquire();
      this.operationCount++;
      start(descriptor, (error, value) => {
        this.operationCount--;
        if (this.isClosed && this.operationCount === 0 && this.descriptor >= 0) this.descriptors.close(this);
        if (error === null) resolve(value);
        else reject(diskFailure(error, this.path, operation));
      });
    });
  }
}

/** What is left of `chunks` after `count` bytes of them. Empty chunks go too: a call with nothing to write would look like no progress. */
function chunksAfter(chunks: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let index = 0;
  let left = count;
  while (index < chunks.length && left >= chunks[index]!.length) left -= chunks[index++]!.length;
  if (index === chunks.length) return [];
  if (left === 0) return index === 0 ? chunks : chunks.slice(index);
  return [chunks[index]!.subarray(left), ...chunks.slice(index + 1)];
}
