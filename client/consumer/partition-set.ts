// The partitions that a consumer reads: who has something at hand, where each begins, who waits for something to happen. Between the fetcher, which
// fills them, and the consumer, which hands out. Knows no group.
import { topicPartitionKey } from "@blumfeld/core/model";
import type { ClusterClient } from "../connection/cluster-client.ts";
import { clientError, type KafkaError } from "../errors.ts";
import { lookUpOffsets, offsetSpecs } from "../offset-lookup.ts";
import type { TopicPartitionInput } from "../records.ts";
import { AssignedPartition } from "./assigned-partition.ts";
import { Fetcher } from "./fetcher.ts";
import type { CommittedOffset } from "./group/group-offsets.ts";
import type { Message, MessageBatch } from "./message.ts";
import type { ResolvedConsumerOptions } from "./options.ts";

/** Where to begin. A negative number counts back from the end. */
export type StartAt = "beginning" | "end" | number | { readonly timestamp: number };

export interface PartitionOffset extends TopicPartitionInput {
  readonly offset: number;
}

export type Take<Item> = (partition: AssignedPartition, options: ResolvedConsumerOptions) => Item | null;
export const takeMessage: Take<Message> = (partition, options) => partition.takeMessage(options);
export const takeBatch: Take<MessageBatch> = (partition, options) => partition.takeBatch(options);

export class PartitionSet {
  readonly fetcher: Fetcher;
  /** Set while somebody else says what the program is done with; else it is done with what it has asked past. */
  isTracked = false;
  readonly #cluster: ClusterClient;
  readonly #options: ResolvedConsumerOptions;
  readonly #wakers = new Set<() => void>();
  /** With something to hand out; the first is served until its fetched bytes are used up, then goes last. */
  readonly #ready = new Set<AssignedPartition>();
  /** Something was handed out of them since the program last asked. */
  readonly #handed = new Set<AssignedPartition>();
  #isClosed = false;

  constructor(cluster: ClusterClient, options: ResolvedConsumerOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.fetcher = new Fetcher(cluster, options, () => this.wake());
  }

  get all(): AssignedPartition[] {
    return [...this.fetcher.partitions.values()];
  }

  get hasReady(): boolean {
    return this.#ready.size > 0;
  }

  find({ partition, topic }: TopicPartitionInput): AssignedPartition | undefined {
    return this.fetcher.partitions.get(topicPartitionKey(topic, partition));
  }

  /** Throws CLIENT_NOT_ASSIGNED. */
  get(where: TopicPartitionInput): AssignedPartition {
    const found = this.find(where);
    if (found === undefined)
      throw clientError("CLIENT_NOT_ASSIGNED", `${where.topic}-${where.partition} is not assigned`);
    return found;
  }

  /** Without a position yet: until it is told where to begin nothing is fetched. */
  add({ partition, topic }: TopicPartitionInput): AssignedPartition {
    const key = topicPartitionKey(topic, partition);
    const assigned = new AssignedPartition(topic, partition, key);
    assigned.isStarting = true;
    this.fetcher.partitions.set(key, assigned);
    this.#cluster.metadata.touch(topic);
    return assigned;
  }

  remove(partition: AssignedPartition): void {
    this.fetcher.partitions.delete(partition.key);
    this.#ready.delete(partition);
    partition.isRevoked = true;
    this.fetcher.freed(partition.seek(0));
  }

  close(): Promise<void> {
    this.#isClosed = true;
    return this.fetcher.close();
  }

  // --- handing out ------------------------------------------------------------------------------

