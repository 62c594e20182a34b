// A streams application's topology as it was told and kept in a record: what contradicts itself, what is the same, which topics it needs.
import { isInternalTopic, topicNameProblem } from "../../model/index.ts";
import type { StreamsGroupTopologyValue, StreamsGroupTopologyValueTopicInfo } from "../../protocol/index.ts";
import { subtopologyCountMax, topologyTopicCountMax } from "./streams-config.ts";

export type Topology = StreamsGroupTopologyValue;
export type Subtopology = Topology["subtopologies"][number];

/** In the order in which they are named, each once. */
export function topicsOf(topology: Topology): Set<string> {
  const names = new Set<string>();
  for (const each of topology.subtopologies) {
    for (const name of each.sourceTopics) names.add(name);
    for (const name of each.repartitionSinkTopics) names.add(name);
    for (const { name } of each.repartitionSourceTopics) names.add(name);
    for (const { name } of each.stateChangelogTopics) names.add(name);
  }
  return names;
}

/** What the group looks at to see that its topics changed; sink topics are some other subtopology's sources. */
export function topicsRequired(topology: Topology): Set<string> {
  const names = new Set<string>();
  for (const each of topology.subtopologies) {
    for (const name of each.sourceTopics) names.add(name);
    for (const { name } of each.repartitionSourceTopics) names.add(name);
    for (const { name } of each.stateChangelogTopics) names.add(name);
  }
  return names;
}

/** Why no group can have the topology, in words for its owner; null where one can. */
export function topologyProblem(topology: Topology): string | null {
  const { subtopologies } = topology;
  if (subtopologies.length > subtopologyCountMax)
    return `The topology has ${subtopologies.length} subtopologies; at most ${subtopologyCountMax} are possible.`;
  const ids = new Set<string>();
  let topicCount = 0;
  for (const each of subtopologies) {
    const { subtopologyId, sourceTopics, repartitionSourceTopics, stateChangelogTopics } = each;
    if (ids.has(subtopologyId)) return `Subtopology ${subtopologyId} is there twice.`;
    ids.add(subtopologyId);
    topicCount += sourceTopics.length + repartitionSourceTopics.length + stateChangelogTopics.length;
    if (topicCount > topologyTopicCountMax) return `The topology names more than ${topologyTopicCountMax} topics.`;
    for (const { name, partitions } of stateChangelogTopics)
      if (partitions !== 0)
        return `Changelog topic ${name} must have an undefined partition count, but it is set to ${partitions}.`;
    for (const { name, partitions } of repartitionSourceTopics)
      if (partitions < 0) return `Repartition topic ${name} cannot have ${partitions} partitions.`;
    if (sourceTopics.length === 0 && repartitionSourceTopics.length === 0)
      return `Subtopology ${subtopologyId} does not contain any source topics.`;
    for (const group of each.copartitionGroups) {
      const isInside =
        group.sourceTopics.every((index) => index >= 0 && index < sourceTopics.length) &&
        group.repartitionSourceTopics.every((index) => index >= 0 && index < repartitionSourceTopics.length);
      if (!isInside) return `A copartition group of subtopology ${subtopologyId} names a topic that is not there.`;
    }
  }
  return null;
}

/** Names that no application may use. */
export function topicNamesProblem(topology: Topology): string | null {
  const names = [...topicsOf(topology)];
  const internal = names.filter((name) => isInternalTopic(name));
  if (internal.length > 0)
    return `Use of Kafka internal topics ${internal.join(",")} in a Kafka Streams topology is prohibited.`;
  const invalid = names.filter((name) => topicNameProblem(name) !== null);
  return invalid.length > 0 ? `Topic names ${invalid.join(",")} are not valid topic names.` : null;
}

/** The names in one copartition group. */
export function copartitioned(subtopology: Subtopology, group: Subtopology["copartitionGroups"][number]): Set<string> {
  return new Set([
    ...group.sourceTopics.map((index) => subtopology.sourceTopics[index]!),
    ...group.repartitionSourceTopics.map((index) => subtopology.repartitionSourceTopics[index]!.name),
  ]);
}

/** The same whatever the order in which a client lists its parts. */
export function sameTopology(one: Topology, other: Topology): boolean {
  return one === other || canonical(one) === canonical(other);
}

function canonical(topology: Topology): string {
  const infos = (topics: readonly StreamsGroupTopologyValueTopicInfo[]): unknown =>
    sorted(
      topics.map((topic) => [
        topic.name,
        topic.partitions,
        topic.replicationFactor,
        sorted(topic.topicConfigs.map(({ key, value }) => [key, value])),
      ]),
    );
  const subtopologies = topology.subtopologies.map((each) => [
    each.subtopologyId,
    [...each.sourceTopics].sort(),
    [...each.sourceTopicRegex].sort(),
    [...each.repartitionSinkTopics].sort(),
    infos(each.repartitionSourceTopics),
    infos(each.stateChangelogTopics),
    sorted(each.copartitionGroups.map((group) => [...copartitioned(each, group)].sort())),
  ]);
  return JSON.stringify([topology.epoch, sorted(subtopologies)]);
}

function sorted(parts: readonly unknown[]): unknown[] {
  return parts
    .map((part) => [JSON.stringify(part), part] as const)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([, part]) => part);
}
