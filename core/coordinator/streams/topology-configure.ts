// A topology over the cluster's topics as they are: how many partitions each internal topic is to have, how many tasks each subtopology, which
// topics are still to be made, or why it cannot run yet. Pure.
import type { GroupTopics } from "../group/group-topics.ts";
import { streamsTaskCountMax } from "./streams-config.ts";
import { copartitioned, type Subtopology, type Topology, topicsRequired } from "./topology.ts";

/** Kafka's codes of StreamsGroupHeartbeatResponse's status. */
export const streamsStatuses = {
  staleTopology: 0,
  missingSourceTopics: 1,
  incorrectlyPartitionedTopics: 2,
  missingInternalTopics: 3,
  shutdownApplication: 4,
  assignmentDelayed: 5,
} as const;

export interface StreamsStatus {
  readonly statusCode: number;
  readonly statusDetail: string;
}

export interface InternalTopic {
  readonly name: string;
  readonly numPartitions: number;
  /** -1: the broker's default. */
  readonly replicationFactor: number;
  readonly configs: readonly { readonly name: string; readonly value: string }[];
}

export interface ConfiguredSubtopology {
  readonly subtopology: Subtopology;
  readonly taskCount: number;
  readonly isStateful: boolean;
}

export interface ConfiguredTopology {
  /** By id, ascending. Null where the topics contradict it or are not there. */
  readonly subtopologies: ReadonlyMap<string, ConfiguredSubtopology> | null;
  /** Partitions that were decided for repartition and changelog topics. */
  readonly partitionCounts: ReadonlyMap<string, number>;
  readonly missing: readonly InternalTopic[];
  /** Null: it can run. */
  readonly status: StreamsStatus | null;
}

const namesShownMax = 3;

class Unconfigurable {
  readonly statusCode: number;
  readonly statusDetail: string;
  constructor(statusCode: number, statusDetail: string) {
    this.statusCode = statusCode;
    this.statusDetail = statusDetail;
  }
}

export function configureTopology(topology: Topology, topics: GroupTopics): ConfiguredTopology {
  const failed = ({ statusCode, statusDetail }: Unconfigurable): ConfiguredTopology => ({
    subtopologies: null,
    partitionCounts: new Map(),
    missing: [],
    status: { statusCode, statusDetail },
  });
  const missingSources = topology.subtopologies
    .flatMap(({ sourceTopics }) => sourceTopics)
    .filter((name) => topics.byName(name) === null);
  if (missingSources.length > 0) {
    const detail = `Source topics ${shown(new Set(missingSources.sort()))} are missing.`;
    return failed(new Unconfigurable(streamsStatuses.missingSourceTopics, detail));
  }
  const counts = decidePartitionCounts(topology, topics);
  if (counts instanceof Unconfigurable) return failed(counts);
  const countOf = (name: string): number => counts.get(name) ?? topics.byName(name)?.partitionCount ?? 0;
  const subtopologies = new Map<string, ConfiguredSubtopology>();
  let taskCountAll = 0;
  for (const subtopology of [...topology.subtopologies].sort((a, b) => (a.subtopologyId < b.subtopologyId ? -1 : 1))) {
    const taskCount = Math.max(0, ...sourcesOf(subtopology).map(countOf));
    const isStateful = subtopology.stateChangelogTopics.length > 0;
    taskCountAll += taskCount;
    subtopologies.set(subtopology.subtopologyId, { subtopology, taskCount, isStateful });
  }
  if (taskCountAll > streamsTaskCountMax) {
    const detail = `The topology has ${taskCountAll} tasks; at most ${streamsTaskCountMax} are possible.`;
    return failed(new Unconfigurable(streamsStatuses.incorrectlyPartitionedTopics, detail));
  }
  const missing = missingTopics(topology, topics, counts);
  if (missing instanceof Unconfigurable) return failed(missing);
  const status =
    missing.length === 0
      ? null
      : {
          statusCode: streamsStatuses.missingInternalTopics,
          statusDetail: `Internal topics are missing: ${shown(new Set(missing.map(({ name }) => name)))}`,
        };
  return { subtopologies, partitionCounts: counts, missing, status };
}

function sourcesOf({ sourceTopics, repartitionSourceTopics }: Subtopology): string[] {
  return [...sourceTopics, ...repartitionSourceTopics.map(({ name }) => name)];
}

function shown(names: ReadonlySet<string>): string {
  const first = [...names].slice(0, namesShownMax).join(", ");
  return names.size > namesShownMax ? `${first} and ${names.size - namesShownMax} additional topics` : first;
}

