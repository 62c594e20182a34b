// The share consumer: a queue's worker. Members of a share group take records from the same partitions; each is acquired by one of them for a time, and
// accepted, released or rejected by it.
//
//   const worker = new ShareConsumer({ bootstrapServers: "localhost:9092", groupId: "mails" });
//   worker.subscribe(["mails"]);
//   for await (const message of worker) await send(message);        // accepted when the next one is asked for
//
//   const careful = new ShareConsumer({ bootstrapServers, groupId: "jobs", acknowledgement: "explicit" });
//   for await (const job of careful) {
//     try { await work(job); job.accept(); } catch { if (job.deliveryCount < 3) job.release(); else job.reject(); }
//   }
//
// Records are fetched when the program asks and nothing is at hand, so that none lie acquired and idle.
import { batchRecordsBytes, DecompressionProblem } from "@blumfeld/core/compression";
import { batchDamage, batchHeaderBytes, batchSizeAt, RecordBatchView, RecordCursor } from "@blumfeld/core/model";
import { ErrorCode, errorOf } from "@blumfeld/core/protocol";
import { ClusterClient } from "../connection/cluster-client.ts";
import { clientError, errorFromCode, KafkaError } from "../errors.ts";
import { type ResolvedShareOptions, resolveShareOptions, type ShareConsumerOptions } from "./options.ts";
import { ShareMembership } from "./share-membership.ts";
import { type Acknowledger, ShareMessage } from "./share-message.ts";
import { type ShareFetchAnswer, ShareNode, type SharePartition, shareKey } from "./share-node.ts";

type PartitionData = ShareFetchAnswer["responses"][number]["partitions"][number];
type Acquired = PartitionData["acquiredRecords"][number];

interface Held {
  readonly where: SharePartition;
  readonly node: ShareNode;
}

export interface ShareReadOptions {
  /** Ends the loop by throwing the signal's reason. */
  readonly signal?: AbortSignal;
}

export class ShareConsumer implements AsyncIterable<ShareMessage>, AsyncDisposable {
  readonly #cluster: ClusterClient;
  readonly #options: ResolvedShareOptions;
  readonly #membership: ShareMembership;
  readonly #nodes = new Map<number, ShareNode>();
  readonly #acknowledger: Acknowledger;
  /** Acquired and not yet handed out. */
  #atHand: ShareMessage[] = [];
  /** Acquired and not yet acknowledged. */
  readonly #held = new Map<ShareMessage, Held>();
  /** Handed out, in implicit mode: accepted with the next asking. */
  #delivered: ShareMessage[] = [];
  #error: KafkaError | null = null;
  readonly #wakers = new Set<() => void>();
  readonly #stopListening: () => void;
  #closing: Promise<void> | null = null;

