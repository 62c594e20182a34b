// What the quorum needs of a log: the part of core/log's PartitionLog that it uses.
import type { PartitionLog } from "../log/index.ts";

export type QuorumLog = Pick<
  PartitionLog,
  | "append"
  | "assignLeaderEpoch"
  | "close"
  | "deleteOldSegments"
  | "deleteRecordsBefore"
  | "endOffsetForEpoch"
  | "flush"
  | "flushLater"
  | "highWatermark"
  | "latestLeaderEpoch"
  | "leaderEpochs"
  | "logEndOffset"
  | "logStartOffset"
  | "path"
  | "read"
  | "setHighWatermark"
  | "sizeBytes"
  | "truncateFullyAndStartAt"
  | "truncateTo"
  | "writePending"
>;
