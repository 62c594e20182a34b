// StreamsGroupHeartbeat: join with a topology, go on, acknowledge what was given up, leave. One heartbeat brings the member up to date, then the
// group's topology and epoch, then its target, then the member's own way to it. It also tells which internal topics are still to be made.
import {
  ErrorCode,
  type StreamsGroupHeartbeatRequest,
  type StreamsGroupHeartbeatResponseInit,
} from "../../protocol/index.ts";
import { ClassicGroup } from "../group/classic/classic-group.ts";
import { metadataHashOf } from "../group/consumer/metadata-hash.ts";
import { Refused, refused } from "../group/consumer/refused.ts";
import type { GroupClient, GroupDecision, GroupRecord } from "../group/group.ts";
import type { GroupContext } from "../group/group-context.ts";
import { timerKeys } from "../group/group-timers.ts";
import { endpointsOf } from "./endpoints.ts";
import { type Configuration, StreamsGroup } from "./streams-group.ts";
import {
  isReconciledTo,
  joinEpoch,
  type KeyValue,
  leaveEpoch,
  newStreamsMember,
  type StreamsMember,
  sameAssignment,
  sameForAssignment,
  sameMetadata,
  staticLeaveEpoch,
  streamsMemberStates,
} from "./streams-member.ts";
import { reconciledStreamsMember } from "./streams-reconcile.ts";
import {
  streamsCurrentAssignmentRecord,
  streamsEpochRecord,
  streamsMemberRecord,
  streamsMemberTombstones,
  streamsTopologyRecord,
} from "./streams-records.ts";
import { makeStreamsTarget } from "./streams-target.ts";
import { noTaskTarget, type OwnedTasks, ownedTasks, ownsOnly, sameTasks, type TaskTarget, taskIdsOf } from "./tasks.ts";
import { sameTopology, type Topology, topicsRequired } from "./topology.ts";
import { configureTopology, type InternalTopic, type StreamsStatus, streamsStatuses } from "./topology-configure.ts";

type Request = StreamsGroupHeartbeatRequest;

export interface StreamsAnswer {
  readonly response: StreamsGroupHeartbeatResponseInit;
  /** To be made by the broker, once the answer's records are committed. */
  readonly topicsToCreate: readonly InternalTopic[];
}

const nothing: GroupDecision<void> = { records: [], answer: undefined };

/** The one setting that assignors see. */
export function assignmentConfigsOf(standbyReplicaCount: number): readonly KeyValue[] {
  return [{ key: "num.standby.replicas", value: String(standbyReplicaCount) }];
}

export function refusedStreamsHeartbeat(
  errorCode: number,
  errorMessage: string | null,
): StreamsGroupHeartbeatResponseInit {
  return {
    ...{ throttleTimeMs: 0, errorCode, errorMessage, memberId: "", memberEpoch: 0, heartbeatIntervalMs: 0 },
    ...{ acceptableRecoveryLag: 0, taskOffsetIntervalMs: 0, status: [], endpointInformationEpoch: 0 },
  };
}

export class StreamsHeartbeat {
  private readonly context: GroupContext;

  constructor(context: GroupContext) {
    this.context = context;
  }

  /** Refusals of what contradicts itself came before. */
  heartbeat(request: Request, client: GroupClient, nowMs: number): GroupDecision<StreamsAnswer> {
    const { groupId, memberEpoch } = request;
    const { groups } = this.context;
    const before = groups.get(groupId);
    const decision =
      memberEpoch === leaveEpoch || memberEpoch === staticLeaveEpoch
        ? this.leave(request)
        : this.goOn(request, client, nowMs);
    if (!(decision instanceof Refused)) return decision;
    // A group that was begun for this member alone does not stay.
    if (before === undefined) groups.delete(groupId);
    else if (groups.get(groupId) !== before) groups.set(groupId, before);
    const response = refusedStreamsHeartbeat(decision.errorCode, decision.message);
    return { records: [], answer: { response, topicsToCreate: [] } };
  }

  private existing(groupId: string): StreamsGroup | Refused {
    const group = this.context.groups.get(groupId);
    if (group instanceof StreamsGroup) return group;
    return group === undefined
      ? refused(ErrorCode.GROUP_ID_NOT_FOUND, `Streams group ${groupId} not found.`)
      : refused(ErrorCode.GROUP_ID_NOT_FOUND, `Group ${groupId} is not a streams group.`);
  }

  // --- leaving ---------------------------------------------------------------------------------

