// The cleaner's decisions and its ways out: what is dirty enough, how little memory and speed it may have, and what becomes of a log that is
// cut, damaged or on a full device while it is compacted.
import { beforeEach, describe, expect, test } from "vitest";
import { MemoryDisk } from "../../../host/disk/index.ts";
import {
  asClient,
  batchOf,
  type LogWorld,
  logWorld,
  manualTimers,
  quietLogger,
} from "../../../testing/log/fixtures.ts";
import { type Disk, seededRandom } from "../../base/index.ts";
import { iterateBatches, iterateRecords, type Offset, partitionIndexOf } from "../../model/index.ts";
import { type LogConfig, LogManager, logConfigDefaults, type PartitionLog } from "../index.ts";
import { cleanableRange } from "./cleanable-range.ts";
import { type CleanerSettings, cleanerSettingsDefault, LogCleaner } from "./log-cleaner.ts";
import { offsetMapSlotBytes } from "./offset-map.ts";

const compacted: Partial<LogConfig> = {
  segmentBytes: 2000,
  indexIntervalBytes: 200,
  cleanupPolicy: { delete: false, compact: true },
};

function fill(world: LogWorld, log: PartitionLog, count: number, keyCount: number, timestamp?: number): void {
  for (let index = 0; index < count; index++) {
    const key = `key ${(index * 7) % keyCount}`;
    const record = { key, value: `value ${index}`.padEnd(60, "."), timestamp: timestamp ?? world.nowMs };
    expect(log.append(batchOf([record]), asClient(world)).kind).toBe("appended");
    log.writePending();
  }
  log.setHighWatermark(log.logEndOffset);
}

/** Key and value of every record of the log. */
function recordsOf(log: PartitionLog): { offset: number; key: string; value: string }[] {
  const found: { offset: number; key: string; value: string }[] = [];
  for (const segment of log.forCleaner.segments) {
    const bytes = Buffer.alloc(segment.writtenBytes);
    segment.log.read(bytes, 0);
    for (const batch of iterateBatches(bytes))
      for (const record of iterateRecords(batch))
        found.push({ offset: record.offset, key: String(record.key), value: String(record.value) });
  }
  return found;
}

