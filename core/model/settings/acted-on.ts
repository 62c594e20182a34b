// Which settings Blumfeld acts on. A setting that is accepted and not acted on says why; docs/configuration.md and `blum config describe`
// show it. Some will never have an effect: what they steer (a thread pool, JMX) does not exist here.
// A test holds this table to the code: a name below must be read somewhere.

export type ActedOn =
  | { readonly kind: "yes" }
  /** What it steers does not exist here, and nothing is missing for it. */
  | { readonly kind: "needless"; readonly why: string }
  /** What it steers is yet to come. */
  | { readonly kind: "not-yet"; readonly why: string };

const yes: ActedOn = { kind: "yes" };

const nodeNames: readonly string[] = [
  "add.partitions.to.txn.retry.backoff.max.ms",
  "add.partitions.to.txn.retry.backoff.ms",
  "add.partitions.to.txn.retry.backoff.max.ms",
  "add.partitions.to.txn.retry.backoff.ms",
  "advertised.listeners",
  "auto.create.topics.enable",
  "broker.id",
  "broker.rack",
  "broker.session.timeout.ms",
  "connections.max.idle.ms",
  "controller.listener.names",
  "controller.quorum.bootstrap.servers",
  "controller.quorum.voters",
  "cordoned.log.dirs",
  "default.replication.factor",
  "delete.topic.enable",
  "fetch.max.bytes",
  "group.consumer.assignment.interval.ms",
  "group.consumer.assignors",
  "group.consumer.heartbeat.interval.ms",
  "group.consumer.max.assignment.interval.ms",
  "group.consumer.max.heartbeat.interval.ms",
  "group.consumer.max.session.timeout.ms",
  "group.consumer.max.size",
  "group.consumer.migration.policy",
  "group.consumer.min.assignment.interval.ms",
  "group.consumer.min.heartbeat.interval.ms",
  "group.consumer.min.session.timeout.ms",
  "group.consumer.session.timeout.ms",
  "group.coordinator.rebalance.protocols",
  "group.initial.rebalance.delay.ms",
  "group.max.session.timeout.ms",
  "group.max.size",
  "group.min.session.timeout.ms",
  "group.share.assignment.interval.ms",
  "group.share.delivery.count.limit",
  "group.share.heartbeat.interval.ms",
  "group.share.max.assignment.interval.ms",
  "group.share.max.delivery.count.limit",
  "group.share.max.heartbeat.interval.ms",
  "group.share.max.partition.max.record.locks",
  "group.share.max.record.lock.duration.ms",
  "group.share.max.session.timeout.ms",
  "group.share.max.share.sessions",
  "group.share.max.size",
  "group.share.min.assignment.interval.ms",
  "group.share.min.delivery.count.limit",
  "group.share.min.heartbeat.interval.ms",
  "group.share.min.partition.max.record.locks",
  "group.share.min.record.lock.duration.ms",
  "group.share.min.session.timeout.ms",
  "group.share.partition.max.record.locks",
  "group.share.record.lock.duration.ms",
  "group.share.session.timeout.ms",
  "inter.broker.listener.name",
  "listener.security.protocol.map",
  "listeners",
  "log.dir",
  "log.dirs",
  "log.flush.offset.checkpoint.interval.ms",
  "log.retention.check.interval.ms",
  "max.connection.creation.rate",
  "max.connections",
  "max.connections.per.ip",
  "max.connections.per.ip.overrides",
  "max.incremental.fetch.session.cache.slots",
  "max.request.partition.size.limit",
  "metadata.log.dir",
  "metadata.log.max.record.bytes.between.snapshots",
  "metadata.log.max.snapshot.interval.ms",
  "metadata.log.segment.bytes",
  "metadata.log.segment.ms",
  "metadata.max.idle.interval.ms",
  "metadata.max.retention.bytes",
  "metadata.max.retention.ms",
  "node.id",
  "num.partitions",
  "offset.metadata.max.bytes",
  "offsets.retention.check.interval.ms",
  "offsets.retention.minutes",
  "offsets.topic.num.partitions",
  "offsets.topic.replication.factor",
  "offsets.topic.segment.bytes",
  "process.roles",
  "producer.id.expiration.ms",
  "queued.max.request.bytes",
  "replica.high.watermark.checkpoint.interval.ms",
  "security.inter.broker.protocol",
  "socket.listen.backlog.size",
  "socket.request.max.bytes",
  "telemetry.max.bytes",
  "transaction.max.timeout.ms",
  "transaction.partition.verification.enable",
  "transaction.remove.expired.transaction.cleanup.interval.ms",
  "transaction.max.timeout.ms",
  "transaction.partition.verification.enable",
  "transaction.remove.expired.transaction.cleanup.interval.ms",
  "transaction.state.log.min.isr",
  "transaction.state.log.num.partitions",
  "transaction.state.log.replication.factor",
  "transaction.state.log.segment.bytes",
  "transaction.two.phase.commit.enable",
  "transactional.id.expiration.ms",
];

