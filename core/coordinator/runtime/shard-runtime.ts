// Runs one shard on one partition of its internal topic: loads it, gives it requests, replays and appends what it decides, releases answers at
// commit, rolls back what could not be appended. Synchronous: the host calls in with requests, appended turns and high watermarks.
//
//   state        → state        cause
//   initial      → loading      this node became leader of the partition
//   loading      → active       the log was replayed to its end
//   loading      → failed       the log could not be read
//   active       → closed       leadership moved, or the node stops
//   any          → closed
//
// Decisions of one turn share one batch: `flush` at the turn's end builds and appends it.
import { assert } from "../../base/index.ts";
import { controlKey, endTxnMarkerValue, RecordBatchBuilder } from "../../model/index.ts";
import { ErrorCode } from "../../protocol/index.ts";
import type { Decision, Shard, TransactionalWriter } from "./shard.ts";
import type { TimerTable } from "./timer-table.ts";
import type { UndoLog, UndoMark } from "./undo-log.ts";

export type ShardState = "initial" | "loading" | "active" | "failed" | "closed";

/** Where the shard's records go. Appending is synchronous; committing is told by `onHighWatermark`. */
export interface ShardLog {
  /**
   * Appends one batch as the partition's leader. `endOffset` is the offset after its last record; `committed` says that the batch is
   * committed already, so that no `onHighWatermark` follows.
   */
  append(
    batch: Buffer,
    /** Of a transaction's marker: what its transaction was ended by. From 2 on a repeat of an earlier marker is refused. */
    transactionVersion?: number,
  ):
    | { readonly kind: "appended"; readonly endOffset: number }
    | { readonly kind: "refused"; readonly errorCode: number };
  /** Largest batch that the log takes (the internal topic's max.message.bytes). */
  readonly batchBytesMax: number;
}

export interface ShardRuntimeParts<Entry, Timer> {
  readonly shard: Shard<Entry, Timer>;
  /** The undo log that all of the shard's lasting state is built on. */
  readonly undo: UndoLog;
  readonly timers: TimerTable<Timer>;
  readonly log: ShardLog;
  /** Asks the host for `flush` at the end of this turn. */
  readonly requestFlush: () => void;
  readonly wallMs: () => number;
  /** Our own mistakes while deciding: logged by the host; the request gets UNKNOWN_SERVER_ERROR. */
  readonly onFault: (error: unknown, what: string) => void;
}

interface Waiting {
  readonly endOffset: number;
  readonly mark: UndoMark;
  readonly complete: (errorCode: number | null) => void;
}

/** The batch of this turn, not yet appended. */
interface Gathering {
  readonly mark: UndoMark;
  readonly builder: RecordBatchBuilder;
  bytes: number;
  readonly completions: ((errorCode: number | null) => void)[];
}

export type Reply<Answer> = (
  outcome: { readonly errorCode: number } | { readonly errorCode: 0; readonly answer: Answer },
) => void;

/** A timer whose decision could not be written comes again after this. Kafka's value. */
export const refusedTimerRetryMs = 500;

const recordOverheadBytes = 32;
const batchHeaderBytes = 61;

export class ShardRuntime<S extends Shard<Entry, Timer>, Entry, Timer> {
  private state: ShardState = "initial";
  private readonly parts: ShardRuntimeParts<Entry, Timer> & { readonly shard: S };
  private gathering: Gathering | null = null;
  private waiting: Waiting[] = [];
  private committedOffset = 0;
  /** Records of unknown type met while loading. */
  skippedCount = 0;

  constructor(parts: ShardRuntimeParts<Entry, Timer> & { readonly shard: S }) {
    this.parts = parts;
  }

  get currentState(): ShardState {
    return this.state;
  }

  get shard(): S {
    return this.parts.shard;
  }

  // --- loading ---------------------------------------------------------------------------------

  startLoading(): void {
    assert(this.state === "initial" || this.state === "failed", `a ${this.state} shard cannot load`);
    this.state = "loading";
  }

