// The loads of the group coordinator: commits, rebalances of many members by both protocols, groups that idle, offsets that are loaded.
import type { Uuid } from "@blumfeld/core/base";
import { ApiKey, encodeRequestFrame, type ResponseOf } from "@blumfeld/core/protocol";
import { Caller, mustBeOk, openCallers, whenReady } from "./caller.ts";
import type { Target } from "./drive.ts";
import { setCorrelationId } from "./frames.ts";
import { RawConnection } from "./raw-connection.ts";

/** Makes the topics of the coordinator: the first question for a group creates them. */
export async function coordinatorReady(target: Target, group: string): Promise<void> {
  const caller = await Caller.open(target);
  try {
    await whenReady(async () => {
      const answer = await caller.call(ApiKey.FindCoordinator, 4, { keyType: 0, coordinatorKeys: [group] });
      return { errorCode: answer.coordinators[0]!.errorCode, value: null };
    });
    await whenReady(async () => {
      const answer = await caller.call(ApiKey.OffsetFetch, 8, { groups: [{ groupId: group, topics: null }] });
      return { errorCode: answer.groups[0]!.errorCode, value: null };
    });
  } finally {
    caller.close();
  }
}

// Versions without tagged fields, so that the error of a one-partition answer stands at a place known beforehand.
const commitVersion = 7;

function commitFrame(group: string, topic: string, partition: number, offset: number): Buffer {
  const message = {
    groupId: group,
    generationIdOrMemberEpoch: -1,
    memberId: "",
    topics: [
      { name: topic, partitions: [{ partitionIndex: partition, committedOffset: offset, committedMetadata: "" }] },
    ],
  };
  return Buffer.concat(
    encodeRequestFrame(ApiKey.OffsetCommit, commitVersion, { correlationId: 0, clientId: "bench" }, message),
  );
}

export type CommitLoad = {
  readonly topic: string;
  readonly partitionCount: number;
  readonly connectionCount: number;
  readonly inFlight: number;
  readonly seconds: number;
};

/** OffsetCommit of one partition a request, each connection for groups of its own; requests a second. */
export async function commitOffsets(target: Target, load: CommitLoad): Promise<number> {
  const connections = await Promise.all(
    Array.from({ length: load.connectionCount }, () => RawConnection.open(target.host, target.port)),
  );
  const errorAt = 4 + 4 + 4 + 2 + Buffer.byteLength(load.topic) + 4 + 4;
  let answered = 0;
  const startedMs = performance.now();
  const over = (): boolean => performance.now() - startedMs > load.seconds * 1000;
  await Promise.all(
    connections.map(
      (connection, index) =>
        new Promise<void>((resolve, reject) => {
          const frames = Array.from({ length: 64 }, (_, i) =>
            commitFrame(`bench-commit-${index}-${i % 8}`, load.topic, i % load.partitionCount, i),
          );
          let next = 0;
          let underWay = 0;
          let isFillQueued = false;
          const fill = (): void => {
            isFillQueued = false;
            const stopping = over();
            connection.cork();
            while (underWay < load.inFlight && !stopping) {
              const frame = frames[next % frames.length]!;
              setCorrelationId(frame, next++);
              connection.send(frame);
              underWay++;
            }
            connection.uncork();
            if (underWay === 0) resolve();
          };
          const watch = setInterval(() => {
            if (connection.ended !== null) reject(connection.ended);
          }, 500);
          watch.unref();
          connection.onResponse = (head) => {
            const error = head.readInt16BE(errorAt);
            if (error !== 0) return reject(new Error(`OffsetCommit: error ${error}`));
            answered++;
            underWay--;
            if (isFillQueued) return;
            // Once for all answers of one read: the generator is to cost less than the broker.
            isFillQueued = true;
            queueMicrotask(fill);
          };
          fill();
        }),
    ),
  );
  const seconds = (performance.now() - startedMs) / 1000;
  for (const connection of connections) connection.close();
  return answered / seconds;
}

const rebalanceInProgress = 27;
const memberIdRequired = 79;
const joinVersion = 9;
const protocolType = "consumer";

/** A member of a classic group by bare requests. */
class ClassicMember {
  readonly caller: Caller;
  readonly #group: string;
  #memberId = "";
  generation = -1;
  isLeader = false;
  #others: string[] = [];

