// ConsumerGroupHeartbeat: join, go on, change the subscription, acknowledge what was given up, leave. One heartbeat brings the member up to date,
// then the group's epoch, then its target, then the member's own way to it.
import { randomUuid, type Uuid } from "../../../base/index.ts";
import {
  type ConsumerGroupHeartbeatRequest,
  type ConsumerGroupHeartbeatResponseInit,
  ErrorCode,
} from "../../../protocol/index.ts";
import { ClassicGroup } from "../classic/classic-group.ts";
import type { GroupClient, GroupDecision, GroupRecord } from "../group.ts";
import type { GroupContext } from "../group-context.ts";
import { timerKeys } from "../group-timers.ts";
import { ConsumerGroup } from "./consumer-group.ts";
import {
  type Assigned,
  type ConsumerMember,
  inEpoch,
  isReconciledTo,
  joinEpoch,
  leaveEpoch,
  memberStates,
  newMember,
  nothingAssigned,
  sameAssigned,
  sameMetadata,
  sameNames,
  samePartitions,
  staticLeaveEpoch,
  type Target,
} from "./consumer-member.ts";
import type { ConsumerMigration } from "./consumer-migration.ts";
import { type Owned, reconciled } from "./consumer-reconcile.ts";
import {
  currentAssignmentRecord,
  groupEpochRecord,
  legacyMetadataTombstone,
  memberRecord,
  memberTombstones,
  regexTombstone,
  targetRecord,
} from "./consumer-records.ts";
import { ConsumerRegexes } from "./consumer-regexes.ts";
import { makeTarget } from "./consumer-target.ts";
import { metadataHashOf } from "./metadata-hash.ts";
import { Refused, refused } from "./refused.ts";

type Request = ConsumerGroupHeartbeatRequest;
type Answer = ConsumerGroupHeartbeatResponseInit;

/** How long the hash of a group's topics counts as fresh when nothing is heard of them. Kafka's fixed value. */
const metadataRefreshIntervalMs = 0x7fff_ffff;
const nothing: GroupDecision<void> = { records: [], answer: undefined };

export class ConsumerHeartbeat {
  private readonly context: GroupContext;
  private readonly migration: ConsumerMigration;
  readonly regexes: ConsumerRegexes;

  constructor(context: GroupContext, migration: ConsumerMigration) {
    this.context = context;
    this.migration = migration;
    this.regexes = new ConsumerRegexes(context);
  }

  /** Refusals of the whole request came before: empty ids, what a first heartbeat lacks, an assignor that is unknown. */
  heartbeat(request: Request, client: GroupClient, nowMs: number): GroupDecision<Answer> {
    const { groupId, memberEpoch } = request;
    const { groups } = this.context;
    const before = groups.get(groupId);
    const decision =
      memberEpoch === leaveEpoch || memberEpoch === staticLeaveEpoch
        ? this.leave(request, nowMs)
        : this.goOn(request, client, nowMs);
    if (!(decision instanceof Refused)) return decision;
    // A group that was begun for this member alone does not stay.
    if (before === undefined) groups.delete(groupId);
    else if (groups.get(groupId) !== before) groups.set(groupId, before);
    const { errorCode, message } = decision;
    const answer = { throttleTimeMs: 0, errorCode, errorMessage: message, memberEpoch: 0, heartbeatIntervalMs: 0 };
    return { records: [], answer };
  }

  private existing(groupId: string): ConsumerGroup | Refused {
    const group = this.context.groups.get(groupId);
    if (group instanceof ConsumerGroup) return group;
    return group === undefined
      ? refused(ErrorCode.GROUP_ID_NOT_FOUND, `Consumer group ${groupId} not found.`)
      : refused(ErrorCode.GROUP_ID_NOT_FOUND, `Group ${groupId} is not a consumer group.`);
  }

  // --- leaving ---------------------------------------------------------------------------------

