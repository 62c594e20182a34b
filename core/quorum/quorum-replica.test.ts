// The quorum of one on a log of its own: what is visible when, what a crash and a failing disk leave, what it refuses to start on.
import { MemoryDisk } from "@blumfeld/host/disk";
import { describe, expect, test } from "vitest";
import type { Logger, Timers, Uuid } from "../base/index.ts";
import { seededRandom } from "../base/index.ts";
import { createLog, loadLog, logConfigDefaults, type PartitionLog, standaloneEnvironment } from "../log/index.ts";
import { type Offset, partitionIndexOf } from "../model/index.ts";
import { decodeMetadataRecord, encodeMetadataRecord, type MetadataRecord } from "../protocol/index.ts";
import type { CommittedBatch, PreparedRecord, QuorumListener, Voter } from "./metadata-quorum.ts";
import type { QuorumOptions } from "./quorum-options.ts";
import { QuorumReplica } from "./quorum-replica.ts";
import { listSnapshots, snapshotFileName } from "./snapshot-id.ts";
import { snapshotLimitsDefault } from "./snapshot-keeper.ts";
import { writeSnapshotNow } from "./snapshot-writer.ts";

const path = "/data/__cluster_metadata-0";
const directoryId = "N85IxdTFTpqIm9aPpAFvcA" as Uuid;
const voter: Voter = { id: 1, directoryId, endpoints: [{ name: "CONTROLLER", host: "localhost", port: 9093 }] };
const quiet: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => quiet };

/** Turns end when the test says so. */
class ManualTimers implements Timers {
  private turnEnds: (() => void)[] = [];
  after() {
    return { cancel() {} };
  }
  atTurnEnd(callback: () => void): void {
    this.turnEnds.push(callback);
  }
  endTurn(): void {
    for (const callback of this.turnEnds.splice(0)) callback();
  }
}

class Heard implements QuorumListener {
  readonly names: string[] = [];
  onSnapshot(_id: unknown, records: Iterable<MetadataRecord>): void {
    this.names.splice(0);
    for (const record of records) this.hear(record);
  }
  onCommit(batches: readonly CommittedBatch[]): void {
    for (const batch of batches) for (const record of batch.records) this.hear(record);
  }
  onLeaderChange(): void {}
  private hear(record: MetadataRecord): void {
    if (record.type === "ConfigRecord") this.names.push(record.value.name);
  }
}

function config(name: string): PreparedRecord {
  const value = { resourceType: 4, resourceName: "", name, value: "x" };
  const bytes = encodeMetadataRecord({ type: "ConfigRecord", version: 0, value });
  return { bytes, record: decodeMetadataRecord(bytes) };
}

function openLog(disk: MemoryDisk, segmentBytes = logConfigDefaults.segmentBytes): PartitionLog {
  const clock = { wallMs: () => 1000, monotonicMs: () => 1000 };
  const environment = standaloneEnvironment({ disk, clock, random: seededRandom(1) });
  const topicPartition = { topic: "__cluster_metadata", partition: partitionIndexOf(0) };
  const place = { topicPartition, directory: "/data", folder: path };
  const settings = { ...logConfigDefaults, segmentBytes };
  if (disk.status(path) === null) return createLog(environment, place, settings, null);
  const start = 0 as Offset;
  const load = { hadCleanShutdown: false, recoveryPoint: start, logStartOffset: start, highWatermark: start };
  return loadLog(environment, place, settings, load).log;
}

interface Started {
  readonly disk: MemoryDisk;
  readonly quorum: QuorumReplica;
  readonly heard: Heard;
  readonly timers: ManualTimers;
  readonly failures: unknown[];
  readonly log: PartitionLog;
}

