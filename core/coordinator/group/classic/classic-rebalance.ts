// How a classic group rebalances: from the first reason to the joined generation, and what time-outs do to it. Each function may answer
// waiting members at once and returns the records that the step needs written.
import type { Logger } from "../../../base/index.ts";
import { ErrorCode, type JoinGroupResponseInit } from "../../../protocol/index.ts";
import type { GroupDecision, GroupRecord } from "../group.ts";
import type { GroupContext } from "../group-context.ts";
import { groupMetadataRecord } from "../group-records.ts";
import { timerKeys } from "../group-timers.ts";
import { ClassicGroup, joinError } from "./classic-group.ts";
import { type ClassicMember, noAssignment } from "./classic-member.ts";

/** A step of a rebalance decides nothing that is answered to one asker: its answers go to the members that wait. */
export type ClassicStep = GroupDecision<void>;
export const nothing: ClassicStep = { records: [], answer: undefined, isApplied: true };

/** What a failed append of the group's own records means to its members. */
export function memberErrorOfAppend(errorCode: number): number {
  switch (errorCode) {
    case ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
    case ErrorCode.NOT_ENOUGH_REPLICAS:
    case ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND:
    case ErrorCode.REQUEST_TIMED_OUT:
      return ErrorCode.COORDINATOR_NOT_AVAILABLE;
    case ErrorCode.NOT_LEADER_OR_FOLLOWER:
    case ErrorCode.KAFKA_STORAGE_ERROR:
      return ErrorCode.NOT_COORDINATOR;
    case ErrorCode.MESSAGE_TOO_LARGE:
    case ErrorCode.RECORD_LIST_TOO_LARGE:
    case ErrorCode.INVALID_FETCH_SIZE:
      return ErrorCode.UNKNOWN_SERVER_ERROR;
    default:
      return errorCode;
  }
}

export class ClassicRebalance {
  private readonly context: GroupContext;
  private readonly logger: Logger;

  constructor(context: GroupContext) {
    this.context = context;
    this.logger = context.logger;
  }

  group(groupId: string): ClassicGroup | null {
    const group = this.context.groups.get(groupId);
    return group instanceof ClassicGroup ? group : null;
  }

  // --- sessions --------------------------------------------------------------------------------

  restartSession(group: ClassicGroup, member: ClassicMember): void {
    this.startSession(group, member.memberId, member.sessionTimeoutMs);
  }

  startSession(group: ClassicGroup, memberId: string, timeoutMs: number): void {
    const { groupId } = group;
    const key = timerKeys.classicSession(groupId, memberId);
    this.context.timers.set(key, timeoutMs, { kind: "classic-session", groupId, memberId });
  }

  endSession(group: ClassicGroup, memberId: string): void {
    this.context.timers.cancel(timerKeys.classicSession(group.groupId, memberId));
  }

  onSessionTimeout(groupId: string, memberId: string, nowMs: number): ClassicStep {
    const group = this.group(groupId);
    if (group === null || group.state === "Dead") return nothing;
    if (group.pendingJoin.has(memberId)) {
      group.remove(memberId);
      return group.state === "PreparingRebalance" ? this.completeJoinIfAllJoined(group, nowMs) : nothing;
    }
    const member = group.members.get(memberId);
    if (member === undefined || member.isExcusedFromHeartbeat) return nothing;
    return this.removeMember(group, member, `member ${memberId} missed its heartbeat`, nowMs);
  }

  private removeMember(group: ClassicGroup, member: ClassicMember, reason: string, nowMs: number): ClassicStep {
    // A new member may time out while it still waits: told that it is unknown, it joins again if it lives.
    group.answerJoin(member, joinError("", ErrorCode.UNKNOWN_MEMBER_ID));
    group.answerSync(member, ErrorCode.UNKNOWN_MEMBER_ID);
    group.remove(member.memberId);
    return this.rebalanceAfterRemoval(group, reason, nowMs);
  }

  /** Takes a member that leaves out of the group; the rebalance is the caller's to begin, once for all that leave. */
  dropMember(group: ClassicGroup, member: ClassicMember): void {
    this.endSession(group, member.memberId);
    group.answerJoin(member, joinError("", ErrorCode.UNKNOWN_MEMBER_ID));
    group.answerSync(member, ErrorCode.UNKNOWN_MEMBER_ID);
    group.remove(member.memberId);
  }

