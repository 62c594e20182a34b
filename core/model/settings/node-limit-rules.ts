// Relations between limits of a node: a minimum below its maximum, a wait below its timeout.
import type { BrokerDefinitions } from "./definitions.ts";
import type { Wrong } from "./node-rules.ts";
import type { Settings } from "./parse.ts";

type NumberName = {
  [N in keyof BrokerDefinitions & string]: BrokerDefinitions[N] extends { defaultValue: number } ? N : never;
}[keyof BrokerDefinitions & string];

/** The left must not be above the right. */
const ordered: readonly (readonly [left: NumberName, right: NumberName])[] = [
  ["replica.fetch.wait.max.ms", "replica.socket.timeout.ms"],
  ["replica.fetch.wait.max.ms", "replica.lag.time.max.ms"],
  ["group.share.max.size", "group.share.max.share.sessions"],
  ["group.share.min.delivery.count.limit", "group.share.delivery.count.limit"],
  ["group.share.delivery.count.limit", "group.share.max.delivery.count.limit"],
  ["group.share.min.record.lock.duration.ms", "group.share.record.lock.duration.ms"],
  ["group.share.record.lock.duration.ms", "group.share.max.record.lock.duration.ms"],
  ["group.share.min.partition.max.record.locks", "group.share.partition.max.record.locks"],
  ["group.share.partition.max.record.locks", "group.share.max.partition.max.record.locks"],
  ["group.streams.num.standby.replicas", "group.streams.max.standby.replicas"],
  ...groupTimes("consumer"),
  ...groupTimes("share"),
  ...groupTimes("streams"),
];

function groupTimes<G extends "consumer" | "share" | "streams">(group: G) {
  const trio = <T extends string>(what: T) =>
    [
      [`group.${group}.min.${what}`, `group.${group}.${what}`],
      [`group.${group}.${what}`, `group.${group}.max.${what}`],
    ] as const;
  return [...trio("heartbeat.interval.ms"), ...trio("session.timeout.ms"), ...trio("assignment.interval.ms")];
}

export function limitRules(settings: Settings<BrokerDefinitions>, wrong: Wrong): void {
  for (const [left, right] of ordered) {
    const bound = settings.get(right);
    if (settings.get(left) > bound) wrong(left, `is above ${right}=${bound}`, `lower it or raise ${right}`);
  }
  for (const group of ["consumer", "share", "streams"] as const) {
    const session = `group.${group}.session.timeout.ms` as const;
    const heartbeat = settings.get(`group.${group}.heartbeat.interval.ms`);
    if (settings.get(session) <= heartbeat)
      wrong(session, `is not above group.${group}.heartbeat.interval.ms=${heartbeat}`, "raise it");
  }
  if ((settings.get("log.roll.ms") ?? 1) < 1) wrong("log.roll.ms", "is below 1", "raise it or remove the setting");
  if ((settings.get("log.roll.jitter.ms") ?? 0) < 0)
    wrong("log.roll.jitter.ms", "is below 0", "raise it or remove the setting");
  const retention = (["log.retention.ms", "log.retention.minutes"] as const).find(
    (name) => settings.get(name) !== null,
  );
  if (settings.get(retention ?? "log.retention.hours") === 0)
    wrong(retention ?? "log.retention.hours", "is 0", "set it to 1 or more, or to -1 for no limit");
  if (settings.get("log.cleaner.dedupe.buffer.size") / settings.get("log.cleaner.threads") < 1024 * 1024 + 1)
    wrong(
      "log.cleaner.dedupe.buffer.size",
      "is 1048576 or less for each cleaner thread",
      "raise it or lower log.cleaner.threads",
    );
  if (settings.get("log.cleaner.threads") === 0) wrong("log.cleaner.threads", "is 0", "raise it or remove the setting");
  const requestBytes = settings.get("socket.request.max.bytes");
  const queuedBytes = settings.get("queued.max.request.bytes");
  if (queuedBytes > 0 && queuedBytes < requestBytes)
    wrong("queued.max.request.bytes", `is below socket.request.max.bytes=${requestBytes}`, "raise it or set it to -1");
  if (settings.get("max.connections.per.ip") === 0 && settings.get("max.connections.per.ip.overrides") === "")
    wrong(
      "max.connections.per.ip",
      "is 0 and max.connections.per.ip.overrides allows nobody",
      "raise it or name exceptions there",
    );
  for (const name of ["offsets.topic.compression.codec", "share.coordinator.state.topic.compression.codec"] as const)
    if (settings.get(name) < 0 || settings.get(name) > 4) wrong(name, "is none of Kafka's codecs", "use 0 to 4");
  for (const entry of settings
    .get("max.connections.per.ip.overrides")
    .split(",")
    .map((part) => part.trim()))
    if (entry !== "" && !/^.+:\s*\d+$/.test(entry))
      wrong(
        "max.connections.per.ip.overrides",
        `has the entry ${JSON.stringify(entry)}`,
        "write address:count entries",
      );
  if (!settings.get("group.coordinator.rebalance.protocols").includes("classic"))
    wrong("group.coordinator.rebalance.protocols", "leaves out classic", "add classic");
}
