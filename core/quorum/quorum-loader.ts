// Reads the state of a metadata log at start: the newest snapshot, into the listeners; the voters that it and the log name; quorum-state.
// Checks that they fit together. Records of the log wait until they are known to be committed. Changes nothing but the log's end, and that
// only where a snapshot is ahead of it.
import { type Disk, DiskError, MalformedMessage } from "../base/index.ts";
import type { Offset } from "../model/index.ts";
import type { MetadataRecord } from "../protocol/index.ts";
import type { QuorumListener, SnapshotId } from "./metadata-quorum.ts";
import type { QuorumLog } from "./quorum-log.ts";
import { listSnapshots, removeSnapshotRemains, snapshotFileName } from "./snapshot-id.ts";
import { readMetadataBatches, readSnapshot, SnapshotDamaged } from "./snapshot-reader.ts";
import { type QuorumState, quorumStateName, readQuorumState } from "./storage/quorum-state.ts";
import { type StorageRefusal, storageRefusal } from "./storage/storage-directories.ts";
import type { VoterHistory } from "./voter-set.ts";

export interface LoadedQuorum {
  readonly kind: "loaded";
  /** Null before the first election. */
  readonly state: QuorumState | null;
  readonly snapshots: readonly SnapshotId[];
  /** Where the newest snapshot ends, and the epoch of its last record; 0 where there is none. */
  readonly snapshotEnd: SnapshotId;
  /** Of the last record of the log, or of the snapshot before it. */
  readonly lastEpoch: number;
  /** Bytes of the log after the newest snapshot. */
  readonly bytesAfterSnapshot: number;
}

/** Read from the log at once. */
const loadPieceBytes = 4 * 1024 * 1024;

export function loadQuorum(
  disk: Disk,
  log: QuorumLog,
  listeners: readonly QuorumListener[],
  history: VoterHistory,
): LoadedQuorum | StorageRefusal {
  try {
    return load(disk, log, listeners, history);
  } catch (error) {
    const refusal = loadRefusal(log, error);
    if (refusal === null) throw error;
    return refusal;
  }
}

/** Null for what is no fault of the files. */
export function loadRefusal(log: Pick<QuorumLog, "path">, error: unknown): StorageRefusal | null {
  if (error instanceof SnapshotDamaged || error instanceof MalformedMessage) {
    return storageRefusal(
      "damaged",
      `The cluster's metadata cannot be read: ${error.message}. Restore ${log.path} from a backup or from another node of the quorum.`,
    );
  }
  if (error instanceof DiskError) return storageRefusal("disk", `${error.path} cannot be read: ${error.code}.`);
  return null;
}

function load(
  disk: Disk,
  log: QuorumLog,
  listeners: readonly QuorumListener[],
  history: VoterHistory,
): LoadedQuorum | StorageRefusal {
  const state = readQuorumState(disk, log.path);
  if (state.kind === "damaged") {
    const path = `${log.path}/${quorumStateName}`;
    return storageRefusal("damaged", `${path} cannot be used: ${state.problem}. Restore it from a backup.`);
  }
  if (state.kind === "missing" && log.logEndOffset > log.logStartOffset) {
    return storageRefusal(
      "quorum-state-missing",
      `${log.path} holds records up to offset ${log.logEndOffset}, but no ${quorumStateName}: a vote may have been forgotten. Restore the file from a backup, or take the whole folder from one.`,
    );
  }
  removeSnapshotRemains(disk, log.path);
  const found = listSnapshots(disk, log.path);
  const newest = found.at(-1);
  if (newest !== undefined) loadSnapshot(disk, log, newest, listeners, history);
  const start = newest?.endOffset ?? 0;
  if (log.logStartOffset > start) {
    return storageRefusal(
      "damaged",
      `${log.path} begins at offset ${log.logStartOffset}, but its newest snapshot ends at ${start}: records are missing. Restore the folder from a backup or from another node of the quorum.`,
    );
  }
  // A crash between a fetched snapshot's rename and the cut of the log that it replaces.
  const isBehind =
    newest !== undefined && log.logEndOffset > log.logStartOffset && newest.epoch > log.latestLeaderEpoch;
  if (log.logEndOffset < start || (isBehind && start > 0)) log.truncateFullyAndStartAt(start as Offset);
  // The log does not continue those that end before it.
  const snapshots = found.filter(({ endOffset }) => endOffset >= log.logStartOffset);
  for (const id of found) if (!snapshots.includes(id)) disk.removeFile(`${log.path}/${snapshotFileName(id)}`);
  raiseStart(log, snapshots[0]?.endOffset ?? 0, start);
  const scanned = scanLog(log, start, history);
  return {
    ...{ kind: "loaded", snapshots, snapshotEnd: newest ?? { endOffset: 0, epoch: 0 } },
    state: state.kind === "read" ? state.state : null,
    lastEpoch: Math.max(scanned.lastEpoch, newest?.epoch ?? 0),
    bytesAfterSnapshot: scanned.bytes,
  };
}

/**
 * Before the oldest snapshot's end there may be records left, of which the epochs are forgotten: who parts from them there would not be
 * found out. The log begins where both are.
 */
function raiseStart(log: QuorumLog, oldestEnd: number, newestEnd: number): void {
  const floor = Math.min(Math.max(oldestEnd, log.leaderEpochs[0]?.startOffset ?? 0), newestEnd) as Offset;
  if (floor <= log.logStartOffset) return;
  log.setHighWatermark(floor);
  log.deleteRecordsBefore(floor);
}

/** A snapshot's state, into every listener; its voters, into the history. Read once for each listener. */
export function loadSnapshot(
  disk: Disk,
  log: Pick<QuorumLog, "path">,
  id: SnapshotId,
  listeners: readonly QuorumListener[],
  history: VoterHistory,
): void {
  const path = `${log.path}/${snapshotFileName(id)}`;
  const records = function* (): Generator<MetadataRecord> {
    history.reset();
    for (const batch of readSnapshot(disk, path)) {
      for (const control of batch.controls) history.onControl(control, -1);
      yield* batch.records;
    }
  };
  if (listeners.length === 0) for (const _ of records());
  for (const listener of listeners) listener.onSnapshot(id, records());
}

/**
 * Finds the voters that the log names, committed or not. A loss of power may take the end of one segment and leave the next: what follows the
 * gap had not been synced either, and goes.
 */
function scanLog(log: QuorumLog, start: number, history: VoterHistory): { lastEpoch: number; bytes: number } {
  let next = start;
  let lastEpoch = 0;
  let bytes = 0;
  while (next < log.logEndOffset) {
    const end = log.logEndOffset;
    const slice = log.read(next as Offset, { bytesMax: loadPieceBytes, upTo: end, minOneBatch: true });
    if (slice.kind !== "slice") {
      log.truncateTo(next as Offset);
      break;
    }
    const { file, position, sizeBytes } = slice;
    const from = next;
    // A slice may end inside a batch: the whole batches before that are read.
    for (const batch of readMetadataBatches(file, position, position + sizeBytes, file.path, true, true)) {
      if (batch.baseOffset > next) {
        log.truncateTo(next as Offset);
        break;
      }
      bytes += batch.sizeBytes;
      lastEpoch = batch.epoch;
      batch.controls.forEach((control, index) => {
        if (batch.baseOffset + index >= start) history.onControl(control, batch.baseOffset + index);
      });
      next = batch.lastOffset + 1;
    }
    if (next <= from && next < log.logEndOffset) {
      throw new SnapshotDamaged(file.path, position, `no batch with offset ${from}`);
    }
  }
  return { lastEpoch, bytes };
}
