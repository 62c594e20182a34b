// Streams groups over a shard in memory: the flow of one application, what is refused, and random schedules with reloads at every point, in which no
// task may be active at two members that act on what they were told.
import { describe, expect, it } from "vitest";
import { seededRandom } from "../../base/index.ts";
import { ErrorCode, type StreamsGroupHeartbeatRequest } from "../../protocol/index.ts";
import { TestShard, TestTopics } from "../group/fixture/test-shard.ts";
import type { StreamsConfig, StreamsGroupConfig } from "./streams-config.ts";
import type { StreamsGroup } from "./streams-group.ts";
import type { StreamsAnswer } from "./streams-heartbeat.ts";
import { type TaskIds, taskIdsOf, taskKey } from "./tasks.ts";
import type { Topology } from "./topology.ts";

const groupId = "app";
const client = { clientId: "c", clientHost: "/127.0.0.1", apiVersion: 0 };

function info(name: string, partitions = 0): Topology["subtopologies"][number]["stateChangelogTopics"][number] {
  return { name, partitions, replicationFactor: -1, topicConfigs: [] };
}

/** Reads `in`, repartitions, counts: as a word count does. */
const counting: Topology = {
  epoch: 0,
  subtopologies: [
    {
      ...{ subtopologyId: "0", sourceTopics: ["in"], sourceTopicRegex: [], stateChangelogTopics: [] },
      ...{ repartitionSinkTopics: ["app-repartition"], repartitionSourceTopics: [], copartitionGroups: [] },
    },
    {
      ...{ subtopologyId: "1", sourceTopics: [], sourceTopicRegex: [] },
      stateChangelogTopics: [info("app-changelog")],
      ...{ repartitionSinkTopics: [], repartitionSourceTopics: [info("app-repartition")], copartitionGroups: [] },
    },
  ],
};

function request(memberId: string, memberEpoch: number, rest: Partial<StreamsGroupHeartbeatRequest> = {}) {
  const joining =
    memberEpoch === 0
      ? { topology: counting, activeTasks: [], standbyTasks: [], warmupTasks: [], rebalanceTimeoutMs: 10_000 }
      : {};
  return {
    ...{ groupId, memberId, memberEpoch, endpointInformationEpoch: -1, instanceId: null, rackId: null },
    ...{ rebalanceTimeoutMs: -1, topology: null, activeTasks: null, standbyTasks: null, warmupTasks: null },
    ...{ processId: memberEpoch === 0 ? memberId : null, userEndpoint: null, clientTags: null },
    ...{ taskOffsets: null, taskEndOffsets: null, shutdownApplication: false },
    ...joining,
    ...rest,
  } satisfies StreamsGroupHeartbeatRequest;
}

function streamsConfig(own: Partial<StreamsGroupConfig> = {}): StreamsConfig {
  const group = {
    ...{ sessionTimeoutMs: 45_000, heartbeatIntervalMs: 5000, assignmentIntervalMs: 0 },
    ...{ initialRebalanceDelayMs: 0, standbyReplicaCount: 0 },
    ...own,
  };
  return { isEnabled: true, memberCountMax: 10, group: () => group };
}

function shardWith(own: Partial<StreamsGroupConfig> = {}, topics = new TestTopics()): TestShard {
  return TestShard.empty({ topics, config: { streams: streamsConfig(own) } });
}

function beat(test: TestShard, ...args: Parameters<typeof request>): StreamsAnswer["response"] {
  return ask(test, request(...args)).response;
}

function ask(test: TestShard, heartbeat: StreamsGroupHeartbeatRequest): StreamsAnswer {
  return test.decide((shard, nowMs) => shard.streamsGroupHeartbeat(heartbeat, client, nowMs)) as StreamsAnswer;
}

function groupOf(test: TestShard): StreamsGroup {
  return test.shard.group(groupId) as StreamsGroup;
}

function makeTopics(test: TestShard, { topicsToCreate }: StreamsAnswer): void {
  for (const { name, numPartitions } of topicsToCreate) test.topics.set(name, numPartitions);
  test.shard.onTopicsChanged(new Set(topicsToCreate.map(({ name }) => name)));
}

