// The words of the field: ids, topic names, and the record batch as a view over bytes. Opens nothing, keeps nothing.
//
//   if (batchProduceProblem(buffer, at, end) !== null) …                 // header and checksum, no allocation
//   batchStamp(buffer, at, baseOffset, leaderEpoch);                     // a leader's append, outside the checksum
//   for (const batch of iterateBatches(fetched)) …                       // views
//
export * from "./control-record.ts";
export { crc32c, crc32cIsNative } from "./crc32c.ts";
export * from "./ids.ts";
export * from "./int64.ts";
export * from "./record-batch.ts";
export * from "./record-batch-patch.ts";
export * from "./record-batch-validation.ts";
export * from "./topic-name.ts";
export * from "./topic-partition.ts";
