// Java's property names (`linger.ms=5`) as options of this client. Knows every setting of Kafka's clients: a name that is none is refused with
// the nearest that is; one that is Kafka's and has no effect here is told in `ignored`, one that would weaken or change what the program
// expects when ignored (security, transactions) is refused.
import {
  adminDefinitions,
  consumerDefinitions,
  type Definitions,
  nearestName,
  type PairSource,
  parseSettings,
  producerDefinitions,
  type Settings,
} from "@blumfeld/core/model/settings";
import type { ClientOptions } from "./connection/options.ts";
import type { AutoOffsetReset, ConsumerOptions } from "./consumer/options.ts";
import { clientError } from "./errors.ts";
import type { Acks, ProducerOptions } from "./producer/options.ts";
import { saslFromProperties, saslPlaintext } from "./security/sasl-properties.ts";

export interface FromProperties<Options> {
  readonly options: Options;
  /** Settings that were given and change nothing here. */
  readonly ignored: readonly string[];
}

type Convert = (value: unknown) => unknown;
type Mapping = Readonly<Record<string, readonly [option: string, convert?: Convert]>>;

const clientMapping: Mapping = {
  "bootstrap.servers": ["bootstrapServers"],
  "client.id": ["clientId"],
  "request.timeout.ms": ["requestTimeoutMs"],
  "default.api.timeout.ms": ["apiTimeoutMs"],
  "socket.connection.setup.timeout.ms": ["connectTimeoutMs"],
  "socket.connection.setup.timeout.max.ms": ["connectTimeoutMsMax"],
  "reconnect.backoff.ms": ["reconnectBackoffMs"],
  "reconnect.backoff.max.ms": ["reconnectBackoffMsMax"],
  "retry.backoff.ms": ["retryBackoffMs"],
  "retry.backoff.max.ms": ["retryBackoffMsMax"],
  "metadata.max.age.ms": ["metadataAgeMsMax"],
  "connections.max.idle.ms": ["connectionIdleMsMax"],
  "metadata.recovery.rebootstrap.trigger.ms": ["rebootstrapAfterMs"],
};

const producerMapping: Mapping = {
  ...clientMapping,
  acks: ["acks", (value): Acks => (value === "all" || value === "-1" ? "all" : (Number(value) as Acks))],
  "enable.idempotence": ["idempotent"],
  "batch.size": ["batchBytes"],
  "linger.ms": ["lingerMs"],
  "buffer.memory": ["bufferBytes"],
  "max.block.ms": ["blockMsMax"],
  "max.request.size": ["requestBytesMax"],
  "max.in.flight.requests.per.connection": ["inFlightRequestsMax"],
  retries: ["retriesMax"],
  "delivery.timeout.ms": ["deliveryTimeoutMs"],
  "compression.type": ["compression"],
  "partitioner.adaptive.partitioning.enable": ["partitionerAdaptive"],
  "metadata.max.idle.ms": ["metadataIdleMsMax"],
  "transactional.id": ["transactionalId"],
  "transaction.timeout.ms": ["transactionTimeoutMs"],
  "transaction.two.phase.commit.enable": ["twoPhaseCommit"],
};

const consumerMapping: Mapping = {
  ...clientMapping,
  "auto.offset.reset": ["autoOffsetReset", resetOf],
  "isolation.level": ["isolationLevel", (value) => String(value).toLowerCase()],
  "fetch.min.bytes": ["fetchBytesMin"],
  "fetch.max.wait.ms": ["fetchWaitMsMax"],
  "fetch.max.bytes": ["fetchBytesMax"],
  "max.partition.fetch.bytes": ["partitionBytesMax"],
  "max.poll.records": ["pollRecordsMax"],
  "check.crcs": ["checkCrcs"],
  "client.rack": ["rack"],
  "allow.auto.create.topics": ["allowAutoTopicCreation"],
  "group.id": ["groupId"],
  "group.instance.id": ["groupInstanceId"],
  "session.timeout.ms": ["sessionTimeoutMs"],
  "heartbeat.interval.ms": ["heartbeatIntervalMs"],
  "max.poll.interval.ms": ["pollIntervalMsMax"],
  "enable.auto.commit": ["autoCommit"],
  "auto.commit.interval.ms": ["autoCommitIntervalMs"],
  "group.protocol": ["groupProtocol", (value) => String(value).toLowerCase()],
  "group.remote.assignor": ["serverAssignor"],
  "partition.assignment.strategy": ["assignors", (value) => (value as readonly string[]).map(assignorOf)],
};

const assignorClasses: Readonly<Record<string, string>> = {
  RangeAssignor: "range",
  RoundRobinAssignor: "roundrobin",
  StickyAssignor: "sticky",
  CooperativeStickyAssignor: "cooperative-sticky",
};

/** Java names classes; what is none of Kafka's stays as it is and is refused with the names there are. */
function assignorOf(className: string): string {
  return assignorClasses[className.replace(/^(class )?(.*\.)?/, "")] ?? className;
}

