// What a coordinator is: a shard per partition of its internal topic, which decides. A request and the time give records and an answer; replaying
// records gives the state. There is no other way for lasting state to come about, so start-up, fail-over and normal work agree.

/** A record of an internal topic, as bytes; the log's form of what a shard decided. */
export interface EncodedRecord {
  readonly key: Buffer;
  /** Null: a tombstone. */
  readonly value: Buffer | null;
}

/** What a shard decided. */
export interface Decision<Answer, Entry> {
  /** Appended as one unit: all of them or none. May be empty. */
  readonly records: readonly Entry[];
  readonly answer: Answer;
  /**
   * The shard's state holds all this already, and holds more than the records tell (who waits for an answer): they are written and not
   * replayed. What a refused append must take back is `settled`'s affair then.
   */
  readonly isApplied?: boolean;
  /**
   * Runs once the records are committed (`null`), or could not be appended and are rolled back (the error's code), before the answer is released.
   * For what is no lasting state: waking members, completing joins.
   */
  readonly settled?: (errorCode: number | null) => void;
}

/** Records of a transaction: pending until its marker comes. */
export interface TransactionalWriter {
  readonly producerId: number;
  readonly producerEpoch: number;
}

/**
 * One coordinator's state for one partition of its internal topic. All methods are synchronous and take the time as an argument.
 * `Entry` is the decoded record; `Timer` what a due timer says.
 */
export interface Shard<Entry, Timer> {
  encode(entry: Entry): EncodedRecord;
  /** Null for a key of a type that this version does not know: skipped with a count, as a newer peer may have written it. */
  decode(key: Buffer, value: Buffer | null): Entry | null;
  /** Applies one record. `transaction` is set for a record whose transaction is not yet decided. */
  replay(entry: Entry, timestampMs: number, transaction: TransactionalWriter | null): void;
  /** The marker of a transaction whose records this shard replayed. */
  replayTransactionEnd(writer: TransactionalWriter, committed: boolean): void;
  /** All records up to the end of the log have been replayed: set timers, drop what is out of date. */
  onLoaded(nowMs: number): void;
  /** Leadership is gone: answer who waits, cancel timers. */
  onUnloaded(): void;
  /** A timer is due. The decision is written like that of a request; its answer goes nowhere. */
  onTimer(timer: Timer, nowMs: number): Decision<void, Entry>;
}