  constructor(caller: Caller, group: string) {
    this.caller = caller;
    this.#group = group;
  }

  /** To the answer of JoinGroup: the next generation. */
  async join(): Promise<void> {
    const answer = await this.caller.call(ApiKey.JoinGroup, joinVersion, {
      groupId: this.#group,
      sessionTimeoutMs: 300_000,
      rebalanceTimeoutMs: 300_000,
      memberId: this.#memberId,
      protocolType,
      protocols: [{ name: "range", metadata: Buffer.alloc(64) }],
    });
    this.#memberId = answer.memberId;
    if (answer.errorCode === memberIdRequired) return this.join();
    mustBeOk("JoinGroup", answer.errorCode);
    this.generation = answer.generationId;
    this.isLeader = answer.leader === answer.memberId;
    this.#others = answer.members.map((member) => member.memberId);
  }

  /** Whether it has its assignment of this generation; false when the group has moved on. */
  async sync(): Promise<boolean> {
    const answer = await this.caller.call(ApiKey.SyncGroup, 5, {
      groupId: this.#group,
      generationId: this.generation,
      memberId: this.#memberId,
      protocolType,
      protocolName: "range",
      assignments: this.isLeader ? this.#others.map((memberId) => ({ memberId, assignment: Buffer.alloc(64) })) : [],
    });
    if (answer.errorCode === rebalanceInProgress) return false;
    mustBeOk("SyncGroup", answer.errorCode);
    return true;
  }

  async isCurrent(): Promise<boolean> {
    const answer = await this.caller.call(ApiKey.Heartbeat, 4, {
      groupId: this.#group,
      generationId: this.generation,
      memberId: this.#memberId,
    });
    if (answer.errorCode === rebalanceInProgress) return false;
    mustBeOk("Heartbeat", answer.errorCode);
    return true;
  }
}

/** A group of members that all hold the same generation. */
async function classicGroup(callers: readonly Caller[], group: string): Promise<ClassicMember[]> {
  const members = callers.map((caller) => new ClassicMember(caller, group));
  let isFormed = false;
  const live = async (member: ClassicMember): Promise<void> => {
    await member.join();
    while (!isFormed) {
      if (!(await member.sync()) || !(await member.isCurrent())) await member.join();
      else await new Promise((wake) => setTimeout(wake, 100));
      const generations = new Set(members.map((each) => each.generation));
      if (generations.size === 1 && !generations.has(-1)) isFormed = true;
    }
  };
  await Promise.all(members.map(live));
  // Those who had joined and not yet synced do so now.
  await Promise.all(members.map((member) => member.sync()));
  return members;
}

/** Milliseconds of a rebalance that its leader begins: every member joins and has its assignment of the next generation. */
export async function rebalanceClassic(
  target: Target,
  group: string,
  memberCount: number,
  rounds: number,
): Promise<number> {
  const callers = await openCallers(target, memberCount);
  try {
    const members = await classicGroup(callers, group);
    const round = async (): Promise<void> => {
      const leader = members.find((member) => member.isLeader)!;
      const led = leader.join();
      // A follower that came before its leader would be told the old generation.
      const first = members.find((member) => member !== leader)!;
      while (await first.isCurrent()) await new Promise((wake) => setImmediate(wake));
      await Promise.all(
        members.map(async (member) => {
          if (member === leader) await led;
          else await member.join();
          if (!(await member.sync())) throw new Error("the group rebalances again by itself");
        }),
      );
    };
    await round();
    const startedMs = performance.now();
    for (let i = 0; i < rounds; i++) await round();
    return (performance.now() - startedMs) / rounds;
  } finally {
    for (const caller of callers) caller.close();
  }
}