/** Given with another value than this, ignoring them would be wrong. */
const mustBe: Readonly<Record<string, string>> = {
  "security.protocol": "PLAINTEXT",
};
/** Read together, by `saslFromProperties`. */
const saslSettings: ReadonlySet<string> = new Set(["security.protocol", "sasl.mechanism", "sasl.jaas.config"]);
const mustBeAbsent: ReadonlySet<string> = new Set(["group.id", "interceptor.classes", "partitioner.class"]);

const durationUnitsMs: Readonly<Record<string, number>> = { D: 86_400_000, H: 3_600_000, M: 60_000, S: 1000 };

/** `by_duration:P3DT4H` (KIP-1106) and the three words. */
function resetOf(value: unknown): AutoOffsetReset {
  const text = String(value).toLowerCase();
  const match = /^by_duration:p(?:(\d+)d)?(?:t(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?)?$/.exec(text);
  if (match === null) return text as AutoOffsetReset;
  const units = ["D", "H", "M", "S"];
  const byDurationMs = units.reduce((sum, unit, at) => sum + Number(match[at + 1] ?? 0) * durationUnitsMs[unit]!, 0);
  return { byDurationMs: Math.round(byDurationMs) };
}

function convert<Options>(definitions: Definitions, mapping: Mapping, source: PairSource): FromProperties<Options> {
  const outcome = parseSettings(definitions, source);
  if (!outcome.ok) {
    const problems = outcome.problems.filter(
      ({ name }) => !name.endsWith(".serializer") && !name.endsWith(".deserializer"),
    );
    if (problems.length > 0)
      throw clientError("CLIENT_INVALID_OPTION", problems.map(({ message }) => message).join("; "));
    // Serializers are required of a Java program; here records are bytes already.
    const dummies = Object.fromEntries(outcome.problems.map(({ name }) => [name, "none"]));
    return convert(definitions, mapping, withPairs(source, dummies));
  }
  const { settings } = outcome;
  for (const name of settings.unknown.keys()) {
    const near = nearestName(name, Object.keys(definitions));
    const hint = near === null ? "" : `; did you mean ${near}?`;
    throw clientError("CLIENT_INVALID_OPTION", `${name} is no setting of Kafka's clients${hint}`);
  }
  const options: Record<string, unknown> = {};
  const ignored: string[] = [];
  for (const [name, text] of settings.givenTexts()) take(name, text, settings, mapping, options, ignored);
  const sasl = saslFromProperties(settings);
  if (sasl !== null) options.sasl = sasl;
  return { options: options as Options, ignored };
}

function take(
  name: string,
  text: string,
  settings: Settings<Definitions>,
  mapping: Mapping,
  options: Record<string, unknown>,
  ignored: string[],
): void {
  const mapped = mapping[name];
  if (mapped !== undefined) {
    const [option, convertValue] = mapped;
    const value = settings.get(name);
    options[option] = convertValue === undefined ? value : convertValue(value);
    return;
  }
  const level = /^compression\.(gzip|lz4|zstd)\.level$/.exec(name);
  if (level !== null) {
    if (settings.get("compression.type") === level[1]) options.compressionLevel = settings.get(name);
    return;
  }
  if (saslSettings.has(name) && settings.get("security.protocol") === saslPlaintext) return;
  const required = mustBe[name];
  if ((required !== undefined && text !== required) || mustBeAbsent.has(name)) {
    throw clientError("CLIENT_INVALID_OPTION", `${name}=${text} is not supported by this client; remove it`);
  }
  if (!name.endsWith(".serializer") && !name.endsWith(".deserializer")) ignored.push(name);
}

function withPairs(source: PairSource, more: Readonly<Record<string, string>>): PairSource {
  const pairs = new Map<string, string>(Object.entries(more));
  if (source instanceof Map) for (const [name, value] of source) pairs.set(name, value);
  else if (Symbol.iterator in source)
    for (const { name, value } of source as Iterable<{ name: string; value: string }>) pairs.set(name, value);
  else for (const [name, value] of Object.entries(source)) pairs.set(name, String(value));
  return pairs;
}

/** A `producer.properties` as Java's producer takes it. Throws CLIENT_INVALID_OPTION. */
export function producerOptionsFromProperties(source: PairSource): FromProperties<ProducerOptions> {
  return convert(producerDefinitions, producerMapping, source);
}

/** A `consumer.properties`. Throws CLIENT_INVALID_OPTION. */
export function consumerOptionsFromProperties(source: PairSource): FromProperties<ConsumerOptions> {
  return convert(consumerDefinitions, consumerMapping, source);
}

/** An admin client's properties. Throws CLIENT_INVALID_OPTION. */
export function adminOptionsFromProperties(source: PairSource): FromProperties<ClientOptions> {
  return convert(adminDefinitions, clientMapping, source);
}
