// Topologies over topics: partition counts of internal topics, what is missing, what does not fit, what contradicts itself.
import { describe, expect, it } from "vitest";
import { TestTopics } from "../group/fixture/test-shard.ts";
import { subtopologyCountMax, topologyTopicCountMax } from "./streams-config.ts";
import { type Subtopology, sameTopology, type Topology, topicNamesProblem, topologyProblem } from "./topology.ts";
import { configureTopology, streamsStatuses } from "./topology-configure.ts";

type Info = Subtopology["stateChangelogTopics"][number];

function info(name: string, partitions = 0): Info {
  return { name, partitions, replicationFactor: 0, topicConfigs: [{ key: "retention.ms", value: "-1" }] };
}

function subtopology(subtopologyId: string, parts: Partial<Subtopology>): Subtopology {
  return {
    ...{ subtopologyId, sourceTopics: [], sourceTopicRegex: [], stateChangelogTopics: [] },
    ...{ repartitionSinkTopics: [], repartitionSourceTopics: [], copartitionGroups: [] },
    ...parts,
  };
}

function topics(counts: Readonly<Record<string, number>>): TestTopics {
  const all = new TestTopics();
  for (const [name, count] of Object.entries(counts)) all.set(name, count);
  return all;
}

function topology(...subtopologies: Subtopology[]): Topology {
  return { epoch: 0, subtopologies };
}

const together = { sourceTopics: [0], sourceTopicRegex: [], repartitionSourceTopics: [0] };

describe("partition counts", () => {
  it("follow the widest input through several repartition topics, in whatever order they are told", () => {
    const chain = topology(
      subtopology("2", { repartitionSourceTopics: [info("r2")], stateChangelogTopics: [info("c2")] }),
      subtopology("1", { repartitionSourceTopics: [info("r1")], repartitionSinkTopics: ["r2"] }),
      subtopology("0", { sourceTopics: ["a", "b"], repartitionSinkTopics: ["r1"] }),
    );
    const configured = configureTopology(chain, topics({ a: 3, b: 5 }));
    expect(Object.fromEntries(configured.partitionCounts)).toEqual({ r1: 5, r2: 5, c2: 5 });
    expect(configured.missing.map(({ name, numPartitions }) => `${name} ${numPartitions}`)).toEqual([
      "c2 5",
      "r1 5",
      "r2 5",
    ]);
    expect(configured.missing[0]).toMatchObject({
      replicationFactor: -1,
      configs: [{ name: "retention.ms", value: "-1" }],
    });
    expect([...configured.subtopologies!].map(([id, { taskCount }]) => `${id} ${taskCount}`)).toEqual([
      "0 5",
      "1 5",
      "2 5",
    ]);
  });

  it("of copartitioned topics are those of the topics that are not ours to make", () => {
    const join = (partitions: number): Topology =>
      topology(
        subtopology("0", { sourceTopics: ["wide"], repartitionSinkTopics: ["r"] }),
        subtopology("1", {
          sourceTopics: ["table"],
          repartitionSourceTopics: [info("r", partitions)],
          copartitionGroups: [together],
        }),
      );
    const there = topics({ wide: 6, table: 2 });
    expect(configureTopology(join(0), there).partitionCounts.get("r")).toBe(2);
    expect(configureTopology(join(4), there).status).toEqual({
      statusCode: streamsStatuses.incorrectlyPartitionedTopics,
      statusDetail:
        "Number of partitions [4] of repartition topic [r] doesn't match number of partitions [2] of the source topic.",
    });
  });

  it("that contradict each other or an existing topic are told", () => {
    const both = subtopology("0", {
      sourceTopics: ["a", "b"],
      copartitionGroups: [{ sourceTopics: [0, 1], sourceTopicRegex: [], repartitionSourceTopics: [] }],
    });
    expect(configureTopology(topology(both), topics({ a: 1, b: 2 })).status?.statusDetail).toBe(
      "Topics not co-partitioned: [{a=1, b=2}]",
    );
    const fixed = subtopology("0", {
      sourceTopics: ["a"],
      repartitionSourceTopics: [info("r", 1), info("s", 2)],
      copartitionGroups: [{ sourceTopics: [], sourceTopicRegex: [], repartitionSourceTopics: [0, 1] }],
    });
    expect(configureTopology(topology(fixed), topics({ a: 1 })).status?.statusDetail).toBe(
      "Following topics do not have the same number of partitions: [{r=1, s=2}]",
    );
    const counting = subtopology("0", { sourceTopics: ["a"], stateChangelogTopics: [info("c")] });
    expect(configureTopology(topology(counting), topics({ a: 2, c: 3 })).status?.statusDetail).toBe(
      "Existing topic c has different number of partitions: expected 2, found 3",
    );
    expect(configureTopology(topology(counting), topics({ a: 2, c: 2 })).status).toBeNull();
  });

  it("of topics that nobody writes to cannot be found out", () => {
    const circle = subtopology("0", { repartitionSourceTopics: [info("r")], repartitionSinkTopics: ["r"] });
    expect(configureTopology(topology(circle), topics({})).status?.statusDetail).toMatch(/^Failed to compute number/);
  });

  it("bound the tasks of a group", () => {
    const many = Array.from({ length: 200 }, (_, id) => subtopology(`${id}`, { sourceTopics: ["a"] }));
    expect(configureTopology(topology(...many), topics({ a: 1000 })).status?.statusDetail).toBe(
      "The topology has 200000 tasks; at most 100000 are possible.",
    );
  });
});

it("names at most three missing topics", () => {
  const sources = subtopology("0", { sourceTopics: ["d", "c", "b", "a"] });
  expect(configureTopology(topology(sources), topics({})).status).toEqual({
    statusCode: streamsStatuses.missingSourceTopics,
    statusDetail: "Source topics a, b, c and 1 additional topics are missing.",
  });
});

it("a topology that contradicts itself is refused", () => {
  const problem = (...subtopologies: Subtopology[]): string | null => topologyProblem(topology(...subtopologies));
  const plain = subtopology("0", { sourceTopics: ["a"] });
  expect(problem(plain)).toBeNull();
  expect(problem(plain, plain)).toMatch(/twice/);
  expect(problem(subtopology("0", {}))).toMatch(/does not contain any source topics/);
  expect(problem({ ...plain, stateChangelogTopics: [info("c", 2)] })).toBe(
    "Changelog topic c must have an undefined partition count, but it is set to 2.",
  );
  expect(problem({ ...plain, copartitionGroups: [together] })).toMatch(/names a topic that is not there/);
  const tooMany = Array.from({ length: subtopologyCountMax + 1 }, (_, id) => ({ ...plain, subtopologyId: `${id}` }));
  expect(problem(...tooMany)).toMatch(/at most 1000/);
  expect(problem({ ...plain, sourceTopics: new Array<string>(topologyTopicCountMax + 1).fill("a") })).toMatch(/10000/);
});

it("names of topics are judged, and the order of a topology's parts does not count", () => {
  const names = (name: string): string | null =>
    topicNamesProblem(topology(subtopology("0", { sourceTopics: [name] })));
  expect(names("__consumer_offsets")).toMatch(/^Use of Kafka internal topics __consumer_offsets /);
  expect(names("a b")).toBe("Topic names a b are not valid topic names.");
  const [a, b] = [subtopology("a", { sourceTopics: ["x", "y"] }), subtopology("b", { sourceTopics: ["z"] })];
  expect(sameTopology(topology(a, b), topology(b, { ...a, sourceTopics: ["y", "x"] }))).toBe(true);
  expect(sameTopology(topology(a, b), topology(a))).toBe(false);
});
