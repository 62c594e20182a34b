// Members of streams groups that ask for what cannot be: refused before a group hears of it, and nothing of it stays. Those that can be served get
// their internal topics from the broker.
import { uuidZero } from "@blumfeld/core/base";
import { ApiKey, ErrorCode, type StreamsGroupHeartbeatRequestInit } from "@blumfeld/core/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { WireConnection } from "../wire/index.ts";
import { createTopic, pause, startVictim, type Victim } from "./victim.ts";

let victim: Victim;
let connection: WireConnection;

beforeAll(async () => {
  const properties = { "group.streams.initial.rebalance.delay.ms": 0, "offsets.topic.num.partitions": 1 };
  victim = await startVictim(properties);
  connection = await victim.open();
  await createTopic(connection, "words", {}, 3);
  const find = { key: "", keyType: 0, coordinatorKeys: ["app"] };
  for (let tries = 0; tries < 200; tries++) {
    const found = await connection.ask(ApiKey.FindCoordinator, 6, find);
    if (
      found.coordinators[0]!.errorCode === ErrorCode.NONE &&
      (await beat({ memberEpoch: 9 })).errorCode !== ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    )
      break;
    await pause(20);
  }
});
afterAll(async () => {
  connection.destroy();
  await victim.stop();
});

type Topology = NonNullable<StreamsGroupHeartbeatRequestInit["topology"]>;
type Subtopology = Topology["subtopologies"][number];

function topology(parts: Partial<Subtopology> = {}): Topology {
  const nothing = {
    ...{ subtopologyId: "0", sourceTopics: ["words"], sourceTopicRegex: [], stateChangelogTopics: [] },
    ...{ repartitionSinkTopics: [], repartitionSourceTopics: [], copartitionGroups: [] },
  };
  return { epoch: 0, subtopologies: [{ ...nothing, ...parts }] };
}

const noTasks = { activeTasks: [], standbyTasks: [], warmupTasks: [] };

function beat(request: Partial<StreamsGroupHeartbeatRequestInit>) {
  const base = { groupId: "app", memberId: "m", memberEpoch: 0, endpointInformationEpoch: -1, processId: "p" };
  return connection.ask(ApiKey.StreamsGroupHeartbeat, 0, { ...base, ...request });
}

const joining = { ...noTasks, rebalanceTimeoutMs: 1000 };
const task = [{ subtopologyId: "0", partitions: [0] }];
const changelog = { name: "c", partitions: 0, replicationFactor: 1, topicConfigs: [] };
const { INVALID_REQUEST, STREAMS_INVALID_TOPOLOGY } = ErrorCode;

const refusals: readonly [string, Partial<StreamsGroupHeartbeatRequestInit>, number][] = [
  ["no member id", { ...joining, memberId: "", topology: topology() }, INVALID_REQUEST],
  ["no group id", { ...joining, groupId: "", topology: topology() }, INVALID_REQUEST],
  ["an empty rack", { ...joining, rackId: " ", topology: topology() }, INVALID_REQUEST],
  ["no rebalance timeout", { ...noTasks, topology: topology() }, INVALID_REQUEST],
  ["a join without a topology", joining, INVALID_REQUEST],
  ["a join with tasks", { ...joining, activeTasks: task, topology: topology() }, INVALID_REQUEST],
  ["a join without the lists", { rebalanceTimeoutMs: 1, topology: topology() }, INVALID_REQUEST],
  ["an epoch below all", { memberEpoch: -3 }, INVALID_REQUEST],
  ["a static member", { ...joining, instanceId: "i", topology: topology() }, INVALID_REQUEST],
  ["a static leave", { memberEpoch: -2 }, INVALID_REQUEST],
  ["one list of tasks alone", { memberEpoch: 1, activeTasks: task }, INVALID_REQUEST],
  ["warm-up tasks", { memberEpoch: 1, ...noTasks, warmupTasks: task }, INVALID_REQUEST],
  ["a topology later on", { memberEpoch: 1, topology: topology() }, INVALID_REQUEST],
  ["offsets of tasks", { memberEpoch: 1, taskOffsets: [] }, INVALID_REQUEST],
  ["a regular expression", { ...joining, topology: topology({ sourceTopicRegex: ["(a+)+$"] }) }, INVALID_REQUEST],
  [
    "a coordinator's topic",
    { ...joining, topology: topology({ sourceTopics: ["__consumer_offsets"] }) },
    STREAMS_INVALID_TOPOLOGY,
  ],
  ["a name that no topic has", { ...joining, topology: topology({ sourceTopics: ["a b"] }) }, STREAMS_INVALID_TOPOLOGY],
  [
    "a changelog with a partition count",
    { ...joining, topology: topology({ stateChangelogTopics: [{ ...changelog, partitions: 2 }] }) },
    STREAMS_INVALID_TOPOLOGY,
  ],
  [
    "a copartition group that names nothing",
    {
      ...joining,
      topology: topology({
        copartitionGroups: [{ sourceTopics: [7], sourceTopicRegex: [], repartitionSourceTopics: [-1] }],
      }),
    },
    STREAMS_INVALID_TOPOLOGY,
  ],
  [
    "subtopologies without end",
    {
      ...joining,
      topology: {
        epoch: 0,
        subtopologies: Array.from({ length: 5000 }, (_, id) => ({
          ...topology().subtopologies[0]!,
          subtopologyId: `${id}`,
        })),
      },
    },
    STREAMS_INVALID_TOPOLOGY,
  ],
];

test.each(refusals)("%s", async (_name, request, errorCode) => {
  const answer = await beat(request);
  expect(answer.errorCode).toBe(errorCode);
  expect(answer.errorMessage).not.toBeNull();
  const { groups } = await connection.ask(ApiKey.StreamsGroupDescribe, 0, {
    groupIds: ["app"],
    includeAuthorizedOperations: false,
  });
  expect(groups[0]!.errorCode).toBe(ErrorCode.GROUP_ID_NOT_FOUND);
});

test("the broker makes the topics, and tells why it cannot", async () => {
  const fits = await beat({ ...joining, groupId: "fits", topology: topology({ stateChangelogTopics: [changelog] }) });
  expect(fits.status).toMatchObject([{ statusCode: 3, statusDetail: "Internal topics are missing: c" }]);
  let { status, memberEpoch } = fits;
  for (let tries = 0; tries < 100 && status!.length > 0; tries++) {
    await pause(20);
    ({ status, memberEpoch } = await beat({ groupId: "fits", memberEpoch, ...noTasks }));
  }
  expect(status).toEqual([]);
  const metadata = await connection.ask(ApiKey.Metadata, 13, {
    topics: [{ topicId: uuidZero, name: "c" }],
    allowAutoTopicCreation: false,
    includeTopicAuthorizedOperations: false,
  });
  expect(metadata.topics[0]).toMatchObject({ errorCode: 0, partitions: { length: 3 } });

  const wide = { ...changelog, name: "wide", replicationFactor: 9 };
  const cannot = await beat({ ...joining, groupId: "cannot", topology: topology({ stateChangelogTopics: [wide] }) });
  let detail = "";
  for (let tries = 0; tries < 100 && !detail.includes("Creation failed: wide ("); tries++) {
    await pause(20);
    const answer = await beat({ groupId: "cannot", memberEpoch: cannot.memberEpoch });
    detail = answer.status?.map(({ statusDetail }) => statusDetail).join() ?? "";
  }
  expect(detail).toMatch(/^Internal topics are missing: wide; Creation failed: wide \(/);
});
