import type { DiskError } from "@blumfeld/core/base";
import { describe, expect, test } from "vitest";
import { diskCompliance } from "../compliance/disk.ts";
import { FaultyDisk } from "./faulty-disk.ts";

diskCompliance("a faulty disk on a good day", () => {
  const disk = new FaultyDisk();
  disk.makeDirectory("/root");
  return { disk, root: "/root", dispose: () => {} };
});

const bytes = (text: string): Buffer => Buffer.from(text);

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return (error as DiskError).code;
  }
  return "none";
}

describe("a faulty disk", () => {
  function prepared(): FaultyDisk {
    const disk = new FaultyDisk({ seed: 3 });
    disk.makeDirectory("/d");
    disk.syncDirectory("/");
    const file = disk.open("/d/f", "create");
    file.write([bytes("safe")], 0);
    file.sync();
    disk.syncDirectory("/d");
    file.write([bytes(" lost")], 4);
    return disk;
  }

  test("a crash loses what was not synced, and a dying process does not", () => {
    const disk = prepared();
    disk.crash();
    expect(disk.readFile("/d/f").toString()).toBe("safe lost");
    const other = prepared();
    other.crash({ writes: "all" });
    expect(other.readFile("/d/f").toString()).toBe("safe");
  });

  test("what a crash may leave of several writes is a prefix, or any sectors of them", () => {
    const tails = new Set<string>();
    const holes = new Set<string>();
    for (let seed = 0; seed < 200; seed++) {
      for (const [writes, seen] of [
        ["tail", tails],
        ["any", holes],
      ] as const) {
        const disk = new FaultyDisk({ seed });
        disk.makeDirectory("/d");
        const file = disk.open("/d/f", "create");
        disk.syncDirectory("/");
        disk.syncDirectory("/d");
        for (let index = 0; index < 4; index++) file.write([Buffer.alloc(512, 97 + index)], index * 512);
        disk.crash({ writes, names: "all" });
        seen.add(
          disk
            .readFile("/d/f")
            .toString("latin1")
            .replaceAll(/(.)\1*/gs, "$1")
            .replaceAll("\0", "_"),
        );
      }
    }
    expect([...tails].every((text) => "abcd".startsWith(text))).toBe(true);
    expect(tails.size).toBeGreaterThanOrEqual(4);
    expect(holes.has("_b") || holes.has("_bcd")).toBe(true);
    expect(holes.size).toBeGreaterThan(8);
  });

  test("a name is forgotten without a sync of its directory, and a rename leaves the old one", () => {
    const disk = prepared();
    disk.open("/d/new", "create").sync();
    disk.rename("/d/f", "/d/g");
    disk.crash({ names: "all" });
    expect(disk.listDirectory("/d").map(({ name }) => name)).toEqual(["f"]);
    disk.rename("/d/f", "/d/g");
    disk.syncDirectory("/d");
    disk.crash({ names: "all" });
    expect(disk.listDirectory("/d").map(({ name }) => name)).toEqual(["g"]);
  });

  test("after a failed sync the bytes are read and gone at the next crash, whatever later syncs say", () => {
    const disk = prepared();
    disk.failNext("sync", /f$/, "EIO");
    const file = disk.open("/d/f", "append");
    expect(codeOf(() => file.sync())).toBe("EIO");
    file.sync();
    expect(disk.readFile("/d/f").toString()).toBe("safe lost");
    disk.crash({ writes: "all" });
    expect(disk.readFile("/d/f").toString()).toBe("safe");
  });

  test("writes fall short, fail and find no room", () => {
    const disk = prepared();
    const file = disk.open("/d/f", "append");
    disk.faults = { shortWrite: 1 };
    expect(codeOf(() => file.write([bytes("12345678")], 9))).toBe("EIO");
    expect(file.sizeBytes()).toBeLessThanOrEqual(17);
    disk.faults = { writeError: 1 };
    file.truncate(9);
    expect(codeOf(() => file.write([bytes("12345678")], 9))).toBe("EIO");
    expect(file.sizeBytes()).toBe(9);
    disk.faults = {};
    disk.bytesMax = 12;
    expect(codeOf(() => file.write([bytes("12345678")], 9))).toBe("ENOSPC");
    expect(disk.readFile("/d/f").toString()).toBe("safe lost123");
    expect(disk.freeBytes("/d")).toBe(0);
  });

  test("stops at the operation it was told to, and handles of before a crash are dead", () => {
    const disk = prepared();
    const file = disk.open("/d/f", "append");
    disk.stopAfter(2);
    file.write([bytes("!")], 9);
    file.write([bytes("?")], 10);
    expect(codeOf(() => file.write([bytes("x")], 11))).toBe("EIO");
    expect(disk.hasStopped).toBe(true);
    disk.crash();
    expect(codeOf(() => file.sizeBytes())).toBe("EBADF");
    expect(disk.readFile("/d/f").toString()).toBe("safe lost!?");
  });
});