function decidePartitionCounts(topology: Topology, topics: GroupTopics): Map<string, number> | Unconfigurable {
  const counts = new Map<string, number>();
  const repartition = new Map<string, number>();
  for (const { repartitionSourceTopics } of topology.subtopologies)
    for (const { name, partitions } of repartitionSourceTopics) repartition.set(name, partitions);
  for (const [name, partitions] of repartition) if (partitions !== 0) counts.set(name, partitions);
  if (!decideRepartition(topology, topics, repartition, counts)) {
    const detail =
      "Failed to compute number of partitions for all repartition topics, make sure all user input topics are created and all Pattern subscriptions match at least one topic in the cluster";
    return new Unconfigurable(streamsStatuses.missingSourceTopics, detail);
  }
  for (const subtopology of topology.subtopologies) {
    for (const group of subtopology.copartitionGroups) {
      const problem = copartition(copartitioned(subtopology, group), repartition, counts, topics);
      if (problem !== null) return problem;
    }
  }
  for (const subtopology of topology.subtopologies) {
    const sources = sourcesOf(subtopology);
    const count = Math.max(...sources.map((name) => counts.get(name) ?? topics.byName(name)?.partitionCount ?? 0));
    // A changelog that is a source topic at once is the application's own: nobody makes it.
    for (const { name } of subtopology.stateChangelogTopics) if (!sources.includes(name)) counts.set(name, count);
  }
  return counts;
}

/** A repartition topic has as many partitions as the widest input of the subtopologies that write to it. False: some cannot be found out. */
function decideRepartition(
  topology: Topology,
  topics: GroupTopics,
  repartition: ReadonlyMap<string, number>,
  counts: Map<string, number>,
): boolean {
  const writers = new Map<string, Subtopology[]>();
  for (const subtopology of topology.subtopologies) {
    for (const name of subtopology.repartitionSinkTopics) {
      const before = writers.get(name);
      if (before === undefined) writers.set(name, [subtopology]);
      else before.push(subtopology);
    }
  }
  const undecided = new Set([...repartition.keys()].filter((name) => !counts.has(name)));
  while (undecided.size > 0) {
    let isFurther = false;
    for (const name of undecided) {
      let widest = 0;
      for (const writer of writers.get(name) ?? []) {
        for (const source of sourcesOf(writer)) {
          const count = repartition.has(source) ? counts.get(source) : topics.byName(source)?.partitionCount;
          widest = Math.max(widest, count ?? 0);
        }
      }
      if (widest === 0) continue;
      counts.set(name, widest);
      undecided.delete(name);
      isFurther = true;
    }
    if (!isFurther) return false;
  }
  return true;
}

/** Brings the repartition topics of one copartition group to the same count as the others; tells where that cannot be. */
function copartition(
  names: ReadonlySet<string>,
  repartition: ReadonlyMap<string, number>,
  counts: Map<string, number>,
  topics: GroupTopics,
): Unconfigurable | null {
  const wrong = (detail: string): Unconfigurable =>
    new Unconfigurable(streamsStatuses.incorrectlyPartitionedTopics, detail);
  const internal = [...names].filter((name) => repartition.has(name));
  const external = [...names].filter((name) => !repartition.has(name));
  if (internal.length === 0 && external.length === 0) return null;
  const listed = (some: readonly string[], countOf: (name: string) => number): string =>
    `[{${[...some]
      .sort()
      .map((name) => `${name}=${countOf(name)}`)
      .join(", ")}}]`;
  let count: number;
  if (external.length > 0) {
    const countOf = (name: string): number => topics.byName(name)?.partitionCount ?? 0;
    count = countOf(external[0]!);
    if (external.some((name) => countOf(name) !== count))
      return wrong(`Topics not co-partitioned: ${listed(external, countOf)}`);
  } else {
    const countOf = (name: string): number => counts.get(name)!;
    const fixed = internal.filter((name) => repartition.get(name) !== 0);
    count = fixed.length > 0 ? countOf(fixed[0]!) : Math.max(...internal.map(countOf));
    if (fixed.some((name) => countOf(name) !== count))
      return wrong(`Following topics do not have the same number of partitions: ${listed(internal, countOf)}`);
  }
  for (const name of internal) {
    if (repartition.get(name) === 0) counts.set(name, count);
    else if (counts.get(name) !== count)
      return wrong(
        `Number of partitions [${counts.get(name)}] of repartition topic [${name}] doesn't match number of partitions [${count}] of the source topic.`,
      );
  }
  return null;
}

function missingTopics(
  topology: Topology,
  topics: GroupTopics,
  counts: ReadonlyMap<string, number>,
): InternalTopic[] | Unconfigurable {
  const wanted = new Map<string, InternalTopic>();
  for (const { repartitionSourceTopics, stateChangelogTopics } of topology.subtopologies) {
    for (const { name, replicationFactor, topicConfigs } of [...repartitionSourceTopics, ...stateChangelogTopics]) {
      const numPartitions = counts.get(name);
      if (numPartitions === undefined) continue;
      wanted.set(name, {
        ...{ name, numPartitions },
        replicationFactor: replicationFactor === 0 ? -1 : replicationFactor,
        configs: topicConfigs.map(({ key, value }) => ({ name: key, value })),
      });
    }
  }
  for (const name of topicsRequired(topology)) {
    const existing = topics.byName(name);
    const expected = wanted.get(name);
    if (existing === null || expected === undefined) continue;
    wanted.delete(name);
    if (existing.partitionCount !== expected.numPartitions)
      return new Unconfigurable(
        streamsStatuses.incorrectlyPartitionedTopics,
        `Existing topic ${name} has different number of partitions: expected ${expected.numPartitions}, found ${existing.partitionCount}`,
      );
  }
  return [...wanted.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}