  private leave(request: Request, nowMs: number): GroupDecision<Answer> | Refused {
    const { groupId, memberId, memberEpoch, instanceId } = request;
    const group = this.existing(groupId);
    if (group instanceof Refused) return group;
    const member = instanceId === null ? memberOf(group, memberId) : staticMemberOf(group, instanceId, memberId);
    if (member instanceof Refused) return member;
    const answer = { throttleTimeMs: 0, errorCode: 0, memberId, memberEpoch, heartbeatIntervalMs: 0 };
    if (instanceId !== null && memberEpoch === staticLeaveEpoch) {
      // It will be back: its place is kept until its session ends.
      const left = { ...inEpoch(member, staticLeaveEpoch), pendingRevocation: nothingAssigned };
      return { records: [currentAssignmentRecord(groupId, left)], answer };
    }
    return { ...this.fence(group, [member], nowMs), answer };
  }

  /** Takes members out of the group: their tombstones, and an epoch in which others get what they had. */
  fence(group: ConsumerGroup, members: readonly ConsumerMember[], nowMs: number): GroupDecision<void> {
    const { groupId } = group;
    const records: GroupRecord[] = [];
    const gone = new Set(members.map(({ memberId }) => memberId));
    for (const { memberId } of members) {
      records.push(...memberTombstones(groupId, memberId));
      this.cancelTimers(group, memberId);
    }
    const rest = [...group.members.values()].filter(({ memberId }) => !gone.has(memberId));
    if (this.migration.mayDowngrade(rest)) {
      const settled = this.timedAgainWhereRefused(group, [...members, ...rest]);
      return { records: this.migration.downgrade(group, rest, nowMs), answer: undefined, isApplied: true, settled };
    }
    const regexesInUse = new Set(rest.map(({ subscribedTopicRegex }) => subscribedTopicRegex));
    for (const regex of group.regexes.keys())
      if (!regexesInUse.has(regex)) records.push(regexTombstone(groupId, regex));
    const hash = metadataHashOf(group.subscribedTopics(rest), this.context.topics);
    records.push(groupEpochRecord(groupId, group.groupEpoch + 1, hash));
    return { records, answer: undefined, settled: this.timedAgainWhereRefused(group, members) };
  }

  /** Members that could not be taken out are members still: without a timer one that is dead would stay for ever. */
  timedAgainWhereRefused(group: ConsumerGroup, members: readonly ConsumerMember[]): (errorCode: number | null) => void {
    return (errorCode) => {
      if (errorCode !== null) for (const member of members) this.time(group, member);
    };
  }

  onSessionTimeout(groupId: string, memberId: string, nowMs: number): GroupDecision<void> {
    const group = this.existing(groupId);
    if (group instanceof Refused) return nothing;
    const member = group.members.get(memberId);
    if (member === undefined) return nothing;
    this.context.logger.info({ group: groupId, member: memberId }, "the member's session ended");
    return this.fence(group, [member], nowMs);
  }

  onRevocationTimeout(groupId: string, memberId: string, memberEpoch: number, nowMs: number): GroupDecision<void> {
    const group = this.existing(groupId);
    if (group instanceof Refused) return nothing;
    const member = group.members.get(memberId);
    // The record that it has to give something up may have been refused.
    if (member?.state !== memberStates.unrevokedPartitions || member.memberEpoch !== memberEpoch) return nothing;
    this.context.logger.info({ group: groupId, member: memberId }, "the member did not give up its partitions in time");
    return this.fence(group, [member], nowMs);
  }

  cancelTimers({ groupId }: ConsumerGroup, memberId: string): void {
    const { timers } = this.context;
    timers.cancel(timerKeys.consumerSession(groupId, memberId));
    timers.cancel(timerKeys.consumerRevocation(groupId, memberId));
    timers.cancel(timerKeys.consumerClassicJoin(groupId, memberId));
    timers.cancel(timerKeys.consumerClassicSync(groupId, memberId));
  }

  // --- joining and going on --------------------------------------------------------------------

