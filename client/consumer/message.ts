// What a consumer hands out: a batch whose records are decoded one by one as they are walked, and a message that is a view over the
// fetched (or unpacked) bytes. Key, value and headers become objects only when they are asked for.
//
// The bytes belong to the message: they stay valid as long as it is referenced. A message that is kept keeps its whole batch in memory;
// copy what is small and kept for long.
import { cursorHeaders, type RecordBatchView, RecordCursor, type RecordHeader } from "@blumfeld/core/model";
import { clientError } from "../errors.ts";

export class Message {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Milliseconds since 1970: the producer's time, or the broker's where the topic has LogAppendTime. */
  readonly timestamp: number;
  /** Length of the value; -1 for null. */
  readonly valueLength: number;
  /** Length of the key; -1 for null. */
  readonly keyLength: number;
  readonly #buffer: Buffer;
  readonly #keyPosition: number;
  readonly #valuePosition: number;
  readonly #headersPosition: number;
  readonly #headerCount: number;

  constructor(topic: string, partition: number, cursor: RecordCursor) {
    this.topic = topic;
    this.partition = partition;
    this.offset = cursor.offset;
    this.timestamp = cursor.timestamp;
    this.valueLength = cursor.valueLength;
    this.keyLength = cursor.keyLength;
    this.#buffer = cursor.buffer;
    this.#keyPosition = cursor.keyPosition;
    this.#valuePosition = cursor.valuePosition;
    this.#headersPosition = cursor.headersPosition;
    this.#headerCount = cursor.headerCount;
  }

  /** A view. */
  get key(): Buffer | null {
    const { keyLength } = this;
    return keyLength < 0 ? null : this.#buffer.subarray(this.#keyPosition, this.#keyPosition + keyLength);
  }

  /** A view. */
  get value(): Buffer | null {
    const { valueLength } = this;
    return valueLength < 0 ? null : this.#buffer.subarray(this.#valuePosition, this.#valuePosition + valueLength);
  }

  /** The key as text; cheaper than `key` and then `toString`. */
  keyText(): string | null {
    const { keyLength } = this;
    return keyLength < 0 ? null : this.#buffer.toString("utf8", this.#keyPosition, this.#keyPosition + keyLength);
  }

  /** The value as text; cheaper than `value` and then `toString`. */
  valueText(): string | null {
    const { valueLength } = this;
    return valueLength < 0
      ? null
      : this.#buffer.toString("utf8", this.#valuePosition, this.#valuePosition + valueLength);
  }

  /** In their order; a name may come more than once. Values are views. Decoded at each use. */
  get headers(): readonly RecordHeader[] {
    return cursorHeaders({
      buffer: this.#buffer,
      headersPosition: this.#headersPosition,
      headerCount: this.#headerCount,
    });
  }

  get headerCount(): number {
    return this.#headerCount;
  }

  /** The last header of this name, as Kafka's `lastHeader`; undefined where there is none. */
  header(name: string): Buffer | null | undefined {
    return this.headers.findLast(({ key }) => key === name)?.value;
  }
}

/** What the partition looked like when the batch was fetched. */
export interface PartitionProgress {
  readonly highWatermark: number;
  readonly lastStableOffset: number;
  readonly logStartOffset: number;
}

export class MessageBatch implements Iterable<Message> {
  readonly topic: string;
  readonly partition: number;
  /** The first offset handed out: records of the batch before the position are skipped. */
  readonly firstOffset: number;
  /** One past the batch: where the partition goes on. */
  readonly nextOffset: number;
  readonly progress: PartitionProgress;
  readonly view: RecordBatchView;
  /** The unpacked record bytes; with `view` all that a reader of columns needs. */
  readonly records: Buffer;

  constructor(
    where: { readonly topic: string; readonly partition: number },
    view: RecordBatchView,
    records: Buffer,
    position: number,
    progress: PartitionProgress,
  ) {
    this.topic = where.topic;
    this.partition = where.partition;
    this.view = view;
    this.records = records;
    this.firstOffset = Math.max(position, view.baseOffset);
    this.nextOffset = view.nextOffset;
    this.progress = progress;
  }

  /** What the header counts; fewer are handed out where the position is inside the batch. */
  get recordCount(): number {
    return this.view.recordCount;
  }

  /** Messages between the end of the batch and what may be read of the partition, as it was when this was fetched. */
  get lag(): number {
    return Math.max(0, this.progress.highWatermark - this.nextOffset);
  }

  /** A cursor before the first record, for those who want no object per record. It may meet records before `firstOffset`. */
  cursor(): RecordCursor {
    return new RecordCursor().openRecords(this.view, this.records);
  }

  [Symbol.iterator](): BatchIterator {
    return new BatchIterator(this);
  }
}

export class BatchIterator implements IterableIterator<Message> {
  readonly #batch: MessageBatch;
  readonly #cursor: RecordCursor;

  constructor(batch: MessageBatch) {
    this.#batch = batch;
    this.#cursor = batch.cursor();
  }

  [Symbol.iterator](): this {
    return this;
  }

  /** Null after the last. Throws CLIENT_CORRUPT_BATCH at a record that is none. */
  nextMessage(): Message | null {
    const cursor = this.#cursor;
    const batch = this.#batch;
    while (cursor.next()) {
      if (cursor.offset >= batch.firstOffset) return new Message(batch.topic, batch.partition, cursor);
    }
    if (cursor.problem !== null) {
      const where = `${batch.topic}-${batch.partition} at offset ${batch.view.baseOffset}`;
      throw clientError("CLIENT_CORRUPT_BATCH", `${where}: ${cursor.problem.toString()}`);
    }
    return null;
  }

  next(): IteratorResult<Message, undefined> {
    const value = this.nextMessage();
    return value === null ? { done: true, value: undefined } : { done: false, value };
  }
}
