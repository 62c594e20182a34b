import { MemoryDisk } from "@blumfeld/host/disk";
import { describe, expect, test } from "vitest";
import { asClient, batchOf, type LogWorld, logWorld, plainBatch } from "../../testing/log/fixtures.ts";
import { DiskError } from "../base/index.ts";
import { codecByName, readBatchRecords } from "../compression/index.ts";
import { batchSetBaseOffset, iterateBatches, type Offset, type RecordBatchView } from "../model/index.ts";
import { ErrorCode } from "../protocol/index.ts";
import type { AppendOptions, LogConfig, PartitionLog } from "./index.ts";

const at = (offset: number): Offset => offset as Offset;

function append(world: LogWorld, log: PartitionLog, batch: Buffer, how: Partial<AppendOptions> = {}) {
  const outcome = log.append(batch, asClient(world, how));
  log.writePending();
  log.setHighWatermark(log.logEndOffset);
  return outcome;
}

function readAll(log: PartitionLog): RecordBatchView[] {
  const batches: RecordBatchView[] = [];
  let offset: number = log.logStartOffset;
  while (offset < log.logEndOffset) {
    const outcome = log.read(at(offset), { bytesMax: 1 << 20, upTo: log.logEndOffset, minOneBatch: true });
    if (outcome.kind !== "slice") break;
    const bytes = Buffer.alloc(outcome.sizeBytes);
    outcome.file.read(bytes, outcome.position);
    const found = [...iterateBatches(bytes)];
    batches.push(...found);
    offset = found.at(-1)!.lastOffset + 1;
  }
  return batches;
}

const offsetsOf = (log: PartitionLog): number[] => readAll(log).map((batch) => batch.baseOffset);

