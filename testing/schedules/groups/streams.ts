// Random schedules of a streams group (KIP-1071): a word count over two partitions and more, with copies of its state where the seed says so. A task
// stands for the partition that it reads: that is what must have one owner, and what is committed.
import { type StreamsAnswer, type StreamsConfig, StreamsGroup, type Topology } from "@blumfeld/core/coordinator";
import { ErrorCode, type StreamsGroupHeartbeatRequest } from "@blumfeld/core/protocol";
import { rebalanceTimeoutMs, sessionTimeoutMs } from "./classic-member.ts";
import { client, groupId, type Member, World } from "./world.ts";

const stepCount = 40;
const membersAtOnceMax = 5;
/** What the tasks of each subtopology read. */
const sources = ["in", "repartition"] as const;

const topology: Topology = {
  epoch: 0,
  subtopologies: [
    {
      ...{ subtopologyId: "0", sourceTopics: ["in"], sourceTopicRegex: [], stateChangelogTopics: [] },
      ...{ repartitionSinkTopics: ["repartition"], repartitionSourceTopics: [], copartitionGroups: [] },
    },
    {
      ...{
        subtopologyId: "1",
        sourceTopics: [],
        sourceTopicRegex: [],
        repartitionSinkTopics: [],
        copartitionGroups: [],
      },
      stateChangelogTopics: [{ name: "changelog", partitions: 0, replicationFactor: -1, topicConfigs: [] }],
      repartitionSourceTopics: [{ name: "repartition", partitions: 0, replicationFactor: -1, topicConfigs: [] }],
    },
  ],
};

interface TaskIds {
  readonly subtopologyId: string;
  readonly partitions: readonly number[];
}

class StreamsMember implements Member {
  readonly name: string;
  readonly instanceId = null;
  isPaused = false;
  isGone = false;
  owned: ReadonlySet<string> = new Set();
  readonly positions = new Map<string, number>();
  private readonly world: World;
  private readonly processId: string;
  private epoch = 0;
  private isTold = false;
  private active: readonly TaskIds[] = [];
  private standby: readonly TaskIds[] = [];
  /** What it was told to run; null where it does. */
  private target: { readonly active: readonly TaskIds[]; readonly standby: readonly TaskIds[] } | null = null;

  constructor(world: World, name: string, processId: string) {
    this.world = world;
    this.name = name;
    this.processId = processId;
  }

  committer() {
    return { memberId: this.name, groupInstanceId: null, generationOrEpoch: this.epoch };
  }

  private inGroup() {
    const group = this.world.shard.group(groupId);
    return group instanceof StreamsGroup ? group.members.get(this.name) : undefined;
  }

  isRecognised(): boolean {
    const member = this.inGroup();
    return member !== undefined && (member.memberEpoch === this.epoch || member.previousMemberEpoch === this.epoch);
  }

  isSettled(): boolean {
    return this.inGroup()?.memberEpoch === this.epoch && this.target === null;
  }

  private reconcile(): void {
    if (this.target === null) return;
    this.active = this.target.active;
    this.standby = this.target.standby;
    this.target = null;
    this.owned = placesOf(this.active);
    for (const place of [...this.positions.keys()]) if (!this.owned.has(place)) this.positions.delete(place);
  }

  private forget(): void {
    this.epoch = 0;
    this.target = { active: [], standby: [] };
    this.reconcile();
  }

  mayCommit(): boolean {
    return true;
  }

  step(): void {
    if (this.target !== null && this.world.below(3) !== 0) this.reconcile();
    const response = this.beat(this.epoch);
    if (this.world.below(8) === 0) {
      // The answer is lost, and tasks are told once, as by Kafka's coordinator: who missed them joins again.
      this.isTold = false;
      if ("memberEpoch" in response && response.activeTasks != null) this.forget();
      return;
    }
    switch (response.errorCode) {
      case ErrorCode.NONE:
        break;
      case ErrorCode.FENCED_MEMBER_EPOCH:
      case ErrorCode.UNKNOWN_MEMBER_ID:
      case ErrorCode.GROUP_ID_NOT_FOUND:
        return this.forget();
      default:
        return;
    }
    if (!("memberEpoch" in response)) return;
    this.epoch = response.memberEpoch;
    this.isTold = true;
    if (response.activeTasks != null) {
      const active = response.activeTasks as TaskIds[];
      this.target = { active, standby: (response.standbyTasks ?? []) as TaskIds[] };
      const given = placesOf(active);
      if ([...this.owned].every((place) => given.has(place))) this.reconcile();
    }
    this.world.fetchPositions(this);
  }

