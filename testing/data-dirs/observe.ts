// What a client sees of a broker, in the form of the golden data's expectations: asked in raw frames, so that no client of ours stands between.
import { createHash } from "node:crypto";
import type { Uuid } from "@blumfeld/core/base";
import { ApiKey, ErrorCode, errorOf } from "@blumfeld/core/protocol";
import { readBatches, type WireConnection } from "../wire/index.ts";
import type { ExpectedPartition, ExpectedRecord, ExpectedTopic } from "./expected.ts";

const timestampOf = { latest: -1, earliest: -2, max: -3 } as const;
const isolation = { readUncommitted: 0, readCommitted: 1 } as const;
/** Longer values are told by length and hash. */
const valueBytesMax = 4096;
const fetchBytesMax = 1024 * 1024;

function check(what: string, errorCode: number): void {
  if (errorCode !== ErrorCode.NONE) throw new Error(`${what}: ${errorOf(errorCode).name}`);
}

async function offsetOf(
  connection: WireConnection,
  topic: string,
  partition: number,
  timestamp: number,
  isolationLevel: number = isolation.readUncommitted,
): Promise<{ offset: bigint; timestamp: bigint; leaderEpoch: number }> {
  const answer = await connection.ask(ApiKey.ListOffsets, 10, {
    replicaId: -1,
    isolationLevel,
    topics: [{ name: topic, partitions: [{ partitionIndex: partition, currentLeaderEpoch: -1, timestamp }] }],
    timeoutMs: 10_000,
  });
  const one = answer.topics[0]!.partitions[0]!;
  check(`offset ${timestamp} of ${topic}-${partition}`, one.errorCode);
  return one;
}

interface Fetched {
  readonly records: ExpectedRecord[];
  /** Offsets of records that an aborted transaction wrote, and that are not to be shown. */
  readonly aborted: Set<string>;
}

function recordOf(
  batch: ReturnType<typeof readBatches>[number]["batch"],
  record: ReturnType<typeof readBatches>[number]["records"][number],
): ExpectedRecord {
  return {
    offset: String(record.offset),
    timestamp: String(record.timestamp),
    timestampType: (batch.attributes & 0x08) === 0 ? "CreateTime" : "LogAppendTime",
    leaderEpoch: batch.leaderEpoch,
    key: hexOf(record.key),
    value: shownValue(record.value),
    headers: record.headers.map((header) => [header.key, hexOf(header.value)] as const),
  };
}

function hexOf(bytes: Buffer | null): string | null {
  return bytes === null ? null : bytes.toString("hex");
}

