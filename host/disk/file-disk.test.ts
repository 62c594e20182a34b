import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { diskCompliance } from "../../testing/compliance/disk.ts";
import { FileDisk } from "./index.ts";

const makeRoot = (): string => mkdtempSync(join(tmpdir(), "blumfeld-disk-"));
const removeRoot = (root: string): void => rmSync(root, { recursive: true, force: true });

diskCompliance("files", () => {
  const root = makeRoot();
  return { disk: new FileDisk(), root, dispose: () => removeRoot(root) };
});

diskCompliance("files, one descriptor at a time", () => {
  const root = makeRoot();
  return { disk: new FileDisk({ descriptorCountMax: 1 }), root, dispose: () => removeRoot(root) };
});

describe("a file disk", () => {
  let root: string;
  beforeEach(() => {
    root = makeRoot();
  });
  afterEach(() => removeRoot(root));

  test("holds no more descriptors than it may, and every handle goes on working", async () => {
    const disk = new FileDisk({ descriptorCountMax: 4 });
    const files = Array.from({ length: 20 }, (_unused, index) => disk.open(`${root}/${index}`, "create"));
    for (let round = 0; round < 3; round++) {
      for (const [index, file] of files.entries()) file.write([Buffer.from(`${index}.`)], file.sizeBytes());
    }
    expect(disk.descriptorCount).toBeLessThanOrEqual(4);
    await Promise.all(files.map((file) => file.syncLater()));
    for (const [index, file] of files.entries()) {
      const target = Buffer.alloc(100);
      const count = await file.readLater(target, 0);
      expect(target.toString("latin1", 0, count)).toBe(`${index}.`.repeat(3));
      file.close();
    }
    expect(disk.descriptorCount).toBe(0);
  });

  test("large files go by name at once, and give their blocks back soon after", async () => {
    const disk = new FileDisk();
    const names = Array.from({ length: 200 }, (_unused, index) => `${root}/topic/${index}.log`);
    disk.makeDirectory(`${root}/topic/inner`);
    for (const name of names) writeFileSync(name, Buffer.alloc(1024 * 1024));
    writeFileSync(`${root}/kept`, "a link that was not followed");
    symlinkSync(`${root}/kept`, `${root}/topic/inner/link`);
    disk.removeFile(names[0]!);
    expect(disk.status(names[0]!)).toBeNull();
    disk.removeDirectory(`${root}/topic`);
    expect(disk.status(`${root}/topic`)).toBeNull();
    expect(existsSync(`${root}/kept`)).toBe(true);
    if (process.platform !== "linux") return;
    await expect.poll(() => deletedFilesHeldOpen(root)).toBe(0);
  });

  test("the lock of a process that has died is free", () => {
    const dead = spawnSync(process.execPath, ["-e", ""]).pid;
    writeFileSync(`${root}/.lock`, `${dead} 12345\n`);
    const lock = new FileDisk().lock(`${root}/.lock`);
    expect(lock).not.toBeNull();
    lock!.release();
  });

  test("the lock of a living process is held, unless its id belongs to a later process by now", () => {
    writeFileSync(`${root}/.lock`, `${process.ppid}\n`);
    expect(new FileDisk().lock(`${root}/.lock`)).toBeNull();
    if (process.platform === "linux") {
      writeFileSync(`${root}/.lock`, `${process.ppid} 1\n`);
      expect(new FileDisk().lock(`${root}/.lock`)).not.toBeNull();
    }
  });

  test("an empty lock file, as Kafka leaves it, is free", () => {
    writeFileSync(`${root}/.lock`, "");
    expect(new FileDisk().lock(`${root}/.lock`)).not.toBeNull();
  });
});

function deletedFilesHeldOpen(root: string): number {
  const targets = readdirSync("/proc/self/fd").map((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`);
    } catch {
      return ""; // the descriptor by which the listing itself was read
    }
  });
  return targets.filter((target) => target.startsWith(root) && target.endsWith("(deleted)")).length;
}