  /** One record of the log, oldest first. `transaction` for records of a transactional batch. */
  load(key: Buffer, value: Buffer | null, timestampMs: number, transaction: TransactionalWriter | null): void {
    assert(this.state === "loading", `a ${this.state} shard takes no records to load`);
    const entry = this.parts.shard.decode(key, value);
    if (entry === null) this.skippedCount++;
    else this.parts.shard.replay(entry, timestampMs, transaction);
  }

  /** A transaction marker of the log. */
  loadTransactionEnd(writer: TransactionalWriter, committed: boolean): void {
    assert(this.state === "loading", `a ${this.state} shard takes no markers to load`);
    this.parts.shard.replayTransactionEnd(writer, committed);
  }

  finishLoading(endOffset: number): void {
    assert(this.state === "loading", `a ${this.state} shard cannot finish loading`);
    this.committedOffset = endOffset;
    this.state = "active";
    this.parts.shard.onLoaded(this.parts.wallMs());
    this.parts.requestFlush();
  }

  failLoading(): void {
    this.state = "failed";
  }

  /** Leadership is gone: nothing more is appended, whoever waits is told to look elsewhere. */
  close(): void {
    if (this.state === "closed") return;
    const wasActive = this.state === "active";
    this.state = "closed";
    const completions = [...this.waiting.map((each) => each.complete), ...(this.gathering?.completions ?? [])];
    this.waiting = [];
    this.gathering = null;
    for (const complete of completions) complete(ErrorCode.NOT_COORDINATOR);
    if (wasActive) this.parts.shard.onUnloaded();
    this.parts.timers.clear();
    this.parts.undo.stop();
  }

  /** The code that a request gets now; null when the shard can decide. */
  unavailableCode(): number | null {
    if (this.state === "active") return null;
    return this.state === "loading" ? ErrorCode.COORDINATOR_LOAD_IN_PROGRESS : ErrorCode.NOT_COORDINATOR;
  }

  // --- deciding --------------------------------------------------------------------------------

  /** Lets the shard decide; replies when its records are committed, or in this call when there are none and nothing is uncommitted before them. */
  write<Answer>(
    what: string,
    decide: (shard: S, nowMs: number) => Decision<Answer, Entry>,
    reply: Reply<Answer>,
  ): void {
    const unavailable = this.unavailableCode();
    if (unavailable !== null) return reply({ errorCode: unavailable });
    const { undo, shard, wallMs, onFault } = this.parts;
    const nowMs = wallMs();
    const gatheringBefore = this.gathering;
    const mark = undo.mark();
    let decision: Decision<Answer, Entry>;
    try {
      decision = decide(shard, nowMs);
    } catch (error) {
      undo.revertTo(mark);
      this.stopRecordingWhenIdle();
      onFault(error, what);
      return reply({ errorCode: ErrorCode.UNKNOWN_SERVER_ERROR });
    }
    const complete = this.completionOf(decision, reply);
    if (decision.records.length === 0) return this.completeInOrder(complete, gatheringBefore);
    const refused = this.gather(decision, nowMs, mark);
    if (refused !== null) return complete(refused);
    this.gathering!.completions.push(complete);
    this.parts.requestFlush();
  }

  /** Reads the shard's state without deciding anything. The answer may show what is not yet committed. */
  read<Answer>(what: string, look: (shard: S, nowMs: number) => Answer, reply: Reply<Answer>): void {
    const unavailable = this.unavailableCode();
    if (unavailable !== null) return reply({ errorCode: unavailable });
    let answer: Answer;
    try {
      answer = look(this.parts.shard, this.parts.wallMs());
    } catch (error) {
      this.parts.onFault(error, what);
      return reply({ errorCode: ErrorCode.UNKNOWN_SERVER_ERROR });
    }
    reply({ errorCode: 0, answer });
  }

