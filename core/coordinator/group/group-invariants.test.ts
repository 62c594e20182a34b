// Random schedules of members that join, lose answers, fall silent and leave, while appends are refused and the shard is loaded anew at any point.
// What must hold: no partition is owned by two members; what is in memory is what a fresh replay gives; left in peace, the group becomes stable
// and every partition has an owner; a committed offset does not go back by itself.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Uuid } from "../../base/index.ts";
import {
  type ConsumerGroupHeartbeatResponseInit,
  ErrorCode,
  type JoinGroupResponseInit,
} from "../../protocol/index.ts";
import { ClassicGroup } from "./classic/classic-group.ts";
import { ConsumerGroup } from "./consumer/consumer-group.ts";
import { TestShard, TestTopics } from "./fixture/test-shard.ts";

const groupId = "g";
const sessionTimeoutMs = 45_000;
/** A client that has not been answered for so long gives up what it has by itself. */
const selfFenceMs = 40_000;

/** What a KIP-848 client does, as far as the coordinator can see it. */
class ConsumerClient {
  readonly memberId: string;
  epoch = 0;
  owned = new Set<string>();
  topics: string[] = [];
  heardMs = 0;
  isIn = false;

  constructor(memberId: string) {
    this.memberId = memberId;
  }

  forget(): void {
    this.epoch = 0;
    this.owned.clear();
  }
}

function ask(
  test: TestShard,
  client: ConsumerClient,
  epoch: number,
): ConsumerGroupHeartbeatResponseInit | { errorCode: number } {
  const owned = new Map<Uuid, number[]>();
  for (const each of epoch === 0 ? [] : client.owned) {
    const [id, partition] = each.split(":") as [Uuid, string];
    owned.set(id, [...(owned.get(id) ?? []), Number(partition)]);
  }
  return test.decide((shard, nowMs) =>
    shard.consumerGroupHeartbeat(
      {
        groupId,
        memberId: client.memberId,
        memberEpoch: epoch,
        instanceId: null,
        rackId: null,
        rebalanceTimeoutMs: 60_000,
        subscribedTopicNames: client.topics,
        subscribedTopicRegex: null,
        serverAssignor: null,
        topicPartitions: [...owned].map(([topicId, partitions]) => ({ topicId, partitions })),
      },
      { clientId: "c", clientHost: "/h", apiVersion: 1 },
      nowMs,
    ),
  );
}

function beat(test: TestShard, client: ConsumerClient, isAnswerLost: boolean): void {
  const response = ask(test, client, client.epoch);
  if (isAnswerLost) return;
  client.heardMs = test.nowMs;
  if (response.errorCode === ErrorCode.FENCED_MEMBER_EPOCH || response.errorCode === ErrorCode.UNKNOWN_MEMBER_ID)
    return client.forget();
  if (response.errorCode === ErrorCode.GROUP_ID_NOT_FOUND) return client.forget();
  if (!("memberEpoch" in response) || response.errorCode !== 0) return;
  client.epoch = response.memberEpoch;
  if (response.assignment == null) return;
  client.owned = new Set(
    response.assignment.topicPartitions.flatMap(({ topicId, partitions }) =>
      partitions.map((each) => `${topicId}:${each}`),
    ),
  );
}

function stateOf(test: TestShard): unknown {
  const group = test.shard.group(groupId);
  if (!(group instanceof ConsumerGroup)) return group?.type ?? null;
  const plain = (assigned: ReadonlyMap<string, ReadonlyMap<number, number>>) =>
    [...assigned].map(([topic, partitions]) => [topic, [...partitions].sort()]).sort();
  return {
    epoch: group.groupEpoch,
    hash: group.metadataHash,
    assignmentEpoch: group.assignmentEpoch,
    members: [...group.members.values()]
      .map((member) => ({
        ...member,
        subscribedTopicNames: [...member.subscribedTopicNames].sort(),
        assigned: plain(member.assigned),
        pendingRevocation: plain(member.pendingRevocation),
        target: [...group.targetOf(member.memberId)].sort(),
        owners: [...member.assigned].map(([topic, partitions]) =>
          [...partitions.keys()].map((each) => group.ownerEpoch(topic, each)),
        ),
      }))
      .sort((a, b) => (a.memberId < b.memberId ? -1 : 1)),
    offsets: [...(test.shard.store.ofGroup(groupId) ?? [])].map(([topic, partitions]) => [
      topic,
      [...partitions.keys()],
    ]),
  };
}

const memberArbitrary = fc.integer({ min: 0, max: 3 });
const stepArbitrary = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant("beat" as const), member: memberArbitrary, lost: fc.boolean() }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("join" as const), member: memberArbitrary, both: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("leave" as const), member: memberArbitrary }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.constantFrom(10, 1000, 20_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("grow" as const), topic: fc.constantFrom("t", "u") }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reload" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("refuse" as const), refusing: fc.boolean() }) },
);

