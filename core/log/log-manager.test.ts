import { MemoryDisk } from "@blumfeld/host/disk";
import { describe, expect, test } from "vitest";
import { asClient, logWorld, manualTimers, plainBatch, quietLogger } from "../../testing/log/fixtures.ts";
import { type Disk, DiskError, parseUuid, seededRandom, type Uuid } from "../base/index.ts";
import type { Offset, TopicPartition } from "../model/index.ts";
import { firstFileDelayMs } from "./first-segment-files.ts";
import {
  decodeOffsetCheckpoint,
  type LogConfig,
  LogDirectoryProblem,
  LogManager,
  type LogManagerOptions,
  logConfigDefaults,
  type PartitionLog,
} from "./index.ts";

const topicId = parseUuid("dGEL9-LaR4iaaCsostL1dw") as Uuid;
const partitionOf = (topic: string, partition = 0): TopicPartition => ({ topic, partition }) as TopicPartition;
const world = logWorld();

class Broker {
  readonly disk: Disk;
  readonly timers = manualTimers();
  nowMs = 1_700_000_000_000;
  config: LogConfig = logConfigDefaults;
  readonly options: LogManagerOptions;
  manager!: LogManager;

  constructor(disk: Disk = new MemoryDisk(), more: Partial<LogManagerOptions> = {}) {
    this.disk = disk;
    this.options = {
      disk,
      clock: { wallMs: () => this.nowMs, monotonicMs: () => this.nowMs },
      timers: this.timers,
      random: seededRandom(3),
      logger: quietLogger,
      directories: ["/one"],
      configOf: () => this.config,
      ...more,
    };
  }

  async start(): Promise<this> {
    this.manager = await LogManager.open(this.options);
    return this;
  }

  log(topic: string, partition = 0, directory?: string): PartitionLog {
    return this.manager.getOrCreate(partitionOf(topic, partition), { topicId, directory });
  }

  append(log: PartitionLog, count: number): void {
    expect(log.append(plainBatch(count), asClient(world)).kind).toBe("appended");
    log.writePending();
    log.setHighWatermark(log.logEndOffset);
  }

  names(path: string): string[] {
    return this.disk
      .listDirectory(path)
      .map((entry) => entry.name)
      .sort();
  }
}

describe("a clean stop and start", () => {
  test("keeps every log, its offsets and its topic id, and reads no segment", async () => {
    const broker = await new Broker().start();
    for (const topic of ["a", "b"])
      for (const partition of [0, 1]) broker.append(broker.log(topic, partition), partition + 1);
    broker.log("empty");
    broker.manager.log(partitionOf("b", 1))!.deleteRecordsBefore(1 as Offset);
    await broker.manager.close({ brokerEpoch: 42 });
    expect(broker.names("/one")).toContain(".kafka_cleanshutdown");
    expect(broker.names("/one")).not.toContain(".lock");

    const opened: string[] = [];
    const open = broker.disk.open.bind(broker.disk);
    broker.disk.open = (path, mode) => {
      opened.push(path);
      return open(path, mode);
    };
    const again = await new Broker(broker.disk).start();
    expect(opened.filter((path) => path.endsWith(".log"))).toEqual([]);
    expect(again.manager.directories).toMatchObject([
      { path: "/one", hadCleanShutdown: true, previousBrokerEpoch: 42, isOffline: false },
    ]);
    expect(again.names("/one")).not.toContain(".kafka_cleanshutdown");
    expect(again.manager.logCount).toBe(5);
    for (const topic of ["a", "b"]) {
      for (const partition of [0, 1]) {
        const log = again.manager.log(partitionOf(topic, partition))!;
        const start = topic === "b" && partition === 1 ? 1 : 0;
        expect([log.logStartOffset, log.logEndOffset, log.highWatermark, log.topicId]).toEqual([
          start,
          partition + 1,
          partition + 1,
          topicId,
        ]);
      }
    }
    again.append(again.log("a", 1), 5);
    expect(again.log("a", 1).logEndOffset).toBe(7);
  });

  test("a process that dies leaves no mark, and its logs are checked", async () => {
    const broker = await new Broker().start();
    broker.append(broker.log("a"), 3);
    broker.manager.writeCheckpoints();
    (broker.disk as MemoryDisk).crash((_path, _durable, size) => size - 1);
    const again = await new Broker(broker.disk).start();
    expect(again.manager.directories[0]!.hadCleanShutdown).toBe(false);
    expect(again.manager.log(partitionOf("a"))!.logEndOffset).toBe(0);
    expect(again.disk.status("/one/a-0/00000000000000000000.log")!.sizeBytes).toBe(0);
  });

  test("a second process is turned away", async () => {
    const broker = await new Broker().start();
    await expect(new Broker(broker.disk).start()).rejects.toThrow(LogDirectoryProblem);
    await broker.manager.close({ brokerEpoch: 1 });
    await expect(new Broker(broker.disk).start()).resolves.toBeDefined();
  });
});

