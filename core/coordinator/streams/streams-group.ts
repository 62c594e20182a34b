// A streams group (KIP-1071): members, the application's topology, the target tasks, and who has which task now. All of it comes from records and
// can be undone, but for what is named as not in records.
//
//   no members                                    Empty
//   the topology is not validated                 NotReady      topics are missing or do not fit
//   group epoch > assignment epoch                Assigning     the target is out of date
//   assignment epoch > a member's epoch           Reconciling   a member is on its way to the target
//   all equal                                     Stable
import type { Uuid } from "../../base/index.ts";
import { ErrorCode } from "../../protocol/index.ts";
import type { Group, GroupRecord, OffsetCommitter, OffsetsExpireFrom } from "../group/group.ts";
import type { GroupTopics } from "../group/group-topics.ts";
import { type UndoLog, UndoMap, UndoValue } from "../runtime/index.ts";
import { isReconciledTo, type KeyValue, type StreamsMember } from "./streams-member.ts";
import type { TaskOwners } from "./streams-reconcile.ts";
import { streamsGroupTombstones } from "./streams-records.ts";
import { noTaskTarget, type Tasks, type TaskTarget, taskKey } from "./tasks.ts";
import { type Topology, topicsRequired } from "./topology.ts";
import type { ConfiguredTopology } from "./topology-configure.ts";

export type StreamsGroupState = "Empty" | "NotReady" | "Assigning" | "Reconciling" | "Stable";

/** Of a group without records. */
const firstEpoch = 1;
/** From this version on a commit is answered with what such groups need. */
const commitFrom = 9;

interface Epochs {
  readonly group: number;
  readonly metadataHash: bigint;
  /** -1: the topology has not been found to fit the topics. */
  readonly validatedTopology: number;
  readonly assignmentConfigs: readonly KeyValue[];
}

/** A topology over the topics as they were when it was looked at. */
export interface Configuration {
  readonly topology: Topology;
  readonly metadataHash: bigint;
  readonly configured: ConfiguredTopology;
}

export class StreamsGroup implements Group, TaskOwners {
  readonly type = "streams";
  readonly protocolTypeName = "streams";
  readonly groupId: string;
  private readonly topics: GroupTopics;
  private readonly epochs: UndoValue<Epochs>;
  private readonly assignment: UndoValue<{ readonly epoch: number; readonly timestampMs: number }>;
  private readonly topologyValue: UndoValue<Topology | null>;
  readonly members: UndoMap<string, StreamsMember>;
  readonly targets: UndoMap<string, TaskTarget>;
  /** Task → member that runs it, or has still to give it up. */
  private readonly actives: UndoMap<string, string>;
  /** Task and process → member. */
  private readonly standbys: UndoMap<string, string>;
  private readonly warmups: UndoMap<string, string>;
  /** Not in records: null while the topics are to be looked at again. */
  configuration: Configuration | null = null;
  /** Not in records: counts up when a member that others can ask for its state gets other tasks. */
  endpointEpoch = 0;
  /** Not in records: who asked that the whole application ends. */
  shutdownRequestedBy: string | null = null;

  constructor(groupId: string, undo: UndoLog, topics: GroupTopics) {
    this.groupId = groupId;
    this.topics = topics;
    this.epochs = new UndoValue<Epochs>(undo, {
      group: firstEpoch,
      metadataHash: 0n,
      validatedTopology: -1,
      assignmentConfigs: [],
    });
    this.assignment = new UndoValue<{ epoch: number; timestampMs: number }>(undo, {
      epoch: firstEpoch,
      timestampMs: 0,
    });
    this.topologyValue = new UndoValue<Topology | null>(undo, null);
    this.members = new UndoMap(undo);
    this.targets = new UndoMap(undo);
    this.actives = new UndoMap(undo);
    this.standbys = new UndoMap(undo);
    this.warmups = new UndoMap(undo);
  }

  get groupEpoch(): number {
    return this.epochs.get().group;
  }

  get metadataHash(): bigint {
    return this.epochs.get().metadataHash;
  }

  get validatedTopologyEpoch(): number {
    return this.epochs.get().validatedTopology;
  }

  get assignmentConfigs(): readonly KeyValue[] {
    return this.epochs.get().assignmentConfigs;
  }

  get assignmentEpoch(): number {
    return this.assignment.get().epoch;
  }

  get assignmentTimestampMs(): number {
    return this.assignment.get().timestampMs;
  }

  get topology(): Topology | null {
    return this.topologyValue.get();
  }

  setEpochs(epochs: Epochs): void {
    this.epochs.set(epochs);
  }

  setAssignmentEpoch(epoch: number, timestampMs: number): void {
    this.assignment.set({ epoch, timestampMs });
  }

  setTopology(topology: Topology | null): void {
    this.topologyValue.set(topology);
  }

