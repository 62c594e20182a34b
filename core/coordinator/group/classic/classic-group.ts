// A classic group: members who elect one of them to assign. Its state and the rules of who may be in it; what happens when stands in the
// managers beside it. Lives in memory: of it the log has only what stood when the last generation became stable or empty.
//
//   state                → state                 cause
//   Empty                → PreparingRebalance    a member joins
//   PreparingRebalance   → CompletingRebalance   all members have joined again, or the time is up
//   PreparingRebalance   → Empty                 nobody is left
//   CompletingRebalance  → Stable                the leader's assignment is in the log
//   CompletingRebalance, Stable → PreparingRebalance   a member joins, leaves, times out or changes
//   any                  → Dead                  the group is deleted, or its partition moved away
import { assert } from "../../../base/index.ts";
import { ErrorCode, type JoinGroupResponseInit, readConsumerSubscription } from "../../../protocol/index.ts";
import type { Group, GroupRecord, OffsetCommitter, OffsetsExpireFrom } from "../group.ts";
import { groupMetadataTombstone } from "../group-records.ts";
import type { ClassicMember, ClassicProtocol } from "./classic-member.ts";

export type ClassicGroupState = "Empty" | "PreparingRebalance" | "CompletingRebalance" | "Stable" | "Dead";

const mayFollow: Readonly<Record<ClassicGroupState, readonly ClassicGroupState[]>> = {
  Empty: ["PreparingRebalance"],
  PreparingRebalance: ["Stable", "CompletingRebalance", "Empty"],
  CompletingRebalance: ["PreparingRebalance"],
  Stable: ["CompletingRebalance"],
  Dead: ["Stable", "PreparingRebalance", "CompletingRebalance", "Empty", "Dead"],
};

/** The protocol type of Kafka's consumers. */
export const consumerProtocolType = "consumer";

export interface JoinUpdate {
  readonly protocols: readonly ClassicProtocol[];
  readonly rebalanceTimeoutMs: number;
  readonly sessionTimeoutMs: number;
  readonly answer: ClassicMember["awaitingJoin"];
}

export class ClassicGroup implements Group {
  readonly type = "classic";
  readonly groupId: string;
  state: ClassicGroupState = "Empty";
  previousState: ClassicGroupState = "Dead";
  stateSinceMs: number | null;
  /** Null: never had members. Such a group only keeps offsets. */
  protocolType: string | null = null;
  protocolName: string | null = null;
  generationId = 0;
  leaderId: string | null = null;
  /** A member came during the initial delay: it may be lengthened. */
  newMemberAdded = false;
  readonly members = new Map<string, ClassicMember>();
  private readonly staticMembers = new Map<string, string>();
  /** Were given an id and are to join with it; answered MEMBER_ID_REQUIRED. */
  readonly pendingJoin = new Set<string>();
  /** Were answered their join and have not asked for their assignment. */
  readonly pendingSync = new Set<string>();
  private readonly protocolCounts = new Map<string, number>();
  private awaitingJoinCount = 0;
  /** Null where it cannot be known: not consumers, or metadata that does not parse. */
  private subscribedTopics: ReadonlySet<string> | null = null;

  constructor(groupId: string, stateSinceMs: number | null) {
    this.groupId = groupId;
    this.stateSinceMs = stateSinceMs;
  }

  get protocolTypeName(): string {
    return this.protocolType ?? "";
  }

  stateName(): string {
    return this.state;
  }

  get isEmpty(): boolean {
    return this.state === "Empty";
  }

  get usesConsumerProtocol(): boolean {
    return this.protocolType === consumerProtocolType;
  }

  transitionTo(state: ClassicGroupState, nowMs: number): void {
    const from = mayFollow[state];
    assert(from.includes(this.state), `group ${this.groupId} cannot go from ${this.state} to ${state}`);
    this.previousState = this.state;
    this.state = state;
    this.stateSinceMs = nowMs;
  }

  get canRebalance(): boolean {
    return mayFollow.PreparingRebalance.includes(this.state);
  }

  // --- members ---------------------------------------------------------------------------------

  staticMemberId(groupInstanceId: string): string | null {
    return this.staticMembers.get(groupInstanceId) ?? null;
  }

  isLeader(memberId: string): boolean {
    return this.leaderId === memberId;
  }

  get awaitingJoinMemberCount(): number {
    return this.awaitingJoinCount;
  }

  get haveAllJoined(): boolean {
    return this.members.size === this.awaitingJoinCount && this.pendingJoin.size === 0;
  }

  /** The longest that any member asks for. */
  get rebalanceTimeoutMs(): number {
    let longest = 0;
    for (const member of this.members.values()) longest = Math.max(longest, member.rebalanceTimeoutMs);
    return longest;
  }

