// The leader of an epoch. Appends what its controller decides, counts what a majority of the voters has synced, and commits that far, once
// a record of its own epoch is among it (Raft, section 5.4.2).
//
//   append → queue → (turn's end) one batch, one write → sync here, fetches of the others → high watermark → listeners → the promises
//
// It resigns when a majority has not fetched for one and a half fetch timeouts: cut off, it could only collect what it would never commit.
import { assert, type TimerHandle } from "../../base/index.ts";
import { clusterMetadataTopic, RecordBatchBuilder, recordBytesMax } from "../../model/index.ts";
import { ApiKey, type ControlRecordInit, decodeControlRecord, encodeControlRecord } from "../../protocol/index.ts";
import {
  type AppendedRecords,
  type CommittedBatch,
  NotLeader,
  type PreparedRecord,
  type ReplicaProgress,
  type Voter,
} from "../metadata-quorum.ts";
import type { QuorumCore } from "../quorum-core.ts";
import type { ReplicaKey } from "../replicated-log.ts";
import { appendControlRecords, voterControlRecords } from "../snapshot-writer.ts";
import { VoterChanges } from "../voter-changes.ts";
import { VoterProgress } from "../voter-progress.ts";
import { directoryIdOrZero, majorityOf, sameEndpoints } from "../voter-set.ts";
import { type LeaderPlace, QuorumRole } from "./role.ts";

/** The largest batch of the metadata log; Kafka's own bound. */
export const quorumBatchBytesMax = 8 * 1024 * 1024;
/** A majority has to fetch within so many fetch timeouts. */
const checkQuorumFactor = 1.5;

interface PendingAppend {
  readonly records: readonly PreparedRecord[];
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  /** Of its last record; -1 while it is queued. */
  lastOffset: number;
}

export class Leader extends QuorumRole {
  readonly name = "leader";
  readonly changes: VoterChanges;
  /** A record of this epoch is committed. */
  isEstablished = false;
  private readonly grantedBy: readonly number[];
  private readonly progress: VoterProgress;
  private epochStart = 0;
  private queue: PendingAppend[] = [];
  private queuedCount = 0;
  private turnEndIsSet = false;
  /** In the log, not committed. */
  private uncommitted: PendingAppend[] = [];
  private checkTimer: TimerHandle | null = null;

  constructor(core: QuorumCore, grantedBy: readonly number[]) {
    super(core);
    this.grantedBy = grantedBy;
    this.progress = new VoterProgress();
    this.changes = new VoterChanges(core, this, (delayMs, callback) => this.after(delayMs, callback));
  }

  override get leaderId(): number {
    return this.core.nodeId;
  }

  override get leaderPlace(): LeaderPlace {
    return { id: this.core.nodeId, endpoints: this.core.ownEndpoints };
  }

  grantsVote(): boolean {
    return false;
  }

  begin(): void {
    const { core } = this;
    core.feed.forgetAppended();
    this.epochStart = core.log.logEndOffset;
    core.log.assignLeaderEpoch(core.epoch, core.log.logEndOffset);
    this.writeControls(this.firstRecords());
    if (core.voters.length === 1 && core.isVoter) {
      // A node alone leads when it has started: nobody else could answer in between.
      core.log.writePending();
      core.syncer.syncNow();
      this.updateHighWatermark();
    } else {
      this.onWritten();
    }
    this.checkQuorum();
    this.tellVoters();
  }

  private firstRecords(): ControlRecordInit[] {
    const { core } = this;
    const { endpoints } = core.options;
    const { kraftVersion, voters } = core;
    const controls: ControlRecordInit[] = [
      {
        type: "LeaderChange",
        value: {
          version: 0,
          leaderId: core.nodeId,
          voters: voters.map(({ id }) => ({ voterId: id })),
          grantingVoters: this.grantedBy.map((voterId) => ({ voterId })),
        },
      },
    ];
    if (kraftVersion === 0) return controls;
    const own = voters.find(({ id }) => id === core.nodeId);
    const hasMoved = !!endpoints && own !== undefined && !sameEndpoints(own.endpoints, endpoints);
    const now = hasMoved ? voters.map((voter) => (voter === own ? { ...voter, endpoints } : voter)) : voters;
    const [version, voterSet] = voterControlRecords(kraftVersion, now);
    if (!core.history.isInLog) controls.push(version!);
    if (!core.history.isInLog || hasMoved) controls.push(voterSet!);
    return controls;
  }

