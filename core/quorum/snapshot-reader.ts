// Reads snapshots and other files of metadata batches, in pieces: a file of any size costs one piece of memory. What is wrong with a
// file is thrown as SnapshotDamaged and names the file and the place.
import type { Disk, DiskFile } from "../base/index.ts";
import { readBatchRecords } from "../compression/index.ts";
import { batchDamage, batchHeaderBytes, batchSizeAt, RecordBatchView } from "../model/index.ts";
import {
  type ControlRecord,
  decodeControlRecord,
  decodeMetadataRecord,
  type MetadataRecord,
} from "../protocol/index.ts";

/** Read at once; a larger batch is read whole. */
const pieceBytes = 1024 * 1024;
/** Kafka's metadata batches have at most 8 MiB; anything far above is not one. */
export const metadataBatchBytesMax = 64 * 1024 * 1024;

export class SnapshotDamaged extends Error {
  override name = "SnapshotDamaged";
  readonly path: string;
  constructor(path: string, position: number, what: string) {
    super(`${path}: ${what} at byte ${position}`);
    this.path = path;
  }
}

/** One batch of metadata records or of control records. */
export interface MetadataBatch {
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly epoch: number;
  readonly timestampMs: number;
  readonly sizeBytes: number;
  readonly records: readonly MetadataRecord[];
  readonly controls: readonly ControlRecord[];
}

/** The batches of a file from `start` to `end`. A batch cut at the end is damage, unless `mayEndCut`; the first one must be whole. */
export function* readMetadataBatches(
  file: DiskFile,
  start: number,
  end: number,
  path: string = file.path,
  mayEndCut = false,
  /** Batches of records are then named, not decoded: for whoever looks for control records. */
  controlsOnly = false,
): Generator<MetadataBatch> {
  const decode = controlsOnly ? decodeControlsOnly : decodeMetadataBatch;
  let position = start;
  while (position < end) {
    const piece = readPiece(file, position, Math.min(pieceBytes, end - position), path);
    let at = 0;
    for (;;) {
      const size = batchSizeAt(piece, at);
      if (size === -1) break;
      if (size < batchHeaderBytes || size > metadataBatchBytesMax) {
        throw new SnapshotDamaged(path, position + at, `a batch of ${size} bytes`);
      }
      if (size > piece.length - at) break;
      yield decode(new RecordBatchView(piece, at), path, position + at);
      at += size;
    }
    if (at === 0) {
      const size = batchSizeAt(piece, 0);
      if (size === -1 || position + size > end) {
        if (mayEndCut && position > start) return;
        throw new SnapshotDamaged(path, position, "a batch is cut");
      }
      const whole = readPiece(file, position, size, path);
      yield decode(new RecordBatchView(whole, 0), path, position);
      at = size;
    }
    position += at;
  }
}

function readPiece(file: DiskFile, position: number, length: number, path: string): Buffer {
  const piece = Buffer.allocUnsafeSlow(length);
  const count = file.read(piece, position);
  if (count < length) throw new SnapshotDamaged(path, position + count, "the file ends");
  return piece;
}

/** Throws SnapshotDamaged where the batch does not stand as it was written. */
export function decodeMetadataBatch(batch: RecordBatchView, path: string, position: number): MetadataBatch {
  const damage = batchDamage(batch.buffer, batch.position);
  if (damage !== null) throw new SnapshotDamaged(path, position, `a damaged batch (${damage})`);
  const logRecords = readBatchRecords(batch, { outputBytesMax: metadataBatchBytesMax });
  if (!Array.isArray(logRecords)) throw new SnapshotDamaged(path, position, `unreadable records (${logRecords.code})`);
  const records: MetadataRecord[] = [];
  const controls: ControlRecord[] = [];
  for (const { key, value, offset } of logRecords) {
    if (value === null) throw new SnapshotDamaged(path, position, `record ${offset} has no value`);
    if (!batch.isControl) records.push(decodeMetadataRecord(value));
    else if (key === null) throw new SnapshotDamaged(path, position, `control record ${offset} has no key`);
    else controls.push(decodeControlRecord(key, value));
  }
  return {
    baseOffset: batch.baseOffset,
    lastOffset: batch.lastOffset,
    epoch: batch.leaderEpoch,
    timestampMs: batch.maxTimestamp,
    sizeBytes: batch.sizeBytes,
    records,
    controls,
  };
}

function decodeControlsOnly(batch: RecordBatchView, path: string, position: number): MetadataBatch {
  if (batch.isControl) return decodeMetadataBatch(batch, path, position);
  return {
    baseOffset: batch.baseOffset,
    lastOffset: batch.lastOffset,
    epoch: batch.leaderEpoch,
    timestampMs: batch.maxTimestamp,
    sizeBytes: batch.sizeBytes,
    records: [],
    controls: [],
  };
}

/** A whole snapshot: that it begins with a header and ends with a footer is checked while it is read. */
export function* readSnapshot(disk: Disk, path: string): Generator<MetadataBatch> {
  const file = disk.open(path, "read");
  try {
    const size = file.sizeBytes();
    let last: ControlRecord | undefined;
    let isFirst = true;
    for (const batch of readMetadataBatches(file, 0, size, path)) {
      if (isFirst && batch.controls[0]?.type !== "SnapshotHeader") {
        throw new SnapshotDamaged(path, 0, "no snapshot header");
      }
      isFirst = false;
      last = batch.controls.at(-1);
      yield batch;
    }
    if (last?.type !== "SnapshotFooter") throw new SnapshotDamaged(path, size, "no snapshot footer");
  } finally {
    file.close();
  }
}
