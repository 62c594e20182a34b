// A quorum with one voter: this node. It votes for itself, leads, and commits what it has synced. Everything else is as with many voters,
// so that the controller above does not know the difference: epochs, votes on disk before they count, records visible only once durable.
//
//   append → queue → (turn's end) one batch, one write → one sync → high watermark → listeners → the appenders' promises
//
// While a sync is under way further turns write; the next sync covers all of them. A failed write or sync ends the node's leadership for
// good: `onFailure` is called once and nothing is acknowledged any more.
import {
  assert,
  type Clock,
  type Disk,
  type DiskFile,
  type Logger,
  type TimerHandle,
  type Timers,
  type Uuid,
} from "../base/index.ts";
import type { ReadOutcome } from "../log/index.ts";
import { type Offset, RecordBatchBuilder, recordBytesMax } from "../model/index.ts";
import type { ControlRecordInit } from "../protocol/index.ts";
import {
  type AppendedRecords,
  type CommittedBatch,
  type LeaderAndEpoch,
  type MetadataQuorum,
  NotLeader,
  type PreparedRecord,
  type QuorumDescription,
  type QuorumListener,
  type SnapshotId,
  type SnapshotSource,
  type Voter,
  type VoterEndpoint,
} from "./metadata-quorum.ts";
import { QuorumObservers } from "./observers.ts";
import { type LoadedQuorum, loadQuorum } from "./quorum-loader.ts";
import type { QuorumLog } from "./quorum-log.ts";
import { checkPosition, type PositionOutcome, type ReplicaKey, type ReplicatedLog } from "./replicated-log.ts";
import { snapshotFileName } from "./snapshot-id.ts";
import { SnapshotKeeper, type SnapshotLimits } from "./snapshot-keeper.ts";
import { appendControlRecords, voterControlRecords } from "./snapshot-writer.ts";
import { writeQuorumState } from "./storage/quorum-state.ts";
import { type StorageRefusal, storageRefusal } from "./storage/storage-directories.ts";

/** The largest batch of the metadata log; Kafka's own bound. */
export const quorumBatchBytesMax = 8 * 1024 * 1024;

export interface QuorumOfOneOptions {
  readonly nodeId: number;
  /** Of the directory that holds the metadata log. */
  readonly directoryId: Uuid;
  /** controller.quorum.voters; null where it is not set, as in dynamic quorums. */
  readonly staticVoters: readonly Voter[] | null;
  /** Where this node is reached now; the voters of a dynamic quorum follow it. Null leaves them as they are. */
  readonly endpoints?: readonly VoterEndpoint[] | null;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly log: QuorumLog;
  readonly limits: SnapshotLimits;
  readonly listeners: readonly QuorumListener[];
  /** The committed state, for a snapshot. */
  readonly snapshotSource: SnapshotSource;
  /** The log or its disk failed: this node cannot be part of the quorum any more. */
  readonly onFailure: (error: unknown) => void;
}

interface QueuedAppend {
  readonly records: readonly PreparedRecord[];
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface WrittenBatch {
  readonly batch: CommittedBatch;
  /** The appends that are whole with this batch. */
  readonly appends: QueuedAppend[];
}

export type QuorumStart = { readonly kind: "started"; readonly quorum: QuorumOfOne } | StorageRefusal;

export class QuorumOfOne implements MetadataQuorum, ReplicatedLog {
  readonly nodeId: number;
  readonly kraftVersion: number;
  readonly voters: readonly Voter[];
  private readonly options: QuorumOfOneOptions;
  private readonly listeners: QuorumListener[];
  private readonly keeper: SnapshotKeeper;
  private leader: LeaderAndEpoch;
  private queue: QueuedAppend[] = [];
  private queuedCount = 0;
  private turnEndIsSet = false;
  private written: WrittenBatch[] = [];
  private syncing: Promise<void> | null = null;
  private cleaning: TimerHandle | null = null;
  private failure: unknown = null;
  private closed = false;
  private readonly observers = new QuorumObservers();
  private readonly advanceListeners = new Set<() => void>();