/** Broker-wide forms of what topics may override; acted on wherever the topic's is. */
const shareNames: readonly string[] = ["share.coordinator.snapshot.update.records.per.snapshot"];

const logNames: readonly string[] = [
  "compression.gzip.level",
  "compression.lz4.level",
  "compression.type",
  "compression.zstd.level",
  "log.cleaner.backoff.ms",
  "log.cleaner.dedupe.buffer.size",
  "log.cleaner.delete.retention.ms",
  "log.cleaner.enable",
  "log.cleaner.io.buffer.load.factor",
  "log.cleaner.io.buffer.size",
  "log.cleaner.io.max.bytes.per.second",
  "log.cleaner.max.compaction.lag.ms",
  "log.cleaner.min.cleanable.ratio",
  "log.cleaner.min.compaction.lag.ms",
  "log.cleanup.policy",
  "log.flush.interval.messages",
  "log.flush.interval.ms",
  "log.flush.scheduler.interval.ms",
  "log.index.interval.bytes",
  "log.index.size.max.bytes",
  "log.message.timestamp.after.max.ms",
  "log.message.timestamp.before.max.ms",
  "log.message.timestamp.type",
  "log.retention.bytes",
  "log.retention.hours",
  "log.retention.minutes",
  "log.retention.ms",
  "log.roll.hours",
  "log.roll.jitter.hours",
  "log.roll.jitter.ms",
  "log.roll.ms",
  "log.segment.bytes",
  "log.segment.delete.delay.ms",
  "message.max.bytes",
  "min.insync.replicas",
  "unclean.leader.election.enable",
];

const streamsNames: readonly string[] = [
  "group.streams.assignment.interval.ms",
  "group.streams.heartbeat.interval.ms",
  "group.streams.initial.rebalance.delay.ms",
  "group.streams.max.assignment.interval.ms",
  "group.streams.max.heartbeat.interval.ms",
  "group.streams.max.session.timeout.ms",
  "group.streams.max.size",
  "group.streams.max.standby.replicas",
  "group.streams.min.assignment.interval.ms",
  "group.streams.min.heartbeat.interval.ms",
  "group.streams.min.session.timeout.ms",
  "group.streams.num.standby.replicas",
  "group.streams.session.timeout.ms",
  "streams.assignment.interval.ms",
  "streams.heartbeat.interval.ms",
  "streams.initial.rebalance.delay.ms",
  "streams.num.standby.replicas",
  "streams.session.timeout.ms",
];

const topicNames: readonly string[] = [
  "cleanup.policy",
  "delete.retention.ms",
  "file.delete.delay.ms",
  "flush.messages",
  "flush.ms",
  "index.interval.bytes",
  "max.compaction.lag.ms",
  "max.message.bytes",
  "message.timestamp.after.max.ms",
  "message.timestamp.before.max.ms",
  "message.timestamp.type",
  "min.cleanable.dirty.ratio",
  "min.compaction.lag.ms",
  "retention.bytes",
  "retention.ms",
  "segment.bytes",
  "segment.index.bytes",
  "segment.jitter.ms",
  "segment.ms",
];

