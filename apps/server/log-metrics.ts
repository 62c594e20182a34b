// The logs' figures as Prometheus reads them, under the names of Kafka's own (kafka.log:type=LogCleaner and so on), joined by underscores.
import type { Meter } from "@blumfeld/core/base";
import type { LogManager } from "@blumfeld/core/log";

export function showLogMetrics(logManager: LogManager, meter: Meter): void {
  const { cleaner } = logManager;
  const { figures } = cleaner;
  const gauge = (name: string, help: string, read: () => number): void => meter.gauge(`kafka_log_${name}`, help, read);
  gauge("LogCleaner_max_buffer_utilization_percent", "How full the dedupe buffer was in the last pass.", () => {
    return figures.maxBufferUtilizationPercent;
  });
  gauge("LogCleaner_cleaner_recopy_percent", "Of the bytes read in the last pass, how many were written again.", () => {
    return figures.cleanerRecopyPercent;
  });
  gauge("LogCleaner_max_clean_time_secs", "How long the last pass took.", () => figures.maxCleanTimeSecs);
  gauge("LogCleaner_max_compaction_delay_secs", "By how much max.compaction.lag.ms was passed.", () => {
    return figures.maxCompactionDelaySecs;
  });
  gauge("LogCleaner_DeadThreadCount", "0: compaction works in the node's one thread.", () => 0);
  gauge("LogCleanerManager_max_dirty_percent", "Of the dirtiest log, how much is not compacted yet.", () => {
    return figures.maxDirtyPercent;
  });
  gauge("LogCleanerManager_time_since_last_run_ms", "Since the cleaner last looked at the logs.", () => {
    return cleaner.timeSinceLastRunMs;
  });
  for (const { path } of logManager.directories) showDirectory(logManager, meter, path);
  gauge("LogManager_OfflineLogDirectoryCount", "Log directories that have failed.", () => {
    return logManager.directories.filter(({ isOffline }) => isOffline).length;
  });
}

function showDirectory(logManager: LogManager, meter: Meter, path: string): void {
  const labels = { logDirectory: path };
  const { cleaner } = logManager;
  meter.gauge(
    "kafka_log_LogCleanerManager_uncleanable_partitions_count",
    "Partitions that could not be compacted; the log says why.",
    () => cleaner.uncleanableIn(path).partitionCount,
    labels,
  );
  meter.gauge(
    "kafka_log_LogCleanerManager_uncleanable_bytes",
    "Their bytes that wait for compaction.",
    () => cleaner.uncleanableIn(path).bytes,
    labels,
  );
  meter.gauge(
    "kafka_log_LogManager_LogDirectoryOffline",
    "1 where the directory has failed.",
    () => (logManager.directories.find((directory) => directory.path === path)?.isOffline === true ? 1 : 0),
    labels,
  );
}
