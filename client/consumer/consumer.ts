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
import { checkedNumber } from "../connection/options.ts";
import { clientError } from "../errors.ts";
import { lookUpOffsets, offsetSpecs } from "../offset-lookup.ts";
import type { TopicPartitionInput } from "../records.ts";
import type { AssignedPartition } from "./assigned-partition.ts";
import type { CommittedOffset, GroupMetadata } from "./group/group-offsets.ts";
import { GroupSession, type RebalanceListener, type Subscription } from "./group/group-session.ts";
import type { Message, MessageBatch, PartitionProgress } from "./message.ts";
import { type ConsumerOptions, type ResolvedConsumerOptions, resolveConsumerOptions } from "./options.ts";
import {
  type PartitionOffset,
  PartitionSet,
  type StartAt,
  type Take,
  takeBatch,
  takeMessage,
} from "./partition-set.ts";
import { createReader } from "./reader.ts";
import { Runner, type RunOptions } from "./run.ts";

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

export class Consumer implements AsyncIterable<Message>, AsyncDisposable {
  readonly #cluster: ClusterClient;
  readonly #options: ResolvedConsumerOptions;
  readonly #set: PartitionSet;
  readonly #group: GroupSession | null;
  #runner: Runner | null = null;
  #closing: Promise<void> | null = null;

