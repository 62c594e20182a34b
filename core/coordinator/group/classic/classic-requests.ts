// SyncGroup, Heartbeat and LeaveGroup for a classic group.
import {
  ErrorCode,
  type HeartbeatRequest,
  type LeaveGroupRequestMemberIdentity,
  type LeaveGroupResponseInit,
  type SyncGroupRequest,
} from "../../../protocol/index.ts";
import type { GroupDecision } from "../group.ts";
import { groupMetadataRecord } from "../group-records.ts";
import type { ClassicGroup } from "./classic-group.ts";
import { noAssignment, type SyncAnswer } from "./classic-member.ts";
import { type ClassicRebalance, memberErrorOfAppend, nothing } from "./classic-rebalance.ts";

export class ClassicRequests {
  private readonly rebalance: ClassicRebalance;

  constructor(rebalance: ClassicRebalance) {
    this.rebalance = rebalance;
  }

  sync(group: ClassicGroup, request: SyncGroupRequest, answer: SyncAnswer, nowMs: number): GroupDecision<void> {
    const refuse = (errorCode: number): GroupDecision<void> => {
      answer({ errorCode, assignment: noAssignment });
      return nothing;
    };
    const error = syncError(group, request);
    if (error !== ErrorCode.NONE) return refuse(error);
    const member = group.members.get(request.memberId)!;
    switch (group.state) {
      case "PreparingRebalance":
        return refuse(ErrorCode.REBALANCE_IN_PROGRESS);
      case "CompletingRebalance": {
        const before = member.awaitingSync;
        member.awaitingSync = answer;
        // Asked again on another connection: the older request must not stay open for ever.
        before?.({ errorCode: ErrorCode.REBALANCE_IN_PROGRESS, assignment: noAssignment });
        this.rebalance.onSynced(group, request.memberId);
        return group.isLeader(request.memberId) ? this.writeAssignments(group, request, nowMs) : nothing;
      }
      case "Stable":
        this.rebalance.onSynced(group, request.memberId);
        answer({
          errorCode: ErrorCode.NONE,
          protocolType: group.protocolType,
          protocolName: group.protocolName,
          assignment: member.assignment,
        });
        return nothing;
      default:
        return refuse(ErrorCode.UNKNOWN_MEMBER_ID);
    }
  }

  private writeAssignments(group: ClassicGroup, request: SyncGroupRequest, nowMs: number): GroupDecision<void> {
    const { generationId } = group;
    const assignments = new Map(
      request.assignments.map(({ memberId, assignment }) => [memberId, Buffer.from(assignment)]),
    );
    return {
      records: [groupMetadataRecord(group, assignments)],
      answer: undefined,
      isApplied: true,
      settled: (errorCode) => {
        // Another member may have joined meanwhile: then this assignment is of no use any more.
        if (group.state !== "CompletingRebalance" || group.generationId !== generationId) return;
        if (errorCode === null) return this.rebalance.applyAssignments(group, assignments, nowMs);
        this.rebalance.failSyncs(group, memberErrorOfAppend(errorCode));
        this.rebalance.rebalanceOrCompleteJoin(group, "the assignment could not be written", nowMs);
      },
    };
  }

  heartbeat(group: ClassicGroup, request: HeartbeatRequest): number {
    const { memberId, groupInstanceId, generationId } = request;
    if (group.state === "Dead") return ErrorCode.COORDINATOR_NOT_AVAILABLE;
    const error = group.memberError(memberId, groupInstanceId);
    if (error !== ErrorCode.NONE) return error;
    if (generationId !== group.generationId) return ErrorCode.ILLEGAL_GENERATION;
    this.rebalance.restartSession(group, group.members.get(memberId)!);
    return group.state === "PreparingRebalance" ? ErrorCode.REBALANCE_IN_PROGRESS : ErrorCode.NONE;
  }

  leave(
    group: ClassicGroup,
    identities: readonly LeaveGroupRequestMemberIdentity[],
    nowMs: number,
  ): GroupDecision<LeaveGroupResponseInit> {
    if (group.state === "Dead")
      return { records: [], answer: { errorCode: ErrorCode.COORDINATOR_NOT_AVAILABLE, members: [] } };
    let leftCount = 0;
    const members = identities.map(({ memberId, groupInstanceId }) => {
      const errorCode = this.leaveOne(group, memberId, groupInstanceId);
      if (errorCode === ErrorCode.NONE) leftCount++;
      return { memberId, groupInstanceId, errorCode };
    });
    const answer: LeaveGroupResponseInit = { errorCode: ErrorCode.NONE, members };
    if (leftCount === 0) return { records: [], answer };
    const step = this.rebalance.rebalanceAfterRemoval(group, `${leftCount} members left`, nowMs);
    return { ...step, answer };
  }

  private leaveOne(group: ClassicGroup, memberId: string, groupInstanceId: string | null): number {
    if (memberId === "") {
      // An administrator removes a static member by its instance id.
      const holder = groupInstanceId === null ? null : group.staticMemberId(groupInstanceId);
      if (holder === null) return ErrorCode.UNKNOWN_MEMBER_ID;
      this.rebalance.dropMember(group, group.members.get(holder)!);
      return ErrorCode.NONE;
    }
    if (group.pendingJoin.has(memberId)) {
      this.rebalance.endSession(group, memberId);
      group.remove(memberId);
      return ErrorCode.NONE;
    }
    const error = group.memberError(memberId, groupInstanceId);
    if (error === ErrorCode.NONE) this.rebalance.dropMember(group, group.members.get(memberId)!);
    return error;
  }
}

function syncError(group: ClassicGroup, request: SyncGroupRequest): number {
  if (group.state === "Dead") return ErrorCode.COORDINATOR_NOT_AVAILABLE;
  const error = group.memberError(request.memberId, request.groupInstanceId);
  if (error !== ErrorCode.NONE) return error;
  if (request.generationId !== group.generationId) return ErrorCode.ILLEGAL_GENERATION;
  const { protocolType, protocolName } = request;
  const isOther =
    (protocolType !== null && protocolType !== group.protocolType) ||
    (protocolName !== null && protocolName !== group.protocolName);
  return isOther ? ErrorCode.INCONSISTENT_GROUP_PROTOCOL : ErrorCode.NONE;
}