  private leave(request: Request): GroupDecision<StreamsAnswer> | Refused {
    const { groupId, memberId, memberEpoch, shutdownApplication } = request;
    const group = this.existing(groupId);
    if (group instanceof Refused) return group;
    const member = memberOf(group, memberId);
    if (member instanceof Refused) return member;
    if (shutdownApplication) group.shutdownRequestedBy ??= memberId;
    const response = { ...refusedStreamsHeartbeat(ErrorCode.NONE, null), memberId, memberEpoch };
    return { ...this.fence(group, member), answer: { response, topicsToCreate: [] } };
  }

  /** Takes a member out of the group: its tombstones, and an epoch in which others get what it had. */
  private fence(group: StreamsGroup, member: StreamsMember): GroupDecision<void> {
    const { groupId } = group;
    const { memberId } = member;
    const { timers } = this.context;
    timers.cancel(timerKeys.streamsSession(groupId, memberId));
    timers.cancel(timerKeys.streamsRevocation(groupId, memberId));
    if (group.members.size === 1) group.shutdownRequestedBy = null;
    const records = [
      ...streamsMemberTombstones(groupId, memberId),
      streamsEpochRecord(groupId, {
        group: group.groupEpoch + 1,
        metadataHash: group.metadataHash,
        validatedTopology: group.validatedTopologyEpoch,
        assignmentConfigs: group.assignmentConfigs,
      }),
    ];
    // A member that could not be taken out is one still: without a timer one that is dead would stay for ever.
    const settled = (errorCode: number | null): void => {
      if (errorCode !== null) this.time(groupId, member);
    };
    return { records, answer: undefined, settled };
  }

  onSessionTimeout(groupId: string, memberId: string): GroupDecision<void> {
    const group = this.existing(groupId);
    const member = group instanceof Refused ? undefined : group.members.get(memberId);
    if (group instanceof Refused || member === undefined) return nothing;
    this.context.logger.info({ group: groupId, member: memberId }, "the member's session ended");
    return this.fence(group, member);
  }

  onRevocationTimeout(groupId: string, memberId: string, memberEpoch: number): GroupDecision<void> {
    const group = this.existing(groupId);
    const member = group instanceof Refused ? undefined : group.members.get(memberId);
    // The record that it has to give something up may have been refused.
    const isRevoking = member?.state === streamsMemberStates.unrevokedTasks && member.memberEpoch === memberEpoch;
    if (group instanceof Refused || !isRevoking) return nothing;
    this.context.logger.info({ group: groupId, member: memberId }, "the member did not give up its tasks in time");
    return this.fence(group, member);
  }

  /** The members that came together get their tasks at once, whichever of them is heard first. */
  onInitialDelayOver(groupId: string, nowMs: number): GroupDecision<void> {
    const group = this.existing(groupId);
    if (group instanceof Refused || group.isEmpty || group.topology === null) return nothing;
    if (group.groupEpoch <= group.assignmentEpoch) return nothing;
    const { configured } = this.configurationOf(group, group.topology);
    const { standbyReplicaCount } = this.context.config.streams.group(groupId);
    const members = [...group.members.values()];
    const made = makeStreamsTarget(group, members, configured, standbyReplicaCount, group.groupEpoch, nowMs);
    return { records: made.records, answer: undefined };
  }

  // --- joining and going on --------------------------------------------------------------------

  private goOn(request: Request, client: GroupClient, nowMs: number): GroupDecision<StreamsAnswer> | Refused {
    const { groupId, memberId, memberEpoch } = request;
    const records: GroupRecord[] = [];
    const isJoining = memberEpoch === joinEpoch;
    const isNewGroup = !(this.context.groups.get(groupId) instanceof StreamsGroup);
    const group = this.groupFor(groupId, isJoining, records);
    if (group instanceof Refused) return group;
    const { memberCountMax } = this.context.config.streams;
    if (isJoining && !group.members.has(memberId) && group.members.size >= memberCountMax) {
      const text = `The streams group has reached its maximum capacity of ${memberCountMax} members.`;
      return refused(ErrorCode.GROUP_MAX_SIZE_REACHED, text);
    }
    const owned = ownedTasks(request.activeTasks, request.standbyTasks, request.warmupTasks);
    const known = group.members.get(memberId);
    const member = isJoining ? (known ?? newStreamsMember(memberId)) : checked(group, memberId, memberEpoch, owned);
    if (member instanceof Refused) return member;
    const updated = updatedMember(member, request, client);
    const isNew = known === undefined;
    if (isNew || !sameMetadata(member, updated)) records.push(streamsMemberRecord(groupId, updated));
    const topology = this.topologyFor(group, request, records);
    if (topology instanceof Refused) return topology;
    const configuration = this.configurationOf(group, topology);
    const problem = tasksProblem(configuration, request);
    if (problem !== null) return refused(ErrorCode.INVALID_REQUEST, problem);
    if (isJoining && group.isEmpty) this.beginInitialDelay(groupId);
    const isBumped = isNew || !sameForAssignment(member, updated);
    const groupEpoch = this.advanceEpoch(group, topology, configuration, isBumped, records);
    const targeted = this.advanceTarget(group, updated, configuration, groupEpoch, nowMs, records);
    const after = this.reconcile(group, updated, targeted, owned, records);
    if (after instanceof Refused) return after;
    this.timeSession(groupId, memberId);
    if (request.shutdownApplication) group.shutdownRequestedBy ??= memberId;
    const answered = { isNewGroup, before: member, after, delayed: targeted.delayed, topology, configuration };
    return { records, answer: this.answerOf(group, request, answered) };
  }

