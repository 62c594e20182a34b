// A consumer group (KIP-848): members, the target that an assignor made for them, and who owns which partition now. All of it comes from records
// and can be undone.
//
//   group epoch > assignment epoch               Assigning     the target is out of date
//   assignment epoch > a member's epoch          Reconciling   a member is on its way to the target
//   all equal                                    Stable
//   no members                                   Empty
import type { Uuid } from "../../../base/index.ts";
import { ErrorCode } from "../../../protocol/index.ts";
import { type UndoLog, UndoMap, UndoSet, UndoValue } from "../../runtime/index.ts";
import type { Group, GroupRecord, OffsetCommitter, OffsetsExpireFrom } from "../group.ts";
import type { LinearRegex } from "../regex/linear-regex.ts";
import { type Assigned, type ConsumerMember, isReconciledTo, noTarget, type Target } from "./consumer-member.ts";
import { consumerGroupTombstones } from "./consumer-records.ts";

export type ConsumerGroupState = "Empty" | "Assigning" | "Reconciling" | "Stable";

/** Where the search for the topics of a group's patterns stands. */
export interface RegexWork {
  readonly patterns: readonly string[];
  /** Of the topics as they were when it began, in this version of the metadata. */
  readonly names: readonly string[];
  readonly version: number;
  readonly found: Map<string, Set<string>>;
  patternIndex: number;
  nameIndex: number;
  regex: LinearRegex | null;
  workCount: number;
}

export interface ResolvedRegex {
  readonly topics: ReadonlySet<string>;
  /** Of the metadata that it was resolved against. */
  readonly version: number;
  readonly timestampMs: number;
}

/** Of a group without records: a member is in it while its topics are still to be found out. */
const firstEpoch = 1;
/** From this version on a commit is answered with what consumer groups need. */
const commitFrom = 9;

export class ConsumerGroup implements Group {
  readonly type = "consumer";
  readonly protocolTypeName = "consumer";
  readonly groupId: string;
  private readonly epochs: UndoValue<{ readonly group: number; readonly metadataHash: bigint }>;
  private readonly assignment: UndoValue<{ readonly epoch: number; readonly timestampMs: number }>;
  readonly members: UndoMap<string, ConsumerMember>;
  readonly staticMembers: UndoMap<string, string>;
  readonly targets: UndoMap<string, Target>;
  readonly regexes: UndoMap<string, ResolvedRegex>;
  /** Who has a partition, or has still to give it up: topic, then partition → member epoch. */
  private readonly owners: UndoMap<string, number>;
  /** Records of a type that Kafka no longer writes: tombstones are due for them. */
  readonly legacyMetadata: UndoSet<true>;
  /** Not in records: until when the hash of the topics counts as fresh, and for which epoch. */
  private metadataFreshUntilMs = 0;
  private metadataFreshEpoch = 0;
  /** Not in records: when the regexes were last asked to be resolved. */
  regexesAskedMs = Number.NEGATIVE_INFINITY;
  isResolvingRegexes = false;
  regexWork: RegexWork | null = null;
  /** Of the member whose heartbeat asked for it, as in Kafka. */
  mayFindTopic: ((topic: string) => boolean) | null = null;

  constructor(groupId: string, undo: UndoLog) {
    this.groupId = groupId;
    this.epochs = new UndoValue<{ group: number; metadataHash: bigint }>(undo, { group: firstEpoch, metadataHash: 0n });
    this.assignment = new UndoValue<{ epoch: number; timestampMs: number }>(undo, {
      epoch: firstEpoch,
      timestampMs: 0,
    });
    this.members = new UndoMap(undo);
    this.staticMembers = new UndoMap(undo);
    this.targets = new UndoMap(undo);
    this.regexes = new UndoMap(undo);
    this.owners = new UndoMap(undo);
    this.legacyMetadata = new UndoSet(undo);
  }

  get groupEpoch(): number {
    return this.epochs.get().group;
  }

  get metadataHash(): bigint {
    return this.epochs.get().metadataHash;
  }

