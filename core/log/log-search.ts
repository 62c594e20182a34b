// Looks offsets up by time: the time index says where to begin, batch headers where to look, the records which one it is. Written once as a
// generator that asks for what it needs, so that the same search runs at once or on the thread pool.

import type { DiskFile } from "../base/index.ts";
import { batchRecordsBytes, batchRecordsBytesLater, DecompressionProblem } from "../compression/index.ts";
import {
  batchHeaderBytes,
  batchLeaderEpoch,
  batchMaxTimestamp,
  batchSizeAt,
  type LeaderEpoch,
  type Offset,
  RecordBatchView,
  RecordCursor,
  type TimestampMs,
} from "../model/index.ts";
import { unpackedBytesMax } from "./append-validation.ts";
import type { LogState } from "./log-state.ts";
import type { TimestampedOffset } from "./outcomes.ts";
import type { Segment } from "./segment.ts";

type Need =
  | { readonly kind: "read"; readonly file: DiskFile; readonly target: Buffer; readonly position: number }
  | { readonly kind: "unpack"; readonly batch: RecordBatchView };

/** What comes back: nothing for a read (the target is filled), the records for a batch. */
type Search<T> = Generator<Need, T, Buffer | null>;

const unpackOptions = { outputBytesMax: unpackedBytesMax };
const pieceBytes = 64 * 1024;

export function runNow<T>(search: Search<T>): T {
  let answer: Buffer | null = null;
  for (;;) {
    const step = search.next(answer);
    if (step.done === true) return step.value;
    const need: Need = step.value;
    if (need.kind === "read") {
      need.file.read(need.target, need.position);
      answer = null;
    } else {
      answer = recordsOf(batchRecordsBytes(need.batch, unpackOptions));
    }
  }
}

export async function runLater<T>(search: Search<T>): Promise<T> {
  let answer: Buffer | null = null;
  for (;;) {
    const step = search.next(answer);
    if (step.done === true) return step.value;
    const need: Need = step.value;
    if (need.kind === "read") {
      await need.file.readLater(need.target, need.position);
      answer = null;
    } else {
      answer = recordsOf(await batchRecordsBytesLater(need.batch, unpackOptions));
    }
  }
}

function recordsOf(unpacked: Buffer | DecompressionProblem): Buffer | null {
  return unpacked instanceof DecompressionProblem ? null : unpacked;
}

/** The first record at or after the log's start whose timestamp is `timestamp` or later; null where there is none. */
export function* searchTimestamp(state: LogState, timestamp: number): Search<TimestampedOffset | null> {
  const { logStartOffset } = state;
  for (const segment of [...state.segments]) {
    if (segment.writtenBytes === 0 || segment.largestTimestamp < timestamp) continue;
    const from = Math.max(segment.indexes.offsetForTime(timestamp), logStartOffset);
    const found = yield* searchRecords(
      segment,
      segment.positionFor(from),
      (maxTimestamp) => maxTimestamp >= timestamp,
      (cursor) => cursor.timestamp >= timestamp && cursor.offset >= logStartOffset,
    );
    if (found !== null) return found;
  }
  return null;
}

/** The first record that has the latest timestamp of the log; null where no record has one. */
export function* searchMaxTimestamp(state: LogState): Search<TimestampedOffset | null> {
  let latest: Segment | null = null;
  for (const segment of state.segments) {
    if (segment.writtenBytes === 0) continue;
    if (latest === null || segment.maxTimestamp > latest.maxTimestamp) latest = segment;
  }
  if (latest === null || latest.maxTimestamp < 0) return null;
  const { maxTimestamp, maxTimestampOffset } = latest;
  return yield* searchRecords(
    latest,
    latest.positionFor(maxTimestampOffset),
    (batchTimestamp) => batchTimestamp === maxTimestamp,
    (cursor) => cursor.timestamp === maxTimestamp,
  );
}

function* searchRecords(
  segment: Segment,
  position: number,
  mayHold: (batchMaxTimestamp: number) => boolean,
  matches: (cursor: RecordCursor) => boolean,
): Search<TimestampedOffset | null> {
  const file = segment.log;
  const end = segment.writtenBytes;
  const piece = Buffer.allocUnsafe(Math.min(pieceBytes, Math.max(end - position, 0)));
  let pieceStart = 0;
  let pieceEnd = 0;
  let at = position;
  while (at + batchHeaderBytes <= end) {
    if (at < pieceStart || at + batchHeaderBytes > pieceEnd) {
      const target = piece.subarray(0, Math.min(piece.length, end - at));
      yield { kind: "read", file, target, position: at };
      pieceStart = at;
      pieceEnd = at + target.length;
    }
    const size = batchSizeAt(piece, at - pieceStart);
    if (size < batchHeaderBytes || at + size > end) return null;
    if (mayHold(batchMaxTimestamp(piece, at - pieceStart))) {
      const whole = Buffer.allocUnsafe(size);
      yield { kind: "read", file, target: whole, position: at };
      const found = yield* searchBatch(new RecordBatchView(whole, 0), matches);
      if (found !== null) return found;
    }
    at += size;
  }
  return null;
}

function* searchBatch(
  batch: RecordBatchView,
  matches: (cursor: RecordCursor) => boolean,
): Search<TimestampedOffset | null> {
  const records = yield { kind: "unpack", batch };
  if (records === null) return null;
  const cursor = new RecordCursor().openRecords(batch, records);
  while (cursor.next()) {
    if (!matches(cursor)) continue;
    const leaderEpoch = batchLeaderEpoch(batch.buffer, batch.position);
    return {
      timestamp: cursor.timestamp as TimestampMs,
      offset: cursor.offset as Offset,
      leaderEpoch: leaderEpoch as LeaderEpoch,
    };
  }
  return null;
}
