// Which settings of a broker may change while it runs, and for whom: Kafka 4.3's dynamic settings. All others are read-only.

export type UpdateMode = "read-only" | "per-broker" | "cluster-wide";

const perBroker: ReadonlySet<string> = new Set([
  "cordoned.log.dirs",
  "listener.security.protocol.map",
  "listeners",
  "principal.builder.class",
  "sasl.enabled.mechanisms",
  "sasl.jaas.config",
  "sasl.kerberos.kinit.cmd",
  "sasl.kerberos.min.time.before.relogin",
  "sasl.kerberos.principal.to.local.rules",
  "sasl.kerberos.service.name",
  "sasl.kerberos.ticket.renew.jitter",
  "sasl.kerberos.ticket.renew.window.factor",
  "sasl.login.refresh.buffer.seconds",
  "sasl.login.refresh.min.period.seconds",
  "sasl.login.refresh.window.factor",
  "sasl.login.refresh.window.jitter",
  "sasl.mechanism.inter.broker.protocol",
  "ssl.cipher.suites",
  "ssl.client.auth",
  "ssl.enabled.protocols",
  "ssl.endpoint.identification.algorithm",
  "ssl.engine.factory.class",
  "ssl.key.password",
  "ssl.keymanager.algorithm",
  "ssl.keystore.certificate.chain",
  "ssl.keystore.key",
  "ssl.keystore.location",
  "ssl.keystore.password",
  "ssl.keystore.type",
  "ssl.protocol",
  "ssl.provider",
  "ssl.secure.random.implementation",
  "ssl.trustmanager.algorithm",
  "ssl.truststore.certificates",
  "ssl.truststore.location",
  "ssl.truststore.password",
  "ssl.truststore.type",
]);

const clusterWide: ReadonlySet<string> = new Set([
  "background.threads",
  "compression.gzip.level",
  "compression.lz4.level",
  "compression.type",
  "compression.zstd.level",
  "config.providers",
  "follower.fetch.last.tiered.offset.enable",
  "follower.replication.throttled.rate",
  "group.consumer.assignment.interval.ms",
  "group.coordinator.cached.buffer.max.bytes",
  "group.share.assignment.interval.ms",
  "group.streams.assignment.interval.ms",
  "leader.replication.throttled.rate",
  "log.cleaner.backoff.ms",
  "log.cleaner.dedupe.buffer.size",
  "log.cleaner.delete.retention.ms",
  "log.cleaner.io.buffer.load.factor",
  "log.cleaner.io.buffer.size",
  "log.cleaner.io.max.bytes.per.second",
  "log.cleaner.max.compaction.lag.ms",
  "log.cleaner.min.cleanable.ratio",
  "log.cleaner.min.compaction.lag.ms",
  "log.cleaner.threads",
  "log.cleanup.policy",
  "log.flush.interval.messages",
  "log.flush.interval.ms",
  "log.index.interval.bytes",
  "log.index.size.max.bytes",
  "log.local.retention.bytes",
  "log.local.retention.ms",
  "log.message.timestamp.after.max.ms",
  "log.message.timestamp.before.max.ms",
  "log.message.timestamp.type",
  "log.preallocate",
  "log.retention.bytes",
  "log.retention.ms",
  "log.roll.jitter.ms",
  "log.roll.ms",
  "log.segment.bytes",
  "log.segment.delete.delay.ms",
  "max.connection.creation.rate",
  "max.connections",
  "max.connections.per.ip",
  "max.connections.per.ip.overrides",
  "message.max.bytes",
  "metric.reporters",
  "min.insync.replicas",
  "num.io.threads",
  "num.network.threads",
  "num.recovery.threads.per.data.dir",
  "num.replica.fetchers",
  "producer.id.expiration.ms",
  "remote.fetch.max.wait.ms",
  "remote.list.offsets.request.timeout.ms",
  "remote.log.index.file.cache.total.size.bytes",
  "remote.log.manager.copier.thread.pool.size",
  "remote.log.manager.copy.max.bytes.per.second",
  "remote.log.manager.expiration.thread.pool.size",
  "remote.log.manager.fetch.max.bytes.per.second",
  "remote.log.manager.follower.thread.pool.size",
  "remote.log.reader.threads",
  "replica.alter.log.dirs.io.max.bytes.per.second",
  "share.coordinator.cached.buffer.max.bytes",
  "transaction.partition.verification.enable",
  "unclean.leader.election.enable",
]);

/** A listener's own form of a setting may change with it, and these, which have that form only. */
const perListenerMechanism: ReadonlySet<string> = new Set([
  "connections.max.reauth.ms",
  "sasl.jaas.config",
  "sasl.login.callback.handler.class",
  "sasl.login.class",
  "sasl.server.callback.handler.class",
]);

export function updateModeOf(name: string): UpdateMode {
  if (perBroker.has(name)) return "per-broker";
  if (clusterWide.has(name)) return "cluster-wide";
  const listener = /^listener\.name\.[^.]*\.(.*)$/.exec(name)?.[1];
  if (listener === undefined) return "read-only";
  if (perBroker.has(listener)) return "per-broker";
  if (listener === "max.connections" || listener === "max.connection.creation.rate") return "cluster-wide";
  for (const suffix of perListenerMechanism) if (listener.endsWith(`.${suffix}`)) return "per-broker";
  return "read-only";
}

/** Kafka's DescribeConfigs calls a setting read-only when its exact name is not dynamic, listener forms included. */
export function isReadOnlyInAnswers(name: string): boolean {
  return !perBroker.has(name) && !clusterWide.has(name);
}