  get state(): StreamsGroupState {
    if (this.members.size === 0) return "Empty";
    if (this.topology === null || this.topology.epoch !== this.validatedTopologyEpoch) return "NotReady";
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

  targetOf(memberId: string): TaskTarget {
    return this.targets.get(memberId) ?? noTaskTarget;
  }

  // --- members and what they own ---------------------------------------------------------------

  setMember(member: StreamsMember): void {
    const before = this.members.get(member.memberId);
    if (before !== undefined) this.disown(before);
    for (const [owners, key] of this.ownedBy(member)) owners.set(key, member.memberId);
    this.members.set(member.memberId, member);
  }

  removeMember(memberId: string): void {
    const member = this.members.get(memberId);
    if (member === undefined) return;
    this.disown(member);
    this.members.delete(memberId);
  }

  private disown(member: StreamsMember): void {
    // Records of a compacted log may come in an order in which another owns the task already.
    for (const [owners, key] of this.ownedBy(member)) if (owners.get(key) === member.memberId) owners.delete(key);
  }

  private *ownedBy(member: StreamsMember): Generator<[UndoMap<string, string>, string]> {
    for (const tasks of [member.assigned, member.pendingRevocation] satisfies Tasks[]) {
      for (const key of keysOf(tasks.active)) yield [this.actives, key];
      for (const key of keysOf(tasks.standby)) yield [this.standbys, copyKey(key, member.processId)];
      for (const key of keysOf(tasks.warmup)) yield [this.warmups, copyKey(key, member.processId)];
    }
  }

  activeProcess(subtopologyId: string, partition: number): string | null {
    const memberId = this.actives.get(taskKey(subtopologyId, partition));
    return memberId === undefined ? null : (this.members.get(memberId)?.processId ?? null);
  }

  hasStandby(subtopologyId: string, partition: number, processId: string): boolean {
    return this.standbys.has(copyKey(taskKey(subtopologyId, partition), processId));
  }

  hasWarmup(subtopologyId: string, partition: number, processId: string): boolean {
    return this.warmups.has(copyKey(taskKey(subtopologyId, partition), processId));
  }

  // --- topics ----------------------------------------------------------------------------------

  /** Topics came, went or changed: they are looked at again with the next heartbeat. */
  onTopicsChanged(names: ReadonlySet<string>): void {
    const { topology } = this;
    if (topology === null) return;
    for (const name of topicsRequired(topology)) {
      if (!names.has(name)) continue;
      this.configuration = null;
      return;
    }
  }

  /** An empty group wants nothing: its offsets may be deleted. */
  isSubscribedTo(topic: string): boolean {
    if (this.isEmpty || this.topology === null) return false;
    return this.topology.subtopologies.some(
      ({ sourceTopics, repartitionSourceTopics }) =>
        sourceTopics.includes(topic) || repartitionSourceTopics.some(({ name }) => name === topic),
    );
  }

  // --- offsets and administration --------------------------------------------------------------

  offsetCommitError(committer: OffsetCommitter): number {
    const { memberId, groupInstanceId, generationOrEpoch, isTransactional, apiVersion } = committer;
    if (generationOrEpoch < 0 && this.isEmpty) return ErrorCode.NONE;
    if (isTransactional && generationOrEpoch < 0 && memberId === "" && groupInstanceId === null) return ErrorCode.NONE;
    const member = this.members.get(memberId);
    if (member === undefined) return ErrorCode.UNKNOWN_MEMBER_ID;
    if (!isTransactional && apiVersion < commitFrom) return ErrorCode.UNSUPPORTED_VERSION;
    return generationOrEpoch > member.memberEpoch ? ErrorCode.STALE_MEMBER_EPOCH : ErrorCode.NONE;
  }

  /** An epoch behind the member's is good enough for a task that it has run since then. */
  offsetCommitErrorOf(committer: OffsetCommitter, topicId: Uuid, partition: number): number {
    const member = this.members.get(committer.memberId);
    const { generationOrEpoch } = committer;
    if (member === undefined || generationOrEpoch < 0 || generationOrEpoch >= member.memberEpoch) return ErrorCode.NONE;
    const topic = this.topics.byId(topicId)?.name;
    const reader = this.topology?.subtopologies.find(
      ({ sourceTopics, repartitionSourceTopics }) =>
        topic !== undefined &&
        (sourceTopics.includes(topic) || repartitionSourceTopics.some(({ name }) => name === topic)),
    );
    if (reader === undefined) return ErrorCode.STALE_MEMBER_EPOCH;
    const { assigned, pendingRevocation } = member;
    const epoch =
      assigned.active.get(reader.subtopologyId)?.get(partition) ??
      pendingRevocation.active.get(reader.subtopologyId)?.get(partition);
    return epoch !== undefined && generationOrEpoch >= epoch ? ErrorCode.NONE : ErrorCode.STALE_MEMBER_EPOCH;
  }

  offsetFetchError(memberId: string | null, memberEpoch: number): number {
    if (memberId === null && memberEpoch < 0) return ErrorCode.NONE;
    const member = this.members.get(memberId ?? "");
    if (member === undefined) return ErrorCode.UNKNOWN_MEMBER_ID;
    return memberEpoch === member.memberEpoch ? ErrorCode.NONE : ErrorCode.STALE_MEMBER_EPOCH;
  }

  offsetDeleteError(): number {
    return ErrorCode.NONE;
  }

  deleteError(): number {
    return this.isEmpty ? ErrorCode.NONE : ErrorCode.NON_EMPTY_GROUP;
  }

  tombstones(): GroupRecord[] {
    return streamsGroupTombstones(this);
  }

  offsetsExpireFrom(): OffsetsExpireFrom {
    return { kind: "commit" };
  }
}

function* keysOf(tasks: Tasks["active"]): Generator<string> {
  for (const [subtopologyId, partitions] of tasks)
    for (const partition of partitions.keys()) yield taskKey(subtopologyId, partition);
}

function copyKey(key: string, processId: string): string {
  return `${key}\0${processId}`;
}
