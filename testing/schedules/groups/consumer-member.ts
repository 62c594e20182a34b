// A consumer of the new protocol (KIP-848), as the coordinator sees it: it beats, gives up at once or a little later what it is to give up, says what
// it still has, and takes up what it is told. Answers may be lost on the way.
import type { Uuid } from "@blumfeld/core/base";
import { ConsumerGroup } from "@blumfeld/core/coordinator";
import { type ConsumerGroupHeartbeatResponseInit, ErrorCode } from "@blumfeld/core/protocol";
import { rebalanceTimeoutMs } from "./classic-member.ts";
import { client, groupId, type Member, type World } from "./world.ts";

const joinEpoch = 0;
const leaveEpoch = -1;
const staticLeaveEpoch = -2;

export class ConsumerMember implements Member {
  readonly name: string;
  isPaused = false;
  isGone = false;
  owned: ReadonlySet<string> = new Set();
  readonly positions = new Map<string, number>();
  readonly instanceId: string | null;
  topics: readonly string[];
  private readonly world: World;
  private readonly regex: string | null;
  private epoch = joinEpoch;
  /** What it was told to have; null where it has it. */
  private target: ReadonlySet<string> | null = null;
  private isTold = false;

  constructor(
    world: World,
    name: string,
    options: { readonly instanceId: string | null; readonly topics: readonly string[]; readonly regex: string | null },
  ) {
    this.world = world;
    this.name = name;
    this.instanceId = options.instanceId;
    this.topics = options.topics;
    this.regex = options.regex;
  }

  committer() {
    return { memberId: this.name, groupInstanceId: null, generationOrEpoch: this.epoch };
  }

  isRecognised(): boolean {
    const group = this.world.shard.group(groupId);
    const member = group instanceof ConsumerGroup ? group.members.get(this.name) : undefined;
    // The answer that told of the newer epoch may have been lost.
    return member !== undefined && (member.memberEpoch === this.epoch || member.previousMemberEpoch === this.epoch);
  }

  isSettled(): boolean {
    const group = this.world.shard.group(groupId);
    const epoch = group instanceof ConsumerGroup ? group.members.get(this.name)?.memberEpoch : undefined;
    return epoch === this.epoch && this.target === null;
  }

  subscribe(topics: readonly string[]): void {
    if (this.regex !== null) return;
    this.topics = topics;
    this.isTold = false;
  }

  /** Of these topics. */
  wanted(names: readonly string[]): readonly string[] {
    const pattern = this.regex === null ? null : new RegExp(`^(?:${this.regex})$`);
    return names.filter((name) => (pattern === null ? this.topics.includes(name) : pattern.test(name)));
  }

  /** Gives up what it lost, takes up what it got. */
  private reconcile(): void {
    if (this.target === null) return;
    this.owned = this.target;
    this.target = null;
    for (const place of [...this.positions.keys()]) if (!this.owned.has(place)) this.positions.delete(place);
  }

  private forget(): void {
    this.epoch = joinEpoch;
    this.target = new Set();
    this.isTold = false;
    this.reconcile();
  }

  mayCommit(): boolean {
    return true;
  }

  step(): void {
    // Giving up takes its time: callbacks run, offsets are committed.
    if (this.target !== null && this.world.below(3) !== 0) this.reconcile();
    const response = this.beat(this.epoch);
    // An answer that is lost is not heard: the next heartbeat says everything.
    if (this.world.below(8) === 0) this.isTold = false;
    else this.onAnswer(response);
  }

  private onAnswer(response: ConsumerGroupHeartbeatResponseInit | { errorCode: number }): void {
    switch (response.errorCode) {
      case ErrorCode.NONE:
        break;
      case ErrorCode.FENCED_MEMBER_EPOCH:
      case ErrorCode.UNKNOWN_MEMBER_ID:
      case ErrorCode.GROUP_ID_NOT_FOUND:
        return this.forget();
      case ErrorCode.FENCED_INSTANCE_ID:
        this.forget();
        this.isGone = true;
        return;
      default:
        return;
    }
    if (!("memberEpoch" in response)) return;
    this.isTold = true;
    this.epoch = response.memberEpoch;
    if (response.assignment != null) {
      const given = new Set<string>();
      for (const { partitions, topicId } of response.assignment.topicPartitions) {
        const topic = this.world.topics.byId(topicId)!.name;
        for (const partition of partitions) given.add(`${topic}:${partition}`);
      }
      this.target = given;
      // What it gets it may read at once; only what it loses takes time.
      if ([...this.owned].every((place) => given.has(place))) this.reconcile();
    }
    this.world.fetchPositions(this);
  }

  private beat(epoch: number): ConsumerGroupHeartbeatResponseInit | { errorCode: number } {
    const owned = new Map<Uuid, number[]>();
    for (const place of epoch <= joinEpoch ? [] : this.owned) {
      const [topic, partition] = place.split(":") as [string, string];
      const { id } = this.world.topics.byName(topic)!;
      owned.set(id, [...(owned.get(id) ?? []), Number(partition)]);
    }
    const saysAll = epoch <= joinEpoch || !this.isTold;
    return this.world.decide((shard, nowMs) =>
      shard.consumerGroupHeartbeat(
        {
          ...{ groupId, memberId: this.name, memberEpoch: epoch, instanceId: this.instanceId, rackId: null },
          rebalanceTimeoutMs: saysAll ? rebalanceTimeoutMs : -1,
          subscribedTopicNames: saysAll ? [...this.topics] : null,
          subscribedTopicRegex: saysAll ? this.regex : null,
          serverAssignor: null,
          topicPartitions: [...owned].map(([topicId, partitions]) => ({ topicId, partitions })),
        },
        { ...client, apiVersion: 1 },
        nowMs,
      ),
    );
  }

  leave(): void {
    this.isGone = true;
    if (this.epoch > joinEpoch) this.beat(this.instanceId === null ? leaveEpoch : staticLeaveEpoch);
    this.forget();
  }
}
