// JoinGroup for a classic group: who may join, and what a join starts. Answers go through the function given, now or when the generation
// begins; each request is answered once.
import { ErrorCode, type JoinGroupRequest } from "../../../protocol/index.ts";
import type { Group, GroupClient, GroupDecision, GroupRecord } from "../group.ts";
import { newMemberJoinTimeoutMs, pendingMemberCountMax } from "../group-config.ts";
import { type GroupContext, randomJavaUuid } from "../group-context.ts";
import { emptyGroupMetadataRecord, groupMetadataRecord } from "../group-records.ts";
import { ClassicGroup, joinError } from "./classic-group.ts";
import { ClassicMember, type ClassicProtocol, type JoinAnswer } from "./classic-member.ts";
import {
  type ClassicRebalance,
  type ClassicStep,
  joined,
  memberErrorOfAppend,
  memberList,
  nothing,
} from "./classic-rebalance.ts";

/** From this version on a member without an id is given one and must join again with it (KIP-394). */
const memberIdRequiredFrom = 4;
/** From this version on a returning static leader is told that it need not assign (KIP-814). */
const skipAssignmentFrom = 9;

interface Join {
  readonly group: ClassicGroup;
  readonly request: JoinGroupRequest;
  readonly client: GroupClient;
  readonly protocols: readonly ClassicProtocol[];
  readonly answer: JoinAnswer;
  readonly nowMs: number;
}

export class ClassicJoin {
  private readonly context: GroupContext;
  private readonly rebalance: ClassicRebalance;

  constructor(context: GroupContext, rebalance: ClassicRebalance) {
    this.context = context;
    this.rebalance = rebalance;
  }

  /** `existing` is what stands under the group id, emptied of another type's records by `prelude`. */
  join(
    request: JoinGroupRequest,
    client: GroupClient,
    answer: JoinAnswer,
    nowMs: number,
    prelude: { readonly existing: Group | undefined; readonly records: readonly GroupRecord[] },
  ): GroupDecision<void> {
    const { groupId, memberId } = request;
    const isNewGroup = !(prelude.existing instanceof ClassicGroup);
    if (isNewGroup && memberId !== "") {
      answer(joinError(memberId, ErrorCode.UNKNOWN_MEMBER_ID));
      return nothing;
    }
    const group = isNewGroup ? new ClassicGroup(groupId, nowMs) : (prelude.existing as ClassicGroup);
    if (isNewGroup) this.context.groups.set(groupId, group);
    const protocols = request.protocols.map(({ name, metadata }) => ({ name, metadata: Buffer.from(metadata) }));
    const step = this.joinGroup({ group, request, client, protocols, answer, nowMs });
    if (!isNewGroup || step.records.length > 0) return step;
    // Written so that the group is there after a fail-over, with the id that its members were given.
    return {
      records: [...prelude.records, emptyGroupMetadataRecord(group)],
      answer: undefined,
      isApplied: true,
      settled: (errorCode) => {
        if (errorCode === null) return;
        const error = memberErrorOfAppend(errorCode);
        for (const member of group.members.values()) group.answerJoin(member, joinError(member.memberId, error));
      },
    };
  }

  private joinGroup(join: Join): ClassicStep {
    const { group, request, answer } = join;
    if (!this.hasRoomFor(group, request.memberId)) {
      group.remove(request.memberId);
      answer(joinError("", ErrorCode.GROUP_MAX_SIZE_REACHED));
      return nothing;
    }
    return request.memberId === "" ? this.joinNew(join) : this.joinExisting(join);
  }

  private hasRoomFor(group: ClassicGroup, memberId: string): boolean {
    const { memberCountMax } = this.context.config.classic;
    switch (group.state) {
      case "Empty":
      case "Dead":
        return true;
      case "PreparingRebalance":
        // Counted by who waits, so that a group over a lowered bound loses whoever joins again last.
        return group.members.get(memberId)?.awaitingJoin ? true : group.awaitingJoinMemberCount < memberCountMax;
      default:
        return group.members.has(memberId) || group.members.size < memberCountMax;
    }
  }

