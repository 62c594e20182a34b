// One partition that this broker follows: where it stands, and what the answers of its leader do to its log. Never sends anything.
import { DiskError, type Logger } from "@blumfeld/core/base";
import type { PartitionLog } from "@blumfeld/core/log";
import { batchBaseOffset, batchHeaderBytes, batchLastOffset, type Offset } from "@blumfeld/core/model";
import { ErrorCode, errorOf, type FetchResponsePartitionData } from "@blumfeld/core/protocol";
import {
  afterTruncation,
  type FetchPosition,
  positionAtStart,
  rangeStepOf,
  stepOf,
  type Truncation,
} from "@blumfeld/core/replication";
import type { Partition } from "../partition/partition.ts";

/**
 * The first pause after a leader's refusal, doubled up to replica.fetch.backoff.ms: mostly the leader has not heard yet what this broker has, and a
 * new topic's first acknowledgement would wait for the whole of it.
 */
export const refusalRetryMsMin = 20;
/** A log that is written through the thread pool cannot be cut meanwhile. */
export const busyLogRetryMs = 20;

export interface FetchEntryParts {
  readonly logger: Logger;
  /** replica.fetch.backoff.ms */
  readonly backoffMs: () => number;
  readonly wallMs: () => number;
  readonly monotonicMs: () => number;
}

export class FetchEntry {
  readonly partition: Partition;
  readonly position: FetchPosition;
  readonly leaderId: number;
  /** Of the leader's log, as of its last answer; negative until then. */
  lagOffsets = -1;
  /** Refusals since the last answer that was none. */
  private refusals = 0;
  private readonly parts: FetchEntryParts;

  constructor(partition: Partition, log: PartitionLog, parts: FetchEntryParts) {
    this.partition = partition;
    this.leaderId = partition.leaderId;
    this.position = positionAtStart(log, partition.leaderEpoch);
    this.parts = parts;
  }

  /** Whether a request may name it. */
  isReady(nowMs: number): boolean {
    return this.position.state === "fetching" && this.position.readyAtMs <= nowMs;
  }

  /** The log, as long as this is the leader and epoch that the partition follows. */
  get log(): PartitionLog | null {
    const { leaderId, partition, position } = this;
    return partition.leaderId === leaderId && partition.leaderEpoch === position.leaderEpoch ? partition.log : null;
  }

  delay(delayMs = this.parts.backoffMs()): void {
    this.position.readyAtMs = this.parts.monotonicMs() + delayMs;
  }

  /** Without epochs nothing but the high watermark says what is the leader's too. */
  begin(): void {
    const { log, position } = this;
    if (log === null || position.state !== "truncating") return;
    this.truncate(log, { offset: log.highWatermark, isComplete: true });
  }

  /** The answer's part for this partition. Records are views: they are queued in the log, and written when this turn ends. Bytes taken. */
  onFetched(fetched: FetchResponsePartitionData): number {
    const { log, position } = this;
    if (log === null) return 0;
    const step = stepOf(position, fetched, log);
    switch (step.kind) {
      case "take":
        return this.take(log, fetched);
      case "truncate":
        this.truncate(log, step.truncation);
        return 0;
      case "resolve":
        position.state = "resolving";
        return 0;
      case "fence":
        // Nothing more is asked in this epoch; the metadata brings the next one.
        position.state = "fenced";
        return 0;
      case "delay":
        this.parts.logger.debug(
          { partition: this.partition.name, error: errorOf(fetched.errorCode).name },
          "a leader gave no records; asked again",
        );
        this.delay(Math.min(this.parts.backoffMs(), refusalRetryMsMin * 2 ** Math.min(this.refusals++, 16)));
        return 0;
    }
  }