  rebalanceAfterRemoval(group: ClassicGroup, reason: string, nowMs: number): ClassicStep {
    switch (group.state) {
      case "Stable":
      case "CompletingRebalance":
        return this.rebalanceOrCompleteJoin(group, reason, nowMs);
      case "PreparingRebalance":
        return this.completeJoinIfAllJoined(group, nowMs);
      default:
        return nothing;
    }
  }

  // --- joining ---------------------------------------------------------------------------------

  rebalanceOrCompleteJoin(group: ClassicGroup, reason: string, nowMs: number): ClassicStep {
    return group.canRebalance ? this.prepare(group, reason, nowMs) : this.completeJoinIfAllJoined(group, nowMs);
  }

  prepare(group: ClassicGroup, reason: string, nowMs: number): ClassicStep {
    const { groupId } = group;
    // Who waits for an assignment of the old generation joins again.
    if (group.state === "CompletingRebalance") this.failSyncs(group, ErrorCode.REBALANCE_IN_PROGRESS);
    this.endSyncPhase(group);
    const isFirst = group.state === "Empty";
    if (isFirst) {
      // More members are about to come: waiting for them saves a rebalance for each.
      const delayMs = this.context.config.classic.initialRebalanceDelayMs;
      const leftMs = Math.max(group.rebalanceTimeoutMs - delayMs, 0);
      this.scheduleInitialJoin(groupId, delayMs, leftMs);
    }
    group.transitionTo("PreparingRebalance", nowMs);
    this.logger.info({ group: groupId, generation: group.generationId, reason }, "the group begins to rebalance");
    if (isFirst) return nothing;
    if (group.haveAllJoined) return this.completeJoin(group, nowMs);
    this.scheduleJoin(group);
    return nothing;
  }

  private scheduleJoin(group: ClassicGroup): void {
    const { groupId } = group;
    this.context.timers.set(timerKeys.classicJoin(groupId), group.rebalanceTimeoutMs, {
      kind: "classic-join",
      groupId,
    });
  }

  private scheduleInitialJoin(groupId: string, delayMs: number, leftMs: number): void {
    const timer = { kind: "classic-initial-join", groupId, delayMs, leftMs } as const;
    this.context.timers.set(timerKeys.classicJoin(groupId), delayMs, timer);
  }

  onInitialJoinTimeout(groupId: string, delayMs: number, leftMs: number, nowMs: number): ClassicStep {
    const group = this.group(groupId);
    if (group === null) return nothing;
    if (group.newMemberAdded && leftMs > 0) {
      group.newMemberAdded = false;
      const nextDelayMs = Math.min(this.context.config.classic.initialRebalanceDelayMs, leftMs);
      this.scheduleInitialJoin(groupId, nextDelayMs, Math.max(leftMs - delayMs, 0));
      return nothing;
    }
    return this.completeJoin(group, nowMs);
  }

  onJoinTimeout(groupId: string, nowMs: number): ClassicStep {
    const group = this.group(groupId);
    return group === null ? nothing : this.completeJoin(group, nowMs);
  }

  completeJoinIfAllJoined(group: ClassicGroup, nowMs: number): ClassicStep {
    // The first join waits for its delay, however complete it looks.
    const isReady = group.state === "PreparingRebalance" && group.previousState !== "Empty" && group.haveAllJoined;
    return isReady ? this.completeJoin(group, nowMs) : nothing;
  }

  private completeJoin(group: ClassicGroup, nowMs: number): ClassicStep {
    this.context.timers.cancel(timerKeys.classicJoin(group.groupId));
    if (group.state !== "PreparingRebalance") return nothing;
    for (const member of [...group.members.values()]) {
      // A static member is given until its session ends.
      if (member.awaitingJoin !== null || member.groupInstanceId !== null) continue;
      this.endSession(group, member.memberId);
      group.remove(member.memberId);
    }
    if (!group.electJoinedLeader() && group.members.size > 0) {
      // Nobody is there to lead: wait on, until the sessions of the rest have ended.
      this.scheduleJoin(group);
      return nothing;
    }
    group.beginGeneration(nowMs);
    if (group.members.size === 0) return this.recordEmpty(group);
    for (const member of group.members.values()) {
      this.restartSession(group, member);
      member.isNew = false;
      group.pendingSync.add(member.memberId);
    }
    this.scheduleSync(group);
    for (const member of group.members.values()) group.answerJoin(member, joined(group, member));
    return nothing;
  }

