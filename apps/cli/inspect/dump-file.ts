// Any file of a log directory as a list of rows: batches and records of segments and metadata snapshots, entries of indexes, lines of checkpoints.
// Records of internal topics are decoded. Rows are plain objects; how they are shown is the command's affair. Reads only.
import { type Disk, MalformedMessage } from "@blumfeld/core/base";
import { DecompressionProblem, readBatchRecords } from "@blumfeld/core/compression";
import { fileNameOffset, fileSuffix, parsePartitionFolder } from "@blumfeld/core/log";
import { decodeProducerSnapshotEntries, scanSegment, usedEntries } from "@blumfeld/core/log/inspect";
import {
  clusterMetadataTopic,
  consumerOffsetsTopic,
  iterateBatches,
  type LogRecord,
  type RecordBatchView,
  readInt64,
  shareGroupStateTopic,
  transactionStateTopic,
} from "@blumfeld/core/model";
import {
  decodeControlRecord,
  decodeMetadataRecord,
  groupCoordinatorRecords,
  shareCoordinatorRecords,
  transactionCoordinatorRecords,
} from "@blumfeld/core/protocol";

export interface DumpRow {
  /** "batch", "record", "entry", "producer", "line", "damage". */
  readonly kind: string;
  readonly [field: string]: unknown;
}

const codecNames = ["none", "gzip", "snappy", "lz4", "zstd"];
const recordsBytesMax = 1 << 30;

/** Whether dumpFile knows what to make of it. */
export function isDumpable(name: string): boolean {
  return /(\.log|\.index|\.timeindex|\.txnindex|\.snapshot|\.checkpoint)(\.(deleted|cleaned|swap|part))?$|-checkpoint$|^(partition\.metadata|meta\.properties|quorum-state|bootstrap\.checkpoint|\.kafka_cleanshutdown)$/.test(
    name,
  );
}

/** Throws DiskError. */
export function* dumpFile(disk: Disk, path: string): Generator<DumpRow> {
  const parts = path.split("/");
  const name = parts.at(-1)!.replace(/\.(deleted|cleaned|swap|part)$/, "");
  const topic = parsePartitionFolder(parts.at(-2) ?? "")?.topicPartition.topic ?? "";
  if (name.endsWith(fileSuffix.log)) yield* dumpBatches(disk, path, topic);
  else if (name.endsWith(".checkpoint")) yield* dumpBatches(disk, path, clusterMetadataTopic);
  else if (name.endsWith(fileSuffix.offsetIndex)) yield* dumpOffsetIndex(disk.readFile(path), baseOf(name));
  else if (name.endsWith(fileSuffix.timeIndex)) yield* dumpTimeIndex(disk.readFile(path), baseOf(name));
  else if (name.endsWith(fileSuffix.transactionIndex)) yield* dumpTransactionIndex(disk.readFile(path));
  else if (name.endsWith(fileSuffix.producerSnapshot)) yield* dumpProducers(disk.readFile(path));
  else yield* dumpText(disk.readFile(path));
}

function baseOf(name: string): number {
  return fileNameOffset(name) ?? 0;
}

function* dumpBatches(disk: Disk, path: string, topic: string): Generator<DumpRow> {
  const file = disk.open(path, "read");
  try {
    const { batches, damaged } = scanSegment(file);
    const places = [
      ...batches.map(({ position, sizeBytes }) => ({ position, sizeBytes, what: null })),
      ...damaged.map(({ start, end, what }) => ({ position: start, sizeBytes: end - start, what })),
    ].sort((one, other) => one.position - other.position);
    for (const { position, sizeBytes, what } of places) {
      if (what !== null) {
        yield { kind: "damage", position, sizeBytes, problem: what };
        continue;
      }
      const bytes = Buffer.allocUnsafe(sizeBytes);
      file.read(bytes, position);
      for (const batch of iterateBatches(bytes)) yield* dumpBatch(batch, position, topic);
    }
  } finally {
    file.close();
  }
}

