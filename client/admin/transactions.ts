// Transactions for administrators (KIP-664): which there are, what each has written to, who writes to a partition, and an end for one that hangs.
import { ApiKey } from "@blumfeld/core/protocol";
import { clientError } from "../errors.ts";
import type { TopicPartitionInput } from "../records.ts";
import { type AdminCalls, type CallOptions, type ItemResult, itemError, throwCode, throwItem } from "./calls.ts";

export interface ListedTransaction {
  readonly transactionalId: string;
  readonly producerId: number;
  /** "Ongoing", "CompleteCommit" … */
  readonly state: string;
  readonly coordinatorId: number;
}

export interface TransactionDescription extends ItemResult {
  readonly transactionalId: string;
  readonly state: string;
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly timeoutMs: number;
  /** Null before the first transaction. */
  readonly startMs: number | null;
  readonly partitions: readonly TopicPartitionInput[];
}

export interface ActiveProducer {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly lastSequence: number;
  readonly lastTimestampMs: number;
  /** Of the last marker; -1 where there was none. */
  readonly coordinatorEpoch: number;
  /** Where its open transaction begins; null where it has none. */
  readonly transactionStartOffset: number | null;
}

export interface TransactionFilter {
  readonly states?: readonly string[];
  readonly producerIds?: readonly number[];
  /** Begun longer ago than this. */
  readonly runningMsMin?: number;
  /** A pattern of the broker's (RE2) that the whole id matches. */
  readonly idPattern?: string;
}

/** An open transaction of a partition that no coordinator will end: readers of committed records wait at it for ever. */
export interface HangingTransaction extends TopicPartitionInput {
  readonly producer: ActiveProducer;
  /** The id that the producer belongs to, where one is known. */
  readonly transactionalId: string | null;
}

export async function listTransactions(
  calls: AdminCalls,
  filter: TransactionFilter,
  options: CallOptions,
): Promise<ListedTransaction[]> {
  const body = {
    stateFilters: filter.states ?? [],
    producerIdFilters: (filter.producerIds ?? []).map(BigInt),
    ...(filter.runningMsMin === undefined ? {} : { durationFilter: BigInt(filter.runningMsMin) }),
    ...(filter.idPattern === undefined ? {} : { transactionalIdPattern: filter.idPattern }),
  };
  const transactions: ListedTransaction[] = [];
  for (const coordinatorId of await calls.brokerIds()) {
    const answer = await calls.broker(coordinatorId, ApiKey.ListTransactions, body, options, (all) =>
      throwCode(all.errorCode, `transactions of broker ${coordinatorId}`),
    );
    if (answer.unknownStateFilters.length > 0)
      throw clientError("CLIENT_INVALID_ARGUMENT", `no such state: ${answer.unknownStateFilters.join(", ")}`);
    for (const { producerId, transactionState, transactionalId } of answer.transactionStates)
      transactions.push({
        transactionalId,
        producerId: Number(producerId),
        state: transactionState,
        coordinatorId,
      });
  }
  return transactions;
}

export async function describeTransaction(
  calls: AdminCalls,
  transactionalId: string,
  options: CallOptions,
): Promise<TransactionDescription> {
  const what = `transactional id ${transactionalId}`;
  const body = { transactionalIds: [transactionalId] };
  const answer = await calls.coordinator(
    "transaction",
    transactionalId,
    ApiKey.DescribeTransactions,
    body,
    options,
    (all) => throwCode(all.transactionStates[0]?.errorCode ?? 0, what),
  );
  const one = answer.transactionStates[0]!;
  const startMs = Number(one.transactionStartTimeMs);
  return {
    transactionalId,
    error: itemError(one.errorCode, what),
    state: one.transactionState,
    producerId: Number(one.producerId),
    producerEpoch: one.producerEpoch,
    timeoutMs: one.transactionTimeoutMs,
    startMs: startMs < 0 ? null : startMs,
    partitions: one.topics.flatMap(({ partitions, topic }) => partitions.map((partition) => ({ topic, partition }))),
  };
}

/** What the partition's leader knows of its producers. */
export async function describeProducers(
  calls: AdminCalls,
  { partition, topic }: TopicPartitionInput,
  options: CallOptions,
): Promise<ActiveProducer[]> {
  const leader = await leaderOf(calls, { partition, topic }, options);
  const body = { topics: [{ name: topic, partitionIndexes: [partition] }] };
  const answer = await calls.broker(leader, ApiKey.DescribeProducers, body, options, (all) => {
    const found = all.topics[0]?.partitions[0];
    throwCode(found?.errorCode ?? 0, `${topic}-${partition}`, found?.errorMessage);
  });
  return answer.topics[0]!.partitions[0]!.activeProducers.map((producer) => {
    const start = Number(producer.currentTxnStartOffset);
    return {
      producerId: Number(producer.producerId),
      producerEpoch: producer.producerEpoch,
      lastSequence: producer.lastSequence,
      lastTimestampMs: Number(producer.lastTimestamp),
      coordinatorEpoch: producer.coordinatorEpoch,
      transactionStartOffset: start < 0 ? null : start,
    };
  });
}

