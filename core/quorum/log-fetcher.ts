// The follower's and the observer's side: asks the leader for what comes next, appends it, syncs it, asks again. Cuts off what the leader
// does not have, and takes a snapshot where the leader's log begins later than this one ends. Who knows no leader asks around instead.
import { uuidMetadataTopic } from "../base/index.ts";
import {
  batchBaseOffset,
  batchHeaderBytes,
  batchIsControl,
  batchLastOffset,
  batchLeaderEpoch,
  batchSizeAt,
  clusterMetadataTopic,
  RecordBatchView,
} from "../model/index.ts";
import { ApiKey, ErrorCode, type FetchResponse } from "../protocol/index.ts";
import type { QuorumCore } from "./quorum-core.ts";
import type { QuorumAddress } from "./quorum-options.ts";
import { endOfEpoch } from "./replicated-log.ts";
import { Follower } from "./roles/follower.ts";
import type { LeaderPlace } from "./roles/role.ts";
import { SnapshotDownload } from "./snapshot-download.ts";
import { decodeMetadataBatch } from "./snapshot-reader.ts";

/** How long the leader may hold a fetch that finds nothing; Kafka's own. */
export const fetchWaitMsMax = 500;
/** After so many failures in a row the pause between two tries is not doubled any more. */
const retryDoublingsMax = 5;

type Partition = FetchResponse["responses"][number]["partitions"][number];
type FetchKey = typeof ApiKey.Fetch;

export class LogFetcher {
  private readonly core: QuorumCore;
  /** Counts what is asked: the answer to an older question is heard, but not followed. */
  private turn = 0;
  private failures = 0;
  private download: SnapshotDownload | null = null;

  constructor(core: QuorumCore) {
    this.core = core;
  }

  /** The part this node plays has changed, or its leader is silent: what was asked before does not count any more. */
  kick(): void {
    this.turn++;
    this.download?.abandon();
    this.download = null;
    this.askNext();
  }

  /** The last try has failed. */
  get hasFailed(): boolean {
    return this.failures > 0;
  }

  stop(): void {
    this.turn++;
    this.download?.abandon();
    this.download = null;
  }

  private isCurrent(turn: number): boolean {
    const { name } = this.core.role;
    return turn === this.turn && this.core.isRunning && (name === "follower" || name === "unattached");
  }

  private askNext(): void {
    const turn = ++this.turn;
    if (!this.isCurrent(turn)) return;
    const target = this.target();
    if (target === null) {
      this.retryLater();
      return;
    }
    const { core } = this;
    const { endOffset, epoch } = core.logEnd;
    core.ask<FetchKey>(
      target,
      ApiKey.Fetch,
      {
        clusterId: core.clusterId,
        replicaState: { replicaId: core.nodeId, replicaEpoch: -1 },
        maxWaitMs: fetchWaitMsMax,
        minBytes: 0,
        maxBytes: core.settings.fetchBytesMax,
        topics: [
          {
            topic: clusterMetadataTopic,
            topicId: uuidMetadataTopic,
            partitions: [
              {
                partition: 0,
                currentLeaderEpoch: core.epoch,
                fetchOffset: endOffset,
                lastFetchedEpoch: epoch,
                partitionMaxBytes: 0,
                replicaDirectoryId: core.options.directoryId,
                // -1: not known, as after a start.
                highWatermark: core.highWatermark === 0 ? -1 : core.highWatermark,
              },
            ],
          },
        ],
        forgottenTopicsData: [],
      },
      (response) => this.onResponse(turn, response),
      () => this.retryAfter(turn),
    );
  }

  /** The leader; without one that answers, any node that may know it. */
  private target(): QuorumAddress | LeaderPlace | null {
    const { core } = this;
    const { role } = core;
    // Every second try after a failure goes to another node: the leader may be elsewhere by now.
    if (role instanceof Follower && !role.isLeaderSilent && this.failures % 2 === 0) return role.leaderPlace;
    const own = core.ownEndpoints;
    const bootstrap = (core.options.bootstrapServers ?? []).filter(
      ({ host, port }) => !own.some((endpoint) => endpoint.host === host && endpoint.port === port),
    );
    const voters = core.voters.filter(({ id }) => id !== core.nodeId);
    const known = [...bootstrap, ...voters];
    return known[core.randomBelow(known.length)] ?? null;
  }

  private retryAfter(turn: number): void {
    if (this.isCurrent(turn)) this.retryLater();
  }

  private retryLater(): void {
    const { core } = this;
    const turn = ++this.turn;
    const delayMs = Math.max(core.settings.retryBackoffMs, 1) * 2 ** Math.min(this.failures++, retryDoublingsMax);
    core.options.timers.after(delayMs, () => {
      if (this.isCurrent(turn)) core.run(() => this.askNext());
    });
  }

  private onResponse(turn: number, response: FetchResponse): void {
    const { core } = this;
    const partition = response.responses[0]?.partitions[0];
    if (response.errorCode !== ErrorCode.NONE || partition === undefined) {
      core.options.logger.warn({ errorCode: response.errorCode }, "a fetch of the metadata log was refused");
      if (response.errorCode === ErrorCode.INCONSISTENT_CLUSTER_ID) core.options.onForeignCluster?.();
      this.retryAfter(turn);
      return;
    }
    const { leaderEpoch, leaderId } = partition.currentLeader;
    const { epoch, role } = core;
    core.observe(leaderEpoch, leaderId, response.nodeEndpoints);
    // Another epoch or another leader: the new part asks anew.
    if (!this.isCurrent(turn) || core.role !== role || core.epoch !== epoch) return;
    const isFromLeader = role instanceof Follower && leaderEpoch === epoch && leaderId === role.leaderId;
    if (partition.errorCode !== ErrorCode.NONE || !isFromLeader) {
      this.retryLater();
      return;
    }
    this.failures = 0;
    role.onFetched();
    this.onAnswer(turn, partition);
  }

