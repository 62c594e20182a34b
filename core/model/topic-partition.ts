// A partition by its topic's name, and by its topic's id as well. Plain values: two are the same when their keys are.
import { type PartitionIndex, partitionIndexOf, type TopicId } from "./ids.ts";

export interface TopicPartition {
  readonly topic: string;
  readonly partition: PartitionIndex;
}

/** A partition whose topic is named both ways. */
export interface TopicIdPartition extends TopicPartition {
  readonly topicId: TopicId;
}

/** A text for each partition, as Kafka prints it and names its folder: `topic-3`. Topic names may hold `-`: the last one divides. */
export type TopicPartitionKey = string;

export function topicPartitionKey(topic: string, partition: number): TopicPartitionKey {
  return `${topic}-${partition}`;
}

/** The reverse of `topicPartitionKey`; null where `key` does not end in `-` and a partition written as Kafka writes it. */
export function parseTopicPartition(key: string): TopicPartition | null {
  const dash = key.lastIndexOf("-");
  if (dash <= 0) return null;
  const digits = key.slice(dash + 1);
  if (!/^(0|[1-9][0-9]{0,9})$/.test(digits)) return null;
  const partition = Number(digits);
  if (partition > 0x7fff_ffff) return null;
  return { topic: key.slice(0, dash), partition: partitionIndexOf(partition) };
}
