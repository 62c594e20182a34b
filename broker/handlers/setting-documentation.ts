// What the settings of topics, groups and client metrics are for: DescribeConfigs v3+ gives it to those who ask. One sentence each, our own.

const topic: Readonly<Record<string, string>> = {
  "cleanup.policy":
    "What happens to old segments: delete removes them by time and size, compact keeps the latest record of each key; both may be set.",
  "compression.gzip.level": "The gzip level for batches that the broker packs itself; -1 is the codec's default.",
  "compression.lz4.level": "The lz4 level for batches that the broker packs itself.",
  "compression.type":
    "The codec that batches are stored with: gzip, snappy, lz4, zstd or uncompressed; producer keeps what the producer chose.",
  "compression.zstd.level": "The zstd level for batches that the broker packs itself.",
  "delete.retention.ms":
    "How long a tombstone stays in a compacted log, so that readers who began before it still see it.",
  "file.delete.delay.ms": "How long a removed segment's files stay on disk under another name.",
  "flush.messages":
    "After how many records the log is synced to the device. Replication, not syncing, protects by default.",
  "flush.ms": "How long a record may wait before the log is synced to the device.",
  "follower.replication.throttled.replicas":
    "Replicas whose fetching is throttled, as PARTITION:BROKER pairs, or * for all.",
  "index.interval.bytes":
    "How many bytes lie between two entries of the offset index: fewer give faster look-ups and larger indexes.",
  "leader.replication.throttled.replicas":
    "Replicas whose serving of followers is throttled, as PARTITION:BROKER pairs, or * for all.",
  "local.retention.bytes":
    "How much of a tiered topic stays on the broker's own disk; -2 means as retention.bytes says.",
  "local.retention.ms":
    "How long a tiered topic's records stay on the broker's own disk; -2 means as retention.ms says.",
  "max.compaction.lag.ms":
    "After this time a record of a compacted log is eligible for compaction, however little is dirty.",
  "max.message.bytes": "The largest batch that the topic takes, compressed.",
  "message.timestamp.after.max.ms": "How far a record's timestamp may lie after the broker's clock.",
  "message.timestamp.before.max.ms": "How far a record's timestamp may lie before the broker's clock.",
  "message.timestamp.type":
    "Whether a record carries the time its producer gave (CreateTime) or that of its append (LogAppendTime).",
  "min.cleanable.dirty.ratio":
    "The part of a log that must be dirty before it is compacted: it bounds the space that old values take.",
  "min.compaction.lag.ms": "How long a record stays as it is before compaction may remove it.",
  "min.insync.replicas": "How many replicas must be in sync for a produce with acks=all to be accepted.",
  preallocate: "Whether a new segment's file takes its full size at once.",
  "remote.log.copy.disable": "Stops the copying of a tiered topic's segments; what is there stays readable.",
  "remote.log.delete.on.disable": "Whether the remote copy is deleted when tiered storage is turned off for the topic.",
  "remote.storage.enable": "Whether the topic's segments are copied to remote storage.",
  "retention.bytes": "How large a partition may grow before its oldest segments are deleted; -1 is no bound.",
  "retention.ms": "How old a segment may get before it is deleted; -1 is no bound.",
  "segment.bytes": "How large a segment may grow; retention and compaction work on whole segments.",
  "segment.index.bytes": "How large a segment's offset index may grow before the segment is rolled.",
  "segment.jitter.ms": "The most that is taken off segment.ms at random, so that segments do not all roll at once.",
  "segment.ms": "After this time a segment is rolled even when it is not full, so that retention can reach it.",
  "unclean.leader.election.enable":
    "Whether a replica that is not in sync may lead when there is no other: records may be lost.",
};

const group: Readonly<Record<string, string>> = {
  "consumer.assignment.interval.ms": "The least time between two assignments of a consumer group.",
  "consumer.heartbeat.interval.ms": "How often members of a consumer group send heartbeats.",
  "consumer.session.timeout.ms": "How long a member of a consumer group may be silent before it is removed.",
  "share.assignment.interval.ms": "The least time between two assignments of a share group.",
  "share.auto.offset.reset": "Where a share group begins to read: earliest, latest, or a duration back from now.",
  "share.delivery.count.limit": "How often a record is given to a share group before it is given up.",
  "share.heartbeat.interval.ms": "How often members of a share group send heartbeats.",
  "share.isolation.level": "Whether a share group sees records of open and aborted transactions.",
  "share.partition.max.record.locks":
    "How many records of one partition may be out with members of a share group at once.",
  "share.record.lock.duration.ms": "How long a record is a member's before another one may get it.",
  "share.renew.acknowledge.enable": "Whether members of a share group may ask for more time for a record.",
  "share.session.timeout.ms": "How long a member of a share group may be silent before it is removed.",
  "streams.assignment.interval.ms": "The least time between two assignments of a streams group.",
  "streams.heartbeat.interval.ms": "How often members of a streams group send heartbeats.",
  "streams.initial.rebalance.delay.ms":
    "How long a new streams group waits for more members before its first assignment.",
  "streams.num.standby.replicas": "How many standby copies each stateful task has.",
  "streams.session.timeout.ms": "How long a member of a streams group may be silent before it is removed.",
};

const clientMetrics: Readonly<Record<string, string>> = {
  "interval.ms": "How often clients push the metrics of this subscription.",
  match: "Which clients the subscription is for: NAME=PATTERN pairs that all must match; none means every client.",
  metrics: "Prefixes of the metrics' names that are asked for; * asks for all, nothing for none.",
};

const all: ReadonlyMap<string, string> = new Map(
  [topic, group, clientMetrics].flatMap((settings) => Object.entries(settings)),
);

/** Null for what has none: broker settings that are no topic's, see docs/configuration.md. */
export function settingDocumentation(name: string): string | null {
  return all.get(name) ?? null;
}
