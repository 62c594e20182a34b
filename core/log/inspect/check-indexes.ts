// A segment's indexes against its batches: every entry must name what is there. Entries are read as they stand in the files.
import { readInt64 } from "../../model/index.ts";
import { abortedEntryBytes, offsetEntryBytes, timeEntryBytes } from "../segment-indexes.ts";
import type { Findings } from "./finding.ts";
import type { DamagedRange, ScannedBatch } from "./segment-scan.ts";

/** Files that were allocated ahead end in zeros, and those are no entries. */
export function usedEntries(bytes: Buffer, entryBytes: number): number {
  let end = bytes.length - (bytes.length % entryBytes);
  while (end > 0 && bytes[end - 1] === 0) end--;
  return Math.ceil(end / entryBytes);
}

function checkSize(found: Findings, path: string, bytes: Buffer, entryBytes: number): void {
  const rest = bytes.length % entryBytes;
  if (rest !== 0)
    found.add("mendable", path, bytes.length - rest, `${rest} bytes at the end, less than an entry of ${entryBytes}`);
}

export function checkOffsetIndex(
  found: Findings,
  path: string,
  bytes: Buffer,
  baseOffset: number,
  batches: readonly ScannedBatch[],
  damaged: readonly DamagedRange[],
): void {
  checkSize(found, path, bytes, offsetEntryBytes);
  const byPosition = new Map(batches.map((batch) => [batch.position, batch]));
  let before = -1;
  const count = usedEntries(bytes, offsetEntryBytes);
  for (let index = 0; index < count; index++) {
    const at = index * offsetEntryBytes;
    const offset = baseOffset + bytes.readInt32BE(at);
    const position = bytes.readInt32BE(at + 4);
    const batch = byPosition.get(position);
    // The damage itself has been told of.
    if (damaged.some(({ start, end }) => position >= start && position < end)) continue;
    if (offset <= before) found.add("mendable", path, at, `entry ${index} has offset ${offset}, after ${before}`);
    else if (batch === undefined)
      found.add(
        "mendable",
        path,
        at,
        `entry ${index} (offset ${offset}) points to byte ${position}, where no batch begins`,
      );
    else if (batch.baseOffset > offset)
      found.add(
        "mendable",
        path,
        at,
        `entry ${index} has offset ${offset}, and the batch there begins at ${batch.baseOffset}`,
      );
    before = Math.max(before, offset);
  }
}

export function checkTimeIndex(
  found: Findings,
  path: string,
  bytes: Buffer,
  baseOffset: number,
  batches: readonly ScannedBatch[],
): void {
  checkSize(found, path, bytes, timeEntryBytes);
  const end = (batches.at(-1)?.lastOffset ?? baseOffset) + 1;
  let timeBefore = Number.NEGATIVE_INFINITY;
  let next = 0;
  let latest = -1;
  const count = usedEntries(bytes, timeEntryBytes);
  for (let index = 0; index < count; index++) {
    const at = index * timeEntryBytes;
    const timestamp = readInt64(bytes, at);
    const offset = baseOffset + bytes.readInt32BE(at + 8);
    if (timestamp < timeBefore)
      found.add("mendable", path, at, `entry ${index} has timestamp ${timestamp}, after ${timeBefore}`);
    else if (offset < baseOffset || offset >= end)
      found.add("mendable", path, at, `entry ${index} has offset ${offset}, outside ${baseOffset} to ${end - 1}`);
    else {
      // A search by time begins behind the entry: nothing before it may be later.
      for (; next < batches.length && batches[next]!.lastOffset <= offset; next++)
        latest = Math.max(latest, batches[next]!.maxTimestamp);
      if (latest > timestamp)
        found.add(
          "mendable",
          path,
          at,
          `entry ${index} has timestamp ${timestamp}; up to offset ${offset} there is ${latest}`,
        );
    }
    timeBefore = Math.max(timeBefore, timestamp);
  }
}

export function checkTransactionIndex(
  found: Findings,
  path: string,
  bytes: Buffer,
  baseOffset: number,
  batches: readonly ScannedBatch[],
): void {
  checkSize(found, path, bytes, abortedEntryBytes);
  const markers = new Map(
    batches.filter(({ marker }) => marker !== null).map((batch) => [batch.lastOffset, batch] as const),
  );
  for (let index = 0; index < Math.floor(bytes.length / abortedEntryBytes); index++) {
    const at = index * abortedEntryBytes;
    const producerId = readInt64(bytes, at + 2);
    const firstOffset = readInt64(bytes, at + 10);
    const lastOffset = readInt64(bytes, at + 18);
    const marker = markers.get(lastOffset);
    const where = `entry ${index} (producer ${producerId}, offsets ${firstOffset} to ${lastOffset})`;
    if (bytes.readInt16BE(at) !== 0) found.add("damage", path, at, `${where} has version ${bytes.readInt16BE(at)}`);
    else if (firstOffset > lastOffset || lastOffset < baseOffset)
      found.add("damage", path, at, `${where} does not lie in its segment, which begins at ${baseOffset}`);
    else if (marker === undefined || marker.producerId !== producerId || marker.marker !== "abort")
      found.add("damage", path, at, `${where} ends where there is no abort marker of that producer`);
  }
}
