// OffsetCommit, TxnOffsetCommit, OffsetFetch and OffsetDelete for groups of every kind, and the expiry of offsets. Topics come named: ids are
// resolved, and topics that are unknown or not allowed are answered, before a request gets here.
import { type Uuid, uuidZero } from "../../../base/index.ts";
import { ErrorCode, type OffsetCommitValue } from "../../../protocol/index.ts";
import { ClassicGroup } from "../classic/classic-group.ts";
import type { ClassicRebalance } from "../classic/classic-rebalance.ts";
import type { Group, GroupDecision, GroupRecord, OffsetCommitter } from "../group.ts";
import type { GroupContext } from "../group-context.ts";
import { offsetCommitRecord, offsetCommitTombstone } from "../group-records.ts";
import type { OffsetStore, StoredOffset } from "./offset-store.ts";

export interface OffsetToCommit {
  readonly partitionIndex: number;
  readonly committedOffset: bigint;
  readonly committedLeaderEpoch: number;
  readonly committedMetadata: string | null;
}
export interface TopicToCommit {
  readonly name: string;
  /** Zero where the client named no id. */
  readonly topicId?: Uuid;
  readonly partitions: readonly OffsetToCommit[];
}
export interface OffsetCommitAsk {
  readonly groupId: string;
  readonly committer: OffsetCommitter;
  /** -1: the group's own rules. */
  readonly retentionMs: number;
  readonly topics: readonly TopicToCommit[];
}
export interface TopicCommitted {
  readonly name: string;
  readonly topicId: Uuid;
  readonly partitions: { readonly partitionIndex: number; readonly errorCode: number }[];
}
/** A refusal counts for every partition asked. */
export type OffsetCommitAnswer =
  | { readonly errorCode: number }
  | { readonly errorCode: 0; readonly topics: TopicCommitted[] };

export interface OffsetFetchAsk {
  readonly groupId: string;
  readonly memberId: string | null;
  readonly memberEpoch: number;
  /** Null: all that the group has. */
  readonly topics:
    | readonly { readonly name: string; readonly topicId?: Uuid; readonly partitionIndexes: readonly number[] }[]
    | null;
  readonly isStableRequired: boolean;
}
export interface PartitionFetched {
  readonly partitionIndex: number;
  readonly committedOffset: bigint;
  readonly committedLeaderEpoch: number;
  readonly metadata: string;
  readonly errorCode: number;
}
export interface TopicFetched {
  readonly name: string;
  readonly partitions: readonly PartitionFetched[];
}
export interface OffsetFetchAnswer {
  readonly errorCode: number;
  readonly topics: readonly TopicFetched[];
}

export interface OffsetDeleteAsk {
  readonly groupId: string;
  readonly topics: readonly { readonly name: string; readonly partitionIndexes: readonly number[] }[];
}
export interface OffsetDeleteAnswer {
  readonly errorCode: number;
  readonly topics: readonly {
    readonly name: string;
    readonly partitions: readonly { readonly partitionIndex: number; readonly errorCode: number }[];
  }[];
}

/** From this version on a member's epoch can be answered as stale, and a missing group as missing. */
const consumerProtocolCommitFrom = 9;

/** Of tombstones that one decision about deleted topics makes: a part of the largest batch that the internal topic takes. */
export const deletionBytesMax = 256 * 1024;
/** A tombstone besides its names. */
const tombstoneBytes = 48;

export class GroupOffsets {
  private readonly context: GroupContext;
  private readonly store: OffsetStore;
  private readonly rebalance: ClassicRebalance;

  constructor(context: GroupContext, store: OffsetStore, rebalance: ClassicRebalance) {
    this.context = context;
    this.store = store;
    this.rebalance = rebalance;
  }

  commit(ask: OffsetCommitAsk, nowMs: number): GroupDecision<OffsetCommitAnswer> {
    const { committer, groupId } = ask;
    const group = this.context.groups.get(groupId);
    const errorCode = this.commitError(group, ask);
    if (errorCode !== ErrorCode.NONE) return { records: [], answer: { errorCode } };
    if (group instanceof ClassicGroup && (group.state === "Stable" || group.state === "PreparingRebalance")) {
      // A consumer that commits is alive, even where its heartbeats are late.
      const member = group.members.get(committer.memberId);
      if (member !== undefined && !committer.isTransactional) this.rebalance.restartSession(group, member);
    }
    const records: GroupRecord[] = [];
    const expireTimestampMs = ask.retentionMs < 0 ? -1 : nowMs + ask.retentionMs;
    const topics = ask.topics.map((topic) => {
      const topicId = topic.topicId ?? uuidZero;
      const partitions = topic.partitions.map((partition) => {
        const refused = this.isTooLong(partition) ? ErrorCode.OFFSET_METADATA_TOO_LARGE : ErrorCode.NONE;
        if (refused === ErrorCode.NONE)
          records.push(
            offsetCommitRecord(groupId, topic.name, partition.partitionIndex, {
              offset: partition.committedOffset,
              leaderEpoch: partition.committedLeaderEpoch,
              metadata: partition.committedMetadata ?? "",
              commitTimestamp: BigInt(nowMs),
              expireTimestamp: BigInt(expireTimestampMs),
              topicId,
            }),
          );
        return { partitionIndex: partition.partitionIndex, errorCode: refused };
      });
      return { name: topic.name, topicId, partitions };
    });
    return { records, answer: { errorCode: ErrorCode.NONE, topics } };
  }