  add(member: ClassicMember, protocolType: string, answer: ClassicMember["awaitingJoin"]): void {
    if (this.members.size === 0) this.protocolType = protocolType;
    this.leaderId ??= member.memberId;
    this.members.set(member.memberId, member);
    this.countProtocols(member.protocols, 1);
    this.setAwaitingJoin(member, answer);
    this.pendingJoin.delete(member.memberId);
    if (member.groupInstanceId !== null) this.staticMembers.set(member.groupInstanceId, member.memberId);
  }

  remove(memberId: string): void {
    const member = this.members.get(memberId);
    if (member !== undefined) {
      this.members.delete(memberId);
      this.countProtocols(member.protocols, -1);
      if (member.awaitingJoin !== null) this.awaitingJoinCount--;
      if (member.groupInstanceId !== null) this.staticMembers.delete(member.groupInstanceId);
    }
    if (this.isLeader(memberId)) this.leaderId = this.members.keys().next().value ?? null;
    this.pendingJoin.delete(memberId);
    this.pendingSync.delete(memberId);
  }

  update(member: ClassicMember, update: JoinUpdate): void {
    this.countProtocols(member.protocols, -1);
    member.protocols = update.protocols;
    this.countProtocols(member.protocols, 1);
    member.rebalanceTimeoutMs = update.rebalanceTimeoutMs;
    member.sessionTimeoutMs = update.sessionTimeoutMs;
    this.setAwaitingJoin(member, update.answer);
  }

  /** The static member goes on under another member id, in the same place. Returns it. */
  replaceStatic(groupInstanceId: string, oldMemberId: string, newMemberId: string): ClassicMember {
    const member = this.members.get(oldMemberId);
    assert(member !== undefined, `group ${this.groupId} has no member ${oldMemberId} to replace`);
    this.members.delete(oldMemberId);
    // Whoever still waits under the old id is a zombie with the same instance id.
    this.answerJoin(member, joinError(oldMemberId, ErrorCode.FENCED_INSTANCE_ID));
    this.answerSync(member, ErrorCode.FENCED_INSTANCE_ID);
    member.memberId = newMemberId;
    this.members.set(newMemberId, member);
    if (this.isLeader(oldMemberId)) this.leaderId = newMemberId;
    this.pendingSync.delete(oldMemberId);
    this.staticMembers.set(groupInstanceId, newMemberId);
    return member;
  }

  private setAwaitingJoin(member: ClassicMember, answer: ClassicMember["awaitingJoin"]): void {
    const before = member.awaitingJoin;
    if (answer !== null && before === null) this.awaitingJoinCount++;
    if (answer === null && before !== null) this.awaitingJoinCount--;
    member.awaitingJoin = answer;
    // The same member asked again, on another connection: the older request must not stay open for ever.
    if (before !== null && before !== answer) before(joinError(member.memberId, ErrorCode.REBALANCE_IN_PROGRESS));
  }

  /** Answers the member's open join; false where it has none. */
  answerJoin(member: ClassicMember, response: JoinGroupResponseInit): boolean {
    const answer = member.awaitingJoin;
    if (answer === null) return false;
    member.awaitingJoin = null;
    this.awaitingJoinCount--;
    answer(response);
    return true;
  }

  /** Answers the member's open sync with its assignment or an error; false where it has none. */
  answerSync(member: ClassicMember, errorCode: number): boolean {
    const answer = member.awaitingSync;
    if (answer === null) return false;
    member.awaitingSync = null;
    answer(
      errorCode === ErrorCode.NONE
        ? {
            errorCode,
            protocolType: this.protocolType,
            protocolName: this.protocolName,
            assignment: member.assignment,
          }
        : { errorCode, assignment: member.assignment },
    );
    return true;
  }

  /** 0 where the member may go on: 25 for a stranger, 82 where another holds its instance id. */
  memberError(memberId: string, groupInstanceId: string | null): number {
    if (groupInstanceId !== null) {
      const holder = this.staticMembers.get(groupInstanceId);
      if (holder === undefined) return ErrorCode.UNKNOWN_MEMBER_ID;
      if (holder !== memberId) return ErrorCode.FENCED_INSTANCE_ID;
    }
    return this.members.has(memberId) ? ErrorCode.NONE : ErrorCode.UNKNOWN_MEMBER_ID;
  }

  // --- protocols -------------------------------------------------------------------------------

  private countProtocols(protocols: readonly ClassicProtocol[], step: 1 | -1): void {
    for (const { name } of protocols) {
      const count = (this.protocolCounts.get(name) ?? 0) + step;
      if (count === 0) this.protocolCounts.delete(name);
      else this.protocolCounts.set(name, count);
    }
  }

  /** Whether a member with these could be in the group. */
  supportsProtocols(protocolType: string, protocols: readonly ClassicProtocol[]): boolean {
    if (this.state === "Empty") return protocolType !== "" && protocols.length > 0;
    if (this.protocolType !== protocolType) return false;
    return protocols.some(({ name }) => this.protocolCounts.get(name) === this.members.size);
  }

