// Takes records in, batch by batch and partition by partition, within the byte budget. What cannot go in yet waits in the order of the calls:
// for its topic's metadata by topic, for room in one line for all. Sends nothing; tells the sender which partitions have something.
//
// A later record never overtakes an earlier one of its partition: while anything of a topic waits, all of that topic queues behind it.
import type { TimerHandle } from "@blumfeld/core/base";
import { RecordBatchBuilder, recordBytesMax } from "@blumfeld/core/model";
import type { ClientContext } from "../connection/context.ts";
import { type Metadata, missingTopic, type TopicInfo } from "../connection/metadata.ts";
import { clientError, KafkaError } from "../errors.ts";
import { headerInputs, type ProducerRecord } from "../records.ts";
import { ProducerBatch } from "./batch.ts";
import { type BatchOutcome, Failed, type SendCall } from "./calls.ts";
import type { ResolvedProducerOptions } from "./options.ts";
import { PartitionQueue } from "./partition-queue.ts";
import { hasKey, type PartitionLoad, partitionOf, StickyPartition } from "./partitioner.ts";

/** What the accumulator tells the sender. */
export interface AccumulatorListener {
  /** The queue has a batch; `isFull`: one that need not wait for more records. */
  onBatch(queue: PartitionQueue, isFull: boolean): void;
  onExpired(batch: ProducerBatch, queue: PartitionQueue): void;
  /** A record waits for room: nothing should linger. */
  onPressure(): void;
}

interface Waiting {
  readonly call: SendCall;
  readonly records: readonly ProducerRecord[];
  /** Indexes into `records` that are still to go in, from `next` on. */
  readonly indexes: number[];
  next: number;
  expiry: TimerHandle | null;
}

interface TopicState {
  readonly name: string;
  info: TopicInfo | null;
  readonly sticky: StickyPartition;
  roundRobin: number;
  readonly queues: PartitionQueue[];
  /** For metadata. */
  readonly waiting: Waiting[];
  isLoading: boolean;
  /** Until the broker refuses a large batch: the topic's bound is below ours. */
  mayGrow: boolean;
  /** How far compression shrinks this topic's records: 1 until it is known. */
  compressionRatio: number;
}

/** Builders kept for the next batch: a sealed one already holds a fresh buffer. */
const buildersKeptMax = 64;
/** A batch that compresses well may hold this many times batchBytes before compression. */
const compressionExpansionMax = 8;
const ratioMargin = 1.05;
const singleIndex = [0];

export class Accumulator {
  readonly #context: ClientContext;
  readonly #options: ResolvedProducerOptions;
  readonly #metadata: Metadata;
  readonly #listener: AccumulatorListener;
  readonly #topics = new Map<string, TopicState>();
  readonly #forRoom: Waiting[] = [];
  readonly #builders: RecordBatchBuilder[] = [];
  readonly #incomplete = new Set<ProducerBatch>();
  readonly #abort = new AbortController();
  #bytesFree: number;
  #waitingCount = 0;
  #lastTopic: TopicState | null = null;
  /** The time of the records being added; NaN: ask the clock. One list has one time, as it was given at one time. */
  #nowMs = Number.NaN;
  #closed: KafkaError | null = null;
  #onAdmitted: (() => void)[] = [];

