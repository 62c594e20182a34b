// What a partition's log answers: to an append, a read, a look-up, a deletion. Plain values; the log keeps none of them.
import type { DiskFile } from "../base/index.ts";
import type { LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs } from "../model/index.ts";
import type { ErrorCode } from "../protocol/index.ts";

/**
 * Who appends. "client" and "coordinator" and "quorum" are leaders' appends: the log assigns offsets and stamps the epoch. "replication"
 * takes both as they are in the batches. Only "client" is held to a producer's rules (one batch, sequences, no control records).
 */
export type AppendOrigin = "client" | "coordinator" | "quorum" | "replication";

export interface AppendOptions {
  readonly origin: AppendOrigin;
  /** Stamped onto a leader's appends. For "replication": batches of a later epoch are left out; -1 takes all. */
  readonly leaderEpoch: number;
  /** The wall clock: LogAppendTime, timestamp bounds, rolling. */
  readonly nowMs: number;
  /**
   * Whether the transaction coordinator has confirmed that this partition is part of the producer's transaction (KIP-890).
   * "unverified" refuses a transactional batch that would begin a transaction here with INVALID_TXN_STATE. Default "not-needed".
   */
  readonly verification?: "not-needed" | "verified" | "unverified";
  /**
   * Of a marker: the transaction.version that its transaction was ended by. From 2 on (KIP-890) it comes in an epoch above the data's; one of the
   * same epoch is the repeat of an earlier marker, and must not end the transaction that has begun since. Default 0.
   */
  readonly transactionVersion?: number;
  /** A packed batch's records, where the caller has unpacked them already, within `unpackedRecordsBytesMax`. Only read. */
  readonly unpacked?: Buffer;
}

export interface RecordError {
  /** Of the record within its batch. */
  readonly batchIndex: number;
  readonly message: string | null;
}

export interface Appended {
  readonly kind: "appended" | "duplicate";
  readonly firstOffset: Offset;
  readonly lastOffset: Offset;
  /** -1 for CreateTime. A duplicate carries the timestamp of what is there, as Kafka does. */
  readonly logAppendTimeMs: number;
  readonly logStartOffset: Offset;
}

export interface AppendRefused {
  readonly kind: "refused";
  readonly errorCode: ErrorCode;
  /** For the log: what was wrong. */
  readonly message: string;
  /** What a client is told; null where Kafka tells it nothing but the code. */
  readonly clientMessage: string | null;
  readonly recordErrors: readonly RecordError[];
  /** What goes into the answer: -1 where Kafka answers so. */
  readonly logStartOffset: number;
}

export type AppendOutcome = Appended | AppendRefused;

export interface ReadOptions {
  readonly bytesMax: number;
  /** Nothing at or past it: high watermark, last stable offset, or the written end for a follower. */
  readonly upTo: Offset;
  /** The first batch comes whole, whatever `bytesMax` is. */
  readonly minOneBatch: boolean;
}

/** A byte range of one segment. May end within a batch when `bytesMax` does, as Kafka's answers may. */
export interface LogSlice {
  readonly kind: "slice";
  readonly file: DiskFile;
  readonly position: number;
  readonly sizeBytes: number;
  /** May lie before the offset that was asked for: the batch holds it. */
  readonly firstBatchOffset: Offset;
  /** False: not even the first batch fits into `bytesMax`. */
  readonly isFirstBatchWhole: boolean;
  /** Written by this process lately, so that the page cache has it: a synchronous read will not wait for the device. */
  readonly isRecent: boolean;
}

export type ReadOutcome = LogSlice | { readonly kind: "empty" } | { readonly kind: "out-of-range" };

export interface TimestampedOffset {
  readonly timestamp: TimestampMs;
  readonly offset: Offset;
  /** -1 where the batch carries none. */
  readonly leaderEpoch: LeaderEpoch;
}

/** -1 and -1 where the epoch is above all that the log knows. */
export interface EpochEndOffset {
  readonly epoch: LeaderEpoch;
  readonly endOffset: Offset;
}

export interface AbortedTransaction {
  readonly producerId: ProducerId;
  readonly firstOffset: Offset;
}

/** As DescribeProducers answers. */
export interface ActiveProducer {
  readonly producerId: ProducerId;
  readonly producerEpoch: ProducerEpoch;
  readonly lastSequence: number;
  readonly lastTimestamp: TimestampMs;
  readonly coordinatorEpoch: number;
  /** -1 where no transaction is open. */
  readonly currentTransactionStartOffset: Offset;
}

export type DeleteRecordsOutcome =
  | { readonly kind: "deleted"; readonly logStartOffset: Offset }
  /** Below the log start, or above the high watermark. */
  | { readonly kind: "out-of-range" }
  /** The topic is compacted only. */
  | { readonly kind: "policy-violation" };

/** A segment that retention took, and why. */
export interface SegmentDeletion {
  readonly baseOffset: Offset;
  readonly sizeBytes: number;
  readonly reason: "log-start-offset" | "retention-bytes" | "retention-ms";
}