describe("appending", () => {
  test("what is queued is neither readable nor below the high watermark until it is written", () => {
    const world = logWorld();
    const log = world.create();
    expect(log.append(plainBatch(3), asClient(world))).toMatchObject({
      kind: "appended",
      firstOffset: 0,
      lastOffset: 2,
    });
    expect(log.hasPending).toBe(true);
    expect([log.logEndOffset, log.writtenEndOffset]).toEqual([3, 0]);
    expect(log.setHighWatermark(at(3))).toBe(0);
    expect(log.read(at(0), { bytesMax: 100, upTo: at(3), minOneBatch: true }).kind).toBe("empty");
    log.writePending();
    expect(log.hasPending).toBe(false);
    expect(log.setHighWatermark(at(3))).toBe(3);
    expect(log.setHighWatermark(at(1))).toBe(3);
    expect(offsetsOf(log)).toEqual([0]);
  });

  test("all of a turn leaves in one write, unless a segment ends between", () => {
    const world = logWorld({ segmentBytes: 500 });
    const writes: number[] = [];
    const open = world.disk.open.bind(world.disk);
    world.disk.open = (path, mode) => {
      const file = open(path, mode);
      const write = file.write.bind(file);
      file.write = (chunks, position) => {
        if (path.endsWith(".log")) writes.push(chunks.length);
        write(chunks, position);
      };
      return file;
    };
    const log = world.create();
    for (let index = 0; index < 7; index++) log.append(plainBatch(1), asClient(world));
    log.writePending();
    expect(writes.length).toBe(log.segmentCount);
    expect(writes.reduce((sum, count) => sum + count, 0)).toBe(7);
    expect(offsetsOf(log)).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  test("the leader's epoch is stamped and remembered", () => {
    const world = logWorld();
    const log = world.create();
    append(world, log, plainBatch(2), { leaderEpoch: 3 });
    append(world, log, plainBatch(2), { leaderEpoch: 5 });
    expect(readAll(log).map((batch) => batch.leaderEpoch)).toEqual([3, 5]);
    expect(log.endOffsetForEpoch(3)).toEqual({ epoch: 3, endOffset: 2 });
    expect(log.endOffsetForEpoch(4)).toEqual({ epoch: 3, endOffset: 2 });
    expect(log.endOffsetForEpoch(5)).toEqual({ epoch: 5, endOffset: 4 });
    expect(log.endOffsetForEpoch(6)).toEqual({ epoch: -1, endOffset: -1 });
    expect(log.endOffsetForEpoch(1)).toEqual({ epoch: 1, endOffset: 0 });
  });

  test("LogAppendTime is the batch's time, with a checksum that holds", () => {
    const world = logWorld({ messageTimestampType: "LogAppendTime" });
    const log = world.create();
    expect(append(world, log, plainBatch(2, 5))).toMatchObject({ logAppendTimeMs: world.nowMs });
    const [batch] = readAll(log);
    expect([batch!.timestampType, batch!.maxTimestamp]).toEqual(["LogAppendTime", world.nowMs]);
    log.release();
    expect(world.load().logEndOffset).toBe(2);
  });

  const refusals: [string, Partial<LogConfig>, Buffer, ErrorCode][] = [
    ["nothing", {}, Buffer.alloc(0), ErrorCode.INVALID_RECORD],
    ["two batches", {}, Buffer.concat([plainBatch(1), plainBatch(1)]), ErrorCode.INVALID_RECORD],
    ["a batch cut short", {}, plainBatch(1).subarray(0, 65), ErrorCode.INVALID_RECORD],
    ["a batch above max.message.bytes", { messageBytesMax: 100 }, plainBatch(10), ErrorCode.MESSAGE_TOO_LARGE],
    ["a batch above segment.bytes", { segmentBytes: 100 }, plainBatch(10), ErrorCode.RECORD_LIST_TOO_LARGE],
    ["a wrong checksum", {}, changed(plainBatch(1), (bytes) => (bytes[65]! ^= 1)), ErrorCode.CORRUPT_MESSAGE],
    ["a base offset", {}, changed(plainBatch(1), (bytes) => batchSetBaseOffset(bytes, 0, 5)), ErrorCode.INVALID_RECORD],
    ["a timestamp too late", {}, plainBatch(1, 1_700_000_000_000 + 3_600_001), ErrorCode.INVALID_TIMESTAMP],
    ["a timestamp too early", { messageTimestampBeforeMsMax: 1000 }, plainBatch(1, 1), ErrorCode.INVALID_TIMESTAMP],
    ["no key on a compacted topic", compacted(), plainBatch(1), ErrorCode.INVALID_RECORD],
    ["LogAppendTime set by the producer", {}, plainBatch(1, 1, { logAppendTimeMs: 1 }), ErrorCode.INVALID_TIMESTAMP],
  ];
  test.each(refusals)("%s is refused and leaves no trace", (_what, config, batch, code) => {
    const world = logWorld(config);
    const log = world.create();
    expect(log.append(batch, asClient(world))).toMatchObject({ kind: "refused", errorCode: code });
    expect([log.hasPending, log.logEndOffset, log.segmentCount]).toEqual([false, 0, 1]);
  });

  test("a compacted topic names the records without a key", () => {
    const world = logWorld(compacted());
    const batch = batchOf([{ key: "a" }, {}, { key: "c" }, {}]);
    const outcome = world.create().append(batch, asClient(world));
    expect(outcome.kind === "refused" && outcome.recordErrors.map((error) => error.batchIndex)).toEqual([1, 3]);
    expect(append(world, world.create(), batchOf([{ key: "a" }])).kind).toBe("appended");
  });

  test.each(["none", "gzip", "snappy", "lz4", "zstd"] as const)(
    "compression.type=%s repacks what came otherwise",
    (name) => {
      for (const source of ["none", "gzip", "zstd"] as const) {
        const world = logWorld({ compressionType: name });
        const log = world.create();
        const batch = plainBatch(20, 1000, {
          compressor: codecByName(source)!,
          producerId: 4,
          producerEpoch: 1,
          baseSequence: 9,
        });
        append(world, log, batch);
        const [kept] = readAll(log);
        expect([kept!.codecId, kept!.producerId, kept!.baseSequence, kept!.maxTimestamp]).toEqual([
          codecByName(name)!.id,
          4,
          9,
          1019,
        ]);
        const records = readBatchRecords(kept!, { outputBytesMax: 1 << 20 });
        expect(Array.isArray(records) && records.map((record) => String(record.value))).toEqual(
          Array.from({ length: 20 }, (_unused, index) => `value ${index}`),
        );
      }
    },
  );

  test("a follower takes offsets and epochs as they are, and only whole batches that go on", () => {
    const leader = logWorld();
    const leaderLog = leader.create();
    for (let index = 0; index < 3; index++) append(leader, leaderLog, plainBatch(2), { leaderEpoch: index });
    const bytes = Buffer.concat(readAll(leaderLog).map((batch) => batch.bytes));
    const world = logWorld();
    const log = world.create();
    const how = asClient(world, { origin: "replication", leaderEpoch: -1 });
    expect(log.append(Buffer.from(bytes.subarray(0, bytes.length - 5)), how)).toMatchObject({
      firstOffset: 0,
      lastOffset: 3,
    });
    log.writePending();
    expect(log.append(Buffer.from(bytes), how)).toMatchObject({
      kind: "refused",
      errorCode: ErrorCode.OFFSET_OUT_OF_RANGE,
    });
    expect(log.append(Buffer.from(bytes.subarray((bytes.length / 3) * 2)), how)).toMatchObject({ firstOffset: 4 });
    log.writePending();
    expect(Buffer.concat(readAll(log).map((batch) => batch.bytes)).equals(bytes)).toBe(true);
    expect(log.leaderEpochs).toEqual(leaderLog.leaderEpochs);
  });

  test("a follower leaves out what a leader of a later epoch wrote than the one it follows", () => {
    const leader = logWorld();
    const leaderLog = leader.create();
    for (let index = 0; index < 3; index++) append(leader, leaderLog, plainBatch(2), { leaderEpoch: index });
    const bytes = Buffer.concat(readAll(leaderLog).map((batch) => batch.bytes));
    const world = logWorld();
    const log = world.create();
    const inEpoch = (leaderEpoch: number) => asClient(world, { origin: "replication", leaderEpoch });
    expect(log.append(Buffer.from(bytes), inEpoch(1))).toMatchObject({ firstOffset: 0, lastOffset: 3 });
    log.writePending();
    const rest = Buffer.from(bytes.subarray((bytes.length / 3) * 2));
    expect(log.append(rest, inEpoch(1))).toMatchObject({ kind: "refused", errorCode: ErrorCode.INVALID_RECORD });
    expect(log.append(rest, inEpoch(2))).toMatchObject({ firstOffset: 4, lastOffset: 5 });
  });
});

function changed(batch: Buffer, change: (bytes: Buffer) => unknown): Buffer {
  change(batch);
  return batch;
}

function compacted(): Partial<LogConfig> {
  return { cleanupPolicy: { delete: false, compact: true } };
}

describe("rolling", () => {
  test("by time counts from the first batch's timestamp; without timestamps from the segment's creation", () => {
    const world = logWorld({ segmentMs: 1000 });
    const log = world.create();
    append(world, log, plainBatch(1, 5000));
    append(world, log, plainBatch(1, 6000));
    expect(log.segmentCount).toBe(1);
    append(world, log, plainBatch(1, 6001));
    expect(log.segmentBaseOffsets).toEqual([0, 2]);
    append(world, log, plainBatch(1, -1));
    expect(log.segmentCount).toBe(2);

    const later = logWorld({ segmentMs: 1000 });
    const untimed = later.create();
    append(later, untimed, plainBatch(1, -1));
    later.nowMs += 1001;
    append(later, untimed, plainBatch(1, -1));
    expect(untimed.segmentCount).toBe(2);
  });

  test("jitter rolls earlier, by less than its bound", () => {
    const world = logWorld({ segmentMs: 1000, segmentJitterMs: 500 });
    const log = world.create();
    append(world, log, plainBatch(1, 5000));
    append(world, log, plainBatch(1, 5500));
    expect(log.segmentCount).toBe(1);
    append(world, log, plainBatch(1, 6001));
    expect(log.segmentCount).toBe(2);
  });

  test("when an index is full", () => {
    const world = logWorld({ segmentIndexBytes: 24, indexIntervalBytes: 0 });
    const log = world.create();
    for (let index = 0; index < 12; index++) append(world, log, plainBatch(1, 1000 + index));
    // 24 bytes hold two timestamps, of which the last is kept free for the segment's end: one entry, two batches a segment.
    expect(log.segmentBaseOffsets).toEqual([0, 2, 4, 6, 8, 10]);
    expect(offsetsOf(log).length).toBe(12);
  });

  test("when an offset is too far from the segment's base", () => {
    const world = logWorld();
    const log = world.create();
    const batchAt = (offset: number): Buffer => changed(plainBatch(1), (bytes) => batchSetBaseOffset(bytes, 0, offset));
    const how = asClient(world, { origin: "replication", leaderEpoch: -1 });
    for (const offset of [0, 2 ** 31 - 1, 2 ** 31, 2 ** 40]) {
      expect(log.append(batchAt(offset), how)).toMatchObject({ kind: "appended", firstOffset: offset });
      log.writePending();
    }
    expect(offsetsOf(log)).toEqual([0, 2 ** 31 - 1, 2 ** 31, 2 ** 40]);
    log.release();
    expect(offsetsOf(world.load())).toEqual([0, 2 ** 31 - 1, 2 ** 31, 2 ** 40]);
  });
});

describe("a device that is full", () => {
  test("refuses the turn, keeps what was written, and takes appends again when there is room", () => {
    const disk = new MemoryDisk();
    const world = logWorld({ indexIntervalBytes: 100 }, disk);
    const log = world.create();
    const producer = (sequence: number): Buffer =>
      plainBatch(3, 1000, { producerId: 1, producerEpoch: 0, baseSequence: sequence });
    append(world, log, producer(0));
    disk.setBytesMax(disk.usedBytes + 150);
    log.append(producer(3), asClient(world, { leaderEpoch: 2 }));
    log.append(producer(6), asClient(world, { leaderEpoch: 2 }));
    expect(() => log.writePending()).toThrow(DiskError);
    expect([log.hasPending, log.logEndOffset, log.writtenEndOffset, log.latestLeaderEpoch]).toEqual([false, 3, 3, 0]);
    expect(offsetsOf(log)).toEqual([0]);
    expect(log.isOffline).toBe(false);
    disk.setBytesMax(Number.POSITIVE_INFINITY);
    expect(append(world, log, producer(3))).toMatchObject({ kind: "appended", firstOffset: 3 });
    expect(append(world, log, producer(3))).toMatchObject({ kind: "duplicate", firstOffset: 3 });
    expect(offsetsOf(log)).toEqual([0, 3]);
    log.release();
    expect(offsetsOf(world.load())).toEqual([0, 3]);
  });

  test("does not refuse what is written because its index entries must wait", () => {
    const disk = new MemoryDisk();
    const world = logWorld({ indexIntervalBytes: 0 }, disk);
    const log = world.create();
    const batchBytes = plainBatch(1).length;
    for (let index = 0; index < 1100; index++) {
      // Room for the batch and nothing else.
      disk.setBytesMax(disk.usedBytes + batchBytes);
      expect(append(world, log, plainBatch(1, 1000 + index)).kind).toBe("appended");
    }
    disk.setBytesMax(Number.POSITIVE_INFINITY);
    log.close();
    expect(disk.status("/data/topic-0/00000000000000000000.index")!.sizeBytes).toBe(1099 * 8);
  });

  test("takes a roll back as well", () => {
    const disk = new MemoryDisk();
    const world = logWorld({ segmentBytes: 300 }, disk);
    const log = world.create();
    append(world, log, plainBatch(2));
    append(world, log, plainBatch(2));
    disk.setBytesMax(disk.usedBytes + 120);
    for (let index = 0; index < 4; index++) log.append(plainBatch(2), asClient(world));
    expect(() => log.writePending()).toThrow(DiskError);
    const kept = log.logEndOffset;
    expect(log.writtenEndOffset).toBe(kept);
    expect(log.segmentBaseOffsets.every((base) => base <= kept)).toBe(true);
    disk.setBytesMax(Number.POSITIVE_INFINITY);
    for (let index = 0; index < 4; index++) append(world, log, plainBatch(2));
    expect(offsetsOf(log)).toEqual(Array.from({ length: kept / 2 + 4 }, (_unused, index) => index * 2));
    log.close();
    const again = world.load({ hadCleanShutdown: true, recoveryPoint: log.logEndOffset });
    expect(offsetsOf(again)).toEqual(offsetsOf(log));
  });
});

describe("a device that fails", () => {
  function failing(): { world: LogWorld; log: PartitionLog; fail: (isFailing: boolean) => void; failures: string[] } {
    const world = logWorld();
    const failures: string[] = [];
    Object.assign(world.environment, { onStorageFailure: (directory: string) => failures.push(directory) });
    let isFailing = false;
    const open = world.disk.open.bind(world.disk);
    world.disk.open = (path, mode) => {
      const file = open(path, mode);
      const { write, writeLater } = file;
      const check = (): void => {
        if (isFailing) throw new DiskError("EIO", path, "write");
      };
      file.write = (chunks, position) => {
        check();
        write.call(file, chunks, position);
      };
      file.writeLater = async (chunks, position) => {
        await Promise.resolve();
        check();
        return writeLater.call(file, chunks, position);
      };
      return file;
    };
    return { world, log: world.create(), fail: (value) => (isFailing = value), failures };
  }

  test("takes the directory offline; nothing more is appended", () => {
    const { world, log, fail, failures } = failing();
    append(world, log, plainBatch(1));
    fail(true);
    log.append(plainBatch(1), asClient(world));
    expect(() => log.writePending()).toThrow("EIO");
    expect(failures).toEqual(["/data"]);
    expect(log.append(plainBatch(1), asClient(world))).toMatchObject({
      kind: "refused",
      errorCode: ErrorCode.KAFKA_STORAGE_ERROR,
    });
    expect(log.logEndOffset).toBe(1);
  });

  test("on the thread pool takes back what was appended meanwhile, too", async () => {
    const { world, log, fail } = failing();
    log.append(plainBatch(1), asClient(world));
    const first = log.writePendingLater();
    log.append(plainBatch(2), asClient(world));
    const second = log.writePendingLater();
    await first;
    expect(log.writtenEndOffset).toBe(1);
    fail(true);
    log.append(plainBatch(3), asClient(world));
    const third = log.writePendingLater();
    await expect(second).rejects.toThrow("EIO");
    await third.catch(() => {});
    expect([log.logEndOffset, log.writtenEndOffset, log.hasPending]).toEqual([1, 1, false]);
  });
});

describe("writing on the thread pool", () => {
  test("keeps the order, and a later call waits for the earlier one", async () => {
    const world = logWorld({ segmentBytes: 400 });
    const log = world.create();
    const writes: Promise<void>[] = [];
    for (let index = 0; index < 20; index++) {
      log.append(plainBatch(2), asClient(world));
      writes.push(log.writePendingLater());
      if (index % 3 === 0) await writes.at(-1);
    }
    await Promise.all(writes);
    expect([log.hasPending, log.isWriting, log.writtenEndOffset]).toEqual([false, false, 40]);
    expect(offsetsOf(log)).toEqual(Array.from({ length: 20 }, (_unused, index) => index * 2));
  });

  test("a synchronous write may overtake it", async () => {
    const world = logWorld();
    const log = world.create();
    log.append(plainBatch(1), asClient(world));
    const later = log.writePendingLater();
    log.append(plainBatch(1), asClient(world));
    log.writePending();
    expect(log.writtenEndOffset).toBe(2);
    await later;
    expect([log.writtenEndOffset, log.isWriting]).toEqual([2, false]);
    expect(offsetsOf(log)).toEqual([0, 1]);
  });
});

describe("retention", () => {
  test("by time takes whole segments whose latest record is too old", () => {
    const world = logWorld({ retentionMs: 1000, segmentBytes: 150 });
    const log = world.create();
    for (const age of [5000, 4000, 1500, 500, 100]) append(world, log, plainBatch(2, world.nowMs - age));
    expect(log.segmentCount).toBe(5);
    expect(log.deleteOldSegments(world.nowMs).map((gone) => [gone.baseOffset, gone.reason])).toEqual([
      [0, "retention-ms"],
      [2, "retention-ms"],
      [4, "retention-ms"],
    ]);
    expect([log.logStartOffset, log.segmentCount]).toEqual([6, 2]);
    expect(log.read(at(5), { bytesMax: 1, upTo: at(10), minOneBatch: true }).kind).toBe("out-of-range");
    world.nowMs += 10_000;
    expect(log.deleteOldSegments(world.nowMs).length).toBe(2);
    expect([log.logStartOffset, log.logEndOffset, log.segmentCount, log.sizeBytes]).toEqual([10, 10, 1, 0]);
    log.release();
    const again = world.load();
    expect([again.logStartOffset, again.logEndOffset]).toEqual([10, 10]);
  });

  test("never passes the high watermark", () => {
    const world = logWorld({ retentionMs: 1000, segmentBytes: 150 });
    const log = world.create();
    for (let index = 0; index < 4; index++) {
      log.append(plainBatch(2, 1), asClient(world));
      log.writePending();
    }
    log.setHighWatermark(at(5));
    log.deleteOldSegments(world.nowMs);
    expect(log.logStartOffset).toBe(4);
  });

  test("by size leaves at least retention.bytes", () => {
    const world = logWorld({ retentionBytes: 400, retentionMs: -1, segmentBytes: 150 });
    const log = world.create();
    for (let index = 0; index < 10; index++) append(world, log, plainBatch(2));
    const before = log.sizeBytes;
    const gone = log.deleteOldSegments(world.nowMs);
    expect(gone.every((one) => one.reason === "retention-bytes")).toBe(true);
    expect(log.sizeBytes).toBe(before - gone.reduce((sum, one) => sum + one.sizeBytes, 0));
    expect(log.sizeBytes).toBeGreaterThanOrEqual(400);
    expect(log.sizeBytes - gone[0]!.sizeBytes).toBeLessThan(400);
  });

  test("deleted records are gone at once; their segments with the next retention", () => {
    const world = logWorld({ segmentBytes: 150, retentionMs: -1 });
    const log = world.create();
    for (let index = 0; index < 5; index++) append(world, log, plainBatch(2));
    expect(log.deleteRecordsBefore(at(11))).toEqual({ kind: "out-of-range" });
    expect(log.deleteRecordsBefore(at(5))).toEqual({ kind: "deleted", logStartOffset: 5 });
    expect(log.deleteRecordsBefore(at(3))).toEqual({ kind: "deleted", logStartOffset: 5 });
    expect(offsetsOf(log)).toEqual([4, 6, 8]);
    expect(log.deleteOldSegments(world.nowMs).map((gone) => [gone.baseOffset, gone.reason])).toEqual([
      [0, "log-start-offset"],
      [2, "log-start-offset"],
    ]);
    expect(log.deleteRecordsBefore(at(-1))).toEqual({ kind: "deleted", logStartOffset: 10 });
    log.updateConfig({ ...log.config, ...compacted() });
    expect(log.deleteRecordsBefore(at(10))).toEqual({ kind: "policy-violation" });
  });

  test("a reader goes on in a segment that was just removed", () => {
    const world = logWorld({ segmentBytes: 200, retentionMs: 10 });
    Object.assign(world.environment, { removeLater() {} });
    const log = world.create();
    append(world, log, plainBatch(2, 1));
    append(world, log, plainBatch(2, world.nowMs));
    const slice = log.read(at(0), { bytesMax: 1000, upTo: at(2), minOneBatch: true });
    if (slice.kind !== "slice") throw new Error(slice.kind);
    log.deleteOldSegments(world.nowMs);
    expect(slice.file.path.endsWith(".log.deleted")).toBe(true);
    const bytes = Buffer.alloc(slice.sizeBytes);
    expect(slice.file.read(bytes, slice.position)).toBe(bytes.length);
  });
});

describe("flushing", () => {
  test("moves the recovery point, and flush.messages does it by itself", async () => {
    const world = logWorld({ flushMessages: 4, segmentBytes: 300 });
    const log = world.create();
    append(world, log, plainBatch(3));
    expect(log.recoveryPoint).toBe(0);
    append(world, log, plainBatch(3));
    expect(log.recoveryPoint).toBe(6);
    append(world, log, plainBatch(2));
    await log.flushLater();
    expect(log.recoveryPoint).toBe(8);
    log.updateConfig({ ...log.config, flushMs: 1000 });
    append(world, log, plainBatch(1));
    expect(log.isFlushDue(world.nowMs + 999)).toBe(false);
    expect(log.isFlushDue(world.nowMs + 1000)).toBe(true);
  });

  test("what is below the recovery point survives a loss of power, whatever the rest does", () => {
    for (let kept = 0; kept <= 1; kept += 0.1) {
      const disk = new MemoryDisk();
      const world = logWorld({ segmentBytes: 700, indexIntervalBytes: 100 }, disk);
      const log = world.create();
      for (let index = 0; index < 20; index++) {
        append(world, log, plainBatch(2, 1000, { producerId: 1, producerEpoch: 0, baseSequence: index * 2 }));
        if (index === 11) log.flush();
      }
      const point = log.recoveryPoint;
      expect(point).toBe(24);
      log.release();
      disk.crash((_path, durableBytes, sizeBytes) => Math.floor(durableBytes + (sizeBytes - durableBytes) * kept));
      const again = world.load({ recoveryPoint: point });
      expect(again.logEndOffset).toBeGreaterThanOrEqual(point);
      const end = again.logEndOffset / 2;
      expect(offsetsOf(again)).toEqual(Array.from({ length: end }, (_unused, index) => index * 2));
      const next = plainBatch(2, 1000, { producerId: 1, producerEpoch: 0, baseSequence: again.logEndOffset });
      expect(append(world, again, next)).toMatchObject({ kind: "appended", firstOffset: end * 2 });
    }
  });
});
