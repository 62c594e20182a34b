// Moves the bytes that a plan named into one buffer. Cached pages are read here and now: that costs less than a trip to the thread pool. Cold
// ones are read on the pool, so that they stall nobody; then the whole answer waits for them. Decodes no record: at most it walks the
// headers of whole batches, to know where an answer ends.
import { type Clock, DiskError, type DiskFile, type Logger } from "@blumfeld/core/base";
import { batchHeaderBytes, batchNextOffset, batchSizeAt, offsetOf } from "@blumfeld/core/model";
import { ErrorCode } from "@blumfeld/core/protocol";
import type { FetchItem } from "./fetch-item.ts";
import { pieceBytes, pieceQuickMs, probeBytes, probeQuickMs, type ReadPace } from "./read-pace.ts";

/** What was written lately is read in one go up to this size. */
export const synchronousReadBytesMax = 8 * 1024 * 1024;

export interface ReadParts {
  readonly readPace: ReadPace;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Fills `target` with the records of all items. A promise where something was cold. */
export function readItems(items: readonly FetchItem[], target: Buffer, parts: ReadParts): Promise<void> | null {
  let at = 0;
  let cold: Promise<void>[] | null = null;
  for (const item of items) {
    const { slice } = item;
    if (slice === null) continue;
    const part = target.subarray(at, at + slice.sizeBytes);
    at += slice.sizeBytes;
    const later = readItem(item, part, parts);
    if (later === null) continue;
    cold ??= [];
    cold.push(later);
  }
  return cold === null ? null : Promise.all(cold).then(() => undefined);
}

/** A promise where not all of it was to be had at once. */
function readItem(item: FetchItem, part: Buffer, parts: ReadParts): Promise<void> | null {
  const { file, isRecent, position } = item.slice!;
  try {
    const isKnownCached = isRecent && part.length <= synchronousReadBytesMax;
    const count = isKnownCached ? file.read(part, position) : readWhileQuick(file, part, position, parts);
    if (!isKnownCached && count < part.length) return readRest(item, part, count, parts.logger);
    finishRead(item, part, count);
  } catch (error) {
    failRead(item, error, parts.logger);
  }
  return null;
}

/** Reads as long as it goes as fast as from memory; how much that was. */
function readWhileQuick(file: DiskFile, part: Buffer, position: number, { clock, readPace }: ReadParts): number {
  let startMs = clock.monotonicMs();
  if (!readPace.mayTry(startMs)) return 0;
  let at = 0;
  while (at < part.length) {
    const bytes = at === 0 ? probeBytes : pieceBytes;
    const wanted = Math.min(bytes, part.length - at);
    const count = file.read(part.subarray(at, at + wanted), position + at);
    at += count;
    const endMs = clock.monotonicMs();
    const isQuick = readPace.note(startMs, endMs, bytes === probeBytes ? probeQuickMs : pieceQuickMs);
    if (!isQuick || count < wanted) break;
    startMs = endMs;
  }
  return at;
}

async function readRest(item: FetchItem, part: Buffer, at: number, logger: Logger): Promise<void> {
  const slice = item.slice!;
  try {
    finishRead(item, part, at + (await slice.file.readLater(part.subarray(at), slice.position + at)));
  } catch (error) {
    failRead(item, error, logger);
  }
}

function finishRead(item: FetchItem, part: Buffer, count: number): void {
  item.records = count === part.length ? part : part.subarray(0, count);
  if (item.abortedTransactions === null || count === 0) return;
  const end = endOffsetOf(item.records) ?? item.lastStableOffset;
  item.abortedTransactions = item.partition?.log?.abortedTransactions(offsetOf(item.fetchOffset), offsetOf(end)) ?? [];
}

function failRead(item: FetchItem, error: unknown, logger: Logger): void {
  if (!(error instanceof DiskError)) throw error;
  logger.error({ partition: item.partition?.name, code: error.code }, `read failed: ${error.message}`);
  item.refuse(ErrorCode.KAFKA_STORAGE_ERROR);
  item.records = null;
}

/** One past the last offset of the last whole batch; null where there is none. */
function endOffsetOf(records: Buffer): number | null {
  let end: number | null = null;
  for (let at = 0; ; ) {
    const size = batchSizeAt(records, at);
    if (size < batchHeaderBytes || at + size > records.length) return end;
    end = batchNextOffset(records, at);
    at += size;
  }
}
