// The settings of one topic's logs, with units in their names and Kafka's defaults. Plain values; parsing and broker synonyms are the
// settings tables' affair. `unlimited` stands for Kafka's 2^63-1.
import type { CodecName } from "../compression/index.ts";

/** Kafka's Long.MAX_VALUE as a bound: never reached. */
export const unlimited = Number.POSITIVE_INFINITY;

export interface LogConfig {
  readonly segmentBytes: number;
  readonly segmentMs: number;
  readonly segmentJitterMs: number;
  /** Allocation of an index file in Kafka; the bound on entries here: 8 bytes an offset, 12 a timestamp. */
  readonly segmentIndexBytes: number;
  readonly indexIntervalBytes: number;
  /** -1: never by time. */
  readonly retentionMs: number;
  /** -1: never by size. */
  readonly retentionBytes: number;
  /** -2: as retentionMs. */
  readonly localRetentionMs: number;
  /** -2: as retentionBytes. */
  readonly localRetentionBytes: number;
  readonly cleanupPolicy: { readonly delete: boolean; readonly compact: boolean };
  /** "producer" keeps what the producer chose; "none" is Kafka's `uncompressed`. */
  readonly compressionType: "producer" | CodecName;
  /** Undefined: the codec's own default. */
  readonly compressionLevels: { readonly gzip?: number; readonly lz4?: number; readonly zstd?: number };
  readonly messageBytesMax: number;
  readonly messageTimestampType: "CreateTime" | "LogAppendTime";
  readonly messageTimestampBeforeMsMax: number;
  readonly messageTimestampAfterMsMax: number;
  readonly flushMessages: number;
  readonly flushMs: number;
  readonly fileDeleteDelayMs: number;
  /** The segment that is written to has its full length from the start. */
  readonly preallocate: boolean;
  readonly deleteRetentionMs: number;
  readonly minCleanableDirtyRatio: number;
  readonly minCompactionLagMs: number;
  readonly maxCompactionLagMs: number;
  readonly uncleanLeaderElection: boolean;
  readonly minInsyncReplicas: number;
  readonly remoteStorageEnable: boolean;
  readonly remoteLogCopyDisable: boolean;
  readonly remoteLogDeleteOnDisable: boolean;
}

const dayMs = 24 * 60 * 60 * 1000;

export const logConfigDefaults: LogConfig = {
  segmentBytes: 1024 * 1024 * 1024,
  segmentMs: 7 * dayMs,
  segmentJitterMs: 0,
  segmentIndexBytes: 10 * 1024 * 1024,
  indexIntervalBytes: 4096,
  retentionMs: 7 * dayMs,
  retentionBytes: -1,
  localRetentionMs: -2,
  localRetentionBytes: -2,
  cleanupPolicy: { delete: true, compact: false },
  compressionType: "producer",
  compressionLevels: {},
  messageBytesMax: 1024 * 1024 + 12,
  messageTimestampType: "CreateTime",
  messageTimestampBeforeMsMax: unlimited,
  messageTimestampAfterMsMax: 60 * 60 * 1000,
  flushMessages: unlimited,
  flushMs: unlimited,
  fileDeleteDelayMs: 60_000,
  preallocate: false,
  deleteRetentionMs: dayMs,
  minCleanableDirtyRatio: 0.5,
  minCompactionLagMs: 0,
  maxCompactionLagMs: unlimited,
  uncleanLeaderElection: false,
  minInsyncReplicas: 1,
  remoteStorageEnable: false,
  remoteLogCopyDisable: false,
  remoteLogDeleteOnDisable: false,
};

/** After how long a segment is full by time: that of a compacted topic must close before the lag that compaction may have. */
export function segmentMsMax(config: LogConfig): number {
  const { cleanupPolicy, maxCompactionLagMs, segmentMs } = config;
  return cleanupPolicy.compact && maxCompactionLagMs > 0 ? Math.min(maxCompactionLagMs, segmentMs) : segmentMs;
}