function ready(own: Partial<StreamsGroupConfig> = {}, partitionCount = 2): TestShard {
  const test = shardWith(own);
  test.topics.set("in", partitionCount);
  test.topics.set("app-repartition", partitionCount);
  test.topics.set("app-changelog", partitionCount);
  return test;
}

describe("one application", () => {
  it("waits for its topics and the delay, then runs every task", () => {
    const test = shardWith({ initialRebalanceDelayMs: 3000 });
    const none = beat(test, "a", 0);
    expect(none.status).toMatchObject([
      { statusCode: 5 },
      { statusCode: 1, statusDetail: "Source topics in are missing." },
    ]);
    test.topics.set("in", 2);
    test.shard.onTopicsChanged(new Set(["in"]));
    const first = ask(test, request("a", 1));
    expect(first.response.status).toMatchObject([
      { statusCode: 5 },
      { statusCode: 3, statusDetail: "Internal topics are missing: app-changelog, app-repartition" },
    ]);
    expect(first.topicsToCreate.map(({ name, numPartitions }) => [name, numPartitions])).toEqual([
      ["app-changelog", 2],
      ["app-repartition", 2],
    ]);
    expect(groupOf(test).state).toBe("NotReady");
    makeTopics(test, first);
    expect(beat(test, "a", 1).status).toMatchObject([{ statusCode: 5 }]);
    expect(groupOf(test).state).toBe("Assigning");
    test.pass(3000);
    const assigned = beat(test, "a", 1);
    expect(assigned).toMatchObject({ memberEpoch: groupOf(test).groupEpoch, status: [] });
    expect(assigned.activeTasks).toEqual([
      { subtopologyId: "0", partitions: [0, 1] },
      { subtopologyId: "1", partitions: [0, 1] },
    ]);
    expect(groupOf(test).state).toBe("Stable");
    expect(test.shard.administration.describeStreams(groupId)).toMatchObject({
      groupState: "Stable",
      topology: { subtopologies: [{}, { stateChangelogTopics: [{ name: "app-changelog", partitions: 2 }] }] },
    });
  });

  it("hands tasks over only once they were given up, and takes them from who is silent", () => {
    const test = ready();
    const a = beat(test, "a", 0);
    expect(a.activeTasks).toHaveLength(2);
    const b = beat(test, "b", 0);
    expect(b.activeTasks).toEqual([]);
    const revoking = beat(test, "a", a.memberEpoch);
    expect(revoking.memberEpoch).toBe(a.memberEpoch);
    const kept = revoking.activeTasks as TaskIds[];
    expect(kept.reduce((sum, { partitions }) => sum + partitions.length, 0)).toBe(2);
    expect(beat(test, "b", b.memberEpoch).activeTasks).toBeNull();
    const owned = { activeTasks: kept, standbyTasks: [], warmupTasks: [] };
    expect(beat(test, "a", a.memberEpoch, owned).memberEpoch).toBe(b.memberEpoch);
    const taken = beat(test, "b", b.memberEpoch).activeTasks as TaskIds[];
    expect(taken.reduce((sum, { partitions }) => sum + partitions.length, 0)).toBe(2);
    expect(groupOf(test).state).toBe("Stable");
    test.pass(30_000);
    beat(test, "b", b.memberEpoch);
    test.pass(20_000);
    expect([...groupOf(test).members.keys()]).toEqual(["b"]);
    const all = beat(test, "b", b.memberEpoch).activeTasks as TaskIds[];
    expect(all.reduce((sum, { partitions }) => sum + partitions.length, 0)).toBe(4);
  });

  it("fences who does not give up its tasks in time", () => {
    const test = ready();
    const a = beat(test, "a", 0);
    beat(test, "b", 0);
    beat(test, "a", a.memberEpoch);
    test.pass(10_000);
    expect(beat(test, "a", a.memberEpoch).errorCode).toBe(ErrorCode.UNKNOWN_MEMBER_ID);
  });

  it("keeps a copy of each state elsewhere, and moves a task to its copy", () => {
    const test = ready({ standbyReplicaCount: 1 });
    const epochs: Record<string, number> = {};
    const owned: Record<
      string,
      Pick<StreamsGroupHeartbeatRequest, "activeTasks" | "standbyTasks" | "warmupTasks">
    > = {};
    const settle = (...ids: string[]): void => {
      for (let round = 0; round < 8; round++) {
        for (const id of ids) {
          const answer = beat(test, id, epochs[id] ?? 0, epochs[id] === undefined ? {} : owned[id]);
          epochs[id] = answer.memberEpoch;
          if (answer.activeTasks != null)
            owned[id] = {
              activeTasks: answer.activeTasks as TaskIds[],
              standbyTasks: answer.standbyTasks as TaskIds[],
              warmupTasks: [],
            };
        }
      }
    };
    settle("a", "b");
    expect(groupOf(test).state).toBe("Stable");
    const standbyOf = (id: string): TaskIds[] => taskIdsOf(groupOf(test).members.get(id)!.assigned.standby);
    const before = [standbyOf("a"), standbyOf("b")];
    expect(before.flat().flatMap(({ partitions }) => partitions)).toHaveLength(2);
    beat(test, "a", -1);
    settle("b");
    // Alone, it runs all; a copy beside the task itself would help nobody.
    expect(standbyOf("b")).toEqual([]);
    expect(groupOf(test).state).toBe("Stable");
  });

  it("tells endpoints, stale topologies and who asked for the end", () => {
    const test = ready();
    const userEndpoint = { host: "h", port: 1 };
    const a = beat(test, "a", 0, { userEndpoint });
    expect(a).toMatchObject({ endpointInformationEpoch: 0, partitionsByUserEndpoint: [{ userEndpoint }] });
    const activePartitions = a.partitionsByUserEndpoint?.[0]?.activePartitions;
    expect(activePartitions).toEqual([
      { topic: "in", partitions: [0, 1] },
      { topic: "app-repartition", partitions: [0, 1] },
    ]);
    expect(beat(test, "a", a.memberEpoch, { endpointInformationEpoch: 0 }).partitionsByUserEndpoint).toBeNull();
    // Threads of one process are one endpoint, with what all of them run.
    const thread = beat(test, "a2", 0, { userEndpoint, processId: "a" });
    beat(test, "a", a.memberEpoch);
    const owned = { activeTasks: [], standbyTasks: [], warmupTasks: [] };
    beat(test, "a", a.memberEpoch, owned);
    const { partitionsByUserEndpoint } = beat(test, "a2", thread.memberEpoch);
    expect(partitionsByUserEndpoint).toEqual([{ userEndpoint, activePartitions, standbyPartitions: [] }]);
    beat(test, "a", thread.memberEpoch, { shutdownApplication: true });
    expect(beat(test, "b", 0).status).toMatchObject([{ statusCode: 4 }]);
    const stale = shardWith();
    stale.topics.set("in", 1);
    beat(stale, "a", 0, { topology: { ...counting, epoch: 3 } });
    expect(beat(stale, "b", 0).status).toMatchObject([{ statusCode: 0 }, { statusCode: 3 }]);
    expect(beat(stale, "c", 0, { topology: { ...counting, epoch: 4 } }).errorCode).toBe(ErrorCode.INVALID_REQUEST);
  });

  it("refuses epochs, tasks and groups that are not there", () => {
    const test = ready();
    expect(beat(test, "a", 5).errorCode).toBe(ErrorCode.GROUP_ID_NOT_FOUND);
    const { memberEpoch } = beat(test, "a", 0);
    expect(beat(test, "x", 1).errorCode).toBe(ErrorCode.UNKNOWN_MEMBER_ID);
    expect(beat(test, "a", memberEpoch + 1).errorCode).toBe(ErrorCode.FENCED_MEMBER_EPOCH);
    const wrong = [{ subtopologyId: "1", partitions: [2] }];
    const owned = { activeTasks: wrong, standbyTasks: [], warmupTasks: [] };
    expect(beat(test, "a", memberEpoch, owned).errorCode).toBe(ErrorCode.INVALID_REQUEST);
    for (let i = 0; i < 9; i++) beat(test, `m${i}`, 0);
    expect(beat(test, "one too many", 0).errorCode).toBe(ErrorCode.GROUP_MAX_SIZE_REACHED);
    expect(test.decide((shard) => shard.administration.deleteGroup(groupId))).toBe(ErrorCode.NON_EMPTY_GROUP);
  });

  it("is gone with its records once it is empty and deleted", () => {
    const test = ready();
    beat(test, "a", 0);
    beat(test, "a", -1);
    expect(test.decide((shard) => shard.administration.deleteGroup(groupId))).toBe(0);
    expect(test.shard.group(groupId)).toBeUndefined();
    expect(test.reloaded().shard.group(groupId)).toBeUndefined();
  });
});