  private constructor(options: QuorumOfOneOptions, loaded: LoadedQuorum, voters: readonly Voter[]) {
    this.options = options;
    this.nodeId = options.nodeId;
    this.kraftVersion = loaded.kraftVersion;
    this.voters = voters;
    this.listeners = [...options.listeners];
    this.leader = { leaderId: -1, epoch: loaded.lastEpoch };
    const quorum = loaded.kraftVersion > 0 ? { kraftVersion: loaded.kraftVersion, voters } : null;
    this.keeper = new SnapshotKeeper(options, loaded, quorum);
  }

  /** Replays all there is into the listeners, then elects itself. */
  static start(options: QuorumOfOneOptions): QuorumStart {
    const loaded = loadQuorum(options.disk, options.log, options.listeners);
    if (loaded.kind === "refused") return loaded;
    const known = votersOf(options, loaded);
    if ("kind" in known) return known;
    const moved = loaded.kraftVersion > 0 && isMoved(known[0]!.endpoints, options.endpoints ?? null);
    const voters = moved ? [{ ...known[0]!, endpoints: options.endpoints! }] : known;
    const quorum = new QuorumOfOne(options, loaded, voters);
    quorum.elect(loaded, moved);
    quorum.scheduleCleaning();
    return { kind: "started", quorum };
  }

  get leaderAndEpoch(): LeaderAndEpoch {
    return this.leader;
  }

  get nextOffset(): number {
    return this.options.log.logEndOffset + this.queuedCount;
  }

  get highWatermark(): number {
    return this.options.log.highWatermark;
  }

  addListener(listener: QuorumListener): void {
    this.listeners.push(listener);
    listener.onLeaderChange(this.leader);
  }

  /**
   * 1. The vote for itself goes to disk before anything of the new epoch does: after a crash the epoch is never used twice.
   * 2. The leader's control records begin the epoch in the log; what is before them is committed with them.
   */
  private elect(loaded: LoadedQuorum, hasMoved: boolean): void {
    const { clock, disk, log, nodeId } = this.options;
    const { kraftVersion, voters } = this;
    const epoch = Math.max(loaded.state?.leaderEpoch ?? 0, loaded.lastEpoch) + 1;
    const voterIds = voters.map((voter) => voter.id);
    const base = { leaderEpoch: epoch, voterIds };
    const votedDirectoryId = kraftVersion > 0 ? this.options.directoryId : null;
    writeQuorumState(disk, log.path, { ...base, leaderId: -1, votedId: nodeId, votedDirectoryId }, kraftVersion);
    writeQuorumState(disk, log.path, { ...base, leaderId: nodeId, votedId: -1, votedDirectoryId: null }, kraftVersion);
    const controls: ControlRecordInit[] = [
      {
        type: "LeaderChange",
        value: {
          version: 0,
          leaderId: nodeId,
          voters: voterIds.map((voterId) => ({ voterId })),
          grantingVoters: [{ voterId: nodeId }],
        },
      },
    ];
    if (kraftVersion > 0) {
      const [version, voterSet] = voterControlRecords(kraftVersion, voters);
      if (!loaded.votersAreInLog) controls.push(version!);
      if (!loaded.votersAreInLog || hasMoved) controls.push(voterSet!);
    }
    const builder = new RecordBatchBuilder();
    const nowMs = clock.wallMs();
    appendControlRecords(builder, controls, nowMs);
    log.assignLeaderEpoch(epoch, log.logEndOffset);
    this.appendToLog(builder.build({ control: true, leaderEpoch: epoch }), epoch, nowMs);
    log.writePending();
    log.flush();
    log.setHighWatermark(log.logEndOffset);
    this.leader = { leaderId: nodeId, epoch };
    for (const listener of this.listeners) listener.onLeaderChange(this.leader);
  }

  append(records: readonly PreparedRecord[]): AppendedRecords {
    assert(records.length > 0, "an append to the metadata log has records");
    if (this.failure !== null || this.closed) {
      return { firstOffset: -1, lastOffset: -1, committed: Promise.reject(this.failure ?? new NotLeader(this.leader)) };
    }
    const firstOffset = this.nextOffset;
    this.queuedCount += records.length;
    const committed = new Promise<void>((resolve, reject) => this.queue.push({ records, resolve, reject }));
    if (!this.turnEndIsSet) {
      this.turnEndIsSet = true;
      this.options.timers.atTurnEnd(() => this.onTurnEnd());
    }
    return { firstOffset, lastOffset: firstOffset + records.length - 1, committed };
  }

