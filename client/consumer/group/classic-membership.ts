// Membership of a classic group: join, learn one's partitions, stay by heartbeats, join again when the group changes. Knows no positions.
//
//   out → joining: the program asks for messages        joining → stable: SyncGroup answered
//   stable → stale: the group rebalances, the topics changed, or this member was put out        stale → joining: the program asks again
//   any → out: leave
//
// Joins happen only while the program asks for messages: what it is working on stays its own until then. Heartbeats go on by themselves.
import type { TimerHandle } from "@blumfeld/core/base";
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
import type { GroupMetadata } from "./group-offsets.ts";
import {
  closedReason,
  type GroupMembership,
  type MembershipOwner,
  PollWatch,
  type RebalanceEvent,
  tooSlowReason,
  without,
} from "./membership.ts";
import type { ResolvedGroupOptions } from "./options.ts";

type JoinAnswer = ResponseOf<typeof ApiKey.JoinGroup>;

const protocolType = "consumer";
/** The coordinator answers a join when the rebalance is over, a little after its timeout at the latest. */
const joinGraceMs = 5000;
const divideReason = "the group divides its partitions anew: a member came or went, or its topics changed";

export class ClassicMembership implements GroupMembership {
  memberId = "";
  generation = -1;
  readonly watch: PollWatch;
  readonly #cluster: ClusterClient;
  readonly #options: ResolvedGroupOptions;
  readonly #owner: MembershipOwner;
  #isStable = false;
  /** The coordinator does not count this member any more. */
  #isLost = false;
  #joining: Promise<void> | null = null;
  #heartbeatTimer: TimerHandle | null = null;
  #lastHeartbeatMs = 0;
  #reason = "joined the group";
  /** What this member had when the rebalance began; null: none is under way. */
  #before: readonly TopicPartitionInput[] | null = null;
  #wasLost = false;
  /** What the last rebalance gave: eager sticky assignors tell it the leader after it was given up. */
  #assigned: readonly TopicPartitionInput[] = [];
  #generationAssigned = -1;
  /** Where this member leads: the members of the last generation. */
  #members: readonly string[] | null = null;
  #membersBefore: readonly string[] | null = null;
  #isClosed = false;
  #fatal: KafkaError | null = null;

  constructor(cluster: ClusterClient, options: ResolvedGroupOptions, owner: MembershipOwner) {
    this.#cluster = cluster;
    this.#options = options;
    this.#owner = owner;
    this.watch = new PollWatch(cluster.context.clock);
  }

  /** Whether there is something to do before messages are handed out. */
  get needsWork(): boolean {
    return !this.#isStable || this.#fatal !== null;
  }

  rejoin(reason: string): void {
    this.#isStable = false;
    this.#reason = reason;
    this.#owner.wake();
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
  get committer(): GroupMetadata {
    const { groupId, groupInstanceId } = this.#options;
    return { groupId, generation: this.generation, memberId: this.memberId, groupInstanceId };
  }

  /** A commit was refused because this member is out: learn it now rather than by the next heartbeat. */
  onRefusedCommit(error: KafkaError): void {
    if (error.recovery !== "rejoin-group") return;
    if (error.code === "REBALANCE_IN_PROGRESS") this.rejoin(divideReason);
    else this.#lose(error.code);
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
    const members = [{ memberId, reason: closedReason }];
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
    this.#before ??= this.#owner.owned();
    if (this.#isLost) {
      this.#isLost = false;
      this.#wasLost = true;
      this.#assigned = [];
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
    const { generation: generationId } = this;
    const ownedPartitions = [...byTopic(this.#owner.owned())].map(([topic, partitions]) => ({ topic, partitions }));
    const state = { topics, assigned: this.#assigned, generation: this.#generationAssigned };
    const body = {
      groupId,
      sessionTimeoutMs,
      rebalanceTimeoutMs: pollIntervalMsMax,
      memberId: this.memberId,
      groupInstanceId,
      protocolType,
      protocols: assignors.map((assignor) => {
        const userData = assignor.userData?.(state) ?? null;
        const metadata = writeConsumerSubscription({ topics, ownedPartitions, generationId, userData });
        return { name: assignor.name, metadata };
      }),
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
    this.#members = null;
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
      const { topics, ownedPartitions, generationId, userData } = readConsumerSubscription(metadata);
      const owned = ownedPartitions.flatMap(({ topic, partitions }) =>
        partitions.map((partition) => ({ topic, partition })),
      );
      return { memberId, instanceId: groupInstanceId, topics, owned, generation: generationId, userData };
    });
    this.#members = members.map(({ memberId }) => memberId);
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
    const revoked = without(owned, assigned);
    const added = without(assigned, owned);
    this.#assigned = assigned;
    this.#generationAssigned = this.generation;
    if (revoked.length > 0) {
      await this.#owner.revoke(revoked, false);
      this.#isStable = false;
    }
    await this.#owner.take(added);
    this.#tell();
  }

  #tell(): void {
    const before = this.#before ?? [];
    const owned = this.#owner.owned();
    this.#owner.rebalanced({
      ...{ reason: this.#reason, protocol: "classic", memberId: this.memberId, generation: this.generation, owned },
      ...{ assigned: without(owned, before), revoked: without(before, owned), isLost: this.#wasLost },
      members: this.#membersMoved(),
    });
    this.#before = null;
    this.#wasLost = false;
    this.#reason = divideReason;
  }

  #membersMoved(): RebalanceEvent["members"] {
    const all = this.#members;
    const before = this.#membersBefore;
    this.#membersBefore = all;
    if (all === null) return null;
    return {
      all,
      joined: before === null ? [] : all.filter((member) => !before.includes(member)),
      left: before === null ? [] : before.filter((member) => !all.includes(member)),
    };
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
    if (this.watch.isLate(pollIntervalMsMax)) {
      logger.warn({ groupId, pollIntervalMsMax }, `${tooSlowReason}: leaving the group`);
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
    if (error.code === "REBALANCE_IN_PROGRESS") return this.rejoin(divideReason);
    if (error.recovery === "rejoin-group") return this.#lose(error.code);
    if (!error.retriable) {
      this.#fatal = error;
      return this.#owner.wake();
    }
    this.#cluster.forgetCoordinator("group", groupId);
    const silentMs = this.#cluster.context.clock.monotonicMs() - this.#lastHeartbeatMs;
    // The coordinator has given the partitions away by now, whether or not it can say so.
    if (silentMs > sessionTimeoutMs) this.#lose("the coordinator was not reached for a session's time");
  }

  #lose(reason: string): void {
    this.#reason = `out of the group: ${reason}`;
    this.#isLost = true;
    this.#isStable = false;
    this.memberId = "";
    this.generation = -1;
    this.#owner.wake();
  }

  async #leaveForNow(): Promise<void> {
    const { groupId, groupInstanceId } = this.#options;
    const { memberId } = this;
    this.#lose(tooSlowReason);
    if (groupInstanceId !== null) return;
    const body = { groupId, members: [{ memberId, reason: tooSlowReason }] };
    await this.#cluster.requestCoordinator("group", groupId, ApiKey.LeaveGroup, body).catch(() => {});
  }
}

function byTopic(partitions: readonly TopicPartitionInput[]): Map<string, number[]> {
  const topics = new Map<string, number[]>();
  for (const { topic, partition } of partitions) topics.set(topic, [...(topics.get(topic) ?? []), partition]);
  return topics;
}
