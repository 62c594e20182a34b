// A coordinator of transactions as a slow, obvious model, for ModelCluster: one map of ids, markers written at once. Checks what a producer may do,
// in both versions of the protocol, and says what readers of committed records see.
import { controlKey, endTxnMarkerValue, type RecordBatchBuilder, RecordBatchView } from "@blumfeld/core/model";
import {
  type AddOffsetsToTxnRequest,
  type AddPartitionsToTxnRequest,
  ApiKey,
  type EndTxnRequest,
  ErrorCode,
  type FindCoordinatorRequest,
  type InitProducerIdRequest,
  type TxnOffsetCommitRequest,
} from "@blumfeld/core/protocol";
import type { ModelCluster, ModelPartition } from "./model-cluster.ts";
import type { ScriptedRequest } from "./scripted-network.ts";

interface ModelTransaction {
  producerId: number;
  epoch: number;
  /** Before the last InitProducerId that named it: a repeat of that is answered again. */
  epochBefore: number;
  state: "empty" | "open" | "committed" | "aborted";
  isTwoPhase: boolean;
  /** Where somebody else has to decide what this one prepared. */
  decider: { producerId: number; epoch: number } | null;
  readonly partitions: Set<string>;
  readonly groups: Set<string>;
  readonly pending: Map<string, number>;
}

type Coded = { readonly errorCode: number };

const addsItselfFrom = 12;

export class ModelTransactions {
  readonly byId = new Map<string, ModelTransaction>();
  /** `group/topic-partition` → offset. */
  readonly offsets = new Map<string, number>();
  readonly #cluster: ModelCluster;
  readonly isV2: boolean;
  coordinator = 1;
  /** Generation that the coordinator of every group knows; commits of another are refused. */
  generation = 1;

  constructor(cluster: ModelCluster, isV2: boolean) {
    this.#cluster = cluster;
    this.isV2 = isV2;
  }

  /** An answer where the request is one of transactions. */
  answer(request: ScriptedRequest, nodeId: number): unknown {
    switch (request.key) {
      case ApiKey.FindCoordinator: {
        const { coordinatorKeys } = request.body as FindCoordinatorRequest;
        const where = { nodeId: this.coordinator, host: `node${this.coordinator}`, port: 9092, errorCode: 0 };
        return { coordinators: coordinatorKeys.map((key) => ({ ...where, key })) };
      }
      case ApiKey.InitProducerId:
        return this.#init(request.body as InitProducerIdRequest, nodeId);
      case ApiKey.AddPartitionsToTxn:
        return this.#addPartitions(request.body as AddPartitionsToTxnRequest, nodeId);
      case ApiKey.AddOffsetsToTxn:
        return this.#addOffsets(request.body as AddOffsetsToTxnRequest, nodeId);
      case ApiKey.TxnOffsetCommit:
        return this.#commitOffsets(request.body as TxnOffsetCommitRequest, request.version, nodeId);
      case ApiKey.EndTxn:
        return this.#end(request.body as EndTxnRequest, request.version, nodeId);
      default:
        return undefined;
    }
  }

  /** Before a produced batch is appended; 0 where it may be. */
  check(transactionalId: string | null, version: number, where: string, bytes: Buffer): number {
    const view = new RecordBatchView(bytes);
    if (transactionalId === null) return view.isTransactional ? ErrorCode.INVALID_TXN_STATE : ErrorCode.NONE;
    if (!view.isTransactional) return ErrorCode.INVALID_RECORD;
    const one = this.byId.get(transactionalId);
    if (one === undefined || one.producerId !== view.producerId) return ErrorCode.INVALID_PRODUCER_ID_MAPPING;
    if (one.epoch !== view.producerEpoch) return ErrorCode.INVALID_PRODUCER_EPOCH;
    if (version >= addsItselfFrom) {
      this.#open(one);
      one.partitions.add(where);
      return ErrorCode.NONE;
    }
    return one.state === "open" && one.partitions.has(where) ? ErrorCode.NONE : ErrorCode.TRANSACTION_ABORTABLE;
  }

