// Topics: list, describe, create, delete, add partitions.
import { type Uuid, uuidZero } from "@blumfeld/core/base";
import { ApiKey, ErrorCode, type ResponseOf } from "@blumfeld/core/protocol";
import { errorFromCode, KafkaError } from "../errors.ts";
import { type AdminCalls, type CallOptions, type ItemResult, itemError, throwCode, throwRetriable } from "./calls.ts";

export interface NewTopic {
  readonly name: string;
  /** Left out: the broker's num.partitions. */
  readonly partitions?: number;
  /** Left out: the broker's default.replication.factor. */
  readonly replicationFactor?: number;
  /** Broker ids by partition, the preferred leader first; instead of the two above. */
  readonly assignments?: readonly (readonly number[])[];
  readonly configs?: Readonly<Record<string, string>>;
}

export interface CreatedTopic extends ItemResult {
  readonly name: string;
  readonly id: Uuid;
  /** -1 where the broker does not say. */
  readonly partitions: number;
  readonly replicationFactor: number;
}

export interface DeletedTopic extends ItemResult {
  readonly name: string;
}

export interface ListedTopic {
  readonly name: string;
  readonly id: Uuid;
  readonly isInternal: boolean;
  readonly partitions: number;
  readonly replicationFactor: number;
}

export interface PartitionDescription {
  readonly partition: number;
  /** -1: none. */
  readonly leader: number;
  readonly leaderEpoch: number;
  readonly replicas: readonly number[];
  readonly isr: readonly number[];
  readonly offlineReplicas: readonly number[];
  /** Null where the broker does not tell (before 3.8). */
  readonly eligibleLeaderReplicas: readonly number[] | null;
  readonly lastKnownEligibleLeaderReplicas: readonly number[] | null;
}

export interface TopicDescription extends ItemResult {
  readonly name: string;
  readonly id: Uuid;
  readonly isInternal: boolean;
  readonly partitions: readonly PartitionDescription[];
  /** ACL operations as bits (KIP-430); null where not told. */
  readonly authorizedOperations: number | null;
}

export interface NewPartitions {
  readonly name: string;
  /** The new total. */
  readonly count: number;
  /** Broker ids of each added partition. */
  readonly assignments?: readonly (readonly number[])[];
}

const authorizedOperationsNone = -2147483648;
/** Partitions in one answer of DescribeTopicPartitions; more come with its cursor. */
const partitionsPerAnswer = 2000;

export async function listTopics(calls: AdminCalls, options: CallOptions): Promise<ListedTopic[]> {
  const answer = await calls.any(ApiKey.Metadata, { topics: null, allowAutoTopicCreation: false }, options);
  const topics = answer.topics.filter((topic) => topic.errorCode === ErrorCode.NONE && topic.name !== null);
  return topics
    .map((topic) => ({
      name: topic.name!,
      id: topic.topicId,
      isInternal: topic.isInternal,
      partitions: topic.partitions.length,
      replicationFactor: topic.partitions[0]?.replicaNodes.length ?? 0,
    }))
    .sort((one, other) => (one.name < other.name ? -1 : 1));
}

/** In the order of `names`. */
export async function describeTopics(
  calls: AdminCalls,
  names: readonly string[],
  options: CallOptions,
): Promise<TopicDescription[]> {
  let described: TopicDescription[];
  try {
    described = await describeByPages(calls, names, options);
  } catch (error) {
    if (!(error instanceof KafkaError) || error.code !== "UNSUPPORTED_VERSION") throw error;
    described = await describeByMetadata(calls, names, options);
  }
  const byName = new Map(described.map((topic) => [topic.name, topic]));
  return names.map((name) => byName.get(name) ?? missing(name));
}

export async function createTopics(
  calls: AdminCalls,
  topics: readonly NewTopic[],
  options: CallOptions & { readonly validateOnly?: boolean },
): Promise<CreatedTopic[]> {
  const body = {
    topics: topics.map((topic) => ({
      name: topic.name,
      numPartitions: topic.assignments === undefined ? (topic.partitions ?? -1) : -1,
      replicationFactor: topic.assignments === undefined ? (topic.replicationFactor ?? -1) : -1,
      assignments: (topic.assignments ?? []).map((brokerIds, partitionIndex) => ({ partitionIndex, brokerIds })),
      configs: Object.entries(topic.configs ?? {}).map(([name, value]) => ({ name, value })),
    })),
    timeoutMs: serverTimeoutMs(calls, options),
    validateOnly: options.validateOnly ?? false,
  };
  const answer = await calls.controller(ApiKey.CreateTopics, body, options, (all) => {
    throwRetriable(
      all.topics.map((topic) => topic.errorCode),
      "CreateTopics",
    );
  });
  return answer.topics.map((topic) => ({
    name: topic.name,
    id: topic.topicId,
    partitions: topic.numPartitions,
    replicationFactor: topic.replicationFactor,
    error: itemError(topic.errorCode, `topic ${topic.name}`, topic.errorMessage),
  }));
}

