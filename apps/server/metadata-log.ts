// Opens the log of the cluster's metadata. Kafka checks it whole at each start, whatever mark the last stop left; so do we.
import type { Clock, Disk, Logger, Random } from "@blumfeld/core/base";
import {
  createLog,
  type LogConfig,
  loadLog,
  logConfigDefaults,
  type PartitionLog,
  standaloneEnvironment,
  unlimited,
} from "@blumfeld/core/log";
import { type Offset, partitionIndexOf } from "@blumfeld/core/model";
import type { BrokerSettings } from "@blumfeld/core/model/settings";
import { quorumBatchBytesMax, type Storage } from "@blumfeld/core/quorum";

export const metadataTopic = "__cluster_metadata";

/** Throws DiskError. */
export function openMetadataLog(
  settings: BrokerSettings,
  storage: Storage,
  ports: { readonly disk: Disk; readonly clock: Clock; readonly random: Random; readonly logger: Logger },
): PartitionLog {
  const environment = standaloneEnvironment(ports);
  const place = {
    topicPartition: { topic: metadataTopic, partition: partitionIndexOf(0) },
    directory: storage.metadataDirectory.path,
    folder: storage.metadataPath,
  };
  const config = metadataLogConfig(settings);
  if (ports.disk.status(place.folder) === null) return createLog(environment, place, config, null);
  const start = 0 as Offset;
  const options = { hadCleanShutdown: false, recoveryPoint: start, logStartOffset: start, highWatermark: start };
  const { log, report } = loadLog(environment, place, config, options);
  if (report.cutBytes > 0)
    ports.logger.warn(
      { path: place.folder, cutBytes: report.cutBytes },
      "the metadata log ended in a batch that was not whole, and was cut there: it had not been acknowledged",
    );
  return log;
}

/** Retention is the quorum's affair: it knows what a snapshot covers. */
function metadataLogConfig(settings: BrokerSettings): LogConfig {
  return {
    ...logConfigDefaults,
    segmentBytes: settings.get("internal.metadata.log.segment.bytes") ?? settings.get("metadata.log.segment.bytes"),
    segmentMs: settings.get("metadata.log.segment.ms"),
    retentionMs: -1,
    retentionBytes: -1,
    messageBytesMax: quorumBatchBytesMax,
    messageTimestampAfterMsMax: unlimited,
    cleanupPolicy: { delete: true, compact: false },
  };
}