function shownValue(bytes: Buffer | null): ExpectedRecord["value"] {
  if (bytes === null || bytes.length <= valueBytesMax) return hexOf(bytes);
  return { length: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
}

/** All records from the log start to where this isolation level ends, control records left out, as a consumer sees them. */
async function fetchAll(
  connection: WireConnection,
  topicId: string,
  partition: number,
  range: { from: bigint; to: bigint },
  isolationLevel: number,
): Promise<Fetched> {
  const records: ExpectedRecord[] = [];
  const aborted = new Set<string>();
  for (let next = range.from; next < range.to; ) {
    const answer = await connection.ask(ApiKey.Fetch, 16, {
      maxWaitMs: 500,
      minBytes: 1,
      maxBytes: fetchBytesMax,
      isolationLevel,
      sessionId: 0,
      sessionEpoch: -1,
      topics: [
        {
          topicId: topicId as Uuid,
          partitions: [{ partition, fetchOffset: next, partitionMaxBytes: fetchBytesMax }],
        },
      ],
    });
    check(`fetching ${topicId}-${partition}`, answer.errorCode);
    const one = answer.responses[0]!.partitions[0]!;
    check(`fetching ${topicId}-${partition} at ${next}`, one.errorCode);
    const batches = readBatches(one.records);
    const before = next;
    // As a consumer does it: a producer's records from the first offset on are aborted, up to its abort marker.
    const abortedFrom = [...(one.abortedTransactions ?? [])].sort((a, b) => Number(a.firstOffset - b.firstOffset));
    const abortedProducers = new Set<number>();
    for (const { batch, records: list } of batches) {
      while (abortedFrom.length > 0 && Number(abortedFrom[0]!.firstOffset) <= batch.lastOffset)
        abortedProducers.add(Number(abortedFrom.shift()!.producerId));
      next = BigInt(batch.nextOffset);
      if (batch.isControl) {
        if (list[0]?.key?.readInt16BE(2) === 0) abortedProducers.delete(batch.producerId);
        continue;
      }
      for (const record of list) {
        if (BigInt(record.offset) < before) continue;
        records.push(recordOf(batch, record));
        if (batch.isTransactional && abortedProducers.has(batch.producerId)) aborted.add(String(record.offset));
      }
    }
    if (next === before) throw new Error(`fetching ${topicId}-${partition} at ${next} of ${range.to}: no batch came`);
  }
  return { records, aborted };
}

async function producersOf(
  connection: WireConnection,
  topic: string,
  partition: number,
): Promise<ExpectedPartition["producers"]> {
  const request = { topics: [{ name: topic, partitionIndexes: [partition] }] };
  const answer = await connection.ask(ApiKey.DescribeProducers, 0, request);
  const one = answer.topics[0]!.partitions[0]!;
  check(`producers of ${topic}-${partition}`, one.errorCode);
  return one.activeProducers
    .map((producer) => ({
      producerId: String(producer.producerId),
      epoch: producer.producerEpoch,
      lastSequence: producer.lastSequence,
      lastTimestamp: String(producer.lastTimestamp),
      coordinatorEpoch: producer.coordinatorEpoch,
      currentTransactionStartOffset: String(producer.currentTxnStartOffset),
    }))
    .sort((a, b) => Number(a.producerId) - Number(b.producerId));
}

/** One partition as a client sees it. Records are read only where `expected` has them. */
export async function observePartition(
  connection: WireConnection,
  topic: string,
  expectedTopic: ExpectedTopic,
  expected: ExpectedPartition,
): Promise<ExpectedPartition> {
  const { partition } = expected;
  const metadata = await connection.ask(ApiKey.Metadata, 12, {
    topics: [{ name: topic }],
    allowAutoTopicCreation: false,
  });
  const described = metadata.topics[0]!.partitions.find((each) => each.partitionIndex === partition)!;
  const earliest = await offsetOf(connection, topic, partition, timestampOf.earliest);
  const latest = await offsetOf(connection, topic, partition, timestampOf.latest);
  const stable = await offsetOf(connection, topic, partition, timestampOf.latest, isolation.readCommitted);
  const max = await offsetOf(connection, topic, partition, timestampOf.max);
  const observed: ExpectedPartition = {
    partition,
    leader: described.leaderId,
    replicas: described.replicaNodes,
    isr: described.isrNodes,
    logStartOffset: String(earliest.offset),
    highWatermark: String(latest.offset),
    lastStableOffset: String(stable.offset),
    maxTimestamp: String(max.timestamp),
    maxTimestampOffset: String(max.offset),
    latestOffsetLeaderEpoch: latest.leaderEpoch,
    producers: await producersOf(connection, topic, partition),
  };
  if (expected.records === undefined) return observed;
  const { topicId } = expectedTopic;
  const all = { from: earliest.offset, to: latest.offset };
  const committed = { from: earliest.offset, to: stable.offset };
  const uncommitted = await fetchAll(connection, topicId, partition, all, isolation.readUncommitted);
  const seen = await fetchAll(connection, topicId, partition, committed, isolation.readCommitted);
  return {
    ...observed,
    records: uncommitted.records,
    readCommittedOffsets: seen.records.map(({ offset }) => offset).filter((offset) => !seen.aborted.has(offset)),
  };
}

/** The dynamic settings of a resource: those that the resource itself was given. */
export async function observeConfigs(
  connection: WireConnection,
  resourceType: number,
  resourceName: string,
  configSource: number,
): Promise<Record<string, string>> {
  const answer = await connection.ask(ApiKey.DescribeConfigs, 4, {
    resources: [{ resourceType, resourceName, configurationKeys: null }],
    includeSynonyms: false,
    includeDocumentation: false,
  });
  check(`settings of ${resourceName}`, answer.results[0]!.errorCode);
  const own = answer.results[0]!.configs.filter((each) => each.configSource === configSource);
  return Object.fromEntries(own.map((each) => [each.name, each.value ?? ""]).sort());
}