/** Milliseconds from the first heartbeat of so many members to the moment when every partition has one owner, none without some. */
export async function rebalanceConsumer(
  target: Target,
  group: string,
  topic: string,
  memberCount: number,
  partitionCount: number,
): Promise<number> {
  const callers = await openCallers(target, memberCount);
  const owned: number[][] = Array.from({ length: memberCount }, () => []);
  let isStable = false;
  const stable = (): boolean => {
    let count = 0;
    for (const each of owned) {
      if (each.length === 0) return false;
      count += each.length;
    }
    return count === partitionCount && new Set(owned.flat()).size === partitionCount;
  };
  const live = async (caller: Caller, index: number): Promise<void> => {
    const memberId = `bench-member-${String(index).padStart(12, "0")}`;
    let memberEpoch = 0;
    let topicId: Uuid | null = null;
    let isChanged = true;
    while (!isStable) {
      const own = topicId === null ? [] : [{ topicId, partitions: owned[index]! }];
      const answer: ResponseOf<typeof ApiKey.ConsumerGroupHeartbeat> = await caller.call(
        ApiKey.ConsumerGroupHeartbeat,
        1,
        {
          groupId: group,
          memberId,
          memberEpoch,
          ...(memberEpoch === 0 ? { subscribedTopicNames: [topic], rebalanceTimeoutMs: 60_000 } : {}),
          topicPartitions: isChanged ? own : null,
        },
      );
      mustBeOk("ConsumerGroupHeartbeat", answer.errorCode);
      memberEpoch = answer.memberEpoch;
      isChanged = answer.assignment !== null;
      if (answer.assignment !== null) {
        topicId = answer.assignment.topicPartitions[0]?.topicId ?? topicId;
        owned[index] = answer.assignment.topicPartitions.flatMap((each) => [...each.partitions]);
        if (stable()) isStable = true;
      }
    }
  };
  try {
    const startedMs = performance.now();
    await Promise.all(callers.map(live));
    return performance.now() - startedMs;
  } finally {
    for (const caller of callers) caller.close();
  }
}

/** So many groups of one member each, with one committed offset; all stay stable and say nothing more. */
export async function idleGroups(target: Target, topic: string, count: number): Promise<void> {
  const connectionCount = 20;
  const callers = await openCallers(target, connectionCount);
  let next = 0;
  const worker = async (caller: Caller): Promise<void> => {
    for (let index = next++; index < count; index = next++) {
      const group = `bench-idle-${index}`;
      const member = new ClassicMember(caller, group);
      await member.join();
      await member.sync();
      const answer = await caller.call(ApiKey.OffsetCommit, 8, {
        groupId: `bench-idle-offsets-${index}`,
        generationIdOrMemberEpoch: -1,
        memberId: "",
        topics: [{ name: topic, partitions: [{ partitionIndex: 0, committedOffset: index, committedMetadata: "" }] }],
      });
      mustBeOk("OffsetCommit", answer.topics[0]!.partitions[0]!.errorCode);
    }
  };
  await Promise.all(callers.map(worker));
  for (const caller of callers) caller.close();
}

/** Commits `groupCount` × `partitionCount` offsets. */
export async function fillOffsets(
  target: Target,
  topic: string,
  groupCount: number,
  partitionCount: number,
): Promise<void> {
  const callers = await openCallers(target, 4);
  let next = 0;
  await Promise.all(
    callers.map(async (caller) => {
      for (let group = next++; group < groupCount; group = next++) {
        const answer = await caller.call(ApiKey.OffsetCommit, 8, {
          groupId: `bench-load-${group}`,
          generationIdOrMemberEpoch: -1,
          memberId: "",
          topics: [
            {
              name: topic,
              partitions: Array.from({ length: partitionCount }, (_, partitionIndex) => ({
                partitionIndex,
                committedOffset: group,
                committedMetadata: "",
              })),
            },
          ],
        });
        mustBeOk("OffsetCommit", answer.topics[0]!.partitions[0]!.errorCode);
      }
    }),
  );
  for (const caller of callers) caller.close();
}

/** Waits until the offsets of every one of these groups are given out; the number of offsets in the last one. */
export async function offsetsLoaded(target: Target, groupCount: number): Promise<void> {
  const caller = await Caller.open(target);
  try {
    for (let group = 0; group < groupCount; group++) {
      await whenReady(async () => {
        const answer = await caller.call(ApiKey.OffsetFetch, 8, {
          groups: [{ groupId: `bench-load-${group}`, topics: null }],
        });
        const found = answer.groups[0]!;
        if (found.errorCode === 0 && found.topics.length === 0) throw new Error(`group ${group} has lost its offsets`);
        return { errorCode: found.errorCode, value: null };
      });
    }
  } finally {
    caller.close();
  }
}
