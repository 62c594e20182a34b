// Record batches of a fetch as a list of records, so that brokers may batch differently; and a produced batch for another producer id.
import { crc32c } from "@blumfeld/core/model";
import { readBatches } from "../wire/index.ts";
import type { ValueTable } from "./values.ts";

/** Where the fields of a batch (v2) stand. */
const crcAt = 17;
const attributesAt = 21;
const producerIdAt = 43;
const headerBytes = 61;

/** Each record as a line: offset, timestamp, key, value, headers, and what its batch says of it. */
export function listRecords(bytes: Buffer): string[] {
  return readBatches(bytes).flatMap(({ batch, records }) => {
    const producer = batch.producerId >= 0 ? "producer" : "no producer";
    return records.map((record) => {
      const headers = record.headers.map((header) => `${header.key}=${hexOf(header.value)}`).join(",");
      // A control record carries the clock of the broker that wrote it.
      const when = batch.isControl ? "now" : record.timestamp;
      return `${record.offset} ${when} ${hexOf(record.key)} ${hexOf(record.value)} [${headers}] ${batch.attributes} ${producer}`;
    });
  });
}

function hexOf(bytes: Buffer | null): string {
  return bytes === null ? "null" : bytes.toString("hex");
}

/** The batch with the producer id that the broker under test gave out in place of the recorded one. */
export function withOurProducer(bytes: Buffer, values: ValueTable): Buffer {
  const batch = Buffer.from(bytes);
  if (batch.length < headerBytes) return batch;
  const recorded = batch.readBigInt64BE(producerIdAt);
  const ours = values.ours("producer", recorded) as bigint;
  if (ours === recorded) return batch;
  const wasWhole = crc32c(batch.subarray(attributesAt)) === batch.readUInt32BE(crcAt);
  batch.writeBigInt64BE(ours, producerIdAt);
  if (wasWhole) batch.writeUInt32BE(crc32c(batch.subarray(attributesAt)), crcAt);
  return batch;
}
