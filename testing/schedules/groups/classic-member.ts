// A consumer of the classic protocol, as the coordinator sees it: joins, assigns where it leads, syncs, beats, joins again when told to. Eager members
// give up all they have before they join; cooperative ones give up what they lost, and join again then.
import { ClassicGroup, ConsumerGroup } from "@blumfeld/core/coordinator";
import {
  ErrorCode,
  type JoinGroupResponseInit,
  readConsumerAssignment,
  readConsumerSubscription,
  type SyncGroupResponseInit,
  writeConsumerAssignment,
  writeConsumerSubscription,
} from "@blumfeld/core/protocol";
import { client, groupId, type Member, type World } from "./world.ts";

export const sessionTimeoutMs = 10_000;
export const rebalanceTimeoutMs = 20_000;

type State = "out" | "joining" | "joined" | "syncing" | "stable";

export class ClassicMember implements Member {
  readonly name: string;
  isPaused = false;
  isGone = false;
  owned: ReadonlySet<string> = new Set();
  readonly positions = new Map<string, number>();
  readonly instanceId: string | null;
  readonly topics: readonly string[];
  private readonly world: World;
  private readonly isCooperative: boolean;
  private state: State = "out";
  private memberId = "";
  private generation = -1;
  private leads: JoinGroupResponseInit["members"] = [];
  /** Answers to requests that the client has given up on are not heard. */
  private attempt = 0;
  /** How many partitions there were when it assigned; null where another leads. */
  private assignedCount: number | null = null;

  constructor(
    world: World,
    name: string,
    options: {
      readonly instanceId: string | null;
      readonly isCooperative: boolean;
      readonly topics: readonly string[];
    },
  ) {
    this.world = world;
    this.name = name;
    this.instanceId = options.instanceId;
    this.isCooperative = options.isCooperative;
    this.topics = options.topics;
  }

  committer() {
    return { memberId: this.memberId, groupInstanceId: this.instanceId, generationOrEpoch: this.generation };
  }

  isRecognised(): boolean {
    // A cooperative member that joins anew may hold on to what another has by now, until it hears its assignment. It commits nothing meanwhile.
    if (this.state !== "stable") return false;
    const group = this.world.shard.group(groupId);
    if (group instanceof ConsumerGroup) return group.members.get(this.memberId)?.memberEpoch === this.generation;
    if (!(group instanceof ClassicGroup)) return false;
    return group.members.has(this.memberId) && group.generationId === this.generation;
  }

  isSettled(): boolean {
    return this.isRecognised();
  }

  mayCommit(): boolean {
    return this.state === "stable";
  }

  step(): void {
    switch (this.state) {
      case "out":
        return this.join();
      case "joined":
        return this.sync();
      case "stable":
        return this.beat();
      default:
        // Now and then the connection is lost while an answer is awaited; the request comes again on another.
        if (this.world.below(4) !== 0) return;
        this.attempt++;
        this.state = this.state === "joining" ? "out" : "joined";
    }
  }

  /** As after a restart of its loop: it joins again with what it has. */
  joinAgain(): void {
    if (this.state === "stable") this.join();
  }

  /** Begins anew after an error; what it has is another's from here on. */
  private begin(errorCode: number): void {
    if (errorCode === ErrorCode.FENCED_INSTANCE_ID) this.isGone = true;
    if (errorCode === ErrorCode.UNKNOWN_MEMBER_ID || errorCode === ErrorCode.FENCED_INSTANCE_ID) this.memberId = "";
    const mayKeep = this.isCooperative && errorCode === ErrorCode.REBALANCE_IN_PROGRESS;
    if (!mayKeep && !isWaitWorthy(errorCode)) {
      this.generation = -1;
      this.give(new Set());
    }
    this.state = "out";
  }

  private give(owned: ReadonlySet<string>): void {
    this.owned = owned;
    for (const place of [...this.positions.keys()]) if (!owned.has(place)) this.positions.delete(place);
  }

  private join(): void {
    if (!this.isCooperative) this.give(new Set());
    this.state = "joining";
    const attempt = ++this.attempt;
    const ownedPartitions = this.topics.flatMap((topic) => {
      const partitions = partitionsOf(this.owned, topic);
      return partitions.length === 0 ? [] : [{ topic, partitions }];
    });
    const metadata = writeConsumerSubscription({
      ...{ topics: [...this.topics], userData: null, ownedPartitions },
      ...{ generationId: this.generation, rackId: null },
    });
    const outcome = this.world.decide((shard, nowMs) =>
      shard.joinGroup(
        {
          ...{
            groupId,
            memberId: this.memberId,
            groupInstanceId: this.instanceId,
            sessionTimeoutMs,
            rebalanceTimeoutMs,
          },
          ...{ protocolType: "consumer", protocols: [{ name: "range", metadata }], reason: null },
        },
        client,
        (response) => {
          if (attempt === this.attempt) this.onJoined(response);
        },
        nowMs,
      ),
    );
    if (outcome !== undefined && attempt === this.attempt && this.state === "joining")
      this.begin((outcome as { errorCode: number }).errorCode);
  }