  private goOn(request: Request, client: GroupClient, nowMs: number): GroupDecision<Answer> | Refused {
    const { groupId, memberEpoch } = request;
    const records: GroupRecord[] = [];
    const isJoining = memberEpoch === joinEpoch;
    const found = this.groupFor(groupId, isJoining, records);
    if (found instanceof Refused) return found;
    const { group } = found;
    // A client of version 0 that joins leaves it to the coordinator to name it.
    const memberId = request.memberId === "" ? randomUuid(this.context.random) : request.memberId;
    const { consumerMemberCountMax } = this.context.config;
    if (!group.members.has(memberId) && group.members.size >= consumerMemberCountMax) {
      const text = `The consumer group has reached its maximum capacity of ${consumerMemberCountMax} members.`;
      return refused(ErrorCode.GROUP_MAX_SIZE_REACHED, text);
    }
    const owned = ownedOf(request);
    const joined = this.memberFor(group, request, memberId, owned, records);
    if (joined instanceof Refused) return joined;
    const { member, replacedId } = joined;
    const replaced = replacedId === null ? undefined : group.members.get(replacedId);
    const updated = updatedMember(member, request, client);
    if (updated.subscribedTopicRegex !== member.subscribedTopicRegex && updated.subscribedTopicRegex !== "") {
      const problem = this.regexes.problemOf(updated.subscribedTopicRegex);
      if (problem !== null) return problem;
    }
    const isNew = !group.members.has(memberId) && replacedId === null;
    const isUpgraded = found.accept !== undefined;
    const { mayFindTopic } = client;
    const step = { before: member, updated, replacedId, isNew, isUpgraded, owned, nowMs, mayFindTopic };
    const after = this.advance(group, step, records);
    if (after instanceof Refused) return after;
    found.accept?.();
    const settled = (errorCode: number | null): void => {
      if (errorCode === null) return;
      found.takeBack?.();
      if (replaced !== undefined) this.time(group, replaced);
    };
    const { heartbeatIntervalMs, sessionTimeoutMs } = this.context.config.consumerGroup(groupId);
    const sessionKey = timerKeys.consumerSession(groupId, memberId);
    this.context.timers.set(sessionKey, sessionTimeoutMs, { kind: "consumer-session", groupId, memberId });
    const isFull =
      isJoining ||
      (request.rebalanceTimeoutMs !== -1 &&
        (request.subscribedTopicNames !== null || request.subscribedTopicRegex !== null) &&
        request.topicPartitions !== null);
    // The assignment is told to who asks for everything, and when it has changed.
    const isTold = isFull || !samePartitions(member.assigned, after.assigned);
    return {
      records,
      ...(found.takeBack === undefined && replaced === undefined ? {} : { settled }),
      answer: {
        throttleTimeMs: 0,
        errorCode: ErrorCode.NONE,
        memberId,
        memberEpoch: after.memberEpoch,
        heartbeatIntervalMs,
        assignment: isTold ? { topicPartitions: topicPartitionsOf(after.assigned) } : null,
      },
    };
  }

  private groupFor(
    groupId: string,
    isJoining: boolean,
    records: GroupRecord[],
  ): { readonly group: ConsumerGroup; readonly accept?: () => void; readonly takeBack?: () => void } | Refused {
    const existing = this.context.groups.get(groupId);
    if (existing instanceof ConsumerGroup) return { group: existing };
    if (!isJoining || (existing !== undefined && !(existing instanceof ClassicGroup))) {
      const group = this.existing(groupId);
      return group instanceof Refused ? group : { group };
    }
    if (existing === undefined) return { group: this.begun(groupId) };
    if (existing.isEmpty) {
      // Its offsets stay, under the same id.
      records.push(...existing.tombstones());
      return { group: this.begun(groupId) };
    }
    const upgraded = this.migration.upgrade(existing);
    if (!(upgraded instanceof Refused)) records.push(...upgraded.records);
    return upgraded;
  }

  private begun(groupId: string): ConsumerGroup {
    const group = new ConsumerGroup(groupId, this.context.undo);
    this.context.groups.set(groupId, group);
    return group;
  }