function options(disk: MemoryDisk, changes: Partial<QuorumOptions> = {}) {
  const timers = new ManualTimers();
  const heard = new Heard();
  const failures: unknown[] = [];
  const log = (changes.log as PartitionLog | undefined) ?? openLog(disk);
  const all: QuorumOptions = {
    ...{ nodeId: 1, directoryId, staticVoters: null, disk, timers, log, logger: quiet, random: seededRandom(1) },
    clock: { wallMs: () => 1000, monotonicMs: () => 1000 },
    limits: snapshotLimitsDefault,
    listeners: [heard],
    snapshotSource: () =>
      heard.names.map((name) => ({
        ...{ type: "ConfigRecord", version: 0 },
        value: { resourceType: 4, resourceName: "", name, value: "x" },
      })),
    onFailure: (error) => void failures.push(error),
    ...changes,
  };
  return { all, timers, heard, failures, log };
}

function start(disk: MemoryDisk, changes: Partial<QuorumOptions> = {}): Started {
  const { all, ...rest } = options(disk, changes);
  const started = QuorumReplica.start(all);
  if (started.kind === "refused") throw new Error(started.message);
  return { disk, quorum: started.quorum, ...rest };
}

function formatted(): MemoryDisk {
  const disk = new MemoryDisk();
  disk.makeDirectory(path);
  const quorum = { kraftVersion: 1, voters: [voter] };
  writeSnapshotNow(disk, path, { id: { endOffset: 0, epoch: 0 }, lastContainedMs: 1, nowMs: 1, quorum }, []);
  return disk;
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 5));

describe("the only voter's addresses", () => {
  const moved = [{ name: "CONTROLLER", host: "other", port: 4242 }];

  test("are written when it begins to lead elsewhere, once", async () => {
    const disk = formatted();
    const first = start(disk, { endpoints: moved });
    expect(first.quorum.voters).toEqual([{ ...voter, endpoints: moved }]);
    // LeaderChange, kraft.version, voters.
    expect(first.quorum.nextOffset).toBe(3);
    await first.quorum.close();
    const second = start(disk, { endpoints: moved });
    expect([second.quorum.voters[0]!.endpoints, second.quorum.nextOffset]).toEqual([moved, 4]);
    await second.quorum.close();
    const third = start(disk, { endpoints: voter.endpoints });
    expect([third.quorum.voters[0]!.endpoints, third.quorum.nextOffset]).toEqual([voter.endpoints, 6]);
    await third.quorum.close();
    // Not told: as the log has them.
    const fourth = start(disk);
    expect([fourth.quorum.voters[0]!.endpoints, fourth.quorum.nextOffset]).toEqual([voter.endpoints, 7]);
    await fourth.quorum.close();
  });
});

describe("an append", () => {
  test("is seen by nobody before it is synced, then by listeners before its promise", async () => {
    const node = start(formatted());
    let release = (): void => {};
    node.log.flushLater = () => new Promise((resolve) => (release = resolve));
    const { committed, firstOffset } = node.quorum.append([config("a"), config("b")]);
    expect(firstOffset).toBe(3);
    const order: string[] = [];
    void committed.then(() => order.push(`answered after ${node.heard.names.join()}`));
    node.timers.endTurn();
    await settled();
    expect([node.heard.names, order, node.quorum.highWatermark]).toEqual([[], [], 3]);
    release();
    await settled();
    expect([node.heard.names, order, node.quorum.highWatermark]).toEqual([["a", "b"], ["answered after a,b"], 5]);
  });

  test("shares its sync with all that is written while another sync is under way", async () => {
    const node = start(formatted());
    let syncs = 0;
    let release = (): void => {};
    node.log.flushLater = () => {
      syncs++;
      return new Promise((resolve) => (release = resolve));
    };
    for (let turn = 0; turn < 10; turn++) {
      node.quorum.append([config(`t${turn}`)]);
      node.timers.endTurn();
    }
    await settled();
    release();
    await settled();
    release();
    await settled();
    expect(syncs).toBe(2);
    expect(node.heard.names).toHaveLength(10);
  });

  test("that the disk refuses is refused, once and for good", async () => {
    const node = start(formatted());
    node.log.flushLater = () => Promise.reject(new Error("EIO"));
    const first = node.quorum.append([config("a")]).committed;
    node.timers.endTurn();
    await expect(first).rejects.toThrow("EIO");
    await expect(node.quorum.append([config("b")]).committed).rejects.toThrow("EIO");
    expect(node.failures).toHaveLength(1);
    expect(node.heard.names).toEqual([]);
  });
});

