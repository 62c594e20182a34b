// Members of a consumer group that still speak the classic protocol: JoinGroup, SyncGroup, Heartbeat and LeaveGroup say to them what the
// heartbeat says to the others. A generation is the member's epoch; nobody leads.
import { randomUuid, type Uuid } from "../../../base/index.ts";
import {
  ErrorCode,
  type HeartbeatRequest,
  type JoinGroupRequest,
  type JoinGroupResponseInit,
  type LeaveGroupRequestMemberIdentity,
  type LeaveGroupResponseInit,
  type SyncGroupRequest,
} from "../../../protocol/index.ts";
import { consumerProtocolType, joinError } from "../classic/classic-group.ts";
import { type JoinAnswer, noAssignment, type SyncAnswer } from "../classic/classic-member.ts";
import type { GroupClient, GroupDecision, GroupRecord } from "../group.ts";
import type { GroupContext } from "../group-context.ts";
import { timerKeys } from "../group-timers.ts";
import type { ConsumerGroup } from "./consumer-group.ts";
import type { ConsumerHeartbeat } from "./consumer-heartbeat.ts";
import { type ConsumerMember, joinEpoch, memberStates, newMember, sameNames, type Target } from "./consumer-member.ts";
import { type ConsumerMigration, subscriptionOf } from "./consumer-migration.ts";
import type { Owned } from "./consumer-reconcile.ts";
import { currentAssignmentRecord, memberRecord, memberTombstones, targetRecord } from "./consumer-records.ts";
import { metadataHashOf } from "./metadata-hash.ts";
import { Refused } from "./refused.ts";

const memberIdRequiredFrom = 4;
const nothing: GroupDecision<void> = { records: [], answer: undefined };

export class ConsumerClassic {
  private readonly context: GroupContext;
  private readonly consumer: ConsumerHeartbeat;
  private readonly migration: ConsumerMigration;

  constructor(context: GroupContext, consumer: ConsumerHeartbeat, migration: ConsumerMigration) {
    this.context = context;
    this.consumer = consumer;
    this.migration = migration;
  }

  join(
    group: ConsumerGroup,
    request: JoinGroupRequest,
    client: GroupClient,
    answer: JoinAnswer,
    nowMs: number,
  ): GroupDecision<void> {
    const { groupId } = group;
    const isUnknown = request.memberId === "";
    const memberId = isUnknown ? randomUuid(this.context.random) : request.memberId;
    const refuse = (errorCode: number, ofMember = ""): GroupDecision<void> => {
      answer(joinError(ofMember, errorCode));
      return nothing;
    };
    if (!group.members.has(memberId) && group.members.size >= this.context.config.consumerMemberCountMax)
      return refuse(ErrorCode.GROUP_MAX_SIZE_REACHED);
    const classic = {
      sessionTimeoutMs: request.sessionTimeoutMs,
      protocols: request.protocols.map(({ name, metadata }) => ({ name, metadata: Buffer.from(metadata) })),
    };
    if (request.protocolType !== consumerProtocolType || !supports(group, memberId, classic))
      return refuse(ErrorCode.INCONSISTENT_GROUP_PROTOCOL);
    if (isUnknown && request.groupInstanceId === null && client.apiVersion >= memberIdRequiredFrom)
      return refuse(ErrorCode.MEMBER_ID_REQUIRED, memberId);
    const subscription = subscriptionOf({ classic });
    if (subscription === null) return refuse(ErrorCode.INCONSISTENT_GROUP_PROTOCOL);
    const records: GroupRecord[] = [];
    const { before, replacedId } = this.memberFor(group, memberId, request.groupInstanceId, records);
    const replaced = replacedId === null ? undefined : group.members.get(replacedId);
    const updated: ConsumerMember = {
      ...before,
      instanceId: request.groupInstanceId ?? before.instanceId,
      rackId: subscription.rackId ?? before.rackId,
      rebalanceTimeoutMs: request.rebalanceTimeoutMs < 0 ? request.sessionTimeoutMs : request.rebalanceTimeoutMs,
      serverAssignor: null,
      subscribedTopicNames: subscription.topics,
      subscribedTopicRegex: "",
      clientId: client.clientId,
      clientHost: client.clientHost,
      classic,
    };
    const back = this.downgradeBy(group, updated, replacedId, answer, nowMs);
    if (back !== null) return back;
    const isNew = !group.members.has(memberId) && replacedId === null;
    const owned = this.ownedOf(subscription.ownedPartitions);
    const after = this.consumer.advance(group, { before, updated, replacedId, isNew, owned, nowMs }, records);
    if (after instanceof Refused) return refuse(after.errorCode);
    this.restartSession(groupId, after);
    this.context.timers.cancel(timerKeys.consumerClassicJoin(groupId, memberId));
    this.time("consumer-classic-sync", groupId, after);
    const settled = this.answered(group, replaced === undefined ? [] : [replaced], after, after.memberEpoch, answer);
    return { records, answer: undefined, settled };
  }

