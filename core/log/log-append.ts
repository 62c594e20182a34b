// How a log takes batches: checks, numbers, stamps and queues them, rolls where a segment is full, and takes producers, epochs and indexes
// along. Memory only: what it queues is written by PendingWrites.
import {
  batchBaseOffset,
  batchDamage,
  batchLastOffset,
  batchLastOffsetDelta,
  batchLeaderEpoch,
  batchMaxTimestamp,
  batchProducerId,
  batchSetLogAppendTime,
  batchSizeAt,
  batchStamp,
  type Offset,
} from "../model/index.ts";
import { ErrorCode } from "../protocol/index.ts";
import { refusal, validateClientBatch } from "./append-validation.ts";
import type { LogState } from "./log-state.ts";
import type { AppendOptions, AppendOutcome, AppendRefused } from "./outcomes.ts";
import type { PendingWrites } from "./pending-writes.ts";
import type { ProducerVerdict } from "./producer-state.ts";
import { RecentBatches } from "./recent-batches.ts";
import { relativeOffsetMax, segmentBytesMax } from "./segment.ts";

export class LogAppender {
  /** Null until the first append. */
  recent: RecentBatches | null = null;
  private readonly state: LogState;
  private readonly pending: PendingWrites;

  constructor(state: LogState, pending: PendingWrites) {
    this.state = state;
    this.pending = pending;
  }

  append(bytes: Buffer, how: AppendOptions): AppendOutcome {
    if (how.origin === "replication") return this.appendAsFollower(bytes, how);
    return how.origin === "client" ? this.appendClient(bytes, how) : this.appendTrusted(bytes, how);
  }

  /** Begins a new segment, unless the last one is empty. */
  roll(): void {
    if (this.state.active.sizeBytes === 0) return;
    this.rollAt(this.state.logEndOffset);
  }

  private appendClient(bytes: Buffer, how: AppendOptions): AppendOutcome {
    const { state } = this;
    const verdict = validateClientBatch(bytes, {
      topicPartition: state.topicPartition,
      config: state.config,
      nowMs: how.nowMs,
      logStartOffset: state.logStartOffset,
      unpacked: how.unpacked,
    });
    if (verdict.kind === "refused") return verdict;
    const batch = verdict.bytes;
    if (batch.length > state.config.segmentBytes) return this.segmentRefusal(batch.length);
    const firstOffset = state.logEndOffset;
    const lastOffset = (firstOffset + batchLastOffsetDelta(batch, 0)) as Offset;
    const logAppendTimeMs = state.config.messageTimestampType === "LogAppendTime" ? how.nowMs : -1;
    let producer: ProducerVerdict | null = null;
    if (batchProducerId(batch, 0) >= 0) {
      const isUnverified = how.verification === "unverified";
      producer = state.producers.check(batch, 0, { origin: "client", firstOffset, isUnverified });
      if (producer.kind === "refused") return this.producerRefusal(producer);
      if (producer.kind === "duplicate") {
        const { batch: known } = producer;
        return {
          kind: "duplicate",
          firstOffset: (known.lastOffset - known.offsetDelta) as Offset,
          lastOffset: known.lastOffset as Offset,
          logAppendTimeMs: known.timestamp,
          logStartOffset: state.logStartOffset,
        };
      }
    }
    const maxTimestamp = batchMaxTimestamp(batch, 0);
    this.prepareSegment(batch.length, firstOffset, lastOffset, maxTimestamp, how.nowMs);
    batchStamp(batch, 0, firstOffset, how.leaderEpoch);
    state.epochs.assign(how.leaderEpoch, firstOffset);
    if (producer !== null) this.commitProducer(producer);
    this.queue(batch, lastOffset);
    return { kind: "appended", firstOffset, lastOffset, logAppendTimeMs, logStartOffset: state.logStartOffset };
  }

  /** What this process itself has built: group and transaction records, markers, metadata. One batch or several. */
  private appendTrusted(bytes: Buffer, how: AppendOptions): AppendOutcome {
    const { state } = this;
    const isCoordinator = how.origin === "coordinator";
    const firstOffset = state.logEndOffset;
    const isAppendTime = isCoordinator && state.config.messageTimestampType === "LogAppendTime";
    let nextOffset: number = firstOffset;
    let maxTimestamp = -1;
    for (let at = 0; at < bytes.length; ) {
      const size = batchSizeAt(bytes, at);
      if (isCoordinator && size > state.config.messageBytesMax) {
        return refusal(
          ErrorCode.MESSAGE_TOO_LARGE,
          `a batch of ${size} bytes is above max.message.bytes=${state.config.messageBytesMax}`,
        );
      }
      const damage = batchDamage(bytes, at);
      if (damage !== null) return refusal(ErrorCode.CORRUPT_MESSAGE, `the batch is damaged: ${damage}`);
      if (!isCoordinator && batchLeaderEpoch(bytes, at) !== how.leaderEpoch) {
        return refusal(
          ErrorCode.INVALID_RECORD,
          `a batch of epoch ${batchLeaderEpoch(bytes, at)} appended in epoch ${how.leaderEpoch}`,
        );
      }
      if (isAppendTime) batchSetLogAppendTime(bytes, at, how.nowMs);
      batchStamp(bytes, at, nextOffset, how.leaderEpoch);
      maxTimestamp = Math.max(maxTimestamp, batchMaxTimestamp(bytes, at));
      nextOffset = batchLastOffset(bytes, at) + 1;
      at += size;
    }
    if (nextOffset === firstOffset) return refusal(ErrorCode.INVALID_RECORD, "nothing to append");
    if (bytes.length > state.config.segmentBytes) return this.segmentRefusal(bytes.length);
    const logAppendTimeMs = isAppendTime ? how.nowMs : -1;
    return this.appendWhole(bytes, firstOffset, nextOffset, maxTimestamp, logAppendTimeMs, how);
  }

