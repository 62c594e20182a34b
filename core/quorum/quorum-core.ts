// What the parts of a quorum's node share: its epoch and vote, its log with the voters in it, what is committed, and the part it plays now.
// A new epoch, a vote and a leader are on disk before anything is said of them. Decides nothing of its own: roles/ do.
import { assert, uuidZero } from "../base/index.ts";
import type { Offset } from "../model/index.ts";
import type { ApiKey, RequestInitOf, ResponseOf } from "../protocol/index.ts";
import { CommitFeed } from "./commit-feed.ts";
import { EpochAllowance } from "./epoch-allowance.ts";
import { LogFetcher } from "./log-fetcher.ts";
import { LogSyncer } from "./log-syncer.ts";
import type { LeaderAndEpoch, QuorumListener, SnapshotId, Voter, VoterEndpoint } from "./metadata-quorum.ts";
import { QuorumObservers } from "./observers.ts";
import type { LoadedQuorum } from "./quorum-loader.ts";
import {
  type QuorumAddress,
  type QuorumOptions,
  type QuorumSettings,
  quorumSettingsDefault,
} from "./quorum-options.ts";
import type { ReplicaKey } from "./replicated-log.ts";
import { Candidate } from "./roles/candidate.ts";
import { Follower } from "./roles/follower.ts";
import { Leader } from "./roles/leader.ts";
import { Prospective } from "./roles/prospective.ts";
import { Resigned } from "./roles/resigned.ts";
import type { LeaderPlace, QuorumRole } from "./roles/role.ts";
import { Unattached } from "./roles/unattached.ts";
import { SnapshotKeeper } from "./snapshot-keeper.ts";
import { writeQuorumState } from "./storage/quorum-state.ts";
import { isVoterKey, type VoterHistory } from "./voter-set.ts";

/** The first back-off after a lost election is at most twice this long. */
const electionBackoffMsBase = 50;
/** Doubling ends here: past it the bound of the settings decides. */
const electionDoublingsMax = 10;

export type NodeEndpoints = readonly { readonly nodeId: number; readonly host: string; readonly port: number }[];

export class QuorumCore {
  readonly options: QuorumOptions;
  readonly settings: QuorumSettings;
  readonly nodeId: number;
  readonly clusterId: string | null;
  readonly history: VoterHistory;
  readonly keeper: SnapshotKeeper;
  readonly feed: CommitFeed;
  readonly syncer: LogSyncer;
  readonly fetcher: LogFetcher;
  readonly observers = new QuorumObservers();
  readonly allowance: EpochAllowance;
  readonly listeners: QuorumListener[];
  epoch: number;
  role: QuorumRole;
  /** Lost elections in a row. */
  electionTries = 0;
  failure: unknown = null;
  isClosed = false;
  private votedFor: ReplicaKey | null;
  private told: LeaderAndEpoch;
  private readonly advanceListeners = new Set<() => void>();
  private readonly resignedTold = new Set<Promise<void>>();

  constructor(options: QuorumOptions, loaded: LoadedQuorum, history: VoterHistory) {
    this.options = options;
    this.settings = options.settings ?? quorumSettingsDefault;
    this.nodeId = options.nodeId;
    this.clusterId = options.clusterId ?? null;
    this.history = history;
    this.listeners = [...options.listeners];
    const { state } = loaded;
    const isStateCurrent = state !== null && state.leaderEpoch >= loaded.lastEpoch;
    this.epoch = isStateCurrent ? state.leaderEpoch : loaded.lastEpoch;
    this.votedFor =
      isStateCurrent && state.votedId >= 0
        ? { id: state.votedId, directoryId: state.votedDirectoryId ?? uuidZero }
        : null;
    this.told = { leaderId: -1, epoch: this.epoch };
    this.keeper = new SnapshotKeeper(options, loaded, (endOffset) => {
      const { kraftVersion, voters } = history.before(endOffset);
      return kraftVersion > 0 && voters !== null ? { kraftVersion, voters } : null;
    });
    this.feed = new CommitFeed(options.log, loaded.snapshotEnd.endOffset, (batches) => {
      for (const listener of this.listeners) listener.onCommit(batches);
      this.keeper.onCommit(batches);
    });
    this.syncer = new LogSyncer(options.log, (error) => this.fail(error));
    this.fetcher = new LogFetcher(this);
    this.allowance = new EpochAllowance(options.clock);
    this.role = new Unattached(this);
    options.log.setHighWatermark(loaded.snapshotEnd.endOffset as Offset);
  }

