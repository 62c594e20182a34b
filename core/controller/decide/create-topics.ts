// CreateTopics: names, assignments, settings; the records of each topic and the answer with its settings.
import { randomUuid } from "../../base/index.ts";
import { topicNameProblem } from "../../model/index.ts";
import { describedTopicNames, describeTopicSetting } from "../../model/settings/index.ts";
import {
  type CreateTopicsRequest,
  type CreateTopicsRequestCreatableTopic,
  type CreateTopicsResponseCreatableTopicResultInit,
  type CreateTopicsResponseInit,
  ErrorCode,
  type MetadataRecordInit,
} from "../../protocol/index.ts";
import { configResourceType } from "../image/index.ts";
import { decideTopicConfigs } from "./alter-configs.ts";
import { type DecideContext, type Decision, DecisionRefused, decisionOf, type Refusal, refusal } from "./decision.ts";
import { initialIsr, newPartitionRecord } from "./new-partition.ts";
import { assignmentProblem, type Placement, placeReplicas } from "./replica-placement.ts";

/** New partitions in one request, of all its topics. Kafka's bound, for CreatePartitions too. */
export const newPartitionCountMax = 10_000;

export interface CreateTopicsRights {
  /** Whether the answer may tell the topic's settings and size. */
  mayDescribeConfigs(topic: string): boolean;
}

const everyRight: CreateTopicsRights = { mayDescribeConfigs: () => true };

export function createTopics(
  context: DecideContext,
  request: CreateTopicsRequest,
  rights: CreateTopicsRights = everyRight,
): Decision<CreateTopicsResponseInit> {
  checkPartitionCount(context, request);
  const records: MetadataRecordInit[] = [];
  const topics = request.topics.map((topic): CreateTopicsResponseCreatableTopicResultInit => {
    const outcome = createTopic(context, topic, rights);
    if ("errorCode" in outcome) return { name: topic.name, ...outcome };
    for (const record of outcome.records) records.push(record);
    return outcome.result;
  });
  return decisionOf({ topics }, request.validateOnly ? [] : records);
}

function checkPartitionCount(context: DecideContext, request: CreateTopicsRequest): void {
  let count = 0;
  for (const topic of request.topics) {
    if (topic.assignments.length > 0) count += topic.assignments.length;
    else if (topic.numPartitions === -1) count += context.settings.get("num.partitions");
    else if (topic.numPartitions > 0) count += topic.numPartitions;
    if (count > newPartitionCountMax) throw tooManyPartitions();
  }
}

export function tooManyPartitions(): DecisionRefused {
  return new DecisionRefused(
    ErrorCode.POLICY_VIOLATION,
    `The request would make more than ${newPartitionCountMax} partitions; split it.`,
  );
}

interface CreatedTopic {
  readonly records: readonly MetadataRecordInit[];
  readonly result: CreateTopicsResponseCreatableTopicResultInit;
}

function createTopic(
  context: DecideContext,
  topic: CreateTopicsRequestCreatableTopic,
  rights: CreateTopicsRights,
): CreatedTopic | Refusal {
  const { image, random } = context;
  const nameRefusal = newNameRefusal(context, topic.name);
  if (nameRefusal !== null) return nameRefusal;
  const configs = new Map<string, string>();
  for (const { name, value } of topic.configs) {
    if (value === null) {
      return refusal(ErrorCode.INVALID_CONFIG, `Null value not supported for topic configs: ${name}`);
    }
    configs.set(name, value);
  }
  const resource = { type: configResourceType.topic, name: topic.name };
  const decided = decideTopicConfigs(context, resource, configs);
  if ("errorCode" in decided) return decided;
  const placement = topic.assignments.length > 0 ? manualPlacement(context, topic) : automaticPlacement(context, topic);
  if ("errorCode" in placement) return placement;

  const topicId = randomUuid(random);
  const { metadataVersion } = image.features;
  const records: MetadataRecordInit[] = [
    { type: "TopicRecord", version: 0, value: { name: topic.name, topicId } },
    ...decided.records,
  ];
  for (let index = 0; index < placement.length; index++) {
    const replicas = placement[index]!;
    const isr = initialIsr(image.cluster, replicas);
    records.push(newPartitionRecord(image.cluster, metadataVersion, { topicId, index, replicas, isr }));
  }
  return { records, result: resultOf(context, topic.name, topicId, placement, configs, rights) };
}

