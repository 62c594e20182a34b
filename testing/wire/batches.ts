// The bytes of a fetch as batches and records.
import { DecompressionProblem, readBatchRecords } from "@blumfeld/core/compression";
import { crc32c, type LogRecord, RecordBatchBuilder, RecordBatchView, RecordProblem } from "@blumfeld/core/model";

/** Far above what any test packs. */
const outputBytesMax = 64 * 1024 * 1024;
/** Up to and with the batch's length. */
const lengthEnd = 12;
const headerBytes = 61;
/** What the checksum covers begins here. */
const crcFrom = 21;

export interface FetchedBatch {
  readonly batch: RecordBatchView;
  readonly records: readonly LogRecord[];
}

/** Every whole batch; one that is cut at the end is left out, as a client leaves it. Throws for what cannot be read. */
export function readBatches(records: Buffer | readonly Buffer[] | null): FetchedBatch[] {
  const bytes = records === null ? Buffer.alloc(0) : Buffer.isBuffer(records) ? records : Buffer.concat([...records]);
  const batches: FetchedBatch[] = [];
  let position = 0;
  while (position + headerBytes <= bytes.length) {
    const end = position + lengthEnd + bytes.readInt32BE(position + 8);
    if (end > bytes.length) break;
    const batch = new RecordBatchView(bytes, position);
    if (crc32c(bytes.subarray(position + crcFrom, end)) !== batch.crc)
      throw new Error(`the batch at byte ${position} has a wrong checksum`);
    const read = readBatchRecords(batch, { outputBytesMax });
    if (read instanceof DecompressionProblem || read instanceof RecordProblem) {
      throw new Error(`the batch at byte ${position}: ${read}`);
    }
    batches.push({ batch, records: read });
    position = end;
  }
  return batches;
}

/** A batch as a producer sends it. */
export function makeBatch(
  values: readonly (string | Buffer)[],
  how: { keys?: readonly (string | null)[]; timestampMs?: number } & Parameters<RecordBatchBuilder["build"]>[0] = {},
): Buffer {
  const builder = new RecordBatchBuilder();
  const timestampMs = how.timestampMs ?? 1_700_000_000_000;
  values.forEach((value, i) => void builder.append(timestampMs + i, how.keys?.[i] ?? null, value));
  return builder.build(how);
}