  /** Batches as the leader has them. What is cut at the end is left out; nothing is appended where a batch is damaged. */
  private appendAsFollower(bytes: Buffer, how: AppendOptions): AppendOutcome {
    const { state } = this;
    let nextOffset: number = state.logEndOffset;
    let maxTimestamp = -1;
    let at = 0;
    while (at < bytes.length) {
      const size = batchSizeAt(bytes, at);
      if (size === -1 || at + size > bytes.length) break;
      const damage = batchDamage(bytes, at);
      if (damage !== null) return refusal(ErrorCode.CORRUPT_MESSAGE, `the batch at byte ${at} is damaged: ${damage}`);
      // Of a leader that this replica does not follow yet: what it wrote is fetched again in its epoch, where a parting of logs is noticed.
      if (how.leaderEpoch >= 0 && batchLeaderEpoch(bytes, at) > how.leaderEpoch) break;
      const baseOffset = batchBaseOffset(bytes, at);
      if (baseOffset < nextOffset || !Number.isSafeInteger(baseOffset)) {
        return refusal(
          ErrorCode.OFFSET_OUT_OF_RANGE,
          `a batch of offset ${baseOffset} cannot follow offset ${nextOffset - 1}`,
        );
      }
      maxTimestamp = Math.max(maxTimestamp, batchMaxTimestamp(bytes, at));
      nextOffset = batchLastOffset(bytes, at) + 1;
      at += size;
    }
    if (at === 0) return refusal(ErrorCode.INVALID_RECORD, "no whole batch to append");
    const whole = at === bytes.length ? bytes : bytes.subarray(0, at);
    const firstOffset = batchBaseOffset(whole, 0);
    if (whole.length > segmentBytesMax) return this.segmentRefusal(whole.length);
    return this.appendWhole(whole, firstOffset, nextOffset, maxTimestamp, -1, how);
  }

  /** Queues checked batches; all of them lie in one segment. */
  private appendWhole(
    bytes: Buffer,
    firstOffset: Offset,
    nextOffset: number,
    maxTimestamp: number,
    logAppendTimeMs: number,
    how: AppendOptions,
  ): AppendOutcome {
    const { state } = this;
    const lastOffset = (nextOffset - 1) as Offset;
    this.prepareSegment(bytes.length, firstOffset, lastOffset, maxTimestamp, how.nowMs);
    const changeCount = state.producers.changeCount;
    const origin = how.origin === "replication" ? "replication" : "coordinator";
    for (let at = 0; at < bytes.length; at += batchSizeAt(bytes, at)) {
      if (batchProducerId(bytes, at) < 0) continue;
      const verdict = state.producers.check(bytes, at, { origin, transactionVersion: how.transactionVersion });
      if (verdict.kind === "refused") {
        state.producers.undoTo(changeCount);
        return this.producerRefusal(verdict);
      }
      this.commitProducer(verdict);
    }
    for (let at = 0; at < bytes.length; at += batchSizeAt(bytes, at)) {
      state.epochs.assign(batchLeaderEpoch(bytes, at), batchBaseOffset(bytes, at));
    }
    this.queue(bytes, lastOffset);
    return { kind: "appended", firstOffset, lastOffset, logAppendTimeMs, logStartOffset: state.logStartOffset };
  }

  private commitProducer(verdict: ProducerVerdict): void {
    // An empty marker batch of an unknown producer says nothing about it.
    if (verdict.kind !== "new" || verdict.entry.epoch < 0) return;
    const aborted = this.state.producers.commit(verdict.entry, verdict.completed);
    if (aborted !== null) this.state.active.indexes.addAborted(aborted);
  }

  /** Rolls where the segment cannot or should not take these bytes, and opens a window for them. */
  private prepareSegment(
    bytes: number,
    firstOffset: Offset,
    lastOffset: number,
    maxTimestamp: number,
    nowMs: number,
  ): void {
    const { state } = this;
    if (state.active.mustRoll(bytes, lastOffset, maxTimestamp, nowMs, state.rollJitterMs, state.config)) {
      // A follower's batch may lie far after the log's end: its segment begins where it does.
      const base = Math.max(firstOffset, state.logEndOffset) as Offset;
      if (state.active.sizeBytes > 0 || lastOffset - state.active.baseOffset > relativeOffsetMax) this.rollAt(base);
    }
    this.pending.begin();
  }

  private rollAt(baseOffset: Offset): void {
    this.pending.roll(baseOffset);
    this.recent?.clear();
  }

  private queue(bytes: Buffer, lastOffset: Offset): void {
    const { state } = this;
    const segment = state.active;
    const { indexIntervalBytes } = state.config;
    this.recent ??= new RecentBatches();
    for (let at = 0; at < bytes.length; ) {
      const size = batchSizeAt(bytes, at);
      const last = batchLastOffset(bytes, at);
      this.recent.add(batchBaseOffset(bytes, at), last, segment.sizeBytes, size);
      segment.noteBatch(size, last, batchMaxTimestamp(bytes, at), indexIntervalBytes);
      at += size;
    }
    state.logEndOffset = (lastOffset + 1) as Offset;
    state.producers.endOffset = state.logEndOffset;
    this.pending.add(bytes);
  }

  private producerRefusal(verdict: ProducerVerdict & { kind: "refused" }): AppendRefused {
    return refusal(verdict.errorCode, verdict.message, { logStartOffset: this.state.logStartOffset });
  }

  private segmentRefusal(bytes: number): AppendRefused {
    const message = `${bytes} bytes are above segment.bytes=${this.state.config.segmentBytes}`;
    return refusal(ErrorCode.RECORD_LIST_TOO_LARGE, message);
  }
}
