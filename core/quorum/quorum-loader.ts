// Reads the state of a metadata log at start: the newest snapshot, the log after it, the voters that both name, quorum-state. Checks that
// they fit together and hands every record on. Changes nothing but the log's end, and that only where a snapshot is ahead of it.
import { type Disk, DiskError, MalformedMessage } from "../base/index.ts";
import type { Offset } from "../model/index.ts";
import type { ControlRecord, MetadataRecord } from "../protocol/index.ts";
import type { CommittedBatch, QuorumListener, SnapshotId, Voter } from "./metadata-quorum.ts";
import type { QuorumLog } from "./quorum-log.ts";
import { listSnapshots, removeSnapshotRemains, snapshotFileName } from "./snapshot-id.ts";
import { type MetadataBatch, readMetadataBatches, readSnapshot, SnapshotDamaged } from "./snapshot-reader.ts";
import { type QuorumState, quorumStateName, readQuorumState } from "./storage/quorum-state.ts";
import { type StorageRefusal, storageRefusal } from "./storage/storage-directories.ts";

export interface LoadedQuorum {
  readonly kind: "loaded";
  /** Null before the first election. */
  readonly state: QuorumState | null;
  /** 0 until a control record says otherwise. */
  readonly kraftVersion: number;
  /** Null with kraft.version 0: the configuration names them. */
  readonly voters: readonly Voter[] | null;
  /** Whether the log itself names the voters, not the formatting snapshot alone. */
  readonly votersAreInLog: boolean;
  readonly snapshots: readonly SnapshotId[];
  readonly lastEpoch: number;
  /** Of the last record; 0 where there is none. */
  readonly lastTimestampMs: number;
  /** Bytes of the log after the newest snapshot. */
  readonly bytesAfterSnapshot: number;
}

/** Read from the log at once. */
const loadPieceBytes = 4 * 1024 * 1024;

interface LoadState {
  kraftVersion: number;
  voters: Voter[] | null;
  votersAreInLog: boolean;
  lastEpoch: number;
  lastTimestampMs: number;
  bytesAfterSnapshot: number;
}

export function loadQuorum(
  disk: Disk,
  log: QuorumLog,
  listeners: readonly QuorumListener[],
): LoadedQuorum | StorageRefusal {
  try {
    return load(disk, log, listeners);
  } catch (error) {
    if (error instanceof SnapshotDamaged || error instanceof MalformedMessage) {
      return storageRefusal(
        "damaged",
        `The cluster's metadata cannot be read: ${error.message}. Restore ${log.path} from a backup or from another node of the quorum.`,
      );
    }
    if (error instanceof DiskError) return storageRefusal("disk", `${error.path} cannot be read: ${error.code}.`);
    throw error;
  }
}

function load(disk: Disk, log: QuorumLog, listeners: readonly QuorumListener[]): LoadedQuorum | StorageRefusal {
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
  const snapshots = listSnapshots(disk, log.path);
  const newest = snapshots.at(-1);
  const loaded: LoadState = {
    kraftVersion: 0,
    voters: null,
    votersAreInLog: false,
    lastEpoch: 0,
    lastTimestampMs: 0,
    bytesAfterSnapshot: 0,
  };
  if (newest !== undefined) loadSnapshot(disk, log, newest, listeners, loaded);
  const start = newest?.endOffset ?? 0;
  if (log.logStartOffset > start) {
    return storageRefusal(
      "damaged",
      `${log.path} begins at offset ${log.logStartOffset}, but its newest snapshot ends at ${start}: records are missing. Restore the folder from a backup or from another node of the quorum.`,
    );
  }
  if (log.logEndOffset < start) log.truncateFullyAndStartAt(start as Offset);
  loadLog(log, start, listeners, loaded);
  return { kind: "loaded", state: state.kind === "read" ? state.state : null, snapshots, ...loaded };
}

function loadSnapshot(
  disk: Disk,
  log: QuorumLog,
  id: SnapshotId,
  listeners: readonly QuorumListener[],
  loaded: LoadState,
): void {
  const path = `${log.path}/${snapshotFileName(id)}`;
  const records = function* (): Generator<MetadataRecord> {
    for (const batch of readSnapshot(disk, path)) {
      for (const control of batch.controls) onControl(control, loaded, false);
      yield* batch.records;
    }
  };
  // Read once for each listener; the voters are the same each time.
  for (const listener of listeners) listener.onSnapshot(id, records());
  loaded.lastEpoch = id.epoch;
}

function loadLog(log: QuorumLog, start: number, listeners: readonly QuorumListener[], loaded: LoadState): void {
  let next = start;
  const end = log.logEndOffset;
  while (next < end) {
    const slice = log.read(next as Offset, { bytesMax: loadPieceBytes, upTo: end, minOneBatch: true });
    if (slice.kind !== "slice") throw new SnapshotDamaged(log.path, next, `no records from offset ${next} on`);
    const batches: CommittedBatch[] = [];
    const { file, position, sizeBytes } = slice;
    const from = next;
    // A slice may end inside a batch: the whole batches before that are read.
    for (const batch of readMetadataBatches(file, position, position + sizeBytes, file.path, true)) {
      loaded.bytesAfterSnapshot += batch.sizeBytes;
      loaded.lastEpoch = batch.epoch;
      loaded.lastTimestampMs = batch.timestampMs;
      for (const control of batch.controls) onControl(control, loaded, true);
      if (batch.records.length > 0) batches.push(from > batch.baseOffset ? batchFrom(batch, from) : batch);
      next = batch.lastOffset + 1;
    }
    for (const listener of listeners) listener.onCommit(batches);
    if (next <= from) throw new SnapshotDamaged(file.path, position, `no batch with offset ${from}`);
  }
}

/** A snapshot may end inside a batch: what it has is not replayed again. */
function batchFrom(batch: MetadataBatch, offset: number): MetadataBatch {
  return { ...batch, baseOffset: offset, records: batch.records.slice(offset - batch.baseOffset) };
}

function onControl(control: ControlRecord, loaded: LoadState, inLog: boolean): void {
  if (control.type === "KRaftVersion") loaded.kraftVersion = control.value.kRaftVersion;
  if (control.type !== "Voters") return;
  loaded.votersAreInLog = inLog;
  loaded.voters = control.value.voters.map((voter) => ({
    id: voter.voterId,
    directoryId: voter.voterDirectoryId,
    endpoints: voter.endpoints.map(({ name, host, port }) => ({ name, host, port })),
  }));
}
