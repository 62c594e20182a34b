// The files that this log writes against the files that Kafka wrote, byte for byte: Kafka's own batches are appended again, with a restart
// where Kafka was restarted.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type LogWorld, logWorld } from "../../testing/log/fixtures.ts";
import { missingShared, sharedPath } from "../../testing/shared.ts";
import { parseUuid } from "../base/index.ts";
import { iterateBatches, type Offset } from "../model/index.ts";
import { decodeLeaderEpochs, type LogConfig, type PartitionLog } from "./index.ts";

interface Topics {
  clients: {
    topics: Record<
      string,
      { topicId: string; dynamicConfigs: Record<string, string>; partitions: { logStartOffset: string }[] }
    >;
  };
}

const folderOf = (world: LogWorld): Map<string, Buffer> =>
  new Map(
    world.disk
      .listDirectory("/data/topic-0")
      .map(({ name }): [string, Buffer] => [name, world.disk.readFile(`/data/topic-0/${name}`)]),
  );

describe.skipIf(missingShared)("files written from Kafka's own batches", () => {
  let root: string;
  let topics: Topics["clients"]["topics"];

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), "blumfeld-written-"));
    execFileSync("tar", ["xzf", sharedPath("protocol/data-dirs/data-clean.tar.gz"), "-C", root]);
    const expected = JSON.parse(
      readFileSync(sharedPath("protocol/data-dirs/data-clean.expected.json"), "utf8"),
    ) as Topics;
    topics = expected.clients.topics;
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  test("logs, indexes, snapshots, epochs and metadata are equal", () => {
    let compared = 0;
    for (const [topic, { topicId, dynamicConfigs, partitions }] of Object.entries(topics)) {
      // The cleaner has rewritten these.
      if (dynamicConfigs["cleanup.policy"]?.includes("compact")) continue;
      for (const [partition, { logStartOffset }] of partitions.entries()) {
        const folder = join(root, "data", `${topic}-${partition}`);
        const world = logWorld(configOf(dynamicConfigs));
        world.environment.disk.makeDirectory("/data");
        // Record timestamps are of 2023; nothing may expire.
        Object.assign(world.environment, { producerIdExpirationMs: 2147483647 });
        const log = replay(world, folder, Number(logStartOffset) as Offset);
        log.setTopicId(parseUuid(topicId)!);
        log.close();
        compared += compare(folder, folderOf(world));
      }
    }
    expect(compared).toBeGreaterThan(150);
  });
});

function configOf(dynamic: Record<string, string>): Partial<LogConfig> {
  return {
    segmentIndexBytes: 262144,
    ...("segment.bytes" in dynamic ? { segmentBytes: Number(dynamic["segment.bytes"]) } : {}),
    ...("index.interval.bytes" in dynamic ? { indexIntervalBytes: Number(dynamic["index.interval.bytes"]) } : {}),
    ...("segment.ms" in dynamic ? { segmentMs: Number(dynamic["segment.ms"]) } : {}),
  };
}

/** Appends the folder's batches as a follower would, restarting at the start of each leader epoch after the first. */
function replay(world: LogWorld, folder: string, logStartOffset: Offset): PartitionLog {
  const epochs = decodeLeaderEpochs(readFileSync(join(folder, "leader-epoch-checkpoint")));
  const logs = readdirSync(folder).filter((name) => name.endsWith(".log"));
  const batches = logs.sort().flatMap((name) => [...iterateBatches(readFileSync(join(folder, name)))]);
  const end = (batches.at(-1)?.lastOffset ?? -1) + 1;
  let log = world.create();
  const begin = Number(logs[0]!.slice(0, 20)) as Offset;
  if (begin > 0) log.truncateFullyAndStartAt(begin);
  log.assignLeaderEpoch(0, begin);
  const restarts = epochs.filter(({ epoch }) => epoch > 0);
  const restartAt = (offset: number): void => {
    while (restarts.length > 0 && restarts[0]!.startOffset <= offset) {
      const { epoch, startOffset } = restarts.shift()!;
      log.setHighWatermark(log.logEndOffset);
      if (startOffset >= logStartOffset) log.raiseLogStartOffset(logStartOffset);
      log.close();
      log = world.load({
        hadCleanShutdown: true,
        recoveryPoint: log.logEndOffset,
        logStartOffset: log.logStartOffset,
        highWatermark: log.highWatermark,
      });
      log.assignLeaderEpoch(epoch, startOffset);
    }
  };
  for (const batch of batches) {
    restartAt(batch.baseOffset);
    const outcome = log.append(Buffer.from(batch.bytes), {
      origin: "replication",
      leaderEpoch: -1,
      nowMs: world.nowMs,
    });
    expect(outcome).toMatchObject({ kind: "appended", firstOffset: batch.baseOffset, lastOffset: batch.lastOffset });
    log.writePending();
    log.setHighWatermark(log.logEndOffset);
  }
  restartAt(end);
  return log;
}

/** Every file of Kafka's, but for what waits for removal. */
function compare(folder: string, written: Map<string, Buffer>): number {
  let count = 0;
  for (const name of readdirSync(folder)) {
    if (name.endsWith(".deleted")) continue;
    const bytes = readFileSync(join(folder, name));
    // Kafka makes these as soon as the partition exists, this log with the first record.
    if (bytes.length === 0 && !written.has(name)) continue;
    expect([folder, name, written.get(name)?.toString("hex")]).toEqual([folder, name, bytes.toString("hex")]);
    count++;
  }
  for (const name of written.keys())
    expect([folder, name, existsSync(join(folder, name))]).toEqual([folder, name, true]);
  return count;
}