  /** Connects with `subscribe`. Throws KafkaError CLIENT_INVALID_OPTION. */
  constructor(options: ShareConsumerOptions) {
    this.#options = resolveShareOptions(options);
    this.#cluster = new ClusterClient(options, {
      allowAutoTopicCreation: false,
      topicIdleMsMax: Number.MAX_SAFE_INTEGER,
    });
    this.#membership = new ShareMembership(this.#cluster, this.#options, () => this.#wake());
    this.#stopListening = this.#cluster.metadata.onUpdate(() => this.#wake());
    this.#acknowledger = {
      acknowledge: (message, type) => this.#acknowledge(message, type),
      renew: (message) => this.#renew(message),
    };
  }

  /** Joins the group for these topics, in place of those before. */
  subscribe(topics: readonly string[]): void {
    this.#checkOpen();
    for (const topic of topics) this.#cluster.metadata.touch(topic);
    this.#membership.subscribe(topics);
  }

  /** Up to `pollRecordsMax` messages; an empty list when none came within `timeoutMs`. Implicitly accepts those of the poll before. */
  async poll(timeoutMs: number, options: ShareReadOptions = {}): Promise<ShareMessage[]> {
    this.#checkOpen();
    this.#acceptDelivered();
    const { clock, deadlines } = this.#cluster.context;
    const deadlineMs = clock.monotonicMs() + timeoutMs;
    for (;;) {
      this.#throwError();
      if (this.#atHand.length > 0) return this.#handOut(this.#options.pollRecordsMax);
      const leftMs = deadlineMs - clock.monotonicMs();
      if (leftMs <= 0 || this.#closing !== null) return [];
      this.#fetchAll();
      const timer = deadlines.after(leftMs, () => this.#wake());
      await this.#woken(options.signal).finally(() => timer.cancel());
    }
  }

  /** Message by message. A loop that ends leaves the last one as it is: `close` releases it where nothing was said of it. */
  async *messages(options: ShareReadOptions = {}): AsyncIterableIterator<ShareMessage> {
    for (;;) {
      this.#acceptDelivered();
      options.signal?.throwIfAborted();
      if (this.#closing !== null) return;
      this.#throwError();
      const [message] = this.#handOut(1);
      if (message !== undefined) {
        yield message;
        continue;
      }
      this.#fetchAll();
      await this.#woken(options.signal);
    }
  }

  [Symbol.asyncIterator](): AsyncIterator<ShareMessage> {
    return this.messages();
  }

  /** Sends the acknowledgements now; implicitly accepts what was handed out. Rejects with the first that the brokers refuse. */
  async commit(): Promise<void> {
    this.#acceptDelivered();
    const outcomes = await Promise.allSettled([...this.#nodes.values()].map((node) => node.commit()));
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  }

  /** Acquired by this consumer, and not yet acknowledged. */
  get heldCount(): number {
    return this.#held.size;
  }

  /** Sends what was acknowledged, releases the rest, leaves the group, closes every connection and timer. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#wake();
    await Promise.all([...this.#nodes.values()].map((node) => node.close()));
    await this.#membership.leave();
    this.#stopListening();
    this.#cluster.close();
    this.#wake();
  }

  // --- acknowledging ----------------------------------------------------------------------------

  #acknowledge(message: ShareMessage, type: "accept" | "release" | "reject"): void {
    const held = this.#heldOf(message);
    this.#held.delete(message);
    held.node.acknowledgementsOf(held.where).set(message.offset, type);
  }

  async #renew(message: ShareMessage): Promise<void> {
    const { node, where } = this.#heldOf(message);
    await node.renew(where, message.offset);
  }

  #heldOf(message: ShareMessage): Held {
    const held = this.#held.get(message);
    if (held !== undefined) return held;
    const where = `${message.topic}-${message.partition} offset ${message.offset}`;
    throw clientError("CLIENT_INVALID_ARGUMENT", `${where}: it was acknowledged before, or is not held any more`);
  }

  #acceptDelivered(): void {
    if (!this.#options.isImplicit) return;
    for (const message of this.#delivered) if (this.#held.has(message)) this.#acknowledge(message, "accept");
    this.#delivered = [];
  }

  #handOut(count: number): ShareMessage[] {
    const messages = this.#atHand.splice(0, count);
    if (this.#options.isImplicit) this.#delivered.push(...messages);
    return messages;
  }

  // --- fetching ---------------------------------------------------------------------------------

  /** Asks every leader of an assigned partition that is not being asked. */
  #fetchAll(): void {
    const { clock, deadlines } = this.#cluster.context;
    const now = clock.monotonicMs();
    const byLeader = this.#targets();
    for (const node of this.#nodes.values()) {
      if (!byLeader.has(node.nodeId) && node.hasAcknowledgements) void node.commit().catch(() => {});
    }
    for (const [nodeId, targets] of byLeader) {
      const node = this.#nodeOf(nodeId);
      if (node.isFetching) continue;
      if (node.notBeforeMs > now) deadlines.after(node.notBeforeMs - now, () => this.#wake());
      else void this.#fetch(node, targets);
    }
  }

  #targets(): Map<number, SharePartition[]> {
    const { metadata } = this.#cluster;
    const byLeader = new Map<number, SharePartition[]>();
    for (const { partitions, topicId } of this.#membership.assigned) {
      const topic = metadata.topicName(topicId);
      if (topic === undefined) {
        metadata.requestRefresh();
        continue;
      }
      for (const partition of partitions) {
        const leaderId = metadata.partition(topic, partition)?.leaderId ?? -1;
        if (leaderId < 0) metadata.requestRefresh();
        else {
          const target = { topic, topicId, partition };
          const targets = byLeader.get(leaderId);
          if (targets === undefined) byLeader.set(leaderId, [target]);
          else targets.push(target);
        }
      }
    }
    return byLeader;
  }

  #nodeOf(nodeId: number): ShareNode {
    let node = this.#nodes.get(nodeId);
    if (node === undefined) {
      node = new ShareNode(this.#cluster, this.#options, this.#membership.memberId, nodeId);
      this.#nodes.set(nodeId, node);
    }
    return node;
  }

  async #fetch(node: ShareNode, targets: readonly SharePartition[]): Promise<void> {
    node.isFetching = true;
    try {
      this.#onAnswer(node, targets, await node.fetch(targets));
    } catch (error) {
      this.#onFailure(node, error);
    } finally {
      node.isFetching = false;
      this.#wake();
    }
  }

  #onFailure(node: ShareNode, error: unknown): void {
    if (this.#closing !== null || this.#cluster.isClosed) return;
    if (!(error instanceof KafkaError)) throw error;
    // The session is gone and with it what was acquired: others have it by now.
    for (const [message, held] of this.#held) if (held.node === node) this.#held.delete(message);
    this.#atHand = this.#atHand.filter((message) => this.#held.has(message));
    const { clock, options } = this.#cluster.context;
    node.notBeforeMs = clock.monotonicMs() + options.retryBackoffMs;
    const isSession = error.code === "SHARE_SESSION_NOT_FOUND" || error.code === "INVALID_SHARE_SESSION_EPOCH";
    if (isSession) node.notBeforeMs = 0;
    else if (error.retriable) this.#cluster.metadata.requestRefresh();
    else this.#error ??= error;
  }

  #onAnswer(node: ShareNode, targets: readonly SharePartition[], answer: ShareFetchAnswer): void {
    const byKey = new Map(targets.map((target) => [shareKey(target), target]));
    for (const { partitions, topicId } of answer.responses) {
      for (const data of partitions) {
        const where = byKey.get(shareKey({ topicId, partition: data.partitionIndex }));
        if (where === undefined) continue;
        if (data.errorCode !== ErrorCode.NONE) this.#onPartitionError(node, where, data, answer);
        else if (data.acquiredRecords.length > 0) this.#acquire(node, where, data);
      }
    }
  }

  #onPartitionError(node: ShareNode, where: SharePartition, data: PartitionData, answer: ShareFetchAnswer): void {
    const { metadata, context } = this.#cluster;
    const { leaderEpoch, leaderId } = data.currentLeader;
    const endpoint = answer.nodeEndpoints.find(({ nodeId }) => nodeId === leaderId) ?? null;
    if (metadata.applyLeaderHint(where.topic, where.partition, { leaderId, leaderEpoch, endpoint })) return;
    node.notBeforeMs = context.clock.monotonicMs() + context.options.retryBackoffMs;
    if (errorOf(data.errorCode).retriable) metadata.requestRefresh();
    else this.#error ??= errorFromCode(data.errorCode, `${where.topic}-${where.partition}`, data.errorMessage);
  }

  /** Messages of what was acquired; what is no message there (control records, what compaction took) is told as a gap. */
  #acquire(node: ShareNode, where: SharePartition, data: PartitionData): void {
    const gaps = new Set<number>();
    for (const { firstOffset, lastOffset } of data.acquiredRecords)
      for (let offset = Number(firstOffset); offset <= Number(lastOffset); offset++) gaps.add(offset);
    try {
      for (const batch of this.#batches(where, data.records ?? Buffer.alloc(0))) {
        if (batch.view.isControl) continue;
        const cursor = new RecordCursor().openRecords(batch.view, batch.records);
        while (cursor.next()) {
          const deliveryCount = deliveryCountOf(data.acquiredRecords, cursor.offset);
          if (deliveryCount === null || !gaps.delete(cursor.offset)) continue;
          const message = new ShareMessage(where, cursor, deliveryCount, this.#acknowledger);
          this.#held.set(message, { where, node });
          this.#atHand.push(message);
        }
      }
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error;
      this.#error ??= error;
      // What cannot be read is not delivered for ever.
      const acks = node.acknowledgementsOf(where);
      for (const offset of gaps) acks.set(offset, "reject");
      return;
    }
    if (gaps.size === 0) return;
    const acks = node.acknowledgementsOf(where);
    for (const offset of gaps) acks.set(offset, "gap");
  }

  *#batches(where: SharePartition, buffer: Buffer): Iterable<{ view: RecordBatchView; records: Buffer }> {
    const { checkCrcs, decompressedBytesMax } = this.#options;
    for (let at = 0; ; ) {
      const size = batchSizeAt(buffer, at);
      if (size < batchHeaderBytes || size > buffer.length - at) return;
      const damage = batchDamage(buffer, at);
      const place = `${where.topic}-${where.partition}`;
      if (damage !== null && (damage !== "crc-mismatch" || checkCrcs))
        throw clientError("CLIENT_CORRUPT_BATCH", `${place}: ${damage}`);
      const view = new RecordBatchView(buffer, at);
      const records = batchRecordsBytes(view, { outputBytesMax: decompressedBytesMax });
      if (records instanceof DecompressionProblem)
        throw clientError("CLIENT_CORRUPT_BATCH", `${place} at offset ${view.baseOffset}: ${records.toString()}`);
      yield { view, records };
      at += size;
    }
  }

  // --- waiting ----------------------------------------------------------------------------------

  #throwError(): void {
    if (this.#membership.fatal !== null) throw this.#membership.fatal;
    const error = this.#error;
    this.#error = null;
    if (error !== null) throw error;
  }

  #wake(): void {
    for (const waker of [...this.#wakers]) waker();
  }

  #woken(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason);
      const end = (): void => {
        this.#wakers.delete(wake);
        signal?.removeEventListener("abort", onAbort);
      };
      const wake = (): void => {
        end();
        resolve();
      };
      const onAbort = (): void => {
        end();
        reject(signal?.reason);
      };
      this.#wakers.add(wake);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  #checkOpen(): void {
    if (this.#closing !== null) throw clientError("CLIENT_CLOSED", "the consumer is closed");
  }
}

function deliveryCountOf(acquired: readonly Acquired[], offset: number): number | null {
  const range = acquired.find(({ firstOffset, lastOffset }) => firstOffset <= offset && offset <= lastOffset);
  return range?.deliveryCount ?? null;
}