  private onJoined(response: JoinGroupResponseInit): void {
    if (response.errorCode === ErrorCode.MEMBER_ID_REQUIRED) {
      this.memberId = response.memberId;
      this.state = "out";
      return;
    }
    if (response.errorCode !== ErrorCode.NONE) return this.begin(response.errorCode);
    this.memberId = response.memberId;
    this.generation = response.generationId ?? -1;
    this.leads = response.skipAssignment === true ? [] : response.members;
    this.assignedCount = response.skipAssignment === true ? (this.world.dealtCounts.get(this.generation) ?? -1) : null;
    this.state = "joined";
  }

  private sync(): void {
    this.state = "syncing";
    const attempt = ++this.attempt;
    const outcome = this.world.decide((shard, nowMs) =>
      shard.syncGroup(
        {
          ...{ groupId, memberId: this.memberId, groupInstanceId: this.instanceId, generationId: this.generation },
          ...{ protocolType: "consumer", protocolName: "range", assignments: this.assign() },
        },
        (response) => {
          if (attempt === this.attempt) this.onSynced(response);
        },
        nowMs,
      ),
    );
    if (outcome !== undefined && attempt === this.attempt && this.state === "syncing")
      this.begin((outcome as { errorCode: number }).errorCode);
  }

  private onSynced({ assignment, errorCode }: SyncGroupResponseInit): void {
    if (errorCode !== ErrorCode.NONE) return this.begin(errorCode);
    const given = new Set<string>();
    for (const { topic, partitions } of readConsumerAssignment(Buffer.from(assignment)).assignedPartitions)
      for (const partition of partitions) given.add(`${topic}:${partition}`);
    const hasLost = [...this.owned].some((place) => !given.has(place));
    this.give(given);
    this.state = this.isCooperative && hasLost ? "out" : "stable";
  }

  /** The leader's work: a run of each topic's partitions for each subscriber; what another has still to give up is left out. */
  private assign(): { memberId: string; assignment: Buffer }[] {
    if (this.leads.length > 0) {
      this.assignedCount = this.partitionCount();
      this.world.dealtCounts.set(this.generation, this.assignedCount);
    }
    const subscriptions = this.leads.map(({ memberId, metadata }) => ({
      memberId,
      ...readConsumerSubscription(Buffer.from(metadata)),
      given: new Map<string, number[]>(),
    }));
    const holderOf = new Map<string, string>();
    for (const { memberId, ownedPartitions } of subscriptions)
      for (const { partitions, topic } of ownedPartitions)
        for (const partition of partitions) holderOf.set(`${topic}:${partition}`, memberId);
    for (const [topic, count] of this.world.partitionCounts) {
      const subscribers = subscriptions.filter(({ topics }) => topics.includes(topic));
      for (let partition = 0; partition < count && subscribers.length > 0; partition++) {
        const subscriber = subscribers[Math.floor((partition * subscribers.length) / count)]!;
        const holder = holderOf.get(`${topic}:${partition}`) ?? subscriber.memberId;
        if (holder === subscriber.memberId)
          subscriber.given.set(topic, [...(subscriber.given.get(topic) ?? []), partition]);
      }
    }
    return subscriptions.map(({ given, memberId }) => {
      const assignedPartitions = [...given].map(([topic, partitions]) => ({ topic, partitions }));
      return { memberId, assignment: writeConsumerAssignment({ assignedPartitions, userData: null }) };
    });
  }

  /** Of all topics: the leader deals out those of the others too. */
  private partitionCount(): number {
    return [...this.world.partitionCounts.values()].reduce((sum, count) => sum + count, 0);
  }

  private beat(): void {
    // The leader watches the topics: others learn of new partitions by the rebalance that it begins.
    if (this.assignedCount !== null && this.assignedCount !== this.partitionCount()) return this.join();
    const request = {
      groupId,
      memberId: this.memberId,
      groupInstanceId: this.instanceId,
      generationId: this.generation,
    };
    const outcome = this.world.decide((shard) => shard.heartbeat(request));
    const errorCode = typeof outcome === "number" ? outcome : outcome.errorCode;
    if (errorCode === ErrorCode.NONE) this.world.fetchPositions(this);
    else if (!isWaitWorthy(errorCode)) this.begin(errorCode);
  }

  leave(): void {
    this.isGone = true;
    this.attempt++;
    if (this.memberId !== "") {
      const identity = { memberId: this.memberId, groupInstanceId: this.instanceId, reason: null };
      this.world.decide((shard, nowMs) => shard.leaveGroup(groupId, [identity], nowMs));
    }
    this.give(new Set());
  }
}

/** The coordinator could not do it; the member is where it was. */
function isWaitWorthy(errorCode: number): boolean {
  return (
    errorCode === ErrorCode.NOT_ENOUGH_REPLICAS ||
    errorCode === ErrorCode.COORDINATOR_NOT_AVAILABLE ||
    errorCode === ErrorCode.NOT_COORDINATOR
  );
}

function partitionsOf(owned: ReadonlySet<string>, topic: string): number[] {
  const partitions: number[] = [];
  for (const place of owned) {
    const [name, partition] = place.split(":") as [string, string];
    if (name === topic) partitions.push(Number(partition));
  }
  return partitions;
}
