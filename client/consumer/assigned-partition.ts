// One partition that the consumer reads: where it is, what has been fetched and not yet handed out, and the next batch of that. Asks nobody;
// the fetcher fills it, the consumer empties it.
//
// `position` is the next offset to hand out, `fetchOffset` the next one to ask for: it runs ahead by what is buffered. A seek makes a new
// generation: answers to requests of an older one are dropped.

import { batchRecordsBytes, DecompressionProblem } from "@blumfeld/core/compression";
import {
  batchDamage,
  batchHeaderBytes,
  batchNextOffset,
  batchSizeAt,
  controlRecordTypes,
  parseControlKey,
  RecordBatchView,
  RecordCursor,
} from "@blumfeld/core/model";
import { clientError, type KafkaError } from "../errors.ts";
import { type BatchIterator, type Message, MessageBatch, type PartitionProgress } from "./message.ts";

export type ResetTarget = "earliest" | "latest" | { readonly timestamp: number };

interface AbortedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
}

/** The record bytes of one answer for this partition. */
interface Chunk {
  readonly buffer: Buffer;
  at: number;
  /** In the order of their first offsets; those before the current batch have moved to `abortedProducers`. */
  readonly aborted: AbortedTransaction[];
  readonly abortedProducers: Set<number>;
  readonly progress: PartitionProgress;
}

export interface DecodeOptions {
  readonly isReadCommitted: boolean;
  readonly checkCrcs: boolean;
  readonly decompressedBytesMax: number;
}

export class AssignedPartition {
  readonly topic: string;
  readonly partition: number;
  readonly key: string;
  /** The next offset to hand out; -1 while it has to be looked up. */
  position = -1;
  fetchOffset = -1;
  /** Below it the program is done: it has asked for what comes after. -1: nothing yet. */
  consumed = -1;
  /** Set while the position has to be looked up. */
  reset: ResetTarget | null = null;
  isResetting = false;
  /** Its first position is still to be told: nothing is fetched. */
  isStarting = false;
  isPaused = false;
  /** Off the list: answers for it are dropped. */
  isRevoked = false;
  generation = 0;
  isFetching = false;
  notBeforeMs = 0;
  /** Buffered and not yet handed out. */
  bufferedBytes = 0;
  progress: PartitionProgress | null = null;
  /** Of the last batch handed out; -1 where unknown. */
  leaderEpochLast = -1;
  /** A follower to read from (KIP-392), and until when. */
  preferredReplica = -1;
  preferredReplicaUntilMs = 0;
  readonly #chunks: Chunk[] = [];
  #batch: MessageBatch | null = null;
  #iterator: BatchIterator | null = null;

  constructor(topic: string, partition: number, key: string) {
    this.topic = topic;
    this.partition = partition;
    this.key = key;
  }

  get hasData(): boolean {
    return this.#batch !== null || this.#chunks.length > 0;
  }

  /** Goes to `offset`; what is buffered is dropped. Returns the bytes that this frees. */
  seek(offset: number): number {
    const freed = this.#drop();
    this.position = offset;
    this.fetchOffset = offset;
    this.consumed = offset;
    this.reset = null;
    return freed;
  }

  /** The position has to be looked up; what is buffered is dropped. Returns the bytes that this frees. */
  requireReset(target: ResetTarget): number {
    const freed = this.#drop();
    this.position = -1;
    this.fetchOffset = -1;
    this.reset = target;
    return freed;
  }

  /** Its position will come from elsewhere; what is buffered is dropped. Returns the bytes that this frees. */
  restart(): number {
    const freed = this.#drop();
    this.position = -1;
    this.fetchOffset = -1;
    this.reset = null;
    this.isStarting = true;
    return freed;
  }