  /** Answers once it is written; where it is not, those whose place was to be another's are timed as before. */
  private answered(
    group: ConsumerGroup,
    before: readonly ConsumerMember[],
    member: ConsumerMember,
    generationId: number,
    answer: JoinAnswer,
  ): (errorCode: number | null) => void {
    const takeBack = this.consumer.timedAgainWhereRefused(group, before);
    const answerNow = answerWhenWritten(member, generationId, answer);
    return (errorCode) => {
      takeBack(errorCode);
      answerNow(errorCode);
    };
  }

  /** The last member of the new protocol was a static one, and comes back with the old: the group goes back with it. */
  private downgradeBy(
    group: ConsumerGroup,
    updated: ConsumerMember,
    replacedId: string | null,
    answer: JoinAnswer,
    nowMs: number,
  ): GroupDecision<void> | null {
    const replaced = replacedId === null ? undefined : group.members.get(replacedId);
    if (replaced === undefined || replaced.classic !== null) return null;
    const { memberId } = updated;
    const rest = [...group.members.values()].filter((member) => member !== replaced);
    if (!this.migration.mayDowngrade([...rest, updated])) return null;
    const isStale =
      group.groupEpoch > group.assignmentEpoch ||
      group.metadataHash !== metadataHashOf(group.subscribedTopics(), this.context.topics) ||
      !sameNames(replaced.subscribedTopicNames, updated.subscribedTopicNames);
    const successor = { memberId, of: replaced.memberId, isStale };
    const records = this.migration.downgrade(group, [...rest, updated], nowMs, successor);
    const settled = this.answered(group, [...rest, replaced], updated, group.groupEpoch, answer);
    return { records, answer: undefined, isApplied: true, settled };
  }

  private memberFor(
    group: ConsumerGroup,
    memberId: string,
    instanceId: string | null,
    records: GroupRecord[],
  ): { readonly before: ConsumerMember; readonly replacedId: string | null } {
    const holderId = instanceId === null ? undefined : group.staticMembers.get(instanceId);
    const holder = holderId === undefined ? undefined : group.members.get(holderId);
    if (holder === undefined || holder.memberId === memberId)
      return { before: group.members.get(memberId) ?? newMember(memberId), replacedId: null };
    // In the group's epoch it counts as having all of its target: only where it has.
    const target = group.targetOf(holder.memberId);
    const memberEpoch = hasTarget(holder, target) ? group.assignmentEpoch : joinEpoch;
    const before: ConsumerMember = { ...holder, memberId, memberEpoch };
    this.consumer.cancelTimers(group, holder.memberId);
    records.push(
      ...memberTombstones(group.groupId, holder.memberId),
      memberRecord(group.groupId, before),
      targetRecord(group.groupId, memberId, target),
      currentAssignmentRecord(group.groupId, before),
    );
    return { before, replacedId: holder.memberId };
  }