  constructor(
    context: ClientContext,
    options: ResolvedProducerOptions,
    metadata: Metadata,
    listener: AccumulatorListener,
  ) {
    this.#context = context;
    this.#options = options;
    this.#metadata = metadata;
    this.#listener = listener;
    this.#bytesFree = options.bufferBytes;
    metadata.onUpdate(() => {
      for (const topic of this.#topics.values()) topic.info = metadata.topic(topic.name) ?? null;
    });
  }

  /** Bytes of the buffer that are taken. */
  get bufferedBytes(): number {
    return this.#options.bufferBytes - this.#bytesFree;
  }

  /** Records' calls that wait for metadata or for room. */
  get hasWaiting(): boolean {
    return this.#waitingCount > 0;
  }

  /** Someone waits for room: batches should not linger. */
  get isFull(): boolean {
    return this.#forRoom.length > 0;
  }

  get incomplete(): ReadonlySet<ProducerBatch> {
    return this.#incomplete;
  }

  /** Puts records in, or in line. What is wrong with a record is told to the call. */
  add(records: readonly ProducerRecord[], call: SendCall): void {
    this.#nowMs = this.#context.clock.wallMs();
    for (let index = 0; index < records.length; index++) this.#addOne(records, index, call);
    this.#nowMs = Number.NaN;
  }

  addSingle(record: ProducerRecord, call: SendCall): void {
    this.#addOne([record], 0, call);
  }

  /** Resolves when every call that waits now has been put into batches (or refused). */
  admitted(): Promise<void> {
    if (this.#waitingCount === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onAdmitted.push(resolve));
  }

  /** Gives a batch's memory back and tells its calls. */
  finish(batch: ProducerBatch, outcome: BatchOutcome): void {
    batch.finish(outcome);
    this.release(batch);
  }

  release(batch: ProducerBatch): void {
    if (!this.#incomplete.delete(batch)) return;
    this.#bytesFree += batch.reservedBytes;
    if (this.#forRoom.length > 0) this.#admitForRoom();
  }

  /** A sealed batch: its builder may be used again, its memory is what it has become. */
  sealed(batch: ProducerBatch, builder: RecordBatchBuilder | null): void {
    if (builder === null) return;
    if (this.#builders.length < buildersKeptMax) this.#builders.push(builder);
    const actual = Math.max(batch.sizeBytes, 1);
    if (actual < batch.reservedBytes) {
      this.#bytesFree += batch.reservedBytes - actual;
      batch.reservedBytes = actual;
    }
    if (this.#options.codec === null) return;
    const topic = this.#topics.get(batch.topic)!;
    const ratio = batch.sizeBytes / Math.max(1, batch.uncompressedBytes);
    // Quick to believe worse, slow to believe better: a batch above the broker's bound costs a round trip.
    topic.compressionRatio = ratio > topic.compressionRatio ? ratio : topic.compressionRatio * 0.9 + ratio * 0.1;
  }

  /** Counts the halves of a batch that was split in its place. */
  replaced(batch: ProducerBatch, halves: readonly ProducerBatch[]): void {
    if (!this.#incomplete.delete(batch)) return;
    for (const half of halves) this.#incomplete.add(half);
    const topic = this.#topics.get(batch.topic)!;
    topic.compressionRatio = 1;
    topic.mayGrow = false;
  }

  /** What is not on the wire fails. Returns the batches among it. */
  failUnsent(error: KafkaError): ProducerBatch[] {
    const waiting = [...this.#forRoom.splice(0)];
    const batches: ProducerBatch[] = [];
    for (const topic of this.#topics.values()) {
      waiting.push(...topic.waiting.splice(0));
      for (const queue of topic.queues) batches.push(...(queue?.waiting.splice(0) ?? []));
    }
    for (const entry of waiting) this.#refuse(entry, error);
    for (const batch of batches) this.finish(batch, new Failed(error));
    return batches;
  }

  /** Everything that waits or is collected fails; later calls too. */
  close(error: KafkaError): void {
    this.#closed = error;
    this.#abort.abort(error);
    const waiting = [...this.#forRoom.splice(0)];
    for (const topic of this.#topics.values()) waiting.push(...topic.waiting.splice(0));
    for (const entry of waiting) this.#refuse(entry, error);
    for (const batch of [...this.#incomplete]) this.finish(batch, new Failed(error));
  }

  #addOne(records: readonly ProducerRecord[], index: number, call: SendCall): void {
    if (this.#closed !== null) return call.failRecord(index, this.#closed);
    const record = records[index]!;
    const topic = this.#lastTopic?.name === record.topic ? this.#lastTopic : this.#topicOf(record.topic);
    this.#lastTopic = topic;
    if (topic.info === null || topic.waiting.length > 0) this.#waitForTopic(topic, records, index, call);
    else if (this.#forRoom.length > 0 || !this.#tryAppend(topic, record, index, call)) {
      this.#enqueue(this.#forRoom, records, index, call, () =>
        clientError(
          "CLIENT_BUFFER_FULL",
          `no room for a record of topic ${record.topic} within ${this.#options.blockMsMax} ms: ` +
            `${this.bufferedBytes} of bufferBytes=${this.#options.bufferBytes} are taken`,
        ),
      );
      this.#listener.onPressure();
    }
  }

  /** False where there is no room. */
  #tryAppend(topic: TopicState, record: ProducerRecord, index: number, call: SendCall): boolean {
    const key = record.key ?? null;
    const value = record.value ?? null;
    const headers = headerInputs(record.headers);
    const bytes = recordBytesMax(key, value, headers);
    if (bytes > this.#options.requestBytesMax || bytes > this.#options.bufferBytes) {
      call.failRecord(index, this.#tooLarge(record.topic, bytes));
      return true;
    }
    const timestamp = record.timestamp ?? (Number.isNaN(this.#nowMs) ? this.#context.clock.wallMs() : this.#nowMs);
    const isSticky = record.partition === undefined && !hasKey(record.key);
    const partition = this.#partitionOf(topic, record);
    if (partition === null || !Number.isSafeInteger(timestamp) || timestamp < 0) {
      call.failRecord(index, this.#badRecord(topic, record, timestamp));
      return true;
    }
    const queue = this.#queueOf(topic, partition);
    let batch = queue.open;
    let isFull = false;
    if (batch !== null && !this.#fits(topic, queue, batch, bytes)) {
      batch.isClosed = true;
      batch = null;
      isFull = true;
    }
    if (batch === null) {
      const reserve = Math.max(this.#options.batchBytes, bytes);
      if (reserve > this.#bytesFree && this.bufferedBytes > 0) {
        if (isFull) this.#listener.onBatch(queue, true);
        return false;
      }
      batch = this.#openBatch(queue, reserve);
    }
    batch.append(timestamp, key, value, headers, call, index);
    this.#accountFor(batch);
    if (isSticky) topic.sticky.added(bytes, isFull);
    this.#listener.onBatch(queue, isFull || batch.uncompressedBytes >= this.#options.batchBytes);
    return true;
  }

  #openBatch(queue: PartitionQueue, reserve: number): ProducerBatch {
    this.#metadata.touch(queue.topic);
    const { batchBytes } = this.#options;
    const builder = this.#builders.pop() ?? new RecordBatchBuilder({ bytesInitial: batchBytes });
    const now = this.#context.clock.monotonicMs();
    const batch = new ProducerBatch({ ...place(queue), order: queue.nextOrder() }, builder, now, reserve);
    this.#bytesFree -= reserve;
    this.#incomplete.add(batch);
    queue.waiting.push(batch);
    batch.expiry = this.#context.deadlines.after(this.#options.deliveryTimeoutMs, () => {
      if (!batch.isDone) this.#listener.onExpired(batch, queue);
    });
    return batch;
  }

  #fits(topic: TopicState, queue: PartitionQueue, batch: ProducerBatch, bytes: number): boolean {
    const { batchBytes, batchBytesBacklogged, codec } = this.#options;
    const after = batch.uncompressedBytes + bytes;
    if (after <= batchBytes) return true;
    // Growing takes memory that was not reserved.
    if (after > batch.reservedBytes && this.#bytesFree <= 0) return false;
    const limit = queue.waiting.length > 1 && topic.mayGrow ? batchBytesBacklogged : batchBytes;
    if (after <= limit) return true;
    if (codec === null || after > limit * compressionExpansionMax) return false;
    return after * Math.min(1, topic.compressionRatio * ratioMargin) <= limit;
  }

  /** A batch that grew past what it had reserved takes the rest now; the budget may be passed by one batch. */
  #accountFor(batch: ProducerBatch): void {
    const more = batch.uncompressedBytes - batch.reservedBytes;
    if (more <= 0) return;
    batch.reservedBytes += more;
    this.#bytesFree -= more;
  }

  #partitionOf(topic: TopicState, record: ProducerRecord): number | null {
    const count = topic.info!.partitions.length;
    if (record.partition !== undefined) {
      return Number.isInteger(record.partition) && record.partition >= 0 && record.partition < count
        ? record.partition
        : null;
    }
    const { partitioner } = this.#options;
    if (typeof partitioner === "function") {
      const chosen = partitioner(record, count);
      if (chosen !== null) return Number.isInteger(chosen) && chosen >= 0 && chosen < count ? chosen : null;
    } else if (partitioner === "round-robin") return topic.roundRobin++ % count;
    if (hasKey(record.key)) return partitionOf(record.key, count);
    return topic.sticky.choose(count, (partition) => this.#loadOf(topic, partition));
  }

  #loadOf(topic: TopicState, partition: number): PartitionLoad {
    return {
      hasLeader: (topic.info!.partitions[partition]?.leaderId ?? -1) >= 0,
      queueLength: topic.queues[partition]?.waiting.length ?? 0,
    };
  }

  #queueOf(topic: TopicState, partition: number): PartitionQueue {
    topic.queues[partition] ??= new PartitionQueue(topic.name, partition);
    return topic.queues[partition];
  }

  #topicOf(name: string): TopicState {
    const known = this.#topics.get(name);
    if (known !== undefined) return known;
    const { batchBytes, partitionerAdaptive } = this.#options;
    const topic: TopicState = {
      name,
      info: this.#metadata.topic(name) ?? null,
      sticky: new StickyPartition(this.#context.random, batchBytes, partitionerAdaptive),
      roundRobin: this.#context.random.uint32() % 1024,
      queues: [],
      waiting: [],
      isLoading: false,
      mayGrow: true,
      compressionRatio: 1,
    };
    this.#topics.set(name, topic);
    return topic;
  }

  #waitForTopic(topic: TopicState, records: readonly ProducerRecord[], index: number, call: SendCall): void {
    this.#enqueue(topic.waiting, records, index, call, () =>
      missingTopic(topic.name, this.#metadata.refusal(topic.name) ?? this.#metadata.lastFailure),
    );
    if (!topic.isLoading) void this.#loadTopic(topic);
  }

  async #loadTopic(topic: TopicState): Promise<void> {
    topic.isLoading = true;
    const deadlineMs = this.#context.clock.monotonicMs() + this.#options.blockMsMax;
    try {
      topic.info = await this.#metadata.waitForTopic(topic.name, deadlineMs, this.#abort.signal);
    } catch (error) {
      const refusal = error instanceof KafkaError ? error : clientError("CLIENT_TIMEOUT", String(error), error);
      for (const entry of topic.waiting.splice(0)) this.#refuse(entry, refusal);
    }
    topic.isLoading = false;
    if (this.#closed !== null) return;
    for (const entry of topic.waiting.splice(0)) {
      this.#leaveLine(entry);
      for (; entry.next < entry.indexes.length; entry.next++) {
        this.#addOne(entry.records, entry.indexes[entry.next]!, entry.call);
      }
    }
    this.#tellAdmitted();
  }

  #enqueue(
    line: Waiting[],
    records: readonly ProducerRecord[],
    index: number,
    call: SendCall,
    late: () => KafkaError,
  ): void {
    const last = line[line.length - 1];
    if (last !== undefined && last.call === call) {
      last.indexes.push(index);
      return;
    }
    const entry: Waiting = { call, records, indexes: index === 0 ? [...singleIndex] : [index], next: 0, expiry: null };
    entry.expiry = this.#context.deadlines.after(this.#options.blockMsMax, () => {
      const at = line.indexOf(entry);
      if (at < 0) return;
      line.splice(at, 1);
      this.#refuse(entry, late());
    });
    line.push(entry);
    this.#waitingCount++;
  }

  #admitForRoom(): void {
    for (let entry = this.#forRoom[0]; entry !== undefined; entry = this.#forRoom[0]) {
      while (entry.next < entry.indexes.length) {
        const index = entry.indexes[entry.next]!;
        const record = entry.records[index]!;
        const topic = this.#topicOf(record.topic);
        if (topic.info === null || topic.waiting.length > 0)
          this.#waitForTopic(topic, entry.records, index, entry.call);
        else if (!this.#tryAppend(topic, record, index, entry.call)) return;
        entry.next++;
      }
      this.#forRoom.shift();
      this.#leaveLine(entry);
    }
    this.#tellAdmitted();
  }

  #leaveLine(entry: Waiting): void {
    entry.expiry?.cancel();
    this.#waitingCount--;
  }

  #refuse(entry: Waiting, error: KafkaError): void {
    this.#leaveLine(entry);
    for (; entry.next < entry.indexes.length; entry.next++) entry.call.failRecord(entry.indexes[entry.next]!, error);
    this.#tellAdmitted();
  }

  #tellAdmitted(): void {
    if (this.#waitingCount > 0) return;
    for (const tell of this.#onAdmitted.splice(0)) tell();
  }

  #tooLarge(topic: string, bytes: number): KafkaError {
    const { requestBytesMax, bufferBytes } = this.#options;
    const [name, bound] = bytes > requestBytesMax ? ["requestBytesMax", requestBytesMax] : ["bufferBytes", bufferBytes];
    return clientError(
      "CLIENT_RECORD_TOO_LARGE",
      `a record of ${bytes} bytes for topic ${topic} is above ${name}=${bound}`,
    );
  }

  #badRecord(topic: TopicState, record: ProducerRecord, timestamp: number): KafkaError {
    if (!Number.isSafeInteger(timestamp) || timestamp < 0) {
      return clientError(
        "CLIENT_INVALID_ARGUMENT",
        `timestamp ${timestamp} is not a whole number of milliseconds from 0`,
      );
    }
    const count = topic.info!.partitions.length;
    return clientError(
      "CLIENT_INVALID_ARGUMENT",
      `partition ${record.partition ?? "chosen by the partitioner"} of topic ${topic.name} is not 0 to ${count - 1}`,
    );
  }
}

function place(queue: PartitionQueue): { topic: string; partition: number } {
  return { topic: queue.topic, partition: queue.partition };
}
