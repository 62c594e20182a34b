// One partition of a fetch: what is asked, what was found this time, and, in a session, what the client was told last.
import { type Uuid, uuidZero } from "@blumfeld/core/base";
import type { LogSlice } from "@blumfeld/core/log";
import {
  ErrorCode,
  type FetchRequestFetchPartition,
  type FetchResponsePartitionDataInit,
} from "@blumfeld/core/protocol";
import type { Partition } from "../partition/partition.ts";

export class FetchItem {
  /** Empty where the topic's id is not known here. */
  topic: string;
  topicId: Uuid;
  readonly index: number;
  /** Past every offset where the client sent one that no number holds. */
  fetchOffset = 0;
  bytesMax = 0;
  /** -1: the client does not say. */
  currentLeaderEpoch = -1;
  lastFetchedEpoch = -1;
  followerLogStartOffset = -1;

  /** Found this time. */
  partition: Partition | null = null;
  errorCode: number = ErrorCode.NONE;
  /** Refused before the log was asked: Kafka words such answers a little differently. */
  isRefusedEarly = false;
  highWatermark = -1;
  lastStableOffset = -1;
  logStartOffset = -1;
  slice: LogSlice | null = null;
  divergingEpoch: { epoch: number; endOffset: number } | null = null;
  /** KIP-392: nothing is read here, the consumer is to ask this replica. */
  preferredReadReplica = -1;
  records: Buffer | null = null;
  abortedTransactions: { producerId: number; firstOffset: number }[] | null = null;

  /** What the session's client knows. */
  sentHighWatermark = -1;
  sentLogStartOffset = -1;

  constructor(topic: string, topicId: Uuid, index: number) {
    this.topic = topic;
    this.topicId = topicId;
    this.index = index;
  }

  /** One of a session is found by this. */
  get key(): string {
    return fetchItemKey(this.topic, this.topicId, this.index);
  }

  ask(request: FetchRequestFetchPartition): void {
    const offset = Number(request.fetchOffset);
    this.fetchOffset = Number.isSafeInteger(offset) ? offset : Number.MAX_SAFE_INTEGER;
    this.bytesMax = request.partitionMaxBytes;
    this.currentLeaderEpoch = request.currentLeaderEpoch;
    this.lastFetchedEpoch = request.lastFetchedEpoch;
    this.followerLogStartOffset = Number(request.logStartOffset);
  }

  /** Forgets what was found the last time. */
  reset(): void {
    this.partition = null;
    this.errorCode = ErrorCode.NONE;
    this.isRefusedEarly = false;
    this.highWatermark = -1;
    this.lastStableOffset = -1;
    this.logStartOffset = -1;
    this.slice = null;
    this.divergingEpoch = null;
    this.preferredReadReplica = -1;
    this.records = null;
    this.abortedTransactions = null;
  }

  /** After the answer: lets go of the bytes and of the log. */
  release(): void {
    this.slice = null;
    this.records = null;
    this.partition = null;
    this.abortedTransactions = null;
  }

  refuse(errorCode: number): void {
    this.errorCode = errorCode;
    this.highWatermark = -1;
    this.lastStableOffset = -1;
    this.logStartOffset = -1;
    this.slice = null;
    this.preferredReadReplica = -1;
  }

  get recordsBytes(): number {
    return this.slice?.sizeBytes ?? 0;
  }

  /** KIP-227: whether an incremental answer has to name this partition. Remembers what it will then have told. */
  takeNews(): boolean {
    let isNews = this.recordsBytes > 0 || this.divergingEpoch !== null || this.preferredReadReplica >= 0;
    if (this.sentHighWatermark !== this.highWatermark) {
      isNews = true;
      this.sentHighWatermark = this.highWatermark;
    }
    if (this.sentLogStartOffset !== this.logStartOffset) {
      isNews = true;
      this.sentLogStartOffset = this.logStartOffset;
    }
    if (this.errorCode !== ErrorCode.NONE) {
      // The next answer without an error is news, whatever it says.
      this.sentHighWatermark = -1;
      isNews = true;
    }
    return isNews;
  }

  toResponse(currentLeader: { leaderId: number; leaderEpoch: number } | undefined): FetchResponsePartitionDataInit {
    return {
      partitionIndex: this.index,
      errorCode: this.errorCode,
      highWatermark: this.highWatermark,
      lastStableOffset: this.lastStableOffset,
      logStartOffset: this.logStartOffset,
      abortedTransactions: this.isRefusedEarly ? [] : this.abortedTransactions,
      preferredReadReplica: this.preferredReadReplica,
      records: this.records ?? noRecords,
      ...(this.divergingEpoch === null ? {} : { divergingEpoch: this.divergingEpoch }),
      ...(currentLeader === undefined ? {} : { currentLeader }),
    };
  }
}

const noRecords = Buffer.alloc(0);

export function fetchItemKey(topic: string, topicId: Uuid, index: number): string {
  return topicId === uuidZero ? `${topic}-${index}` : `${topicId}${index}`;
}