  private ownedOf(topics: readonly { readonly topic: string; readonly partitions: readonly number[] }[]): Owned {
    const owned = new Map<Uuid, ReadonlySet<number>>();
    for (const { topic, partitions } of topics) {
      const id = this.context.topics.byName(topic)?.id;
      if (id !== undefined) owned.set(id, new Set(partitions));
    }
    return owned;
  }

  private restartSession(groupId: string, member: ConsumerMember): void {
    const { classic, memberId } = member;
    if (classic === null) return;
    const key = timerKeys.consumerSession(groupId, memberId);
    this.context.timers.set(key, classic.sessionTimeoutMs, { kind: "consumer-session", groupId, memberId });
  }

  private time(kind: "consumer-classic-join" | "consumer-classic-sync", groupId: string, member: ConsumerMember): void {
    const { memberId, memberEpoch, rebalanceTimeoutMs } = member;
    const isJoin = kind === "consumer-classic-join";
    const key = isJoin
      ? timerKeys.consumerClassicJoin(groupId, memberId)
      : timerKeys.consumerClassicSync(groupId, memberId);
    // The time to join again runs from when the member could first know.
    if (isJoin && this.context.timers.has(key)) return;
    this.context.timers.set(key, Math.max(rebalanceTimeoutMs, 0), { kind, groupId, memberId, memberEpoch });
  }

  /** 0, or why this is no classic member of the group in that generation. */
  private memberError(group: ConsumerGroup, memberId: string, instanceId: string | null, generationId: number): number {
    const error = identityError(group, memberId, instanceId);
    if (error !== ErrorCode.NONE) return error;
    const member = group.members.get(memberId)!;
    if (member.classic === null) return ErrorCode.UNKNOWN_MEMBER_ID;
    return generationId === member.memberEpoch ? ErrorCode.NONE : ErrorCode.ILLEGAL_GENERATION;
  }

  sync(group: ConsumerGroup, request: SyncGroupRequest, answer: SyncAnswer): GroupDecision<void> {
    const { groupId } = group;
    const refuse = (errorCode: number): GroupDecision<void> => {
      answer({ errorCode, assignment: noAssignment });
      return nothing;
    };
    const error = this.memberError(group, request.memberId, request.groupInstanceId, request.generationId);
    if (error !== ErrorCode.NONE) return refuse(error);
    const member = group.members.get(request.memberId)!;
    const protocolName = member.classic!.protocols[0]!.name;
    const isOther =
      (request.protocolType !== null && request.protocolType !== consumerProtocolType) ||
      (request.protocolName !== null && request.protocolName !== protocolName);
    if (isOther) return refuse(ErrorCode.INCONSISTENT_GROUP_PROTOCOL);
    if (group.assignmentEpoch > member.memberEpoch && member.state !== memberStates.unrevokedPartitions) {
      this.time("consumer-classic-join", groupId, member);
      return refuse(ErrorCode.REBALANCE_IN_PROGRESS);
    }
    this.context.timers.cancel(timerKeys.consumerClassicSync(groupId, member.memberId));
    this.restartSession(groupId, member);
    answer({
      errorCode: ErrorCode.NONE,
      protocolType: consumerProtocolType,
      protocolName,
      assignment: this.migration.assignmentBytes(member, member.assigned),
    });
    return nothing;
  }

  heartbeat(group: ConsumerGroup, request: HeartbeatRequest): number {
    const error = this.memberError(group, request.memberId, request.groupInstanceId, request.generationId);
    if (error !== ErrorCode.NONE) return error;
    const member = group.members.get(request.memberId)!;
    this.restartSession(group.groupId, member);
    const mustJoin =
      member.memberEpoch < group.assignmentEpoch ||
      member.state === memberStates.unrevokedPartitions ||
      (member.state === memberStates.unreleasedPartitions && !isWaitingForOthers(group, member));
    if (!mustJoin) return ErrorCode.NONE;
    this.time("consumer-classic-join", group.groupId, member);
    return ErrorCode.REBALANCE_IN_PROGRESS;
  }