  get assignmentEpoch(): number {
    return this.assignment.get().epoch;
  }

  get assignmentTimestampMs(): number {
    return this.assignment.get().timestampMs;
  }

  setEpoch(group: number, metadataHash: bigint): void {
    this.epochs.set({ group, metadataHash });
  }

  setAssignmentEpoch(epoch: number, timestampMs: number): void {
    this.assignment.set({ epoch, timestampMs });
  }

  get state(): ConsumerGroupState {
    if (this.members.size === 0) return "Empty";
    if (this.groupEpoch > this.assignmentEpoch) return "Assigning";
    for (const member of this.members.values()) if (!isReconciledTo(member, this.assignmentEpoch)) return "Reconciling";
    return "Stable";
  }

  stateName(): string {
    return this.state;
  }

  get isEmpty(): boolean {
    return this.members.size === 0;
  }

  targetOf(memberId: string): Target {
    return this.targets.get(memberId) ?? noTarget;
  }

  // --- members and what they own ---------------------------------------------------------------

  setMember(member: ConsumerMember): void {
    const before = this.members.get(member.memberId);
    if (before !== undefined) this.disown(before);
    this.own(member);
    this.members.set(member.memberId, member);
    if (member.instanceId !== null && this.staticMembers.get(member.instanceId) !== member.memberId)
      this.staticMembers.set(member.instanceId, member.memberId);
  }

  removeMember(memberId: string): void {
    const member = this.members.get(memberId);
    if (member === undefined) return;
    this.disown(member);
    this.members.delete(memberId);
    if (member.instanceId !== null && this.staticMembers.get(member.instanceId) === memberId)
      this.staticMembers.delete(member.instanceId);
  }

  private own(member: ConsumerMember): void {
    for (const assigned of [member.assigned, member.pendingRevocation])
      for (const [topic, partitions] of assigned)
        for (const partition of partitions.keys()) this.owners.set(ownerKey(topic, partition), member.memberEpoch);
  }

  private disown(member: ConsumerMember): void {
    const forget = (assigned: Assigned): void => {
      for (const [topic, partitions] of assigned) {
        for (const partition of partitions.keys()) {
          const key = ownerKey(topic, partition);
          // Records of a compacted log may come in an order in which another owns it already.
          if (this.owners.get(key) === member.memberEpoch) this.owners.delete(key);
        }
      }
    };
    forget(member.assigned);
    forget(member.pendingRevocation);
  }

  /** The epoch of the member that has the partition; -1 where it is free. */
  ownerEpoch(topic: Uuid, partition: number): number {
    return this.owners.get(ownerKey(topic, partition)) ?? -1;
  }

  // --- subscriptions ---------------------------------------------------------------------------

  /** As they would be with `updated` in place of the member of its id, and without `goneId`. */
  membersWith(updated: ConsumerMember | null, goneId: string | null = null): ConsumerMember[] {
    const members: ConsumerMember[] = [];
    let isSeen = false;
    for (const member of this.members.values()) {
      if (updated !== null && member.memberId === updated.memberId) {
        isSeen = true;
        members.push(updated);
      } else if (member.memberId !== goneId) members.push(member);
    }
    if (updated !== null && !isSeen) members.push(updated);
    return members;
  }

  /** All topics that the members want, by name and by resolved regular expression. */
  subscribedTopics(members: Iterable<ConsumerMember> = this.members.values()): Set<string> {
    const names = new Set<string>();
    for (const member of members) this.addTopicsOf(member, names);
    return names;
  }

  topicsOf(member: ConsumerMember): Set<string> {
    const names = new Set<string>();
    this.addTopicsOf(member, names);
    return names;
  }

  private addTopicsOf({ subscribedTopicNames, subscribedTopicRegex }: ConsumerMember, names: Set<string>): void {
    for (const name of subscribedTopicNames) names.add(name);
    if (subscribedTopicRegex !== "")
      for (const name of this.regexes.get(subscribedTopicRegex)?.topics ?? []) names.add(name);
  }