  private onTurnEnd(): void {
    this.turnEndIsSet = false;
    if (this.queue.length === 0 || this.failure !== null) return;
    try {
      this.writeQueue();
    } catch (error) {
      this.fail(error);
      return;
    }
    if (this.syncing === null) this.syncing = this.syncLoop();
  }

  /** One batch for all that is queued, more only where it would be too large. */
  private writeQueue(): void {
    const { clock, log } = this.options;
    const { queue } = this;
    this.queue = [];
    this.queuedCount = 0;
    const nowMs = clock.wallMs();
    const builder = new RecordBatchBuilder();
    let records: CommittedBatch["records"][number][] = [];
    let appends: QueuedAppend[] = [];
    const end = (): void => {
      if (builder.recordCount === 0) return;
      const { epoch } = this.leader;
      const bytes = builder.build({ leaderEpoch: epoch });
      const sizeBytes = bytes.length;
      const { firstOffset, lastOffset } = this.appendToLog(bytes, epoch, nowMs);
      const batch = { baseOffset: firstOffset, lastOffset, epoch, timestampMs: nowMs, sizeBytes, records };
      this.written.push({ batch, appends });
      records = [];
      appends = [];
    };
    for (const queued of queue) {
      for (const { bytes, record } of queued.records) {
        if (builder.sizeBytes + recordBytesMax(null, bytes) > quorumBatchBytesMax) end();
        builder.append(nowMs, null, bytes);
        records.push(record);
      }
      // It is whole with the batch that has its last record.
      appends.push(queued);
    }
    end();
    log.writePending();
    this.advance();
  }

  private appendToLog(bytes: Buffer, epoch: number, nowMs: number): { firstOffset: number; lastOffset: number } {
    const outcome = this.options.log.append(bytes, { origin: "quorum", leaderEpoch: epoch, nowMs });
    assert(
      outcome.kind === "appended",
      `the metadata log refused a batch of its own leader: ${JSON.stringify(outcome)}`,
    );
    return outcome;
  }

  /** Runs while there is something written and not synced. */
  private async syncLoop(): Promise<void> {
    const { log } = this.options;
    try {
      while (this.written.length > 0) {
        const count = this.written.length;
        await log.flushLater();
        if (this.failure !== null) return;
        // They stay in the list until they are synced: a failure refuses all that is in it.
        const batches = this.written.splice(0, count);
        log.setHighWatermark((batches.at(-1)!.batch.lastOffset + 1) as Offset);
        this.commit(batches);
      }
    } catch (error) {
      this.fail(error);
    } finally {
      this.syncing = null;
    }
  }

  private commit(batches: readonly WrittenBatch[]): void {
    const committed = batches.map(({ batch }) => batch);
    for (const listener of this.listeners) listener.onCommit(committed);
    this.keeper.onCommit(committed);
    for (const { appends } of batches) for (const append of appends) append.resolve();
    this.advance();
  }

  private fail(error: unknown): void {
    if (this.failure !== null) return;
    this.failure = error;
    const waiting = [...this.written.flatMap(({ appends }) => appends), ...this.queue];
    this.written = [];
    this.queue = [];
    for (const append of waiting) append.reject(error);
    this.options.onFailure(error);
  }

  private scheduleCleaning(): void {
    this.cleaning = this.options.timers.after(this.options.limits.cleaningIntervalMs, () => {
      this.keeper.clean();
      this.scheduleCleaning();
    });
  }

  describe(nowMs: number): QuorumDescription {
    const { log, nodeId } = this.options;
    const voters = this.voters.map((voter) => ({
      id: voter.id,
      directoryId: voter.directoryId,
      logEndOffset: voter.id === nodeId ? log.logEndOffset : -1,
      lastFetchMs: voter.id === nodeId ? nowMs : -1,
      lastCaughtUpMs: voter.id === nodeId ? nowMs : -1,
    }));
    const observers = this.observers.described(nowMs);
    return { leader: this.leader, highWatermark: log.highWatermark, voters, observers, nodes: this.voters };
  }

