// The consumer: reads partitions that it is given, message by message, batch by batch, or in polls.
//
//   const consumer = new Consumer({ bootstrapServers: "localhost:9092", autoOffsetReset: "earliest" });
//   await consumer.assignTopics(["orders"]);
//   for await (const message of consumer) console.log(message.offset, message.valueText());
//
// One reader at a time: two loops over one consumer would each get a part. A loop that ends leaves the consumer open, with what it had
// fetched; `close` ends the loops.
import { topicPartitionKey } from "@blumfeld/core/model";
import { ClusterClient } from "../connection/cluster-client.ts";
import type { TopicInfo } from "../connection/metadata.ts";
import { clientError, type KafkaError } from "../errors.ts";
import { lookUpOffsets, offsetSpecs } from "../offset-lookup.ts";
import type { TopicPartitionInput } from "../records.ts";
import { AssignedPartition } from "./assigned-partition.ts";
import { Fetcher } from "./fetcher.ts";
import type { Message, MessageBatch, PartitionProgress } from "./message.ts";
import { type ConsumerOptions, type ResolvedConsumerOptions, resolveConsumerOptions } from "./options.ts";

/** Where to begin. A negative number counts back from the end. */
export type StartAt = "beginning" | "end" | number | { readonly timestamp: number };

export interface Assignment extends TopicPartitionInput {
  /** Left out: as `autoOffsetReset` says. */
  readonly startAt?: StartAt;
}

export interface ReadOptions {
  /** Ends the loop by throwing the signal's reason. */
  readonly signal?: AbortSignal;
  /**
   * Ends the loop when every partition has reached its offset here; "end": the ends of the partitions as they are when it begins. A batch that
   * spans the offset is handed out whole.
   */
  readonly until?: "end" | readonly PartitionOffset[];
}

export interface OffsetAndTimestamp extends TopicPartitionInput {
  readonly offset: number;
  readonly timestamp: number;
}

export interface PartitionOffset extends TopicPartitionInput {
  readonly offset: number;
}

type Take<Item> = (partition: AssignedPartition, options: ResolvedConsumerOptions) => Item | null;
const takeMessage: Take<Message> = (partition, options) => partition.takeMessage(options);
const takeBatch: Take<MessageBatch> = (partition, options) => partition.takeBatch(options);

export class Consumer implements AsyncIterable<Message>, AsyncDisposable {
  readonly #cluster: ClusterClient;
  readonly #options: ResolvedConsumerOptions;
  readonly #fetcher: Fetcher;
  readonly #wakers = new Set<() => void>();
  /** Partitions with something to hand out; the first is served until its fetched bytes are used up, then goes last. */
  readonly #ready = new Set<AssignedPartition>();
  #closing: Promise<void> | null = null;

