// Membership by the consumer protocol (KIP-848): heartbeats say what this member wants and has, their answers what it shall have; the coordinator
// divides, and frees a partition before it gives it to another. Knows no positions.
//
//   out → in: the first heartbeat is answered        in → out: fenced, unknown, too slow, closed
//
// Heartbeats go on by themselves; what they bring is taken over only while the program asks for messages.
import { randomUuid, type TimerHandle, type Uuid, uuidZero } from "@blumfeld/core/base";
import { ApiKey, ErrorCode, type RequestInitOf, type ResponseOf } from "@blumfeld/core/protocol";
import { backoffMs } from "../../connection/backoff.ts";
import type { ClusterClient } from "../../connection/cluster-client.ts";
import { errorFromCode, KafkaError } from "../../errors.ts";
import type { TopicPartitionInput } from "../../records.ts";
import type { GroupMetadata } from "./group-offsets.ts";
import { type GroupMembership, type MembershipOwner, PollWatch, tooSlowReason, without } from "./membership.ts";
import type { ResolvedGroupOptions } from "./options.ts";

type Heartbeat = RequestInitOf<typeof ApiKey.ConsumerGroupHeartbeat>;
type HeartbeatAnswer = ResponseOf<typeof ApiKey.ConsumerGroupHeartbeat>;

const epochJoining = 0;
const epochLeaving = -1;
/** Of a static member, which is expected back. */
const epochLeavingForNow = -2;
const leaveMsMax = 1000;
/**
 * Brokers gather joins for a while before they divide, so the first answer is mostly empty. A new member asks again sooner than the interval that it
 * is told (five seconds): a few times, each time later.
 */
const earlyBeats = 5;
const earlyBeatMs = 250;
/** A member with our instance id is still counted on: its session has to end first. */
const unreleasedMsMax = 60_000;

export class ConsumerMembership implements GroupMembership {
  readonly watch: PollWatch;
  readonly #cluster: ClusterClient;
  readonly #options: ResolvedGroupOptions;
  readonly #owner: MembershipOwner;
  readonly #memberId: string;
  #epoch = epochJoining;
  #heartbeatMs = 0;
  #earlyBeatsLeft = earlyBeats;
  /** What the coordinator wants this member to have, where that is not taken over yet. */
  #wanted: readonly { readonly topicId: Uuid; readonly partitions: readonly number[] }[] | null = null;
  /** Names of topics that heartbeats named by id. */
  readonly #names = new Map<Uuid, string>();
  /** The next heartbeat says everything. */
  #isFull = true;
  /** … or what this member wants. */
  #isSubscriptionNew = true;
  /** … or what it has. */
  #isOwnedNew = false;
  #isLost = false;
  #reason = "joined the group";
  #stabilizing: Promise<void> | null = null;
  #timer: TimerHandle | null = null;
  #beating: Promise<void> | null = null;
  #fatal: KafkaError | null = null;
  #isClosed = false;

  constructor(cluster: ClusterClient, options: ResolvedGroupOptions, owner: MembershipOwner) {
    this.#cluster = cluster;
    this.#options = options;
    this.#owner = owner;
    this.#memberId = randomUuid(cluster.context.random);
    this.watch = new PollWatch(cluster.context.clock);
  }