  private joinNew(join: Join): ClassicStep {
    const { group, request, client, answer, protocols } = join;
    const refuse = (errorCode: number): ClassicStep => {
      answer(joinError("", errorCode));
      return nothing;
    };
    if (group.state === "Dead") return refuse(ErrorCode.COORDINATOR_NOT_AVAILABLE);
    if (!group.supportsProtocols(request.protocolType, protocols)) return refuse(ErrorCode.INCONSISTENT_GROUP_PROTOCOL);
    const memberId = `${request.groupInstanceId ?? client.clientId}-${randomJavaUuid(this.context.random)}`;
    if (request.groupInstanceId !== null) return this.joinStatic(join, request.groupInstanceId, memberId);
    if (client.apiVersion < memberIdRequiredFrom) return this.addMember(join, memberId);
    if (group.pendingJoin.size >= pendingMemberCountMax) return refuse(ErrorCode.GROUP_MAX_SIZE_REACHED);
    group.pendingJoin.add(memberId);
    this.rebalance.startSession(group, memberId, request.sessionTimeoutMs);
    answer(joinError(memberId, ErrorCode.MEMBER_ID_REQUIRED));
    return nothing;
  }

  private joinExisting(join: Join): ClassicStep {
    const { group, request, answer, protocols } = join;
    const { memberId, groupInstanceId } = request;
    const refuse = (errorCode: number): ClassicStep => {
      answer(joinError(memberId, errorCode));
      return nothing;
    };
    if (group.state === "Dead") return refuse(ErrorCode.COORDINATOR_NOT_AVAILABLE);
    if (!group.supportsProtocols(request.protocolType, protocols)) return refuse(ErrorCode.INCONSISTENT_GROUP_PROTOCOL);
    if (group.pendingJoin.has(memberId)) {
      // Ids are pending for dynamic members alone.
      return groupInstanceId === null ? this.addMember(join, memberId) : refuse(ErrorCode.UNKNOWN_MEMBER_ID);
    }
    const error = group.memberError(memberId, groupInstanceId);
    if (error !== ErrorCode.NONE) return refuse(error);
    const member = group.members.get(memberId)!;
    switch (group.state) {
      case "PreparingRebalance":
        return this.updateMember(join, member, "a member joined again");
      case "CompletingRebalance":
        if (!member.hasSameProtocols(protocols)) return this.updateMember(join, member, "a member changed");
        // It may have missed the answer to its first join.
        answer(joined(group, member));
        return nothing;
      case "Stable":
        if (group.isLeader(memberId)) return this.updateMember(join, member, "the leader joined again");
        if (!member.hasSameProtocols(protocols)) return this.updateMember(join, member, "a member changed");
        answer(joined(group, member));
        this.rebalance.restartSession(group, member);
        return nothing;
      default:
        return refuse(ErrorCode.UNKNOWN_MEMBER_ID);
    }
  }

  private addMember(join: Join, memberId: string): ClassicStep {
    const { group, request, client, answer, protocols, nowMs } = join;
    const member = new ClassicMember({
      memberId,
      groupInstanceId: request.groupInstanceId,
      clientId: client.clientId,
      clientHost: client.clientHost,
      ...timeoutsOf(request),
      protocols,
    });
    member.isNew = true;
    if (group.state === "PreparingRebalance" && group.previousState === "Empty") group.newMemberAdded = true;
    group.add(member, request.protocolType, answer);
    this.rebalance.startSession(group, memberId, newMemberJoinTimeoutMs);
    return this.rebalance.rebalanceOrCompleteJoin(group, `member ${memberId} joined${because(request)}`, nowMs);
  }

  private updateMember(join: Join, member: ClassicMember, reason: string): ClassicStep {
    const { group, request, answer, protocols, nowMs } = join;
    group.update(member, { protocols, ...timeoutsOf(request), answer });
    return this.rebalance.rebalanceOrCompleteJoin(group, `${reason}: ${member.memberId}${because(request)}`, nowMs);
  }