describe("a restart", () => {
  test("after a torn write has what was whole, in a new epoch", async () => {
    const disk = formatted();
    const node = start(disk);
    const { committed } = node.quorum.append([config("a")]);
    node.timers.endTurn();
    await committed;
    await node.quorum.close();
    const file = disk.open(`${path}/00000000000000000000.log`, "append");
    file.write([Buffer.from("00000000000000630000004f", "hex")], file.sizeBytes());
    file.close();
    const again = start(disk);
    expect(again.heard.names).toEqual(["a"]);
    expect(again.quorum.leaderAndEpoch).toEqual({ leaderId: 1, epoch: 2 });
  });

  test("from a snapshot does not replay what it contains, and old ones go by retention", async () => {
    const disk = formatted();
    const limits = { ...snapshotLimitsDefault, snapshotBytesMax: 1, retentionBytes: 0 };
    const node = start(disk, { limits, log: openLog(disk, 14_000) });
    for (let round = 0; round < 20; round++) {
      const { committed } = node.quorum.append(Array.from({ length: 40 }, (_, index) => config(`${round}-${index}`)));
      node.timers.endTurn();
      await committed;
      for (let turn = 0; turn < 3; turn++) {
        node.timers.endTurn();
        await settled();
      }
    }
    const snapshots = listSnapshots(disk, path);
    expect(snapshots).toHaveLength(1);
    expect(node.log.logStartOffset).toBe(snapshots[0]!.endOffset);
    await node.quorum.close();
    const again = start(disk);
    expect(again.heard.names).toEqual(node.heard.names);
    expect(new Set(again.heard.names).size).toBe(800);
  });
});

describe("refused", () => {
  test("a snapshot with a flipped bit", () => {
    const disk = formatted();
    const file = disk.open(`${path}/${snapshotFileName({ endOffset: 0, epoch: 0 })}`, "append");
    file.write([Buffer.from([0xff])], 100);
    file.close();
    expect(QuorumReplica.start(options(disk).all)).toMatchObject({ kind: "refused", code: "damaged" });
  });

  test("a log that is cut before its first snapshot", () => {
    const disk = formatted();
    const log = openLog(disk);
    log.truncateFullyAndStartAt(50 as Offset);
    start(disk, { log: openLog(formatted()) });
    disk.writeFileAtomic(
      `${path}/quorum-state`,
      Buffer.from('{"leaderId":1,"leaderEpoch":2,"votedId":-1,"data_version":1}'),
    );
    expect(QuorumReplica.start(options(disk, { log }).all)).toMatchObject({ kind: "refused", code: "damaged" });
  });

  test.each<[string, Partial<QuorumOptions>]>([
    ["another directory than the one that was voted for", { directoryId: "tuE19BN9ef9hj9F0OTSAGg" as Uuid }],
    ["another node's quorum", { nodeId: 2 }],
  ])("%s", (_name, changes) => {
    expect(QuorumReplica.start(options(formatted(), changes).all)).toMatchObject({
      ...{ kind: "refused", code: "unsupported-quorum" },
    });
  });

  test("several static voters, and none at all", () => {
    const bare = new MemoryDisk();
    expect(QuorumReplica.start(options(bare).all)).toMatchObject({ code: "unsupported-quorum" });
    const staticVoters = [1, 2, 3].map((id) => ({ ...voter, id, directoryId: null }));
    const three = options(new MemoryDisk(), { staticVoters }).all;
    expect(QuorumReplica.start(three)).toMatchObject({ code: "unsupported-quorum" });
  });
});