  get log() {
    return this.options.log;
  }
  get voters(): readonly Voter[] {
    return this.history.latest.voters ?? [];
  }
  get kraftVersion(): number {
    return this.history.latest.kraftVersion;
  }
  get ownKey(): ReplicaKey {
    return { id: this.nodeId, directoryId: this.options.directoryId };
  }
  get isVoter(): boolean {
    return this.options.isController !== false && this.voters.some((voter) => isVoterKey(voter, this.ownKey));
  }
  /**
   * Raft, dissertation 4.2.2: a voter whose removal is not known to be committed still stands for election. With two voters, the one that has
   * the record of its own removal may be the only one that the other can get it from. (Kafka waits for ever then.)
   */
  get mayStand(): boolean {
    if (this.options.isController === false) return false;
    return this.history
      .since(this.highWatermark)
      .some(({ voters }) => voters?.some((voter) => isVoterKey(voter, this.ownKey)) === true);
  }
  get isLeader(): boolean {
    return this.role.name === "leader";
  }
  get isRunning(): boolean {
    return !this.isClosed && this.failure === null;
  }
  get highWatermark(): number {
    return this.log.highWatermark;
  }
  /** The end of the log and the epoch of its last record, which may be a snapshot's. */
  get logEnd(): SnapshotId {
    const { latestLeaderEpoch, logEndOffset } = this.log;
    return {
      endOffset: logEndOffset,
      epoch: latestLeaderEpoch >= 0 ? latestLeaderEpoch : (this.keeper.latest?.epoch ?? 0),
    };
  }
  /** As answers name it. One that has resigned leads nobody. */
  get leader(): LeaderAndEpoch {
    return { leaderId: this.role.name === "resigned" ? -1 : this.role.leaderId, epoch: this.epoch };
  }
  get ownEndpoints(): readonly VoterEndpoint[] {
    return this.options.endpoints ?? this.voters.find(({ id }) => id === this.nodeId)?.endpoints ?? [];
  }

  // --- the part this node plays ------------------------------------------------------------------

  private become(role: QuorumRole): void {
    const { logger } = this.options;
    logger.debug(
      { epoch: this.epoch, from: this.role.name, to: role.name, leader: role.leaderId },
      "the quorum role changed",
    );
    this.role.end();
    this.role = role;
    if (!this.isRunning) return;
    role.begin();
    this.tellLeader();
    this.advance();
  }

  /** An epoch is never used twice: it and what is known of it reach the disk first. Throws DiskError. */
  private persist(epoch: number, leaderId: number, votedFor: ReplicaKey | null): void {
    assert(epoch >= this.epoch, `epoch ${epoch} comes after epoch ${this.epoch}`);
    const state = {
      ...{ leaderEpoch: epoch, leaderId, votedId: votedFor?.id ?? -1 },
      votedDirectoryId: votedFor === null || votedFor.directoryId === uuidZero ? null : votedFor.directoryId,
      voterIds: this.voters.map(({ id }) => id),
    };
    writeQuorumState(this.options.disk, this.log.path, state, this.kraftVersion);
    this.epoch = epoch;
    this.votedFor = votedFor;
  }

  toUnattached(epoch: number, leaderId = -1): void {
    if (epoch > this.epoch) this.persist(epoch, leaderId, null);
    this.become(new Unattached(this, leaderId));
  }

  toFollower(epoch: number, place: LeaderPlace): void {
    assert(place.id !== this.nodeId, "a node does not follow itself");
    const isKnown = epoch === this.epoch && this.role.leaderId === place.id;
    if (!isKnown) this.persist(epoch, place.id, epoch === this.epoch ? this.votedFor : null);
    this.become(new Follower(this, place));
  }