  /** Control records have a batch of their own. Returns the offset of the last. */
  appendControls(controls: readonly ControlRecordInit[]): number {
    const lastOffset = this.writeControls(controls);
    this.onWritten();
    return lastOffset;
  }

  private writeControls(controls: readonly ControlRecordInit[]): number {
    const { core } = this;
    // What was decided before comes before.
    this.writeQueue();
    const builder = new RecordBatchBuilder();
    const nowMs = core.options.clock.wallMs();
    appendControlRecords(builder, controls, nowMs);
    const { firstOffset, lastOffset } = this.appendBatch(
      builder.build({ control: true, leaderEpoch: core.epoch }),
      nowMs,
      [],
    );
    controls.forEach((control, index) => {
      const { key, value } = encodeControlRecord(control);
      // Read back: the voters in force are what the log says.
      core.history.onControl(decodeControlRecord(key, value), firstOffset + index);
    });
    return lastOffset;
  }

  get nextOffset(): number {
    return this.core.log.logEndOffset + this.queuedCount;
  }

  append(records: readonly PreparedRecord[]): AppendedRecords {
    const firstOffset = this.nextOffset;
    this.queuedCount += records.length;
    const committed = new Promise<void>((resolve, reject) =>
      this.queue.push({ records, resolve, reject, lastOffset: -1 }),
    );
    if (!this.turnEndIsSet) {
      this.turnEndIsSet = true;
      this.core.options.timers.atTurnEnd(() => {
        this.turnEndIsSet = false;
        if (!this.isOver) this.core.run(() => this.flushQueue());
      });
    }
    return { firstOffset, lastOffset: firstOffset + records.length - 1, committed };
  }

  /** Throws DiskError. */
  flushQueue(): void {
    if (this.queue.length === 0) return;
    this.writeQueue();
    this.onWritten();
  }

  /** One batch for all that is queued, more only where it would be too large. */
  private writeQueue(): void {
    const { queue } = this;
    if (queue.length === 0) return;
    this.queue = [];
    this.queuedCount = 0;
    // From here on they wait for the high watermark: a failure below refuses them there.
    this.uncommitted.push(...queue);
    const nowMs = this.core.options.clock.wallMs();
    const builder = new RecordBatchBuilder();
    let records: CommittedBatch["records"][number][] = [];
    const end = (): void => {
      if (builder.recordCount === 0) return;
      this.appendBatch(builder.build({ leaderEpoch: this.core.epoch }), nowMs, records);
      records = [];
    };
    let nextOffset: number = this.core.log.logEndOffset;
    for (const queued of queue) {
      for (const { bytes, record } of queued.records) {
        if (builder.sizeBytes + recordBytesMax(null, bytes) > quorumBatchBytesMax) end();
        builder.append(nowMs, null, bytes);
        records.push(record);
      }
      nextOffset += queued.records.length;
      queued.lastOffset = nextOffset - 1;
    }
    end();
  }

  private appendBatch(
    bytes: Buffer,
    nowMs: number,
    records: CommittedBatch["records"],
  ): { firstOffset: number; lastOffset: number } {
    const { epoch, feed, log } = this.core;
    const sizeBytes = bytes.length;
    const outcome = log.append(bytes, { origin: "quorum", leaderEpoch: epoch, nowMs });
    assert(
      outcome.kind === "appended",
      `the metadata log refused a batch of its own leader: ${JSON.stringify(outcome)}`,
    );
    const { firstOffset, lastOffset } = outcome;
    feed.onAppended({ baseOffset: firstOffset, lastOffset, epoch, timestampMs: nowMs, sizeBytes, records });
    return { firstOffset, lastOffset };
  }

  private onWritten(): void {
    const { core } = this;
    core.log.writePending();
    void core.syncer.sync().then(() => {
      if (!this.isOver) core.run(() => this.updateHighWatermark());
    });
    core.advance();
  }

  // --- what the voters have ----------------------------------------------------------------------

  /** A replica asks for what begins at `fetchOffset`: it has everything before, and has synced it. */
  onFetch(replica: ReplicaKey, fetchOffset: number, nowMs: number): void {
    const { core, progress } = this;
    if (replica.id < 0 || replica.id === core.nodeId) return;
    const isVoter = progress.onFetch(core.voters, replica, { fetchOffset, logEndOffset: core.log.logEndOffset, nowMs });
    if (!isVoter) {
      core.observers.onFetch(replica, fetchOffset, core.log.logEndOffset, nowMs);
      return;
    }
    if (progress.takeMajority(core.voters, core.nodeId)) this.checkQuorum();
    this.updateHighWatermark();
  }

