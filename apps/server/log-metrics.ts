// The logs' figures as Prometheus reads them, under the names of Kafka's own beans (kafka.log:type=LogCleaner,name=… and so on), in small letters
// and joined by underscores, as the common exporters show them.
import type { Meter } from "@blumfeld/core/base";
import type { LogManager } from "@blumfeld/core/log";

export function showLogMetrics(logManager: LogManager, meter: Meter): void {
  const { cleaner } = logManager;
  const { figures } = cleaner;
  meter.gauge(
    "kafka_log_logcleaner_max_buffer_utilization_percent",
    "How full the dedupe buffer was in the last pass of compaction.",
    () => figures.maxBufferUtilizationPercent,
  );
  meter.gauge(
    "kafka_log_logcleaner_cleaner_recopy_percent",
    "Of the bytes read in the last pass of compaction, how many were written again.",
    () => figures.cleanerRecopyPercent,
  );
  meter.gauge(
    "kafka_log_logcleaner_max_clean_time_secs",
    "How long the last pass of compaction took.",
    () => figures.maxCleanTimeSecs,
  );
  meter.gauge(
    "kafka_log_logcleaner_max_compaction_delay_secs",
    "By how much max.compaction.lag.ms was passed, at the last look.",
    () => figures.maxCompactionDelaySecs,
  );
  meter.gauge("kafka_log_logcleaner_deadthreadcount", "Always 0: compaction works in the node's one thread.", () => 0);
  meter.gauge(
    "kafka_log_logcleanermanager_max_dirty_percent",
    "Of the dirtiest log, how much is not compacted yet.",
    () => figures.maxDirtyPercent,
  );
  meter.gauge(
    "kafka_log_logcleanermanager_time_since_last_run_ms",
    "Since the cleaner last looked at the logs.",
    () => cleaner.timeSinceLastRunMs,
  );
  meter.gauge(
    "kafka_log_logmanager_offlinelogdirectorycount",
    "Log directories that have failed.",
    () => logManager.directories.filter(({ isOffline }) => isOffline).length,
  );
  for (const { path } of logManager.directories) showDirectory(logManager, meter, path);
}

function showDirectory(logManager: LogManager, meter: Meter, path: string): void {
  const labels = { logDirectory: path };
  const { cleaner } = logManager;
  meter.gauge(
    "kafka_log_logcleanermanager_uncleanable_partitions_count",
    "Partitions of a log directory that could not be compacted; the node's log says why.",
    () => cleaner.uncleanableIn(path).partitionCount,
    labels,
  );
  meter.gauge(
    "kafka_log_logcleanermanager_uncleanable_bytes",
    "Their bytes that wait for compaction.",
    () => cleaner.uncleanableIn(path).bytes,
    labels,
  );
  meter.gauge(
    "kafka_log_logmanager_logdirectoryoffline",
    "1 where the log directory has failed.",
    () => (logManager.directories.find((directory) => directory.path === path)?.isOffline === true ? 1 : 0),
    labels,
  );
}