  private commitError(group: Group | undefined, ask: OffsetCommitAsk): number {
    const { committer } = ask;
    const { isTransactional, apiVersion, generationOrEpoch } = committer;
    if (group === undefined) {
      // A commit without a generation makes the group: it only keeps offsets.
      if (generationOrEpoch < 0) return ErrorCode.NONE;
      return !isTransactional && apiVersion >= consumerProtocolCommitFrom
        ? ErrorCode.GROUP_ID_NOT_FOUND
        : ErrorCode.ILLEGAL_GENERATION;
    }
    const error = group.offsetCommitError(committer) || this.firstPartitionError(group, ask);
    if (error !== ErrorCode.STALE_MEMBER_EPOCH) return error;
    if (isTransactional) return ErrorCode.ILLEGAL_GENERATION;
    return apiVersion >= consumerProtocolCommitFrom ? error : ErrorCode.UNSUPPORTED_VERSION;
  }

  /** A commit is refused as a whole when it may not be made for one of its partitions. */
  private firstPartitionError(group: Group, { committer, topics }: OffsetCommitAsk): number {
    if (group.offsetCommitErrorOf === undefined) return ErrorCode.NONE;
    for (const { name, topicId, partitions } of topics) {
      const id = topicId === undefined || topicId === uuidZero ? this.context.topics.byName(name)?.id : topicId;
      for (const { partitionIndex } of partitions) {
        const error = group.offsetCommitErrorOf(committer, id ?? uuidZero, partitionIndex);
        if (error !== ErrorCode.NONE) return error;
      }
    }
    return ErrorCode.NONE;
  }

  private isTooLong({ committedMetadata }: OffsetToCommit): boolean {
    return (committedMetadata?.length ?? 0) > this.context.config.offsetMetadataLengthMax;
  }

  fetch(ask: OffsetFetchAsk): OffsetFetchAnswer {
    const { groupId, topics } = ask;
    const group = this.context.groups.get(groupId);
    const error =
      group === undefined ? ErrorCode.GROUP_ID_NOT_FOUND : group.offsetFetchError(ask.memberId, ask.memberEpoch);
    // A group that is not there has committed nothing: no error to its members.
    const isMissing = error === ErrorCode.GROUP_ID_NOT_FOUND;
    if (error !== ErrorCode.NONE && !isMissing) return { errorCode: error, topics: [] };
    const offsets = isMissing ? undefined : this.store.ofGroup(groupId);
    const isUnstable = ask.isStableRequired && this.store.hasPendingOfGroup(groupId);
    const one = (topic: string, partitionIndex: number, stored: StoredOffset | undefined): PartitionFetched =>
      isUnstable && this.store.hasPending(groupId, topic, partitionIndex)
        ? fetched(partitionIndex, undefined, ErrorCode.UNSTABLE_OFFSET_COMMIT)
        : fetched(partitionIndex, stored, ErrorCode.NONE);
    if (topics === null) {
      const all: TopicFetched[] = [];
      for (const [name, partitions] of offsets ?? [])
        all.push({ name, partitions: [...partitions].map(([index, stored]) => one(name, index, stored)) });
      return { errorCode: ErrorCode.NONE, topics: all };
    }
    return {
      errorCode: ErrorCode.NONE,
      topics: topics.map(({ name, topicId, partitionIndexes }) => {
        const stored = offsets?.get(name);
        const partitions = partitionIndexes.map((index) => one(name, index, ofTopic(stored?.get(index), topicId)));
        return { name, partitions };
      }),
    };
  }

  delete(ask: OffsetDeleteAsk): GroupDecision<OffsetDeleteAnswer> {
    const { groupId } = ask;
    const group = this.context.groups.get(groupId);
    const errorCode = group === undefined ? ErrorCode.GROUP_ID_NOT_FOUND : group.offsetDeleteError();
    if (group === undefined || errorCode !== ErrorCode.NONE) return { records: [], answer: { errorCode, topics: [] } };
    const records: GroupRecord[] = [];
    const topics = ask.topics.map(({ name, partitionIndexes }) => {
      const isSubscribed = group.isSubscribedTo(name);
      const partitions = partitionIndexes.map((partitionIndex) => {
        if (isSubscribed) return { partitionIndex, errorCode: ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC as number };
        const isThere =
          this.store.get(groupId, name, partitionIndex) !== undefined ||
          this.store.hasPending(groupId, name, partitionIndex);
        if (isThere) records.push(offsetCommitTombstone(groupId, name, partitionIndex));
        return { partitionIndex, errorCode: ErrorCode.NONE as number };
      });
      return { name, partitions };
    });
    return { records, answer: { errorCode: ErrorCode.NONE, topics } };
  }

