// Data directories as Apache Kafka left them, one stopped cleanly and one killed: every log must open and say what Kafka's own tools and
// clients said of it.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileDisk } from "@blumfeld/host/disk";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { manualTimers, quietLogger } from "../../testing/log/fixtures.ts";
import { missingShared, sharedPath } from "../../testing/shared.ts";
import { seededRandom } from "../base/index.ts";
import {
  batchBaseOffset,
  batchCrc,
  batchLastOffset,
  batchSize,
  type Offset,
  type TopicPartition,
  topicPartitionKey,
} from "../model/index.ts";
import { LogManager, logConfigDefaults, type PartitionLog, parsePartitionFolder } from "./index.ts";

interface ExpectedBatch {
  baseOffset: string;
  lastOffset: string;
  position: number;
  size: number;
  crc: string;
}
interface ExpectedFolder {
  files: Record<string, number>;
  "leader-epoch-checkpoint"?: string[];
  batches?: Record<string, ExpectedBatch[]>;
  indexes?: Record<string, string[]>;
}
interface ExpectedPartition {
  logStartOffset: string;
  highWatermark: string;
  lastStableOffset: string;
  latestOffsetLeaderEpoch: number;
  maxTimestamp: string;
  maxTimestampOffset: string;
  producers: Record<string, string | number>[];
  /** Not of internal topics. */
  records?: { offset: string; timestamp: string }[];
  readCommittedOffsets?: string[];
}
interface Expected {
  disk: Record<string, ExpectedFolder>;
  clients: {
    topics: Record<string, { topicId: string; partitions: Record<string, ExpectedPartition> | ExpectedPartition[] }>;
  };
}

const clockAt = Date.parse("2026-11-22T07:55:00Z");

