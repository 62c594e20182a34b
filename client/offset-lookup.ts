// ListOffsets for consumer and admin: partitions are asked of their leaders, those whose leader moved again, until all are known or the
// time is over.

import { topicPartitionKey } from "@blumfeld/core/model";
import { ApiKey, ErrorCode, errorOf } from "@blumfeld/core/protocol";
import type { ClusterClient } from "./connection/cluster-client.ts";
import { clientError, errorFromCode, KafkaError } from "./errors.ts";
import type { TopicPartitionInput } from "./records.ts";

/** What to look for instead of a timestamp. */
export const offsetSpecs = { latest: -1, earliest: -2, maxTimestamp: -3, earliestLocal: -4, latestTiered: -5 } as const;

export interface OffsetQuestion extends TopicPartitionInput {
  /** Milliseconds (the first record at or after it), or one of `offsetSpecs`. */
  readonly timestamp: number;
}

export interface OffsetAnswer extends TopicPartitionInput {
  /** -1: no such record. */
  readonly offset: number;
  /** Of the record found; -1 for the beginning and the end. */
  readonly timestamp: number;
  readonly leaderEpoch: number;
}

export interface LookupOptions {
  readonly isReadCommitted: boolean;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** Answers in the order of the questions. Rejects with the first error that trying again does not mend, or the last when time is over. */
export async function lookUpOffsets(
  cluster: ClusterClient,
  questions: readonly OffsetQuestion[],
  options: LookupOptions,
): Promise<OffsetAnswer[]> {
  const answers = new Map<OffsetQuestion, OffsetAnswer>();
  await cluster.retrying(
    async (leftMs) => {
      const open = questions.filter((question) => !answers.has(question));
      const failures = await Promise.all(
        (await requestsOf(cluster, open, leftMs, options.signal)).map(({ nodeId, asked }) =>
          askLeader(cluster, nodeId, asked, options, answers),
        ),
      );
      const failure = failures.find((one) => one !== null && !one.retriable) ?? failures.find((one) => one !== null);
      if (failure != null) throw failure;
    },
    { signal: options.signal, timeoutMs: options.timeoutMs },
  );
  return questions.map((question) => answers.get(question)!);
}

interface LeaderRequest {
  readonly nodeId: number;
  readonly asked: OffsetQuestion[];
}

/** One request per leader; more where a partition is asked about more than once, which brokers refuse within one. */
async function requestsOf(
  cluster: ClusterClient,
  questions: readonly OffsetQuestion[],
  leftMs: number,
  signal: AbortSignal | undefined,
): Promise<LeaderRequest[]> {
  const { metadata, context } = cluster;
  const requests = new Map<string, LeaderRequest>();
  const repeats = new Map<string, number>();
  for (const question of questions) {
    const topic =
      metadata.topic(question.topic) ??
      (await metadata.waitForTopic(question.topic, context.clock.monotonicMs() + leftMs, signal));
    metadata.touch(question.topic);
    const partition = topic.partitions[question.partition];
    const where = topicPartitionKey(question.topic, question.partition);
    if (partition === undefined) {
      throw clientError(
        "UNKNOWN_TOPIC_OR_PARTITION",
        `${where}: the topic has ${topic.partitions.length} partitions`,
        undefined,
        false,
      );
    }
    const nodeId = partition.leaderId;
    if (nodeId < 0) throw clientError("LEADER_NOT_AVAILABLE", `${where} has no leader`);
    const repeat = repeats.get(where) ?? 0;
    repeats.set(where, repeat + 1);
    const request = requests.get(`${nodeId}/${repeat}`);
    if (request === undefined) requests.set(`${nodeId}/${repeat}`, { nodeId, asked: [question] });
    else request.asked.push(question);
  }
  return [...requests.values()];
}

async function askLeader(
  cluster: ClusterClient,
  nodeId: number,
  questions: readonly OffsetQuestion[],
  options: LookupOptions,
  answers: Map<OffsetQuestion, OffsetAnswer>,
): Promise<KafkaError | null> {
  const topics = new Map<
    string,
    { name: string; partitions: { partitionIndex: number; timestamp: number; currentLeaderEpoch: number }[] }
  >();
  for (const { topic, partition, timestamp } of questions) {
    let entry = topics.get(topic);
    if (entry === undefined) {
      entry = { name: topic, partitions: [] };
      topics.set(topic, entry);
    }
    const currentLeaderEpoch = cluster.metadata.partition(topic, partition)?.leaderEpoch ?? -1;
    entry.partitions.push({ partitionIndex: partition, timestamp, currentLeaderEpoch });
  }
  const isolationLevel = options.isReadCommitted ? 1 : 0;
  const timeoutMs = cluster.context.options.requestTimeoutMs;
  const body = { replicaId: -1, isolationLevel, topics: [...topics.values()], timeoutMs };
  try {
    const answer = await cluster.request(nodeId, ApiKey.ListOffsets, body, { signal: options.signal });
    let failure: KafkaError | null = null;
    for (const topic of answer.body.topics) {
      for (const found of topic.partitions) {
        const question = questions.find(
          (one) => one.topic === topic.name && one.partition === found.partitionIndex && !answers.has(one),
        );
        if (question === undefined) continue;
        if (found.errorCode !== ErrorCode.NONE) {
          const error = errorFromCode(found.errorCode, `${topic.name}-${found.partitionIndex}`);
          if (failure === null || !errorOf(found.errorCode).retriable) failure = error;
          continue;
        }
        const { topic: name, partition } = question;
        const offset = Number(found.offset);
        const timestamp = Number(found.timestamp);
        answers.set(question, { topic: name, partition, offset, timestamp, leaderEpoch: found.leaderEpoch });
      }
    }
    return (
      failure ??
      (questions.every((one) => answers.has(one)) ? null : clientError("LEADER_NOT_AVAILABLE", "an answer is missing"))
    );
  } catch (error) {
    if (error instanceof KafkaError) return error;
    throw error;
  }
}