  /** The topics are gone: what was committed for them goes too, whoever committed it. Answers whether more is left than one decision takes. */
  deleteTopics(names: ReadonlySet<string>): GroupDecision<boolean> {
    const records: GroupRecord[] = [];
    let bytes = 0;
    for (const groupId of this.context.groups.keys()) {
      const add = (topic: string, partition: number): void => {
        records.push(offsetCommitTombstone(groupId, topic, partition));
        bytes += Buffer.byteLength(groupId) + Buffer.byteLength(topic) + tombstoneBytes;
      };
      for (const [topic, partitions] of this.store.ofGroup(groupId) ?? []) {
        if (!names.has(topic)) continue;
        for (const partition of partitions.keys()) {
          add(topic, partition);
          if (bytes >= deletionBytesMax) return { records, answer: true };
        }
      }
      for (const { topic, partition } of this.store.pendingOfGroup(groupId)) {
        if (!names.has(topic) || this.store.get(groupId, topic, partition) !== undefined) continue;
        add(topic, partition);
        if (bytes >= deletionBytesMax) return { records, answer: true };
      }
    }
    return { records, answer: false };
  }

  /** Tombstones for all that the group committed or has pending. */
  tombstones(groupId: string): GroupRecord[] {
    const records: GroupRecord[] = [];
    for (const [topic, partitions] of this.store.ofGroup(groupId) ?? [])
      for (const partition of partitions.keys()) records.push(offsetCommitTombstone(groupId, topic, partition));
    for (const { topic, partition } of this.store.pendingOfGroup(groupId))
      if (this.store.get(groupId, topic, partition) === undefined)
        records.push(offsetCommitTombstone(groupId, topic, partition));
    return records;
  }

  /** What looking for expired offsets of the group costs. */
  expiryWorkOf(groupId: string): number {
    let count = 1 + this.store.pendingProducerCount;
    for (const partitions of this.store.ofGroup(groupId)?.values() ?? []) count += partitions.size;
    return count;
  }

  /** Adds tombstones for what has expired; whether the group then has no offset left, committed or pending. */
  expire(group: Group, nowMs: number, records: GroupRecord[]): boolean {
    const { groupId } = group;
    const offsets = this.store.ofGroup(groupId);
    let isAllGone = !this.store.hasPendingOfGroup(groupId);
    if (offsets === undefined) return isAllGone;
    const from = group.offsetsExpireFrom();
    if (from.kind === "never") return false;
    for (const [topic, partitions] of offsets) {
      if (group.isSubscribedTo(topic)) {
        isAllGone = false;
        continue;
      }
      for (const [partition, stored] of partitions) {
        const sinceMs = from.kind === "commit" ? stored.commitTimestampMs : from.sinceMs;
        if (this.isExpired(stored, sinceMs, nowMs) && !this.store.hasPending(groupId, topic, partition))
          records.push(offsetCommitTombstone(groupId, topic, partition));
        else isAllGone = false;
      }
    }
    return isAllGone;
  }

  private isExpired(stored: StoredOffset, sinceMs: number, nowMs: number): boolean {
    if (stored.expireTimestampMs >= 0) return nowMs >= stored.expireTimestampMs;
    return nowMs - sinceMs >= this.context.config.offsetsRetentionMs;
  }
}

/** An offset of an earlier topic of the same name is none of this one's. */
function ofTopic(stored: StoredOffset | undefined, topicId: Uuid | undefined): StoredOffset | undefined {
  if (stored === undefined || topicId === undefined || topicId === uuidZero) return stored;
  return stored.topicId === uuidZero || stored.topicId === topicId ? stored : undefined;
}

function fetched(partitionIndex: number, stored: StoredOffset | undefined, errorCode: number): PartitionFetched {
  if (stored === undefined)
    return { partitionIndex, committedOffset: -1n, committedLeaderEpoch: -1, metadata: "", errorCode };
  const { offset, leaderEpoch, metadata } = stored;
  return { partitionIndex, committedOffset: offset, committedLeaderEpoch: leaderEpoch, metadata, errorCode };
}

/** What a record of before Kafka 0.9 says, in today's form. */
export function offsetCommitOfLegacy(value: {
  readonly offset: bigint;
  readonly metadata: string;
  readonly commitTimestamp: bigint;
}): OffsetCommitValue {
  return { ...value, leaderEpoch: -1, expireTimestamp: -1n, topicId: uuidZero };
}