  /** Takes the records of an answer. Returns the bytes that it buffers now; refuses bytes that would never move the partition on. */
  addRecords(buffer: Buffer, aborted: readonly AbortedTransaction[], progress: PartitionProgress): number | KafkaError {
    this.progress = progress;
    if (buffer.length === 0) return 0;
    let at = 0;
    let next = this.fetchOffset;
    for (;;) {
      const size = batchSizeAt(buffer, at);
      if (size < batchHeaderBytes || size > buffer.length - at) break;
      next = batchNextOffset(buffer, at);
      at += size;
    }
    if (at === 0) return this.#corrupt("the answer holds no whole batch");
    if (!Number.isSafeInteger(next) || next <= this.fetchOffset) {
      return this.#corrupt(`the answer ends at offset ${next} and does not go on from ${this.fetchOffset}`);
    }
    const sorted = [...aborted].sort((one, other) => one.firstOffset - other.firstOffset);
    this.#chunks.push({
      buffer: buffer.subarray(0, at),
      at: 0,
      aborted: sorted,
      abortedProducers: new Set(),
      progress,
    });
    this.fetchOffset = next;
    this.bufferedBytes += at;
    return at;
  }

  /** The next batch with something to hand out; the position is then past it. Null where nothing is buffered. Throws KafkaError. */
  takeBatch(options: DecodeOptions): MessageBatch | null {
    const batch = this.#openBatch(options);
    if (batch === null) return null;
    const { position } = this;
    this.#closeBatch(batch.nextOffset);
    return position > batch.firstOffset
      ? new MessageBatch(this, batch.view, batch.records, position, batch.progress)
      : batch;
  }

  /** The next message; the position is then past it. Null where nothing is buffered. Throws KafkaError. */
  takeMessage(options: DecodeOptions): Message | null {
    for (;;) {
      const batch = this.#batch ?? this.#openBatch(options);
      if (batch === null) return null;
      this.#iterator ??= batch[Symbol.iterator]();
      const message = this.#iterator.nextMessage();
      if (message !== null) {
        this.position = message.offset + 1;
        return message;
      }
      this.#closeBatch(batch.nextOffset);
    }
  }

  #openBatch(options: DecodeOptions): MessageBatch | null {
    while (this.#batch === null) {
      const chunk = this.#chunks[0];
      if (chunk === undefined) return null;
      if (chunk.at >= chunk.buffer.length) {
        this.#chunks.shift();
        this.bufferedBytes -= chunk.buffer.length;
        continue;
      }
      const damage = batchDamage(chunk.buffer, chunk.at);
      if (damage !== null && (damage !== "crc-mismatch" || options.checkCrcs)) throw this.#corrupt(damage);
      const view = new RecordBatchView(chunk.buffer, chunk.at);
      if (!this.#isWanted(view, chunk, options)) {
        chunk.at += view.sizeBytes;
        this.position = Math.max(this.position, view.nextOffset);
        continue;
      }
      const records = batchRecordsBytes(view, { outputBytesMax: options.decompressedBytesMax });
      if (records instanceof DecompressionProblem) throw this.#corrupt(records.toString());
      chunk.at += view.sizeBytes;
      this.leaderEpochLast = view.leaderEpoch;
      this.#batch = new MessageBatch(this, view, records, this.position, chunk.progress);
    }
    return this.#batch;
  }

  #closeBatch(nextOffset: number): void {
    this.position = Math.max(this.position, nextOffset);
    this.#batch = null;
    this.#iterator = null;
    const chunk = this.#chunks[0];
    if (chunk !== undefined && chunk.at >= chunk.buffer.length) {
      this.#chunks.shift();
      this.bufferedBytes -= chunk.buffer.length;
    }
  }

  /** Not control batches, not what lies before the position, and with read_committed not what was aborted. */
  #isWanted(view: RecordBatchView, chunk: Chunk, options: DecodeOptions): boolean {
    if (options.isReadCommitted && view.producerId >= 0) {
      while (chunk.aborted.length > 0 && chunk.aborted[0]!.firstOffset <= view.lastOffset) {
        chunk.abortedProducers.add(chunk.aborted.shift()!.producerId);
      }
      if (view.isControl) {
        if (isAbortMarker(view)) chunk.abortedProducers.delete(view.producerId);
      } else if (view.isTransactional && chunk.abortedProducers.has(view.producerId)) return false;
    }
    return !view.isControl && view.recordCount > 0 && view.lastOffset >= this.position;
  }

  #drop(): number {
    const freed = this.bufferedBytes;
    this.#chunks.length = 0;
    this.#batch = null;
    this.#iterator = null;
    this.bufferedBytes = 0;
    this.generation++;
    this.isResetting = false;
    this.isStarting = false;
    this.isFetching = false;
    this.notBeforeMs = 0;
    return freed;
  }

  #corrupt(reason: string): KafkaError {
    return clientError("CLIENT_CORRUPT_BATCH", `${this.key} at offset ${Math.max(this.position, 0)}: ${reason}`);
  }
}

function isAbortMarker(view: RecordBatchView): boolean {
  const cursor = new RecordCursor().openRecords(view, view.recordsBytes);
  if (!cursor.next()) return false;
  const { key } = cursor;
  return key !== null && parseControlKey(key)?.typeId === controlRecordTypes.abort;
}
