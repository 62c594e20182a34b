// Share groups of one group shard: their records, heartbeats and time-outs, and which partitions the share coordinator is to have state for. A
// partition is assigned once its state is there: until then a member that wants it waits for a later heartbeat.
import { type Uuid, uuidZero } from "../../../base/index.ts";
import {
  ErrorCode,
  type ShareGroupHeartbeatRequest,
  type ShareGroupHeartbeatResponseInit,
} from "../../../protocol/index.ts";
import { ClassicGroup } from "../../group/classic/classic-group.ts";
import { metadataHashOf } from "../../group/consumer/metadata-hash.ts";
import { Refused, refused } from "../../group/consumer/refused.ts";
import type { GroupClient, GroupDecision, GroupRecord } from "../../group/group.ts";
import type { GroupContext } from "../../group/group-context.ts";
import { timerKeys } from "../../group/group-timers.ts";
import { assignSimple } from "./share-assignor.ts";
import {
  newShareMember,
  nothingShared,
  type ShareAssigned,
  type SharedTopic,
  ShareGroup,
  type ShareMember,
  type SharePartitionStates,
  sameShared,
  sharedNames,
} from "./share-group.ts";
import {
  shareCurrentRecord,
  shareEpochRecord,
  shareMemberRecord,
  shareMemberTombstones,
  shareStatesRecord,
  shareTargetEpochRecord,
  shareTargetRecord,
  topicPartitionsOfShared,
} from "./share-records.ts";

type Request = ShareGroupHeartbeatRequest;
type Answer = ShareGroupHeartbeatResponseInit;

/** Partitions whose state the share coordinator is asked for. */
export interface ShareInitialization {
  readonly stateEpoch: number;
  readonly topics: ReadonlyMap<Uuid, SharedTopic>;
}

export interface ShareHeartbeatAnswer {
  readonly response: Answer;
  readonly initialize: ShareInitialization | null;
}

const joinEpoch = 0;
const leaveEpoch = -1;
/** Asked again when nothing was heard of it for so long. */
const initializationMsMax = 30_000;
const nothing: GroupDecision<void> = { records: [], answer: undefined };

export class ShareGroups {
  private readonly context: GroupContext;

  constructor(context: GroupContext) {
    this.context = context;
  }

  existing(groupId: string): ShareGroup | Refused {
    const group = this.context.groups.get(groupId);
    if (group instanceof ShareGroup) return group;
    return group === undefined
      ? refused(ErrorCode.GROUP_ID_NOT_FOUND, `Group ${groupId} not found.`)
      : refused(ErrorCode.GROUP_ID_NOT_FOUND, `Group ${groupId} is not a share group.`);
  }

  // --- heartbeats ------------------------------------------------------------------------------

  heartbeat(request: Request, client: GroupClient, nowMs: number): GroupDecision<ShareHeartbeatAnswer> {
    const { groupId, memberEpoch } = request;
    const { groups } = this.context;
    const before = groups.get(groupId);
    const decision = memberEpoch === leaveEpoch ? this.leave(request) : this.goOn(request, client, nowMs);
    if (!(decision instanceof Refused)) return decision;
    // A group that was begun for this member alone does not stay.
    if (before === undefined) groups.delete(groupId);
    else if (groups.get(groupId) !== before) groups.set(groupId, before);
    const { errorCode, message } = decision;
    const response = { throttleTimeMs: 0, errorCode, errorMessage: message, memberEpoch: 0, heartbeatIntervalMs: 0 };
    return { records: [], answer: { response, initialize: null } };
  }

  private leave(request: Request): GroupDecision<ShareHeartbeatAnswer> | Refused {
    const { groupId, memberId } = request;
    const group = this.existing(groupId);
    if (group instanceof Refused) return group;
    if (!group.members.has(memberId)) return unknownMember(groupId, memberId);
    const response = {
      ...{ throttleTimeMs: 0, errorCode: ErrorCode.NONE, memberId, memberEpoch: leaveEpoch, heartbeatIntervalMs: 0 },
    };
    return { records: this.fence(group, memberId), answer: { response, initialize: null } };
  }

  private fence(group: ShareGroup, memberId: string): GroupRecord[] {
    this.context.timers.cancel(timerKeys.shareSession(group.groupId, memberId));
    const rest = [...group.members.values()].filter((member) => member.memberId !== memberId);
    const hash = metadataHashOf(sharedNames(rest), this.context.topics);
    return [
      ...shareMemberTombstones(group.groupId, memberId),
      shareEpochRecord(group.groupId, group.groupEpoch + 1, hash),
    ];
  }

