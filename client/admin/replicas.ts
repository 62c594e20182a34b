// Where partitions live and who leads them: elections (KIP-183, KIP-460) and reassignments (KIP-455).
import { ApiKey } from "@blumfeld/core/protocol";
import type { TopicPartitionInput } from "../records.ts";
import { type AdminCalls, type CallOptions, type ItemResult, itemError, throwCode } from "./calls.ts";

export type ElectionKind = "preferred" | "unclean";

export interface ElectedLeader extends TopicPartitionInput, ItemResult {}

export interface Reassignment extends TopicPartitionInput {
  /** Broker ids, the preferred leader first; null: the move that is under way is given up. */
  readonly replicas: readonly number[] | null;
}

export interface AlteredReassignment extends TopicPartitionInput, ItemResult {}

/** A move that is under way. */
export interface OngoingReassignment extends TopicPartitionInput {
  readonly replicas: readonly number[];
  readonly addingReplicas: readonly number[];
  readonly removingReplicas: readonly number[];
}

const electionTypes: Readonly<Record<ElectionKind, number>> = { preferred: 0, unclean: 1 };

/** Null: every partition. One that has the leader already is answered with ELECTION_NOT_NEEDED. */
export async function electLeaders(
  calls: AdminCalls,
  kind: ElectionKind,
  partitions: readonly TopicPartitionInput[] | null,
  options: CallOptions,
): Promise<ElectedLeader[]> {
  const topicPartitions =
    partitions === null
      ? null
      : [...byTopic(partitions)].map(([topic, list]) => ({
          topic,
          partitions: list.map(({ partition }) => partition),
        }));
  const answer = await calls.controller(
    ApiKey.ElectLeaders,
    { electionType: electionTypes[kind], topicPartitions },
    options,
    (whole) => throwCode(whole.errorCode, "elect leaders"),
  );
  return answer.replicaElectionResults.flatMap(({ partitionResult, topic }) =>
    partitionResult.map(({ errorCode, errorMessage, partitionId }) => ({
      topic,
      partition: partitionId,
      error: itemError(errorCode, `elect a leader of ${topic}-${partitionId}`, errorMessage),
    })),
  );
}

export async function alterReassignments(
  calls: AdminCalls,
  list: readonly Reassignment[],
  options: CallOptions,
): Promise<AlteredReassignment[]> {
  const topics = [...byTopic(list)].map(([name, partitions]) => ({
    name,
    partitions: partitions.map(({ partition, replicas }) => ({ partitionIndex: partition, replicas })),
  }));
  const answer = await calls.controller(ApiKey.AlterPartitionReassignments, { topics }, options, (whole) =>
    throwCode(whole.errorCode, "move replicas", whole.errorMessage),
  );
  return answer.responses.flatMap(({ name, partitions }) =>
    partitions.map(({ errorCode, errorMessage, partitionIndex }) => ({
      topic: name,
      partition: partitionIndex,
      error: itemError(errorCode, `move the replicas of ${name}-${partitionIndex}`, errorMessage),
    })),
  );
}

export async function listReassignments(calls: AdminCalls, options: CallOptions): Promise<OngoingReassignment[]> {
  const answer = await calls.controller(ApiKey.ListPartitionReassignments, { topics: null }, options, (whole) =>
    throwCode(whole.errorCode, "list moves", whole.errorMessage),
  );
  return answer.topics.flatMap(({ name, partitions }) =>
    partitions.map(({ addingReplicas, partitionIndex, removingReplicas, replicas }) => ({
      ...{ topic: name, partition: partitionIndex, replicas, addingReplicas, removingReplicas },
    })),
  );
}

function byTopic<Item extends TopicPartitionInput>(items: readonly Item[]): Map<string, Item[]> {
  const topics = new Map<string, Item[]>();
  for (const item of items) {
    const list = topics.get(item.topic);
    if (list === undefined) topics.set(item.topic, [item]);
    else list.push(item);
  }
  return topics;
}
