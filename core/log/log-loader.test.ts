import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileDisk, MemoryDisk } from "@blumfeld/host/disk";
import { describe, expect, test } from "vitest";
import { asClient, type LogWorld, logWorld, plainBatch } from "../../testing/log/fixtures.ts";
import type { Offset } from "../model/index.ts";
import type { PartitionLog } from "./index.ts";

const folder = "/data/topic-0";
const name = (offset: number, suffix: string): string => `${folder}/${String(offset).padStart(20, "0")}${suffix}`;

function filled(world: LogWorld, count: number): PartitionLog {
  const log = world.create();
  for (let index = 0; index < count; index++) {
    log.append(plainBatch(2, 1000 + index), asClient(world, { leaderEpoch: Math.floor(index / 3) }));
    log.writePending();
  }
  return log;
}

const sizeOf = (world: LogWorld, path: string): number => world.disk.status(path)!.sizeBytes;

describe("after an unclean stop", () => {
  test("a log torn at any byte keeps exactly the batches that are whole, with indexes and epochs to match", () => {
    const world = logWorld({ indexIntervalBytes: 100 });
    filled(world, 6).release();
    const whole = world.disk.readFile(name(0, ".log"));
    const batchBytes = whole.length / 6;
    for (let length = 0; length <= whole.length; length += 7) {
      const torn = logWorld({ indexIntervalBytes: 100 });
      torn.disk.makeDirectory(folder);
      torn.disk.writeFileAtomic(name(0, ".log"), whole.subarray(0, length));
      // As Kafka leaves the index of the segment that it writes to: allocated ahead.
      torn.disk.writeFileAtomic(name(0, ".index"), Buffer.alloc(4096));
      torn.disk.writeFileAtomic(name(0, ".timeindex"), Buffer.alloc(4092));
      const log = torn.load();
      const kept = Math.floor(length / batchBytes);
      expect([log.logEndOffset, log.sizeBytes]).toEqual([kept * 2, kept * batchBytes]);
      expect(log.latestLeaderEpoch).toBe(kept === 0 ? -1 : Math.floor((kept - 1) / 3));
      expect(sizeOf(torn, name(0, ".log"))).toBe(kept * batchBytes);
      expect(sizeOf(torn, name(0, ".index"))).toBe(8 * Math.max(0, Math.floor((kept - 1) / 2)));
      expect(log.maxTimestampOffset()?.offset ?? -1).toBe(kept === 0 ? -1 : kept * 2 - 1);
    }
  });

  test("one changed byte anywhere in a batch ends the log before it", () => {
    const world = logWorld();
    filled(world, 3).release();
    const whole = world.disk.readFile(name(0, ".log"));
    const batchBytes = whole.length / 3;
    for (let at = batchBytes; at < 2 * batchBytes; at++) {
      const harmed = logWorld();
      const bytes = Buffer.from(whole);
      bytes[at]! ^= 0x55;
      harmed.disk.makeDirectory(folder);
      harmed.disk.writeFileAtomic(name(0, ".log"), bytes);
      const end = harmed.load().logEndOffset;
      // The base offset and the epoch are outside the checksum: a changed epoch is not noticed, a later offset neither.
      const offsetOrEpoch = at - batchBytes < 8 || (at - batchBytes >= 12 && at - batchBytes < 16);
      if (!offsetOrEpoch) expect([at, end]).toEqual([at, 2]);
    }
  });

  test("segments after a damaged one go", () => {
    const world = logWorld({ segmentBytes: 200 });
    filled(world, 8).release();
    const damaged = world.disk.readFile(name(4, ".log"));
    damaged[70]! ^= 1;
    world.disk.writeFileAtomic(name(4, ".log"), damaged);
    const log = world.load();
    expect([log.logEndOffset, log.segmentBaseOffsets]).toEqual([4, [0, 4]]);
    expect(world.disk.status(name(8, ".log"))).toBeNull();
    expect(world.disk.status(name(8, ".index"))).toBeNull();
  });

  test("nothing below the recovery point is read", () => {
    const world = logWorld({ segmentBytes: 200 });
    filled(world, 8).release();
    const damaged = world.disk.readFile(name(0, ".log"));
    damaged[70]! ^= 1;
    world.disk.writeFileAtomic(name(0, ".log"), damaged);
    expect(world.load({ recoveryPoint: 8 as Offset }).logEndOffset).toBe(16);
    expect(world.load({ recoveryPoint: 3 as Offset }).logEndOffset).toBe(0);
  });

  test("a file of zeros, allocated ahead, is empty", () => {
    const world = logWorld();
    world.disk.makeDirectory(folder);
    world.disk.writeFileAtomic(name(0, ".log"), Buffer.alloc(100_000));
    expect([world.load().logEndOffset, sizeOf(world, name(0, ".log"))]).toEqual([0, 0]);
  });
});