  private onAnswer(turn: number, partition: Partition): void {
    const { divergingEpoch, snapshotId } = partition;
    if (divergingEpoch.epoch >= 0 && divergingEpoch.endOffset >= 0n) {
      this.truncate(turn, divergingEpoch.epoch, Number(divergingEpoch.endOffset));
    } else if (snapshotId.epoch >= 0 && snapshotId.endOffset >= 0n) {
      this.beginDownload(turn, { endOffset: Number(snapshotId.endOffset), epoch: snapshotId.epoch });
    } else {
      this.append(turn, partition);
    }
  }

  /** KIP-595: back to where this log's own epochs end, at most to what the leader names. */
  private truncate(turn: number, epoch: number, endOffset: number): void {
    const { core } = this;
    this.whenIdle(turn, () => {
      const own = endOfEpoch(core.log, core.keeper.earliest, epoch);
      const offset =
        own.epoch === epoch ? Math.min(own.endOffset, endOffset) : Math.min(own.endOffset, core.log.logEndOffset);
      core.options.logger.info({ offset, epoch }, "the metadata log parts from its leader's and is cut");
      core.truncateTo(offset);
      this.askNext();
    });
  }

  /** Nothing of the log may be on its way to the device when it is cut. */
  private whenIdle(turn: number, work: () => void): void {
    void this.core.syncer.idle().then(() => {
      if (this.isCurrent(turn)) this.core.run(work);
    });
  }

  private append(turn: number, partition: Partition): void {
    const { core } = this;
    const records = partition.records as Buffer | null;
    if (records !== null && records.length > 0 && !this.appendRecords(records)) {
      this.retryLater();
      return;
    }
    const highWatermark = Number(partition.highWatermark);
    const isVoterToBe = core.options.isController !== false;
    // What this node asks for next says what it has: a voter's must be on the device.
    if (isVoterToBe) {
      void core.syncer.sync().then(() => {
        if (this.isCurrent(turn)) core.run(() => this.askNext());
      });
    }
    core.onHighWatermark(Math.min(highWatermark, core.log.logEndOffset));
    if (!isVoterToBe && this.isCurrent(turn)) this.askNext();
  }

  /** The bytes die with this turn. False where they do not continue this log. */
  private appendRecords(records: Buffer): boolean {
    const { core } = this;
    const { log, logger } = { log: core.log, logger: core.options.logger };
    const bytes = Buffer.from(records);
    const size = this.wholeBytes(bytes);
    if (size === 0) {
      logger.warn({ offset: log.logEndOffset }, "a leader's records do not continue the metadata log");
      return false;
    }
    const whole = bytes.subarray(0, size);
    const outcome = log.append(whole, {
      ...{ origin: "replication", leaderEpoch: core.epoch, nowMs: core.options.clock.wallMs() },
    });
    if (outcome.kind !== "appended") {
      logger.warn({ outcome }, "a leader's records cannot be appended");
      return false;
    }
    log.writePending();
    for (let at = 0; at < size; at += batchSizeAt(whole, at)) {
      if (!batchIsControl(whole, at)) continue;
      const batch = decodeMetadataBatch(new RecordBatchView(whole, at), log.path, at);
      for (const [index, control] of batch.controls.entries())
        core.history.onControl(control, batch.baseOffset + index);
    }
    core.advance();
    return true;
  }

  /** How much of it is whole batches, one after another from this log's end on, of no epoch after the leader's. */
  private wholeBytes(bytes: Buffer): number {
    const { core } = this;
    let next: number = core.log.logEndOffset;
    let epoch = core.logEnd.epoch;
    let at = 0;
    while (at < bytes.length) {
      const size = batchSizeAt(bytes, at);
      if (size < batchHeaderBytes || at + size > bytes.length) break;
      const batchEpoch = batchLeaderEpoch(bytes, at);
      if (batchBaseOffset(bytes, at) !== next || batchEpoch < epoch || batchEpoch > core.epoch) break;
      next = batchLastOffset(bytes, at) + 1;
      epoch = batchEpoch;
      at += size;
    }
    return at;
  }

  // --- snapshots ---------------------------------------------------------------------------------

  private beginDownload(turn: number, id: { readonly endOffset: number; readonly epoch: number }): void {
    const { core } = this;
    if (id.endOffset < core.highWatermark) {
      core.options.logger.warn({ ...id }, "the leader names a snapshot of less than what is committed here");
      this.retryLater();
      return;
    }
    this.download?.abandon();
    const download: SnapshotDownload = new SnapshotDownload(core, id, {
      isCurrent: (): boolean => this.isCurrent(turn) && this.download === download,
      whenIdle: (work) => this.whenIdle(turn, work),
      onEnd: (isInstalled) => {
        this.download = null;
        if (isInstalled) this.askNext();
        else this.retryLater();
      },
    });
    this.download = download;
    download.begin();
  }
}
