// A share partition as this broker runs it: loaded from the share coordinator, its changes persisted there before they count, its locks timed. Holds
// no records. It lives as long as this broker leads the partition in the same epoch.

import type { TimerHandle } from "@blumfeld/core/base";
import {
  type AcknowledgementBatch,
  type OffsetSpan,
  type ShareKey,
  SharePartition,
  type SharePartitionLimits,
  type ShareTransition,
} from "@blumfeld/core/coordinator";
import { ErrorCode } from "@blumfeld/core/protocol";
import type { Partition } from "../partition/partition.ts";
import type { BrokerParts } from "../parts.ts";
import type { ShareCoordinator } from "../shards/share-coordinator.ts";
import type { DeadLetterTopics } from "./dead-letter-topics.ts";
import { DeadLetterWriter } from "./dead-letter-writer.ts";

export interface HostedParts extends Pick<BrokerParts, "clock" | "timers" | "logger"> {
  readonly shares: ShareCoordinator;
  readonly deadLetterTopics: DeadLetterTopics;
}

/** Somebody who waits for records of this share partition to become available. */
export interface ShareWaiter {
  onReadable(): void;
}

export class HostedSharePartition {
  readonly key: ShareKey;
  readonly partition: Partition;
  readonly leaderEpoch: number;
  /** Null while it loads, or where it could not be loaded. */
  state: SharePartition | null = null;
  /** Why it could not be loaded. */
  errorCode: number = ErrorCode.NONE;
  /** A fetch reads for it: others leave it alone meanwhile. */
  isBusy = false;
  isClosed = false;
  readonly waiting = new Set<ShareWaiter>();
  private readonly parts: HostedParts;
  readonly deadLetters: DeadLetterWriter;
  private stateEpoch = 0;
  private timer: TimerHandle | null = null;
  private timerMs = Number.POSITIVE_INFINITY;
  readonly loaded: Promise<void>;

  constructor(key: ShareKey, partition: Partition, parts: HostedParts) {
    this.key = key;
    this.partition = partition;
    this.leaderEpoch = partition.leaderEpoch;
    this.parts = parts;
    this.deadLetters = new DeadLetterWriter(
      {
        ...{ key, partition },
        isWanted: () => this.isWanted(),
        target: () => parts.shares.config.deadLetters(key.groupId),
        finish: (spans) => this.finishDeadLetters(spans),
      },
      parts,
    );
    partition.park(this.watch);
    this.loaded = this.load().catch((error: unknown) => {
      this.errorCode = ErrorCode.UNKNOWN_SERVER_ERROR;
      parts.logger.error({ partition: partition.name, err: error }, `a share partition cannot be loaded: ${error}`);
    });
  }

  get limits(): SharePartitionLimits {
    return this.parts.shares.config.limits(this.key.groupId);
  }

  /** Woken when leadership is gone, also because the broker stops: no timer outlives that. */
  private readonly watch = {
    onReadable: (): void => {
      if (!this.partition.isLeader) this.close();
    },
  };

  /** Not once the broker stops or another leads: nobody waits for what a later attempt would get. */
  private readonly isWanted = (): boolean => !this.isClosed && this.partition.isLeader;

  private async load(): Promise<void> {
    const { shares } = this.parts;
    const found = await shares.persistently(() => shares.anywhere.read(this.key, this.leaderEpoch), this.isWanted);
    const state = found.state ?? null;
    if (found.errorCode !== ErrorCode.NONE || state === null) {
      this.errorCode = loadError(found.errorCode);
      return;
    }
    this.stateEpoch = state.stateEpoch;
    const { log } = this.partition;
    if (log === null || this.isClosed) {
      this.errorCode = ErrorCode.NOT_LEADER_OR_FOLLOWER;
      return;
    }
    const start = state.startOffset >= 0 ? state.startOffset : await this.beginning();
    this.state = new SharePartition(state, start);
    this.state.moveStart(log.logStartOffset);
    // Of those that were not written when the partition was led elsewhere, or not known to be.
    this.deadLetters.add(this.state.deadLetters(this.limits));
    this.wake();
  }

  /** Where a group begins that has consumed nothing of this partition. */
  private async beginning(): Promise<number> {
    const { clock, shares } = this.parts;
    const log = this.partition.log!;
    const reset = shares.config.offsetReset(this.key.groupId);
    if (reset.kind === "earliest") return log.logStartOffset;
    if (reset.kind === "latest") return log.highWatermark;
    const found = await log.offsetForTimestampLater(clock.wallMs() - reset.ms);
    return found === null ? log.highWatermark : Math.min(found.offset, log.highWatermark);
  }

  // --- changes ---------------------------------------------------------------------------------

