// What a failing device may cost: a log after a failed sync, one of several directories, a start with a directory that cannot be read; and group
// commit, where nothing counts before it is on the device.
import { describe, expect, test } from "vitest";
import { FaultyDisk } from "../../testing/disk/faulty-disk.ts";
import { servedRecords } from "../../testing/log/crash-run.ts";
import { manualTimers, plainBatch, quietLogger } from "../../testing/log/fixtures.ts";
import { type DiskError, seededRandom } from "../base/index.ts";
import { type Offset, partitionIndexOf } from "../model/index.ts";
import { type LogConfig, LogManager, type LogManagerOptions, logConfigDefaults, type PartitionLog } from "./index.ts";

const nowMs = 1_700_000_000_000;
const place = (partition: number) => ({ topic: "t", partition: partitionIndexOf(partition) });

function open(
  disk: FaultyDisk,
  options: Partial<LogManagerOptions> = {},
  config: Partial<LogConfig> = {},
): Promise<LogManager> {
  return LogManager.open({
    disk,
    clock: { wallMs: () => nowMs, monotonicMs: () => 0 },
    timers: manualTimers(),
    random: seededRandom(1),
    logger: quietLogger,
    directories: ["/one", "/two"],
    configOf: () => ({ ...logConfigDefaults, ...config }),
    ...options,
  });
}

function append(log: PartitionLog, count = 3): void {
  expect(log.append(plainBatch(count, nowMs), { origin: "client", leaderEpoch: 0, nowMs }).kind).toBe("appended");
}

describe("a log directory that fails", () => {
  test("takes its own logs along and leaves the others at work", async () => {
    const disk = new FaultyDisk();
    const failed: string[] = [];
    const manager = await open(disk, { onDirectoryFailure: (directory) => failed.push(directory) });
    const first = manager.getOrCreate(place(0), { topicId: null, directory: "/one" });
    const second = manager.getOrCreate(place(1), { topicId: null, directory: "/two" });
    for (const log of [first, second]) {
      append(log);
      log.writePending();
    }
    disk.failNext("write", /^\/one\/t-0\/.*\.log$/, "EIO");
    append(first);
    expect(() => first.writePending()).toThrow("EIO");
    expect(failed).toEqual(["/one"]);
    expect(manager.directories.map(({ isOffline }) => isOffline)).toEqual([true, false]);
    expect(first.append(plainBatch(1), { origin: "client", leaderEpoch: 0, nowMs })).toMatchObject({ kind: "refused" });
    expect(manager.log(place(0))).toBeNull();
    append(second);
    second.writePending();
    expect(second.writtenEndOffset).toBe(6);
    // A new partition goes where there is a device.
    expect(manager.getOrCreate(place(2), { topicId: null }).directory).toBe("/two");
    await manager.close({ brokerEpoch: 1 });
    expect(disk.status("/one/.kafka_cleanshutdown")).toBeNull();
    expect(disk.status("/two/.kafka_cleanshutdown")).not.toBeNull();
  });

  test("after a failed sync nothing of the file is acknowledged, and the directory is offline", async () => {
    for (const isLater of [false, true]) {
      const disk = new FaultyDisk();
      const failed: string[] = [];
      const manager = await open(
        disk,
        { onDirectoryFailure: (directory) => failed.push(directory) },
        { flushMessages: 1 },
      );
      const log = manager.getOrCreate(place(0), { topicId: null, directory: "/one" });
      append(log);
      log.writePending();
      disk.failNext("sync", /\.log$/, "EIO");
      append(log);
      const outcome = isLater ? log.writePendingLater() : Promise.resolve().then(() => log.writePending());
      await expect(outcome).rejects.toThrow("EIO");
      expect(failed).toEqual(["/one"]);
      expect(log.isOffline).toBe(true);
      expect(log.append(plainBatch(1), { origin: "client", leaderEpoch: 0, nowMs })).toMatchObject({ kind: "refused" });
      await manager.close({ brokerEpoch: 1 });
      disk.crash({ writes: "all", names: "none" });
      const again = await open(disk);
      expect(again.log(place(0))!.logEndOffset).toBe(3);
    }
  });

  test("is left out of a start while another can be used; a start without any is refused", async () => {
    const disk = new FaultyDisk();
    const manager = await open(disk);
    append(manager.getOrCreate(place(0), { topicId: null, directory: "/one" }));
    append(manager.getOrCreate(place(1), { topicId: null, directory: "/two" }));
    await manager.close({ brokerEpoch: 1 });
    disk.failNext("read", /^\/one\/recovery/, "EIO");
    const failed: string[] = [];
    const half = await open(disk, { onDirectoryFailure: (directory) => failed.push(directory) });
    expect(failed).toEqual(["/one"]);
    expect(half.log(place(0))).toBeNull();
    expect(half.log(place(1))!.logEndOffset).toBe(3);
    await half.close({ brokerEpoch: 1 });
    disk.failNext("read", /^\/one\/recovery/, "EIO");
    disk.failNext("read", /^\/two\/recovery/, "EIO");
    await expect(open(disk)).rejects.toThrow("EIO");
  });

  test("a device without room refuses what comes, serves what is there, and goes on when there is room", async () => {
    const disk = new FaultyDisk();
    const manager = await open(disk);
    const log = manager.getOrCreate(place(0), { topicId: null, directory: "/one" });
    append(log);
    log.writePending();
    disk.bytesMax = disk.usedBytes + 20;
    append(log);
    expect(() => log.writePending()).toThrow("ENOSPC");
    expect([log.isOffline, log.logEndOffset, servedRecords(log).length]).toEqual([false, 3, 3]);
    manager.checkpointTick();
    expect(manager.directories.some(({ isOffline }) => isOffline)).toBe(false);
    disk.bytesMax = Number.POSITIVE_INFINITY;
    append(log);
    log.writePending();
    expect(servedRecords(log).map(({ offset }) => offset)).toEqual([0, 1, 2, 3, 4, 5]);
  });
});