  private groupFor(groupId: string, isJoining: boolean, records: GroupRecord[]): StreamsGroup | Refused {
    const group = this.context.groups.get(groupId);
    if (group instanceof StreamsGroup) return group;
    if (!isJoining) return this.existing(groupId);
    const isTakenOver = group instanceof ClassicGroup && group.isEmpty && group.pendingJoin.size === 0;
    if (group !== undefined && !isTakenOver)
      return refused(ErrorCode.GROUP_ID_NOT_FOUND, `Group ${groupId} is not a streams group.`);
    // The offsets of an empty classic group stay, under the same id.
    if (isTakenOver) records.push(...group.tombstones());
    const begun = new StreamsGroup(groupId, this.context.undo, this.context.topics);
    this.context.groups.set(groupId, begun);
    return begun;
  }

  private topologyFor(group: StreamsGroup, request: Request, records: GroupRecord[]): Topology | Refused {
    const { topology } = group;
    const told = request.topology;
    if (topology === null) {
      if (told === null) return refused(ErrorCode.INVALID_REQUEST, "The group has no topology yet; join with one.");
      records.push(streamsTopologyRecord(group.groupId, told));
      return told;
    }
    if (told === null || topology.epoch > told.epoch || sameTopology(topology, told)) return topology;
    return refused(ErrorCode.INVALID_REQUEST, "Topology updates are not supported yet.");
  }

  private configurationOf(group: StreamsGroup, topology: Topology): Configuration {
    const { configuration } = group;
    if (configuration?.topology === topology) return configuration;
    const { topics } = this.context;
    const existing = [...topicsRequired(topology)].filter((name) => topics.byName(name) !== null);
    group.configuration = {
      topology,
      metadataHash: metadataHashOf(new Set(existing), topics),
      configured: configureTopology(topology, topics),
    };
    return group.configuration;
  }

  private advanceEpoch(
    group: StreamsGroup,
    topology: Topology,
    { metadataHash, configured }: Configuration,
    isBumped: boolean,
    records: GroupRecord[],
  ): number {
    const validatedTopology = configured.status === null ? topology.epoch : -1;
    const { standbyReplicaCount } = this.context.config.streams.group(group.groupId);
    const assignmentConfigs = assignmentConfigsOf(standbyReplicaCount);
    const isSame =
      !isBumped &&
      metadataHash === group.metadataHash &&
      validatedTopology === group.validatedTopologyEpoch &&
      sameConfigs(assignmentConfigs, group.assignmentConfigs);
    if (isSame) return group.groupEpoch;
    const epoch = group.groupEpoch + 1;
    records.push(
      streamsEpochRecord(group.groupId, { group: epoch, metadataHash, validatedTopology, assignmentConfigs }),
    );
    return epoch;
  }

