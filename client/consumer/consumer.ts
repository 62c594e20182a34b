// The consumer: reads partitions that it is given, message by message, batch by batch, or in polls.
//
//   const consumer = new Consumer({ bootstrapServers: "localhost:9092", autoOffsetReset: "earliest" });
//   await consumer.assignTopics(["orders"]);
//   for await (const message of consumer) console.log(message.offset, message.valueText());
//
//   const worker = new Consumer({ bootstrapServers, groupId: "billing" });
//   worker.subscribe(["orders"]);
//   for await (const message of worker) await handle(message);   // offsets are committed every five seconds, and when it is closed
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
import type { CommittedOffset, GroupMetadata } from "./group/group-offsets.ts";
import { GroupSession, type RebalanceListener, type Subscription } from "./group/group-session.ts";
import type { Message, MessageBatch, PartitionProgress } from "./message.ts";
import { type ConsumerOptions, type ResolvedConsumerOptions, resolveConsumerOptions } from "./options.ts";
import { createReader } from "./reader.ts";

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
  readonly #group: GroupSession | null;
  /** Partitions that something was handed out of since the program last asked. */
  readonly #handed = new Set<AssignedPartition>();
  #closing: Promise<void> | null = null;

  /** Connects when it is first asked for something. Throws KafkaError CLIENT_INVALID_OPTION. */
  constructor(options: ConsumerOptions) {
    this.#options = resolveConsumerOptions(options);
    this.#cluster = new ClusterClient(options, {
      allowAutoTopicCreation: this.#options.allowAutoTopicCreation,
      topicIdleMsMax: Number.MAX_SAFE_INTEGER,
    });
    this.#fetcher = new Fetcher(this.#cluster, this.#options, () => this.#wake());
    const { group } = this.#options;
    this.#group =
      group === null
        ? null
        : new GroupSession(this.#cluster, group, {
            assigned: () => [...this.#fetcher.partitions.values()],
            add: (partitions) => partitions.map((where) => this.#add(where)),
            remove: (partitions) => {
              for (const where of partitions) this.#revoke(this.#assigned(where));
            },
            start: (partition, offset) => this.#startCommitted(partition, offset),
            wake: () => this.#wake(),
          });
  }

  /**
   * Joins the group for these topics (by a pattern: all whose whole name matches, looked for anew every metadataAgeMsMax). Partitions come with
   * the next message that is asked for. Needs `groupId`.
   */
  subscribe(topics: Subscription, listener: RebalanceListener = {}): void {
    this.#checkOpen();
    const group = this.#needGroup("subscribe");
    if (this.#fetcher.partitions.size > 0 && !group.isSubscribed) {
      throw clientError("CLIENT_INVALID_ARGUMENT", "partitions are assigned by hand; assign([]) first");
    }
    group.subscribe(topics, listener);
  }

  /**
   * Commits these offsets, or the position of every partition: all that was handed out counts as done. Resolves when the group's coordinator
   * has it; rejects with REBALANCE_IN_PROGRESS, ILLEGAL_GENERATION or UNKNOWN_MEMBER_ID when the partitions may be another's by now.
   */
  commit(
    offsets: readonly CommittedOffset[] | null = null,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<void> {
    return this.#needGroup("commit").commit(offsets, options.signal);
  }

  /** What the group has committed; null where nothing is. In the order of the partitions. */
  committed(
    partitions: readonly TopicPartitionInput[],
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<(CommittedOffset | null)[]> {
    return this.#needGroup("committed").committed(partitions, options.signal);
  }

  /** Where the program is in each partition that it got messages of: what `sendOffsets` of a transaction takes. */
  positions(): CommittedOffset[] {
    return [...this.#fetcher.partitions.values()]
      .filter(({ position }) => position >= 0)
      .map(({ topic, partition, position, leaderEpochLast }) => ({
        topic,
        partition,
        offset: position,
        leaderEpoch: leaderEpochLast,
      }));
  }

  /** Who this consumer is in its group, for offsets that go with a transaction: refused once the partitions are another's. */
  groupMetadata(): GroupMetadata {
    return this.#needGroup("groupMetadata").metadata;
  }

  /** Back to what the group has committed: where a transaction was aborted its messages come again. Not for partitions assigned meanwhile. */
  async seekToCommitted(partitions: readonly TopicPartitionInput[] = this.assignment()): Promise<void> {
    const assigned = partitions.map((where) => this.#assigned(where));
    for (const partition of assigned) {
      this.#ready.delete(partition);
      this.#handed.delete(partition);
      this.#fetcher.freed(partition.restart());
    }
    await this.#needGroup("seekToCommitted").startFromCommitted(assigned);
  }

  /**
   * Replaces what is read. Partitions that were assigned before keep their position unless `startAt` is given; new ones begin at the group's
   * committed offset, where there is a group, or as `autoOffsetReset` says.
   */
  assign(assignments: readonly Assignment[]): void {
    this.#checkOpen();
    if (this.#group?.isSubscribed === true) {
      throw clientError("CLIENT_INVALID_ARGUMENT", "the consumer is subscribed; its group assigns the partitions");
    }
    const next = new Set(assignments.map(({ topic, partition }) => topicPartitionKey(topic, partition)));
    for (const [key, partition] of this.#fetcher.partitions) if (!next.has(key)) this.#revoke(partition);
    const fromCommitted: AssignedPartition[] = [];
    for (const { topic, partition, startAt } of assignments) {
      const known = this.#fetcher.partitions.get(topicPartitionKey(topic, partition));
      const assigned = known ?? this.#add({ topic, partition });
      if (startAt !== undefined) this.#startAt(assigned, startAt);
      else if (known === undefined && this.#group !== null) fromCommitted.push(assigned);
      else if (known === undefined) this.#startByPolicy(assigned);
    }
    if (fromCommitted.length > 0) {
      this.#group?.startFromCommitted(fromCommitted).catch((error: unknown) => this.#tell(error));
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
    const deadlineMs = this.#cluster.context.clock.monotonicMs() + timeoutMs;
    const messages: Message[] = [];
    this.#markConsumed();
    this.#group?.asking();
    try {
      return await this.#pollUntil(deadlineMs, messages, options.signal);
    } finally {
      this.#group?.asked();
    }
  }

  async #pollUntil(deadlineMs: number, messages: Message[], signal: AbortSignal | undefined): Promise<Message[]> {
    const { clock, deadlines } = this.#cluster.context;
    for (;;) {
      await this.#prepare(deadlineMs, signal);
      for (let message = this.#take(takeMessage); message !== null; message = this.#take(takeMessage)) {
        messages.push(message);
        if (messages.length === this.#options.pollRecordsMax) return messages;
      }
      const leftMs = deadlineMs - clock.monotonicMs();
      if (messages.length > 0 || leftMs <= 0 || this.#closing !== null) return messages;
      const timer = deadlines.after(leftMs, () => this.#wake());
      await this.#woken(signal).finally(() => timer.cancel());
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
    await this.#group?.close();
    await this.#fetcher.close();
    this.#cluster.close();
    this.#wake();
  }

  #read<Item extends Message | MessageBatch>(take: Take<Item>, options: ReadOptions): AsyncIterableIterator<Item> {
    let ends: ReadonlyMap<AssignedPartition, number> | null = null;
    // What lies behind the ends (it came in meanwhile) stays in its partition's buffer.
    const takeBefore: Take<Item> = (partition, decode) =>
      partition.position < (ends?.get(partition) ?? Number.MAX_SAFE_INTEGER) ? take(partition, decode) : null;
    const { until, signal } = options;
    return createReader<Item>(
      {
        isClosed: () => this.#closing !== null,
        begin: () =>
          until === undefined
            ? null
            : this.#ends(until).then((found) => {
                ends = found;
              }),
        asks: () => {
          this.#markConsumed();
          this.#group?.touch();
        },
        takeAtOnce: () => (this.#ready.size === 0 || this.#group?.needsWork === true ? null : this.#take(takeBefore)),
        prepare: (stop) => this.#prepare(Number.POSITIVE_INFINITY, stop),
        take: () => this.#take(takeBefore),
        isAtEnd: () => {
          if (ends === null) return false;
          for (const [partition, end] of ends) if (!partition.isRevoked && partition.position < end) return false;
          return true;
        },
        woken: (stop) => this.#woken(stop),
        wake: () => this.#wake(),
        waits: () => this.#group?.asking(),
        rests: () => this.#group?.asked(),
      },
      signal,
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
        if (item !== null) {
          if (this.#group !== null) this.#handed.add(partition);
          return item;
        }
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
      this.#tell(error);
    }
    this.#wake();
  }

  #startCommitted(partition: AssignedPartition, offset: number | null): void {
    if (offset === null) this.#startByPolicy(partition);
    else this.#fetcher.freed(partition.seek(offset));
    this.#wake();
    this.#fetcher.schedule();
  }

  #add({ topic, partition }: TopicPartitionInput): AssignedPartition {
    const key = topicPartitionKey(topic, partition);
    const assigned = new AssignedPartition(topic, partition, key);
    // Its position comes from elsewhere: until then nothing is fetched.
    assigned.isStarting = true;
    this.#fetcher.partitions.set(key, assigned);
    this.#cluster.metadata.touch(topic);
    return assigned;
  }

  /** The program asked for more: it is done with what it got. */
  #markConsumed(): void {
    if (this.#handed.size === 0) return;
    for (const partition of this.#handed) partition.consumed = partition.position;
    this.#handed.clear();
  }

  /** Joins and commits what is due, but no longer than the deadline: what is not done then goes on by itself. */
  async #prepare(deadlineMs: number, signal: AbortSignal | undefined): Promise<void> {
    const group = this.#group;
    if (group === null || !group.needsWork) return;
    const { clock, deadlines } = this.#cluster.context;
    const prepared = group.prepare();
    let isLate = false;
    const timer = Number.isFinite(deadlineMs)
      ? deadlines.after(Math.max(0, deadlineMs - clock.monotonicMs()), () => {
          isLate = true;
          this.#wake();
        })
      : null;
    let isDone = false;
    const done = prepared.finally(() => {
      isDone = true;
    });
    done.catch(() => {});
    try {
      while (!isDone && !isLate && this.#closing === null) await Promise.race([done, this.#woken(signal)]);
      if (isDone) await prepared;
    } finally {
      timer?.cancel();
    }
  }

  #tell(error: unknown): void {
    if (this.#closing !== null) return;
    this.#fetcher.error ??= error as KafkaError;
    this.#wake();
  }

  #needGroup(what: string): GroupSession {
    if (this.#group === null) throw clientError("CLIENT_INVALID_OPTION", `${what} needs the option groupId`);
    return this.#group;
  }

  #startByPolicy(partition: AssignedPartition): void {
    partition.isStarting = false;
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
