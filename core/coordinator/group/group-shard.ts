// The coordinator of groups: one shard for one partition of `__consumer_offsets`. Hands requests, records and timers to the manager of the group's
// type. Decides only; see ../runtime for how what it decides comes to be.
import {
  type ConsumerGroupHeartbeatRequest,
  type ConsumerGroupHeartbeatResponseInit,
  ErrorCode,
  groupCoordinatorRecords,
  type HeartbeatRequest,
  type JoinGroupRequest,
  type LeaveGroupRequestMemberIdentity,
  type LeaveGroupResponseInit,
  type StreamsGroupHeartbeatRequest,
  type SyncGroupRequest,
} from "../../protocol/index.ts";
import { type EncodedRecord, type Shard, type TransactionalWriter, UndoMap } from "../runtime/index.ts";
import { ShareGroup } from "../share/group/share-group.ts";
import { ShareGroups } from "../share/group/share-groups.ts";
import { ShareLoader } from "../share/group/share-loader.ts";
import { StreamsGroup } from "../streams/streams-group.ts";
import { type StreamsAnswer, StreamsHeartbeat } from "../streams/streams-heartbeat.ts";
import { StreamsLoader } from "../streams/streams-loader.ts";
import { ClassicGroup, joinError } from "./classic/classic-group.ts";
import { ClassicJoin } from "./classic/classic-join.ts";
import { ClassicLoader } from "./classic/classic-loader.ts";
import { type JoinAnswer, noAssignment, type SyncAnswer } from "./classic/classic-member.ts";
import { ClassicRebalance, nothing } from "./classic/classic-rebalance.ts";
import { ClassicRequests } from "./classic/classic-requests.ts";
import { ConsumerClassic } from "./consumer/consumer-classic.ts";
import { ConsumerGroup } from "./consumer/consumer-group.ts";
import { ConsumerHeartbeat } from "./consumer/consumer-heartbeat.ts";
import { ConsumerLoader } from "./consumer/consumer-loader.ts";
import { ConsumerMigration } from "./consumer/consumer-migration.ts";
import type { Group, GroupClient, GroupDecision, GroupRecord } from "./group.ts";
import { GroupAdministration } from "./group-administration.ts";
import type { GroupContext, GroupShardPorts } from "./group-context.ts";
import { type GroupTimer, timerKeys } from "./group-timers.ts";
import { GroupOffsets, offsetCommitOfLegacy } from "./offsets/group-offsets.ts";
import { OffsetStore } from "./offsets/offset-store.ts";

/** The loop serves others between two slices of an expiry. */
const expirySliceDelayMs = 5;

export class GroupShard implements Shard<GroupRecord, GroupTimer> {
  private readonly context: GroupContext;
  private readonly rebalance: ClassicRebalance;
  private readonly classicJoin: ClassicJoin;
  private readonly classic: ClassicRequests;
  private readonly classicLoader: ClassicLoader;
  private readonly consumer: ConsumerHeartbeat;
  private readonly consumerClassic: ConsumerClassic;
  private readonly consumerLoader: ConsumerLoader;
  readonly share: ShareGroups;
  private readonly shareLoader: ShareLoader;
  private readonly streams: StreamsHeartbeat;
  private readonly streamsLoader: StreamsLoader;
  /** Its offsets are being read or committed one after another. */
  private lastKeptGroup: string | null = null;
  readonly store: OffsetStore;
  readonly offsets: GroupOffsets;
  readonly administration: GroupAdministration;

  constructor(ports: GroupShardPorts) {
    const groups = new UndoMap<string, Group>(ports.undo);
    this.context = { ...ports, groups };
    this.store = new OffsetStore(ports.undo);
    this.rebalance = new ClassicRebalance(this.context);
    this.classicJoin = new ClassicJoin(this.context, this.rebalance);
    this.classic = new ClassicRequests(this.rebalance);
    this.classicLoader = new ClassicLoader(this.context);
    this.consumerLoader = new ConsumerLoader(this.context);
    const migration = new ConsumerMigration(this.context, this.consumerLoader, this.rebalance);
    this.consumer = new ConsumerHeartbeat(this.context, migration);
    this.consumerClassic = new ConsumerClassic(this.context, this.consumer, migration);
    this.share = new ShareGroups(this.context);
    this.shareLoader = new ShareLoader(this.context);
    this.streams = new StreamsHeartbeat(this.context);
    this.streamsLoader = new StreamsLoader(this.context);
    this.offsets = new GroupOffsets(this.context, this.store, this.rebalance);
    this.administration = new GroupAdministration(this.context, this.offsets);
  }

