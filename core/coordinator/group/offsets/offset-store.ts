// Committed offsets by group, topic and partition, and those that transactions have written and not yet decided. Changed by replay alone.
import type { Uuid } from "../../../base/index.ts";
import type { OffsetCommitValue } from "../../../protocol/index.ts";
import type { TransactionalWriter, UndoLog } from "../../runtime/index.ts";
import { UndoMap } from "../../runtime/index.ts";
import { PartitionOffsets } from "./partition-offsets.ts";

export interface StoredOffset {
  readonly offset: bigint;
  readonly leaderEpoch: number;
  readonly metadata: string;
  readonly commitTimestampMs: number;
  /** Given with the commit (OffsetCommit v2 to v4); -1 where the group's rules count. */
  readonly expireTimestampMs: number;
  readonly topicId: Uuid;
  /** Grows with the record's place in the log: an older transaction that commits late does not undo a younger commit. */
  readonly order: number;
}

export type ByTopic = UndoMap<string, PartitionOffsets>;
type PendingOffsets = UndoMap<string, ByTopic>;

export class OffsetStore {
  private readonly undo: UndoLog;
  private readonly committed: UndoMap<string, ByTopic>;
  private readonly pending: UndoMap<number, PendingOffsets>;
  private order = 0;
  /** The ids of few topics stand in many records: each is kept once. */
  private lastTopicId: Uuid | null = null;
  /** Of committed offsets. */
  count = 0;
  /** Where the last committed offset went: the log has many of one group in a row. Not kept while changes may be undone. */
  private lastGroup = "";
  private lastTopic = "";
  private lastPartitions: PartitionOffsets | null = null;

  constructor(undo: UndoLog) {
    this.undo = undo;
    this.committed = new UndoMap(undo);
    this.pending = new UndoMap(undo);
  }

  get groupIds(): MapIterator<string> {
    return this.committed.keys();
  }

  /** Producers with offsets in an open transaction: each is looked at for what is pending of a group. */
  get pendingProducerCount(): number {
    return this.pending.size;
  }

  ofGroup(groupId: string): ByTopic | undefined {
    return this.committed.get(groupId);
  }

  get(groupId: string, topic: string, partition: number): StoredOffset | undefined {
    return this.committed.get(groupId)?.get(topic)?.get(partition);
  }

  hasPending(groupId: string, topic: string, partition: number): boolean {
    for (const groups of this.pending.values())
      if (groups.get(groupId)?.get(topic)?.has(partition) === true) return true;
    return false;
  }

  hasPendingOfGroup(groupId: string): boolean {
    for (const groups of this.pending.values()) if (groups.has(groupId)) return true;
    return false;
  }

  /** Each once, whatever number of transactions have it. */
  pendingOfGroup(groupId: string): { topic: string; partition: number }[] {
    const found = new Map<string, { topic: string; partition: number }>();
    for (const groups of this.pending.values()) {
      const topics = groups.get(groupId);
      if (topics === undefined) continue;
      for (const [topic, partitions] of topics)
        for (const partition of partitions.keys()) found.set(`${partition}-${topic}`, { topic, partition });
    }
    return [...found.values()];
  }

  /** Null: a tombstone. */
  replay(
    key: { readonly group: string; readonly topic: string; readonly partition: number },
    value: OffsetCommitValue | null,
    transaction: TransactionalWriter | null,
  ): void {
    const { group, topic, partition } = key;
    if (value === null) {
      this.remove(this.committed, group, topic, partition, true);
      for (const [producerId, groups] of [...this.pending]) {
        this.remove(groups, group, topic, partition, false);
        if (groups.size === 0) this.pending.delete(producerId);
      }
      return;
    }
    if (value.topicId !== this.lastTopicId) this.lastTopicId = value.topicId;
    const stored: StoredOffset = {
      offset: value.offset,
      leaderEpoch: value.leaderEpoch,
      metadata: value.metadata,
      commitTimestampMs: Number(value.commitTimestamp),
      expireTimestampMs: Number(value.expireTimestamp),
      topicId: this.lastTopicId!,
      order: this.order++,
    };
    if (transaction === null) return this.put(group, topic, partition, stored);
    let groups = this.pending.get(transaction.producerId);
    if (groups === undefined) {
      groups = new UndoMap(this.undo);
      this.pending.set(transaction.producerId, groups);
    }
    this.partitionsOf(groups, group, topic).set(partition, stored);
  }

  replayTransactionEnd(producerId: number, isCommitted: boolean): void {
    const groups = this.pending.get(producerId);
    if (groups === undefined) return;
    this.pending.delete(producerId);
    if (!isCommitted) return;
    for (const [group, topics] of groups) {
      for (const [topic, partitions] of topics) {
        for (const [partition, stored] of partitions) {
          const before = this.get(group, topic, partition);
          if (before === undefined || before.order < stored.order) this.put(group, topic, partition, stored);
        }
      }
    }
  }

  private put(group: string, topic: string, partition: number, stored: StoredOffset): void {
    if (this.lastPartitions === null || this.lastGroup !== group || this.lastTopic !== topic || this.undo.isRecording) {
      const partitions = this.partitionsOf(this.committed, group, topic);
      this.lastPartitions = partitions;
      this.lastGroup = group;
      this.lastTopic = topic;
    }
    const partitions = this.lastPartitions;
    if (this.undo.isRecording) this.lastPartitions = null;
    const sizeBefore = partitions.size;
    partitions.set(partition, stored);
    if (partitions.size !== sizeBefore) this.addToCount(1);
  }

  private addToCount(step: number): void {
    if (this.undo.isRecording)
      this.undo.remember(() => {
        this.count -= step;
      });
    this.count += step;
  }

  private partitionsOf(groups: UndoMap<string, ByTopic>, group: string, topic: string): PartitionOffsets {
    let topics = groups.get(group);
    if (topics === undefined) {
      topics = new UndoMap(this.undo);
      groups.set(group, topics);
    }
    let partitions = topics.get(topic);
    if (partitions === undefined) {
      partitions = new PartitionOffsets(this.undo);
      topics.set(topic, partitions);
    }
    return partitions;
  }

  private remove(
    groups: UndoMap<string, ByTopic>,
    group: string,
    topic: string,
    partition: number,
    isCounted: boolean,
  ): void {
    const topics = groups.get(group);
    const partitions = topics?.get(topic);
    if (topics === undefined || partitions === undefined || !partitions.has(partition)) return;
    this.lastPartitions = null;
    partitions.delete(partition);
    if (isCounted) this.addToCount(-1);
    if (partitions.size === 0) topics.delete(topic);
    if (topics.size === 0) groups.delete(group);
  }
}
