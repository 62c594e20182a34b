// A topic's resolved settings, and those of compaction, as the log takes them.
import { type CleanerSettings, type LogConfig, unlimited } from "@blumfeld/core/log";
import type { BrokerSettings, TopicSettings } from "@blumfeld/core/model/settings";

/** Kafka's Long.MAX_VALUE, which settings hold at the largest exact number, is no bound at all. */
function bound(value: number): number {
  return value >= Number.MAX_SAFE_INTEGER ? unlimited : value;
}

export function logConfigFrom(topic: TopicSettings): LogConfig {
  const policy = topic.get("cleanup.policy");
  const compressionType = topic.get("compression.type");
  return {
    // Kafka's own tests set segments smaller than the bound through the internal name.
    segmentBytes: topic.get("internal.segment.bytes") ?? topic.get("segment.bytes"),
    segmentMs: bound(topic.get("segment.ms")),
    segmentJitterMs: bound(topic.get("segment.jitter.ms")),
    segmentIndexBytes: topic.get("segment.index.bytes"),
    indexIntervalBytes: topic.get("index.interval.bytes"),
    retentionMs: bound(topic.get("retention.ms")),
    retentionBytes: bound(topic.get("retention.bytes")),
    localRetentionMs: bound(topic.get("local.retention.ms")),
    localRetentionBytes: bound(topic.get("local.retention.bytes")),
    cleanupPolicy: { delete: policy.includes("delete"), compact: policy.includes("compact") },
    compressionType: (compressionType === "uncompressed" ? "none" : compressionType) as LogConfig["compressionType"],
    compressionLevels: {
      ...(topic.get("compression.gzip.level") === -1 ? {} : { gzip: topic.get("compression.gzip.level") }),
      lz4: topic.get("compression.lz4.level"),
      zstd: topic.get("compression.zstd.level"),
    },
    messageBytesMax: topic.get("max.message.bytes"),
    messageTimestampType: topic.get("message.timestamp.type") as LogConfig["messageTimestampType"],
    messageTimestampBeforeMsMax: bound(topic.get("message.timestamp.before.max.ms")),
    messageTimestampAfterMsMax: bound(topic.get("message.timestamp.after.max.ms")),
    flushMessages: bound(topic.get("flush.messages")),
    flushMs: bound(topic.get("flush.ms")),
    fileDeleteDelayMs: topic.get("file.delete.delay.ms"),
    preallocate: topic.get("preallocate"),
    deleteRetentionMs: bound(topic.get("delete.retention.ms")),
    minCleanableDirtyRatio: topic.get("min.cleanable.dirty.ratio"),
    minCompactionLagMs: bound(topic.get("min.compaction.lag.ms")),
    maxCompactionLagMs: bound(topic.get("max.compaction.lag.ms")),
    uncleanLeaderElection: topic.get("unclean.leader.election.enable"),
    minInsyncReplicas: topic.get("min.insync.replicas"),
    remoteStorageEnable: topic.get("remote.storage.enable"),
    remoteLogCopyDisable: topic.get("remote.log.copy.disable"),
    remoteLogDeleteOnDisable: topic.get("remote.log.delete.on.disable"),
  };
}

/** As they stand at the moment: all of them but log.cleaner.enable may change while the node runs. */
export function cleanerSettingsFrom(settings: BrokerSettings): CleanerSettings {
  return {
    isEnabled: settings.get("log.cleaner.enable"),
    dedupeBufferBytes: settings.get("log.cleaner.dedupe.buffer.size"),
    ioBufferBytes: settings.get("log.cleaner.io.buffer.size"),
    loadFactor: settings.get("log.cleaner.io.buffer.load.factor"),
    ioBytesPerSecondMax: settings.get("log.cleaner.io.max.bytes.per.second"),
  };
}