  group(groupId: string): Group | undefined {
    return this.context.groups.get(groupId);
  }

  get groups(): MapIterator<Group> {
    return this.context.groups.values();
  }

  // --- requests --------------------------------------------------------------------------------

  joinGroup(request: JoinGroupRequest, client: GroupClient, answer: JoinAnswer, nowMs: number): GroupDecision<void> {
    const existing = this.group(request.groupId);
    if (existing === undefined || existing instanceof ClassicGroup)
      return this.classicJoin.join(request, client, answer, nowMs, { existing, records: [] });
    if (existing instanceof ConsumerGroup) {
      if (!existing.isEmpty) return this.consumerClassic.join(existing, request, client, answer, nowMs);
      // An empty group gives way to another kind; its offsets stay, under the same id.
      const records = request.memberId === "" ? existing.tombstones() : [];
      return this.classicJoin.join(request, client, answer, nowMs, { existing, records });
    }
    answer(joinError(request.memberId, ErrorCode.INCONSISTENT_GROUP_PROTOCOL));
    return nothing;
  }

  syncGroup(request: SyncGroupRequest, answer: SyncAnswer, nowMs: number): GroupDecision<void> {
    const group = this.group(request.groupId);
    if (group instanceof ClassicGroup) return this.classic.sync(group, request, answer, nowMs);
    if (group instanceof ConsumerGroup) return this.consumerClassic.sync(group, request, answer);
    answer({ errorCode: ErrorCode.UNKNOWN_MEMBER_ID, assignment: noAssignment });
    return nothing;
  }

  heartbeat(request: HeartbeatRequest): GroupDecision<number> {
    const group = this.group(request.groupId);
    let answer: number = ErrorCode.UNKNOWN_MEMBER_ID;
    if (group instanceof ClassicGroup) answer = this.classic.heartbeat(group, request);
    else if (group instanceof ConsumerGroup) answer = this.consumerClassic.heartbeat(group, request);
    return { records: [], answer };
  }

  leaveGroup(
    groupId: string,
    identities: readonly LeaveGroupRequestMemberIdentity[],
    nowMs: number,
  ): GroupDecision<LeaveGroupResponseInit> {
    const group = this.group(groupId);
    if (group instanceof ClassicGroup) return this.classic.leave(group, identities, nowMs);
    if (group instanceof ConsumerGroup) return this.consumerClassic.leave(group, identities, nowMs);
    const errorCode = ErrorCode.UNKNOWN_MEMBER_ID;
    const members = identities.map(({ memberId, groupInstanceId }) => ({ memberId, groupInstanceId, errorCode }));
    return { records: [], answer: { errorCode: ErrorCode.NONE, members } };
  }

  consumerGroupHeartbeat(
    request: ConsumerGroupHeartbeatRequest,
    client: GroupClient,
    nowMs: number,
  ): GroupDecision<ConsumerGroupHeartbeatResponseInit> {
    return this.consumer.heartbeat(request, client, nowMs);
  }

  streamsGroupHeartbeat(
    request: StreamsGroupHeartbeatRequest,
    client: GroupClient,
    nowMs: number,
  ): GroupDecision<StreamsAnswer> {
    return this.streams.heartbeat(request, client, nowMs);
  }

  /** The cluster's topics changed: groups that want one of these look at them again with their next heartbeat. */
  onTopicsChanged(names: ReadonlySet<string>): void {
    this.share.onTopicsChanged(names);
    for (const group of this.context.groups.values()) {
      if (group instanceof StreamsGroup) group.onTopicsChanged(names);
      if (!(group instanceof ConsumerGroup)) continue;
      for (const name of group.subscribedTopics()) {
        if (!names.has(name)) continue;
        group.requestMetadataRefresh();
        break;
      }
    }
  }

  // --- the runtime's side ----------------------------------------------------------------------

  encode(record: GroupRecord): EncodedRecord {
    return groupCoordinatorRecords.encode(record);
  }

  decode(key: Buffer, value: Buffer | null): GroupRecord | null {
    return groupCoordinatorRecords.decode(key, value);
  }