  /** Resolves once what it says is persisted, or could not be. */
  async acknowledge(memberId: string, batches: readonly AcknowledgementBatch[]): Promise<number> {
    await this.loaded;
    if (this.isClosed) return ErrorCode.NOT_LEADER_OR_FOLLOWER;
    if (this.state === null) return this.errorCode;
    const outcome = this.state.acknowledge(memberId, batches, this.limits, this.parts.clock.monotonicMs());
    if (outcome.errorCode !== ErrorCode.NONE || !("transition" in outcome)) return outcome.errorCode;
    this.timeLocks();
    return outcome.transition === null ? ErrorCode.NONE : this.persist(outcome.transition);
  }

  releaseMember(memberId: string): void {
    const transition = this.state?.releaseMember(memberId) ?? null;
    if (transition !== null) void this.persist(transition);
  }

  private async finishDeadLetters(spans: readonly OffsetSpan[]): Promise<number> {
    const transition = this.state!.finishDeadLetters(spans);
    return transition === null ? ErrorCode.NONE : this.persist(transition);
  }

  async persist(transition: ShareTransition): Promise<number> {
    const { shares, logger } = this.parts;
    const { startOffset, deliveryCompleteCount, batches } = transition;
    const { stateEpoch, leaderEpoch, state } = this;
    const write = { stateEpoch, leaderEpoch, startOffset, deliveryCompleteCount, stateBatches: batches };
    const { errorCode } = await shares.persistently(() => shares.anywhere.write(this.key, write), this.isWanted);
    if (errorCode === ErrorCode.NONE) {
      state!.confirm(transition);
      this.deadLetters.add(transition.deadLetters);
    } else {
      state!.refuse(transition);
      logger.warn({ partition: this.partition.name, group: this.key.groupId, errorCode }, "a share write was refused");
      // Another has taken over, or the state was made anew: what is known here counts no longer.
      if (isFenced(errorCode)) this.isClosed = true;
    }
    this.timeLocks();
    this.wake();
    return errorCode === ErrorCode.NONE ? ErrorCode.NONE : writeError(errorCode);
  }

  wake(): void {
    for (const waiter of [...this.waiting]) waiter.onReadable();
  }

  close(): void {
    if (this.isClosed && this.timer === null && this.waiting.size === 0) return;
    this.isClosed = true;
    this.deadLetters.close();
    this.partition.unpark(this.watch);
    // A lock that runs out later is nobody's affair here.
    this.timer?.cancel();
    this.timer = null;
    this.wake();
  }

  // --- locks -----------------------------------------------------------------------------------

  /** After anything that locked or freed records. */
  timeLocks(): void {
    const nextMs = this.isClosed ? null : (this.state?.nextLockMs() ?? null);
    if (nextMs === null || (this.timer !== null && nextMs >= this.timerMs)) return;
    this.timer?.cancel();
    this.timerMs = nextMs;
    const delayMs = Math.max(1, nextMs - this.parts.clock.monotonicMs());
    this.timer = this.parts.timers.after(delayMs, this.onTime);
  }

  private readonly onTime = (): void => {
    this.timer = null;
    this.timerMs = Number.POSITIVE_INFINITY;
    if (this.isClosed || this.state === null) return;
    const transition = this.state.expireLocks(this.limits, this.parts.clock.monotonicMs());
    if (transition !== null) void this.persist(transition);
    this.timeLocks();
  };
}

function isFenced(errorCode: number): boolean {
  return (
    errorCode === ErrorCode.FENCED_STATE_EPOCH ||
    errorCode === ErrorCode.FENCED_LEADER_EPOCH ||
    errorCode === ErrorCode.INVALID_REQUEST
  );
}

function loadError(errorCode: number): number {
  switch (errorCode) {
    case ErrorCode.NONE:
    case ErrorCode.INVALID_REQUEST:
      return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
    case ErrorCode.FENCED_LEADER_EPOCH:
    case ErrorCode.FENCED_STATE_EPOCH:
      return ErrorCode.NOT_LEADER_OR_FOLLOWER;
    default:
      return writeError(errorCode);
  }
}

function writeError(errorCode: number): number {
  switch (errorCode) {
    case ErrorCode.NOT_COORDINATOR:
    case ErrorCode.COORDINATOR_NOT_AVAILABLE:
    case ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
      return ErrorCode.COORDINATOR_NOT_AVAILABLE;
    case ErrorCode.GROUP_ID_NOT_FOUND:
    case ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
      return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
    case ErrorCode.FENCED_STATE_EPOCH:
    case ErrorCode.FENCED_LEADER_EPOCH:
      return ErrorCode.NOT_LEADER_OR_FOLLOWER;
    default:
      return ErrorCode.UNKNOWN_SERVER_ERROR;
  }
}
