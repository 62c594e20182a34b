// Deleting topics and adding partitions to them.
import type { Uuid } from "../../base/index.ts";
import {
  type CreatePartitionsRequestCreatePartitionsTopic,
  ErrorCode,
  type MetadataRecordInit,
} from "../../protocol/index.ts";
import type { TopicImage } from "../image/index.ts";
import { automaticPlacementOf, newPartitionCountMax, noActiveReplica, tooManyPartitions } from "./create-topics.ts";
import { type DecideContext, type Decision, decisionOf, type Refusal, refusal } from "./decision.ts";
import { initialIsr, newPartitionRecord } from "./new-partition.ts";
import { assignmentProblem } from "./replica-placement.ts";

/** One outcome for each id, in the order of `ids`. */
export function deleteTopics(context: DecideContext, ids: readonly Uuid[]): Decision<readonly Refusal[]> {
  const records: MetadataRecordInit[] = [];
  const answers = ids.map((topicId) => {
    if (!context.image.topics.byId.has(topicId))
      return refusal(ErrorCode.UNKNOWN_TOPIC_ID, `No topic has the id ${topicId}.`);
    records.push({ type: "RemoveTopicRecord", version: 0, value: { topicId } });
    return refusal(ErrorCode.NONE, null);
  });
  return decisionOf(answers, records);
}

export interface CreatePartitionsAnswer extends Refusal {
  readonly name: string;
}

export function createPartitions(
  context: DecideContext,
  topics: readonly CreatePartitionsRequestCreatePartitionsTopic[],
  validateOnly: boolean,
): Decision<readonly CreatePartitionsAnswer[]> {
  const records: MetadataRecordInit[] = [];
  let newCount = 0;
  const answers = topics.map((request): CreatePartitionsAnswer => {
    const topic = context.image.topics.get(request.name);
    newCount += Math.max(0, request.count - (topic?.partitions.length ?? request.count));
    if (newCount > newPartitionCountMax) throw tooManyPartitions();
    const outcome = topic === undefined ? unknownTopic(request.name) : addPartitions(context, topic, request);
    if ("errorCode" in outcome) return { name: request.name, ...outcome };
    records.push(...outcome.records);
    return { name: request.name, ...refusal(ErrorCode.NONE, null) };
  });
  return decisionOf(answers, validateOnly ? [] : records);
}

function unknownTopic(name: string): Refusal {
  return refusal(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, `The topic '${name}' does not exist.`);
}

function addPartitions(
  context: DecideContext,
  topic: TopicImage,
  request: CreatePartitionsRequestCreatePartitionsTopic,
): { readonly records: readonly MetadataRecordInit[] } | Refusal {
  const { image } = context;
  const count = topic.partitions.length;
  const additional = request.count - count;
  if (additional <= 0) {
    return refusal(
      ErrorCode.INVALID_PARTITIONS,
      additional === 0
        ? `Topic already has ${count} partition(s).`
        : `The topic ${topic.name} currently has ${count} partition(s); ${request.count} would not be an increase.`,
    );
  }
  const replicationFactor = topic.partitions[0]!.replicas.length;
  const placement =
    request.assignments === null
      ? automaticPlacementOf(context, additional, replicationFactor)
      : manualPlacement(context, request, count, additional, replicationFactor);
  if ("errorCode" in placement) return placement;
  const records = placement.map((replicas, step) => {
    const isr = initialIsr(image.cluster, replicas);
    const partition = { topicId: topic.id, index: count + step, replicas, isr };
    return newPartitionRecord(image.cluster, image.features.metadataVersion, partition);
  });
  return { records };
}

function manualPlacement(
  context: DecideContext,
  request: CreatePartitionsRequestCreatePartitionsTopic,
  count: number,
  additional: number,
  replicationFactor: number,
): readonly (readonly number[])[] | Refusal {
  const lists = request.assignments!.map(({ brokerIds }) => brokerIds);
  if (lists.length !== additional) {
    return refusal(
      ErrorCode.INVALID_REPLICA_ASSIGNMENT,
      `The request adds ${additional} partition(s), but has ${lists.length} assignment(s).`,
    );
  }
  for (const [step, replicas] of lists.entries()) {
    const problem =
      assignmentProblem(context.image.cluster, replicas, replicationFactor) ??
      noActiveReplica(context, count + step, replicas);
    if (problem !== null) return problem;
  }
  return lists;
}