  /** Connects when it is first asked for something. Throws KafkaError CLIENT_INVALID_OPTION. */
  constructor(options: ConsumerOptions) {
    this.#options = resolveConsumerOptions(options);
    this.#cluster = new ClusterClient(options, {
      allowAutoTopicCreation: this.#options.allowAutoTopicCreation,
      topicIdleMsMax: Number.MAX_SAFE_INTEGER,
    });
    this.#fetcher = new Fetcher(this.#cluster, this.#options, () => this.#wake());
  }

  /** Replaces what is read. Partitions that were assigned before keep their position unless `startAt` is given. */
  assign(assignments: readonly Assignment[]): void {
    this.#checkOpen();
    const next = new Set(assignments.map(({ topic, partition }) => topicPartitionKey(topic, partition)));
    for (const [key, partition] of this.#fetcher.partitions) if (!next.has(key)) this.#revoke(partition);
    for (const { topic, partition, startAt } of assignments) {
      const key = topicPartitionKey(topic, partition);
      let assigned = this.#fetcher.partitions.get(key);
      const isNew = assigned === undefined;
      if (assigned === undefined) {
        assigned = new AssignedPartition(topic, partition, key);
        this.#fetcher.partitions.set(key, assigned);
        this.#cluster.metadata.touch(topic);
      }
      if (startAt !== undefined) this.#startAt(assigned, startAt);
      else if (isNew) this.#startByPolicy(assigned);
    }
    this.#fetcher.schedule();
  }

  /** Assigns every partition of the topics. Resolves with what was assigned. */
  async assignTopics(topics: readonly string[], startAt?: StartAt): Promise<TopicPartitionInput[]> {
    const assignments: Assignment[] = [];
    for (const topic of topics) {
      const partitions = await this.partitionsFor(topic);
      for (const { partition } of partitions) assignments.push({ topic, partition, startAt });
    }
    this.assign(assignments);
    return assignments.map(({ topic, partition }) => ({ topic, partition }));
  }

  assignment(): TopicPartitionInput[] {
    return [...this.#fetcher.partitions.values()].map(({ topic, partition }) => ({ topic, partition }));
  }

  /** The next message of the partition will be the one at `offset` (or the first after it). What was fetched is dropped. */
  seek(where: TopicPartitionInput, offset: number): void {
    if (!Number.isSafeInteger(offset) || offset < 0) {
      throw clientError("CLIENT_INVALID_ARGUMENT", `offset ${offset} is not a whole number from 0`);
    }
    this.#startAt(this.#assigned(where), offset);
    this.#fetcher.schedule();
  }

  seekToBeginning(partitions: readonly TopicPartitionInput[] = this.assignment()): void {
    for (const where of partitions) this.#startAt(this.#assigned(where), "beginning");
    this.#fetcher.schedule();
  }

  seekToEnd(partitions: readonly TopicPartitionInput[] = this.assignment()): void {
    for (const where of partitions) this.#startAt(this.#assigned(where), "end");
    this.#fetcher.schedule();
  }

  /** Goes to the first message at or after `timestamp`, or to the end where there is none. Resolves when the positions are known. */
  async seekToTimestamp(
    timestamp: number,
    partitions: readonly TopicPartitionInput[] = this.assignment(),
  ): Promise<void> {
    for (const where of partitions) this.#startAt(this.#assigned(where), { timestamp });
    this.#fetcher.schedule();
    await Promise.all(partitions.map((where) => this.position(where)));
  }

  /** The offset of the next message that will be handed out. Waits where it has to be looked up. */
  async position(where: TopicPartitionInput, options: { readonly signal?: AbortSignal } = {}): Promise<number> {
    const assigned = this.#assigned(where);
    while (assigned.position < 0) {
      this.#throwError();
      this.#checkOpen();
      await this.#woken(options.signal);
    }
    return assigned.position;
  }

  /** What was fetched is kept; nothing is handed out and nothing more is fetched until `resume`. */
  pause(partitions: readonly TopicPartitionInput[] = this.assignment()): void {
    for (const where of partitions) this.#assigned(where).isPaused = true;
  }

  resume(partitions: readonly TopicPartitionInput[] = this.assignment()): void {
    for (const where of partitions) this.#assigned(where).isPaused = false;
    this.#wake();
    this.#fetcher.schedule();
  }

  paused(): TopicPartitionInput[] {
    return [...this.#fetcher.partitions.values()]
      .filter(({ isPaused }) => isPaused)
      .map(({ topic, partition }) => ({ topic, partition }));
  }

  beginningOffsets(partitions: readonly TopicPartitionInput[]): Promise<PartitionOffset[]> {
    return this.#offsets(partitions, offsetSpecs.earliest);
  }

  /** With read_committed the last stable offsets. */
  endOffsets(partitions: readonly TopicPartitionInput[]): Promise<PartitionOffset[]> {
    return this.#offsets(partitions, offsetSpecs.latest);
  }

  /** For each partition the first message at or after its timestamp; null where there is none. In the order of the questions. */
  async offsetsForTimes(
    questions: readonly (TopicPartitionInput & { readonly timestamp: number })[],
  ): Promise<(OffsetAndTimestamp | null)[]> {
    const answers = await lookUpOffsets(this.#cluster, questions, { isReadCommitted: this.#options.isReadCommitted });
    return answers.map(({ topic, partition, offset, timestamp }) =>
      offset < 0 ? null : { topic, partition, offset, timestamp },
    );
  }

  /** What the last fetch told of the partition; null before the first. */
  progress(where: TopicPartitionInput): PartitionProgress | null {
    return this.#assigned(where).progress;
  }

  /** The partitions of a topic. Waits for a topic that is not there as long as `timeoutMs` (default apiTimeoutMs): it may just be made. */
  async partitionsFor(
    topic: string,
    options: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {},
  ): Promise<TopicInfo["partitions"]> {
    const { clock, options: settings } = this.#cluster.context;
    const deadlineMs = clock.monotonicMs() + (options.timeoutMs ?? settings.apiTimeoutMs);
    return (await this.#cluster.metadata.waitForTopic(topic, deadlineMs, options.signal)).partitions;
  }

  /** Up to `pollRecordsMax` messages; an empty list when none came within `timeoutMs`. */
  async poll(timeoutMs: number, options: { readonly signal?: AbortSignal } = {}): Promise<Message[]> {
    this.#checkOpen();
    const { clock, deadlines } = this.#cluster.context;
    const deadlineMs = clock.monotonicMs() + timeoutMs;
    const messages: Message[] = [];
    for (;;) {
      for (let message = this.#take(takeMessage); message !== null; message = this.#take(takeMessage)) {
        messages.push(message);
        if (messages.length === this.#options.pollRecordsMax) return messages;
      }
      const leftMs = deadlineMs - clock.monotonicMs();
      if (messages.length > 0 || leftMs <= 0 || this.#closing !== null) return messages;
      const timer = deadlines.after(leftMs, () => this.#wake());
      await this.#woken(options.signal).finally(() => timer.cancel());
    }
  }

  /** Message by message. */
  messages(options: ReadOptions = {}): AsyncIterableIterator<Message> {
    return this.#read(takeMessage, options);
  }

  /** Batch by batch, as they were produced: no promise per message. */
  batches(options: ReadOptions = {}): AsyncIterableIterator<MessageBatch> {
    return this.#read(takeBatch, options);
  }

  [Symbol.asyncIterator](): AsyncIterator<Message> {
    return this.messages();
  }

  /** Ends the loops, the fetch sessions, every connection and timer. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#wake();
    await this.#fetcher.close();
    this.#cluster.close();
    this.#wake();
  }

  #read<Item extends Message | MessageBatch>(take: Take<Item>, options: ReadOptions): AsyncIterableIterator<Item> {
    let ends: Promise<Map<AssignedPartition, number>> | Map<AssignedPartition, number> | null =
      options.until === undefined ? null : this.#ends(options.until);
    let isDone = false;
    const done = { done: true, value: undefined } as const;
    const wait = async (): Promise<IteratorResult<Item, undefined>> => {
      if (ends !== null && !(ends instanceof Map)) ends = await ends;
      for (;;) {
        if (isDone || this.#closing !== null) return done;
        options.signal?.throwIfAborted();
        const item = this.#takeBefore(take, ends);
        if (item !== null) return { done: false, value: item };
        if (ends !== null && [...ends].every(([partition, end]) => partition.isRevoked || partition.position >= end)) {
          return done;
        }
        await this.#woken(options.signal);
      }
    };
    const iterator: AsyncIterableIterator<Item> = {
      next: () => {
        // Without a promise chain while there is something at hand.
        if (
          ends === null &&
          !isDone &&
          this.#closing === null &&
          options.signal?.aborted !== true &&
          this.#ready.size > 0
        ) {
          try {
            const item = this.#take(take);
            if (item !== null) return Promise.resolve({ done: false, value: item });
          } catch (error) {
            return Promise.reject(error);
          }
        }
        return wait();
      },
      return: () => {
        isDone = true;
        this.#wake();
        return Promise.resolve(done);
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  /** What lies behind the ends (it came in meanwhile) is skipped for this loop, and left in its partition's buffer. */
  #takeBefore<Item extends Message | MessageBatch>(
    take: Take<Item>,
    ends: ReadonlyMap<AssignedPartition, number> | null,
  ): Item | null {
    if (ends === null) return this.#take(take);
    return this.#take((partition, options) =>
      partition.position < (ends.get(partition) ?? Number.MAX_SAFE_INTEGER) ? take(partition, options) : null,
    );
  }

  async #ends(until: "end" | readonly PartitionOffset[]): Promise<Map<AssignedPartition, number>> {
    const partitions = [...this.#fetcher.partitions.values()];
    const ends = until === "end" ? await this.#offsets(partitions, offsetSpecs.latest) : until;
    await Promise.all(partitions.map((partition) => this.position(partition)));
    const byKey = new Map(ends.map((end) => [topicPartitionKey(end.topic, end.partition), end.offset]));
    return new Map(partitions.map((partition) => [partition, byKey.get(partition.key) ?? Number.MAX_SAFE_INTEGER]));
  }

  #take<Item>(take: Take<Item>): Item | null {
    this.#throwError();
    for (const partition of this.#ready) {
      if (partition.isPaused) continue;
      const before = partition.bufferedBytes;
      try {
        const item = take(partition, this.#options);
        if (item !== null) return item;
      } finally {
        const freed = before - partition.bufferedBytes;
        if (freed > 0) {
          this.#fetcher.freed(freed);
          this.#ready.delete(partition);
          if (partition.hasData) this.#ready.add(partition);
        } else if (!partition.hasData) this.#ready.delete(partition);
      }
    }
    return null;
  }

  #wake(): void {
    for (const partition of this.#fetcher.partitions.values()) if (partition.hasData) this.#ready.add(partition);
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

  async #offsets(partitions: readonly TopicPartitionInput[], timestamp: number): Promise<PartitionOffset[]> {
    const { isReadCommitted } = this.#options;
    const questions = partitions.map(({ topic, partition }) => ({ topic, partition, timestamp }));
    const answers = await lookUpOffsets(this.#cluster, questions, { isReadCommitted });
    return answers.map(({ topic, partition, offset }) => ({ topic, partition, offset }));
  }

  #startAt(partition: AssignedPartition, startAt: StartAt): void {
    this.#ready.delete(partition);
    if (typeof startAt === "number" && startAt >= 0) this.#fetcher.freed(partition.seek(startAt));
    else if (typeof startAt === "number") void this.#startBeforeEnd(partition, -startAt);
    else if (startAt === "beginning") this.#fetcher.freed(partition.requireReset("earliest"));
    else if (startAt === "end") this.#fetcher.freed(partition.requireReset("latest"));
    else this.#fetcher.freed(partition.requireReset(startAt));
    this.#wake();
  }

  /** `count` before the end, but not before the beginning. */
  async #startBeforeEnd(partition: AssignedPartition, count: number): Promise<void> {
    this.#fetcher.freed(partition.requireReset("latest"));
    partition.isResetting = true;
    const { generation } = partition;
    try {
      const [[end], [beginning]] = await Promise.all([
        this.endOffsets([partition]),
        this.beginningOffsets([partition]),
      ]);
      if (partition.generation !== generation) return;
      this.#fetcher.freed(partition.seek(Math.max(beginning!.offset, end!.offset - count)));
    } catch (error) {
      if (this.#closing === null) this.#fetcher.error ??= error as KafkaError;
    }
    this.#wake();
  }

  #startByPolicy(partition: AssignedPartition): void {
    const target = this.#fetcher.resetTarget();
    // With "none" the program has to seek; the fetcher complains where it did not.
    if (target !== null) partition.requireReset(target);
  }

  #revoke(partition: AssignedPartition): void {
    this.#fetcher.partitions.delete(partition.key);
    this.#ready.delete(partition);
    partition.isRevoked = true;
    this.#fetcher.freed(partition.seek(0));
  }

  #assigned({ topic, partition }: TopicPartitionInput): AssignedPartition {
    const assigned = this.#fetcher.partitions.get(topicPartitionKey(topic, partition));
    if (assigned === undefined) throw clientError("CLIENT_NOT_ASSIGNED", `${topic}-${partition} is not assigned`);
    return assigned;
  }

  #throwError(): void {
    const { error } = this.#fetcher;
    if (error === null) return;
    this.#fetcher.error = null;
    throw error;
  }

  #checkOpen(): void {
    if (this.#closing !== null) throw clientError("CLIENT_CLOSED", "the consumer is closed");
  }
}
