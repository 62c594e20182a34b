import { DiskError } from "@blumfeld/core/base";
import { describe, expect, test } from "vitest";
import { diskCompliance } from "../../testing/compliance/disk.ts";
import { MemoryDisk } from "./index.ts";

diskCompliance("memory", () => {
  const disk = new MemoryDisk();
  disk.makeDirectory("/root");
  return { disk, root: "/root", dispose: () => {} };
});

describe("a memory disk", () => {
  test("refuses what has no room, keeps what fitted, and takes writes again when there is room", () => {
    const disk = new MemoryDisk({ bytesMax: 10 });
    const file = disk.open("/log", "append");
    file.write([Buffer.from("12345678")], 0);
    expect(() => file.write([Buffer.from("abcd")], 8)).toThrow(DiskError);
    expect(file.sizeBytes()).toBe(10);
    expect(disk.freeBytes("/")).toBe(0);
    file.truncate(8);
    disk.setBytesMax(100);
    file.write([Buffer.from("abcd")], 8);
    expect(disk.readFile("/log").toString()).toBe("12345678abcd");
    disk.removeFile("/log");
    expect(disk.usedBytes).toBe(0);
  });

  test("a crash keeps what was synced, and as much of the rest as the caller says", () => {
    const disk = new MemoryDisk();
    const kept = disk.open("/kept", "append");
    kept.write([Buffer.from("synced")], 0);
    kept.sync();
    kept.write([Buffer.from("+tail")], 6);
    disk.open("/lost", "append").write([Buffer.from("never synced")], 0);
    expect(disk.lock("/.lock")).not.toBeNull();
    disk.crash((path, durableBytes) => (path === "/lost" ? 5 : durableBytes));
    expect(disk.readFile("/kept").toString()).toBe("synced");
    expect(disk.readFile("/lost").toString()).toBe("never");
    expect(disk.lock("/.lock")).not.toBeNull();
  });
});