  leave(
    group: ConsumerGroup,
    identities: readonly LeaveGroupRequestMemberIdentity[],
    nowMs: number,
  ): GroupDecision<LeaveGroupResponseInit> {
    const gone = new Map<string, ConsumerMember>();
    const members = identities.map(({ memberId, groupInstanceId }) => {
      // An administrator removes a static member by its instance id alone.
      const holderId = groupInstanceId === null ? undefined : group.staticMembers.get(groupInstanceId);
      const id = memberId === "" && holderId !== undefined ? holderId : memberId;
      const errorCode = identityError(group, id, groupInstanceId);
      if (errorCode === ErrorCode.NONE) gone.set(id, group.members.get(id)!);
      return { memberId, groupInstanceId, errorCode };
    });
    const answer = { errorCode: ErrorCode.NONE, members };
    if (gone.size === 0) return { records: [], answer };
    return { ...this.consumer.fence(group, [...gone.values()], nowMs), answer };
  }

  /** The member neither joined again nor asked for its assignment in time. */
  onTimeout(group: ConsumerGroup, memberId: string, memberEpoch: number, nowMs: number): GroupDecision<void> {
    const member = group.members.get(memberId);
    if (member === undefined || member.memberEpoch !== memberEpoch || member.classic === null) return nothing;
    return this.consumer.fence(group, [member], nowMs);
  }
}

function answerWhenWritten(
  member: ConsumerMember,
  generationId: number,
  answer: JoinAnswer,
): (errorCode: number | null) => void {
  const response: JoinGroupResponseInit = {
    errorCode: ErrorCode.NONE,
    memberId: member.memberId,
    generationId,
    protocolType: consumerProtocolType,
    protocolName: member.classic!.protocols[0]!.name,
    leader: "",
    members: [],
  };
  return (errorCode) => {
    if (errorCode === null) answer(response);
  };
}

/** Whether the member's protocols have one that all classic members of the group have. */
function supports(group: ConsumerGroup, memberId: string, classic: NonNullable<ConsumerMember["classic"]>): boolean {
  const others = [...group.members.values()].filter(
    (member) => member.classic !== null && member.memberId !== memberId,
  );
  return classic.protocols.some(({ name }) =>
    others.every((member) => member.classic!.protocols.some((protocol) => protocol.name === name)),
  );
}

function identityError(group: ConsumerGroup, memberId: string, instanceId: string | null): number {
  if (instanceId !== null) {
    const holder = group.staticMembers.get(instanceId);
    if (holder === undefined) return ErrorCode.UNKNOWN_MEMBER_ID;
    if (holder !== memberId) return ErrorCode.FENCED_INSTANCE_ID;
  }
  return group.members.has(memberId) ? ErrorCode.NONE : ErrorCode.UNKNOWN_MEMBER_ID;
}

/** It has nothing else, and nothing to give up. */
function hasTarget(member: ConsumerMember, target: Target): boolean {
  if (member.pendingRevocation.size > 0 || member.assigned.size !== target.size) return false;
  for (const [topic, partitions] of target) {
    const own = member.assigned.get(topic);
    if (own?.size !== partitions.length || partitions.some((partition) => !own.has(partition))) return false;
  }
  return true;
}

/** A partition of its target is still with another. */
function isWaitingForOthers(group: ConsumerGroup, member: ConsumerMember): boolean {
  for (const [topic, partitions] of group.targetOf(member.memberId)) {
    const own = member.assigned.get(topic);
    for (const partition of partitions)
      if (own?.has(partition) !== true && group.ownerEpoch(topic, partition) !== -1) return true;
  }
  return false;
}