  onSessionTimeout(groupId: string, memberId: string): GroupDecision<void> {
    const group = this.existing(groupId);
    if (group instanceof Refused || !group.members.has(memberId)) return nothing;
    this.context.logger.info({ group: groupId, member: memberId }, "the member's session ended");
    return { records: this.fence(group, memberId), answer: undefined };
  }

  private goOn(request: Request, client: GroupClient, nowMs: number): GroupDecision<ShareHeartbeatAnswer> | Refused {
    const { groupId, memberEpoch, memberId } = request;
    const records: GroupRecord[] = [];
    const group = this.groupFor(groupId, memberEpoch === joinEpoch, records);
    if (group instanceof Refused) return group;
    const { shareMemberCountMax } = this.context.config;
    const known = group.members.get(memberId);
    if (known === undefined && memberEpoch !== joinEpoch) return unknownMember(groupId, memberId);
    if (known === undefined && group.members.size >= shareMemberCountMax) {
      const text = `The share group has reached its maximum capacity of ${shareMemberCountMax} members.`;
      return refused(ErrorCode.GROUP_MAX_SIZE_REACHED, text);
    }
    const member = known ?? newShareMember(memberId);
    const problem = epochProblem(member, memberEpoch);
    if (problem !== null) return problem;
    const updated: ShareMember = {
      ...member,
      rackId: request.rackId ?? member.rackId,
      clientId: client.clientId,
      clientHost: client.clientHost,
      subscribedTopicNames: request.subscribedTopicNames ?? member.subscribedTopicNames,
    };
    const hasSubscriptionChanged = !sameNames(member.subscribedTopicNames, updated.subscribedTopicNames);
    if (known === undefined || !sameMember(member, updated)) records.push(shareMemberRecord(groupId, updated));
    const members = [...group.membersWith(updated)];
    const groupEpoch = this.advanceEpoch(group, members, hasSubscriptionChanged, records);
    const { target, targetEpoch } = this.advanceTarget(group, members, updated, groupEpoch, nowMs, records);
    const after = this.reconcile(updated, target, targetEpoch, hasSubscriptionChanged);
    if (after !== updated) records.push(shareCurrentRecord(groupId, after));
    const initialize = this.initialization(group, members, groupEpoch, nowMs, records);
    const { heartbeatIntervalMs, sessionTimeoutMs } = this.context.config.shareGroup(groupId);
    const timer = { kind: "share-session", groupId, memberId } as const;
    this.context.timers.set(timerKeys.shareSession(groupId, memberId), sessionTimeoutMs, timer);
    const isTold = request.subscribedTopicNames !== null || !sameShared(member.assigned, after.assigned);
    const response = {
      throttleTimeMs: 0,
      errorCode: ErrorCode.NONE,
      memberId,
      memberEpoch: after.memberEpoch,
      heartbeatIntervalMs,
      assignment: isTold ? { topicPartitions: topicPartitionsOfShared(after.assigned) } : null,
    };
    return { records, answer: { response, initialize } };
  }

  private groupFor(groupId: string, isJoining: boolean, records: GroupRecord[]): ShareGroup | Refused {
    const group = this.context.groups.get(groupId);
    if (group instanceof ShareGroup) return group;
    if (!isJoining) return this.existing(groupId);
    const isReplaceable = group instanceof ClassicGroup && group.isEmpty && group.pendingJoin.size === 0;
    if (group !== undefined && !isReplaceable)
      return refused(ErrorCode.GROUP_ID_NOT_FOUND, `Group ${groupId} is not a share group.`);
    if (group !== undefined) records.push(...group.tombstones());
    return this.begun(groupId);
  }

  private begun(groupId: string): ShareGroup {
    const group = new ShareGroup(groupId, this.context.undo);
    this.context.groups.set(groupId, group);
    return group;
  }

  private advanceEpoch(
    group: ShareGroup,
    members: readonly ShareMember[],
    hasSubscriptionChanged: boolean,
    records: GroupRecord[],
  ): number {
    const isBumped = hasSubscriptionChanged || this.hasUnassigned(group, members);
    if (!isBumped && !group.isMetadataStale) return group.groupEpoch;
    group.isMetadataStale = false;
    const hash = metadataHashOf(sharedNames(members), this.context.topics);
    if (!isBumped && hash === group.metadataHash) return group.groupEpoch;
    records.push(shareEpochRecord(group.groupId, group.groupEpoch + 1, hash));
    return group.groupEpoch + 1;
  }

