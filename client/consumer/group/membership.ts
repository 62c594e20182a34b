// Membership of a classic group: join, learn one's partitions, stay by heartbeats, join again when the group changes. Knows no positions.
//
//   out → joining: the program asks for messages        joining → stable: SyncGroup answered
//   stable → stale: the group rebalances, the topics changed, or this member was put out        stale → joining: the program asks again
//   any → out: leave
//
// Joins happen only while the program asks for messages: what it is working on stays its own until then. Heartbeats go on by themselves.
import type { TimerHandle } from "@blumfeld/core/base";
import { topicPartitionKey } from "@blumfeld/core/model";
import {
  ApiKey,
  ErrorCode,
  type ResponseOf,
  readConsumerAssignment,
  readConsumerSubscription,
  writeConsumerAssignment,
  writeConsumerSubscription,
} from "@blumfeld/core/protocol";
import type { ClusterClient } from "../../connection/cluster-client.ts";
import { errorFromCode, KafkaError } from "../../errors.ts";
import type { TopicPartitionInput } from "../../records.ts";
import type { MemberSubscription } from "./assignors.ts";
import type { ResolvedGroupOptions } from "./options.ts";

/** What the membership asks of the consumer. */
export interface MembershipOwner {
  /** The topics subscribed to, as they are now. */
  topics(signal?: AbortSignal): Promise<readonly string[]>;
  owned(): readonly TopicPartitionInput[];
  /** Let go of these: they may already be another's where `isLost`. */
  revoke(partitions: readonly TopicPartitionInput[], isLost: boolean): Promise<void>;
  take(partitions: readonly TopicPartitionInput[]): Promise<void>;
  /** Something has to be done the next time the program asks. */
  wake(): void;
}

type JoinAnswer = ResponseOf<typeof ApiKey.JoinGroup>;

const protocolType = "consumer";
/** The coordinator answers a join when the rebalance is over, a little after its timeout at the latest. */
const joinGraceMs = 5000;

export class Membership {
  memberId = "";
  generation = -1;
  /** The program asked for messages since the last heartbeat. */
  wasAsked = false;
  readonly #cluster: ClusterClient;
  readonly #options: ResolvedGroupOptions;
  readonly #owner: MembershipOwner;
  #isStable = false;
  /** The coordinator does not count this member any more. */
  #isLost = false;
  #joining: Promise<void> | null = null;
  #heartbeatTimer: TimerHandle | null = null;
  #lastHeartbeatMs = 0;
  #lastAskedMs = 0;
  #askingCount = 0;
  #isClosed = false;
  #fatal: KafkaError | null = null;

  constructor(cluster: ClusterClient, options: ResolvedGroupOptions, owner: MembershipOwner) {
    this.#cluster = cluster;
    this.#options = options;
    this.#owner = owner;
  }

  /** Whether there is something to do before messages are handed out. */
  get needsWork(): boolean {
    return !this.#isStable || this.#fatal !== null;
  }

  /** The topics changed: divide anew. */
  rejoin(): void {
    this.#isStable = false;
    this.#owner.wake();
  }

  /** The program asks for messages, and waits until `asked` is called. */
  asking(): void {
    this.#askingCount++;
    this.#lastAskedMs = this.#cluster.context.clock.monotonicMs();
  }

  asked(): void {
    this.#askingCount--;
    this.#lastAskedMs = this.#cluster.context.clock.monotonicMs();
  }

  /** Resolves when this member has its partitions. Rejects with what joining again does not mend. */
  ensureStable(): Promise<void> {
    if (this.#fatal !== null) return Promise.reject(this.#fatal);
    if (this.#isStable || this.#isClosed) return Promise.resolve();
    this.#joining ??= this.#joinUntilStable().finally(() => {
      this.#joining = null;
    });
    return this.#joining;
  }

  /** Who commits offsets for this member. */
  get committer(): { groupId: string; generation: number; memberId: string; groupInstanceId: string | null } {
    const { groupId, groupInstanceId } = this.#options;
    return { groupId, generation: this.generation, memberId: this.memberId, groupInstanceId };
  }

  /** A commit was refused because this member is out: learn it now rather than by the next heartbeat. */
  onRefusedCommit(error: KafkaError): void {
    if (error.recovery !== "rejoin-group") return;
    if (error.code === "REBALANCE_IN_PROGRESS") this.rejoin();
    else this.#lose();
  }

  /** Tells the coordinator that this member goes; a static member is expected back and does not. */
  async leave(): Promise<void> {
    this.#isClosed = true;
    this.#heartbeatTimer?.cancel();
    const { groupId, groupInstanceId } = this.#options;
    const { memberId } = this;
    if (memberId === "" || groupInstanceId !== null) return;
    this.memberId = "";
    this.generation = -1;
    const members = [{ memberId, reason: "the consumer was closed" }];
    const options = { timeoutMs: 1000 };
    try {
      await this.#cluster.requestCoordinator("group", groupId, ApiKey.LeaveGroup, { groupId, members }, options);
    } catch (error) {
      if (!(error instanceof KafkaError) || error.code !== "UNSUPPORTED_VERSION") return;
      const older = { ...options, versionMax: 2 };
      await this.#cluster
        .requestCoordinator("group", groupId, ApiKey.LeaveGroup, { groupId, memberId }, older)
        .catch(() => {});
    }
  }