describe("what an interrupted deletion or compaction left", () => {
  test("is removed: deleted and half-cleaned files, indexes without a log", () => {
    const world = logWorld();
    filled(world, 2).close();
    for (const stray of [
      name(9, ".log.deleted"),
      name(0, ".log.cleaned"),
      name(0, ".index.cleaned"),
      name(50, ".index"),
      name(50, ".timeindex"),
    ]) {
      world.disk.writeFileAtomic(stray, Buffer.alloc(3));
    }
    expect(world.load({ hadCleanShutdown: true, recoveryPoint: 4 as Offset }).logEndOffset).toBe(4);
    expect(
      world.disk
        .listDirectory(folder)
        .map((entry) => entry.name)
        .sort(),
    ).toEqual([
      "00000000000000000000.index",
      "00000000000000000000.log",
      "00000000000000000000.timeindex",
      "00000000000000000004.snapshot",
      "leader-epoch-checkpoint",
    ]);
  });

  test("a finished replacement takes the place of the segments that it covers", () => {
    const world = logWorld({ segmentBytes: 200 });
    filled(world, 6).close();
    const merged = Buffer.concat([world.disk.readFile(name(0, ".log")), world.disk.readFile(name(4, ".log"))]);
    world.disk.writeFileAtomic(name(0, ".log.swap"), merged);
    const log = world.load({ hadCleanShutdown: true, recoveryPoint: 12 as Offset });
    expect(log.segmentBaseOffsets).toEqual([0, 8]);
    for (let offset = 0; offset < 12; offset++) {
      const slice = log.read(offset as Offset, { bytesMax: 1, upTo: 12 as Offset, minOneBatch: true });
      expect(slice).toMatchObject({ kind: "slice", firstBatchOffset: offset - (offset % 2) });
    }
  });

  test("a replacement whose renaming had only begun is given up", () => {
    const world = logWorld({ segmentBytes: 200 });
    filled(world, 6).close();
    world.disk.writeFileAtomic(name(4, ".log.swap"), world.disk.readFile(name(4, ".log")).subarray(0, 50));
    world.disk.writeFileAtomic(name(0, ".log.cleaned"), Buffer.alloc(0));
    const log = world.load({ hadCleanShutdown: true, recoveryPoint: 12 as Offset });
    expect(log.segmentBaseOffsets).toEqual([0, 4, 8]);
    expect(log.logEndOffset).toBe(12);
  });
});

describe("starts", () => {
  test("a segment without its indexes gets them back, even after a clean stop", () => {
    const world = logWorld({ indexIntervalBytes: 100, segmentBytes: 1000 });
    filled(world, 20).close();
    const before = world.disk.readFile(name(0, ".index"));
    const times = world.disk.readFile(name(0, ".timeindex"));
    expect(before.length).toBeGreaterThan(0);
    world.disk.removeFile(name(0, ".index"));
    expect(world.load({ hadCleanShutdown: true, recoveryPoint: 40 as Offset }).logEndOffset).toBe(40);
    expect(world.disk.readFile(name(0, ".index")).equals(before)).toBe(true);
    expect(world.disk.readFile(name(0, ".timeindex")).equals(times)).toBe(true);
  });

  test("a log whose start lies past its end begins anew there", () => {
    const world = logWorld();
    filled(world, 2).close();
    const log = world.load({ hadCleanShutdown: true, recoveryPoint: 4 as Offset, logStartOffset: 100 as Offset });
    expect([log.logStartOffset, log.logEndOffset]).toEqual([100, 100]);
    log.append(plainBatch(1), asClient(world));
    log.close();
    expect(world.load().logEndOffset).toBe(101);
  });

  test("an epoch file that cannot be read is rebuilt from the batches", () => {
    const world = logWorld();
    const log = filled(world, 6);
    log.close();
    world.disk.writeFileAtomic(`${folder}/leader-epoch-checkpoint`, Buffer.alloc(0));
    const again = world.load({ hadCleanShutdown: true, recoveryPoint: 12 as Offset });
    expect(again.leaderEpochs).toEqual(log.leaderEpochs);
  });

  test("the same on files as in memory", () => {
    const root = mkdtempSync(join(tmpdir(), "blumfeld-log-"));
    try {
      const images = [new MemoryDisk(), new FileDisk({ descriptorCountMax: 2 })].map((disk) => {
        const world = logWorld({ segmentBytes: 400, indexIntervalBytes: 100, retentionMs: -1 }, disk, root);
        const log = filled(world, 30);
        log.truncateTo(51 as Offset);
        log.setHighWatermark(log.logEndOffset);
        log.deleteRecordsBefore(9 as Offset);
        log.deleteOldSegments(world.nowMs);
        log.release();
        const again = world.load({ logStartOffset: 9 as Offset });
        expect([again.logStartOffset, again.logEndOffset]).toEqual([9, 50]);
        again.close();
        return disk
          .listDirectory(`${root}/topic-0`)
          .map((entry): [string, string] => [
            entry.name,
            disk.readFile(`${root}/topic-0/${entry.name}`).toString("hex"),
          ])
          .sort(([one], [other]) => (one < other ? -1 : 1));
      });
      expect(images[1]).toEqual(images[0]);
      expect(images[0]!.length).toBeGreaterThan(10);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });
});
