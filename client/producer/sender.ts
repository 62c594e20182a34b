// Brings batches to the leaders: gathers what is ready per broker into produce requests, keeps at most `inFlightRequestsMax` under way per
// broker, judges the answers, puts back what is tried again. Runs at the end of a turn, so that all that one turn sent goes together.
//
// Which batch may leave: a full one; any once `lingerMs` has passed; with lingerMs 0 any when nothing is under way to its broker; any while
// someone flushes or waits for room.
import { type TimerHandle, type Uuid, uuidZero } from "@blumfeld/core/base";
import type { ProducerFields } from "@blumfeld/core/model";
import { ApiKey, type ProduceRequestInit, type ProduceResponse } from "@blumfeld/core/protocol";
import { backoffMs } from "../connection/backoff.ts";
import type { Answer, BrokerConnection } from "../connection/broker-connection.ts";
import type { ClusterClient } from "../connection/cluster-client.ts";
import { clientError, errorFromCode, KafkaError } from "../errors.ts";
import { Accumulator, type AccumulatorListener } from "./accumulator.ts";
import type { ProducerBatch } from "./batch.ts";
import { Delivered, Failed } from "./calls.ts";
import { IdentityKeeper } from "./identity.ts";
import type { ResolvedProducerOptions } from "./options.ts";
import type { PartitionQueue, ProducerIdentity } from "./partition-queue.ts";
import { type PartitionAnswer, verdictOf } from "./produce-outcome.ts";
import { TransactionManager } from "./transaction-manager.ts";
import { produceVersionMaxV1 } from "./transaction-requests.ts";

interface Shipment {
  readonly batch: ProducerBatch;
  readonly queue: PartitionQueue;
  readonly producer: ProducerFields | null;
}

interface Node {
  readonly nodeId: number;
  /** Partitions that have something for this broker. */
  readonly ready: Set<PartitionQueue>;
  inFlight: number;
  isConnecting: boolean;
}

const versionWithTopicIds = 13;
/** Room in a request for everything but batches. */
const requestOverheadBytes = 512;

export class Sender implements AccumulatorListener {
  readonly accumulator: Accumulator;
  readonly #cluster: ClusterClient;
  readonly #options: ResolvedProducerOptions;
  readonly #nodes = new Map<number, Node>();
  /** Partitions whose leader is not known. */
  readonly #leaderless = new Set<PartitionQueue>();
  /** Partitions whose open batch lingers, the one that began first being first. */
  readonly #lingering = new Map<PartitionQueue, number>();
  readonly #identity: IdentityKeeper | null;
  /** Of a producer with a transactional id; it says then who the producer is. */
  readonly transactions: TransactionManager | null;
  readonly #stopListening: () => void;
  #lingerTimer: TimerHandle | null = null;
  #isScheduled = false;
  #flushing = 0;
  #closed = false;

  constructor(cluster: ClusterClient, options: ResolvedProducerOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.accumulator = new Accumulator(cluster.context, options, cluster.metadata, this);
    const { transaction } = options;
    this.transactions = transaction === null ? null : new TransactionManager(cluster, transaction, this);
    this.#identity =
      options.idempotent && transaction === null
        ? new IdentityKeeper(
            cluster,
            () => this.#schedule(),
            (error) => this.#failEverything(error),
          )
        : null;
    this.#stopListening = cluster.metadata.onUpdate(() => this.#onMetadata());
  }

