// Compression: five codecs behind one interface, and batches whose records are packed. Output is bounded whatever the input declares.
//
//   const records = codecByName("zstd")!.decompress(bytes, { outputBytesMax: 10 * mebibyte });
//   if (records instanceof DecompressionProblem) …                       // "too-large" | "corrupt" | "unsupported"
//   const all = readBatchRecords(batch, { outputBytesMax });             // LogRecord[] | RecordProblem | DecompressionProblem
//   const repacked = recompressBatch(batch, { codec, outputBytesMax });  // offsets and producer fields stay
//   builder.build({ compressor: codec, level });                         // a Codec is a BatchCompressor
//
// What may take more than a few milliseconds goes through the `Later` forms, which use the thread pool.
export * from "./batch-records.ts";
export {
  type Codec,
  type CodecId,
  type CodecLevels,
  type CodecName,
  type DecompressionOptions,
  DecompressionProblem,
  type DecompressionProblemCode,
} from "./codec.ts";
export * from "./codecs.ts";
export { CodecUnavailable } from "./native.ts";
