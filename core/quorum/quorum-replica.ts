// A node of the metadata quorum, whatever its part: a voter (unattached, prospective, candidate, follower, leader, resigned) or an observer,
// which replicates and never votes. With one voter, itself, it leads as soon as it has started.
//
// What other nodes ask is answered here, whole; a transport only carries it. An append is acknowledged when a majority has synced it.
import { assert, type DiskFile, type TimerHandle, type Uuid } from "../base/index.ts";
import type { ReadOutcome } from "../log/index.ts";
import type { Offset } from "../model/index.ts";
import type {
  AddRaftVoterRequest,
  AddRaftVoterResponseInit,
  BeginQuorumEpochRequest,
  BeginQuorumEpochResponseInit,
  EndQuorumEpochRequest,
  EndQuorumEpochResponseInit,
  FetchRequest,
  FetchResponseInit,
  FetchSnapshotRequest,
  FetchSnapshotResponseInit,
  RemoveRaftVoterRequest,
  RemoveRaftVoterResponseInit,
  UpdateRaftVoterRequest,
  UpdateRaftVoterResponseInit,
  VoteRequest,
  VoteResponseInit,
} from "../protocol/index.ts";
import { onFetch } from "./answers/fetch-answer.ts";
import { onFetchSnapshot } from "./answers/fetch-snapshot-answer.ts";
import { onBeginQuorumEpoch, onEndQuorumEpoch, onUpdateVoter, onVote } from "./answers/peer-answers.ts";
import type { PeerContext } from "./answers/peer-context.ts";
import { onAddVoter, onRemoveVoter, upgradeKraftVersion } from "./answers/voter-answers.ts";
import {
  type AppendedRecords,
  type LeaderAndEpoch,
  type MetadataQuorum,
  NotLeader,
  type PreparedRecord,
  type QuorumDescription,
  type QuorumListener,
  type SnapshotId,
  type Voter,
} from "./metadata-quorum.ts";
import { QuorumCore } from "./quorum-core.ts";
import { loadQuorum, loadRefusal } from "./quorum-loader.ts";
import type { QuorumAddress, QuorumOptions } from "./quorum-options.ts";
import { checkPosition, type PositionOutcome, type ReplicaKey, type ReplicatedLog } from "./replicated-log.ts";
import { Leader } from "./roles/leader.ts";
import type { RoleName } from "./roles/role.ts";
import { snapshotFileName } from "./snapshot-id.ts";
import type { QuorumState } from "./storage/quorum-state.ts";
import { type StorageRefusal, storageRefusal } from "./storage/storage-directories.ts";
import type { VoterChangeAnswer } from "./voter-changes.ts";
import { VoterHistory } from "./voter-set.ts";

/** A leader that is closed tells the others; it waits no longer than this for them to hear it. */
export const resignationWaitMsMax = 1_000;

export type QuorumStart = { readonly kind: "started"; readonly quorum: QuorumReplica } | StorageRefusal;

export class QuorumReplica implements MetadataQuorum, ReplicatedLog {
  readonly nodeId: number;
  private readonly core: QuorumCore;
  private cleaning: TimerHandle | null = null;

  private constructor(core: QuorumCore) {
    this.core = core;
    this.nodeId = core.nodeId;
  }

  /** Hands the newest snapshot to the listeners, and the log behind it once it is known to be committed: with one voter at once. */
  static start(options: QuorumOptions): QuorumStart {
    const history = new VoterHistory(options.staticVoters);
    const loaded = loadQuorum(options.disk, options.log, options.listeners, history);
    if (loaded.kind === "refused") return loaded;
    const refusal = voterRefusal(options, history);
    if (refusal !== null) return refusal;
    const core = new QuorumCore(options, loaded, history);
    const quorum = new QuorumReplica(core);
    try {
      quorum.begin(loaded.state);
    } catch (error) {
      core.isClosed = true;
      core.role.end();
      const damaged = loadRefusal(options.log, error);
      if (damaged === null) throw error;
      return damaged;
    }
    quorum.scheduleCleaning();
    return { kind: "started", quorum };
  }