describe("deleting a topic", () => {
  test("renames at once, removes after the delay, also when a restart comes between", async () => {
    const broker = await new Broker().start();
    broker.append(broker.log("gone"), 1);
    broker.append(broker.log("gone", 1), 1);
    const slice = broker.log("gone").read(0 as Offset, { bytesMax: 100, upTo: 1 as Offset, minOneBatch: true });
    expect(slice.kind).toBe("slice");
    broker.manager.delete(partitionOf("gone"));
    broker.manager.delete(partitionOf("gone"));
    expect(broker.manager.log(partitionOf("gone"))).toBeNull();
    const folders = broker.names("/one").filter((name) => name.startsWith("gone-0"));
    expect(folders).toEqual([expect.stringMatching(/^gone-0\.[0-9a-f]{32}-delete$/)]);
    broker.append(broker.log("gone"), 2);
    broker.manager.removalTick();
    expect(broker.names("/one")).toContain(folders[0]);
    await broker.manager.close({ brokerEpoch: 1 });

    const again = await new Broker(broker.disk).start();
    expect(again.manager.logCount).toBe(2);
    again.nowMs += again.config.fileDeleteDelayMs;
    again.manager.removalTick();
    expect(again.names("/one")).not.toContain(folders[0]);
    expect(again.manager.log(partitionOf("gone"))!.logEndOffset).toBe(2);
  });

  test("partitions that are not this broker's are kept aside", async () => {
    const broker = await new Broker().start();
    broker.append(broker.log("stray"), 1);
    broker.append(broker.log("mine"), 1);
    await broker.manager.close({ brokerEpoch: 1 });
    const again = await new Broker(broker.disk, { isStray: ({ topic }) => topic === "stray" }).start();
    expect(again.manager.logCount).toBe(1);
    expect(again.names("/one").some((name) => /^stray-0\.[0-9a-f]{32}-stray$/.test(name))).toBe(true);
    await again.manager.close({ brokerEpoch: 1 });
    expect((await new Broker(broker.disk).start()).manager.logCount).toBe(1);
  });
});