  /** Throws what the program must hear. */
  take<Item>(take: Take<Item>): Item | null {
    this.throwError();
    for (const partition of this.#ready) {
      if (partition.isPaused) continue;
      const before = partition.bufferedBytes;
      try {
        const item = take(partition, this.#options);
        if (item !== null) {
          if (this.#options.group !== null) this.#handed.add(partition);
          return item;
        }
      } finally {
        const freed = before - partition.bufferedBytes;
        if (freed > 0) {
          this.fetcher.freed(freed);
          this.#ready.delete(partition);
          if (partition.hasData) this.#ready.add(partition);
        } else if (!partition.hasData) this.#ready.delete(partition);
      }
    }
    return null;
  }

  /** The program asked for more: it is done with what it got. */
  markConsumed(): void {
    if (this.#handed.size === 0) return;
    if (!this.isTracked) for (const partition of this.#handed) partition.consumed = partition.position;
    this.#handed.clear();
  }

  /** Up to where the program has got messages, or is done with them where that is tracked. */
  done(): CommittedOffset[] {
    const offsets: CommittedOffset[] = [];
    for (const { consumed, leaderEpochLast: leaderEpoch, partition, position, topic } of this.all) {
      const offset = this.isTracked ? consumed : position;
      if (offset >= 0) offsets.push({ topic, partition, offset, leaderEpoch });
    }
    return offsets;
  }

  tell(error: unknown): void {
    if (this.#isClosed) return;
    this.fetcher.error ??= error as KafkaError;
    this.wake();
  }

  throwError(): void {
    const { error } = this.fetcher;
    if (error === null) return;
    this.fetcher.error = null;
    throw error;
  }

  wake(): void {
    for (const partition of this.fetcher.partitions.values()) if (partition.hasData) this.#ready.add(partition);
    for (const waker of [...this.#wakers]) waker();
  }

  /** Resolves when something has happened. */
  woken(signal: AbortSignal | undefined): Promise<void> {
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

  // --- places -----------------------------------------------------------------------------------

  startAt(partition: AssignedPartition, startAt: StartAt): void {
    this.#ready.delete(partition);
    if (typeof startAt === "number" && startAt >= 0) this.fetcher.freed(partition.seek(startAt));
    else if (typeof startAt === "number") void this.#startBeforeEnd(partition, -startAt);
    else if (startAt === "beginning") this.fetcher.freed(partition.requireReset("earliest"));
    else if (startAt === "end") this.fetcher.freed(partition.requireReset("latest"));
    else this.fetcher.freed(partition.requireReset(startAt));
    this.wake();
  }

  /** At a committed offset; where there is none, as autoOffsetReset says. */
  startCommitted(partition: AssignedPartition, offset: number | null): void {
    if (offset === null) this.startByPolicy(partition);
    else this.fetcher.freed(partition.seek(offset));
    this.wake();
    this.fetcher.schedule();
  }

  startByPolicy(partition: AssignedPartition): void {
    partition.isStarting = false;
    const target = this.fetcher.resetTarget();
    // With "none" the program has to seek; the fetcher complains where it did not.
    if (target !== null) partition.requireReset(target);
  }

  /** Its place will come from elsewhere. */
  restart(partition: AssignedPartition): void {
    this.#ready.delete(partition);
    this.#handed.delete(partition);
    this.fetcher.freed(partition.restart());
  }

  async offsets(partitions: readonly TopicPartitionInput[], timestamp: number): Promise<PartitionOffset[]> {
    const { isReadCommitted } = this.#options;
    const questions = partitions.map(({ topic, partition }) => ({ topic, partition, timestamp }));
    const answers = await lookUpOffsets(this.#cluster, questions, { isReadCommitted });
    return answers.map(({ topic, partition, offset }) => ({ topic, partition, offset }));
  }

  /** `count` before the end, but not before the beginning. */
  async #startBeforeEnd(partition: AssignedPartition, count: number): Promise<void> {
    this.fetcher.freed(partition.requireReset("latest"));
    partition.isResetting = true;
    const { generation } = partition;
    try {
      const [[end], [beginning]] = await Promise.all([
        this.offsets([partition], offsetSpecs.latest),
        this.offsets([partition], offsetSpecs.earliest),
      ]);
      if (partition.generation !== generation) return;
      this.fetcher.freed(partition.seek(Math.max(beginning!.offset, end!.offset - count)));
    } catch (error) {
      this.tell(error);
    }
    this.wake();
  }
}