  private begin(state: QuorumState | null): void {
    const { core } = this;
    if (core.isVoter && core.voters.length === 1) {
      // What the only voter has is committed.
      core.onHighWatermark(core.log.logEndOffset);
      core.toCandidate();
      return;
    }
    // What it has, it will tell others: that must outlive a crash.
    if (core.options.isController !== false) core.syncer.syncNow();
    const leaderId = state !== null && state.leaderEpoch === core.epoch ? state.leaderId : -1;
    const leader = core.voters.find(({ id }) => id === leaderId);
    // It cannot follow itself, and its log may have lost what it led with: nobody gets its vote in this epoch.
    if (leaderId === core.nodeId) core.toResigned([]);
    else if (leader !== undefined && leader.endpoints.length > 0) core.toFollower(core.epoch, leader);
    else core.toUnattached(core.epoch, leaderId);
  }

  private scheduleCleaning(): void {
    const { limits, timers } = this.core.options;
    this.cleaning = timers.after(limits.cleaningIntervalMs, () => {
      this.core.keeper.clean();
      this.scheduleCleaning();
    });
  }

  get leaderAndEpoch(): LeaderAndEpoch {
    return this.core.leader;
  }

  /** Where the present leader is reached by other nodes; null where there is none, or its address is not known. */
  get leaderAddress(): QuorumAddress | null {
    const { core } = this;
    const place = core.role.leaderPlace;
    return core.leader.leaderId < 0 || place === null ? null : core.addressOf(place);
  }

  /** The listeners have seen all before it. */
  get appliedOffset(): number {
    return this.core.feed.nextOffset;
  }

  get roleName(): RoleName {
    return this.core.role.name;
  }

  get isVoter(): boolean {
    return this.core.isVoter;
  }

  get kraftVersion(): number {
    return this.core.kraftVersion;
  }

  get voters(): readonly Voter[] {
    return this.core.voters;
  }

  get nextOffset(): number {
    const { log, role } = this.core;
    return role instanceof Leader ? role.nextOffset : log.logEndOffset;
  }

  get highWatermark(): number {
    return this.core.highWatermark;
  }

  addListener(listener: QuorumListener): void {
    this.core.addListener(listener);
  }

  append(records: readonly PreparedRecord[]): AppendedRecords {
    assert(records.length > 0, "an append to the metadata log has records");
    const { core } = this;
    if (core.isRunning && core.role instanceof Leader) return core.role.append(records);
    const error = core.failure ?? new NotLeader(core.leader);
    return { firstOffset: -1, lastOffset: -1, committed: Promise.reject(error) };
  }

  describe(nowMs: number): QuorumDescription {
    const { core } = this;
    const { role } = core;
    const silent = { logEndOffset: -1, lastFetchMs: -1, lastCaughtUpMs: -1 };
    const voters =
      role instanceof Leader
        ? role.described(nowMs)
        : core.voters.map(({ directoryId, id }) => ({ id, directoryId, ...silent }));
    const observers = role instanceof Leader ? core.observers.described(nowMs) : [];
    return { leader: core.leader, highWatermark: core.highWatermark, voters, observers, nodes: core.voters };
  }

  // --- what other nodes ask ----------------------------------------------------------------------

  onVote(request: VoteRequest, context: PeerContext): VoteResponseInit {
    return this.answered(() => onVote(this.core, request, context));
  }

  onBeginQuorumEpoch(request: BeginQuorumEpochRequest, context: PeerContext): BeginQuorumEpochResponseInit {
    return this.answered(() => onBeginQuorumEpoch(this.core, request, context));
  }

  onEndQuorumEpoch(request: EndQuorumEpochRequest, context: PeerContext): EndQuorumEpochResponseInit {
    return this.answered(() => onEndQuorumEpoch(this.core, request, context));
  }

  /** Null: the peer has gone. */
  onFetch(request: FetchRequest, context: PeerContext): Promise<FetchResponseInit | null> {
    return onFetch(this.core, request, context);
  }

  onFetchSnapshot(request: FetchSnapshotRequest, context: PeerContext): Promise<FetchSnapshotResponseInit> {
    return onFetchSnapshot(this.core, request, context);
  }

  onUpdateVoter(request: UpdateRaftVoterRequest, context: PeerContext): Promise<UpdateRaftVoterResponseInit> {
    return onUpdateVoter(this.core, request, context);
  }

  onAddVoter(request: AddRaftVoterRequest): Promise<AddRaftVoterResponseInit> {
    return onAddVoter(this.core, request);
  }

  onRemoveVoter(request: RemoveRaftVoterRequest): Promise<RemoveRaftVoterResponseInit> {
    return onRemoveVoter(this.core, request);
  }