  private take(log: PartitionLog, fetched: FetchResponsePartitionData): number {
    const { partition, position } = this;
    const { records } = fetched;
    this.refusals = 0;
    let bytes = 0;
    if (records !== null && records.length >= batchHeaderBytes) {
      if (log.logEndOffset !== position.fetchOffset) {
        position.fetchOffset = log.logEndOffset;
        position.lastFetchedEpoch = log.latestLeaderEpoch;
        return 0;
      }
      if (!this.append(log, records)) return 0;
      bytes = records.length;
      position.fetchOffset = log.logEndOffset;
      position.lastFetchedEpoch = log.latestLeaderEpoch;
    }
    const highWatermark = Number(fetched.highWatermark);
    this.lagOffsets = Math.max(0, highWatermark - log.logEndOffset);
    partition.followLeader(highWatermark, Number(fetched.logStartOffset));
    return bytes;
  }

  private append(log: PartitionLog, records: Buffer): boolean {
    const { logger, wallMs } = this.parts;
    const { partition, position } = this;
    const nowMs = wallMs();
    let outcome = partition.appendAsFollower(records, nowMs);
    if (outcome.kind === "refused" && this.startsWithin(log, records)) {
      // The leader's log begins in the middle of a batch, and this one is empty: it begins with the whole batch.
      log.truncateFullyAndStartAt(batchBaseOffset(records, 0) as Offset);
      outcome = partition.appendAsFollower(records, nowMs);
    }
    if (outcome.kind !== "refused") return true;
    const fields = { partition: partition.name, code: outcome.errorCode };
    if (outcome.errorCode === ErrorCode.CORRUPT_MESSAGE || outcome.errorCode === ErrorCode.INVALID_RECORD) {
      logger.error(fields, `records from the leader were not taken, they are fetched again: ${outcome.message}`);
      this.delay();
    } else {
      logger.error(fields, `the replica stops following its leader: ${outcome.message}`);
      position.state = "failed";
    }
    return false;
  }

  private startsWithin(log: PartitionLog, records: Buffer): boolean {
    const end = log.logEndOffset;
    return (
      log.logStartOffset === end &&
      batchBaseOffset(records, 0) < end &&
      batchLastOffset(records, 0) >= end &&
      !log.isWriting
    );
  }

  private truncate(log: PartitionLog, { offset }: Truncation): void {
    const { highWatermark, logEndOffset } = log;
    const { logger } = this.parts;
    if (log.isWriting) return this.delay(busyLogRetryMs);
    const fields = { partition: this.partition.name, offset, logEndOffset, highWatermark };
    if (offset < highWatermark) logger.warn(fields, "the replica's log is cut below its high watermark");
    else if (offset < logEndOffset) logger.info(fields, "the replica's log is cut where it parts from its leader's");
    this.onDisk(() => {
      log.truncateTo(offset as Offset);
      afterTruncation(this.position, log);
    });
  }

  /** The leader told where its log begins and ends. */
  onLeaderRange(leader: { startOffset: number; endOffset: number }): void {
    const { log, parts, partition, position } = this;
    if (log === null || position.state !== "resolving") return;
    const step = rangeStepOf(log, leader);
    const fields = { partition: partition.name, logEndOffset: log.logEndOffset, leader };
    parts.logger.warn(fields, `the replica was out of the range of its leader's log: ${step.kind}`);
    if (log.isWriting) {
      position.state = "fetching";
      return this.delay(busyLogRetryMs);
    }
    if (step.kind === "truncate") return this.truncate(log, { offset: step.offset, isComplete: true });
    this.onDisk(() => {
      if (step.kind === "start-over") log.truncateFullyAndStartAt(step.offset as Offset);
      afterTruncation(position, log);
    });
  }

  onNoRange(): void {
    if (this.position.state !== "resolving") return;
    this.position.state = "fetching";
    this.delay();
  }

  private onDisk(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      this.position.state = "failed";
      const fields = { partition: this.partition.name, code: error.code };
      this.parts.logger.error(fields, `the replica stops following its leader: ${error.message}`);
    }
  }
}