const groupNames: readonly string[] = [
  "consumer.assignment.interval.ms",
  "consumer.heartbeat.interval.ms",
  "consumer.session.timeout.ms",
  "share.assignment.interval.ms",
  "share.auto.offset.reset",
  "share.delivery.count.limit",
  "share.heartbeat.interval.ms",
  "share.isolation.level",
  "share.partition.max.record.locks",
  "share.record.lock.duration.ms",
  "share.renew.acknowledge.enable",
  "share.session.timeout.ms",
];

const actedOnNames: ReadonlySet<string> = new Set([
  ...nodeNames,
  ...shareNames,
  ...logNames,
  ...topicNames,
  ...streamsNames,
  ...groupNames,
]);

/** Why not, by the beginning of the name; the first that fits counts. */
const reasons: readonly (readonly [pattern: RegExp, reason: ActedOn])[] = [
  [/^(ssl|listener\.name\..*ssl)\./, { kind: "not-yet", why: "listeners are plain so far" }],
  [/^sasl\./, { kind: "not-yet", why: "clients are not authenticated so far" }],
  [
    /^(delegation|principal|security|connection\.failed|connections\.max\.reauth)/,
    { kind: "not-yet", why: "clients are not authenticated so far" },
  ],
  [/^authorizer/, { kind: "not-yet", why: "everybody may do everything so far" }],
  [
    /^(remote\.|.*local\.retention|follower\.fetch\.last\.tiered|.*remote\.storage)/,
    { kind: "not-yet", why: "there is no tiered storage so far" },
  ],
  [/threads|thread\.pool/, { kind: "needless", why: "a node works in one thread" }],
  [
    /purgatory|^queued\.max\.requests$/,
    { kind: "needless", why: "waiting requests need no purge and no queue between threads" },
  ],
  [
    /^(metric|metrics|kafka\.metrics|auto\.include\.jmx)/,
    { kind: "needless", why: "metrics are read over HTTP (blum start --metrics)" },
  ],
  [/preallocate$/, { kind: "needless", why: "files are not allocated ahead" }],
  [/\.class(\.name|\.path)?$|^config\.providers$/, { kind: "needless", why: "it names a Java class" }],
  [
    /^(replica|replication|num\.replica|alter\.log\.dirs|leader\.|follower\.|auto\.leader|controlled\.shutdown|broker\.heartbeat|broker\.session|inter\.broker|controller\.socket|initial\.broker)/,
    { kind: "not-yet", why: "a cluster has one node so far" },
  ],
  [/^controller\.quorum/, { kind: "not-yet", why: "the quorum has one voter so far" }],
  [/^group\.share\.assignors$/, { kind: "needless", why: "there is one assignor for share groups" }],
  [/^share\./, { kind: "not-yet", why: "the state of share groups is kept by the topic's first settings so far" }],
  [/quota/, { kind: "not-yet", why: "quotas are not enforced so far" }],
  [
    /^socket\.(receive|send)\.buffer|^replica\.socket/,
    { kind: "needless", why: "the system chooses the sockets' buffers" },
  ],
  [/load\.buffer|cached\.buffer/, { kind: "needless", why: "buffers grow and shrink with use" }],
];

const unexplained: ActedOn = { kind: "not-yet", why: "it is accepted and has no effect so far" };

export function actedOn(name: string): ActedOn {
  if (actedOnNames.has(name)) return yes;
  return reasons.find(([pattern]) => pattern.test(name))?.[1] ?? unexplained;
}

/** For the test that holds the table to the code. */
export function namesActedOn(): ReadonlySet<string> {
  return actedOnNames;
}