  replay(record: GroupRecord, _timestampMs: number, transaction: TransactionalWriter | null): void {
    switch (record.type) {
      case "OffsetCommit":
        if (record.value !== null) this.keepGroupOf(record.key.group);
        return this.store.replay(record.key, record.value, transaction);
      case "LegacyOffsetCommit":
        if (record.value !== null) this.keepGroupOf(record.key.group);
        return this.store.replay(record.key, record.value && offsetCommitOfLegacy(record.value), transaction);
      case "GroupMetadata":
        this.lastKeptGroup = null;
        return this.classicLoader.replay(record.key.group, record.value);
      default:
        this.lastKeptGroup = null;
        if (!this.consumerLoader.replay(record) && !this.shareLoader.replay(record)) this.streamsLoader.replay(record);
    }
  }

  /** Offsets without a group: a consumer that manages its partitions itself. The group that keeps them is in no record. */
  private keepGroupOf(groupId: string): void {
    if (groupId === this.lastKeptGroup) return;
    if (!this.context.groups.has(groupId)) this.context.groups.set(groupId, new ClassicGroup(groupId, null));
    // Known to be there until a record says otherwise; what may yet be undone is not known.
    this.lastKeptGroup = this.context.undo.isRecording ? null : groupId;
  }

  replayTransactionEnd(writer: TransactionalWriter, isCommitted: boolean): void {
    this.store.replayTransactionEnd(writer.producerId, isCommitted);
  }

  onLoaded(nowMs: number): void {
    for (const group of this.context.groups.values()) {
      if (group instanceof ClassicGroup) this.rebalance.onLoaded(group, nowMs);
      else if (group instanceof ConsumerGroup) this.consumer.onLoaded(group);
      else if (group instanceof StreamsGroup) this.streams.onLoaded(group);
      else if (group instanceof ShareGroup) this.share.onLoaded(group);
    }
    this.scheduleExpiry();
  }

  onUnloaded(): void {
    for (const group of this.context.groups.values()) {
      if (group instanceof ClassicGroup) this.rebalance.onUnloaded(group);
    }
  }

  onTimer(timer: GroupTimer, nowMs: number): GroupDecision<void> {
    switch (timer.kind) {
      case "classic-session":
        return this.rebalance.onSessionTimeout(timer.groupId, timer.memberId, nowMs);
      case "classic-join":
        return this.rebalance.onJoinTimeout(timer.groupId, nowMs);
      case "classic-initial-join":
        return this.rebalance.onInitialJoinTimeout(timer.groupId, timer.delayMs, timer.leftMs, nowMs);
      case "classic-sync":
        return this.rebalance.onSyncTimeout(timer.groupId, timer.generationId, nowMs);
      case "offset-expiry": {
        const { answer: hasMore, ...step } = this.administration.expire(nowMs);
        this.scheduleExpiry(hasMore ? expirySliceDelayMs : this.context.config.offsetsRetentionCheckIntervalMs);
        return { ...step, answer: undefined };
      }
      case "consumer-session":
        return this.consumer.onSessionTimeout(timer.groupId, timer.memberId, nowMs);
      case "consumer-revocation":
        return this.consumer.onRevocationTimeout(timer.groupId, timer.memberId, timer.memberEpoch, nowMs);
      case "consumer-classic-join":
      case "consumer-classic-sync": {
        const group = this.group(timer.groupId);
        if (!(group instanceof ConsumerGroup)) return nothing;
        return this.consumerClassic.onTimeout(group, timer.memberId, timer.memberEpoch, nowMs);
      }
      case "share-session":
        return this.share.onSessionTimeout(timer.groupId, timer.memberId);
      case "streams-session":
        return this.streams.onSessionTimeout(timer.groupId, timer.memberId);
      case "streams-revocation":
        return this.streams.onRevocationTimeout(timer.groupId, timer.memberId, timer.memberEpoch);
      case "streams-initial-rebalance":
        return this.streams.onInitialDelayOver(timer.groupId, nowMs);
      case "consumer-regex": {
        const group = this.group(timer.groupId);
        return group instanceof ConsumerGroup ? this.consumer.regexes.resolve(group, nowMs) : nothing;
      }
      default:
        return nothing;
    }
  }

  private scheduleExpiry(delayMs: number = this.context.config.offsetsRetentionCheckIntervalMs): void {
    this.context.timers.set(timerKeys.offsetExpiry, delayMs, { kind: "offset-expiry" });
  }
}
