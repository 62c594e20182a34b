// Offsets of partitions, and deleting records from their beginning.

import { numberFromInt64 } from "@blumfeld/core/model";
import { ApiKey } from "@blumfeld/core/protocol";
import { clientError, errorFromCode, KafkaError } from "../errors.ts";
import { lookUpOffsets, type OffsetAnswer, offsetSpecs } from "../offset-lookup.ts";
import type { TopicPartitionInput } from "../records.ts";
import type { AdminCalls, CallOptions, ItemResult } from "./calls.ts";
import { serverTimeoutMs } from "./topics.ts";

export type OffsetSpec =
  | "earliest"
  | "latest"
  | "max-timestamp"
  | "earliest-local"
  | "latest-tiered"
  | { readonly timestamp: number };

export interface OffsetRequest extends TopicPartitionInput {
  readonly spec: OffsetSpec;
}

export interface RecordDeletion extends TopicPartitionInput {
  /** Records below it go; -1: all there are. */
  readonly beforeOffset: number;
}

export interface DeletedRecords extends TopicPartitionInput, ItemResult {
  /** The partition's new beginning; -1 where it failed. */
  readonly lowWatermark: number;
}

function timestampOf(spec: OffsetSpec): number {
  switch (spec) {
    case "earliest":
      return offsetSpecs.earliest;
    case "latest":
      return offsetSpecs.latest;
    case "max-timestamp":
      return offsetSpecs.maxTimestamp;
    case "earliest-local":
      return offsetSpecs.earliestLocal;
    case "latest-tiered":
      return offsetSpecs.latestTiered;
    default:
      return spec.timestamp;
  }
}

/** In the order of the requests. */
export function listOffsets(
  calls: AdminCalls,
  requests: readonly OffsetRequest[],
  options: CallOptions & { readonly isReadCommitted?: boolean },
): Promise<OffsetAnswer[]> {
  const questions = requests.map(({ topic, partition, spec }) => ({ topic, partition, timestamp: timestampOf(spec) }));
  const { signal, timeoutMs } = options;
  return lookUpOffsets(calls.cluster, questions, {
    isReadCommitted: options.isReadCommitted ?? false,
    signal,
    timeoutMs,
  });
}

/** In the order of the deletions. */
export async function deleteRecords(
  calls: AdminCalls,
  deletions: readonly RecordDeletion[],
  options: CallOptions,
): Promise<DeletedRecords[]> {
  const results = new Map<RecordDeletion, DeletedRecords>();
  const { metadata, context } = calls.cluster;
  await calls.cluster
    .retrying(
      async (leftMs) => {
        let failure: KafkaError | null = null;
        for (const deletion of deletions) {
          const { topic, partition } = deletion;
          if (results.get(deletion)?.error === null) continue;
          const info = await metadata.waitForTopic(topic, context.clock.monotonicMs() + leftMs, options.signal);
          const leaderId = info.partitions[partition]?.leaderId ?? -2;
          const result = await deleteOf(calls, deletion, leaderId, options);
          results.set(deletion, result);
          if (result.error?.retriable === true) failure = result.error;
        }
        if (failure !== null) throw failure;
      },
      { signal: options.signal, timeoutMs: options.timeoutMs },
    )
    .catch((error: unknown) => {
      // Every item has its own result; only what stopped before all had one is thrown.
      if (results.size < deletions.length) throw error;
    });
  return deletions.map((deletion) => results.get(deletion)!);
}

async function deleteOf(
  calls: AdminCalls,
  { topic, partition, beforeOffset }: RecordDeletion,
  leaderId: number,
  options: CallOptions,
): Promise<DeletedRecords> {
  const where = `${topic}-${partition}`;
  const failed = (error: KafkaError): DeletedRecords => ({ topic, partition, lowWatermark: -1, error });
  if (leaderId === -2)
    return failed(clientError("UNKNOWN_TOPIC_OR_PARTITION", `no partition ${where}`, undefined, false));
  if (leaderId < 0) return failed(clientError("LEADER_NOT_AVAILABLE", `${where} has no leader`));
  const topics = [{ name: topic, partitions: [{ partitionIndex: partition, offset: beforeOffset }] }];
  const body = { topics, timeoutMs: serverTimeoutMs(calls, options) };
  try {
    const { body: answer } = await calls.cluster.request(leaderId, ApiKey.DeleteRecords, body, {
      signal: options.signal,
    });
    const result = answer.topics[0]?.partitions[0];
    if (result === undefined) return failed(clientError("NETWORK_EXCEPTION", `${where}: left out of the answer`));
    if (result.errorCode !== 0) return failed(errorFromCode(result.errorCode, where));
    return { topic, partition, lowWatermark: numberFromInt64(result.lowWatermark) ?? -1, error: null };
  } catch (error) {
    if (error instanceof KafkaError) return failed(error);
    throw error;
  }
}