  private memberFor(
    group: ConsumerGroup,
    request: Request,
    memberId: string,
    owned: Owned,
    records: GroupRecord[],
  ): { readonly member: ConsumerMember; readonly replacedId: string | null } | Refused {
    const { instanceId, memberEpoch } = request;
    const isJoining = memberEpoch === joinEpoch;
    if (instanceId === null) {
      const member = isJoining ? (group.members.get(memberId) ?? newMember(memberId)) : memberOf(group, memberId);
      return checked(member, memberEpoch, owned);
    }
    if (!isJoining) return checked(staticMemberOf(group, instanceId, memberId), memberEpoch, owned);
    const holderId = group.staticMembers.get(instanceId);
    const holder = holderId === undefined ? undefined : group.members.get(holderId);
    if (holder === undefined || holder.memberId === memberId)
      return checked(holder ?? newMember(memberId), memberEpoch, owned);
    if (holder.memberEpoch !== staticLeaveEpoch) {
      const text = `Static member ${memberId} with instance id ${instanceId} cannot join the group because the instance id is owned by member ${holder.memberId}.`;
      return refused(ErrorCode.UNRELEASED_INSTANCE_ID, text);
    }
    const member: ConsumerMember = { ...holder, memberId, memberEpoch: joinEpoch, previousMemberEpoch: joinEpoch };
    this.cancelTimers(group, holder.memberId);
    records.push(
      ...memberTombstones(group.groupId, holder.memberId),
      memberRecord(group.groupId, member),
      targetRecord(group.groupId, memberId, group.targetOf(holder.memberId)),
      currentAssignmentRecord(group.groupId, member),
    );
    return { member, replacedId: holder.memberId };
  }

  /** Brings the group and the member forward; the member as it is then. */
  advance(
    group: ConsumerGroup,
    step: {
      readonly before: ConsumerMember;
      readonly updated: ConsumerMember;
      readonly replacedId: string | null;
      readonly isNew: boolean;
      /** Of a classic group that may have been in the midst of a rebalance: what its members have is no target. */
      readonly isUpgraded?: boolean;
      readonly owned: Owned;
      readonly nowMs: number;
      readonly mayFindTopic?: GroupClient["mayFindTopic"];
    },
    records: GroupRecord[],
  ): ConsumerMember | Refused {
    const { before, updated, replacedId, isNew, owned, nowMs } = step;
    const { groupId } = group;
    if (isNew || !sameMetadata(before, updated)) records.push(memberRecord(groupId, updated));
    const namesChanged = !sameNames(before.subscribedTopicNames, updated.subscribedTopicNames);
    const regexResolved = this.regexes.onMember(group, before, updated, records);
    const hasSubscriptionChanged = namesChanged || regexResolved;
    // Nearly every heartbeat changes nothing: only a new epoch or target looks at all members.
    let all: ConsumerMember[] | null = null;
    const members = (): ConsumerMember[] => {
      all ??= group.membersWith(updated, replacedId);
      return all;
    };
    const isBumped = hasSubscriptionChanged || step.isUpgraded === true;
    const groupEpoch = this.advanceEpoch(group, members, isBumped, nowMs, records);
    this.regexes.askWhenDue(group, updated, nowMs, step.mayFindTopic);
    const { target, targetEpoch } = this.advanceTarget(group, members, updated, groupEpoch, replacedId, nowMs, records);
    return this.reconcile(group, { member: updated, target, targetEpoch, hasSubscriptionChanged, owned }, records);
  }

  private advanceEpoch(
    group: ConsumerGroup,
    members: () => readonly ConsumerMember[],
    isBumped: boolean,
    nowMs: number,
    records: GroupRecord[],
  ): number {
    if (!isBumped && !group.hasMetadataExpired(nowMs)) return group.groupEpoch;
    const hash = metadataHashOf(group.subscribedTopics(members()), this.context.topics);
    let epoch = group.groupEpoch;
    if (isBumped || hash !== group.metadataHash) {
      epoch++;
      records.push(groupEpochRecord(group.groupId, epoch, hash));
      if (group.legacyMetadata.size > 0) records.push(legacyMetadataTombstone(group.groupId));
    }
    group.setMetadataFresh(nowMs + metadataRefreshIntervalMs, epoch);
    return epoch;
  }