  private beat(memberEpoch: number): StreamsAnswer["response"] | { errorCode: number } {
    const isJoining = memberEpoch === 0;
    const own = (tasks: readonly TaskIds[]) => tasks.map((one) => ({ ...one, partitions: [...one.partitions] }));
    const request: StreamsGroupHeartbeatRequest = {
      ...{ groupId, memberId: this.name, memberEpoch, endpointInformationEpoch: -1, instanceId: null, rackId: null },
      ...{
        rebalanceTimeoutMs: isJoining || !this.isTold ? rebalanceTimeoutMs : -1,
        topology: isJoining ? topology : null,
      },
      ...{ activeTasks: isJoining ? [] : own(this.active), standbyTasks: isJoining ? [] : own(this.standby) },
      ...{ warmupTasks: [], processId: isJoining ? this.processId : null, userEndpoint: null, clientTags: null },
      ...{ taskOffsets: null, taskEndOffsets: null, shutdownApplication: false },
    };
    const answer = this.world.decide((shard, nowMs) => shard.streamsGroupHeartbeat(request, client, nowMs));
    return "response" in answer ? answer.response : answer;
  }

  leave(): void {
    this.isGone = true;
    if (this.epoch > 0) this.beat(-1);
    this.forget();
  }
}

function placesOf(tasks: readonly TaskIds[]): Set<string> {
  const places = new Set<string>();
  for (const { partitions, subtopologyId } of tasks)
    for (const partition of partitions) places.add(`${sources[Number(subtopologyId)]}:${partition}`);
  return places;
}

function configOf(seed: number): StreamsConfig {
  const group = {
    ...{ sessionTimeoutMs, heartbeatIntervalMs: 3000, assignmentIntervalMs: seed % 2 === 0 ? 1000 : 0 },
    ...{ initialRebalanceDelayMs: seed % 5 === 0 ? 3000 : 0, standbyReplicaCount: seed % 3 },
  };
  return { isEnabled: true, memberCountMax: 100, group: () => group };
}

export function streamsSchedule(seed: number): void {
  const partitionCount = 1 + (seed % 4);
  const counts = { in: partitionCount, repartition: partitionCount, changelog: partitionCount };
  const world = new World(seed, { streams: configOf(seed) }, counts);
  const trace: string[] = [];
  let count = 0;
  try {
    for (let step = 0; step < stepCount; step++) {
      trace.push(act(world, () => new StreamsMember(world, `m${count++}`, `p${world.below(3)}`)));
      world.check();
    }
    trace.push("in peace");
    world.settle(() => sources);
  } catch (error) {
    if (error instanceof Error) error.message += `\nafter: ${trace.join(", ")}`;
    throw error;
  }
}

function act(world: World, create: () => StreamsMember): string {
  const alive = world.members.filter(({ isGone }) => !isGone);
  const awake = alive.filter(({ isPaused }) => !isPaused);
  const action = world.below(40);
  if (alive.length === 0 || (action < 4 && alive.length < membersAtOnceMax)) {
    world.members.push(create());
    return "start";
  }
  if (action < 25 && awake.length > 0) {
    const member = world.pick(awake);
    member.step();
    return `${member.name} steps`;
  }
  const member = world.pick(alive);
  if (action < 29) {
    world.commit(member);
    return `${member.name} commits`;
  }
  switch (action) {
    case 29:
      member.leave();
      return `${member.name} leaves`;
    case 30:
      member.isGone = true;
      return `${member.name} dies`;
    case 31:
      member.isPaused = true;
      return `${member.name} hangs`;
    case 32:
      member.isPaused = false;
      return `${member.name} goes on`;
    case 33:
      world.reload();
      return "reload";
    case 34:
      world.refuse(world.test.refusing === null);
      return world.test.refusing === null ? "appends go" : "appends are refused";
    default: {
      const ms = world.pick([10, 1000, 3000, 9000, 15_000]);
      world.test.pass(ms);
      return `${ms} ms`;
    }
  }
}
