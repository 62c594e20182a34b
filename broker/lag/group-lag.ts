// How far groups are behind, in records and in seconds, as this broker sees it: the groups that it coordinates, in the partitions that it has.
// Worked out when somebody asks, in slices that give way to the loop. What a look-up read from a log is kept by partition and offset.
import { type Clock, DiskError, type Logger, type Timers } from "@blumfeld/core/base";
import type { Group, GroupShard } from "@blumfeld/core/coordinator";
import type { PartitionManager } from "../partition/partition-manager.ts";
import { type NextRecord, nextRecord } from "./next-record.ts";

/** Of one reading: what is beyond is left out, and counted. */
export const lagPartitionCountMax = 10_000;
/** Timestamps that are kept. A group that stands still is read once. */
export const lagCacheCountMax = 20_000;
/** After this much work the loop goes on with others. */
export const lagStallMsMax = 10;

export interface PartitionLag {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Records up to the high watermark; null where this broker does not have the partition. */
  readonly records: number | null;
  /** Since the next record to be read was written; 0 where none is left to read, null where that is not known. */
  readonly seconds: number | null;
}

export interface GroupLag {
  readonly groupId: string;
  readonly memberCount: number;
  readonly partitions: readonly PartitionLag[];
}

interface GroupsSource {
  /** The shards that are led here and loaded. */
  shards(): Iterable<GroupShard>;
}

export interface GroupLagParts {
  readonly groups: GroupsSource;
  readonly partitions: PartitionManager;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}

export class GroupLags {
  private readonly parts: GroupLagParts;
  /** In the order of use, the oldest first. */
  private readonly known = new Map<string, NextRecord>();
  private sliceStartMs = 0;

  constructor(parts: GroupLagParts) {
    this.parts = parts;
  }

  /** Groups with members or offsets, up to the bound on partitions; `onLeftOut` hears of each partition beyond it. */
  async *read(onLeftOut: (partitionCount: number) => void = () => {}): AsyncGenerator<GroupLag> {
    this.sliceStartMs = this.parts.clock.monotonicMs();
    let count = 0;
    for (const shard of [...this.parts.groups.shards()]) {
      // A name may be gone by its turn; a group that came meanwhile is in the next reading.
      for (const groupId of namesOf(shard)) {
        await this.giveWay();
        const group = shard.group(groupId);
        if (group === undefined) continue;
        const offsets = offsetsOf(shard, groupId);
        const room = Math.max(0, lagPartitionCountMax - count);
        if (offsets.length > room) onLeftOut(offsets.length - room);
        count += Math.min(offsets.length, room);
        const partitions: PartitionLag[] = [];
        for (const { topic, partition, offset } of offsets.slice(0, room)) {
          partitions.push(await this.of(topic, partition, offset));
          await this.giveWay();
        }
        yield { groupId, memberCount: group.members.size, partitions };
      }
    }
  }

  private async of(topic: string, partition: number, offset: number): Promise<PartitionLag> {
    const found = this.parts.partitions.get(topic, partition);
    const log = found?.log ?? null;
    const unknown = { topic, partition, offset, records: null, seconds: null };
    if (found === null || log === null) return unknown;
    const end = log.highWatermark;
    const records = Math.max(0, end - offset);
    if (records === 0) return { topic, partition, offset, records, seconds: 0 };
    const from = Math.max(offset, log.logStartOffset);
    const key = `${found.topicId}/${partition}/${found.leaderEpoch}/${from}`;
    try {
      const next = this.known.get(key) ?? (await nextRecord(log, from, end));
      if (next === null) return { topic, partition, offset, records, seconds: 0 };
      this.keep(key, next);
      if (next.timestampMs < 0) return { ...unknown, records };
      const seconds = Math.max(0, this.parts.clock.wallMs() - next.timestampMs) / 1000;
      return { topic, partition, offset, records, seconds };
    } catch (error) {
      // A log may be taken away while it is read.
      if (!(error instanceof DiskError)) throw error;
      this.parts.logger.debug({ partition: found.name, code: error.code }, `lag is not known: ${error.message}`);
      return { ...unknown, records };
    }
  }

  private keep(key: string, next: NextRecord): void {
    this.known.delete(key);
    this.known.set(key, next);
    if (this.known.size > lagCacheCountMax) this.known.delete(this.known.keys().next().value!);
  }

  private async giveWay(): Promise<void> {
    const { clock, timers } = this.parts;
    if (clock.monotonicMs() - this.sliceStartMs < lagStallMsMax) return;
    await new Promise<void>((resolve) => {
      timers.after(0, resolve);
    });
    this.sliceStartMs = clock.monotonicMs();
  }
}

/** Groups that may be behind: share groups keep their place elsewhere. */
function namesOf(shard: GroupShard): string[] {
  const names: string[] = [];
  for (const group of shard.groups as Iterable<Group>) if (group.type !== "share") names.push(group.groupId);
  return names;
}

/** As they stand now: what one group has is at most what one turn may look at. */
function offsetsOf(shard: GroupShard, groupId: string): { topic: string; partition: number; offset: number }[] {
  const found: { topic: string; partition: number; offset: number }[] = [];
  for (const [topic, partitions] of shard.store.ofGroup(groupId) ?? [])
    for (const [partition, stored] of partitions) found.push({ topic, partition, offset: Number(stored.offset) });
  return found;
}