  toProspective(): void {
    this.become(new Prospective(this, this.role.leaderId, this.role.leaderPlace));
  }

  toCandidate(): void {
    this.electionTries++;
    this.persist(this.epoch + 1, -1, this.ownKey);
    this.become(new Candidate(this));
  }

  toLeader(grantedBy: readonly number[]): void {
    this.electionTries = 0;
    this.persist(this.epoch, this.nodeId, null);
    this.become(new Leader(this, grantedBy));
  }

  /** In the epoch that it led. `preferred`: who should lead next. */
  toResigned(preferred: readonly Voter[]): void {
    const resigned = new Resigned(this, preferred);
    this.become(resigned);
    this.resignedTold.add(resigned.told);
    void resigned.told.then(() => this.resignedTold.delete(resigned.told));
  }

  /** Of whoever it told that it resigns. */
  get resignation(): Promise<unknown> {
    return Promise.all(this.resignedTold);
  }

  // --- votes and epochs --------------------------------------------------------------------------

  /** Null where no vote has been given in this epoch. */
  hasVotedFor(candidate: ReplicaKey): boolean | null {
    const { votedFor } = this;
    if (votedFor === null) return null;
    const isDirectory = votedFor.directoryId === uuidZero || votedFor.directoryId === candidate.directoryId;
    return votedFor.id === candidate.id && isDirectory;
  }

  /** The vote is on disk when it returns. Throws DiskError. */
  voteFor(candidate: ReplicaKey): void {
    if (this.hasVotedFor(candidate) === null) this.persist(this.epoch, -1, candidate);
    if (this.role instanceof Unattached) this.role.onVoted();
  }

  /**
   * What another node says of the epoch and its leader. A newer epoch is taken over, a leader that was not known is followed. Two leaders
   * of one epoch cannot be: whoever claims to be the second is not believed.
   */
  observe(epoch: number, leaderId: number, endpoints: NodeEndpoints): void {
    if (!this.isRunning || epoch < this.epoch) return;
    const place = leaderId < 0 ? null : this.placeOf(leaderId, endpoints);
    const { role } = this;
    if (epoch > this.epoch) {
      if (place !== null && leaderId !== this.nodeId) this.toFollower(epoch, place);
      else this.toUnattached(epoch, leaderId === this.nodeId ? -1 : leaderId);
      return;
    }
    if (leaderId < 0 || leaderId === this.nodeId) return;
    if (role.leaderId >= 0 && role.leaderId !== leaderId) {
      this.options.logger.error(
        { epoch, known: role.leaderId, claimed: leaderId },
        "two leaders are named for one epoch",
      );
      return;
    }
    // Who asks for votes goes on asking: the address may be as old as the one that it knows.
    if (place !== null && role instanceof Prospective) role.onLeaderPlace(place);
    else if (place !== null && role instanceof Follower) role.onLeaderPlace(place);
    else if (place !== null && role.leaderPlace === null) this.toFollower(epoch, place);
    else if (role.leaderId < 0) this.toUnattached(epoch, leaderId);
  }

  private placeOf(leaderId: number, endpoints: NodeEndpoints): LeaderPlace | null {
    const told = endpoints.find(({ nodeId }) => nodeId === leaderId);
    if (told !== undefined) {
      const name = this.options.listenerName ?? this.options.endpoints?.[0]?.name ?? "CONTROLLER";
      return { id: leaderId, endpoints: [{ name, host: told.host, port: told.port }] };
    }
    const voter = this.voters.find(({ id }) => id === leaderId);
    return voter === undefined || voter.endpoints.length === 0 ? null : { id: leaderId, endpoints: voter.endpoints };
  }

  electionTimeoutMs(): number {
    const { electionTimeoutMs } = this.settings;
    return electionTimeoutMs + this.randomBelow(electionTimeoutMs);
  }

  /** Binary exponential, random. */
  electionBackoffMs(): number {
    const doublings = Math.min(this.electionTries, electionDoublingsMax);
    const bound = Math.min(electionBackoffMsBase * 2 ** doublings, this.settings.electionBackoffMsMax);
    return 1 + this.randomBelow(bound);
  }