  /** As `write`, in a transaction: the records are a batch of their own, and replayed as pending until `endTransaction`. */
  writeTransactional<Answer>(
    what: string,
    writer: TransactionalWriter,
    decide: (shard: S, nowMs: number) => Decision<Answer, Entry>,
    reply: Reply<Answer>,
  ): void {
    const unavailable = this.unavailableCode();
    if (unavailable !== null) return reply({ errorCode: unavailable });
    this.flush();
    const { undo, shard, wallMs, onFault } = this.parts;
    const nowMs = wallMs();
    const mark = undo.mark();
    let decision: Decision<Answer, Entry>;
    try {
      decision = decide(shard, nowMs);
      for (const entry of decision.records) shard.replay(entry, nowMs, writer);
    } catch (error) {
      undo.revertTo(mark);
      this.stopRecordingWhenIdle();
      onFault(error, what);
      return reply({ errorCode: ErrorCode.UNKNOWN_SERVER_ERROR });
    }
    const complete = this.completionOf(decision, reply);
    if (decision.records.length === 0) return this.completeInOrder(complete, null);
    const builder = new RecordBatchBuilder();
    for (const entry of decision.records) {
      const { key, value } = shard.encode(entry);
      builder.append(nowMs, key, value);
    }
    // Sequence -1: the transaction's order is the coordinator's, as in Kafka.
    const batch = builder.build({ transactional: true, ...writer, baseSequence: -1 });
    this.append(batch, mark, [complete]);
  }

  /** A transaction's marker for this partition (WriteTxnMarkers). Replies when it is committed. */
  endTransaction(
    writer: TransactionalWriter,
    by: { readonly coordinatorEpoch: number; readonly transactionVersion: number },
    committed: boolean,
    reply: Reply<null>,
  ): void {
    const unavailable = this.unavailableCode();
    if (unavailable !== null) return reply({ errorCode: unavailable });
    this.flush();
    const mark = this.parts.undo.mark();
    const nowMs = this.parts.wallMs();
    this.parts.shard.replayTransactionEnd(writer, committed);
    const builder = new RecordBatchBuilder();
    const key = controlKey(committed ? "commit" : "abort");
    builder.append(nowMs, key, endTxnMarkerValue(by.coordinatorEpoch));
    const batch = builder.build({ transactional: true, control: true, ...writer, baseSequence: -1 });
    const complete = (errorCode: number | null): void =>
      reply(errorCode === null ? { errorCode: 0, answer: null } : { errorCode });
    this.append(batch, mark, [complete], by.transactionVersion);
  }

  // --- committing ------------------------------------------------------------------------------

  /** Appends what this turn gathered. */
  flush(): void {
    const gathering = this.gathering;
    if (gathering === null || this.state !== "active") return;
    this.gathering = null;
    this.append(gathering.builder.build({}), gathering.mark, gathering.completions);
  }

  /** The partition's high watermark moved: all below `offset` is committed. */
  onHighWatermark(offset: number): void {
    if (offset <= this.committedOffset) return;
    this.committedOffset = offset;
    let settled = 0;
    while (settled < this.waiting.length && this.waiting[settled]!.endOffset <= offset) settled++;
    if (settled === 0) return;
    const done = this.waiting.splice(0, settled);
    const next = this.waiting[0]?.mark ?? this.gathering?.mark;
    if (next !== undefined) this.parts.undo.forgetBefore(next);
    this.stopRecordingWhenIdle();
    for (const each of done) each.complete(null);
  }

  // --- time ------------------------------------------------------------------------------------

  /** On the monotonic clock. Null while no timer is set or the shard is not active. */
  nextDeadlineMs(): number | null {
    return this.state === "active" ? this.parts.timers.nextDeadlineMs() : null;
  }

