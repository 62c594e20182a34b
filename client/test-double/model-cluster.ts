// A Kafka cluster as a slow, obvious model: logs are arrays of records, producers' sequences are checked one by one. Serves what producer,
// consumer and metadata need, on a scripted network; faults are given by the test. It shares no rule with the client: it judges it.
import { seededRandom, type Uuid } from "@blumfeld/core/base";
import { codecById } from "@blumfeld/core/compression";
import { type LogRecord, RecordBatchBuilder, RecordBatchView, readRecords } from "@blumfeld/core/model";
import {
  ApiKey,
  apis,
  ErrorCode,
  type FetchRequest,
  type ListOffsetsRequest,
  type MetadataRequest,
  type ProduceRequest,
  type ResponseInitOf,
} from "@blumfeld/core/protocol";
import type { ModelTransactions } from "./model-transactions.ts";
import { type Reaction, type Script, ScriptedNetwork, type ScriptedRequest } from "./scripted-network.ts";
import { VirtualTime } from "./virtual-time.ts";

export interface ModelBatch {
  readonly baseOffset: number;
  readonly records: readonly LogRecord[];
  /** As stored, base offset stamped. */
  readonly bytes: Buffer;
}

interface ProducerState {
  epoch: number;
  sequenceNext: number;
  /** The last five batches: first sequence, last sequence, base offset. */
  recent: { first: number; last: number; baseOffset: number }[];
}

export interface ModelPartition {
  leader: number;
  leaderEpoch: number;
  batches: ModelBatch[];
  endOffset: number;
  startOffset: number;
  readonly producers: Map<number, ProducerState>;
  readonly aborted: { producerId: number; firstOffset: number }[];
}

export interface ModelTopic {
  readonly id: Uuid;
  readonly partitions: ModelPartition[];
}

/** Decides before the model serves the request; undefined lets it be served. "lose-answer": served, then the connection ends. */
export type Fault = (request: ScriptedRequest) => Reaction | "lose-answer" | undefined;

export class ModelCluster {
  readonly time = new VirtualTime();
  readonly network: ScriptedNetwork;
  readonly topics = new Map<string, ModelTopic>();
  readonly nodeIds: readonly number[];
  readonly requests: ScriptedRequest[] = [];
  readonly ports;
  /** Serves transactions where a test sets it. */
  transactions: ModelTransactions | null = null;
  fault: Fault = () => undefined;
  /** Produce is refused above this. */
  batchBytesMax = Number.MAX_SAFE_INTEGER;
  /** Names the new leader beside NOT_LEADER_OR_FOLLOWER (KIP-951). */
  givesLeaderHints = true;
  #producerIdNext = 100;

  constructor(nodeCount = 3) {
    this.nodeIds = Array.from({ length: nodeCount }, (_, index) => index + 1);
    const script: Script = (request) => this.#serve(request);
    this.network = new ScriptedNetwork(this.time, script);
    this.ports = { network: this.network, clock: this.time, timers: this.time, random: seededRandom(7) };
  }

  get bootstrapServers(): string {
    return this.nodeIds.map((id) => `node${id}:9092`).join(",");
  }

  nextProducerId(): number {
    return this.#producerIdNext++;
  }

  createTopic(name: string, partitionCount: number): ModelTopic {
    const id = `topic${String(this.topics.size).padStart(16, "0")}A` as Uuid;
    const topic: ModelTopic = {
      id,
      partitions: Array.from({ length: partitionCount }, (_, index) => ({
        leader: this.nodeIds[index % this.nodeIds.length]!,
        leaderEpoch: 0,
        batches: [],
        endOffset: 0,
        startOffset: 0,
        producers: new Map(),
        aborted: [],
      })),
    };
    this.topics.set(name, topic);
    return topic;
  }

  /** Appends as a broker would what a test made. */
  append(partition: ModelPartition, fill: (builder: RecordBatchBuilder) => Buffer): ModelBatch {
    const bytes = fill(new RecordBatchBuilder());
    return this.#store(partition, bytes);
  }

  moveLeader(topic: string, partition: number, leader: number): void {
    const state = this.topics.get(topic)!.partitions[partition]!;
    state.leader = leader;
    state.leaderEpoch++;
  }

  valuesOf(topic: string, partition: number): string[] {
    return this.topics
      .get(topic)!
      .partitions[partition]!.batches.flatMap(({ records }) => records.map(({ value }) => String(value)));
  }

  requestsOf(key: ApiKey): ScriptedRequest[] {
    return this.requests.filter((request) => request.key === key);
  }