describe("several directories", () => {
  test("new logs go where the fewest are, and one partition is in one directory only", async () => {
    const broker = await new Broker(new MemoryDisk(), { directories: ["/one", "/two"] }).start();
    for (let partition = 0; partition < 6; partition++) broker.append(broker.log("a", partition), 1);
    const counts = ["/one", "/two"].map((path) => broker.names(path).filter((name) => name.startsWith("a-")).length);
    expect(counts).toEqual([3, 3]);
    expect(broker.log("b", 0, "/two").directory).toBe("/two");
    await broker.manager.close({ brokerEpoch: 1 });
    broker.disk.makeDirectory("/one/b-0");
    await expect(new Broker(broker.disk, { directories: ["/one", "/two"] }).start()).rejects.toThrow("b-0 lies in");
  });

  test("one that fails takes its logs offline and leaves the others alone", async () => {
    const failed: string[] = [];
    const disk = new MemoryDisk();
    let isFailing = false;
    const open = disk.open.bind(disk);
    disk.open = (path, mode) => {
      const file = open(path, mode);
      const write = file.write.bind(file);
      file.write = (chunks, position) => {
        if (isFailing && path.startsWith("/two/")) throw new DiskError("EIO", path, "write");
        write(chunks, position);
      };
      return file;
    };
    const options = { directories: ["/one", "/two"], onDirectoryFailure: (path: string) => failed.push(path) };
    const broker = await new Broker(disk, options).start();
    const good = broker.log("a", 0, "/one");
    const bad = broker.log("b", 0, "/two");
    const idle = broker.log("c", 0, "/two");
    isFailing = true;
    expect(() => broker.append(bad, 1)).toThrow("EIO");
    expect(failed).toEqual(["/two"]);
    expect([bad.isOffline, idle.isOffline, good.isOffline]).toEqual([true, true, false]);
    expect(broker.manager.log(partitionOf("c"))).toBeNull();
    broker.append(good, 1);
    expect(broker.log("d").directory).toBe("/one");
    await broker.manager.close({ brokerEpoch: 1 });
    expect(broker.names("/one")).toContain(".kafka_cleanshutdown");
    expect(broker.names("/two")).not.toContain(".kafka_cleanshutdown");
  });
});

describe("from time to time", () => {
  test("retention, checkpoints and removal happen by the timers", async () => {
    const broker = await new Broker().start();
    broker.config = { ...logConfigDefaults, segmentBytes: 100, retentionMs: 1000, fileDeleteDelayMs: 5000 };
    const log = broker.log("a");
    for (let count = 0; count < 3; count++) broker.append(log, 1);
    broker.manager.startTimers();
    broker.timers.advance(5000);
    const highWatermarks = decodeOffsetCheckpoint(broker.disk.readFile("/one/replication-offset-checkpoint"));
    expect(highWatermarks).toEqual([{ topicPartition: partitionOf("a"), offset: 3 }]);
    broker.timers.advance(295_000);
    expect(log.logStartOffset).toBe(3);
    const deleted = (): number => broker.names("/one/a-0").filter((name) => name.endsWith(".deleted")).length;
    expect(deleted()).toBeGreaterThan(0);
    broker.nowMs += 5000;
    broker.timers.advance(1000);
    expect(deleted()).toBe(0);
    await broker.manager.close({ brokerEpoch: 1 });
  });

  test("what a roll has closed is flushed soon", async () => {
    const broker = await new Broker().start();
    broker.config = { ...logConfigDefaults, segmentBytes: 100 };
    const log = broker.log("a");
    for (let count = 0; count < 3; count++) broker.append(log, 1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(log.recoveryPoint).toBe(2);
    await broker.manager.close({ brokerEpoch: 1 });
  });
});

describe("a partition without records", () => {
  const first = "00000000000000000000.log";

  test("gets its empty segment a little later, as Kafka's tools want it", async () => {
    const broker = await new Broker().start();
    for (let partition = 0; partition < 3; partition++) broker.log("empty", partition);
    expect(broker.names("/one/empty-0")).not.toContain(first);
    broker.nowMs += firstFileDelayMs;
    broker.timers.advance(firstFileDelayMs);
    for (let partition = 0; partition < 3; partition++)
      expect(broker.names(`/one/empty-${partition}`)).toContain(first);
    broker.append(broker.log("empty", 1), 2);
    await broker.manager.close({ brokerEpoch: 1 });
    await broker.start();
    expect(broker.log("empty", 1).logEndOffset).toBe(2);
  });

  test("has it at the latest when the node stops, and not when it was deleted", async () => {
    const broker = await new Broker().start();
    broker.log("kept");
    broker.log("gone");
    broker.manager.delete(partitionOf("gone"));
    await broker.manager.close({ brokerEpoch: 1 });
    expect(broker.names("/one/kept-0")).toContain(first);
    const gone = broker.names("/one").find((name) => name.startsWith("gone-0."))!;
    expect(broker.names(`/one/${gone}`)).not.toContain(first);
  });
});