function newNameRefusal(context: DecideContext, name: string): Refusal | null {
  const { topics } = context.image;
  const problem = topicNameProblem(name);
  if (problem !== null) return refusal(ErrorCode.INVALID_TOPIC_EXCEPTION, `Topic name is invalid: ${problem}`);
  if (topics.get(name) !== undefined) {
    return refusal(ErrorCode.TOPIC_ALREADY_EXISTS, `Topic '${name}' already exists.`);
  }
  const other = topics.collidingWith(name);
  if (other === null) return null;
  return refusal(ErrorCode.INVALID_TOPIC_EXCEPTION, `Topic '${name}' collides with existing topic: ${other}`);
}

function manualPlacement(context: DecideContext, topic: CreateTopicsRequestCreatableTopic): Placement | Refusal {
  const { cluster } = context.image;
  if (topic.replicationFactor !== -1 || topic.numPartitions !== -1) {
    const field = topic.replicationFactor !== -1 ? "the replication factor" : "the number of partitions";
    return refusal(ErrorCode.INVALID_REQUEST, `With a manual partition assignment ${field} must be -1.`);
  }
  const placement: (readonly number[])[] = [];
  let count: number | null = null;
  for (const { partitionIndex, brokerIds } of topic.assignments) {
    if (placement[partitionIndex] !== undefined) {
      return refusal(
        ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        `The manual partition assignment has partition ${partitionIndex} more than once.`,
      );
    }
    const problem = assignmentProblem(cluster, brokerIds, count) ?? noActiveReplica(context, partitionIndex, brokerIds);
    if (problem !== null) return problem;
    if (partitionIndex < 0 || partitionIndex >= topic.assignments.length) {
      return refusal(
        ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        "The partitions of a manual assignment must be numbered from 0 without gaps.",
      );
    }
    placement[partitionIndex] = brokerIds;
    count = brokerIds.length;
  }
  return placement;
}

export function noActiveReplica(context: DecideContext, index: number, replicas: readonly number[]): Refusal | null {
  if (initialIsr(context.image.cluster, replicas).length > 0) return null;
  return refusal(
    ErrorCode.INVALID_REPLICA_ASSIGNMENT,
    `All brokers that the manual assignment gives to partition ${index} are fenced or in controlled shutdown.`,
  );
}

function automaticPlacement(context: DecideContext, topic: CreateTopicsRequestCreatableTopic): Placement | Refusal {
  const { settings } = context;
  if (topic.replicationFactor < -1 || topic.replicationFactor === 0) {
    return refusal(
      ErrorCode.INVALID_REPLICATION_FACTOR,
      "Replication factor must be larger than 0, or -1 for the default value.",
    );
  }
  if (topic.numPartitions < -1 || topic.numPartitions === 0) {
    return refusal(
      ErrorCode.INVALID_PARTITIONS,
      "Number of partitions must be larger than 0, or -1 for the default value.",
    );
  }
  const partitionCount = topic.numPartitions === -1 ? settings.get("num.partitions") : topic.numPartitions;
  const replicationFactor =
    topic.replicationFactor === -1 ? settings.get("default.replication.factor") : topic.replicationFactor;
  return automaticPlacementOf(context, partitionCount, replicationFactor);
}

export function automaticPlacementOf(
  context: DecideContext,
  partitionCount: number,
  replicationFactor: number,
): Placement | Refusal {
  const { cluster } = context.image;
  const placement = placeReplicas(cluster, partitionCount, replicationFactor, context.random);
  if ("errorCode" in placement) return placement;
  if (placement.every((replicas) => initialIsr(cluster, replicas).length > 0)) return placement;
  return refusal(
    ErrorCode.INVALID_REPLICATION_FACTOR,
    `Unable to replicate the partition ${replicationFactor} time(s): all brokers are fenced or in controlled shutdown.`,
  );
}

function resultOf(
  context: DecideContext,
  name: string,
  topicId: CreateTopicsResponseCreatableTopicResultInit["topicId"],
  placement: Placement,
  configs: ReadonlyMap<string, string>,
  rights: CreateTopicsRights,
): CreateTopicsResponseCreatableTopicResultInit {
  const created = { name, topicId, errorCode: ErrorCode.NONE, errorMessage: null };
  if (!rights.mayDescribeConfigs(name)) {
    return { ...created, topicConfigErrorCode: ErrorCode.TOPIC_AUTHORIZATION_FAILED };
  }
  const described = describedTopicNames(configs)
    .sort()
    .map((each) => describeTopicSetting(context.settings, configs, each)!)
    .map((setting) => ({
      name: setting.name,
      value: setting.value,
      readOnly: setting.isReadOnly,
      configSource: setting.source,
      isSensitive: setting.isSensitive,
    }));
  return {
    ...created,
    topicConfigErrorCode: ErrorCode.NONE,
    numPartitions: placement.length,
    replicationFactor: placement[0]!.length,
    configs: described,
  };
}