  async #joinUntilStable(): Promise<void> {
    const { context } = this.#cluster;
    while (!this.#isStable && !this.#isClosed) {
      try {
        await this.#joinOnce();
      } catch (error) {
        if (this.#isClosed || this.#cluster.isClosed) return;
        if (!(error instanceof KafkaError)) throw error;
        if (!this.#mend(error)) {
          this.#fatal = error;
          throw error;
        }
        if (error.code !== "MEMBER_ID_REQUIRED") await context.deadlines.sleep(context.options.retryBackoffMs);
      }
    }
  }

  /** Prepares the next try; false where there is none. */
  #mend(error: KafkaError): boolean {
    const { groupId } = this.#options;
    if (error.code === "UNKNOWN_MEMBER_ID" || error.code === "ILLEGAL_GENERATION") {
      this.memberId = error.code === "UNKNOWN_MEMBER_ID" ? "" : this.memberId;
      this.generation = -1;
      return true;
    }
    if (
      error.recovery === "find-coordinator" ||
      error.code === "NETWORK_EXCEPTION" ||
      error.code === "REQUEST_TIMED_OUT"
    ) {
      this.#cluster.forgetCoordinator("group", groupId);
      return true;
    }
    return error.recovery === "rejoin-group" || error.retriable;
  }

  async #joinOnce(): Promise<void> {
    const { assignors } = this.#options;
    const isCooperative = assignors.every(({ protocol }) => protocol === "cooperative");
    this.#heartbeatTimer?.cancel();
    if (this.#isLost) {
      this.#isLost = false;
      await this.#owner.revoke(this.#owner.owned(), true);
    } else if (!isCooperative && this.#owner.owned().length > 0) await this.#owner.revoke(this.#owner.owned(), false);
    const joined = await this.#sendJoin(await this.#owner.topics());
    this.memberId = joined.memberId;
    this.generation = joined.generationId;
    const assigned = await this.#sync(joined);
    // From here on a change is a new one: it must not be lost while partitions are handed over.
    this.#isStable = true;
    this.#lastHeartbeatMs = this.#cluster.context.clock.monotonicMs();
    this.#armHeartbeat();
    await this.#handOver(assigned);
  }

  async #sendJoin(topics: readonly string[]): Promise<JoinAnswer> {
    const { groupId, groupInstanceId, sessionTimeoutMs, pollIntervalMsMax, assignors } = this.#options;
    const metadata = writeConsumerSubscription({
      topics,
      ownedPartitions: [...byTopic(this.#owner.owned())].map(([topic, partitions]) => ({ topic, partitions })),
      generationId: this.generation,
    });
    const body = {
      groupId,
      sessionTimeoutMs,
      rebalanceTimeoutMs: pollIntervalMsMax,
      memberId: this.memberId,
      groupInstanceId,
      protocolType,
      protocols: assignors.map(({ name }) => ({ name, metadata })),
    };
    const answer = await this.#cluster.requestCoordinator("group", groupId, ApiKey.JoinGroup, body, {
      timeoutMs: pollIntervalMsMax + joinGraceMs,
    });
    if (answer.errorCode === ErrorCode.MEMBER_ID_REQUIRED) this.memberId = answer.memberId;
    if (answer.errorCode !== ErrorCode.NONE) throw errorFromCode(answer.errorCode, `join of group ${groupId}`);
    return answer;
  }

  async #sync(joined: JoinAnswer): Promise<TopicPartitionInput[]> {
    const { groupId, groupInstanceId } = this.#options;
    const isLeader = joined.leader === joined.memberId && !joined.skipAssignment;
    const assignments = isLeader ? await this.#assignAll(joined) : [];
    const { generation: generationId, memberId } = this;
    const { protocolName } = joined;
    const body = { groupId, generationId, memberId, groupInstanceId, protocolType, protocolName, assignments };
    const timeoutMs = this.#options.pollIntervalMsMax + joinGraceMs;
    const answer = await this.#cluster.requestCoordinator("group", groupId, ApiKey.SyncGroup, body, { timeoutMs });
    if (answer.errorCode !== ErrorCode.NONE) throw errorFromCode(answer.errorCode, `sync of group ${groupId}`);
    return readConsumerAssignment(answer.assignment).assignedPartitions.flatMap(({ topic, partitions }) =>
      partitions.map((partition) => ({ topic, partition })),
    );
  }

  async #assignAll(joined: JoinAnswer): Promise<{ memberId: string; assignment: Buffer }[]> {
    const assignor = this.#options.assignors.find(({ name }) => name === joined.protocolName)!;
    const members = joined.members.map(({ memberId, groupInstanceId, metadata }): MemberSubscription => {
      const { topics, ownedPartitions, generationId } = readConsumerSubscription(metadata);
      const owned = ownedPartitions.flatMap(({ topic, partitions }) =>
        partitions.map((partition) => ({ topic, partition })),
      );
      return { memberId, instanceId: groupInstanceId, topics, owned, generation: generationId };
    });
    const { metadata } = this.#cluster;
    const topics = new Set(members.flatMap((member) => member.topics));
    for (const topic of topics) metadata.touch(topic);
    if ([...topics].some((topic) => metadata.topic(topic) === undefined)) await metadata.refresh();
    const counts = new Map([...topics].map((topic) => [topic, metadata.topic(topic)?.partitions.length ?? 0]));
    return [...assignor.assign(members, counts)].map(([memberId, partitions]) => ({
      memberId,
      assignment: writeConsumerAssignment({
        assignedPartitions: [...byTopic(partitions)].map(([topic, list]) => ({ topic, partitions: list })),
      }),
    }));
  }

  /** What was lost goes first, then what was won comes; with something to give up the group must divide once more. */
  async #handOver(assigned: readonly TopicPartitionInput[]): Promise<void> {
    const owned = this.#owner.owned();
    const next = new Set(assigned.map(({ topic, partition }) => topicPartitionKey(topic, partition)));
    const before = new Set(owned.map(({ topic, partition }) => topicPartitionKey(topic, partition)));
    const revoked = owned.filter(({ topic, partition }) => !next.has(topicPartitionKey(topic, partition)));
    const added = assigned.filter(({ topic, partition }) => !before.has(topicPartitionKey(topic, partition)));
    if (revoked.length > 0) {
      await this.#owner.revoke(revoked, false);
      this.#isStable = false;
    }
    await this.#owner.take(added);
  }

  #armHeartbeat(): void {
    this.#heartbeatTimer?.cancel();
    if (this.#isClosed) return;
    const { deadlines } = this.#cluster.context;
    this.#heartbeatTimer = deadlines.after(this.#options.heartbeatIntervalMs, () => {
      void this.#heartbeat().then(() => {
        if (this.generation >= 0 && this.#joining === null) this.#armHeartbeat();
      });
    });
  }

  async #heartbeat(): Promise<void> {
    const { groupId, groupInstanceId, pollIntervalMsMax, sessionTimeoutMs } = this.#options;
    const { clock, logger } = this.#cluster.context;
    if (this.wasAsked) this.#lastAskedMs = clock.monotonicMs();
    this.wasAsked = false;
    if (this.#askingCount === 0 && clock.monotonicMs() - this.#lastAskedMs > pollIntervalMsMax) {
      logger.warn({ groupId, pollIntervalMsMax }, "the program did not ask for messages in time: leaving the group");
      await this.#leaveForNow();
      return;
    }
    const { generation: generationId, memberId } = this;
    const body = { groupId, generationId, memberId, groupInstanceId };
    try {
      const answer = await this.#cluster.requestCoordinator("group", groupId, ApiKey.Heartbeat, body, {
        timeoutMs: Math.min(sessionTimeoutMs, this.#cluster.context.options.requestTimeoutMs),
      });
      if (generationId !== this.generation || this.#isClosed) return;
      if (answer.errorCode !== ErrorCode.NONE) throw errorFromCode(answer.errorCode, `heartbeat of group ${groupId}`);
      this.#lastHeartbeatMs = clock.monotonicMs();
    } catch (error) {
      if (generationId === this.generation && !this.#isClosed) this.#onHeartbeatError(error);
    }
  }

  #onHeartbeatError(error: unknown): void {
    if (!(error instanceof KafkaError)) throw error;
    const { groupId, sessionTimeoutMs } = this.#options;
    if (error.code === "REBALANCE_IN_PROGRESS") return this.rejoin();
    if (error.recovery === "rejoin-group") return this.#lose();
    if (!error.retriable) {
      this.#fatal = error;
      return this.#owner.wake();
    }
    this.#cluster.forgetCoordinator("group", groupId);
    const silentMs = this.#cluster.context.clock.monotonicMs() - this.#lastHeartbeatMs;
    // The coordinator has given the partitions away by now, whether or not it can say so.
    if (silentMs > sessionTimeoutMs) this.#lose();
  }

  #lose(): void {
    this.#isLost = true;
    this.#isStable = false;
    this.memberId = "";
    this.generation = -1;
    this.#owner.wake();
  }

  async #leaveForNow(): Promise<void> {
    const { groupId, groupInstanceId } = this.#options;
    const { memberId } = this;
    this.#lose();
    if (groupInstanceId !== null) return;
    const body = { groupId, members: [{ memberId, reason: "the program did not ask for messages in time" }] };
    await this.#cluster.requestCoordinator("group", groupId, ApiKey.LeaveGroup, body).catch(() => {});
  }
}

function byTopic(partitions: readonly TopicPartitionInput[]): Map<string, number[]> {
  const topics = new Map<string, number[]>();
  for (const { topic, partition } of partitions) topics.set(topic, [...(topics.get(topic) ?? []), partition]);
  return topics;
}