  private advanceTarget(
    group: StreamsGroup,
    updated: StreamsMember,
    { configured }: Configuration,
    groupEpoch: number,
    nowMs: number,
    records: GroupRecord[],
  ): { readonly target: TaskTarget; readonly targetEpoch: number; readonly delayed: string | null } {
    const { groupId, assignmentEpoch, assignmentTimestampMs } = group;
    const current = { target: group.targetOf(updated.memberId), targetEpoch: assignmentEpoch };
    if (groupEpoch <= assignmentEpoch) return { ...current, delayed: null };
    if (this.context.timers.has(timerKeys.streamsInitialRebalance(groupId))) {
      const delayed = "Assignment delayed due to the configured initial rebalance delay.";
      return { target: noTaskTarget, targetEpoch: Math.max(1, assignmentEpoch), delayed };
    }
    const { assignmentIntervalMs, standbyReplicaCount } = this.context.config.streams.group(groupId);
    // Many changes in a short time are assigned together.
    if (assignmentTimestampMs !== 0 && nowMs < assignmentTimestampMs + assignmentIntervalMs)
      return { ...current, delayed: "Assignment delayed due to the configured assignment interval." };
    const members = [...group.members.values()].filter(({ memberId }) => memberId !== updated.memberId);
    members.push(updated);
    const made = makeStreamsTarget(group, members, configured, standbyReplicaCount, groupEpoch, nowMs);
    records.push(...made.records);
    return { target: made.targets.get(updated.memberId)!, targetEpoch: groupEpoch, delayed: null };
  }

  private beginInitialDelay(groupId: string): void {
    const { initialRebalanceDelayMs } = this.context.config.streams.group(groupId);
    const key = timerKeys.streamsInitialRebalance(groupId);
    if (initialRebalanceDelayMs <= 0 || this.context.timers.has(key)) return;
    this.context.timers.set(key, initialRebalanceDelayMs, { kind: "streams-initial-rebalance", groupId });
  }

  private reconcile(
    group: StreamsGroup,
    member: StreamsMember,
    { target, targetEpoch }: { readonly target: TaskTarget; readonly targetEpoch: number },
    owned: OwnedTasks | null,
    records: GroupRecord[],
  ): StreamsMember | Refused {
    if (isReconciledTo(member, targetEpoch)) return member;
    const after = reconciledStreamsMember({ member, target, targetEpoch, owners: group, owned });
    if (after === "fenced") {
      const text = "The streams group member is in a unknown state. The member must abandon all its tasks and rejoin.";
      return refused(ErrorCode.FENCED_MEMBER_EPOCH, text);
    }
    if (sameAssignment(member, after)) return member;
    records.push(streamsCurrentAssignmentRecord(group.groupId, after));
    this.timeRevocation(group.groupId, after);
    return after;
  }

  private answerOf(
    group: StreamsGroup,
    request: Request,
    step: {
      readonly isNewGroup: boolean;
      readonly before: StreamsMember;
      readonly after: StreamsMember;
      readonly delayed: string | null;
      readonly topology: Topology;
      readonly configuration: Configuration;
    },
  ): StreamsAnswer {
    const { before, after, configuration, topology } = step;
    // Tasks are told to who joins, and when they have changed. Who lost the answer joins again, as with Kafka's coordinator.
    const isTold = request.memberEpoch === joinEpoch || !sameTasks(before.assigned, after.assigned, false);
    if (isTold && after.userEndpoint !== null && !step.isNewGroup) group.endpointEpoch++;
    const hasOtherEndpoints =
      group.endpointEpoch !== request.endpointInformationEpoch || (step.isNewGroup && after.userEndpoint !== null);
    const status: StreamsStatus[] = [];
    if (after.topologyEpoch < topology.epoch) {
      const statusDetail = `The member's topology epoch ${after.topologyEpoch} is behind the group's topology epoch ${topology.epoch}.`;
      status.push({ statusCode: streamsStatuses.staleTopology, statusDetail });
    }
    if (step.delayed !== null)
      status.push({ statusCode: streamsStatuses.assignmentDelayed, statusDetail: step.delayed });
    if (configuration.configured.status !== null) status.push(configuration.configured.status);
    if (group.shutdownRequestedBy !== null) {
      const statusDetail = `Streams group member ${group.shutdownRequestedBy} encountered a fatal error and requested a shutdown for the entire application.`;
      status.push({ statusCode: streamsStatuses.shutdownApplication, statusDetail });
    }
    const { assigned, memberId, memberEpoch } = after;
    const response: StreamsGroupHeartbeatResponseInit = {
      ...refusedStreamsHeartbeat(ErrorCode.NONE, null),
      ...{ memberId, memberEpoch, status },
      heartbeatIntervalMs: this.context.config.streams.group(group.groupId).heartbeatIntervalMs,
      activeTasks: isTold ? taskIdsOf(assigned.active) : null,
      standbyTasks: isTold ? taskIdsOf(assigned.standby) : null,
      warmupTasks: isTold ? taskIdsOf(assigned.warmup) : null,
      endpointInformationEpoch: group.endpointEpoch,
      partitionsByUserEndpoint: hasOtherEndpoints
        ? endpointsOf(group, after, configuration.configured, this.context.topics)
        : null,
    };
    return { response, topicsToCreate: configuration.configured.missing };
  }

