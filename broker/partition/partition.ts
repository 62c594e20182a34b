// One partition as this broker has it: its log, who leads it in which epoch, who follows it, and who waits for it. Appends queue in the log; the
// write turn writes them, moves the high watermark and wakes who waits. A follower takes its batches, its high watermark and its log start from
// the leader, and serves consumers up to there. Owns no bytes: a batch belongs to its log until it is written.
import { assert, type Uuid } from "@blumfeld/core/base";
import type { PartitionImage } from "@blumfeld/core/controller";
import type { AppendOptions, AppendOutcome, PartitionLog } from "@blumfeld/core/log";
import type { Offset } from "@blumfeld/core/model";
import { ErrorCode } from "@blumfeld/core/protocol";
import { type IsrAnswer, type IsrAnswerVerdict, type IsrWish, LeaderReplicas } from "@blumfeld/core/replication";
import type { PartitionReplication } from "./partition-replication.ts";
import type { WaitingAppend, WaitingDeletion, WaitingFetch } from "./waiting.ts";
import type { WritePace } from "./write-pace.ts";

/** What a partition needs of its manager. */
export interface PartitionHost {
  readonly nodeId: number;
  readonly replication: PartitionReplication;
  markDirty(partition: Partition): void;
  /** The pace of the directory that holds the log. */
  paceOf(directory: string): WritePace;
  /** Never goes back. */
  nowMs(): number;
}

/** How the high watermark moves where there are followers. */
export interface FollowerTracker {
  /** The highest offset that all in-sync replicas hold, given that the leader has written up to `leaderEndOffset`. */
  committedOffset(leaderEndOffset: number, nowMs: number): number;
}

/** One fetch of a follower, as its partition's leader takes note of it. */
export interface FollowerProgress {
  readonly brokerId: number;
  /** -1 where the follower does not say. */
  readonly brokerEpoch: number;
  readonly fetchOffset: number;
  readonly logStartOffset: number;
}

export class Partition {
  readonly topic: string;
  readonly topicId: Uuid;
  readonly index: number;
  /** Null while its directory is offline: requests get KAFKA_STORAGE_ERROR. */
  log: PartitionLog | null;
  leaderEpoch = -1;
  leaderId = -1;
  partitionEpoch = -1;
  isr: readonly number[] = [];
  replicas: readonly number[] = [];
  /** Where this leader's epoch begins. */
  leaderEpochStartOffset = -1;
  /** Null: nobody follows, this replica alone commits. */
  followers: FollowerTracker | null = null;
  /** The same, as this leader knows it; null where another leads. */
  leaderReplicas: LeaderReplicas | null = null;
  isDirty = false;
  /** A write is on the thread pool. */
  isWriting = false;
  /** A sync is, and what it covers is not acknowledged before. */
  isCommitting = false;
  private readonly host: PartitionHost;
  private readonly waitingWrites: WaitingAppend[] = [];
  /** In the order of their offsets. */
  private waitingCommits: WaitingAppend[] = [];
  private readonly waitingFetches = new Set<WaitingFetch>();
  private readonly waitingFollowers = new Set<WaitingFetch>();
  private waitingDeletions: WaitingDeletion[] = [];
  /** What can be read moved, and those who wait were not yet told. */
  private hasMoved = false;
  private isRetired = false;
  /** Followers that wait were told of everything below. */
  private toldEndOffset = -1;
  /** What the leader said last; nobody has where this replica leads. */
  private leaderHighWatermark = -1;
  private leaderLogStartOffset = -1;

  constructor(host: PartitionHost, topic: string, topicId: Uuid, index: number, log: PartitionLog | null) {
    this.host = host;
    this.topic = topic;
    this.topicId = topicId;
    this.index = index;
    this.log = log;
  }

  get isLeader(): boolean {
    return this.leaderId === this.host.nodeId;
  }

  get name(): string {
    return `${this.topic}-${this.index}`;
  }

  /** The log of this leader. Called after `leaderProblem` said 0. */
  get leaderLog(): PartitionLog {
    assert(this.log !== null && this.isLeader, `${this.name} is not led here`);
    return this.log;
  }

  /** 0, or why a request that names `currentLeaderEpoch` (-1: it does not) cannot be served by this replica as leader. */
  leaderProblem(currentLeaderEpoch: number): number {
    const epochProblem = this.epochProblem(currentLeaderEpoch);
    if (epochProblem !== ErrorCode.NONE) return epochProblem;
    if (!this.isLeader) return ErrorCode.NOT_LEADER_OR_FOLLOWER;
    return this.log === null ? ErrorCode.KAFKA_STORAGE_ERROR : ErrorCode.NONE;
  }

