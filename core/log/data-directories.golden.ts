// Data directories as Apache Kafka left them, one stopped cleanly and one killed: every log must open and say what Kafka's own tools and
// clients said of it.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
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
import { LogManager, logConfigDefaults, type PartitionLog } from "./index.ts";

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
  maxTimestamp: { timestamp: string; offset: string } | string | null;
  producers?: unknown[];
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
});