  private advanceTarget(
    group: ConsumerGroup,
    members: () => readonly ConsumerMember[],
    updated: ConsumerMember,
    groupEpoch: number,
    replacedId: string | null,
    nowMs: number,
    records: GroupRecord[],
  ): { readonly target: Target; readonly targetEpoch: number } {
    const { memberId } = updated;
    const targetNow = group.targets.get(memberId) ?? group.targetOf(replacedId ?? memberId);
    const current = { target: targetNow, targetEpoch: group.assignmentEpoch };
    if (groupEpoch <= group.assignmentEpoch) return current;
    const { assignmentIntervalMs } = this.context.config.consumerGroup(group.groupId);
    const madeMs = group.assignmentTimestampMs;
    // Many joins in a short time are assigned together.
    if (madeMs !== 0 && assignmentIntervalMs > 0 && nowMs < madeMs + assignmentIntervalMs) return current;
    const made = makeTarget(this.context, group, members(), groupEpoch, nowMs);
    records.push(...made.records);
    return { target: made.targets.get(memberId)!, targetEpoch: groupEpoch };
  }

  private reconcile(
    group: ConsumerGroup,
    step: {
      readonly member: ConsumerMember;
      readonly target: Target;
      readonly targetEpoch: number;
      readonly hasSubscriptionChanged: boolean;
      readonly owned: Owned;
    },
    records: GroupRecord[],
  ): ConsumerMember | Refused {
    const { member, targetEpoch } = step;
    const { groupId } = group;
    if (!step.hasSubscriptionChanged && isReconciledTo(member, targetEpoch)) return member;
    const names = group.topicsOf(member);
    const after = reconciled({
      ...step,
      ownerEpoch: (topic, partition) => group.ownerEpoch(topic, partition),
      isSubscribedTo: (topic) => names.has(this.context.topics.byId(topic)?.name ?? ""),
    });
    if (after === "fenced") {
      const text =
        "The consumer group member is in a unknown state. The member must abandon all its partitions and rejoin.";
      return refused(ErrorCode.FENCED_MEMBER_EPOCH, text);
    }
    const isSame =
      after.memberEpoch === member.memberEpoch &&
      after.previousMemberEpoch === member.previousMemberEpoch &&
      after.state === member.state &&
      sameAssigned(after.assigned, member.assigned) &&
      sameAssigned(after.pendingRevocation, member.pendingRevocation);
    if (isSame) return member;
    records.push(currentAssignmentRecord(groupId, after));
    this.timeRevocation(groupId, after);
    return after;
  }

  private timeRevocation(groupId: string, member: ConsumerMember): void {
    const { classic, memberId, memberEpoch, rebalanceTimeoutMs, state } = member;
    // A classic member is timed by its next join.
    if (classic !== null) return;
    const key = timerKeys.consumerRevocation(groupId, memberId);
    if (state !== memberStates.unrevokedPartitions) return this.context.timers.cancel(key);
    const timer = { kind: "consumer-revocation", groupId, memberId, memberEpoch } as const;
    this.context.timers.set(key, Math.max(rebalanceTimeoutMs, 0), timer);
  }

  // --- loading ---------------------------------------------------------------------------------

  onLoaded(group: ConsumerGroup): void {
    for (const member of group.members.values()) this.time(group, member);
  }

  private time({ groupId }: ConsumerGroup, member: ConsumerMember): void {
    const { memberId } = member;
    const timeoutMs = member.classic?.sessionTimeoutMs ?? this.context.config.consumerGroup(groupId).sessionTimeoutMs;
    const timer = { kind: "consumer-session", groupId, memberId } as const;
    this.context.timers.set(timerKeys.consumerSession(groupId, memberId), timeoutMs, timer);
    if (member.state === memberStates.unrevokedPartitions) this.timeRevocation(groupId, member);
  }
}

function memberOf(group: ConsumerGroup, memberId: string): ConsumerMember | Refused {
  const member = group.members.get(memberId);
  if (member !== undefined) return member;
  return refused(ErrorCode.UNKNOWN_MEMBER_ID, `Member ${memberId} is not a member of group ${group.groupId}.`);
}

