// One partition as this broker has it: its log, who leads it in which epoch, and who waits for it. A replica that is not the leader keeps
// its log and answers 6. Appends queue in the log; the write turn writes them, moves the high watermark and wakes who waits.
// Owns no bytes: a batch belongs to its log until it is written.
import { assert, type Uuid } from "@blumfeld/core/base";
import type { PartitionImage } from "@blumfeld/core/controller";
import type { AppendOptions, AppendOutcome, PartitionLog } from "@blumfeld/core/log";
import type { Offset } from "@blumfeld/core/model";
import { ErrorCode } from "@blumfeld/core/protocol";
import type { WaitingAppend, WaitingFetch } from "./waiting.ts";
import type { WritePace } from "./write-pace.ts";

/** What a partition needs of its manager. */
export interface PartitionHost {
  readonly nodeId: number;
  markDirty(partition: Partition): void;
  /** The pace of the directory that holds the log. */
  paceOf(directory: string): WritePace;
}

/** How the high watermark moves where there are followers. Null: this replica is the only one in sync. */
export interface FollowerTracker {
  /** The highest offset that all in-sync replicas hold, given that the leader has written up to `leaderEndOffset`. */
  committedOffset(leaderEndOffset: number): number;
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
  followers: FollowerTracker | null = null;
  isDirty = false;
  /** A write is on the thread pool. */
  isWriting = false;
  private readonly host: PartitionHost;
  private readonly waitingWrites: WaitingAppend[] = [];
  /** In the order of their offsets. */
  private waitingCommits: WaitingAppend[] = [];
  private readonly waitingFetches = new Set<WaitingFetch>();

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
    const owned = this.host.paceOf(log.directory).isSlow ? Buffer.from(bytes) : bytes;
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

  /** After its log was written: move the high watermark. Whether it, or what can be read, moved. */
  advanceHighWatermark(): boolean {
    const { log } = this;
    if (log === null || !this.isLeader) return false;
    const before = log.highWatermark;
    const stableBefore = log.lastStableOffset;
    const written = log.writtenEndOffset;
    const committed = this.committedOffset(written);
    if (committed > before) log.setHighWatermark(committed);
    return log.highWatermark !== before || log.lastStableOffset !== stableBefore;
  }

  private committedOffset(written: Offset): Offset {
    if (this.followers !== null) return this.followers.committedOffset(written) as Offset;
    // Others are in sync by the metadata, and nobody here knows how far they are.
    return this.isr.length > 1 ? this.log!.highWatermark : written;
  }

  /** Whether a commit may take longer than this turn's write. */
  get waitsForFollowers(): boolean {
    return this.followers !== null || this.isr.length > 1;
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
      const errorCode = this.isBelowMinIsr ? ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND : ErrorCode.NONE;
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
    this.waitingFetches.add(fetch);
  }

  unpark(fetch: WaitingFetch): void {
    this.waitingFetches.delete(fetch);
  }

  wakeFetches(): void {
    if (this.waitingFetches.size === 0) return;
    // A woken fetch may park again, in this same set.
    for (const fetch of [...this.waitingFetches]) fetch.onReadable();
  }

  // --- metadata --------------------------------------------------------------------------------

  /** Takes over what the metadata says. "leader" and "resigned" where leadership came (also anew, in a later epoch) or went. */
  apply(image: PartitionImage): "leader" | "resigned" | "same" {
    const wasLeader = this.isLeader;
    const epochBefore = this.leaderEpoch;
    this.leaderId = image.leader;
    this.leaderEpoch = image.leaderEpoch;
    this.partitionEpoch = image.partitionEpoch;
    this.isr = image.isr;
    this.replicas = image.replicas;
    if (this.isLeader) {
      if (wasLeader && epochBefore === this.leaderEpoch) {
        // The in-sync replicas may have changed, and with them what is committed.
        if (this.advanceHighWatermark()) this.wakeFetches();
        this.answerAppends();
        return "same";
      }
      this.beginLeading();
      return "leader";
    }
    if (epochBefore !== this.leaderEpoch || wasLeader) {
      this.failAppends(ErrorCode.NOT_LEADER_OR_FOLLOWER);
      this.wakeFetches();
    }
    return wasLeader ? "resigned" : "same";
  }

  /** The partition is gone from this broker, or the broker stops. */
  retire(): void {
    this.leaderId = -1;
    this.failAppends(ErrorCode.NOT_LEADER_OR_FOLLOWER);
    this.wakeFetches();
  }

  private beginLeading(): void {
    const { log } = this;
    if (log === null) return;
    this.leaderEpochStartOffset = log.logEndOffset;
    log.assignLeaderEpoch(this.leaderEpoch, log.logEndOffset);
    this.advanceHighWatermark();
    this.answerAppends();
    this.wakeFetches();
  }
}

/** Removes and returns the leading entries that need no more than `offset`. */
function takeUpTo(waiting: WaitingAppend[], offset: number): WaitingAppend[] {
  let count = 0;
  while (count < waiting.length && waiting[count]!.requiredOffset <= offset) count++;
  return waiting.splice(0, count);
}