describe("a consumer group under any schedule", () => {
  it("gives no partition to two, and comes to rest with all given", () => {
    fc.assert(
      fc.property(fc.array(stepArbitrary, { maxLength: 60 }), fc.boolean(), (steps, isBatched) => {
        const topics = new TestTopics();
        const partitionCounts = new Map([
          ["t", 3],
          ["u", 2],
        ]);
        for (const [name, count] of partitionCounts) topics.set(name, count);
        const intervalMs = isBatched ? 1000 : 0;
        const consumerGroup = () => ({ sessionTimeoutMs, heartbeatIntervalMs: 5000, assignmentIntervalMs: intervalMs });
        let test = TestShard.empty({ topics, config: { consumerGroup } });
        const clients = [0, 1, 2, 3].map((index) => new ConsumerClient(`m${index}`));
        const check = (): void => {
          const owners = new Map<string, string>();
          for (const { memberId, owned } of clients) {
            for (const partition of owned) {
              expect(owners.get(partition), `${partition} has two owners`).toBeUndefined();
              owners.set(partition, memberId);
            }
          }
          expect(stateOf(test.reloaded())).toEqual(stateOf(test));
        };
        const grow = (name: string): void => {
          partitionCounts.set(name, partitionCounts.get(name)! + 1);
          topics.set(name, partitionCounts.get(name)!);
          test.shard.onTopicsChanged(new Set([name]));
        };
        for (const step of steps) {
          switch (step.kind) {
            case "beat":
              if (clients[step.member]!.isIn) beat(test, clients[step.member]!, step.lost);
              break;
            case "join": {
              const client = clients[step.member]!;
              client.isIn = true;
              client.topics = step.both ? ["t", "u"] : ["t"];
              beat(test, client, false);
              break;
            }
            case "leave": {
              const client = clients[step.member]!;
              client.isIn = false;
              client.forget();
              ask(test, client, -1);
              break;
            }
            case "pass":
              // A client that hears nothing gives up what it has before the coordinator gives it to another.
              for (const client of clients) if (test.nowMs + step.ms - client.heardMs > selfFenceMs) client.forget();
              test.pass(step.ms);
              break;
            case "grow":
              grow(step.topic);
              break;
            case "reload": {
              test.runtime.close();
              test = test.reloaded();
              break;
            }
            case "refuse":
              test.refusing = step.refusing ? ErrorCode.NOT_ENOUGH_REPLICAS : null;
              break;
          }
          check();
        }
        test.refusing = null;
        for (let round = 0; round < 20; round++) {
          test.pass(1001);
          for (const client of clients) if (client.isIn) beat(test, client, false);
        }
        check();
        const members = clients.filter(({ isIn }) => isIn);
        if (members.length === 0) return;
        const group = test.shard.group(groupId) as ConsumerGroup;
        // A member that left while nothing could be written goes with its session.
        if (group.members.size === members.length) expect(group.state).toBe("Stable");
        const wanted = new Set(members.flatMap((client) => client.topics));
        let count = 0;
        for (const name of wanted) count += partitionCounts.get(name)!;
        const owned = members.reduce((sum, client) => sum + client.owned.size, 0);
        if (group.members.size === members.length) expect(owned).toBe(count);
      }),
      { numRuns: 2000 },
    );
  }, 120_000);
});

describe("a classic group under any schedule", () => {
  it("has one generation at a time, and comes to rest", () => {
    const classicStep = fc.oneof(
      { weight: 5, arbitrary: fc.record({ kind: fc.constant("act" as const), member: memberArbitrary }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("leave" as const), member: memberArbitrary }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.constantFrom(10, 1000, 9000) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("reload" as const) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("refuse" as const), refusing: fc.boolean() }) },
    );
    fc.assert(
      fc.property(fc.array(classicStep, { maxLength: 80 }), (steps) => {
        let test = TestShard.empty();
        const members = [0, 1, 2, 3].map(() => new ClassicClient());
        /** generation → leader: two members that lead one generation would both assign. */
        const leaders = new Map<number, string>();
        const act = (client: ClassicClient): void => client.act(test, leaders);
        for (const step of steps) {
          if (step.kind === "act") act(members[step.member]!);
          else if (step.kind === "leave") members[step.member]!.leave(test);
          else if (step.kind === "pass") test.pass(step.ms);
          else if (step.kind === "refuse") test.refusing = step.refusing ? ErrorCode.NOT_ENOUGH_REPLICAS : null;
          else {
            test.runtime.close();
            const before = test;
            test = test.reloaded();
            // Generations that were not written come again: their leaders are forgotten with them.
            const group = test.shard.group(groupId);
            const written = group instanceof ClassicGroup ? group.generationId : -1;
            for (const generation of leaders.keys()) if (generation > written) leaders.delete(generation);
            expect(before.runtime.currentState).toBe("closed");
            for (const client of members) expect(client.isWaiting, "whoever waited was told").toBe(false);
          }
        }
        test.refusing = null;
        const alive = members.filter(({ isIn }) => isIn);
        for (let round = 0; round < 200; round++) {
          test.pass(1000);
          for (const client of alive) act(client);
        }
        if (alive.length === 0) return;
        const group = test.shard.group(groupId) as ClassicGroup;
        expect(group.state).toBe("Stable");
        expect(group.members.size).toBe(alive.length);
        for (const client of alive) {
          expect(client.generation).toBe(group.generationId);
          expect(client.assignment).toBe(client.memberId);
        }
      }),
      { numRuns: 2000 },
    );
  }, 120_000);
});