  get needsWork(): boolean {
    if (this.#fatal !== null || this.#isLost) return true;
    return this.#epoch <= epochJoining || this.#isSubscriptionNew || this.#wanted !== null;
  }

  get committer(): GroupMetadata {
    const { groupId, groupInstanceId } = this.#options;
    const generation = this.#epoch <= epochJoining ? -1 : this.#epoch;
    return { groupId, generation, memberId: this.#memberId, groupInstanceId };
  }

  rejoin(reason: string): void {
    this.#isSubscriptionNew = true;
    this.#reason = reason;
    this.#owner.wake();
  }

  ensureStable(): Promise<void> {
    if (this.#fatal !== null) return Promise.reject(this.#fatal);
    if (this.#isClosed || !this.needsWork) return Promise.resolve();
    this.#stabilizing ??= this.#stabilize().finally(() => {
      this.#stabilizing = null;
    });
    return this.#stabilizing;
  }

  onRefusedCommit(error: KafkaError): void {
    if (error.code === "FENCED_MEMBER_EPOCH" || error.code === "UNKNOWN_MEMBER_ID") this.#lose(error.code);
  }

  async leave(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    if (this.#epoch <= epochJoining) return;
    const { groupId, groupInstanceId } = this.#options;
    const memberEpoch = groupInstanceId === null ? epochLeaving : epochLeavingForNow;
    const body = { groupId, memberId: this.#memberId, memberEpoch, instanceId: groupInstanceId };
    this.#epoch = epochJoining;
    await this.#send(body, leaveMsMax).catch(() => {});
  }

  // --- inside -----------------------------------------------------------------------------------

  async #stabilize(): Promise<void> {
    const { clock, deadlines, options, random } = this.#cluster.context;
    const policy = { initialMs: options.retryBackoffMs, maxMs: options.retryBackoffMsMax };
    const startedMs = clock.monotonicMs();
    for (let retry = 0; this.needsWork && !this.#isClosed; retry++) {
      try {
        await this.#stabilizeOnce();
        retry = 0;
      } catch (error) {
        if (this.#isClosed || this.#cluster.isClosed) return;
        if (!(error instanceof KafkaError)) throw error;
        const isPatient = error.code === "UNRELEASED_INSTANCE_ID" && clock.monotonicMs() - startedMs < unreleasedMsMax;
        if (!isPatient && !this.#onError(error)) throw error;
        await deadlines.sleep(backoffMs(policy, retry, random));
      }
    }
  }

  async #stabilizeOnce(): Promise<void> {
    if (this.#isLost) {
      this.#isLost = false;
      const lost = this.#owner.owned();
      await this.#owner.revoke(lost, true);
      if (lost.length > 0) this.#tell({ assigned: [], revoked: lost, isLost: true });
    }
    if (this.#epoch <= epochJoining || this.#isSubscriptionNew) await this.#beat();
    if (this.#wanted !== null) await this.#reconcile(this.#wanted);
  }

  /** What was taken away goes first and is told, then what was won comes. */
  async #reconcile(
    wanted: readonly { readonly topicId: Uuid; readonly partitions: readonly number[] }[],
  ): Promise<void> {
    const target = await this.#resolve(wanted);
    const owned = this.#owner.owned();
    const revoked = without(owned, target);
    const assigned = without(target, owned);
    if (revoked.length > 0) await this.#owner.revoke(revoked, false);
    if (this.#isLost || this.#isClosed) return;
    await this.#owner.take(assigned);
    // Another answer may have come meanwhile.
    if (this.#wanted === wanted) this.#wanted = null;
    this.#isOwnedNew = true;
    this.#tell({ assigned, revoked, isLost: false });
    void this.#beat().catch((error: unknown) => this.#onBackgroundError(error));
  }

  #tell(change: {
    readonly assigned: readonly TopicPartitionInput[];
    readonly revoked: readonly TopicPartitionInput[];
    readonly isLost: boolean;
  }): void {
    const reason = this.#reason;
    this.#reason = "the coordinator divided the partitions anew";
    this.#owner.rebalanced({
      ...{ reason, protocol: "consumer", memberId: this.#memberId, generation: this.#epoch },
      ...{ owned: this.#owner.owned(), ...change, members: null },
    });
  }

  /** Partitions by name. Those of a topic that nobody knows here yet come with a later look. */
  async #resolve(
    wanted: readonly { readonly topicId: Uuid; readonly partitions: readonly number[] }[],
  ): Promise<TopicPartitionInput[]> {
    const { metadata } = this.#cluster;
    const unknown = wanted.filter(({ topicId }) => this.#nameOf(topicId) === undefined);
    if (unknown.length > 0) {
      const topics = unknown.map(({ topicId }) => ({ topicId, name: null }));
      const answer = await this.#cluster.requestAny(ApiKey.Metadata, { topics, allowAutoTopicCreation: false });
      for (const { errorCode, name, topicId } of answer.topics) {
        if (errorCode === ErrorCode.NONE && name !== null) this.#names.set(topicId, name);
      }
    }
    return wanted.flatMap(({ partitions, topicId }) => {
      const topic = this.#nameOf(topicId);
      if (topic === undefined) return [];
      metadata.touch(topic);
      return partitions.map((partition) => ({ topic, partition }));
    });
  }

  #nameOf(topicId: Uuid): string | undefined {
    return this.#names.get(topicId) ?? this.#cluster.metadata.topicName(topicId);
  }

  /** One heartbeat at a time: what changes meanwhile goes with the next. */
  async #beat(): Promise<void> {
    while (this.#beating !== null) await this.#beating.catch(() => {});
    if (this.#isClosed) return;
    this.#beating = this.#beatOnce().finally(() => {
      this.#beating = null;
    });
    await this.#beating;
  }

  async #beatOnce(): Promise<void> {
    this.#timer?.cancel();
    const isFull = this.#isFull || this.#epoch <= epochJoining;
    const isSubscriptionNew = isFull || this.#isSubscriptionNew;
    const isOwnedNew = isFull || this.#isOwnedNew;
    const topics = isSubscriptionNew ? await this.#owner.topics() : null;
    const body = this.#body(isFull, topics, isOwnedNew);
    this.#isSubscriptionNew = false;
    this.#isOwnedNew = false;
    try {
      const answer = await this.#send(body, this.#cluster.context.options.requestTimeoutMs);
      if (answer.errorCode !== ErrorCode.NONE)
        throw errorFromCode(answer.errorCode, `heartbeat of group ${this.#options.groupId}`, answer.errorMessage);
      this.#isFull = false;
      this.#onAnswer(answer);
    } catch (error) {
      // What it said may not have come through.
      this.#isFull = true;
      throw error;
    } finally {
      this.#arm(this.#nextBeatMs());
    }
  }

  #nextBeatMs(): number {
    const hasNothing = this.#owner.owned().length === 0 && (this.#wanted ?? []).length === 0;
    if (!hasNothing || this.#earlyBeatsLeft === 0) return this.#heartbeatMs;
    const delayMs = earlyBeatMs * (1 + earlyBeats - this.#earlyBeatsLeft);
    this.#earlyBeatsLeft--;
    return Math.min(this.#heartbeatMs, delayMs);
  }

  #body(isFull: boolean, topics: readonly string[] | null, isOwnedNew: boolean): Heartbeat {
    const { groupId, groupInstanceId, pollIntervalMsMax, rack, serverAssignor } = this.#options;
    const pattern = topics === null ? null : this.#owner.pattern();
    return {
      groupId,
      memberId: this.#memberId,
      memberEpoch: this.#epoch,
      instanceId: groupInstanceId,
      ...(isFull ? { rackId: rack, rebalanceTimeoutMs: pollIntervalMsMax, serverAssignor } : {}),
      ...(topics === null ? {} : { subscribedTopicNames: pattern === null ? [...topics] : [] }),
      ...(pattern === null ? {} : { subscribedTopicRegex: pattern }),
      ...(isOwnedNew ? { topicPartitions: this.#ownedById() } : {}),
    };
  }

  #ownedById(): { topicId: Uuid; partitions: number[] }[] {
    if (this.#epoch <= epochJoining) return [];
    const byId = new Map<Uuid, number[]>();
    const ids = new Map([...this.#names].map(([id, name]) => [name, id]));
    for (const { partition, topic } of this.#owner.owned()) {
      const id = ids.get(topic) ?? this.#cluster.metadata.topic(topic)?.id ?? uuidZero;
      const partitions = byId.get(id);
      if (partitions === undefined) byId.set(id, [partition]);
      else partitions.push(partition);
    }
    return [...byId].map(([topicId, partitions]) => ({ topicId, partitions }));
  }

  #send(body: Heartbeat, timeoutMs: number): Promise<HeartbeatAnswer> {
    const { groupId } = this.#options;
    return this.#cluster.requestCoordinator("group", groupId, ApiKey.ConsumerGroupHeartbeat, body, { timeoutMs });
  }

  #onAnswer(answer: HeartbeatAnswer): void {
    this.#epoch = answer.memberEpoch;
    this.#heartbeatMs = answer.heartbeatIntervalMs;
    if (answer.assignment === null) return;
    const target = answer.assignment.topicPartitions;
    for (const { topicId } of target) {
      const name = this.#cluster.metadata.topicName(topicId);
      if (name !== undefined) this.#names.set(topicId, name);
    }
    this.#wanted = target;
    this.#owner.wake();
  }

  #arm(delayMs: number): void {
    this.#timer?.cancel();
    if (this.#isClosed || this.#epoch <= epochJoining) return;
    this.#timer = this.#cluster.context.deadlines.after(delayMs, () => void this.#onTimer());
  }

  async #onTimer(): Promise<void> {
    const { groupId, pollIntervalMsMax } = this.#options;
    if (this.watch.isLate(pollIntervalMsMax)) {
      this.#cluster.context.logger.warn({ groupId, pollIntervalMsMax }, `${tooSlowReason}: leaving the group`);
      const body = { groupId, memberId: this.#memberId, memberEpoch: epochLeaving };
      this.#lose(tooSlowReason);
      await this.#send(body, leaveMsMax).catch(() => {});
      return;
    }
    await this.#beat().catch((error: unknown) => this.#onBackgroundError(error));
  }

  #onBackgroundError(error: unknown): void {
    if (this.#isClosed || this.#cluster.isClosed) return;
    if (!(error instanceof KafkaError)) throw error;
    if (this.#onError(error)) this.#arm(this.#cluster.context.options.retryBackoffMs);
  }

  /** Prepares the next try; false where there is none. */
  #onError(error: KafkaError): boolean {
    const { groupId } = this.#options;
    switch (error.code) {
      case "FENCED_MEMBER_EPOCH":
      case "UNKNOWN_MEMBER_ID":
        this.#lose(error.code);
        return true;
      case "NETWORK_EXCEPTION":
      case "REQUEST_TIMED_OUT":
      case "COORDINATOR_NOT_AVAILABLE":
      case "NOT_COORDINATOR":
        this.#cluster.forgetCoordinator("group", groupId);
        return true;
      default:
        if (error.retriable) return true;
        this.#fatal = error;
        this.#owner.wake();
        return false;
    }
  }

  #lose(reason: string): void {
    this.#timer?.cancel();
    this.#isLost = true;
    this.#isFull = true;
    this.#wanted = null;
    this.#epoch = epochJoining;
    this.#earlyBeatsLeft = earlyBeats;
    this.#reason = `out of the group: ${reason}`;
    this.#owner.wake();
  }
}