  /** Runs what is due, at most `countMax` timers, so that a burst of time-outs leaves room for requests. */
  onTime(countMax: number): void {
    for (let count = 0; count < countMax && this.state === "active"; count++) {
      const due = this.parts.timers.takeDue();
      if (due === null) return;
      this.write<void>(
        `timer ${due.key}`,
        (shard, nowMs) => shard.onTimer(due.action, nowMs),
        ({ errorCode }) => {
          // What is due stays due while nothing can be written: a dead member must not stay because its end was refused.
          if (errorCode === 0 || this.state !== "active" || this.parts.timers.has(due.key)) return;
          this.parts.timers.set(due.key, refusedTimerRetryMs, due.action);
        },
      );
    }
  }

  // --- inside ----------------------------------------------------------------------------------

  private completionOf<Answer>(
    decision: Decision<Answer, Entry>,
    reply: Reply<Answer>,
  ): (errorCode: number | null) => void {
    return (errorCode) => {
      decision.settled?.(errorCode);
      reply(errorCode === null ? { errorCode: 0, answer: decision.answer } : { errorCode });
    };
  }

  /** An answer without records still waits for the uncommitted state that it may speak of. */
  private completeInOrder(complete: (errorCode: number | null) => void, gatheringBefore: Gathering | null): void {
    this.stopRecordingWhenIdle();
    if (gatheringBefore !== null) gatheringBefore.completions.push(complete);
    else if (this.waiting.length > 0) {
      const last = this.waiting[this.waiting.length - 1]!;
      this.waiting.push({ endOffset: last.endOffset, mark: this.parts.undo.mark(), complete });
    } else complete(null);
  }

  /** Replays and adds to the turn's batch. An error code when one decision is larger than a batch may be; the state is as before then. */
  private gather(decision: Decision<unknown, Entry>, nowMs: number, mark: UndoMark): number | null {
    const { shard, log, undo } = this.parts;
    const { records } = decision;
    const encoded = records.map((entry) => shard.encode(entry));
    let bytes = 0;
    for (const { key, value } of encoded) bytes += key.length + (value?.length ?? 0) + recordOverheadBytes;
    if (bytes + batchHeaderBytes > log.batchBytesMax) {
      undo.revertTo(mark);
      this.stopRecordingWhenIdle();
      return ErrorCode.RECORD_LIST_TOO_LARGE;
    }
    if (this.gathering !== null && this.gathering.bytes + bytes > log.batchBytesMax) this.flush();
    this.gathering ??= { mark, builder: new RecordBatchBuilder(), bytes: batchHeaderBytes, completions: [] };
    this.gathering.bytes += bytes;
    for (const { key, value } of encoded) this.gathering.builder.append(nowMs, key, value);
    if (decision.isApplied !== true) for (const entry of records) shard.replay(entry, nowMs, null);
    return null;
  }

  private append(
    batch: Buffer,
    mark: UndoMark,
    completions: readonly ((errorCode: number | null) => void)[],
    transactionVersion?: number,
  ): void {
    const outcome = this.parts.log.append(batch, transactionVersion);
    if (outcome.kind === "refused") {
      this.parts.undo.revertTo(mark);
      this.stopRecordingWhenIdle();
      for (const complete of completions) complete(outcome.errorCode);
      return;
    }
    for (const complete of completions) this.waiting.push({ endOffset: outcome.endOffset, mark, complete });
  }

  /** The log lost `errorCode` what it had appended after `offset` (a failed write): state and answers go back to there. */
  onAppendLost(offset: number, errorCode: number): void {
    const lost = this.waiting.filter((each) => each.endOffset > offset);
    if (lost.length === 0) return;
    this.waiting = this.waiting.filter((each) => each.endOffset <= offset);
    const gathered = this.gathering?.completions ?? [];
    this.gathering = null;
    this.parts.undo.revertTo(lost[0]!.mark);
    this.stopRecordingWhenIdle();
    for (const complete of [...lost.map((each) => each.complete), ...gathered]) complete(errorCode);
  }

  private stopRecordingWhenIdle(): void {
    if (this.waiting.length === 0 && this.gathering === null) this.parts.undo.stop();
  }
}