describe.skipIf(missingShared).each(["clean", "killed"])("the data directory of a %s Kafka", (kind) => {
  let root: string;
  let manager: LogManager;
  let expected: Expected;

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), `blumfeld-golden-${kind}-`));
    execFileSync("tar", ["xzf", sharedPath(`protocol/data-dirs/data-${kind}.tar.gz`), "-C", root]);
    expected = JSON.parse(
      readFileSync(sharedPath(`protocol/data-dirs/data-${kind}.expected.json`), "utf8"),
    ) as Expected;
    manager = await LogManager.open({
      disk: new FileDisk(),
      clock: { wallMs: () => clockAt, monotonicMs: () => 0 },
      timers: manualTimers(),
      random: seededRandom(1),
      logger: quietLogger,
      directories: [join(root, "data")],
      configOf: () => ({ ...logConfigDefaults, retentionMs: -1, segmentIndexBytes: 262144 }),
      producerIdExpirationMs: 2147483647,
    });
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  const logOf = (topic: string, partition: number): PartitionLog => {
    const log = manager.log({ topic, partition } as TopicPartition);
    expect(log, topicPartitionKey(topic, partition)).not.toBeNull();
    return log!;
  };
  const partitions = (): [string, number, ExpectedPartition][] =>
    Object.entries(expected.clients.topics).flatMap(([topic, { partitions: all }]) =>
      Object.entries(all).map(([index, one]): [string, number, ExpectedPartition] => [topic, Number(index), one]),
    );

  test("every live partition is there, with its topic's id", () => {
    const folders = Object.keys(expected.disk).filter((name) => name !== "(root)" && !name.endsWith("-delete"));
    expect(manager.logCount).toBe(folders.length - 1);
    for (const [topic, { topicId }] of Object.entries(expected.clients.topics))
      expect(logOf(topic, 0).topicId).toBe(topicId);
  });

  test("offsets are what clients saw", () => {
    for (const [topic, partition, seen] of partitions()) {
      const log = logOf(topic, partition);
      const name = topicPartitionKey(topic, partition);
      expect([name, log.logStartOffset]).toEqual([name, Number(seen.logStartOffset)]);
      expect([name, log.logEndOffset]).toEqual([name, Number(seen.highWatermark)]);
      log.setHighWatermark(log.logEndOffset);
      expect([name, log.lastStableOffset]).toEqual([name, Number(seen.lastStableOffset)]);
    }
  });

  test("reading every offset finds the batch that holds it", () => {
    for (const [folder, { batches }] of Object.entries(expected.disk)) {
      if (batches === undefined || folder.startsWith("__cluster_metadata") || folder.endsWith("-delete")) continue;
      const dash = folder.lastIndexOf("-");
      const log = logOf(folder.slice(0, dash), Number(folder.slice(dash + 1)));
      const all = Object.entries(batches)
        .filter(([file]) => file.endsWith(".log"))
        .sort()
        .flatMap(([, list]) => list);
      for (let offset = log.logStartOffset as number; offset < log.logEndOffset; offset++) {
        const wanted = all.find((batch) => Number(batch.lastOffset) >= offset);
        const outcome = log.read(offset as Offset, { bytesMax: 1, upTo: log.logEndOffset, minOneBatch: true });
        if (wanted === undefined) {
          expect(outcome.kind).toBe("empty");
          continue;
        }
        if (outcome.kind !== "slice") throw new Error(`${folder} at ${offset}: ${outcome.kind}`);
        const bytes = Buffer.alloc(outcome.sizeBytes);
        expect(outcome.file.read(bytes, outcome.position)).toBe(bytes.length);
        expect({
          baseOffset: String(batchBaseOffset(bytes, 0)),
          lastOffset: String(batchLastOffset(bytes, 0)),
          position: outcome.position,
          size: batchSize(bytes, 0),
          crc: String(batchCrc(bytes, 0)),
        }).toMatchObject({
          baseOffset: wanted.baseOffset,
          lastOffset: wanted.lastOffset,
          position: wanted.position,
          size: wanted.size,
          crc: wanted.crc,
        });
      }
    }
  });

  test("the latest timestamp, its offset, and each record's timestamp lead to the record that clients saw", () => {
    for (const [topic, partition, seen] of partitions()) {
      const log = logOf(topic, partition);
      const name = topicPartitionKey(topic, partition);
      const latest = log.maxTimestampOffset();
      expect([name, latest?.timestamp ?? -1, latest?.offset ?? -1]).toEqual([
        name,
        Number(seen.maxTimestamp),
        Number(seen.maxTimestampOffset),
      ]);
      const records = seen.records ?? [];
      for (const { timestamp } of records) {
        const wanted = records.find((record) => Number(record.timestamp) >= Number(timestamp))!;
        const found = log.offsetForTimestamp(Number(timestamp))!;
        // Markers have timestamps and offsets too, but clients do not see them.
        if (found.offset !== Number(wanted.offset))
          expect(records.map((record) => record.offset)).not.toContain(String(found.offset));
        else expect([name, found.timestamp]).toEqual([name, Number(wanted.timestamp)]);
      }
    }
  });

  test("producers and leader epochs are what clients and the files say", () => {
    for (const [topic, partition, seen] of partitions()) {
      const log = logOf(topic, partition);
      const name = topicPartitionKey(topic, partition);
      const producers = log.activeProducers().map((producer) => ({
        producerId: String(producer.producerId),
        epoch: producer.producerEpoch,
        lastSequence: producer.lastSequence,
        lastTimestamp: String(producer.lastTimestamp),
        coordinatorEpoch: producer.coordinatorEpoch,
        currentTransactionStartOffset: String(producer.currentTransactionStartOffset),
      }));
      const byId = (one: { producerId?: unknown }, other: { producerId?: unknown }): number =>
        Number(one.producerId) - Number(other.producerId);
      expect([name, producers.sort(byId)]).toEqual([name, [...seen.producers].sort(byId)]);
      const epochs = log.leaderEpochs.map(({ epoch, startOffset }) => `${epoch} ${startOffset}`);
      // An epoch that begins at the log's end goes at each start, as in Kafka: a new leader's epoch takes its place.
      const kept = expected.disk[name]!["leader-epoch-checkpoint"]!.slice(2).filter(
        (line) => Number(line.split(" ")[1]) < log.logEndOffset,
      );
      expect([name, epochs]).toEqual([name, kept]);
      const [lastEpoch] = expected.disk[name]!["leader-epoch-checkpoint"]!.at(-1)!.split(" ");
      log.assignLeaderEpoch(Number(lastEpoch), log.logEndOffset);
      expect([name, log.latestLeaderEpoch]).toEqual([name, seen.latestOffsetLeaderEpoch]);
    }
  });

  test("a reader of committed records is told of exactly the transactions that it must skip", () => {
    for (const [topic, partition, seen] of partitions()) {
      if (seen.records === undefined) continue;
      const log = logOf(topic, partition);
      const stable = log.lastStableOffset;
      const aborted = log.abortedTransactions(log.logStartOffset, stable);
      const batches = Object.values(
        expected.disk[topicPartitionKey(topic, partition)]!.batches ?? {},
      ).flat() as (ExpectedBatch & {
        producerId: string;
        isTransactional: boolean;
        isControl: boolean;
      })[];
      const markers = batches.filter((batch) => batch.isControl);
      const isSkipped = (offset: number): boolean => {
        const batch = batches.find((one) => Number(one.baseOffset) <= offset && offset <= Number(one.lastOffset))!;
        if (!batch.isTransactional) return false;
        return aborted.some(({ producerId, firstOffset }) => {
          const end = markers.find(
            (marker) => Number(marker.producerId) === producerId && Number(marker.baseOffset) > firstOffset,
          );
          return Number(batch.producerId) === producerId && offset >= firstOffset && offset < Number(end!.baseOffset);
        });
      };
      const committed = seen.records
        .map((record) => Number(record.offset))
        .filter((offset) => offset < stable && !isSkipped(offset));
      expect([topic, partition, committed]).toEqual([topic, partition, seen.readCommittedOffsets!.map(Number)]);
    }
  });

  test("stopping without having done anything leaves every byte of a cleanly stopped log as it was", async () => {
    const data = join(root, "data");
    const folders = readdirSync(data).filter(
      (name) => parsePartitionFolder(name)?.state === "live" && !name.startsWith("__cluster_metadata"),
    );
    const read = (): Map<string, string> =>
      new Map(
        folders.flatMap((folder) =>
          readdirSync(join(data, folder)).map((file): [string, string] => [
            `${folder}/${file}`,
            readFileSync(join(data, folder, file)).toString("base64"),
          ]),
        ),
      );
    const before = read();
    await manager.close({ brokerEpoch: 318 });
    expect(readFileSync(join(data, ".kafka_cleanshutdown"), "latin1")).toBe('{"version":0,"brokerEpoch":318}');
    const after = read();
    if (kind === "clean") expect([...after.keys()]).toEqual([...before.keys()]);
    for (const [file, bytes] of after) if (kind === "clean") expect([file, bytes]).toEqual([file, before.get(file)]);
    // Whatever was allocated ahead is cut off now.
    for (const [file, bytes] of after)
      if (/index$/.test(file)) expect([file, bytes.length < 20_000]).toEqual([file, true]);
  });
});
