// Which broker settings stand in for a topic's or for one another, and in which order. Kafka 4.3's table.

export interface Synonym {
  readonly name: string;
  /** The broker's value times this is the topic's. */
  readonly factor: number;
}

const minute = 60_000;
const hour = 60 * minute;
const same = (name: string): readonly Synonym[] => [{ name, factor: 1 }];

/** Topic setting → broker settings, the strongest first. Topic settings that are not here have no broker-wide form. */
export const topicSynonyms: Readonly<Record<string, readonly Synonym[]>> = {
  "cleanup.policy": same("log.cleanup.policy"),
  "compression.gzip.level": same("compression.gzip.level"),
  "compression.lz4.level": same("compression.lz4.level"),
  "compression.type": same("compression.type"),
  "compression.zstd.level": same("compression.zstd.level"),
  "delete.retention.ms": same("log.cleaner.delete.retention.ms"),
  "file.delete.delay.ms": same("log.segment.delete.delay.ms"),
  "flush.messages": same("log.flush.interval.messages"),
  "flush.ms": [
    { name: "log.flush.interval.ms", factor: 1 },
    { name: "log.flush.scheduler.interval.ms", factor: 1 },
  ],
  "index.interval.bytes": same("log.index.interval.bytes"),
  "local.retention.bytes": same("log.local.retention.bytes"),
  "local.retention.ms": same("log.local.retention.ms"),
  "max.compaction.lag.ms": same("log.cleaner.max.compaction.lag.ms"),
  "max.message.bytes": same("message.max.bytes"),
  "message.timestamp.after.max.ms": same("log.message.timestamp.after.max.ms"),
  "message.timestamp.before.max.ms": same("log.message.timestamp.before.max.ms"),
  "message.timestamp.type": same("log.message.timestamp.type"),
  "min.cleanable.dirty.ratio": same("log.cleaner.min.cleanable.ratio"),
  "min.compaction.lag.ms": same("log.cleaner.min.compaction.lag.ms"),
  "min.insync.replicas": same("min.insync.replicas"),
  preallocate: same("log.preallocate"),
  "retention.bytes": same("log.retention.bytes"),
  "retention.ms": [
    { name: "log.retention.ms", factor: 1 },
    { name: "log.retention.minutes", factor: minute },
    { name: "log.retention.hours", factor: hour },
  ],
  "segment.bytes": same("log.segment.bytes"),
  "segment.index.bytes": same("log.index.size.max.bytes"),
  "segment.jitter.ms": [
    { name: "log.roll.jitter.ms", factor: 1 },
    { name: "log.roll.jitter.hours", factor: hour },
  ],
  "segment.ms": [
    { name: "log.roll.ms", factor: 1 },
    { name: "log.roll.hours", factor: hour },
  ],
  "unclean.leader.election.enable": same("unclean.leader.election.enable"),
};

const families: readonly (readonly string[])[] = [
  ["log.roll.ms", "log.roll.hours"],
  ["log.roll.jitter.ms", "log.roll.jitter.hours"],
  ["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
  ["log.flush.interval.ms", "log.flush.scheduler.interval.ms"],
];

/** The names under which a broker setting may be given, the strongest first, itself among them. */
export function brokerSynonyms(name: string): readonly string[] {
  const family = families.find((names) => names.includes(name));
  if (family !== undefined) return family;
  const listener = /^listener\.name\.[^.]*\.(.*)$/.exec(name)?.[1];
  if (listener === undefined) return [name];
  const mechanism = /^[^.]+\.((?:sasl|connections)\..*)$/.exec(listener)?.[1];
  return [name, mechanism ?? listener];
}
