// Settings of topics and of groups, as Kafka 4.3 declares them. A table: what Blumfeld makes of each stands in acted-on.ts.
import { bool, define, double, int, internal, list, long, medium, string } from "./definition.ts";
import {
  anyOf,
  atLeast,
  between,
  betweenOrDefaultLevel,
  oneOf,
  oneOfOrDuration,
  throttledReplicas,
} from "./validators.ts";
import { longUnbounded } from "./value.ts";

/** What a topic may override. */
export const topicDefinitions = define({
  "cleanup.policy": list(["delete"], medium, anyOf("compact", "delete")),
  "compression.gzip.level": int(-1, medium, betweenOrDefaultLevel(1, 9)),
  "compression.lz4.level": int(9, medium, between(1, 17)),
  "compression.type": string("producer", medium, oneOf("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer")),
  "compression.zstd.level": int(3, medium, between(-131072, 22)),
  "delete.retention.ms": long(86400000, medium, atLeast(0)),
  "file.delete.delay.ms": long(60000, medium, atLeast(0)),
  "flush.messages": long(longUnbounded, medium, atLeast(1)),
  "flush.ms": long(longUnbounded, medium, atLeast(0)),
  "follower.replication.throttled.replicas": list([], medium, throttledReplicas),
  "index.interval.bytes": int(4096, medium, atLeast(0)),
  "leader.replication.throttled.replicas": list([], medium, throttledReplicas),
  "local.retention.bytes": long(-2, medium, atLeast(-2)),
  "local.retention.ms": long(-2, medium, atLeast(-2)),
  "max.compaction.lag.ms": long(longUnbounded, medium, atLeast(1)),
  "max.message.bytes": int(1048588, medium, atLeast(0)),
  "message.timestamp.after.max.ms": long(3600000, medium, atLeast(0)),
  "message.timestamp.before.max.ms": long(longUnbounded, medium, atLeast(0)),
  "message.timestamp.type": string("CreateTime", medium, oneOf("CreateTime", "LogAppendTime")),
  "min.cleanable.dirty.ratio": double(0.5, medium, between(0, 1)),
  "min.compaction.lag.ms": long(0, medium, atLeast(0)),
  "min.insync.replicas": int(1, medium, atLeast(1)),
  preallocate: bool(false, medium),
  "remote.log.copy.disable": bool(false, medium),
  "remote.log.delete.on.disable": bool(false, medium),
  "remote.storage.enable": bool(false, medium),
  "retention.bytes": long(-1, medium),
  "retention.ms": long(604800000, medium, atLeast(-1)),
  "segment.bytes": int(1073741824, medium, atLeast(1048576)),
  "segment.index.bytes": int(10485760, medium, atLeast(4)),
  "segment.jitter.ms": long(0, medium, atLeast(0)),
  "segment.ms": long(604800000, medium, atLeast(1)),
  "unclean.leader.election.enable": bool(false, medium),
  // Internal to Kafka: left out of its documents, set by its own tests.
  "internal.segment.bytes": internal(int(null, medium)),
  // KIP-1191, of the release after: whether groups may put their dead letters here.
  "errors.deadletterqueue.group.enable": internal(bool(false, medium)),
});

/** What a group may override. */
export const groupDefinitions = define({
  "consumer.assignment.interval.ms": int(1000, medium, atLeast(0)),
  "consumer.heartbeat.interval.ms": int(5000, medium, atLeast(1)),
  "consumer.session.timeout.ms": int(45000, medium, atLeast(1)),
  "share.assignment.interval.ms": int(1000, medium, atLeast(0)),
  "share.auto.offset.reset": string("latest", medium, oneOfOrDuration("latest", "earliest")),
  "share.delivery.count.limit": int(5, medium, atLeast(2)),
  "share.heartbeat.interval.ms": int(5000, medium, atLeast(1)),
  "share.isolation.level": string("read_uncommitted", medium, oneOf("read_committed", "read_uncommitted")),
  "share.partition.max.record.locks": int(2000, medium, atLeast(100)),
  "share.record.lock.duration.ms": int(30000, medium, atLeast(1000)),
  "share.renew.acknowledge.enable": bool(true, medium),
  "share.session.timeout.ms": int(45000, medium, atLeast(1)),
  "streams.assignment.interval.ms": int(1000, medium, atLeast(0)),
  "streams.heartbeat.interval.ms": int(5000, medium, atLeast(1)),
  "streams.initial.rebalance.delay.ms": int(3000, medium, atLeast(0)),
  "streams.num.standby.replicas": int(0, medium, atLeast(0)),
  "streams.session.timeout.ms": int(45000, medium, atLeast(1)),
  // KIP-1191, of the release after: where a share group's dead letters go, and whether they hold the record.
  "errors.deadletterqueue.copy.record.enable": internal(bool(false, medium)),
  "errors.deadletterqueue.topic.name": internal(string("", medium)),
});