function staticMemberOf(group: ConsumerGroup, instanceId: string, memberId: string): ConsumerMember | Refused {
  const holderId = group.staticMembers.get(instanceId);
  const holder = holderId === undefined ? undefined : group.members.get(holderId);
  if (holder === undefined) return refused(ErrorCode.UNKNOWN_MEMBER_ID, `Instance id ${instanceId} is unknown.`);
  if (holder.memberId === memberId) return holder;
  const text = `Static member ${memberId} with instance id ${instanceId} was fenced by member ${holder.memberId}.`;
  return refused(ErrorCode.FENCED_INSTANCE_ID, text);
}

/** The member, when the epoch that it names is the one it is in, or the one before and the answer was lost on the way. */
function checked(
  member: ConsumerMember | Refused,
  memberEpoch: number,
  owned: Owned,
): { readonly member: ConsumerMember; readonly replacedId: null } | Refused {
  if (member instanceof Refused) return member;
  if (memberEpoch === joinEpoch || memberEpoch === member.memberEpoch) return { member, replacedId: null };
  const end = `(${member.memberEpoch}). The member must abandon all its partitions and rejoin.`;
  if (memberEpoch > member.memberEpoch) {
    const text = `The consumer group member has a greater member epoch (${memberEpoch}) than the one known by the group coordinator ${end}`;
    return refused(ErrorCode.FENCED_MEMBER_EPOCH, text);
  }
  if (memberEpoch === member.previousMemberEpoch && isSubset(owned, member.assigned))
    return { member, replacedId: null };
  const text = `The consumer group member has a smaller member epoch (${memberEpoch}) than the one known by the group coordinator ${end}`;
  return refused(ErrorCode.FENCED_MEMBER_EPOCH, text);
}

function isSubset(owned: Owned, assigned: Assigned): boolean {
  if (owned === null) return false;
  for (const [topic, partitions] of owned) {
    const own = assigned.get(topic);
    for (const partition of partitions) if (own?.has(partition) !== true) return false;
  }
  return true;
}

function ownedOf(request: Request): Owned {
  if (request.topicPartitions === null) return null;
  const owned = new Map<Uuid, ReadonlySet<number>>();
  for (const { topicId, partitions } of request.topicPartitions) owned.set(topicId, new Set(partitions));
  return owned;
}

/** As nearly every heartbeat. */
function saysNothingOfItself(request: Request): boolean {
  return (
    request.instanceId === null &&
    request.rackId === null &&
    request.rebalanceTimeoutMs === -1 &&
    request.serverAssignor === null &&
    request.subscribedTopicNames === null &&
    request.subscribedTopicRegex === null
  );
}

function isOfClient(member: ConsumerMember, client: GroupClient): boolean {
  return member.classic === null && member.clientId === client.clientId && member.clientHost === client.clientHost;
}

/** What a heartbeat leaves out stays as it was. */
function updatedMember(member: ConsumerMember, request: Request, client: GroupClient): ConsumerMember {
  if (saysNothingOfItself(request) && isOfClient(member, client)) return member;
  return {
    ...member,
    instanceId: request.instanceId ?? member.instanceId,
    rackId: request.rackId ?? member.rackId,
    rebalanceTimeoutMs: request.rebalanceTimeoutMs === -1 ? member.rebalanceTimeoutMs : request.rebalanceTimeoutMs,
    serverAssignor: request.serverAssignor ?? member.serverAssignor,
    subscribedTopicNames: request.subscribedTopicNames ?? member.subscribedTopicNames,
    subscribedTopicRegex: request.subscribedTopicRegex ?? member.subscribedTopicRegex,
    clientId: client.clientId,
    clientHost: client.clientHost,
    classic: null,
  };
}

export function topicPartitionsOf(assigned: Assigned): { topicId: Uuid; partitions: number[] }[] {
  return [...assigned].map(([topicId, partitions]) => ({
    topicId,
    partitions: [...partitions.keys()].sort((a, b) => a - b),
  }));
}