  onBatch(queue: PartitionQueue, isFull: boolean): void {
    if (!isFull && this.#options.lingerMs > 0 && !this.#isUrgent) {
      if (queue.waiting.length === 1 && !this.#lingering.has(queue)) this.#linger(queue);
      return;
    }
    if (!queue.isReady || !this.#isScheduled) this.#makeReady(queue);
  }

  onPressure(): void {
    for (const queue of this.#lingering.keys()) this.#makeReady(queue);
    this.#lingering.clear();
    this.#schedule();
  }

  /** The batch's time is over. On the wire, its memory stays until the request ends. */
  onExpired(batch: ProducerBatch, queue: PartitionQueue): void {
    const { deliveryTimeoutMs } = this.#options;
    const error = clientError(
      "CLIENT_DELIVERY_TIMEOUT",
      `${batch.recordCount} records for ${batch.topic}-${batch.partition} not confirmed within ${deliveryTimeoutMs} ms`,
    );
    if (!batch.isOnWire) return this.#lost(batch, queue, error);
    batch.finish(new Failed(error));
    this.transactions?.onBatchFailed(error, batch.hasSequence);
  }

  /** Resolves when all that was given before has been confirmed or refused. */
  async flush(): Promise<void> {
    this.#flushing++;
    try {
      this.onPressure();
      await this.accumulator.admitted();
      this.onPressure();
      const batches = [...this.accumulator.incomplete].filter((batch) => !batch.isDone);
      if (batches.length === 0) return;
      await new Promise<void>((resolve) => {
        let left = batches.length;
        for (const batch of batches) {
          batch.whenDone(() => {
            left--;
            if (left === 0) resolve();
          });
        }
        this.#schedule();
      });
    } finally {
      this.#flushing--;
    }
  }

  /** Everything that is not on the wire fails: the transaction that it belongs to is given up. */
  failUnsent(error: KafkaError): void {
    for (const batch of this.accumulator.failUnsent(error)) {
      if (batch.hasSequence) this.transactions?.onSequenceLost();
    }
  }

  schedule(): void {
    this.#schedule();
  }

  close(error: KafkaError): void {
    this.#closed = true;
    this.transactions?.close();
    this.#lingerTimer?.cancel();
    this.#stopListening();
    this.accumulator.close(error);
  }

  get #isUrgent(): boolean {
    return this.#flushing > 0 || this.accumulator.isFull;
  }

  #makeReady(queue: PartitionQueue): void {
    const leaderId = this.#cluster.metadata.partition(queue.topic, queue.partition)?.leaderId ?? -1;
    if (leaderId < 0) {
      this.#leaderless.add(queue);
      this.#cluster.metadata.touch(queue.topic);
      this.#cluster.metadata.requestRefresh();
      return;
    }
    this.#nodeOf(leaderId).ready.add(queue);
    queue.isReady = true;
    if (!this.#isScheduled) this.#schedule();
  }

  #unready(node: Node, queue: PartitionQueue): void {
    node.ready.delete(queue);
    queue.isReady = false;
  }

  #nodeOf(nodeId: number): Node {
    let node = this.#nodes.get(nodeId);
    if (node === undefined) {
      node = { nodeId, ready: new Set(), inFlight: 0, isConnecting: false };
      this.#nodes.set(nodeId, node);
    }
    return node;
  }

  #schedule(): void {
    if (this.#isScheduled || this.#closed) return;
    this.#isScheduled = true;
    this.#cluster.context.timers.atTurnEnd(() => {
      this.#isScheduled = false;
      if (this.#closed) return;
      for (const node of this.#nodes.values()) if (node.ready.size > 0) this.#drain(node);
    });
  }

  #linger(queue: PartitionQueue): void {
    const dueMs = queue.waiting[0]!.createdMs + this.#options.lingerMs;
    this.#lingering.set(queue, dueMs);
    if (this.#lingerTimer === null) this.#armLinger(dueMs);
  }