  /** 0, or why a consumer that may read from any replica cannot read from this one (KIP-392). */
  replicaProblem(currentLeaderEpoch: number): number {
    const epochProblem = this.epochProblem(currentLeaderEpoch);
    if (epochProblem !== ErrorCode.NONE) return epochProblem;
    if (this.isRetired) return ErrorCode.NOT_LEADER_OR_FOLLOWER;
    return this.log === null ? ErrorCode.KAFKA_STORAGE_ERROR : ErrorCode.NONE;
  }

  /** KIP-320: 74 where the asker is behind, 75 where this broker is. */
  epochProblem(currentLeaderEpoch: number): number {
    if (currentLeaderEpoch < 0 || currentLeaderEpoch === this.leaderEpoch) return ErrorCode.NONE;
    return currentLeaderEpoch < this.leaderEpoch ? ErrorCode.FENCED_LEADER_EPOCH : ErrorCode.UNKNOWN_LEADER_EPOCH;
  }

  /** min.insync.replicas cannot ask for more replicas than there are. */
  get minInsyncReplicas(): number {
    return Math.min(this.log?.config.minInsyncReplicas ?? 1, Math.max(1, this.replicas.length));
  }

  get isBelowMinIsr(): boolean {
    return this.isr.length < this.minInsyncReplicas;
  }

  // --- appending -------------------------------------------------------------------------------

  /**
   * Appends as leader; the bytes are queued in the log and written at the turn's end. `bytes` is borrowed to the end of the turn. Who
   * wants to know when they are written or committed calls `waitFor…` after an outcome "appended".
   */
  append(bytes: Buffer, how: Omit<AppendOptions, "leaderEpoch">): AppendOutcome {
    const log = this.leaderLog;
    // Through the pool the write outlives the turn, and so must its bytes.
    const owned = this.isWriting || this.host.paceOf(log.directory).isSlow ? Buffer.from(bytes) : bytes;
    const { origin, nowMs, transactionVersion, verification, unpacked } = how;
    const { leaderEpoch } = this;
    const outcome = log.append(owned, { origin, nowMs, transactionVersion, verification, unpacked, leaderEpoch });
    if (outcome.kind === "appended") this.host.markDirty(this);
    return outcome;
  }

  /** `onAppendDone` once the required offset is written, or committed. In the order of the appends. */
  wait(append: WaitingAppend): void {
    (append.needsCommit ? this.waitingCommits : this.waitingWrites).push(append);
    // A repeat of what is written already is answered at the turn's end too.
    this.host.markDirty(this);
  }

  /** For an append that gave up waiting. */
  forgetAppend(append: WaitingAppend): void {
    this.waitingCommits = this.waitingCommits.filter((one) => one !== append);
  }

  /** After the log was written, or a follower went on: moves what can be read, as far as it can. `takeNews` tells whether it did. */
  advanceHighWatermark(): void {
    const { log } = this;
    if (log === null) return;
    const before = log.highWatermark;
    const stableBefore = log.lastStableOffset;
    const committed = this.isLeader ? this.committedOffset(log) : this.leaderHighWatermark;
    if (committed > before) log.setHighWatermark(committed as Offset);
    if (!this.isLeader && this.leaderLogStartOffset > log.logStartOffset) this.followLogStart(log);
    if (log.highWatermark !== before || log.lastStableOffset !== stableBefore) this.hasMoved = true;
  }

  /** Once: whether what can be read has moved since the last call. */
  takeNews(): boolean {
    const { hasMoved } = this;
    this.hasMoved = false;
    return hasMoved;
  }

  private committedOffset(log: PartitionLog): number {
    if (this.followers === null) return log.writtenEndOffset;
    // KIP-966: with fewer replicas than are asked for, nothing is committed, so that whoever has been in sync has all that was.
    if (this.isBelowMinIsr) return -1;
    return this.followers.committedOffset(log.writtenEndOffset, this.host.nowMs());
  }

  /** Whether a commit may take longer than this turn's write. */
  get waitsForFollowers(): boolean {
    return this.followers !== null;
  }

  /** Answers the appends whose write is done, and those whose offset is committed. */
  answerAppends(): void {
    const { log } = this;
    if (log === null) return;
    if (this.waitingWrites.length > 0) {
      const done = takeUpTo(this.waitingWrites, log.writtenEndOffset);
      for (const append of done) append.onAppendDone(ErrorCode.NONE);
    }
    if (this.waitingCommits.length > 0) {
      const done = takeUpTo(this.waitingCommits, log.highWatermark);
      if (done.length === 0) return;
      const inSyncCount = this.leaderReplicas?.maximalIsr.length ?? this.isr.length;
      const isShort = inSyncCount < this.minInsyncReplicas;
      const errorCode = isShort ? ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND : ErrorCode.NONE;
      for (const append of done) append.onAppendDone(errorCode);
    }
  }