/** A classic consumer: joins, syncs, beats; joins again when told to. */
class ClassicClient {
  memberId = "";
  generation = -1;
  state: "out" | "joining" | "joined" | "syncing" | "stable" = "out";
  assignment = "";
  isIn = false;
  private leads: readonly string[] = [];

  get isWaiting(): boolean {
    return this.state === "joining" || this.state === "syncing";
  }

  private begin(errorCode: number): void {
    if (errorCode === ErrorCode.UNKNOWN_MEMBER_ID) this.memberId = "";
    this.generation = -1;
    this.state = "out";
  }

  act(test: TestShard, leaders: Map<number, string>): void {
    this.isIn = true;
    if (this.state === "joined") return this.sync(test);
    if (this.isWaiting) return;
    if (this.state === "stable") return this.beat(test);
    this.state = "joining";
    const outcome = test.decide((shard, nowMs) =>
      shard.joinGroup(
        {
          ...{
            groupId,
            memberId: this.memberId,
            groupInstanceId: null,
            sessionTimeoutMs: 10_000,
            rebalanceTimeoutMs: 30_000,
          },
          ...{ protocolType: "consumer", protocols: [{ name: "range", metadata: Buffer.from("x") }], reason: null },
        },
        { clientId: "c", clientHost: "/h", apiVersion: 9 },
        (response) => this.onJoined(response, leaders),
        nowMs,
      ),
    );
    if (outcome !== undefined) this.begin((outcome as { errorCode: number }).errorCode);
  }

  private onJoined(response: JoinGroupResponseInit, leaders: Map<number, string>): void {
    if (response.errorCode === ErrorCode.MEMBER_ID_REQUIRED) {
      this.memberId = response.memberId;
      this.state = "out";
      return;
    }
    if (response.errorCode !== ErrorCode.NONE) return this.begin(response.errorCode);
    this.memberId = response.memberId;
    this.generation = response.generationId ?? -1;
    this.leads = response.members.map(({ memberId }) => memberId);
    const known = leaders.get(this.generation) ?? response.leader;
    expect(response.leader, `generation ${this.generation} has two leaders`).toBe(known);
    leaders.set(this.generation, response.leader);
    this.state = "joined";
  }

  private sync(test: TestShard): void {
    this.state = "syncing";
    const { generation } = this;
    const outcome = test.decide((shard, nowMs) =>
      shard.syncGroup(
        {
          ...{ groupId, memberId: this.memberId, groupInstanceId: null, generationId: generation },
          ...{ protocolType: "consumer", protocolName: "range" },
          assignments: this.leads.map((memberId) => ({ memberId, assignment: Buffer.from(memberId) })),
        },
        ({ errorCode, assignment }) => {
          if (errorCode !== ErrorCode.NONE) return this.begin(errorCode);
          this.assignment = Buffer.from(assignment).toString();
          this.state = "stable";
        },
        nowMs,
      ),
    );
    if (outcome !== undefined && this.isWaiting) this.begin((outcome as { errorCode: number }).errorCode);
  }

  private beat(test: TestShard): void {
    const request = { groupId, memberId: this.memberId, groupInstanceId: null, generationId: this.generation };
    const outcome = test.decide((shard) => shard.heartbeat(request));
    const errorCode = typeof outcome === "number" ? outcome : outcome.errorCode;
    if (errorCode !== ErrorCode.NONE) this.begin(errorCode);
  }

  leave(test: TestShard): void {
    this.isIn = false;
    if (this.isWaiting) return;
    test.decide((shard, nowMs) =>
      shard.leaveGroup(groupId, [{ memberId: this.memberId, groupInstanceId: null, reason: null }], nowMs),
    );
    this.begin(ErrorCode.UNKNOWN_MEMBER_ID);
  }
}