  private recordEmpty(group: ClassicGroup): ClassicStep {
    const { groupId, generationId } = group;
    return {
      records: [groupMetadataRecord(group, new Map())],
      answer: undefined,
      isApplied: true,
      settled: (errorCode) => {
        if (errorCode === null) return;
        // The group stays empty in memory; what is in the log is a generation older and has members who will not come back.
        this.logger.warn({ group: groupId, generation: generationId, errorCode }, "the empty group was not written");
      },
    };
  }

  // --- syncing ---------------------------------------------------------------------------------

  private scheduleSync(group: ClassicGroup): void {
    const { groupId, generationId } = group;
    const timer = { kind: "classic-sync", groupId, generationId } as const;
    this.context.timers.set(timerKeys.classicSync(groupId), group.rebalanceTimeoutMs, timer);
  }

  private endSyncPhase(group: ClassicGroup): void {
    group.pendingSync.clear();
    this.context.timers.cancel(timerKeys.classicSync(group.groupId));
  }

  onSynced(group: ClassicGroup, memberId: string): void {
    group.pendingSync.delete(memberId);
    if (group.pendingSync.size === 0) this.context.timers.cancel(timerKeys.classicSync(group.groupId));
  }

  onSyncTimeout(groupId: string, generationId: number, nowMs: number): ClassicStep {
    const group = this.group(groupId);
    if (group === null || group.generationId !== generationId) return nothing;
    if (group.state !== "CompletingRebalance" && group.state !== "Stable") return nothing;
    if (group.pendingSync.size === 0) return nothing;
    const silent = [...group.pendingSync];
    for (const memberId of silent) {
      const member = group.members.get(memberId);
      if (member !== undefined) this.dropMember(group, member);
    }
    return this.prepare(group, `${silent.length} members did not ask for their assignment`, nowMs);
  }

  /** The leader's assignments are in the log: who waits is answered. */
  applyAssignments(group: ClassicGroup, assignments: ReadonlyMap<string, Buffer>, nowMs: number): void {
    for (const member of group.members.values()) member.assignment = assignments.get(member.memberId) ?? noAssignment;
    this.answerSyncs(group, ErrorCode.NONE);
    group.transitionTo("Stable", nowMs);
  }

  failSyncs(group: ClassicGroup, errorCode: number): void {
    for (const member of group.members.values()) member.assignment = noAssignment;
    this.answerSyncs(group, errorCode);
  }

  private answerSyncs(group: ClassicGroup, errorCode: number): void {
    for (const member of group.members.values()) {
      // A session that ended while the member waited was excused and has no timer any more.
      if (group.answerSync(member, errorCode)) this.restartSession(group, member);
    }
  }

  // --- loading ---------------------------------------------------------------------------------

  onLoaded(group: ClassicGroup, nowMs: number): GroupRecord[] {
    for (const member of group.members.values()) this.restartSession(group, member);
    if (group.members.size <= this.context.config.classic.memberCountMax) return [];
    return [...this.prepare(group, "the group has more members than group.max.size allows", nowMs).records];
  }

  /** The partition moved away: who waits asks elsewhere. */
  onUnloaded(group: ClassicGroup): void {
    group.transitionTo("Dead", 0);
    for (const member of group.members.values()) {
      group.answerJoin(member, joinError(member.memberId, ErrorCode.NOT_COORDINATOR));
      member.assignment = noAssignment;
      group.answerSync(member, ErrorCode.NOT_COORDINATOR);
    }
  }
}

/** The answer to a member of the generation that now begins or stands. */
export function joined(group: ClassicGroup, member: ClassicMember): JoinGroupResponseInit {
  const { memberId } = member;
  return {
    errorCode: ErrorCode.NONE,
    memberId,
    generationId: group.generationId,
    protocolType: group.protocolType,
    protocolName: group.protocolName,
    leader: group.leaderId ?? "",
    skipAssignment: false,
    members: group.isLeader(memberId) ? memberList(group) : [],
  };
}

export function memberList(group: ClassicGroup): JoinGroupResponseInit["members"] {
  return [...group.members.values()].map((member) => ({
    memberId: member.memberId,
    groupInstanceId: member.groupInstanceId,
    metadata: member.metadataOf(group.protocolName) ?? noAssignment,
  }));
}