  private joinStatic(join: Join, groupInstanceId: string, memberId: string): ClassicStep {
    const oldMemberId = join.group.staticMemberId(groupInstanceId);
    return oldMemberId === null ? this.addMember(join, memberId) : this.replaceStatic(join, oldMemberId, memberId);
  }

  private replaceStatic(join: Join, oldMemberId: string, memberId: string): ClassicStep {
    const { group, request, answer, protocols, nowMs } = join;
    const groupInstanceId = request.groupInstanceId!;
    const oldLeader = group.leaderId;
    const member = group.replaceStatic(groupInstanceId, oldMemberId, memberId);
    const before = {
      protocols: member.protocols,
      rebalanceTimeoutMs: member.rebalanceTimeoutMs,
      sessionTimeoutMs: member.sessionTimeoutMs,
      answer: null,
    };
    this.rebalance.endSession(group, oldMemberId);
    this.rebalance.restartSession(group, member);
    group.update(member, { protocols, ...timeoutsOf(request), answer });
    switch (group.state) {
      case "Stable": {
        if (group.selectProtocol() !== group.protocolName)
          return this.rebalance.rebalanceOrCompleteJoin(group, "a static member changed the group's protocol", nowMs);
        return this.persistReplacement(join, { member, oldMemberId, oldLeader, before });
      }
      case "CompletingRebalance":
        // The leader may be assigning to the old member id: it must see the new one.
        return this.rebalance.prepare(group, `static member ${groupInstanceId} came back`, nowMs);
      default:
        return this.rebalance.completeJoinIfAllJoined(group, nowMs);
    }
  }

  /** The generation stands; only the member id changes. Answered when that is in the log. */
  private persistReplacement(
    join: Join,
    replaced: {
      readonly member: ClassicMember;
      readonly oldMemberId: string;
      readonly oldLeader: string | null;
      readonly before: Parameters<ClassicGroup["update"]>[1];
    },
  ): ClassicStep {
    const { group, client } = join;
    const { member, oldMemberId, oldLeader, before } = replaced;
    const { memberId } = member;
    const assignments = new Map([...group.members.values()].map((each) => [each.memberId, each.assignment]));
    return {
      records: [groupMetadataRecord(group, assignments)],
      answer: undefined,
      isApplied: true,
      settled: (errorCode) => {
        if (group.members.get(memberId) !== member) return;
        const leader = oldLeader ?? "";
        if (errorCode !== null) {
          const error = memberErrorOfAppend(errorCode);
          group.answerJoin(member, { ...joined(group, member), memberId: "", errorCode: error, leader, members: [] });
          group.update(member, before);
          this.rebalance.endSession(group, memberId);
          this.rebalance.restartSession(group, group.replaceStatic(member.groupInstanceId!, memberId, oldMemberId));
        } else if (client.apiVersion >= skipAssignmentFrom) {
          const isLeader = group.isLeader(memberId);
          const members = isLeader ? memberList(group) : [];
          group.answerJoin(member, { ...joined(group, member), skipAssignment: isLeader, members });
        } else {
          // Told the old leader's id, a returning leader does not assign again.
          group.answerJoin(member, { ...joined(group, member), leader, members: [] });
        }
      },
    };
  }
}

/** Version 0 knows one time-out only. */
function timeoutsOf(request: JoinGroupRequest): { rebalanceTimeoutMs: number; sessionTimeoutMs: number } {
  const { rebalanceTimeoutMs, sessionTimeoutMs } = request;
  return { rebalanceTimeoutMs: rebalanceTimeoutMs < 0 ? sessionTimeoutMs : rebalanceTimeoutMs, sessionTimeoutMs };
}

function because(request: JoinGroupRequest): string {
  return request.reason === null ? "" : ` (${request.reason.slice(0, 255)})`;
}