  /** As the coordinator does after the timeout. */
  timeOut(transactionalId: string): void {
    this.#finish(this.byId.get(transactionalId)!, false, true);
  }

  /** What readers of committed records see once nothing is open. */
  committedValues(topic: string, partition: number): string[] {
    const { batches } = this.#cluster.topics.get(topic)!.partitions[partition]!;
    return batches.flatMap(({ bytes, records }, index) => {
      const view = new RecordBatchView(bytes);
      if (view.isControl) return [];
      if (view.isTransactional) {
        const marker = batches.slice(index + 1).find((later) => {
          const other = new RecordBatchView(later.bytes);
          return other.isControl && other.producerId === view.producerId;
        });
        if (marker === undefined || marker.records[0]!.key!.readInt16BE(2) === 0) return [];
      }
      return records.map(({ value }) => String(value));
    });
  }

  #init(body: InitProducerIdRequest, nodeId: number): unknown {
    if (body.transactionalId === null) return undefined;
    const refuse = (errorCode: number): Coded => ({ errorCode });
    if (nodeId !== this.coordinator) return refuse(ErrorCode.NOT_COORDINATOR);
    const fresh = (): ModelTransaction => ({
      producerId: this.#cluster.nextProducerId(),
      epoch: -1,
      epochBefore: -1,
      state: "empty",
      isTwoPhase: false,
      decider: null,
      partitions: new Set(),
      groups: new Set(),
      pending: new Map(),
    });
    const one = this.byId.get(body.transactionalId) ?? fresh();
    const hasBefore = body.producerEpoch >= 0;
    const isOwn = Number(body.producerId) === one.producerId && body.producerEpoch === one.epoch;
    const isRepeat = hasBefore && body.producerEpoch === one.epochBefore && one.state === "empty";
    if (isRepeat) return { errorCode: 0, producerId: one.producerId, producerEpoch: one.epoch };
    if (hasBefore && one.epoch >= 0 && !isOwn) return refuse(ErrorCode.PRODUCER_FENCED);
    this.byId.set(body.transactionalId, one);
    if (one.state === "open" && body.keepPreparedTxn) {
      one.decider = { producerId: one.producerId, epoch: (one.decider?.epoch ?? one.epoch) + 1 };
      const ongoing = { ongoingTxnProducerId: one.producerId, ongoingTxnProducerEpoch: one.epoch };
      return { errorCode: 0, producerId: one.decider.producerId, producerEpoch: one.decider.epoch, ...ongoing };
    }
    if (one.state === "open") {
      this.#finish(one, false, true);
      return refuse(ErrorCode.CONCURRENT_TRANSACTIONS);
    }
    one.isTwoPhase = body.enable2Pc;
    one.epochBefore = hasBefore ? one.epoch : -1;
    one.epoch++;
    one.state = "empty";
    return { errorCode: 0, producerId: one.producerId, producerEpoch: one.epoch };
  }

  #owner(id: string, producerId: bigint, epoch: number, nodeId: number): ModelTransaction | number {
    if (nodeId !== this.coordinator) return ErrorCode.NOT_COORDINATOR;
    const one = this.byId.get(id);
    const owner = one?.decider ?? one;
    if (one === undefined || owner?.producerId !== Number(producerId)) return ErrorCode.INVALID_PRODUCER_ID_MAPPING;
    return owner.epoch === epoch ? one : ErrorCode.PRODUCER_FENCED;
  }

  #addPartitions(body: AddPartitionsToTxnRequest, nodeId: number): unknown {
    const { v3AndBelowProducerEpoch, v3AndBelowProducerId, v3AndBelowTopics, v3AndBelowTransactionalId } = body;
    const one = this.#owner(v3AndBelowTransactionalId, v3AndBelowProducerId, v3AndBelowProducerEpoch, nodeId);
    const partitionErrorCode = typeof one === "number" ? one : 0;
    if (typeof one !== "number") {
      this.#open(one);
      for (const { name, partitions } of v3AndBelowTopics) {
        for (const partition of partitions) one.partitions.add(`${name}-${partition}`);
      }
    }
    return {
      resultsByTopicV3AndBelow: v3AndBelowTopics.map(({ name, partitions }) => ({
        name,
        resultsByPartition: partitions.map((partitionIndex) => ({ partitionIndex, partitionErrorCode })),
      })),
    };
  }

  #addOffsets(body: AddOffsetsToTxnRequest, nodeId: number): Coded {
    const one = this.#owner(body.transactionalId, body.producerId, body.producerEpoch, nodeId);
    if (typeof one === "number") return { errorCode: one };
    this.#open(one);
    one.groups.add(body.groupId);
    return { errorCode: 0 };
  }

  #commitOffsets(body: TxnOffsetCommitRequest, version: number, nodeId: number): unknown {
    const { groupId, producerEpoch, producerId, topics, transactionalId } = body;
    const one = this.#owner(transactionalId, producerId, producerEpoch, nodeId);
    let errorCode: number = ErrorCode.NONE;
    if (typeof one === "number") errorCode = one;
    else if (body.generationId !== this.generation) errorCode = ErrorCode.ILLEGAL_GENERATION;
    else if (version >= 5) {
      this.#open(one);
      one.groups.add(groupId);
    } else if (one.state !== "open" || !one.groups.has(groupId)) errorCode = ErrorCode.INVALID_TXN_STATE;
    return {
      topics: topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ committedOffset, partitionIndex }) => {
          if (errorCode === 0 && typeof one !== "number")
            one.pending.set(`${groupId}/${name}-${partitionIndex}`, Number(committedOffset));
          return { partitionIndex, errorCode };
        }),
      })),
    };
  }

  #end(body: EndTxnRequest, version: number, nodeId: number): unknown {
    const isV2 = version >= 5;
    const one = this.byId.get(body.transactionalId);
    const wanted = body.committed ? "committed" : "aborted";
    // The repeat of an end whose answer was lost: v2 has raised the epoch meanwhile.
    const isRepeat =
      one !== undefined &&
      isV2 &&
      one.epoch === body.producerEpoch + 1 &&
      one.state === wanted &&
      nodeId === this.coordinator;
    if (isRepeat) return { errorCode: 0, producerId: one.producerId, producerEpoch: one.epoch };
    const owned = this.#owner(body.transactionalId, body.producerId, body.producerEpoch, nodeId);
    if (typeof owned === "number") return { errorCode: owned };
    if (owned.state === "open") this.#finish(owned, body.committed, isV2 || owned.decider !== null);
    else if (isV2 && !body.committed) this.#finish(owned, false, true);
    else if (owned.state !== wanted) return { errorCode: ErrorCode.INVALID_TXN_STATE };
    return { errorCode: 0, producerId: owned.producerId, producerEpoch: owned.epoch };
  }

  #open(one: ModelTransaction): void {
    one.state = "open";
  }

  #finish(one: ModelTransaction, isCommit: boolean, isRaised: boolean): void {
    if (isRaised) one.epoch = Math.max(one.epoch, one.decider?.epoch ?? -1) + 1;
    one.decider = null;
    one.state = isCommit ? "committed" : "aborted";
    for (const where of one.partitions) {
      const [, topic, index] = /^(.*)-(\d+)$/.exec(where)!;
      this.#mark(this.#cluster.topics.get(topic!)!.partitions[Number(index)]!, one, isCommit, isRaised);
    }
    if (isCommit) for (const [key, offset] of one.pending) this.offsets.set(key, offset);
    one.partitions.clear();
    one.groups.clear();
    one.pending.clear();
  }

  #mark(
    partition: ModelPartition,
    { epoch, producerId }: ModelTransaction,
    isCommit: boolean,
    isRaised: boolean,
  ): void {
    this.#cluster.append(partition, (builder: RecordBatchBuilder) => {
      builder.append(1, controlKey(isCommit ? "commit" : "abort"), endTxnMarkerValue(0), []);
      return builder.build({ producerId, producerEpoch: epoch, baseSequence: -1, transactional: true, control: true });
    });
    if (isRaised) partition.producers.set(producerId, { epoch, sequenceNext: 0, recent: [] });
  }
}
