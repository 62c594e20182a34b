// The words of the field: ids, topic names, and the record batch as a view over bytes. Opens nothing, keeps nothing.
//
//   if (batchProduceProblem(buffer, at, end) !== null) …                 // header and checksum, no allocation
//   batchStamp(buffer, at, baseOffset, leaderEpoch);                     // a leader's append, outside the checksum
//   for (const batch of iterateBatches(fetched)) …                       // views over whole batches
//   for (const record of iterateRecords(batch)) …                        // objects; RecordCursor where there must be none
//   const builder = new RecordBatchBuilder();
//   builder.append(timestampMs, "key", value);
//   const bytes = builder.build({ producerId, producerEpoch, baseSequence });
//
// Compressed batches are read and rewritten by core/compression (readBatchRecords, recompressBatch).
export * from "./control-record.ts";
export { crc32c, crc32cIsNative } from "./crc32c.ts";
export * from "./ids.ts";
export * from "./int64.ts";
export * from "./record.ts";
export * from "./record-batch.ts";
export * from "./record-batch-builder.ts";
export * from "./record-batch-patch.ts";
export * from "./record-batch-validation.ts";
export * from "./record-cursor.ts";
export * from "./record-problem.ts";
export * from "./record-validation.ts";
export { varlongBytes, writeVarint, writeVarlong } from "./record-writer.ts";
export * from "./topic-name.ts";
export * from "./topic-partition.ts";