  #serve(request: ScriptedRequest): Reaction {
    this.requests.push(request);
    const fault = this.fault(request);
    if (fault !== undefined && fault !== "lose-answer") return fault;
    const answer = this.#answer(request);
    if (fault === "lose-answer") return "close";
    return answer;
  }

  #answer(request: ScriptedRequest): Reaction {
    const nodeId = Number(/^node(\d+):/.exec(request.address)?.[1]);
    const transactional = this.transactions?.answer(request, nodeId);
    if (transactional !== undefined) return { answer: transactional };
    switch (request.key) {
      case ApiKey.ApiVersions:
        return { answer: this.apiVersions() };
      case ApiKey.Metadata:
        return { answer: this.#metadata(request.body as MetadataRequest) };
      case ApiKey.InitProducerId:
        return {
          answer: { errorCode: 0, producerId: this.#producerIdNext++, producerEpoch: 0 } satisfies ResponseInitOf<22>,
        };
      case ApiKey.Produce:
        return this.#produce(request.body as ProduceRequest, request.version, nodeId);
      case ApiKey.ListOffsets:
        return { answer: this.#listOffsets(request.body as ListOffsetsRequest, nodeId) };
      case ApiKey.Fetch:
        return this.#fetch(request.body as FetchRequest, nodeId);
      default:
        throw new Error(`the model serves no ${apis.get(request.key)?.name}`);
    }
  }

  apiVersions(): ResponseInitOf<typeof ApiKey.ApiVersions> {
    return {
      errorCode: 0,
      apiKeys: [...apis.values()].map((api) => ({
        apiKey: api.key,
        minVersion: api.minVersion,
        // InitProducerId v6 (KIP-939) is one that Kafka still calls unstable.
        maxVersion: api.key === ApiKey.InitProducerId ? api.maxVersion : api.latestStableVersion,
      })),
      ...(this.transactions?.isV2 === true
        ? {
            finalizedFeaturesEpoch: 1,
            finalizedFeatures: [{ name: "transaction.version", maxVersionLevel: 2, minVersionLevel: 2 }],
          }
        : {}),
    };
  }

  #metadata(body: MetadataRequest): ResponseInitOf<typeof ApiKey.Metadata> {
    const names = body.topics === null ? [...this.topics.keys()] : body.topics.map(({ name }) => name!);
    return {
      clusterId: "model",
      controllerId: this.nodeIds[0],
      brokers: this.nodeIds.map((nodeId) => ({ nodeId, host: `node${nodeId}`, port: 9092 })),
      topics: names.map((name) => {
        const topic = this.topics.get(name);
        if (topic === undefined) return { name, errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, partitions: [] };
        return {
          name,
          topicId: topic.id,
          errorCode: 0,
          partitions: topic.partitions.map(({ leader, leaderEpoch }, partitionIndex) => ({
            errorCode: leader < 0 ? ErrorCode.LEADER_NOT_AVAILABLE : 0,
            partitionIndex,
            leaderId: leader,
            leaderEpoch,
            replicaNodes: this.nodeIds,
            isrNodes: this.nodeIds,
          })),
        };
      }),
    };
  }

  #byId(id: Uuid, name: string): [string, ModelTopic] | undefined {
    return [...this.topics].find(([topicName, topic]) => topic.id === id || topicName === name);
  }

  #produce(body: ProduceRequest, version: number, nodeId: number): Reaction {
    const responses = body.topicData.map(({ topicId, name, partitionData }) => ({
      name,
      topicId,
      partitionResponses: partitionData.map(({ index, records }) => {
        const [topicName, topic] = this.#byId(topicId, name) ?? [name, null];
        const partition = topic?.partitions[index];
        if (partition === undefined) {
          return { index, errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, baseOffset: -1 };
        }
        if (partition.leader !== nodeId) {
          const hint = { leaderId: partition.leader, leaderEpoch: partition.leaderEpoch };
          const currentLeader = this.givesLeaderHints && partition.leader >= 0 ? hint : undefined;
          return { index, errorCode: ErrorCode.NOT_LEADER_OR_FOLLOWER, baseOffset: -1, currentLeader };
        }
        const bytes = Buffer.from(records!);
        const refusal = this.transactions?.check(body.transactionalId, version, `${topicName}-${index}`, bytes) ?? 0;
        if (refusal !== 0) return { index, errorCode: refusal, baseOffset: -1 };
        return { index, ...this.#appendProduced(partition, bytes) };
      }),
    }));
    const nodeEndpoints = this.givesLeaderHints
      ? this.nodeIds.map((id) => ({ nodeId: id, host: `node${id}`, port: 9092 }))
      : [];
    const answer: ResponseInitOf<typeof ApiKey.Produce> = { responses, nodeEndpoints };
    return body.acks === 0 ? "silence" : { answer };
  }

  #appendProduced(partition: ModelPartition, bytes: Buffer): { errorCode: number; baseOffset: number } {
    const refuse = (errorCode: number): { errorCode: number; baseOffset: number } => ({ errorCode, baseOffset: -1 });
    if (bytes.length > this.batchBytesMax) return refuse(ErrorCode.MESSAGE_TOO_LARGE);
    const view = new RecordBatchView(bytes);
    const { producerId, producerEpoch, baseSequence, lastSequence } = view;
    if (producerId < 0) return { errorCode: 0, baseOffset: this.#store(partition, bytes).baseOffset };
    const known = partition.producers.get(producerId);
    const repeat = known?.recent.find(({ first, last }) => first === baseSequence && last === lastSequence);
    if (known !== undefined && known.epoch === producerEpoch && repeat !== undefined) {
      return { errorCode: 0, baseOffset: repeat.baseOffset };
    }
    if (known !== undefined && producerEpoch < known.epoch) return refuse(ErrorCode.INVALID_PRODUCER_EPOCH);
    const isNewEpoch = known === undefined || producerEpoch > known.epoch;
    if (baseSequence !== (isNewEpoch ? 0 : known.sequenceNext)) return refuse(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER);
    const { baseOffset } = this.#store(partition, bytes);
    const recent = isNewEpoch ? [] : known.recent;
    recent.push({ first: baseSequence, last: lastSequence, baseOffset });
    if (recent.length > 5) recent.shift();
    partition.producers.set(producerId, { epoch: producerEpoch, sequenceNext: lastSequence + 1, recent });
    return { errorCode: 0, baseOffset };
  }

  #store(partition: ModelPartition, bytes: Buffer): ModelBatch {
    const copy = Buffer.from(bytes);
    copy.writeBigInt64BE(BigInt(partition.endOffset), 0);
    copy.writeInt32BE(partition.leaderEpoch, 12);
    const view = new RecordBatchView(copy);
    const unpacked = codecById(view.codecId)!.decompress(view.recordsBytes, { outputBytesMax: 1 << 30 });
    const records = readRecords(view, unpacked as Buffer);
    if (!Array.isArray(records)) throw new Error(`a batch that is none: ${String(records)}`);
    const batch = { baseOffset: partition.endOffset, records, bytes: copy };
    partition.batches.push(batch);
    partition.endOffset += view.lastOffsetDelta + 1;
    return batch;
  }

  #listOffsets(body: ListOffsetsRequest, nodeId: number): ResponseInitOf<typeof ApiKey.ListOffsets> {
    return {
      topics: body.topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex, timestamp }) => {
          const partition = this.topics.get(name)!.partitions[partitionIndex]!;
          if (partition.leader !== nodeId) {
            return { partitionIndex, errorCode: ErrorCode.NOT_LEADER_OR_FOLLOWER, offset: -1, timestamp: -1 };
          }
          if (timestamp === -1n) return { partitionIndex, errorCode: 0, offset: partition.endOffset, timestamp: -1 };
          if (timestamp === -2n) return { partitionIndex, errorCode: 0, offset: partition.startOffset, timestamp: -1 };
          const found = partition.batches
            .flatMap(({ records }) => records)
            .find((record) => record.timestamp >= Number(timestamp) && record.offset >= partition.startOffset);
          return { partitionIndex, errorCode: 0, offset: found?.offset ?? -1, timestamp: found?.timestamp ?? -1 };
        }),
      })),
    };
  }

  /** Sessions are refused (id 0): each request names everything. Waits `maxWaitMs` where there is nothing. */
  #fetch(body: FetchRequest, nodeId: number): Reaction {
    let bytesLeft = body.maxBytes;
    let hasAny = false;
    const responses = body.topics.map(({ topic, topicId, partitions }) => ({
      topic,
      topicId,
      partitions: partitions.map(({ partition: partitionIndex, fetchOffset, partitionMaxBytes }) => {
        const partition = this.#byId(topicId, topic)![1].partitions[partitionIndex]!;
        const offset = Number(fetchOffset);
        const facts = { partitionIndex, highWatermark: partition.endOffset, logStartOffset: partition.startOffset };
        const refuse = (errorCode: number) => {
          hasAny = true;
          return { ...facts, errorCode, highWatermark: -1, records: null };
        };
        if (partition.leader !== nodeId) return refuse(ErrorCode.NOT_LEADER_OR_FOLLOWER);
        if (offset < partition.startOffset || offset > partition.endOffset) {
          return refuse(ErrorCode.OFFSET_OUT_OF_RANGE);
        }
        const chosen: Buffer[] = [];
        let size = 0;
        for (const batch of partition.batches) {
          if (new RecordBatchView(batch.bytes).nextOffset <= offset) continue;
          if (chosen.length > 0 && (size + batch.bytes.length > partitionMaxBytes || size > bytesLeft)) break;
          chosen.push(batch.bytes);
          size += batch.bytes.length;
        }
        bytesLeft -= size;
        hasAny ||= size > 0;
        const aborted = body.isolationLevel === 1 ? partition.aborted.filter((one) => one.firstOffset >= 0) : null;
        return {
          ...facts,
          lastStableOffset: partition.endOffset,
          errorCode: 0,
          abortedTransactions: aborted,
          records: chosen,
        };
      }),
    }));
    const answer: ResponseInitOf<typeof ApiKey.Fetch> = { responses };
    return { answer, afterMs: hasAny ? 1 : Math.max(1, body.maxWaitMs) };
  }
}
