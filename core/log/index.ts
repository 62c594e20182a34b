// A partition's log on the Disk port, in Apache Kafka's own files, and the manager of all of a broker's logs.
//
//   const manager = await LogManager.open({ disk, clock, timers, random, logger, directories, configOf });
//   const log = manager.getOrCreate({ topic, partition }, { topicId });
//   const outcome = log.append(batch, { origin: "client", leaderEpoch, nowMs });   // numbered and queued; the bytes are the log's
//   log.writePending();                                                          // once a turn; then it may be acknowledged
//   log.setHighWatermark(log.writtenEndOffset);
//   const slice = log.read(offset, { bytesMax, upTo: log.highWatermark, minOneBatch: true });   // names a byte range of a file
export { unpackedRecordsBytesMax } from "./append-validation.ts";
export * from "./checkpoint-files.ts";
export {
  type CleanerFigures,
  type CleanerSettings,
  cleanerSettingsDefault,
  LogCleaner,
} from "./cleaner/log-cleaner.ts";
export { isFull, type LogEnvironment, producerIdExpirationMsDefault, standaloneEnvironment } from "./environment.ts";
export * from "./file-names.ts";
export * from "./log-config.ts";
export { LogDirectoryProblem } from "./log-directory.ts";
export { createLog, type LoadOptions, type LoadReport, loadLog } from "./log-loader.ts";
export * from "./log-manager.ts";
export * from "./log-manager-options.ts";
export * from "./outcomes.ts";
export { PartitionLog } from "./partition-log.ts";