  /** kraft.version 0 → 1. Without an error the change is committed, or would be. */
  upgradeKraftVersion(version: number, isValidateOnly: boolean): Promise<VoterChangeAnswer> {
    return upgradeKraftVersion(this.core, version, isValidateOnly);
  }

  /** A disk that refuses an epoch or a vote ends this node, and the request. */
  private answered<Answer>(work: () => Answer): Answer {
    try {
      return work();
    } catch (error) {
      this.core.fail(error);
      throw error;
    }
  }

  // --- what other nodes read ---------------------------------------------------------------------

  /** Of this replica; null with kraft.version 0, where replicas are known by id alone. */
  get directoryId(): Uuid | null {
    return this.core.kraftVersion > 0 ? this.core.options.directoryId : null;
  }

  get logStartOffset(): number {
    return this.core.log.logStartOffset;
  }

  get logEnd(): SnapshotId {
    return this.core.logEnd;
  }

  checkPosition(fetchOffset: number, lastFetchedEpoch: number): PositionOutcome {
    const { keeper, log } = this.core;
    return checkPosition(log, { earliest: keeper.earliest, latest: keeper.latest }, fetchOffset, lastFetchedEpoch);
  }

  read(from: number, bytesMax: number): ReadOutcome {
    const { log } = this.core;
    return log.read(from as Offset, { bytesMax, upTo: log.logEndOffset, minOneBatch: true });
  }

  openSnapshot(id: SnapshotId): DiskFile | null {
    const { disk } = this.core.options;
    const path = `${this.core.log.path}/${snapshotFileName(id)}`;
    return disk.status(path) === null ? null : disk.open(path, "read");
  }

  onReplicaFetch(replica: ReplicaKey, fetchOffset: number, nowMs: number): void {
    const { core } = this;
    core.run(() => {
      if (core.role instanceof Leader) core.role.onFetch(replica, fetchOffset, nowMs);
    });
  }

  whenAdvanced(listener: () => void): () => void {
    return this.core.whenAdvanced(listener);
  }

  /** Writes what is queued; a leader says that it resigns, and to whom. */
  async close(): Promise<void> {
    const { core } = this;
    if (core.isClosed) return;
    this.cleaning?.cancel();
    core.run(() => {
      if (core.role instanceof Leader) core.role.flushQueue();
    });
    await core.syncer.idle();
    await this.resign();
    core.isClosed = true;
    core.role.end();
    core.fetcher.stop();
    core.advance();
    await core.syncer.idle();
    await core.keeper.close();
    core.log.close();
  }

  private async resign(): Promise<void> {
    const { core } = this;
    const { role } = core;
    if (!core.isRunning || !(role instanceof Leader) || !core.voters.some(({ id }) => id !== core.nodeId)) return;
    core.run(() => core.toResigned(role.successors()));
    await Promise.race([
      core.resignation,
      new Promise<void>((resolve) => core.options.timers.after(resignationWaitMsMax, resolve)),
    ]);
  }
}

/** Why this node cannot be part of the quorum that its log or its configuration names. */
function voterRefusal(options: QuorumOptions, history: VoterHistory): StorageRefusal | null {
  const { directoryId, log, nodeId } = options;
  const { kraftVersion } = history.latest;
  const voters = history.latest.voters ?? [];
  const canAsk = options.send !== undefined && options.send !== null;
  if (voters.length === 0) {
    if (canAsk && (options.bootstrapServers ?? []).length > 0) return null;
    return storageRefusal(
      "unsupported-quorum",
      `${log.path} names no voters and controller.quorum.voters is not set. Set controller.quorum.voters=${nodeId}@HOST:PORT, or controller.quorum.bootstrap.servers, or format the directory as a standalone quorum.`,
    );
  }
  if (!canAsk && (voters.length > 1 || voters[0]!.id !== nodeId)) {
    const ids = voters.map(({ id }) => id).join(", ");
    return storageRefusal(
      "unsupported-quorum",
      `The metadata quorum has the voters ${ids}; this node (${nodeId}) can only be a quorum by itself. Use a directory whose only voter is ${nodeId}.`,
    );
  }
  const [voter] = voters;
  if (voters.length === 1 && voter!.id === nodeId && kraftVersion > 0 && voter!.directoryId !== directoryId) {
    return storageRefusal(
      "unsupported-quorum",
      `The quorum's voter ${nodeId} has directory.id=${voter!.directoryId}, but the metadata log directory has ${directoryId}. Restore its meta.properties, or use the directory that was voted for.`,
    );
  }
  return null;
}
