import { describe, expect, test } from "vitest";
import { FaultyDisk } from "../../testing/disk/faulty-disk.ts";
import { asClient, logWorld, manualTimers, plainBatch, quietLogger } from "../../testing/log/fixtures.ts";
import { type Disk, DiskError, seededRandom } from "../base/index.ts";
import type { TopicPartition } from "../model/index.ts";
import { LogManager, logConfigDefaults, type PartitionLog } from "./index.ts";
import type { LogDirectory } from "./log-directory.ts";
import { closeLogs, closingLogsMax, listAhead } from "./many-logs.ts";

const world = logWorld();
const nowMs = 1_700_000_000_000;

function open(disk: Disk): Promise<LogManager> {
  return LogManager.open({
    disk,
    clock: { wallMs: () => nowMs, monotonicMs: () => nowMs },
    timers: manualTimers(),
    random: seededRandom(3),
    logger: quietLogger,
    directories: ["/one"],
    configOf: () => logConfigDefaults,
  });
}

function logsOf(manager: LogManager, count: number): PartitionLog[] {
  return Array.from({ length: count }, (_, partition) =>
    manager.getOrCreate({ topic: "t", partition } as TopicPartition, { topicId: null }),
  );
}

/** What was done to paths below a partition's folder, beyond reading. */
function recorded(disk: FaultyDisk): { disk: Disk; changes: string[] } {
  const changes: string[] = [];
  const noted = new Set(["writeFileAtomic", "syncDirectory", "syncDirectoryLater", "rename", "removeFile"]);
  const proxy = new Proxy<Disk>(disk, {
    get(target, name: keyof Disk) {
      const method = target[name] as (...parameters: unknown[]) => unknown;
      return (...parameters: unknown[]) => {
        const isWrite = noted.has(name) || (name === "open" && parameters[1] !== "read");
        if (isWrite && String(parameters[0]).startsWith("/one/t-")) changes.push(`${name} ${String(parameters[0])}`);
        return method.apply(target, parameters);
      };
    },
  });
  return { disk: proxy, changes };
}

describe("very many logs", () => {
  test("a stop after an election, with nothing appended, writes its epochs and nothing else; they are right at the next start", async () => {
    const faulty = new FaultyDisk({ seed: 5 });
    const { changes, disk } = recorded(faulty);
    let manager = await open(disk);
    for (const log of logsOf(manager, 3)) {
      log.assignLeaderEpoch(4, log.logEndOffset);
      log.append(plainBatch(2), { ...asClient(world), leaderEpoch: 4 });
      log.writePending();
      log.setHighWatermark(log.logEndOffset);
    }
    await manager.close({ brokerEpoch: 1 });
    for (const epoch of [5, 6]) {
      manager = await open(disk);
      changes.length = 0;
      for (const log of logsOf(manager, 3)) log.assignLeaderEpoch(epoch, log.logEndOffset);
      manager.checkpointTick();
      await manager.close({ brokerEpoch: epoch });
      // As Kafka leaves it, though a start takes the entry away again; once for each partition.
      expect(changes.length).toBeLessThanOrEqual(2 * 3);
      expect(changes.filter((change) => !change.includes("leader-epoch-checkpoint"))).toEqual([]);
    }
    faulty.crash({ writes: "all", names: "all" });
    manager = await open(disk);
    for (const log of logsOf(manager, 3)) {
      expect([log.logEndOffset, log.latestLeaderEpoch]).toEqual([2, 4]);
      log.assignLeaderEpoch(7, log.logEndOffset);
      log.append(plainBatch(1), { ...asClient(world), leaderEpoch: 7 });
      log.writePending();
    }
    await manager.close({ brokerEpoch: 7 });
    faulty.crash({ writes: "all", names: "all" });
    for (const log of logsOf(await open(disk), 3)) {
      expect([log.logEndOffset, log.latestLeaderEpoch]).toEqual([3, 7]);
      expect(log.recoveryPoint).toBe(3);
    }
  });

  test("a clean stop that loses power at once loses no record, whatever was not synced", async () => {
    const disk = new FaultyDisk({ seed: 6 });
    const manager = await open(disk);
    for (const [index, log] of logsOf(manager, 2 * closingLogsMax + 1).entries()) {
      log.append(plainBatch(index + 1), asClient(world));
      log.writePending();
    }
    await manager.close({ brokerEpoch: 9 });
    disk.crash({ writes: "all", names: "all" });
    const again = await open(disk);
    expect(again.directories[0]!.previousBrokerEpoch).toBe(9);
    const ends = logsOf(again, 2 * closingLogsMax + 1).map((log) => log.logEndOffset);
    expect(ends).toEqual(ends.map((_, index) => index + 1));
  });

  test("one log that cannot be synced keeps the mark away", async () => {
    const disk = new FaultyDisk({ seed: 7 });
    const manager = await open(disk);
    for (const log of logsOf(manager, 30)) {
      log.append(plainBatch(1), asClient(world));
      log.writePending();
    }
    disk.failNext("sync", /t-17\/.*\.log$/, "EIO");
    await manager.close({ brokerEpoch: 9 });
    expect(disk.status("/one/.kafka_cleanshutdown")).toBeNull();
  });

  test("never more are closed at a time than the bound, and all have settled when it rejects", async () => {
    let underWay = 0;
    let most = 0;
    const logs = Array.from({ length: 50 }, (_, index) => ({
      isFolderNew: false,
      closeLater: async () => {
        most = Math.max(most, ++underWay);
        await new Promise((resolve) => setImmediate(resolve));
        underWay--;
        if (index === 20) throw new DiskError("EIO", "/x", "sync");
      },
    }));
    const closing = closeLogs(new FaultyDisk({ seed: 1 }), { path: "/" } as LogDirectory, logs as never);
    await expect(closing).rejects.toThrow(DiskError);
    expect([most, underWay]).toEqual([closingLogsMax, 0]);
  });

  test("a folder is listed once, before it is asked for; one that cannot be is told to who asks", async () => {
    const disk = new FaultyDisk({ seed: 8 });
    disk.makeDirectory("/d/t-0");
    disk.makeDirectory("/d/t-0.0123456789abcdef0123456789abcdef-delete");
    disk.open("/d/t-0/a", "create").close();
    const ahead = listAhead(disk, "/d", ["t-0", "t-0.0123456789abcdef0123456789abcdef-delete", "t-1"]);
    expect(await ahead(0)).toEqual([{ name: "a", isDirectory: false }]);
    expect(ahead(1)).toBeUndefined();
    await expect(ahead(2)).rejects.toThrow("ENOENT");
  });
});
