// One batch of one partition: records being collected, then sealed bytes on their way. Keeps the runs of the calls that wait for it.
//
//   open → sealed: taken to be sent     sealed → on the wire → sealed: an error that is tried again     any → done: outcome told
//
// The bytes of a batch on the wire belong to the connection until its request ends: a batch that expires meanwhile tells its calls at once
// but is let go of only then (its memory may still be read by the socket).
import type { TimerHandle } from "@blumfeld/core/base";
import { assert } from "@blumfeld/core/base";
import { batchRecordsBytes, type Codec, DecompressionProblem } from "@blumfeld/core/compression";
import {
  batchSetProducer,
  iterateRecords,
  type ProducerFields,
  RecordBatchBuilder,
  RecordBatchView,
  type RecordBytes,
  type RecordHeaderInput,
} from "@blumfeld/core/model";
import { type BatchOutcome, Joined, type Run, type SendCall } from "./calls.ts";

export interface SealOptions {
  readonly codec: Codec | null;
  readonly compressionLevel: number | undefined;
  readonly isTransactional: boolean;
}

export class ProducerBatch {
  readonly topic: string;
  readonly partition: number;
  /** Goes up within a partition; the order in which sequences are given. */
  readonly order: number;
  readonly createdMs: number;
  /** What the batch counts against the buffer. */
  reservedBytes: number;
  recordCount = 0;
  /** Times it was sent. */
  attempts = 0;
  /** Not to be sent again before this. */
  notBeforeMs = 0;
  /** No more records are added. */
  isClosed = false;
  isOnWire = false;
  /** Its calls have been told. */
  isDone = false;
  baseSequence = -1;
  splitDepth = 0;
  expiry: TimerHandle | null = null;
  #builder: RecordBatchBuilder | null;
  #bytes: Buffer | null = null;
  #uncompressedBytes = 0;
  #runs: Run[] = [];
  #last: Run | null = null;
  #onDone: ((outcome: BatchOutcome) => void)[] = [];

  constructor(
    where: { readonly topic: string; readonly partition: number; readonly order: number },
    builder: RecordBatchBuilder | null,
    createdMs: number,
    reservedBytes: number,
  ) {
    this.topic = where.topic;
    this.partition = where.partition;
    this.order = where.order;
    this.#builder = builder;
    this.createdMs = createdMs;
    this.reservedBytes = reservedBytes;
  }

  get hasSequence(): boolean {
    return this.baseSequence >= 0;
  }

  /** Header and records before compression. */
  get uncompressedBytes(): number {
    return this.#builder?.sizeBytes ?? this.#uncompressedBytes;
  }

  /** What it takes in a request; an upper bound until it is sealed. */
  get sizeBytes(): number {
    return this.#bytes?.length ?? this.uncompressedBytes;
  }

  append(
    timestamp: number,
    key: RecordBytes,
    value: RecordBytes,
    headers: readonly RecordHeaderInput[],
    call: SendCall,
    index: number,
  ): void {
    const delta = this.#builder!.append(timestamp, key, value, headers);
    this.recordCount++;
    const run = call.place(this.#last, delta, index, timestamp);
    if (run === this.#last) return;
    this.#runs.push(run);
    this.#last = run;
  }

  /** The bytes to send, with the producer's fields. Hands back the builder when it was sealed by this call. */
  seal(options: SealOptions, producer: ProducerFields | null): RecordBatchBuilder | null {
    this.isClosed = true;
    const builder = this.#builder;
    if (builder === null) {
      if (producer !== null && producer.baseSequence !== this.#stampedSequence(producer)) this.#stamp(producer);
      return null;
    }
    this.#uncompressedBytes = builder.sizeBytes;
    this.#bytes = builder.build({
      compressor: options.codec ?? undefined,
      level: options.compressionLevel,
      transactional: options.isTransactional,
      producerId: producer?.producerId,
      producerEpoch: producer?.producerEpoch,
      baseSequence: producer?.baseSequence,
    });
    this.#builder = null;
    return builder;
  }

  get bytes(): Buffer {
    assert(this.#bytes !== null, "a batch is sealed before it is sent");
    return this.#bytes;
  }

  /** Calls back when the outcome is told. */
  whenDone(callback: (outcome: BatchOutcome) => void): void {
    this.#onDone.push(callback);
  }

  /** Tells every call of the batch, once. */
  finish(outcome: BatchOutcome): void {
    if (this.isDone) return;
    this.isDone = true;
    this.expiry?.cancel();
    const runs = this.#runs;
    this.#runs = [];
    this.#last = null;
    for (const run of runs) run.settle(outcome);
    for (const callback of this.#onDone) callback(outcome);
    this.#onDone = [];
  }

  /**
   * Two batches with the records of this one, which is done when both are. Null where it has one record, or its own bytes cannot be read
   * back. Sequences follow on from this batch's.
   */
  split(options: SealOptions): [ProducerBatch, ProducerBatch] | null {
    if (this.recordCount < 2 || this.#bytes === null) return null;
    const view = new RecordBatchView(this.#bytes);
    const records = batchRecordsBytes(view, { outputBytesMax: this.#uncompressedBytes });
    if (records instanceof DecompressionProblem) return null;
    const firstCount = Math.ceil(this.recordCount / 2);
    const builders = [new RecordBatchBuilder(), new RecordBatchBuilder()] as const;
    let index = 0;
    for (const record of iterateRecords(view, records)) {
      builders[index++ < firstCount ? 0 : 1].append(record.timestamp, record.key, record.value, record.headers);
    }
    const half = (builder: RecordBatchBuilder, order: number, reservedBytes: number): ProducerBatch => {
      const batch = new ProducerBatch({ ...this, order }, builder, this.createdMs, reservedBytes);
      batch.recordCount = builder.recordCount;
      batch.attempts = this.attempts;
      batch.splitDepth = this.splitDepth + 1;
      batch.seal(options, null);
      return batch;
    };
    const firstReserved = Math.ceil(this.reservedBytes / 2);
    const first = half(builders[0], this.order, firstReserved);
    // Orders begin as whole numbers, so halves of halves still fit between two neighbours.
    const secondOrder = this.order + 2 ** -(this.splitDepth + 1);
    const second = half(builders[1], secondOrder, this.reservedBytes - firstReserved);
    if (this.hasSequence) {
      first.baseSequence = this.baseSequence;
      second.baseSequence = this.baseSequence + firstCount;
    }
    const outcomes: (BatchOutcome | null)[] = [null, null];
    const told = (at: number, outcome: BatchOutcome): void => {
      outcomes[at] = outcome;
      const [one, other] = outcomes;
      if (one != null && other != null) this.finish(new Joined(one, firstCount, other));
    };
    first.whenDone((outcome) => told(0, outcome));
    second.whenDone((outcome) => told(1, outcome));
    return [first, second];
  }

  #stampedSequence(producer: ProducerFields): number {
    const view = new RecordBatchView(this.#bytes!);
    const same = view.producerId === producer.producerId && view.producerEpoch === producer.producerEpoch;
    return same ? view.baseSequence : -2;
  }

  #stamp(producer: ProducerFields): void {
    batchSetProducer(this.#bytes!, 0, producer);
  }
}