  // --- what other nodes read ---------------------------------------------------------------------

  /** Of this replica; null with kraft.version 0, where replicas are known by id alone. */
  get directoryId(): Uuid | null {
    return this.kraftVersion > 0 ? this.options.directoryId : null;
  }

  get logStartOffset(): number {
    return this.options.log.logStartOffset;
  }

  get logEnd(): SnapshotId {
    const { latestLeaderEpoch, logEndOffset } = this.options.log;
    return { endOffset: logEndOffset, epoch: latestLeaderEpoch };
  }

  checkPosition(fetchOffset: number, lastFetchedEpoch: number): PositionOutcome {
    const { log } = this.options;
    const { earliest, latest } = this.keeper;
    return checkPosition(log, { earliest, latest }, fetchOffset, lastFetchedEpoch);
  }

  read(from: number, bytesMax: number): ReadOutcome {
    const { log } = this.options;
    return log.read(from as Offset, { bytesMax, upTo: log.logEndOffset, minOneBatch: true });
  }

  openSnapshot(id: SnapshotId): DiskFile | null {
    const { disk, log } = this.options;
    const path = `${log.path}/${snapshotFileName(id)}`;
    return disk.status(path) === null ? null : disk.open(path, "read");
  }

  /** A replica asked for what begins at `fetchOffset`: it has everything before. */
  onReplicaFetch(replica: ReplicaKey, fetchOffset: number, nowMs: number): void {
    if (replica.id < 0 || this.voters.some((voter) => voter.id === replica.id)) return;
    this.observers.onFetch(replica, fetchOffset, this.options.log.logEndOffset, nowMs);
  }

  /** Called when the log's end or its high watermark has moved. Returns the way to stop it. */
  whenAdvanced(listener: () => void): () => void {
    this.advanceListeners.add(listener);
    return () => void this.advanceListeners.delete(listener);
  }

  private advance(): void {
    for (const listener of [...this.advanceListeners]) listener();
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.cleaning?.cancel();
    this.onTurnEnd();
    this.closed = true;
    await this.syncing;
    await this.keeper.close();
    this.options.log.close();
  }
}

function isMoved(known: readonly VoterEndpoint[], now: readonly VoterEndpoint[] | null): boolean {
  const text = (endpoints: readonly VoterEndpoint[]): string =>
    endpoints.map(({ host, name, port }) => `${name}://${host}:${port}`).join();
  return now !== null && text(known) !== text(now);
}

/** The one voter, or why this node cannot be a quorum by itself. */
function votersOf(options: QuorumOfOneOptions, loaded: LoadedQuorum): readonly Voter[] | StorageRefusal {
  const { directoryId, log, nodeId, staticVoters } = options;
  const voters = loaded.kraftVersion > 0 ? loaded.voters : staticVoters;
  if (voters === null || voters.length === 0) {
    return storageRefusal(
      "unsupported-quorum",
      `${log.path} names no voters and controller.quorum.voters is not set. Set controller.quorum.voters=${nodeId}@HOST:PORT, or format the directory as a standalone quorum.`,
    );
  }
  const others = voters.filter((voter) => voter.id !== nodeId);
  if (others.length > 0 || voters.length > 1) {
    const ids = voters.map((voter) => voter.id).join(", ");
    return storageRefusal(
      "unsupported-quorum",
      `The metadata quorum has the voters ${ids}; this node (${nodeId}) can only be a quorum by itself. Use a directory whose only voter is ${nodeId}.`,
    );
  }
  const [voter] = voters;
  if (loaded.kraftVersion > 0 && voter!.directoryId !== directoryId) {
    return storageRefusal(
      "unsupported-quorum",
      `The quorum's voter ${nodeId} has directory.id=${voter!.directoryId}, but the metadata log directory has ${directoryId}. Restore its meta.properties, or use the directory that was voted for.`,
    );
  }
  return voters;
}
