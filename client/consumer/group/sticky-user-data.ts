// What members of Kafka's eager sticky assignor tell their leader: the partitions that they had, and of which generation. They have given them up by
// then, so the subscription itself says nothing of them. Layout: topics (name, partitions), then the generation (from version 1 on).
import { ByteReader, ByteWriter, MalformedMessage } from "@blumfeld/core/base";
import type { TopicPartitionInput } from "../../records.ts";

export interface StickyState {
  readonly assigned: readonly TopicPartitionInput[];
  /** -1 where the member does not say. */
  readonly generation: number;
}

/** What one member can name at most: above any real assignment, below what would exhaust the leader. */
export const stickyPartitionsMax = 1_000_000;

export function writeStickyState({ assigned, generation }: StickyState): Buffer {
  const topics = new Map<string, number[]>();
  for (const { partition, topic } of assigned) {
    const partitions = topics.get(topic);
    if (partitions === undefined) topics.set(topic, [partition]);
    else partitions.push(partition);
  }
  const writer = new ByteWriter(256);
  writer.int32(topics.size);
  for (const [topic, partitions] of topics) {
    writer.string(topic);
    writer.int32(partitions.length);
    for (const partition of partitions) writer.int32(partition);
  }
  writer.int32(generation);
  return writer.finishContiguous();
}

/** Nothing owned where there are no bytes, or none that are a state. */
export function readStickyState(bytes: Buffer | null): StickyState {
  const nothing = { assigned: [], generation: -1 };
  if (bytes === null || bytes.length === 0) return nothing;
  try {
    const reader = new ByteReader(bytes);
    const assigned: TopicPartitionInput[] = [];
    for (let topics = reader.int32(); topics > 0; topics--) {
      const topic = reader.string();
      const count = reader.int32();
      if (count < 0 || assigned.length + count > stickyPartitionsMax) return nothing;
      for (let left = count; left > 0; left--) assigned.push({ topic, partition: reader.int32() });
    }
    return { assigned, generation: reader.rest >= 4 ? reader.int32() : -1 };
  } catch (error) {
    if (error instanceof MalformedMessage) return nothing;
    throw error;
  }
}
