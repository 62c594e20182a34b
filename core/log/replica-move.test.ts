// A replica that moves to another directory: while it is written to, cut, and across restarts, crashes and failing devices.
import { describe, expect, test } from "vitest";
import { FaultyDisk } from "../../testing/disk/faulty-disk.ts";
import { servedRecords } from "../../testing/log/crash-run.ts";
import { manualTimers, plainBatch, quietLogger } from "../../testing/log/fixtures.ts";
import { seededRandom } from "../base/index.ts";
import { type Offset, partitionIndexOf } from "../model/index.ts";
import { LogManager, type LogManagerOptions, logConfigDefaults, type PartitionLog } from "./index.ts";

const nowMs = 1_700_000_000_000;
const place = { topic: "t", partition: partitionIndexOf(0) };

function open(disk: FaultyDisk, options: Partial<LogManagerOptions> = {}): Promise<LogManager> {
  return LogManager.open({
    disk,
    clock: { wallMs: () => nowMs, monotonicMs: () => performance.now() },
    timers: {
      ...manualTimers(),
      after: (ms, callback) => {
        const timer = setTimeout(callback, Math.min(ms, 5));
        return { cancel: () => clearTimeout(timer) };
      },
    },
    random: seededRandom(1),
    logger: quietLogger,
    directories: ["/one", "/two"],
    configOf: () => ({ ...logConfigDefaults, segmentBytes: 3000, fileDeleteDelayMs: 0 }),
    ...options,
  });
}

function append(log: PartitionLog, batches: number, producer = false): void {
  for (let index = 0; index < batches; index++) {
    const sequence = log.activeProducers()[0]?.lastSequence ?? -1;
    const options = producer ? { producerId: 5, producerEpoch: 0, baseSequence: sequence + 1 } : {};
    expect(log.append(plainBatch(3, nowMs, options), { origin: "client", leaderEpoch: 2, nowMs }).kind).toBe(
      "appended",
    );
  }
  log.writePending();
  log.setHighWatermark(log.writtenEndOffset);
}

async function settled(manager: LogManager): Promise<void> {
  while ([...manager.replicaMoves()].length > 0) await new Promise((resolve) => setTimeout(resolve, 2));
}

describe("a replica that moves", () => {
  test("takes everything along, while it is written to", async () => {
    const disk = new FaultyDisk({ later: () => new Promise((resolve) => setTimeout(resolve, 1)) });
    const moved: PartitionLog[] = [];
    const manager = await open(disk, { onMoved: (_previous, next) => moved.push(next) });
    const first = manager.getOrCreate(place, { topicId: "AAAAAAAAAAAAAAAAAAAAAg" as never, directory: "/one" });
    first.assignLeaderEpoch(2, 0 as Offset);
    append(first, 200, true);
    manager.moveReplica(place, "/two");
    expect([...manager.replicaMoves()].map(({ lag }) => lag)).toEqual([600]);
    for (let round = 0; round < 5; round++) {
      append(first, 3, true);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    const expected = servedRecords(first);
    await settled(manager);
    const log = manager.log(place)!;
    expect(moved).toEqual([log]);
    expect([log.directory, log.path]).toEqual(["/two", "/two/t-0"]);
    expect(servedRecords(log)).toEqual(expected);
    expect([log.highWatermark, log.topicId, log.latestLeaderEpoch]).toEqual([645, first.topicId, 2]);
    // The producer goes on where it was, and its last batches are known.
    const again = plainBatch(3, nowMs, { producerId: 5, producerEpoch: 0, baseSequence: 642 });
    expect(log.append(again, { origin: "client", leaderEpoch: 2, nowMs })).toMatchObject({ kind: "duplicate" });
    append(log, 1, true);
    await manager.close({ brokerEpoch: 1 });
    const restarted = await open(disk);
    expect(restarted.log(place)).toMatchObject({ directory: "/two", logEndOffset: 648 });
    restarted.removalTick();
    expect(disk.listDirectory("/one").filter(({ isDirectory }) => isDirectory)).toEqual([]);
    await restarted.close({ brokerEpoch: 1 });
  });

  test("begins anew when the log is cut meanwhile", async () => {
    const disk = new FaultyDisk({ later: () => new Promise((resolve) => setTimeout(resolve, 1)) });
    const manager = await open(disk);
    const log = manager.getOrCreate(place, { topicId: null, directory: "/one" });
    append(log, 100);
    manager.moveReplica(place, "/two");
    await new Promise((resolve) => setTimeout(resolve, 4));
    log.truncateTo(30 as Offset);
    append(log, 10);
    const expected = servedRecords(log);
    await settled(manager);
    expect(manager.log(place)!.directory).toBe("/two");
    expect(servedRecords(manager.log(place)!)).toEqual(expected);
    await manager.close({ brokerEpoch: 1 });
  });

  test("goes on after a restart, stays where it was when the other device fails, and can be called back", async () => {
    const disk = new FaultyDisk({ later: () => new Promise((resolve) => setTimeout(resolve, 1)) });
    const manager = await open(disk, { moveBytesPerSecond: () => 10 });
    append(manager.getOrCreate(place, { topicId: null, directory: "/one" }), 100);
    manager.moveReplica(place, "/two");
    await new Promise((resolve) => setTimeout(resolve, 3));
    await manager.close({ brokerEpoch: 1 });
    expect(disk.listDirectory("/two").some(({ name }) => name.endsWith("-future"))).toBe(true);
    const again = await open(disk);
    await new Promise((resolve) => setTimeout(resolve, 10));
    await settled(again);
    expect(again.log(place)).toMatchObject({ directory: "/two", logEndOffset: 300 });
    disk.failNext("write", /^\/one\/.*future.*\.log$/, "EIO");
    again.moveReplica(place, "/one");
    await settled(again);
    expect(again.log(place)!.directory).toBe("/two");
    expect(again.directories.map(({ isOffline }) => isOffline)).toEqual([true, false]);
    await again.close({ brokerEpoch: 1 });
    const third = await open(disk, { moveBytesPerSecond: () => 10 });
    third.moveReplica(place, "/one");
    third.moveReplica(place, "/two");
    await settled(third);
    expect(third.log(place)).toMatchObject({ directory: "/two", logEndOffset: 300 });
    third.moveReplica(place, "/one");
    third.delete(place);
    await settled(third);
    await third.close({ brokerEpoch: 1 });
  });

  test("is whole in one directory after a crash at any step", async () => {
    for (let steps = 5; steps < 400; steps += 7) {
      const disk = new FaultyDisk({ seed: steps });
      const manager = await open(disk);
      const log = manager.getOrCreate(place, { topicId: null, directory: "/one" });
      append(log, 40);
      log.flush();
      manager.checkpointTick();
      disk.stopAfter(steps);
      try {
        manager.moveReplica(place, "/two");
        for (let turn = 0; turn < 40 && !disk.hasStopped; turn++) await new Promise(setImmediate);
        await settled(manager);
      } catch {
        // The disk stopped.
      }
      await manager.cleaner.stop();
      disk.crash({ writes: "any", names: "tail" });
      const again = await open(disk);
      expect(again.log(place)?.logEndOffset, `after ${steps} operations`).toBe(120);
      expect(servedRecords(again.log(place)!).length).toBe(120);
      await settled(again);
      await again.close({ brokerEpoch: 1 });
    }
  }, 30_000);
});