  #armLinger(dueMs: number): void {
    const { clock, timers } = this.#cluster.context;
    this.#lingerTimer = timers.after(Math.max(0, dueMs - clock.monotonicMs()), () => {
      this.#lingerTimer = null;
      const now = clock.monotonicMs();
      for (const [queue, due] of this.#lingering) {
        if (due > now) return this.#armLinger(due);
        this.#lingering.delete(queue);
        if (queue.waiting.length > 0) this.#makeReady(queue);
      }
    });
  }

  #onMetadata(): void {
    for (const queue of [...this.#leaderless]) {
      this.#leaderless.delete(queue);
      if (queue.waiting.length > 0) this.#makeReady(queue);
    }
    this.#schedule();
  }

  #drain(node: Node): void {
    const connection = this.#cluster.readyConnection(node.nodeId);
    if (connection === null) return this.#connect(node);
    const keeper = this.transactions ?? this.#identity;
    const identity = keeper?.identity ?? null;
    if (keeper !== null && identity === null) return;
    while (node.inFlight < this.#options.inFlightRequestsMax && node.ready.size > 0) {
      const shipments = this.#gather(node, identity);
      if (shipments.length === 0) return;
      this.#ship(node, connection, shipments);
    }
  }

  #connect(node: Node): void {
    if (node.isConnecting) return;
    node.isConnecting = true;
    this.#cluster
      .connection(node.nodeId)
      .catch((error: unknown) => {
        this.#cluster.context.logger.debug({ broker: node.nodeId, error: String(error) }, "no connection to a leader");
        this.#reroute(node);
      })
      .finally(() => {
        node.isConnecting = false;
        this.#schedule();
      });
  }

  /** The broker cannot be reached: its partitions may have another leader by now. */
  #reroute(node: Node): void {
    if (this.#closed) return;
    this.#cluster.metadata.requestRefresh();
    if (this.#cluster.metadata.brokers.has(node.nodeId)) return;
    for (const queue of [...node.ready]) {
      this.#unready(node, queue);
      this.#leaderless.add(queue);
    }
  }

  /** One batch of each ready partition, within the size of a request. */
  #gather(node: Node, identity: ProducerIdentity | null): Shipment[] {
    const shipments: Shipment[] = [];
    const { metadata, context } = this.#cluster;
    const now = context.clock.monotonicMs();
    let bytes = requestOverheadBytes;
    for (const queue of node.ready) {
      const leaderId = metadata.partition(queue.topic, queue.partition)?.leaderId ?? -1;
      if (leaderId !== node.nodeId) {
        this.#unready(node, queue);
        this.#makeReady(queue);
        continue;
      }
      const batch = queue.waiting[0];
      if (batch === undefined) {
        this.#unready(node, queue);
        continue;
      }
      if (batch.notBeforeMs > now) {
        this.#unready(node, queue);
        context.deadlines.after(batch.notBeforeMs - now, () => this.#makeReady(queue));
        continue;
      }
      if (!this.#maySend(node, queue, batch) || !queue.mayGo(identity)) continue;
      if (this.transactions?.mayProduce(queue.topic, queue.partition) === false) continue;
      if (shipments.length > 0 && bytes + batch.sizeBytes > this.#options.requestBytesMax) break;
      const { producer } = queue.take(identity);
      this.accumulator.sealed(batch, batch.seal(this.#options, producer));
      this.#lingering.delete(queue);
      shipments.push({ batch, queue, producer });
      bytes += batch.sizeBytes;
      if (queue.waiting.length === 0) this.#unready(node, queue);
      else if (this.#options.lingerMs > 0 && !this.#isUrgent && queue.open === queue.waiting[0]) {
        this.#unready(node, queue);
        this.#linger(queue);
      }
    }
    // Those that were served go behind those that were not: a full request must not starve the partitions at the end.
    for (const { queue } of shipments) if (node.ready.delete(queue)) node.ready.add(queue);
    return shipments;
  }

  #maySend(node: Node, queue: PartitionQueue, batch: ProducerBatch): boolean {
    if (batch.isClosed || batch.attempts > 0 || queue.waiting.length > 1 || this.#isUrgent) return true;
    if (batch.uncompressedBytes >= this.#options.batchBytes) return true;
    if (this.#options.lingerMs > 0) return !this.#lingering.has(queue);
    return node.inFlight === 0;
  }

  #ship(node: Node, connection: BrokerConnection, shipments: Shipment[]): void {
    const { acks, requestTimeoutMs } = this.#options;
    const { body, hasAllIds } = this.#produceRequest(shipments);
    const isV1 = this.transactions?.isV2 === false;
    const versionMax = isV1 ? produceVersionMaxV1 : hasAllIds ? undefined : versionWithTopicIds - 1;
    node.inFlight++;
    connection
      .request(ApiKey.Produce, body, { versionMax, noAnswer: acks === 0, timeoutMs: requestTimeoutMs })
      .then((answer) => (acks === 0 ? this.#unconfirmed(shipments) : this.#onAnswer(shipments, answer)))
      .catch((error: unknown) => this.#onRequestFailed(shipments, error))
      .finally(() => {
        node.inFlight--;
        this.#schedule();
      });
  }

  #produceRequest(shipments: readonly Shipment[]): { body: ProduceRequestInit; hasAllIds: boolean } {
    const topics = new Map<
      string,
      { name: string; topicId: Uuid; partitionData: { index: number; records: Buffer }[] }
    >();
    let hasAllIds = true;
    for (const { batch } of shipments) {
      let topic = topics.get(batch.topic);
      if (topic === undefined) {
        const topicId = this.#cluster.metadata.topic(batch.topic)?.id ?? uuidZero;
        hasAllIds &&= topicId !== uuidZero;
        topic = { name: batch.topic, topicId, partitionData: [] };
        topics.set(batch.topic, topic);
      }
      topic.partitionData.push({ index: batch.partition, records: batch.bytes });
    }
    const { acks, requestTimeoutMs } = this.#options;
    const transactionalId = this.transactions?.transactionalId ?? null;
    const body = { transactionalId, acks, timeoutMs: requestTimeoutMs, topicData: [...topics.values()] };
    return { body, hasAllIds };
  }

  #unconfirmed(shipments: readonly Shipment[]): void {
    for (const { batch, queue } of shipments) {
      queue.leftWire(batch);
      this.accumulator.finish(batch, new Delivered(batch.topic, batch.partition, -1, -1));
    }
  }

  #onAnswer(shipments: readonly Shipment[], answer: Answer<typeof ApiKey.Produce>): void {
    const { responses, nodeEndpoints } = answer.body;
    const byPartition = new Map<string, PartitionAnswer>();
    for (const topic of responses) {
      const name = topic.name !== "" ? topic.name : this.#cluster.metadata.topicName(topic.topicId);
      for (const partition of topic.partitionResponses) byPartition.set(`${name}-${partition.index}`, partition);
    }
    for (const shipment of shipments) {
      const { batch } = shipment;
      const partition = byPartition.get(`${batch.topic}-${batch.partition}`);
      if (partition === undefined) {
        this.#retryOrFail(shipment, clientError("NETWORK_EXCEPTION", "the broker's answer leaves the batch out"));
      } else this.#judge(shipment, partition, nodeEndpoints);
    }
  }

  #judge(shipment: Shipment, answer: PartitionAnswer, endpoints: ProduceResponse["nodeEndpoints"]): void {
    const { batch, queue } = shipment;
    const verdict = verdictOf({
      errorCode: answer.errorCode,
      recordCount: batch.recordCount,
      hasSequence: batch.hasSequence,
      isTransactional: this.transactions !== null,
      isNextToAcknowledge: queue.isNextToAcknowledge(batch),
      mayRetry: this.#mayRetry(batch),
    });
    queue.leftWire(batch);
    if (verdict.kind === "delivered") {
      queue.acknowledged(batch);
      const baseOffset = verdict.isRepeat && answer.baseOffset < 0n ? -1 : Number(answer.baseOffset);
      const logAppendTimeMs = Number(answer.logAppendTimeMs);
      this.accumulator.finish(batch, new Delivered(batch.topic, batch.partition, baseOffset, logAppendTimeMs));
      return;
    }
    const error = errorFromCode(answer.errorCode, `${batch.topic}-${batch.partition}`, answer.errorMessage);
    if (verdict.kind === "split" && this.#split(shipment)) return;
    if (verdict.kind === "retry") {
      const { leaderId, leaderEpoch } = answer.currentLeader;
      const endpoint = endpoints.find(({ nodeId }) => nodeId === leaderId) ?? null;
      const hint = { leaderId, leaderEpoch, endpoint };
      const isHinted = this.#cluster.metadata.applyLeaderHint(batch.topic, batch.partition, hint);
      if (verdict.refreshMetadata && !isHinted) this.#cluster.metadata.requestRefresh();
      if (verdict.renumber) this.#renumber(queue);
      return this.#putBack(shipment, isHinted);
    }
    this.#lost(batch, queue, error);
  }

  /** The request as a whole went wrong: what became of its batches is unknown. */
  #onRequestFailed(shipments: readonly Shipment[], error: unknown): void {
    if (this.#closed) return;
    if (!(error instanceof KafkaError)) throw error;
    if (error.retriable) this.#cluster.metadata.requestRefresh();
    for (const shipment of shipments) if (shipment.batch.isOnWire) this.#retryOrFail(shipment, error);
  }

  #retryOrFail(shipment: Shipment, error: KafkaError): void {
    const { batch, queue } = shipment;
    queue.leftWire(batch);
    if (error.retriable && this.#mayRetry(batch)) return this.#putBack(shipment, false);
    this.#lost(batch, queue, error);
  }

  /** The batch is gone for good, and so are the numbers that it had. */
  #lost(batch: ProducerBatch, queue: PartitionQueue, error: KafkaError): void {
    const { hasSequence, isDone } = batch;
    queue.remove(batch);
    this.accumulator.finish(batch, new Failed(error));
    // One whose time was over on the wire has been told of then; by now another transaction may be open.
    if (this.transactions !== null) {
      if (!isDone) this.transactions.onBatchFailed(error, hasSequence);
    } else if (hasSequence) this.#renumber(queue);
  }

  #mayRetry(batch: ProducerBatch): boolean {
    if (this.transactions?.mayRetry === false) return false;
    return !batch.isDone && batch.attempts <= this.#options.retriesMax;
  }

  #putBack({ batch, queue }: Shipment, isAtOnce: boolean): void {
    const { clock, random } = this.#cluster.context;
    const { retryBackoffMs, retryBackoffMsMax } = this.#options;
    const pauseMs = backoffMs({ initialMs: retryBackoffMs, maxMs: retryBackoffMsMax }, batch.attempts - 1, random);
    batch.notBeforeMs = isAtOnce ? 0 : clock.monotonicMs() + pauseMs;
    queue.putBack(batch);
    this.#makeReady(queue);
  }

  #split({ batch, queue }: Shipment): boolean {
    const halves = batch.split(this.#options);
    if (halves === null) return false;
    this.#cluster.context.logger.info(
      { topic: batch.topic, partition: batch.partition, sizeBytes: batch.sizeBytes },
      "a batch above the broker's bound is sent as two",
    );
    this.accumulator.replaced(batch, halves);
    for (const half of halves) {
      half.expiry = this.#cluster.context.deadlines.after(
        Math.max(1, batch.createdMs + this.#options.deliveryTimeoutMs - this.#cluster.context.clock.monotonicMs()),
        () => this.onExpired(half, queue),
      );
      queue.putBack(half);
    }
    this.#makeReady(queue);
    return true;
  }

  /** The partition's next batches cannot follow on: a new epoch, in which its numbers begin at 0. */
  #renumber(queue: PartitionQueue): void {
    if (this.#identity === null || queue.mustRenumber) return;
    queue.requireRenumbering();
    this.#identity.bump();
    if (queue.waiting.length > 0) this.#makeReady(queue);
  }

  #failEverything(error: KafkaError): void {
    this.close(error);
  }
}
