// What other nodes may read of the metadata log: from which position on, or what to read first. Kafka's rules (KIP-595, KIP-630, KIP-853).
import type { DiskFile, Uuid } from "../base/index.ts";
import type { ReadOutcome } from "../log/index.ts";
import type { SnapshotId } from "./metadata-quorum.ts";
import type { QuorumLog } from "./quorum-log.ts";

/** Formatting left it: it belongs to one directory and is never sent; its records are in the log. */
export const bootstrapSnapshotId: SnapshotId = { endOffset: 0, epoch: 0 };
/** One answer holds no more of the log, whatever was asked for; at least one batch always. */
export const quorumFetchBytesMax = 8 * 1024 * 1024;

export interface ReplicaKey {
  /** Negative: no replica, somebody who reads. */
  readonly id: number;
  readonly directoryId: Uuid;
}

/**
 * "valid": the reader's log is a prefix of this one. "diverging": its last epoch ended elsewhere; it truncates to what is named and asks
 * again. "snapshot": what it needs is no longer in the log.
 */
export type PositionOutcome =
  | { readonly kind: "valid" }
  | { readonly kind: "diverging"; readonly epoch: number; readonly endOffset: number }
  | { readonly kind: "snapshot"; readonly id: SnapshotId };

export interface ReplicatedLog {
  readonly directoryId: Uuid | null;
  readonly logStartOffset: number;
  /** The end of the log and the epoch of its last record. */
  readonly logEnd: SnapshotId;
  checkPosition(fetchOffset: number, lastFetchedEpoch: number): PositionOutcome;
  /** Written, committed or not. */
  read(from: number, bytesMax: number): ReadOutcome;
  /** For the caller to close; null where there is none. Throws DiskError. */
  openSnapshot(id: SnapshotId): DiskFile | null;
  onReplicaFetch(replica: ReplicaKey, fetchOffset: number, nowMs: number): void;
  whenAdvanced(listener: () => void): () => void;
}

interface Snapshots {
  readonly earliest: SnapshotId | null;
  readonly latest: SnapshotId | null;
}

function isSame(one: SnapshotId, other: SnapshotId): boolean {
  return one.endOffset === other.endOffset && one.epoch === other.epoch;
}

export function checkPosition(
  log: Pick<QuorumLog, "endOffsetForEpoch" | "logEndOffset" | "logStartOffset" | "latestLeaderEpoch">,
  { earliest, latest }: Snapshots,
  fetchOffset: number,
  lastFetchedEpoch: number,
): PositionOutcome {
  // An empty reader is faster with a snapshot than with the whole log.
  if (fetchOffset === 0 && latest !== null && !isSame(latest, bootstrapSnapshotId)) {
    return { kind: "snapshot", id: latest };
  }
  const start = log.logStartOffset;
  if (start === 0 && fetchOffset === 0) return { kind: "valid" };
  const isBeforeLog =
    earliest !== null &&
    (fetchOffset < start ||
      (fetchOffset === start && lastFetchedEpoch !== earliest.epoch) ||
      lastFetchedEpoch < earliest.epoch);
  if (isBeforeLog) return { kind: "snapshot", id: latest! };
  const end = endOfEpoch(log, earliest, lastFetchedEpoch);
  if (end.epoch !== lastFetchedEpoch || end.endOffset < fetchOffset) return { kind: "diverging", ...end };
  return { kind: "valid" };
}

export function endOfEpoch(
  log: Pick<QuorumLog, "endOffsetForEpoch" | "logEndOffset" | "latestLeaderEpoch">,
  earliest: SnapshotId | null,
  epoch: number,
): SnapshotId {
  const { endOffset, epoch: found } = log.endOffsetForEpoch(epoch);
  // An epoch that is not here yet: the reader has more than this log ever had. An empty log ends in its snapshot's epoch.
  if (endOffset < 0) {
    const last = log.latestLeaderEpoch >= 0 ? log.latestLeaderEpoch : (earliest?.epoch ?? 0);
    return { epoch: last, endOffset: log.logEndOffset };
  }
  // Older than all that the log holds: what is known of it is where the oldest snapshot ends.
  if (earliest !== null && endOffset === earliest.endOffset && found === epoch) return earliest;
  return { epoch: found, endOffset };
}