function* dumpBatch(batch: RecordBatchView, position: number, topic: string): Generator<DumpRow> {
  yield {
    kind: "batch",
    position,
    sizeBytes: batch.sizeBytes,
    baseOffset: batch.baseOffset,
    lastOffset: batch.lastOffset,
    count: batch.recordCount,
    leaderEpoch: batch.leaderEpoch,
    codec: codecNames[batch.codecId] ?? `unknown ${batch.codecId}`,
    timestampType: batch.timestampType,
    maxTimestamp: batch.maxTimestamp,
    ...(batch.producerId < 0
      ? {}
      : { producerId: batch.producerId, producerEpoch: batch.producerEpoch, baseSequence: batch.baseSequence }),
    ...(batch.isTransactional ? { transactional: true } : {}),
    ...(batch.isControl ? { control: true } : {}),
    ...(batch.deleteHorizon === null ? {} : { deleteHorizonMs: batch.deleteHorizon }),
    crc: batch.crc,
  };
  const records = readBatchRecords(batch, { outputBytesMax: recordsBytesMax });
  if (records instanceof DecompressionProblem || !Array.isArray(records)) {
    yield { kind: "damage", position, sizeBytes: batch.sizeBytes, problem: `the records cannot be read: ${records}` };
    return;
  }
  for (const record of records) yield recordRow(record, batch.isControl, topic);
}

function recordRow(record: LogRecord, isControl: boolean, topic: string): DumpRow {
  const { offset, timestamp, key, value, headers } = record;
  const head = { kind: "record", offset, timestamp };
  const decoded = decodedRecord(key, value, isControl, topic);
  if (decoded !== null) return { ...head, ...decoded };
  return {
    ...head,
    key: textOf(key),
    value: textOf(value),
    ...(headers.length === 0
      ? {}
      : { headers: headers.map((header) => ({ key: header.key, value: textOf(header.value) })) }),
  };
}

/** Null for a record of a user's topic. What a newer node wrote is shown as bytes. */
function decodedRecord(key: Buffer | null, value: Buffer | null, isControl: boolean, topic: string): object | null {
  try {
    if (isControl) return key === null || value === null ? null : { control: decodeControlRecord(key, value) };
    if (topic === clusterMetadataTopic) return value === null ? null : decodeMetadataRecord(value);
    if (key === null) return null;
    if (topic === consumerOffsetsTopic) return groupCoordinatorRecords.decode(key, value);
    if (topic === transactionStateTopic) return transactionCoordinatorRecords.decode(key, value);
    if (topic === shareGroupStateTopic) return shareCoordinatorRecords.decode(key, value);
    return null;
  } catch (error) {
    if (error instanceof MalformedMessage) return { problem: error.message, key: textOf(key), value: textOf(value) };
    throw error;
  }
}

/** Text where it is text, else hex with a mark before it. */
export function textOf(bytes: Buffer | null): string | null {
  if (bytes === null) return null;
  const text = bytes.toString("utf8");
  // A byte below the space that is no tab or line end says that these are not words.
  const isText = bytes.every((byte) => byte >= 0x20 || (byte >= 0x09 && byte <= 0x0d));
  return isText && Buffer.from(text, "utf8").equals(bytes) ? text : `0x${bytes.toString("hex")}`;
}

function* dumpOffsetIndex(bytes: Buffer, base: number): Generator<DumpRow> {
  const count = usedEntries(bytes, 8);
  for (let index = 0; index < count; index++)
    yield { kind: "entry", offset: base + bytes.readInt32BE(index * 8), position: bytes.readInt32BE(index * 8 + 4) };
}

function* dumpTimeIndex(bytes: Buffer, base: number): Generator<DumpRow> {
  const count = usedEntries(bytes, 12);
  for (let index = 0; index < count; index++)
    yield { kind: "entry", timestamp: readInt64(bytes, index * 12), offset: base + bytes.readInt32BE(index * 12 + 8) };
}

function* dumpTransactionIndex(bytes: Buffer): Generator<DumpRow> {
  for (let at = 0; at + 34 <= bytes.length; at += 34)
    yield {
      kind: "entry",
      version: bytes.readInt16BE(at),
      producerId: readInt64(bytes, at + 2),
      firstOffset: readInt64(bytes, at + 10),
      lastOffset: readInt64(bytes, at + 18),
      lastStableOffset: readInt64(bytes, at + 26),
    };
}

function* dumpProducers(bytes: Buffer): Generator<DumpRow> {
  const entries = decodeProducerSnapshotEntries(bytes);
  if (entries === null) {
    yield {
      kind: "damage",
      position: 0,
      sizeBytes: bytes.length,
      problem: "no producer snapshot, or its checksum does not fit",
    };
    return;
  }
  for (const entry of entries) yield { kind: "producer", ...entry };
}

function* dumpText(bytes: Buffer): Generator<DumpRow> {
  for (const line of bytes.toString("utf8").split("\n")) if (line !== "") yield { kind: "line", text: line };
}
