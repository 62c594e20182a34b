// What waits for a record: one promise for a single record, one for a list. Batches tell calls, not records: a list costs a run of indexes
// per batch.
import { KafkaError } from "../errors.ts";
import type { RecordMetadata } from "../records.ts";

/** What became of a whole batch, by the place of a record in it. */
export interface BatchOutcome {
  resultOf(delta: number, timestamp: number): RecordMetadata | KafkaError;
}

/** The batch is in the log: each record has the next offset. */
export class Delivered implements BatchOutcome {
  readonly #topic: string;
  readonly #partition: number;
  readonly #baseOffset: number;
  readonly #logAppendTimeMs: number;

  /** `baseOffset` -1: not known. `logAppendTimeMs` -1: the records' own timestamps hold. */
  constructor(topic: string, partition: number, baseOffset: number, logAppendTimeMs: number) {
    this.#topic = topic;
    this.#partition = partition;
    this.#baseOffset = baseOffset;
    this.#logAppendTimeMs = logAppendTimeMs;
  }

  resultOf(delta: number, timestamp: number): RecordMetadata {
    return {
      topic: this.#topic,
      partition: this.#partition,
      offset: this.#baseOffset < 0 ? -1 : this.#baseOffset + delta,
      timestamp: this.#logAppendTimeMs >= 0 ? this.#logAppendTimeMs : timestamp,
    };
  }
}

export class Failed implements BatchOutcome {
  readonly error: KafkaError;
  constructor(error: KafkaError) {
    this.error = error;
  }
  resultOf(): KafkaError {
    return this.error;
  }
}

/** A batch that was too large and went as two. */
export class Joined implements BatchOutcome {
  readonly #first: BatchOutcome;
  readonly #firstCount: number;
  readonly #second: BatchOutcome;

  constructor(first: BatchOutcome, firstCount: number, second: BatchOutcome) {
    this.#first = first;
    this.#firstCount = firstCount;
    this.#second = second;
  }

  resultOf(delta: number, timestamp: number): RecordMetadata | KafkaError {
    return delta < this.#firstCount
      ? this.#first.resultOf(delta, timestamp)
      : this.#second.resultOf(delta - this.#firstCount, timestamp);
  }
}

/** Records of one call that lie side by side in one batch. */
export interface Run {
  settle(outcome: BatchOutcome): void;
}

export interface SendCall {
  /** Called once for each record as it is put into a batch; returns the run that holds it, or the one given when it joined that. */
  place(last: Run | null, delta: number, index: number, timestamp: number): Run;
  /** The record never came into a batch. */
  failRecord(index: number, error: KafkaError): void;
}

/** `send(record)`. It is its own run. */
export class SingleCall implements SendCall, Run {
  readonly #resolve: (metadata: RecordMetadata) => void;
  readonly #reject: (error: KafkaError) => void;
  #delta = 0;
  #timestamp = 0;

  constructor(resolve: (metadata: RecordMetadata) => void, reject: (error: KafkaError) => void) {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  place(_last: Run | null, delta: number, _index: number, timestamp: number): Run {
    this.#delta = delta;
    this.#timestamp = timestamp;
    return this;
  }

  settle(outcome: BatchOutcome): void {
    const result = outcome.resultOf(this.#delta, this.#timestamp);
    if (result instanceof KafkaError) this.#reject(result);
    else this.#resolve(result);
  }

  failRecord(_index: number, error: KafkaError): void {
    this.#reject(error);
  }
}

/** Some records of a list were refused: `results` says for each where it lies or why not. */
export class SendListError extends KafkaError {
  readonly results: readonly (RecordMetadata | KafkaError)[];
  constructor(first: KafkaError, results: readonly (RecordMetadata | KafkaError)[]) {
    const failed = results.filter((result) => result instanceof KafkaError).length;
    super({
      code: first.code,
      message: `${failed} of ${results.length} records failed, the first with: ${first.message}`,
      retriable: first.retriable,
      recovery: first.recovery,
      nextStep: first.nextStep,
      cause: first,
    });
    this.results = results;
  }
}

/** `send(records)`. */
export class ListCall implements SendCall {
  readonly results: (RecordMetadata | KafkaError)[];
  readonly #resolve: (results: RecordMetadata[]) => void;
  readonly #reject: (error: KafkaError) => void;
  #left: number;
  #failure: KafkaError | null = null;

  constructor(count: number, resolve: (results: RecordMetadata[]) => void, reject: (error: KafkaError) => void) {
    this.results = new Array(count);
    this.#left = count;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  place(last: Run | null, delta: number, index: number, timestamp: number): Run {
    if (last instanceof ListRun && last.call === this) {
      last.add(index, timestamp);
      return last;
    }
    return new ListRun(this, delta, index, timestamp);
  }

  failRecord(index: number, error: KafkaError): void {
    this.done(index, error);
  }

  done(index: number, result: RecordMetadata | KafkaError): void {
    this.results[index] = result;
    if (result instanceof KafkaError) this.#failure ??= result;
    this.#left--;
    if (this.#left > 0) return;
    if (this.#failure === null) this.#resolve(this.results as RecordMetadata[]);
    else this.#reject(new SendListError(this.#failure, this.results));
  }
}

class ListRun implements Run {
  readonly call: ListCall;
  readonly #firstDelta: number;
  readonly #indexes: number[];
  readonly #timestamps: number[];

  constructor(call: ListCall, firstDelta: number, index: number, timestamp: number) {
    this.call = call;
    this.#firstDelta = firstDelta;
    this.#indexes = [index];
    this.#timestamps = [timestamp];
  }

  add(index: number, timestamp: number): void {
    this.#indexes.push(index);
    this.#timestamps.push(timestamp);
  }

  settle(outcome: BatchOutcome): void {
    const indexes = this.#indexes;
    for (let at = 0; at < indexes.length; at++) {
      this.call.done(indexes[at]!, outcome.resultOf(this.#firstDelta + at, this.#timestamps[at]!));
    }
  }
}