  /** Connects when it is first asked for something. Throws KafkaError CLIENT_INVALID_OPTION. */
  constructor(options: ConsumerOptions) {
    this.#options = resolveConsumerOptions(options);
    this.#cluster = new ClusterClient(options, {
      allowAutoTopicCreation: this.#options.allowAutoTopicCreation,
      topicIdleMsMax: Number.MAX_SAFE_INTEGER,
    });
    this.#set = new PartitionSet(this.#cluster, this.#options);
    const { group } = this.#options;
    const set = this.#set;
    this.#group =
      group === null
        ? null
        : new GroupSession(this.#cluster, group, {
            assigned: () => set.all,
            done: () => set.done(),
            add: (partitions) => partitions.map((where) => set.add(where)),
            remove: (partitions) => {
              for (const where of partitions) set.remove(set.get(where));
            },
            start: (partition, offset) => set.startCommitted(partition, offset),
            settle: async (partitions, isLost) =>
              this.#runner?.settle(
                partitions.map((where) => set.get(where)),
                isLost,
              ),
            wake: () => set.wake(),
          });
  }

  /**
   * Joins the group for these topics (by a pattern: all whose whole name matches, looked for anew every metadataAgeMsMax). Partitions come with
   * the next message that is asked for. Needs `groupId`.
   */
  subscribe(topics: Subscription, listener: RebalanceListener = {}): void {
    this.#checkOpen();
    const group = this.#needGroup("subscribe");
    if (this.#set.all.length > 0 && !group.isSubscribed) {
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
    return this.#set.done();
  }

  /** Who this consumer is in its group, for offsets that go with a transaction: refused once the partitions are another's. */
  groupMetadata(): GroupMetadata {
    return this.#needGroup("groupMetadata").metadata;
  }

  /** Back to what the group has committed: where a transaction was aborted its messages come again. Not for partitions assigned meanwhile. */
  async seekToCommitted(partitions: readonly TopicPartitionInput[] = this.assignment()): Promise<void> {
    const assigned = partitions.map((where) => this.#set.get(where));
    for (const partition of assigned) this.#set.restart(partition);
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
    for (const partition of this.#set.all) if (!next.has(partition.key)) this.#set.remove(partition);
    const fromCommitted: AssignedPartition[] = [];
    for (const { topic, partition, startAt } of assignments) {
      const known = this.#set.find({ topic, partition });
      const assigned = known ?? this.#set.add({ topic, partition });
      if (startAt !== undefined) this.#set.startAt(assigned, startAt);
      else if (known === undefined && this.#group !== null) fromCommitted.push(assigned);
      else if (known === undefined) this.#set.startByPolicy(assigned);
    }
    if (fromCommitted.length > 0) {
      this.#group?.startFromCommitted(fromCommitted).catch((error: unknown) => this.#set.tell(error));
    }
    this.#set.fetcher.schedule();
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
    return this.#set.all.map(({ topic, partition }) => ({ topic, partition }));
  }

  /** The next message of the partition will be the one at `offset` (or the first after it). What was fetched is dropped. */
  seek(where: TopicPartitionInput, offset: number): void {
    if (!Number.isSafeInteger(offset) || offset < 0) {
      throw clientError("CLIENT_INVALID_ARGUMENT", `offset ${offset} is not a whole number from 0`);
    }
    this.#set.startAt(this.#set.get(where), offset);
    this.#set.fetcher.schedule();
  }

  seekToBeginning(partitions: readonly TopicPartitionInput[] = this.assignment()): void {
    for (const where of partitions) this.#set.startAt(this.#set.get(where), "beginning");
    this.#set.fetcher.schedule();
  }

  seekToEnd(partitions: readonly TopicPartitionInput[] = this.assignment()): void {
    for (const where of partitions) this.#set.startAt(this.#set.get(where), "end");
    this.#set.fetcher.schedule();
  }

  /** Goes to the first message at or after `timestamp`, or to the end where there is none. Resolves when the positions are known. */
  async seekToTimestamp(
    timestamp: number,
    partitions: readonly TopicPartitionInput[] = this.assignment(),
  ): Promise<void> {
    for (const where of partitions) this.#set.startAt(this.#set.get(where), { timestamp });
    this.#set.fetcher.schedule();
    await Promise.all(partitions.map((where) => this.position(where)));
  }

  /** The offset of the next message that will be handed out. Waits where it has to be looked up. */
  async position(where: TopicPartitionInput, options: { readonly signal?: AbortSignal } = {}): Promise<number> {
    const assigned = this.#set.get(where);
    while (assigned.position < 0) {
      this.#set.throwError();
      this.#checkOpen();
      await this.#set.woken(options.signal);
    }
    return assigned.position;
  }

  /** What was fetched is kept; nothing is handed out and nothing more is fetched until `resume`. */
  pause(partitions: readonly TopicPartitionInput[] = this.assignment()): void {
    for (const where of partitions) this.#set.get(where).isPaused = true;
  }

  resume(partitions: readonly TopicPartitionInput[] = this.assignment()): void {
    for (const where of partitions) this.#set.get(where).isPaused = false;
    this.#set.wake();
    this.#set.fetcher.schedule();
  }

  paused(): TopicPartitionInput[] {
    return this.#set.all.filter(({ isPaused }) => isPaused).map(({ topic, partition }) => ({ topic, partition }));
  }

  beginningOffsets(partitions: readonly TopicPartitionInput[]): Promise<PartitionOffset[]> {
    return this.#set.offsets(partitions, offsetSpecs.earliest);
  }

  /** With read_committed the last stable offsets. */
  endOffsets(partitions: readonly TopicPartitionInput[]): Promise<PartitionOffset[]> {
    return this.#set.offsets(partitions, offsetSpecs.latest);
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
    return this.#set.get(where).progress;
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
    this.#set.markConsumed();
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
      for (let message = this.#set.take(takeMessage); message !== null; message = this.#set.take(takeMessage)) {
        messages.push(message);
        if (messages.length === this.#options.pollRecordsMax) return messages;
      }
      const leftMs = deadlineMs - clock.monotonicMs();
      if (messages.length > 0 || leftMs <= 0 || this.#closing !== null) return messages;
      const timer = deadlines.after(leftMs, () => this.#set.wake());
      await this.#set.woken(signal).finally(() => timer.cancel());
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

  /**
   * Calls a handler for each message or batch, `concurrency` at once, in the order that `orderBy` asks for. What is committed is what is done: offsets
   * below the first message still in hand. Resolves when the signal aborts or the consumer is closed, and what was in hand is done; rejects
   * with what a handler or the group met. It never ends otherwise.
   */
  async run(options: RunOptions): Promise<void> {
    this.#checkOpen();
    if (this.#runner !== null) throw clientError("CLIENT_INVALID_ARGUMENT", "the consumer runs already");
    if ((options.eachMessage === undefined) === (options.eachBatch === undefined))
      throw clientError("CLIENT_INVALID_ARGUMENT", "run needs either eachMessage or eachBatch");
    const concurrency = checkedNumber("concurrency", options.concurrency, 1, 1);
    const items: AsyncIterableIterator<Message | MessageBatch> =
      options.eachMessage === undefined ? this.batches() : this.messages();
    this.#set.markConsumed();
    this.#set.isTracked = true;
    this.#runner = new Runner(options, concurrency, {
      next: () => items.next(),
      partitionOf: (item) => this.#set.find(item),
      rewind: (partition, offset) => this.#set.startAt(partition, offset),
      end: () => void items.return?.(),
    });
    try {
      await this.#runner.run();
    } finally {
      this.#runner = null;
      // From here on loops and polls say again what is done.
      this.#set.isTracked = false;
    }
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
    this.#set.wake();
    this.#runner?.stop();
    await this.#runner?.drained();
    await this.#group?.close();
    await this.#set.close();
    this.#cluster.close();
    this.#set.wake();
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
          this.#set.markConsumed();
          this.#group?.touch();
        },
        takeAtOnce: () => (!this.#set.hasReady || this.#group?.needsWork === true ? null : this.#set.take(takeBefore)),
        prepare: (stop) => this.#prepare(Number.POSITIVE_INFINITY, stop),
        take: () => this.#set.take(takeBefore),
        isAtEnd: () => {
          if (ends === null) return false;
          for (const [partition, end] of ends) if (!partition.isRevoked && partition.position < end) return false;
          return true;
        },
        woken: (stop) => this.#set.woken(stop),
        wake: () => this.#set.wake(),
        waits: () => this.#group?.asking(),
        rests: () => this.#group?.asked(),
      },
      signal,
    );
  }

  async #ends(until: "end" | readonly PartitionOffset[]): Promise<Map<AssignedPartition, number>> {
    const partitions = this.#set.all;
    const ends = until === "end" ? await this.#set.offsets(partitions, offsetSpecs.latest) : until;
    await Promise.all(partitions.map((partition) => this.position(partition)));
    const byKey = new Map(ends.map((end) => [topicPartitionKey(end.topic, end.partition), end.offset]));
    return new Map(partitions.map((partition) => [partition, byKey.get(partition.key) ?? Number.MAX_SAFE_INTEGER]));
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
          this.#set.wake();
        })
      : null;
    let isDone = false;
    const done = prepared.finally(() => {
      isDone = true;
    });
    done.catch(() => {});
    try {
      while (!isDone && !isLate && this.#closing === null) await Promise.race([done, this.#set.woken(signal)]);
      if (isDone) await prepared;
    } finally {
      timer?.cancel();
    }
  }

  #needGroup(what: string): GroupSession {
    if (this.#group === null) throw clientError("CLIENT_INVALID_OPTION", `${what} needs the option groupId`);
    return this.#group;
  }

  #checkOpen(): void {
    if (this.#closing !== null) throw clientError("CLIENT_CLOSED", "the consumer is closed");
  }
}