  /** Leadership is gone: nobody here can say what was committed. Or a write failed: then those above what is left in the log. */
  failAppends(errorCode: number, aboveOffset = -1): void {
    const waiting = [...this.waitingWrites.splice(0), ...this.waitingCommits.splice(0)];
    for (const append of waiting) {
      if (append.requiredOffset > aboveOffset) append.onAppendDone(errorCode);
      else this.wait(append);
    }
  }

  // --- fetching --------------------------------------------------------------------------------

  park(fetch: WaitingFetch): void {
    (fetch.isFollower === true ? this.waitingFollowers : this.waitingFetches).add(fetch);
  }

  unpark(fetch: WaitingFetch): void {
    this.waitingFetches.delete(fetch);
    this.waitingFollowers.delete(fetch);
  }

  /** Those who read what is committed. */
  wakeFetches(): void {
    wake(this.waitingFetches);
  }

  /** Those who copy the log: told whenever it has grown. */
  wakeFollowers(): void {
    if (this.waitingFollowers.size === 0 || this.log === null) return;
    if (this.log.writtenEndOffset === this.toldEndOffset) return;
    this.toldEndOffset = this.log.writtenEndOffset;
    wake(this.waitingFollowers);
  }

  private wakeAll(): void {
    wake(this.waitingFetches);
    wake(this.waitingFollowers);
  }

  // --- leading ---------------------------------------------------------------------------------

  /** Takes note of how far a follower is. 0, or why it is not taken for one. */
  onFollowerFetch({ brokerEpoch, brokerId, fetchOffset, logStartOffset }: FollowerProgress): number {
    const { leaderReplicas, log } = this;
    if (leaderReplicas === null || log === null) return ErrorCode.NOT_LEADER_OR_FOLLOWER;
    const nowMs = this.host.nowMs();
    const fetch = { brokerEpoch, fetchOffset, logStartOffset, nowMs, leaderEndOffset: log.writtenEndOffset };
    if (leaderReplicas.onFetch(brokerId, fetch) !== "taken") return ErrorCode.NOT_LEADER_OR_FOLLOWER;
    const wish = leaderReplicas.wishToExpand(brokerId, log.highWatermark);
    if (wish !== null) this.host.replication.alterIsr(this, wish);
    this.advanceHighWatermark();
    // Who waits for it hears with everybody else's news, at the turn's end.
    if (this.hasMoved) this.host.markDirty(this);
    this.answerDeletions();
    return ErrorCode.NONE;
  }

  /** Now and then: members that have lagged for too long are asked to be taken out. */
  shrinkIsr(): void {
    const { leaderReplicas, log } = this;
    if (leaderReplicas === null || log === null || leaderReplicas.isr.length < 2) return;
    const wish = leaderReplicas.wishToShrink(log.writtenEndOffset, this.host.nowMs());
    if (wish !== null) this.host.replication.alterIsr(this, wish);
  }

  /** The controller's word on a wish of this leader. */
  onIsrAnswer(wish: IsrWish, answer: IsrAnswer): IsrAnswerVerdict {
    const { leaderReplicas } = this;
    if (leaderReplicas === null) return "settled";
    const verdict = leaderReplicas.onAnswer(wish, answer);
    if (verdict !== "changed") return verdict;
    this.isr = leaderReplicas.isr;
    this.partitionEpoch = leaderReplicas.partitionEpoch;
    this.advanceHighWatermark();
    this.host.markDirty(this);
    return verdict;
  }

  get lowWatermark(): number {
    const start = this.log?.logStartOffset ?? -1;
    return this.leaderReplicas?.lowWatermark(start) ?? start;
  }

  /** Told once every replica that takes part begins at the offset or later. */
  waitForDeletion(deletion: WaitingDeletion): void {
    this.waitingDeletions.push(deletion);
  }

  forgetDeletion(deletion: WaitingDeletion): void {
    this.waitingDeletions = this.waitingDeletions.filter((one) => one !== deletion);
  }

  private answerDeletions(): void {
    if (this.waitingDeletions.length === 0) return;
    const { lowWatermark } = this;
    const done = this.waitingDeletions.filter(({ requiredOffset }) => requiredOffset <= lowWatermark);
    for (const deletion of done) {
      this.forgetDeletion(deletion);
      deletion.onDeleted(ErrorCode.NONE);
    }
  }

  private failDeletions(errorCode: number): void {
    for (const deletion of this.waitingDeletions.splice(0)) deletion.onDeleted(errorCode);
  }

  // --- following -------------------------------------------------------------------------------

  /** Batches as the leader has them; `bytes` is borrowed to the end of the turn. Called where another leads. */
  appendAsFollower(bytes: Buffer, nowMs: number): AppendOutcome {
    const { leaderEpoch, log } = this;
    assert(log !== null && !this.isLeader, `${this.name} does not follow`);
    const owned = this.isWriting || this.host.paceOf(log.directory).isSlow ? Buffer.from(bytes) : bytes;
    const outcome = log.append(owned, { origin: "replication", leaderEpoch, nowMs });
    if (outcome.kind === "appended") this.host.markDirty(this);
    return outcome;
  }