  /** By vote: each member's first protocol among those that all have. */
  selectProtocol(): string | null {
    const count = this.members.size;
    const votes = new Map<string, number>();
    for (const member of this.members.values()) {
      const choice = member.protocols.find(({ name }) => this.protocolCounts.get(name) === count);
      if (choice !== undefined) votes.set(choice.name, (votes.get(choice.name) ?? 0) + 1);
    }
    let best: string | null = null;
    for (const [name, voteCount] of votes) if (best === null || voteCount > votes.get(best)!) best = name;
    return best;
  }

  /** All that will be in it have joined. */
  beginGeneration(nowMs: number): void {
    this.generationId++;
    if (this.members.size > 0) {
      this.protocolName = this.selectProtocol();
      this.transitionTo("CompletingRebalance", nowMs);
    } else {
      this.protocolName = null;
      this.transitionTo("Empty", nowMs);
    }
    this.readSubscriptions();
    this.pendingSync.clear();
  }

  readSubscriptions(): void {
    this.subscribedTopics = this.subscriptionsNow();
  }

  private subscriptionsNow(): ReadonlySet<string> | null {
    if (this.protocolType === null) return null;
    if (this.members.size === 0) return new Set();
    if (!this.usesConsumerProtocol || this.protocolName === null) return null;
    const topics = new Set<string>();
    try {
      for (const member of this.members.values()) {
        const metadata = member.metadataOf(this.protocolName);
        if (metadata !== null) for (const topic of readConsumerSubscription(metadata).topics) topics.add(topic);
      }
    } catch {
      // Metadata is the members' own business; where it is not a subscription nothing can be said of topics.
      return null;
    }
    return topics;
  }

  isSubscribedTo(topic: string): boolean {
    // Not known: consumers may be subscribed to anything, others to nothing.
    return this.subscribedTopics === null ? this.usesConsumerProtocol : this.subscribedTopics.has(topic);
  }

  /** The leader is kept when it joined again; else another who did takes over. False when nobody did. */
  electJoinedLeader(): boolean {
    if (this.leaderId === null) return false;
    if (this.members.get(this.leaderId)?.awaitingJoin) return true;
    for (const member of this.members.values()) {
      if (member.awaitingJoin === null) continue;
      this.leaderId = member.memberId;
      return true;
    }
    return false;
  }

  // --- offsets and administration --------------------------------------------------------------

  offsetCommitError(committer: OffsetCommitter): number {
    const { memberId, groupInstanceId, generationOrEpoch, isTransactional } = committer;
    if (this.state === "Dead") return ErrorCode.COORDINATOR_NOT_AVAILABLE;
    // The administrator, or a consumer that manages its partitions itself.
    if (generationOrEpoch < 0 && this.state === "Empty") return ErrorCode.NONE;
    if (generationOrEpoch >= 0 || memberId !== "" || groupInstanceId !== null) {
      const error = this.memberError(memberId, groupInstanceId);
      if (error !== ErrorCode.NONE) return error;
      if (generationOrEpoch !== this.generationId) return ErrorCode.ILLEGAL_GENERATION;
    } else if (!isTransactional && this.state !== "Empty") return ErrorCode.UNKNOWN_MEMBER_ID;
    if (!isTransactional && this.state === "CompletingRebalance") return ErrorCode.REBALANCE_IN_PROGRESS;
    return ErrorCode.NONE;
  }

  offsetFetchError(): number {
    return this.state === "Dead" ? ErrorCode.GROUP_ID_NOT_FOUND : ErrorCode.NONE;
  }

  offsetDeleteError(): number {
    if (this.state === "Dead") return ErrorCode.GROUP_ID_NOT_FOUND;
    if (this.state === "Empty" || this.usesConsumerProtocol) return ErrorCode.NONE;
    return ErrorCode.NON_EMPTY_GROUP;
  }

  deleteError(): number {
    if (this.state === "Dead") return ErrorCode.GROUP_ID_NOT_FOUND;
    return this.state === "Empty" ? ErrorCode.NONE : ErrorCode.NON_EMPTY_GROUP;
  }

  tombstones(): GroupRecord[] {
    return [groupMetadataTombstone(this.groupId)];
  }

  offsetsExpireFrom(): OffsetsExpireFrom {
    if (this.protocolType === null) return { kind: "commit" };
    if (this.state === "Empty") {
      return this.stateSinceMs === null ? { kind: "commit" } : { kind: "time", sinceMs: this.stateSinceMs };
    }
    // Offsets of topics that no member is subscribed to expire; the caller asks isSubscribedTo of each.
    if (this.usesConsumerProtocol && this.subscribedTopics !== null && this.state === "Stable")
      return { kind: "commit" };
    return { kind: "never" };
  }
}

export function joinError(memberId: string, errorCode: number): JoinGroupResponseInit {
  return { errorCode, memberId, leader: "", protocolName: null, members: [] };
}