  /** Whether partitions that members want are ready since the last assignment. */
  private hasUnassigned(group: ShareGroup, members: readonly ShareMember[]): boolean {
    const { initialized } = group.states.get();
    // A target that is out of date will be made again anyway.
    if (initialized.size === 0 || group.groupEpoch > group.assignmentEpoch) return false;
    const names = sharedNames(members);
    const assigned = new Set<string>();
    for (const target of group.targets.values())
      for (const [topicId, partitions] of target) for (const partition of partitions) assigned.add(topicId + partition);
    for (const [topicId, { name, partitions }] of initialized) {
      if (!names.has(name) || this.context.topics.byName(name)?.id !== topicId) continue;
      for (const partition of partitions) if (!assigned.has(topicId + partition)) return true;
    }
    return false;
  }

  private advanceTarget(
    group: ShareGroup,
    members: readonly ShareMember[],
    updated: ShareMember,
    groupEpoch: number,
    nowMs: number,
    records: GroupRecord[],
  ): { readonly target: ShareAssigned; readonly targetEpoch: number } {
    const { groupId } = group;
    const current = {
      target: group.targets.get(updated.memberId) ?? nothingShared,
      targetEpoch: group.assignmentEpoch,
    };
    if (groupEpoch <= group.assignmentEpoch) return current;
    const { assignmentIntervalMs } = this.context.config.shareGroup(groupId);
    const madeMs = group.assignmentTimestampMs;
    // Many joins in a short time are assigned together.
    if (madeMs !== 0 && assignmentIntervalMs > 0 && nowMs < madeMs + assignmentIntervalMs) return current;
    const { initialized } = group.states.get();
    const partitionsOf = new Map<Uuid, readonly number[]>();
    const topicsOf = (member: ShareMember): Uuid[] => {
      const ids: Uuid[] = [];
      for (const name of member.subscribedTopicNames) {
        const topic = this.context.topics.byName(name);
        const ready = topic === null ? undefined : initialized.get(topic.id);
        if (topic === null || ready === undefined) continue;
        ids.push(topic.id);
        partitionsOf.set(
          topic.id,
          [...ready.partitions].filter((index) => index < topic.partitionCount).sort((a, b) => a - b),
        );
      }
      return ids;
    };
    const asked = members.map((member) => ({
      memberId: member.memberId,
      topics: topicsOf(member),
      target: group.targets.get(member.memberId) ?? nothingShared,
    }));
    const targets = assignSimple(asked, partitionsOf);
    for (const [memberId, target] of targets) {
      const before = group.targets.get(memberId);
      if (before === undefined || !sameShared(before, target))
        records.push(shareTargetRecord(groupId, memberId, target));
    }
    records.push(shareTargetEpochRecord(groupId, groupEpoch, nowMs));
    return { target: targets.get(updated.memberId)!, targetEpoch: groupEpoch };
  }

  private reconcile(
    member: ShareMember,
    target: ShareAssigned,
    targetEpoch: number,
    hasSubscriptionChanged: boolean,
  ): ShareMember {
    const { memberEpoch } = member;
    if (memberEpoch !== targetEpoch)
      return { ...member, memberEpoch: targetEpoch, previousMemberEpoch: memberEpoch, assigned: target };
    if (!hasSubscriptionChanged) return member;
    // Until the next assignment: nothing that it no longer wants.
    const kept = new Map(
      [...member.assigned].filter(([topicId]) =>
        member.subscribedTopicNames.includes(this.context.topics.byId(topicId)?.name ?? ""),
      ),
    );
    return kept.size === member.assigned.size ? member : { ...member, assigned: kept };
  }

  // --- the state of partitions -----------------------------------------------------------------

  private initialization(
    group: ShareGroup,
    members: readonly ShareMember[],
    groupEpoch: number,
    nowMs: number,
    records: GroupRecord[],
  ): ShareInitialization | null {
    const states = group.states.get();
    const missing = new Map<Uuid, SharedTopic>();
    let hasNew = false;
    for (const name of sharedNames(members)) {
      const topic = this.context.topics.byName(name);
      if (topic === null || topic.id === uuidZero || states.deleting.has(topic.id)) continue;
      const ready = states.initialized.get(topic.id)?.partitions;
      const underWay = states.initializing.get(topic.id)?.partitions;
      const wanted = new Set<number>();
      for (let index = 0; index < topic.partitionCount; index++) {
        if (ready?.has(index) === true) continue;
        wanted.add(index);
        if (underWay?.has(index) !== true) hasNew = true;
      }
      if (wanted.size > 0) missing.set(topic.id, { name, partitions: wanted });
    }
    if (missing.size === 0 || (!hasNew && nowMs < group.initializingUntilMs)) return null;
    group.initializingUntilMs = nowMs + initializationMsMax;
    if (hasNew)
      records.push(shareStatesRecord(group.groupId, { ...states, initializing: joined(states.initializing, missing) }));
    return { stateEpoch: groupEpoch, topics: missing };
  }