  isSubscribedTo(topic: string): boolean {
    for (const member of this.members.values()) {
      if (member.subscribedTopicNames.includes(topic)) return true;
      if (this.regexes.get(member.subscribedTopicRegex)?.topics.has(topic) === true) return true;
    }
    return false;
  }

  /** The assignor that most members ask for; null where none asks. */
  preferredAssignor(members: Iterable<ConsumerMember>): string | null {
    const votes = new Map<string, number>();
    for (const { serverAssignor } of members)
      if (serverAssignor !== null) votes.set(serverAssignor, (votes.get(serverAssignor) ?? 0) + 1);
    let best: string | null = null;
    for (const [name, count] of votes) if (best === null || count > votes.get(best)!) best = name;
    return best;
  }

  hasMetadataExpired(nowMs: number): boolean {
    return nowMs >= this.metadataFreshUntilMs || this.groupEpoch < this.metadataFreshEpoch;
  }

  setMetadataFresh(untilMs: number, epoch: number): void {
    this.metadataFreshUntilMs = untilMs;
    this.metadataFreshEpoch = epoch;
  }

  requestMetadataRefresh(): void {
    this.metadataFreshUntilMs = 0;
  }

  // --- offsets and administration --------------------------------------------------------------

  offsetCommitError(committer: OffsetCommitter): number {
    const { memberId, groupInstanceId, generationOrEpoch, isTransactional, apiVersion } = committer;
    if (generationOrEpoch < 0 && this.members.size === 0) return ErrorCode.NONE;
    if (isTransactional && generationOrEpoch < 0 && memberId === "" && groupInstanceId === null) return ErrorCode.NONE;
    const member = this.members.get(memberId);
    if (member === undefined) return ErrorCode.UNKNOWN_MEMBER_ID;
    if (!isTransactional && member.classic === null && apiVersion < commitFrom) return ErrorCode.UNSUPPORTED_VERSION;
    if (generationOrEpoch === member.memberEpoch) return ErrorCode.NONE;
    if (member.classic !== null) return ErrorCode.ILLEGAL_GENERATION;
    return generationOrEpoch > member.memberEpoch ? ErrorCode.STALE_MEMBER_EPOCH : ErrorCode.NONE;
  }

  /** An epoch behind the member's is good enough for a partition that it has had since then (KIP-1251). */
  offsetCommitErrorOf(committer: OffsetCommitter, topicId: Uuid, partition: number): number {
    const member = this.members.get(committer.memberId);
    if (member === undefined || member.classic !== null) return ErrorCode.NONE;
    const { generationOrEpoch } = committer;
    if (generationOrEpoch < 0 || generationOrEpoch >= member.memberEpoch) return ErrorCode.NONE;
    const epoch = member.assigned.get(topicId)?.get(partition) ?? member.pendingRevocation.get(topicId)?.get(partition);
    return epoch !== undefined && generationOrEpoch >= epoch ? ErrorCode.NONE : ErrorCode.STALE_MEMBER_EPOCH;
  }

  offsetFetchError(memberId: string | null, memberEpoch: number): number {
    if (memberId === null && memberEpoch < 0) return ErrorCode.NONE;
    const member = this.members.get(memberId ?? "");
    if (member === undefined) return ErrorCode.UNKNOWN_MEMBER_ID;
    if (memberEpoch === member.memberEpoch) return ErrorCode.NONE;
    return member.classic === null ? ErrorCode.STALE_MEMBER_EPOCH : ErrorCode.ILLEGAL_GENERATION;
  }

  offsetDeleteError(): number {
    return ErrorCode.NONE;
  }

  deleteError(): number {
    return this.isEmpty ? ErrorCode.NONE : ErrorCode.NON_EMPTY_GROUP;
  }

  tombstones(): GroupRecord[] {
    return consumerGroupTombstones(this);
  }

  offsetsExpireFrom(): OffsetsExpireFrom {
    return { kind: "commit" };
  }
}

function ownerKey(topic: Uuid, partition: number): string {
  return topic + partition;
}