/** What a member believes: the epoch and the tasks that it was told last, of which it runs the active ones. */
interface Believer {
  readonly id: string;
  epoch: number;
  owned: { active: TaskIds[]; standby: TaskIds[] };
}

function keysOf(ids: readonly TaskIds[]): string[] {
  return ids.flatMap(({ subtopologyId, partitions }) => partitions.map((one) => taskKey(subtopologyId, one)));
}

function stateOf(test: TestShard): unknown {
  const group = groupOf(test);
  if (group === undefined) return null;
  return {
    epochs: [group.groupEpoch, group.assignmentEpoch, group.metadataHash, group.validatedTopologyEpoch],
    state: group.state,
    topology: group.topology,
    members: new Map([...group.members].sort(([a], [b]) => (a < b ? -1 : 1))),
    targets: new Map([...group.targets].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

const schedules = 60;
const steps = 80;

describe("random schedules", () => {
  it(`no task is active at two of the members that obey, and a reload changes nothing (${schedules} schedules)`, () => {
    for (let seed = 1; seed <= schedules; seed++) run(seed);
  });
});

function run(seed: number): void {
  const random = seededRandom(seed);
  const pick = (below: number): number => random.uint32() % below;
  let test = ready({ standbyReplicaCount: seed % 3, assignmentIntervalMs: seed % 2 === 0 ? 1000 : 0 }, 1 + (seed % 5));
  const members: Believer[] = [];
  for (let step = 0; step < steps; step++) {
    const action = pick(10);
    if (members.length === 0 || (action === 0 && members.length < 6)) {
      members.push({ id: `m${step}`, epoch: 0, owned: { active: [], standby: [] } });
    } else if (action === 1 && members.length > 1) {
      const [left] = members.splice(pick(members.length), 1);
      if (left!.epoch > 0) beat(test, left!.id, -1);
    } else if (action === 2) {
      const live = test;
      test = live.reloaded();
      expect(stateOf(test), `seed ${seed}, step ${step}`).toEqual(stateOf(live));
    } else if (action === 3) test.pass(pick(2000));
    else if (action === 4) {
      test.refusing = ErrorCode.NOT_ENOUGH_REPLICAS;
      const before = stateOf(test);
      ask(test, request(`refused${step}`, 0));
      test.refusing = null;
      expect(stateOf(test), `seed ${seed}, step ${step}`).toEqual(before);
    } else obey(test, members[pick(members.length)]!);
    const running = members.flatMap(({ owned }) => keysOf(owned.active));
    expect(new Set(running).size, `seed ${seed}, step ${step}: ${running}`).toBe(running.length);
  }
  for (let round = 0; round < 20; round++) {
    test.pass(1000);
    for (const member of members) obey(test, member);
  }
  expect(groupOf(test).state, `seed ${seed}`).toBe("Stable");
  const taskCount = (1 + (seed % 5)) * 2;
  const running = members.flatMap(({ owned }) => keysOf(owned.active));
  expect(running.length, `seed ${seed}: every task runs`).toBe(taskCount);
  const loads = members.map(({ owned }) => keysOf(owned.active).length);
  expect(Math.max(...loads) - Math.min(...loads), `seed ${seed}: ${loads}`).toBeLessThanOrEqual(1);
}

function obey(test: TestShard, member: Believer): void {
  const { active, standby } = member.owned;
  const owned = member.epoch === 0 ? {} : { activeTasks: active, standbyTasks: standby, warmupTasks: [] };
  const answer = beat(test, member.id, member.epoch, owned);
  if (answer.errorCode !== ErrorCode.NONE) {
    // Fenced or forgotten: it stops all and begins anew.
    member.epoch = 0;
    member.owned = { active: [], standby: [] };
    return;
  }
  member.epoch = answer.memberEpoch;
  if (answer.activeTasks != null)
    member.owned = { active: answer.activeTasks as TaskIds[], standby: answer.standbyTasks as TaskIds[] };
}