  /** The share coordinator has the state of these now. */
  initialized(groupId: string, topics: ReadonlyMap<Uuid, SharedTopic>): GroupDecision<void> {
    const group = this.existing(groupId);
    if (group instanceof Refused) return nothing;
    const states = group.states.get();
    const after: SharePartitionStates = {
      initializing: without(states.initializing, topics),
      initialized: joined(states.initialized, topics),
      deleting: states.deleting,
    };
    return { records: [shareStatesRecord(groupId, after)], answer: undefined };
  }

  /** It has not, and is asked again with the next heartbeat. */
  initializationFailed(groupId: string): GroupDecision<void> {
    const group = this.existing(groupId);
    if (!(group instanceof Refused)) group.initializingUntilMs = 0;
    return nothing;
  }

  /** Nothing is kept of these topics any more. */
  forgotten(groupId: string, topicIds: ReadonlySet<Uuid>): GroupDecision<void> {
    const group = this.existing(groupId);
    if (group instanceof Refused) return nothing;
    const states = group.states.get();
    const rest = <Value>(map: ReadonlyMap<Uuid, Value>): Map<Uuid, Value> =>
      new Map([...map].filter(([id]) => !topicIds.has(id)));
    const after = {
      initializing: rest(states.initializing),
      initialized: rest(states.initialized),
      deleting: rest(states.deleting),
    };
    return { records: [shareStatesRecord(groupId, after)], answer: undefined };
  }

  // --- the shard's side ------------------------------------------------------------------------

  onTopicsChanged(names: ReadonlySet<string>): void {
    for (const group of this.context.groups.values())
      if (group instanceof ShareGroup && [...names].some((name) => group.isSubscribedTo(name)))
        group.isMetadataStale = true;
  }

  onLoaded(group: ShareGroup): void {
    const { groupId } = group;
    const { sessionTimeoutMs } = this.context.config.shareGroup(groupId);
    for (const memberId of group.members.keys()) {
      const timer = { kind: "share-session", groupId, memberId } as const;
      this.context.timers.set(timerKeys.shareSession(groupId, memberId), sessionTimeoutMs, timer);
    }
  }
}

function unknownMember(groupId: string, memberId: string): Refused {
  return refused(ErrorCode.UNKNOWN_MEMBER_ID, `Member ${memberId} is not a member of group ${groupId}.`);
}

/** An epoch behind by one is an answer that was lost on the way. */
function epochProblem(member: ShareMember, memberEpoch: number): Refused | null {
  if (memberEpoch === joinEpoch || memberEpoch === member.memberEpoch) return null;
  const end = `(${member.memberEpoch}). The member must abandon all its partitions and rejoin.`;
  if (memberEpoch > member.memberEpoch) {
    const text = `The share group member has a greater member epoch (${memberEpoch}) than the one known by the group coordinator ${end}`;
    return refused(ErrorCode.FENCED_MEMBER_EPOCH, text);
  }
  if (memberEpoch === member.previousMemberEpoch) return null;
  const text = `The share group member has a smaller member epoch (${memberEpoch}) than the one known by the group coordinator ${end}`;
  return refused(ErrorCode.FENCED_MEMBER_EPOCH, text);
}

function sameNames(one: readonly string[], other: readonly string[]): boolean {
  if (one.length !== other.length) return false;
  const names = new Set(one);
  return other.every((name) => names.has(name));
}

function sameMember(one: ShareMember, other: ShareMember): boolean {
  return (
    one.rackId === other.rackId &&
    one.clientId === other.clientId &&
    one.clientHost === other.clientHost &&
    sameNames(one.subscribedTopicNames, other.subscribedTopicNames)
  );
}

function joined(one: ReadonlyMap<Uuid, SharedTopic>, other: ReadonlyMap<Uuid, SharedTopic>): Map<Uuid, SharedTopic> {
  const all = new Map(one);
  for (const [id, { name, partitions }] of other)
    all.set(id, { name, partitions: new Set([...(all.get(id)?.partitions ?? []), ...partitions]) });
  return all;
}

function without(one: ReadonlyMap<Uuid, SharedTopic>, other: ReadonlyMap<Uuid, SharedTopic>): Map<Uuid, SharedTopic> {
  const rest = new Map<Uuid, SharedTopic>();
  for (const [id, { name, partitions }] of one) {
    const gone = other.get(id)?.partitions;
    const left = new Set([...partitions].filter((partition) => gone?.has(partition) !== true));
    if (left.size > 0) rest.set(id, { name, partitions: left });
  }
  return rest;
}