describe("group commit", () => {
  test("acknowledges nothing that is not on the device, and all of a turn with one sync", async () => {
    const syncs: string[] = [];
    const disk = new FaultyDisk({
      onOperation: (operation, path) => {
        if (operation === "sync" && path.endsWith(".log")) syncs.push(path);
      },
    });
    const manager = await open(disk, { isGroupCommit: true });
    const log = manager.getOrCreate(place(0), { topicId: null });
    for (let index = 0; index < 5; index++) append(log, 2);
    log.writePending();
    expect(log.setHighWatermark(10 as Offset)).toBe(0);
    expect([log.writtenEndOffset, log.awaitsCommit, log.hasPending]).toEqual([0, true, false]);
    await log.commitLater();
    expect([log.writtenEndOffset, log.awaitsCommit, syncs.length]).toEqual([10, false, 1]);
    expect(log.setHighWatermark(10 as Offset)).toBe(10);
    append(log);
    log.writePending();
    expect(log.setHighWatermark(13 as Offset)).toBe(10);
    disk.crash({ writes: "all", names: "all" });
    const again = await open(disk, { isGroupCommit: true });
    expect(again.log(place(0))!.writtenEndOffset).toBe(10);
  });

  test("what an earlier process left in the page cache is brought to the device by the start", async () => {
    const disk = new FaultyDisk();
    const log = (await open(disk)).getOrCreate(place(0), { topicId: null });
    append(log);
    log.writePending();
    disk.crash();
    const manager = await open(disk, { isGroupCommit: true });
    expect(manager.log(place(0))!.writtenEndOffset).toBe(3);
    disk.crash({ writes: "all", names: "all" });
    expect((await open(disk)).log(place(0))!.logEndOffset).toBe(3);
  });

  test("a failed sync is a failed append", async () => {
    const disk = new FaultyDisk();
    const log = (await open(disk, { isGroupCommit: true })).getOrCreate(place(0), { topicId: null });
    append(log);
    log.writePending();
    disk.failNext("sync", /\.log$/, "ENOSPC");
    await expect(log.commitLater()).rejects.toMatchObject({ code: "ENOSPC" } satisfies Partial<DiskError>);
    expect([log.isOffline, log.writtenEndOffset]).toEqual([true, 0]);
  });
});

describe("preallocate", () => {
  test("gives the segment that is written to its full length, and takes back what is left at a roll and a stop", async () => {
    const disk = new FaultyDisk();
    const config = { preallocate: true, segmentBytes: 4096 };
    const size = (base: number): number => disk.status(`/one/t-0/${String(base).padStart(20, "0")}.log`)!.sizeBytes;
    const manager = await open(disk, {}, config);
    const log = manager.getOrCreate(place(0), { topicId: null, directory: "/one" });
    append(log);
    log.writePending();
    expect(size(0)).toBe(4096);
    log.roll();
    append(log);
    log.writePending();
    expect([size(0), size(3)]).toEqual([log.forCleaner.segments[0]!.writtenBytes, 4096]);
    const expected = servedRecords(log);
    disk.crash();
    const killed = await open(disk, {}, config);
    expect(servedRecords(killed.log(place(0))!)).toEqual(expected);
    append(killed.log(place(0))!);
    await killed.close({ brokerEpoch: 1 });
    expect(size(3)).toBe(2 * size(0));
    expect((await open(disk, {}, config)).log(place(0))!.logEndOffset).toBe(9);
  });
});