  /** After a resignation: the candidates wait one after another, each twice as long as the one before it. */
  rankedBackoffMs(rank: number, count: number): number {
    const { electionBackoffMsMax } = this.settings;
    const first = electionBackoffMsMax / 2 ** Math.min(count - 1, electionDoublingsMax);
    return Math.min(first * 2 ** Math.min(rank, electionDoublingsMax), electionBackoffMsMax);
  }

  randomBelow(bound: number): number {
    return bound <= 0 ? 0 : Math.floor((this.options.random.uint32() / 0x1_0000_0000) * bound);
  }

  // --- the others --------------------------------------------------------------------------------

  addressOf(node: LeaderPlace): QuorumAddress | null {
    const { listenerName } = this.options;
    const endpoint = node.endpoints.find(({ name }) => name === listenerName) ?? node.endpoints[0];
    return endpoint === undefined ? null : { id: node.id, host: endpoint.host, port: endpoint.port };
  }

  /** One of the two callbacks is called, unless this node ends first; what they throw ends it. */
  ask<Key extends ApiKey>(
    to: QuorumAddress | LeaderPlace,
    key: Key,
    request: RequestInitOf<Key>,
    onAnswer: (response: ResponseOf<Key>) => void,
    onError: (error: unknown) => void,
  ): void {
    const { send } = this.options;
    const address = "endpoints" in to ? this.addressOf(to) : to;
    if (!send || address === null) {
      // Never in the caller's turn: it has not finished yet.
      void Promise.resolve().then(() => this.run(() => onError(new Error(`node ${to.id} has no address`))));
      return;
    }
    send(address, key, request, this.settings.requestTimeoutMs).then(
      (response) => this.run(() => onAnswer(response)),
      (error: unknown) => this.run(() => onError(error)),
    );
  }

  // --- what is committed -------------------------------------------------------------------------

  /** Never goes back; listeners have seen all of it when this returns. */
  onHighWatermark(offset: number): void {
    if (offset <= this.highWatermark) return;
    this.log.setHighWatermark(offset as Offset);
    this.feed.advance(offset);
    this.history.onHighWatermark(offset);
    this.advance();
  }

  /** Cuts off what the leader does not have. Nothing of the log may be on its way to the device. Throws DiskError. */
  truncateTo(offset: number): void {
    assert(
      offset >= this.highWatermark,
      `records before ${this.highWatermark} are committed and cannot be cut at ${offset}`,
    );
    this.log.truncateTo(offset as Offset);
    this.syncer.onTruncated(offset);
    this.history.truncateTo(offset);
    this.feed.forgetAppended();
  }

  addListener(listener: QuorumListener): void {
    this.listeners.push(listener);
    listener.onLeaderChange(this.told);
  }

  /** A leader is told to its own listeners once its epoch's first record is committed: what it then decides stands on all that was before. */
  tellLeader(): void {
    const { role } = this;
    const isReady = !(role instanceof Leader) || role.isEstablished;
    const next: LeaderAndEpoch = { epoch: this.epoch, leaderId: isReady ? this.leader.leaderId : -1 };
    if (next.epoch === this.told.epoch && next.leaderId === this.told.leaderId) return;
    this.told = next;
    for (const listener of this.listeners) listener.onLeaderChange(next);
  }

  whenAdvanced(listener: () => void): () => void {
    this.advanceListeners.add(listener);
    return () => void this.advanceListeners.delete(listener);
  }

  /** The log's end, its high watermark or the leader has moved. */
  advance(): void {
    for (const listener of [...this.advanceListeners]) listener();
  }

  // --- failure -----------------------------------------------------------------------------------

  /** Work that nobody waits for: what it throws ends the node. */
  run(work: () => void): void {
    if (!this.isRunning) return;
    try {
      work();
    } catch (error) {
      this.fail(error);
    }
  }

  fail(error: unknown): void {
    if (this.failure !== null || this.isClosed) return;
    this.failure = error;
    const { role } = this;
    role.end();
    if (role instanceof Leader) role.refuse(error);
    this.options.onFailure(error);
  }
}