export async function deleteTopics(
  calls: AdminCalls,
  names: readonly string[],
  options: CallOptions,
): Promise<DeletedTopic[]> {
  const timeoutMs = serverTimeoutMs(calls, options);
  const check = (all: ResponseOf<typeof ApiKey.DeleteTopics>): void => {
    throwRetriable(
      all.responses.map((topic) => topic.errorCode),
      "DeleteTopics",
    );
  };
  let answer: ResponseOf<typeof ApiKey.DeleteTopics>;
  try {
    answer = await calls.controller(
      ApiKey.DeleteTopics,
      { topics: names.map((name) => ({ name, topicId: uuidZero })), topicNames: [], timeoutMs },
      options,
      check,
    );
  } catch (error) {
    // Brokers before 2.8 take the names in another field.
    if (!(error instanceof KafkaError) || error.code !== "UNSUPPORTED_VERSION") throw error;
    answer = await calls.controller(ApiKey.DeleteTopics, { topicNames: names, timeoutMs }, options, check);
  }
  return answer.responses.map((topic) => ({
    name: topic.name ?? "",
    error: itemError(topic.errorCode, `topic ${topic.name}`, topic.errorMessage),
  }));
}

export async function createPartitions(
  calls: AdminCalls,
  topics: readonly NewPartitions[],
  options: CallOptions & { readonly validateOnly?: boolean },
): Promise<DeletedTopic[]> {
  const body = {
    topics: topics.map(({ name, count, assignments }) => ({
      name,
      count,
      assignments: assignments?.map((brokerIds) => ({ brokerIds })) ?? null,
    })),
    timeoutMs: serverTimeoutMs(calls, options),
    validateOnly: options.validateOnly ?? false,
  };
  const answer = await calls.controller(ApiKey.CreatePartitions, body, options, (all) => {
    throwRetriable(
      all.results.map((topic) => topic.errorCode),
      "CreatePartitions",
    );
  });
  return answer.results.map((topic) => ({
    name: topic.name,
    error: itemError(topic.errorCode, `topic ${topic.name}`, topic.errorMessage),
  }));
}

/** The broker gives up a little before the request does, so that its reason arrives. */
export function serverTimeoutMs(calls: AdminCalls, options: CallOptions): number {
  const { requestTimeoutMs } = calls.cluster.context.options;
  return Math.min(options.timeoutMs ?? requestTimeoutMs, requestTimeoutMs);
}

async function describeByPages(
  calls: AdminCalls,
  names: readonly string[],
  options: CallOptions,
): Promise<TopicDescription[]> {
  type Page = ResponseOf<typeof ApiKey.DescribeTopicPartitions>;
  const topics = new Map<string, TopicDescription & { partitions: PartitionDescription[] }>();
  let cursor: Page["nextCursor"] = null;
  const sorted = [...new Set(names)].sort();
  do {
    const from: Page["nextCursor"] = cursor;
    const body = {
      topics: sorted.filter((name) => from === null || name >= from.topicName).map((name) => ({ name })),
      responsePartitionLimit: partitionsPerAnswer,
      cursor: from,
    };
    const page: Page = await calls.any(ApiKey.DescribeTopicPartitions, body, options);
    for (const topic of page.topics) {
      const name = topic.name ?? "";
      let known = topics.get(name);
      if (known === undefined) {
        known = {
          name,
          id: topic.topicId,
          isInternal: topic.isInternal,
          partitions: [],
          authorizedOperations: operations(topic.topicAuthorizedOperations),
          error: itemError(topic.errorCode, `topic ${name}`),
        };
        topics.set(name, known);
      }
      for (const partition of topic.partitions) {
        known.partitions.push({
          partition: partition.partitionIndex,
          leader: partition.leaderId,
          leaderEpoch: partition.leaderEpoch,
          replicas: partition.replicaNodes,
          isr: partition.isrNodes,
          offlineReplicas: partition.offlineReplicas,
          eligibleLeaderReplicas: partition.eligibleLeaderReplicas,
          lastKnownEligibleLeaderReplicas: partition.lastKnownElr,
        });
      }
    }
    cursor = page.nextCursor;
  } while (cursor !== null);
  for (const topic of topics.values()) topic.partitions.sort((one, other) => one.partition - other.partition);
  return [...topics.values()];
}

async function describeByMetadata(
  calls: AdminCalls,
  names: readonly string[],
  options: CallOptions,
): Promise<TopicDescription[]> {
  const body = { topics: names.map((name) => ({ name })), allowAutoTopicCreation: false };
  const answer = await calls.any(ApiKey.Metadata, body, options, (all) => throwCode(all.errorCode, "Metadata"));
  return answer.topics.map((topic) => ({
    name: topic.name ?? "",
    id: topic.topicId,
    isInternal: topic.isInternal,
    authorizedOperations: operations(topic.topicAuthorizedOperations),
    error: itemError(topic.errorCode, `topic ${topic.name}`),
    partitions: topic.partitions
      .map((partition) => ({
        partition: partition.partitionIndex,
        leader: partition.leaderId,
        leaderEpoch: partition.leaderEpoch,
        replicas: partition.replicaNodes,
        isr: partition.isrNodes,
        offlineReplicas: partition.offlineReplicas,
        eligibleLeaderReplicas: null,
        lastKnownEligibleLeaderReplicas: null,
      }))
      .sort((one, other) => one.partition - other.partition),
  }));
}

function operations(bits: number): number | null {
  return bits === authorizedOperationsNone ? null : bits;
}

function missing(name: string): TopicDescription {
  return {
    name,
    id: uuidZero,
    isInternal: false,
    partitions: [],
    authorizedOperations: null,
    error: errorFromCode(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, `topic ${name}`),
  };
}