describe("the log cleaner", () => {
  let world: LogWorld;
  let log: PartitionLog;
  let settings: CleanerSettings;
  let saved: string[];
  let spentMs: number;

  const cleanerOf = (logs: () => Iterable<PartitionLog> = () => [log]): LogCleaner =>
    new LogCleaner({
      clock: { wallMs: () => world.nowMs, monotonicMs: () => spentMs },
      timers: {
        after(delayMs, callback) {
          spentMs += delayMs;
          setImmediate(callback);
          return { cancel() {} };
        },
        atTurnEnd: setImmediate,
      },
      logger: quietLogger,
      settings: () => settings,
      logs,
      saveOffsets: (directory) => saved.push(directory),
    });

  beforeEach(() => {
    world = logWorld(compacted);
    log = world.create();
    settings = cleanerSettingsDefault;
    saved = [];
    spentMs = 0;
  });

  test("keeps the last value of each key, at its offset, and joins segments that have become small", async () => {
    fill(world, log, 300, 20);
    const before = recordsOf(log);
    const sizeBefore = log.sizeBytes;
    const activeBase = log.segmentBaseOffsets.at(-1)!;
    await cleanerOf().tick();
    const after = recordsOf(log);
    const last = new Map(before.filter(({ offset }) => offset < activeBase).map((record) => [record.key, record]));
    const wanted = before.filter((record) => record.offset >= activeBase || last.get(record.key) === record);
    expect(after).toEqual(wanted);
    expect(log.cleanedOffset).toBe(activeBase);
    expect(log.sizeBytes).toBeLessThan(sizeBefore / 4);
    expect(saved).toEqual(["/data"]);
    for (const { offset } of wanted) {
      const outcome = log.read(offset as Offset, { bytesMax: 1, upTo: log.highWatermark, minOneBatch: true });
      expect(outcome.kind === "slice" && outcome.firstBatchOffset).toBe(offset);
    }
    expect(log.read(0 as Offset, { bytesMax: 1, upTo: log.highWatermark, minOneBatch: true }).kind).toBe("slice");
    // What is left of many segments fits into one.
    const segmentsBefore = log.segmentCount;
    fill(world, log, 300, 20);
    await cleanerOf().tick();
    expect(segmentsBefore).toBeGreaterThan(10);
    expect(log.segmentCount).toBeLessThan(segmentsBefore + 5);
    expect(log.segmentBaseOffsets[1]).toBeGreaterThan(250);
  });

  test("takes several passes where the dedupe buffer holds a few keys only", async () => {
    fill(world, log, 200, 50);
    settings = { ...settings, dedupeBufferBytes: 12 * offsetMapSlotBytes, loadFactor: 0.9 };
    log.updateConfig({ ...log.config, minCleanableDirtyRatio: 0 });
    const cleaner = cleanerOf();
    await cleaner.tick();
    expect(cleaner.figures.passCount).toBeGreaterThan(5);
    expect(cleaner.figures.maxBufferUtilizationPercent).toBeGreaterThan(0);
    const activeBase = log.segmentBaseOffsets.at(-1)!;
    expect(log.cleanedOffset).toBe(activeBase);
    const keys = recordsOf(log)
      .filter(({ offset }) => offset < activeBase)
      .map(({ key }) => key);
    expect(new Set(keys).size).toBe(keys.length);
  });

  test("waits for the dirty ratio, unless the oldest record has waited for max.compaction.lag.ms", async () => {
    fill(world, log, 100, 10);
    await cleanerOf().tick();
    const cleaned = log.cleanedOffset;
    fill(world, log, 30, 10);
    log.updateConfig({ ...log.config, minCleanableDirtyRatio: 0.99 });
    await cleanerOf().tick();
    expect(log.cleanedOffset).toBe(cleaned);
    log.updateConfig({ ...log.config, maxCompactionLagMs: 5000 });
    world.nowMs += 60_000;
    const cleaner = cleanerOf();
    await cleaner.tick();
    expect(log.cleanedOffset).toBeGreaterThan(cleaned!);
  });

  test("leaves alone what is younger than min.compaction.lag.ms", () => {
    fill(world, log, 100, 10, world.nowMs - 50_000);
    fill(world, log, 100, 10, world.nowMs);
    log.updateConfig({ ...log.config, minCompactionLagMs: 10_000 });
    const range = cleanableRange(log.forCleaner, log.lastStableOffset, world.nowMs)!;
    expect(range.firstUncleanableOffset).toBeLessThanOrEqual(100);
    expect(range.firstUncleanableOffset).toBeGreaterThan(50);
  });

  test("reads and writes no faster than log.cleaner.io.max.bytes.per.second", async () => {
    fill(world, log, 300, 20);
    const bytes = log.sizeBytes;
    settings = { ...settings, ioBytesPerSecondMax: 10_000 };
    const cleaner = cleanerOf();
    await cleaner.tick();
    const moved = cleaner.figures.bytesRead + cleaner.figures.bytesWritten;
    expect(moved).toBeGreaterThan(bytes);
    expect(spentMs).toBeGreaterThan((moved / 10_000) * 1000 * 0.8);
  });

  test("gives up when the log is cut meanwhile, and leaves no file behind", async () => {
    fill(world, log, 300, 20);
    settings = { ...settings, ioBytesPerSecondMax: 100 };
    const running = cleanerOf(oncePer(() => log)).tick();
    await new Promise(setImmediate);
    log.truncateTo(150 as Offset);
    log.setHighWatermark(150 as Offset);
    await running;
    expect(log.cleanedOffset).toBeNull();
    expect(recordsOf(log).map(({ offset }) => offset)).toEqual(Array.from({ length: 150 }, (_unused, index) => index));
    expect(names(world.disk).filter((name) => /cleaned|swap/.test(name))).toEqual([]);
  });

  test("marks a partition with a damaged batch and changes nothing of it", async () => {
    fill(world, log, 100, 10);
    const [first] = log.forCleaner.segments;
    first!.log.write([Buffer.from([0xff])], 300);
    const before = world.disk.readFile(first!.log.path);
    const cleaner = cleanerOf();
    await cleaner.tick();
    expect(cleaner.uncleanableIn("/data")).toMatchObject({ partitionCount: 1 });
    expect(log.cleanedOffset).toBeNull();
    expect(world.disk.readFile(first!.log.path).equals(before)).toBe(true);
    await cleaner.tick();
    expect(cleaner.figures.passCount).toBe(0);
  });

  test("a full device refuses the pass and nothing else; it is done when there is room", async () => {
    const disk = new MemoryDisk();
    world = logWorld(compacted, disk);
    log = world.create();
    fill(world, log, 300, 1000);
    const lastOf = (): Map<string, string> => new Map(recordsOf(log).map(({ key, value }) => [key, value]));
    const before = lastOf();
    disk.setBytesMax(disk.usedBytes + 100);
    const cleaner = cleanerOf();
    await cleaner.tick();
    expect(cleaner.figures.passCount).toBe(0);
    expect(lastOf()).toEqual(before);
    expect(log.isOffline).toBe(false);
    expect(names(disk).filter((name) => /cleaned|swap/.test(name))).toEqual([]);
    disk.setBytesMax(Number.POSITIVE_INFINITY);
    await cleaner.tick();
    expect(cleaner.figures.passCount).toBe(1);
    expect(lastOf()).toEqual(before);
  });

  test("the manager compacts, keeps how far in Kafka's file, and goes on from there", async () => {
    const disk = new MemoryDisk();
    const place = { topic: "t", partition: partitionIndexOf(3) };
    const open = (): Promise<LogManager> =>
      LogManager.open({
        disk,
        clock: { wallMs: () => world.nowMs, monotonicMs: () => 0 },
        timers: manualTimers(),
        random: seededRandom(1),
        logger: quietLogger,
        directories: ["/logs"],
        configOf: () => ({ ...logConfigDefaults, ...compacted }),
      });
    let manager = await open();
    log = manager.getOrCreate(place, { topicId: null });
    fill(world, log, 300, 20);
    await manager.cleanerTick();
    const cleaned = log.cleanedOffset!;
    expect(cleaned).toBeGreaterThan(200);
    expect(disk.readFile("/logs/cleaner-offset-checkpoint").toString()).toBe(`0\n1\nt 3 ${cleaned}\n`);
    const records = recordsOf(log);
    await manager.close({ brokerEpoch: 1 });
    manager = await open();
    log = manager.log(place)!;
    expect(log.cleanedOffset).toBe(cleaned);
    expect(recordsOf(log)).toEqual(records);
    await manager.close({ brokerEpoch: 1 });
  });

  function names(disk: Disk): string[] {
    return disk.listDirectory("/data/topic-0").map(({ name }) => name);
  }

  /** The log once, then none: the tick ends after one pass over it. */
  function oncePer(one: () => PartitionLog): () => PartitionLog[] {
    let left = 1;
    return () => (left-- > 0 ? [one()] : []);
  }
});