  /** What came with the leader's answer; in force as far as the log is written. */
  followLeader(highWatermark: number, logStartOffset: number): void {
    this.leaderHighWatermark = highWatermark;
    this.leaderLogStartOffset = logStartOffset;
    if (this.log?.hasPending === true || this.isWriting) return;
    this.advanceHighWatermark();
    if (this.hasMoved) this.host.markDirty(this);
  }

  private followLogStart(log: PartitionLog): void {
    const offset = Math.min(this.leaderLogStartOffset, log.highWatermark);
    if (offset > log.logStartOffset) log.raiseLogStartOffset(offset as Offset);
  }

  // --- metadata --------------------------------------------------------------------------------

  /** Takes over what the metadata says. "leader" and "resigned" where leadership came (also anew, in a later epoch) or went. */
  apply(image: PartitionImage): "leader" | "resigned" | "same" {
    // An answer to AlterPartition has told what comes after this.
    if (image.leaderEpoch === this.leaderEpoch && image.partitionEpoch < this.partitionEpoch) return "same";
    const wasLeader = this.isLeader;
    const epochBefore = this.leaderEpoch;
    this.leaderId = image.leader;
    this.leaderEpoch = image.leaderEpoch;
    this.partitionEpoch = image.partitionEpoch;
    this.isr = image.isr;
    this.replicas = image.replicas;
    if (this.isLeader) {
      const isSameEpoch = wasLeader && epochBefore === this.leaderEpoch;
      if (!isSameEpoch) this.beginLeading(image, !wasLeader);
      else if (this.leaderReplicas?.update(image) !== true) this.trackFollowers(image, false);
      // The in-sync replicas may have changed, and with them what is committed.
      this.advanceHighWatermark();
      this.host.markDirty(this);
      return isSameEpoch ? "same" : "leader";
    }
    this.followers = null;
    this.leaderReplicas = null;
    if (epochBefore !== this.leaderEpoch || wasLeader) {
      this.leaderHighWatermark = -1;
      this.leaderLogStartOffset = -1;
      this.failAppends(ErrorCode.NOT_LEADER_OR_FOLLOWER);
      this.failDeletions(ErrorCode.NOT_LEADER_OR_FOLLOWER);
      this.wakeAll();
    }
    return wasLeader ? "resigned" : "same";
  }

  /** The partition is gone from this broker, or the broker stops. */
  retire(): void {
    this.isRetired = true;
    this.leaderId = -1;
    this.followers = null;
    this.leaderReplicas = null;
    this.failAppends(ErrorCode.NOT_LEADER_OR_FOLLOWER);
    this.failDeletions(ErrorCode.NOT_LEADER_OR_FOLLOWER);
    this.wakeAll();
  }

  private beginLeading(image: PartitionImage, isNewLeader: boolean): void {
    const { log } = this;
    if (log === null) return;
    this.leaderEpochStartOffset = log.logEndOffset;
    log.assignLeaderEpoch(this.leaderEpoch, log.logEndOffset);
    this.trackFollowers(image, isNewLeader);
    this.advanceHighWatermark();
    this.answerAppends();
    this.wakeAll();
  }

  /** Where there is but one replica there is nothing to keep track of. */
  private trackFollowers(image: PartitionImage, isNewLeader: boolean): void {
    const { host } = this;
    const before = isNewLeader ? null : this.leaderReplicas;
    if (image.replicas.length < 2) {
      this.leaderReplicas = null;
      this.followers = null;
      return;
    }
    if (before !== null && before.leaderEpoch === image.leaderEpoch) return;
    const { lagMsMax, localBrokerEpoch, membership } = host.replication;
    this.leaderReplicas =
      before ?? new LeaderReplicas({ localId: host.nodeId, membership, lagMsMax, localBrokerEpoch });
    this.leaderReplicas.begin(image, {
      epochStartOffset: this.leaderEpochStartOffset,
      isNewLeader,
      nowMs: host.nowMs(),
    });
    this.followers = this.leaderReplicas;
  }
}

/** Who is woken may park again, in this same set. */
function wake(waiting: ReadonlySet<WaitingFetch>): void {
  if (waiting.size === 0) return;
  for (const fetch of [...waiting]) fetch.onReadable();
}

/** Removes and returns the leading entries that need no more than `offset`. */
function takeUpTo(waiting: WaitingAppend[], offset: number): WaitingAppend[] {
  let count = 0;
  while (count < waiting.length && waiting[count]!.requiredOffset <= offset) count++;
  return waiting.splice(0, count);
}