/** Ends the open transaction that begins at `startOffset`, whatever its coordinator knows of it. */
export async function abortTransaction(
  calls: AdminCalls,
  { partition, topic }: TopicPartitionInput,
  startOffset: number,
  options: CallOptions,
): Promise<ActiveProducer> {
  const producers = await describeProducers(calls, { partition, topic }, options);
  const producer = producers.find(({ transactionStartOffset }) => transactionStartOffset === startOffset);
  if (producer === undefined)
    throw clientError(
      "CLIENT_INVALID_ARGUMENT",
      `no open transaction of ${topic}-${partition} begins at ${startOffset}`,
    );
  const marker = {
    producerId: BigInt(producer.producerId),
    producerEpoch: producer.producerEpoch,
    transactionResult: false,
    // Where no marker was written before, any coordinator may write the first.
    coordinatorEpoch: Math.max(0, producer.coordinatorEpoch),
    topics: [{ name: topic, partitionIndexes: [partition] }],
  };
  const leader = await leaderOf(calls, { partition, topic }, options);
  const answer = await calls.broker(leader, ApiKey.WriteTxnMarkers, { markers: [marker] }, options);
  const code = answer.markers[0]!.topics[0]!.partitions[0]!.errorCode;
  throwItem({ error: itemError(code, `${topic}-${partition}`) });
  return producer;
}

/**
 * As kafka-transactions' find-hanging: open transactions whose last write is older than `olderMs` (the longest timeout that the brokers allow, or
 * coordinators would end them yet), and which no coordinator has open in that partition.
 */
export async function findHangingTransactions(
  calls: AdminCalls,
  partitions: readonly TopicPartitionInput[],
  olderMs: number,
  options: CallOptions,
): Promise<HangingTransaction[]> {
  const { clock } = calls.cluster.context;
  const suspects: (TopicPartitionInput & { readonly producer: ActiveProducer })[] = [];
  for (const { partition, topic } of partitions) {
    for (const producer of await describeProducers(calls, { partition, topic }, options)) {
      const isOld = clock.wallMs() - producer.lastTimestampMs > olderMs;
      if (producer.transactionStartOffset !== null && isOld) suspects.push({ topic, partition, producer });
    }
  }
  if (suspects.length === 0) return [];
  const producerIds = [...new Set(suspects.map(({ producer }) => producer.producerId))];
  const listed = await listTransactions(calls, { producerIds }, options);
  const idOf = new Map(listed.map(({ producerId, transactionalId }) => [producerId, transactionalId]));
  const hanging: HangingTransaction[] = [];
  for (const suspect of suspects) {
    const transactionalId = idOf.get(suspect.producer.producerId) ?? null;
    if (transactionalId !== null && (await isOpenIn(calls, transactionalId, suspect, options))) continue;
    hanging.push({ ...suspect, transactionalId });
  }
  return hanging;
}

/** Whether the coordinator has the partition in a transaction that it will end. */
async function isOpenIn(
  calls: AdminCalls,
  transactionalId: string,
  { partition, producer, topic }: TopicPartitionInput & { readonly producer: ActiveProducer },
  options: CallOptions,
): Promise<boolean> {
  const described = await describeTransaction(calls, transactionalId, options);
  if (described.error !== null || described.producerId !== producer.producerId) return false;
  return described.partitions.some((one) => one.topic === topic && one.partition === partition);
}

async function leaderOf(
  calls: AdminCalls,
  { partition, topic }: TopicPartitionInput,
  options: CallOptions,
): Promise<number> {
  const { context, metadata } = calls.cluster;
  const where = `${topic}-${partition}`;
  return calls.cluster.retrying(
    async (leftMs) => {
      const info = await metadata.waitForTopic(topic, context.clock.monotonicMs() + leftMs, options.signal);
      const found = info.partitions[partition];
      if (found === undefined)
        throw clientError("UNKNOWN_TOPIC_OR_PARTITION", `no partition ${where}`, undefined, false);
      if (found.leaderId < 0) throw clientError("LEADER_NOT_AVAILABLE", `${where} has no leader`);
      return found.leaderId;
    },
    { signal: options.signal, timeoutMs: options.timeoutMs },
  );
}
