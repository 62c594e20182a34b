// Moves the bytes that a plan named into one buffer. Cached pages are read here and now: that costs less than a trip to the thread pool. Cold
// ones are read on the pool, so that they stall nobody; then the whole answer waits for them. Decodes no record: at most it walks the
// headers of whole batches, to know where an answer ends.
import { DiskError, type Logger } from "@blumfeld/core/base";
import { batchHeaderBytes, batchNextOffset, batchSizeAt, offsetOf } from "@blumfeld/core/model";
import { ErrorCode } from "@blumfeld/core/protocol";
import type { FetchItem } from "./fetch-item.ts";

/** One synchronous read is no larger: the loop goes on in between reads that wait for the pool, never inside one. */
export const synchronousReadBytesMax = 8 * 1024 * 1024;

/** Fills `target` with the records of all items. A promise where something was cold. */
export function readItems(items: readonly FetchItem[], target: Buffer, logger: Logger): Promise<void> | null {
  let at = 0;
  let cold: Promise<void>[] | null = null;
  for (const item of items) {
    const { slice } = item;
    if (slice === null) continue;
    const part = target.subarray(at, at + slice.sizeBytes);
    at += slice.sizeBytes;
    if (slice.isRecent && slice.sizeBytes <= synchronousReadBytesMax) readNow(item, part, logger);
    else {
      cold ??= [];
      cold.push(readCold(item, part, logger));
    }
  }
  return cold === null ? null : Promise.all(cold).then(() => undefined);
}

function readNow(item: FetchItem, part: Buffer, logger: Logger): void {
  const slice = item.slice!;
  try {
    finishRead(item, part, slice.file.read(part, slice.position));
  } catch (error) {
    failRead(item, error, logger);
  }
}

async function readCold(item: FetchItem, part: Buffer, logger: Logger): Promise<void> {
  const slice = item.slice!;
  try {
    finishRead(item, part, await slice.file.readLater(part, slice.position));
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