  /** A voter that takes a snapshot is alive, too. */
  onSnapshotFetch(replica: ReplicaKey): void {
    const { core, progress } = this;
    if (!progress.onAlive(core.voters, replica)) return;
    if (progress.takeMajority(core.voters, core.nodeId)) this.checkQuorum();
  }

  private updateHighWatermark(): void {
    const { core } = this;
    const offset = this.progress.majorityOffset(
      core.voters,
      core.isVoter ? core.ownKey : null,
      core.syncer.syncedOffset,
    );
    if (offset <= this.epochStart || offset <= core.highWatermark) return;
    core.onHighWatermark(offset);
    if (!this.isEstablished) {
      this.isEstablished = true;
      core.tellLeader();
    }
    const done = this.uncommitted.findIndex(({ lastOffset }) => lastOffset >= offset);
    for (const append of this.uncommitted.splice(0, done === -1 ? this.uncommitted.length : done)) append.resolve();
    if (this.isOver) return;
    this.changes.onHighWatermark(offset);
    // KIP-853: a leader that has been removed leads until that is committed.
    if (!core.isVoter && core.history.latest.offset < offset) core.toResigned(this.successors());
  }

  private checkQuorum(): void {
    const { core } = this;
    this.checkTimer?.cancel();
    this.checkTimer = this.after(core.settings.fetchTimeoutMs * checkQuorumFactor, () => {
      if (majorityOf(core.voters.length) <= (core.isVoter ? 1 : 0)) {
        this.checkQuorum();
        return;
      }
      core.options.logger.warn({ epoch: core.epoch }, "a majority of the voters has not fetched: this node resigns");
      core.toResigned(this.successors());
    });
  }

  /** The other voters, the most advanced first. */
  successors(): readonly Voter[] {
    const { core, progress } = this;
    return core.voters
      .filter(({ id }) => id !== core.nodeId)
      .sort((one, other) => progress.offsetOf(other.id) - progress.offsetOf(one.id));
  }

  /** Those that do not fetch are told who leads, again and again. */
  private tellVoters(): void {
    const { core } = this;
    const intervalMs = core.settings.fetchTimeoutMs / 2;
    const sinceMs = core.options.clock.wallMs() - intervalMs;
    for (const voter of core.voters) {
      if (voter.id !== core.nodeId && this.progress.lastFetchMsOf(voter.id) <= sinceMs) this.tell(voter);
    }
    this.after(intervalMs, () => this.tellVoters());
  }

  private tell(voter: Voter): void {
    const { core } = this;
    const partition = {
      partitionIndex: 0,
      voterDirectoryId: directoryIdOrZero(voter.directoryId),
      leaderId: core.nodeId,
      leaderEpoch: core.epoch,
    };
    core.ask(
      voter,
      ApiKey.BeginQuorumEpoch,
      {
        clusterId: core.clusterId,
        voterId: voter.id,
        topics: [{ topicName: clusterMetadataTopic, partitions: [partition] }],
        leaderEndpoints: [...core.ownEndpoints],
      },
      (response) => {
        const answered = response.topics[0]?.partitions[0];
        if (answered !== undefined) core.observe(answered.leaderEpoch, answered.leaderId, response.nodeEndpoints);
      },
      () => {},
    );
  }

  described(nowMs: number): ReplicaProgress[] {
    const { core, progress } = this;
    return core.voters.map((voter) => progress.described(voter, core.nodeId, core.log.logEndOffset, nowMs));
  }

  // --- its end -----------------------------------------------------------------------------------

  /** Whoever waits for a commit learns that this node cannot promise it any more; the next leader may commit it all the same. */
  override end(): void {
    super.end();
    const { core } = this;
    core.feed.forgetAppended();
    if (core.failure === null) this.refuse(new NotLeader({ leaderId: -1, epoch: core.epoch }));
    this.changes.close();
  }

  refuse(error: unknown): void {
    const waiting = [...this.uncommitted, ...this.queue];
    this.uncommitted = [];
    this.queue = [];
    this.queuedCount = 0;
    for (const append of waiting) append.reject(error);
  }
}