  // --- time and loading ------------------------------------------------------------------------

  private timeSession(groupId: string, memberId: string): void {
    const { sessionTimeoutMs } = this.context.config.streams.group(groupId);
    const timer = { kind: "streams-session", groupId, memberId } as const;
    this.context.timers.set(timerKeys.streamsSession(groupId, memberId), sessionTimeoutMs, timer);
  }

  private timeRevocation(groupId: string, member: StreamsMember): void {
    const { memberId, memberEpoch, rebalanceTimeoutMs, state } = member;
    const key = timerKeys.streamsRevocation(groupId, memberId);
    if (state !== streamsMemberStates.unrevokedTasks) return this.context.timers.cancel(key);
    const timer = { kind: "streams-revocation", groupId, memberId, memberEpoch } as const;
    this.context.timers.set(key, Math.max(rebalanceTimeoutMs, 0), timer);
  }

  onLoaded(group: StreamsGroup): void {
    for (const member of group.members.values()) this.time(group.groupId, member);
  }

  private time(groupId: string, member: StreamsMember): void {
    this.timeSession(groupId, member.memberId);
    if (member.state === streamsMemberStates.unrevokedTasks) this.timeRevocation(groupId, member);
  }
}

function memberOf(group: StreamsGroup, memberId: string): StreamsMember | Refused {
  const member = group.members.get(memberId);
  if (member !== undefined) return member;
  return refused(ErrorCode.UNKNOWN_MEMBER_ID, `Member ${memberId} is not a member of group ${group.groupId}.`);
}

/** The member, when the epoch that it names is the one it is in, or the one before and the answer was lost on the way. */
function checked(
  group: StreamsGroup,
  memberId: string,
  memberEpoch: number,
  owned: OwnedTasks | null,
): StreamsMember | Refused {
  const member = memberOf(group, memberId);
  if (member instanceof Refused || memberEpoch === member.memberEpoch) return member;
  const isLostAnswer =
    memberEpoch < member.memberEpoch &&
    memberEpoch === member.previousMemberEpoch &&
    owned !== null &&
    ownsOnly(owned, member.assigned);
  if (isLostAnswer) return member;
  const size = memberEpoch > member.memberEpoch ? "greater" : "smaller";
  const text = `The streams group member has a ${size} member epoch (${memberEpoch}) than the one known by the group coordinator (${member.memberEpoch}). The member must abandon all its partitions and rejoin.`;
  return refused(ErrorCode.FENCED_MEMBER_EPOCH, text);
}

/** What a heartbeat leaves out stays as it was. */
function updatedMember(member: StreamsMember, request: Request, client: GroupClient): StreamsMember {
  return {
    ...member,
    rackId: request.rackId ?? member.rackId,
    rebalanceTimeoutMs: request.rebalanceTimeoutMs === -1 ? member.rebalanceTimeoutMs : request.rebalanceTimeoutMs,
    topologyEpoch: request.topology?.epoch ?? member.topologyEpoch,
    processId: request.processId ?? member.processId,
    userEndpoint: request.userEndpoint ?? member.userEndpoint,
    clientTags: request.clientTags ?? member.clientTags,
    clientId: client.clientId,
    clientHost: client.clientHost,
  };
}

/** A task that the topology does not have; told only once it is known how many there are. */
function tasksProblem({ configured }: Configuration, request: Request): string | null {
  if (configured.status !== null || configured.subtopologies === null) return null;
  for (const tasks of [request.activeTasks, request.standbyTasks, request.warmupTasks]) {
    for (const { subtopologyId, partitions } of tasks ?? []) {
      const subtopology = configured.subtopologies.get(subtopologyId);
      if (subtopology === undefined) return `Subtopology ${subtopologyId} does not exist in the topology.`;
      for (const partition of partitions)
        if (partition < 0 || partition >= subtopology.taskCount)
          return `Task ${partition} for subtopology ${subtopologyId} is invalid. Number of tasks for this subtopology: ${subtopology.taskCount}`;
    }
  }
  return null;
}

function sameConfigs(one: readonly KeyValue[], other: readonly KeyValue[]): boolean {
  const text = (configs: readonly KeyValue[]): string =>
    JSON.stringify(configs.map(({ key, value }) => [key, value]).sort());
  return text(one) === text(other);
}
