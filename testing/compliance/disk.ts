// What every implementation of the Disk port must do. Run from the tests beside each implementation.
import { type Disk, DiskError } from "@blumfeld/core/base";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

export interface DiskUnderTest {
  readonly disk: Disk;
  /** An empty directory of the test's own. */
  readonly root: string;
  dispose(): void;
}

const text = (value: string): Buffer => Buffer.from(value);

/** The code that `work` is refused with. */
function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(DiskError);
    return (error as DiskError).code;
  }
  return "no refusal";
}

export function diskCompliance(name: string, factory: () => DiskUnderTest): void {
  describe(`disk compliance: ${name}`, () => {
    let under: DiskUnderTest;
    let disk: Disk;
    let at: (name: string) => string;

    beforeEach(() => {
      under = factory();
      disk = under.disk;
      at = (file) => `${under.root}/${file}`;
    });
    afterEach(() => under.dispose());

    const names = (path: string): string[] =>
      disk
        .listDirectory(path)
        .map((entry) => (entry.isDirectory ? `${entry.name}/` : entry.name))
        .sort();

    test("directories are made with their parents, listed, renamed and removed with all that is in them", async () => {
      disk.makeDirectory(at("a/b/c"));
      disk.makeDirectory(at("a/b"));
      disk.open(at("a/file"), "create").close();
      expect(names(at("a"))).toEqual(["b/", "file"]);
      expect(disk.status(at("a/b"))?.isDirectory).toBe(true);
      disk.rename(at("a"), at("z"));
      expect(names(under.root)).toEqual(["z/"]);
      expect(names(at("z"))).toEqual(["b/", "file"]);
      disk.syncDirectory(at("z"));
      expect(await disk.listDirectoryLater(at("z"))).toEqual(disk.listDirectory(at("z")));
      await disk.syncDirectoryLater(at("z"));
      disk.removeDirectory(at("z"));
      disk.removeDirectory(at("z"));
      expect(names(under.root)).toEqual([]);
    });

    test("what is not there is refused by the system's code, and has no status", async () => {
      expect(disk.status(at("none"))).toBeNull();
      expect(disk.status(at("none/deeper"))).toBeNull();
      expect(codeOf(() => disk.listDirectory(at("none")))).toBe("ENOENT");
      await expect(disk.listDirectoryLater(at("none"))).rejects.toMatchObject({ code: "ENOENT" });
      await expect(disk.syncDirectoryLater(at("none"))).rejects.toMatchObject({ code: "ENOENT" });
      expect(codeOf(() => disk.readFile(at("none")))).toBe("ENOENT");
      for (const size of [0, 4095, 4096, 4097, 9000]) {
        disk.writeFileAtomic(at("sized"), Buffer.alloc(size, 7));
        expect(disk.readFile(at("sized"), 9000).equals(Buffer.alloc(size, 7))).toBe(true);
        if (size > 0) expect(codeOf(() => disk.readFile(at("sized"), size - 1))).toBe("EFBIG");
      }
      expect(codeOf(() => disk.removeFile(at("none")))).toBe("ENOENT");
      expect(codeOf(() => disk.rename(at("none"), at("other")))).toBe("ENOENT");
      expect(codeOf(() => disk.open(at("none"), "read"))).toBe("ENOENT");
      expect(codeOf(() => disk.open(at("no/parent"), "append"))).toBe("ENOENT");
      expect(codeOf(() => disk.writeFileAtomic(at("no/parent"), text("x")))).toBe("ENOENT");
      disk.open(at("file"), "create").close();
      expect(codeOf(() => disk.open(at("file"), "create"))).toBe("EEXIST");
      expect(disk.status(at("file/below"))).toBeNull();
    });

    test("a file is written in chunks at a position, read back, overwritten, extended with zeros and cut", () => {
      const file = disk.open(at("file"), "append");
      file.write([text("hello"), Buffer.alloc(0), text(" "), text("world")], 0);
      expect(file.sizeBytes()).toBe(11);
      const target = Buffer.alloc(20);
      expect(file.read(target, 6)).toBe(5);
      expect(target.toString("latin1", 0, 5)).toBe("world");
      expect(file.read(target, 11)).toBe(0);
      expect(file.read(target, 500)).toBe(0);
      file.write([text("J")], 0);
      file.truncate(5);
      file.truncate(8);
      expect(disk.readFile(at("file"))).toEqual(text("Jello\0\0\0"));
      file.write([text("!")], 10);
      expect(disk.readFile(at("file"))).toEqual(text("Jello\0\0\0\0\0!"));
      file.sync();
      file.close();
      file.close();
    });

    test("the thread-pool forms do the same", async () => {
      const file = disk.open(at("file"), "create");
      await file.writeLater([text("abc"), text("def")], 0);
      await file.writeLater([], 6);
      await file.syncLater();
      const target = Buffer.alloc(4);
      expect(await file.readLater(target, 1)).toBe(4);
      expect(target.toString()).toBe("bcde");
      expect(await file.readLater(target, 5)).toBe(1);
      expect(await file.readLater(target, 6)).toBe(0);
      const closing = file.readLater(Buffer.alloc(6), 0);
      file.close();
      expect(await closing).toBe(6);
    });

    test("many chunks and large ones arrive whole and in order", () => {
      const file = disk.open(at("file"), "append");
      const chunks = Array.from({ length: 3000 }, (_unused, index) => Buffer.alloc(index % 700, index & 0xff));
      const whole = Buffer.concat(chunks);
      file.write([text("head")], 0);
      file.write(chunks, 4);
      expect(disk.readFile(at("file")).subarray(4).equals(whole)).toBe(true);
      const target = Buffer.alloc(whole.length);
      expect(file.read(target, 4)).toBe(whole.length);
      expect(target.equals(whole)).toBe(true);
      file.close();
    });

    test("a handle follows its own rename, and a rename replaces a file", () => {
      const file = disk.open(at("one"), "create");
      file.write([text("1")], 0);
      disk.writeFileAtomic(at("two"), text("2222"));
      file.renameTo(at("two"));
      expect(file.path).toBe(at("two"));
      file.write([text("!")], 1);
      expect(disk.readFile(at("two")).toString()).toBe("1!");
      expect(disk.status(at("one"))).toBeNull();
      file.close();
    });

    test("an atomic write leaves the new content and nothing beside it", () => {
      disk.writeFileAtomic(at("checkpoint"), text("old and longer"));
      disk.writeFileAtomic(at("checkpoint"), text("new"));
      expect(disk.readFile(at("checkpoint")).toString()).toBe("new");
      expect(names(under.root)).toEqual(["checkpoint"]);
      const status = disk.status(at("checkpoint"))!;
      expect(status.sizeBytes).toBe(3);
      expect(status.isDirectory).toBe(false);
      expect(Math.abs(status.modifiedMs - Date.now())).toBeLessThan(600_000);
    });

    test("a bound on what is read refuses before reading", () => {
      disk.writeFileAtomic(at("file"), Buffer.alloc(100));
      expect(disk.readFile(at("file"), 100).length).toBe(100);
      expect(codeOf(() => disk.readFile(at("file"), 99))).toBe("EFBIG");
    });

    test("a closed handle and a read-only one refuse to write", () => {
      disk.writeFileAtomic(at("file"), text("x"));
      const file = disk.open(at("file"), "read");
      expect(codeOf(() => file.write([text("y")], 0))).toBe("EBADF");
      file.close();
      expect(codeOf(() => file.read(Buffer.alloc(1), 0))).toBe("EBADF");
    });

    test("one holder at a time has the lock, and a released one is free", () => {
      const lock = disk.lock(at(".lock"))!;
      expect(lock).not.toBeNull();
      expect(disk.lock(at(".lock"))).toBeNull();
      lock.release();
      lock.release();
      const again = disk.lock(at(".lock"))!;
      expect(again).not.toBeNull();
      again.release();
    });

    test("there is room", () => {
      expect(disk.freeBytes(under.root)).toBeGreaterThan(0);
      expect(disk.totalBytes(under.root)).toBeGreaterThanOrEqual(disk.freeBytes(under.root));
    });
  });
}
