// A toy shard under random interleavings of writes, refused and lost appends, commits and reloads. Whatever happens, its state is that of a fresh
// shard which replays what is committed and what is pending.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { iterateBatches, iterateRecords } from "../../model/index.ts";
import { ErrorCode } from "../../protocol/index.ts";
import type { Decision, EncodedRecord, Shard, TransactionalWriter } from "./shard.ts";
import { type ShardLog, ShardRuntime } from "./shard-runtime.ts";
import { TimerTable } from "./timer-table.ts";
import { UndoLog, UndoMap, UndoSet, UndoValue } from "./undo-log.ts";

interface Entry {
  readonly key: string;
  /** Null takes the key away. */
  readonly value: string | null;
}

/** Keys and values, a sum over all that was ever set, and what open transactions have set. */
class ToyShard implements Shard<Entry, string> {
  readonly values: UndoMap<string, string>;
  readonly seen: UndoSet<string>;
  readonly total: UndoValue<number>;
  readonly pending: UndoMap<number, readonly Entry[]>;

  constructor(undo: UndoLog) {
    this.values = new UndoMap(undo);
    this.seen = new UndoSet(undo);
    this.total = new UndoValue(undo, 0);
    this.pending = new UndoMap(undo);
  }

  encode({ key, value }: Entry): EncodedRecord {
    return { key: Buffer.from(key), value: value === null ? null : Buffer.from(value) };
  }

  decode(key: Buffer, value: Buffer | null): Entry | null {
    return { key: key.toString(), value: value?.toString() ?? null };
  }

  replay(entry: Entry, _timestampMs: number, transaction: TransactionalWriter | null): void {
    if (transaction !== null) {
      const { producerId } = transaction;
      this.pending.set(producerId, [...(this.pending.get(producerId) ?? []), entry]);
      return;
    }
    if (entry.value === null) this.values.delete(entry.key);
    else this.values.set(entry.key, entry.value);
    this.seen.add(entry.key);
    this.total.set(this.total.get() + (entry.value?.length ?? 0));
  }

  replayTransactionEnd({ producerId }: TransactionalWriter, committed: boolean): void {
    const entries = this.pending.get(producerId) ?? [];
    this.pending.delete(producerId);
    if (committed) for (const entry of entries) this.replay(entry, 0, null);
  }

  onLoaded(): void {}
  onUnloaded(): void {}
  onTimer(timer: string): Decision<void, Entry> {
    return { records: [{ key: timer, value: "time" }], answer: undefined };
  }

  state(): unknown {
    return {
      values: [...this.values].sort(),
      seen: [...this.seen].sort(),
      total: this.total.get(),
      pending: [...this.pending].sort(([one], [other]) => one - other),
    };
  }
}

/** Batches in memory; appends are refused while `refusing`. */
class ToyLog implements ShardLog {
  readonly batchBytesMax = 2000;
  batches: { readonly bytes: Buffer; readonly endOffset: number }[] = [];
  refusing = false;

  append(batch: Buffer): ReturnType<ShardLog["append"]> {
    if (this.refusing) return { kind: "refused", errorCode: ErrorCode.NOT_ENOUGH_REPLICAS };
    const [view] = iterateBatches(batch);
    const endOffset = this.endOffset + view!.recordCount;
    this.batches.push({ bytes: batch, endOffset });
    return { kind: "appended", endOffset };
  }

  get endOffset(): number {
    return this.batches.at(-1)?.endOffset ?? 0;
  }
}

function loaded(log: ToyLog, isFlushAsked: () => void = () => {}) {
  const undo = new UndoLog();
  const shard = new ToyShard(undo);
  const timers = new TimerTable<string>(() => 0);
  const faults: unknown[] = [];
  const runtime = new ShardRuntime<ToyShard, Entry, string>({
    ...{ shard, undo, timers, log, requestFlush: isFlushAsked, wallMs: () => 1000 },
    onFault: (error) => faults.push(error),
  });
  runtime.startLoading();
  for (const { bytes } of log.batches) {
    for (const batch of iterateBatches(bytes)) {
      const writer = { producerId: batch.producerId, producerEpoch: batch.producerEpoch };
      for (const record of iterateRecords(batch)) {
        if (batch.isControl) runtime.loadTransactionEnd(writer, record.key!.readInt16BE(2) === 1);
        else runtime.load(record.key!, record.value, record.timestamp, batch.isTransactional ? writer : null);
      }
    }
  }
  runtime.finishLoading(log.endOffset);
  return { runtime, shard, timers, undo, faults };
}

const keyArbitrary = fc.constantFrom("a", "b", "c");
const valueArbitrary = fc.option(fc.constantFrom("1", "22", "333"), { nil: null });
const entriesArbitrary = fc.array(fc.record({ key: keyArbitrary, value: valueArbitrary }), { maxLength: 3 });
const producerArbitrary = fc.integer({ min: 1, max: 2 });
const stepArbitrary = fc.oneof(
  fc.record({ kind: fc.constant("write" as const), entries: entriesArbitrary }),
  fc.record({ kind: fc.constant("transactional" as const), entries: entriesArbitrary, producerId: producerArbitrary }),
  fc.record({ kind: fc.constant("end" as const), producerId: producerArbitrary, committed: fc.boolean() }),
  fc.record({ kind: fc.constant("flush" as const) }),
  fc.record({ kind: fc.constant("fault" as const), entries: entriesArbitrary }),
  fc.record({ kind: fc.constant("refuse" as const), refusing: fc.boolean() }),
  fc.record({ kind: fc.constant("lose" as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  fc.record({ kind: fc.constant("commit" as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  fc.record({ kind: fc.constant("reload" as const) }),
);

describe("a shard's state", () => {
  it("is always that of a fresh replay of what is committed and pending", () => {
    fc.assert(
      fc.property(fc.array(stepArbitrary, { maxLength: 40 }), (steps) => {
        const log = new ToyLog();
        let { runtime, shard, faults } = loaded(log);
        let committed = 0;
        let asked = 0;
        const answers: number[] = [];
        const reply = (outcome: { errorCode: number }): void => void answers.push(outcome.errorCode);
        for (const step of steps) {
          switch (step.kind) {
            case "write":
              asked++;
              runtime.write("write", () => ({ records: step.entries, answer: null }), reply);
              break;
            case "transactional":
              asked++;
              runtime.writeTransactional(
                "transactional",
                { producerId: step.producerId, producerEpoch: 0 },
                () => ({ records: step.entries, answer: null }),
                reply,
              );
              break;
            case "end":
              asked++;
              runtime.endTransaction(
                { producerId: step.producerId, producerEpoch: 0 },
                { coordinatorEpoch: 0, transactionVersion: 0 },
                step.committed,
                reply,
              );
              break;
            case "fault":
              asked++;
              runtime.write(
                "fault",
                (own) => {
                  for (const entry of step.entries) own.replay(entry, 0, null);
                  throw new Error("fault");
                },
                reply,
              );
              expect(faults.length).toBeGreaterThan(0);
              break;
            case "flush":
              runtime.flush();
              break;
            case "refuse":
              log.refusing = step.refusing;
              break;
            case "lose": {
              const keep = committed + Math.floor((log.endOffset - committed) * step.share);
              runtime.flush();
              log.batches = log.batches.filter(({ endOffset }) => endOffset <= keep);
              runtime.onAppendLost(log.endOffset, ErrorCode.KAFKA_STORAGE_ERROR);
              break;
            }
            case "commit": {
              committed += Math.floor((log.endOffset - committed) * step.share);
              runtime.onHighWatermark(committed);
              break;
            }
            case "reload":
              runtime.close();
              expect(answers.length, "whoever waited was told").toBe(asked);
              ({ runtime, shard, faults } = loaded(log));
              committed = log.endOffset;
              break;
          }
          // What was decided in this turn and is not yet appended is part of the state too: compared when the turn has ended.
          if (step.kind !== "flush" && step.kind !== "lose" && step.kind !== "reload") continue;
          expect(shard.state()).toEqual(loaded(log).shard.state());
        }
        runtime.flush();
        expect(shard.state()).toEqual(loaded(log).shard.state());
        runtime.onHighWatermark(log.endOffset);
        expect(answers.length, "each request is answered once").toBe(asked);
      }),
      { numRuns: 2000 },
    );
  });

  it("takes nothing of a decision that is larger than a batch", () => {
    const log = new ToyLog();
    const { runtime, shard } = loaded(log);
    const outcomes: number[] = [];
    const huge = [{ key: "a", value: "x".repeat(3000) }];
    runtime.write(
      "huge",
      () => ({ records: huge, answer: null }),
      ({ errorCode }) => outcomes.push(errorCode),
    );
    runtime.flush();
    expect(outcomes).toEqual([ErrorCode.RECORD_LIST_TOO_LARGE]);
    expect(shard.values.size).toBe(0);
    expect(log.batches).toEqual([]);
  });

  it("answers in the order of what it waits for", () => {
    const log = new ToyLog();
    const { runtime } = loaded(log);
    const order: string[] = [];
    runtime.write(
      "one",
      () => ({ records: [{ key: "a", value: "1" }], answer: null }),
      () => order.push("one"),
    );
    runtime.write(
      "two",
      () => ({ records: [], answer: null }),
      () => order.push("two"),
    );
    runtime.flush();
    expect(order).toEqual([]);
    runtime.onHighWatermark(log.endOffset);
    expect(order).toEqual(["one", "two"]);
    runtime.write(
      "three",
      () => ({ records: [], answer: null }),
      () => order.push("three"),
    );
    expect(order).toEqual(["one", "two", "three"]);
  });
});

describe("timers", () => {
  it("are due in the order of their deadlines, as a sorted list of the same would have it", () => {
    const stepsArbitrary = fc.array(
      fc.oneof(
        fc.record({ kind: fc.constant("set" as const), key: fc.integer({ min: 0, max: 20 }), delay: fc.nat(100) }),
        fc.record({ kind: fc.constant("cancel" as const), key: fc.integer({ min: 0, max: 20 }) }),
        fc.record({ kind: fc.constant("pass" as const), time: fc.nat(50) }),
      ),
      { maxLength: 200 },
    );
    fc.assert(
      fc.property(stepsArbitrary, (steps) => {
        let nowMs = 0;
        let order = 0;
        const table = new TimerTable<number>(() => nowMs);
        const model = new Map<string, { deadlineMs: number; order: number }>();
        for (const step of steps) {
          if (step.kind === "set") {
            table.set(String(step.key), step.delay, step.key);
            model.set(String(step.key), { deadlineMs: nowMs + step.delay, order: order++ });
          } else if (step.kind === "cancel") {
            table.cancel(String(step.key));
            model.delete(String(step.key));
          } else {
            nowMs += step.time;
            for (;;) {
              const due = [...model]
                .filter(([, { deadlineMs }]) => deadlineMs <= nowMs)
                .sort(([, a], [, b]) => a.deadlineMs - b.deadlineMs || a.order - b.order)[0];
              expect(table.takeDue()?.key).toBe(due?.[0]);
              if (due === undefined) break;
              model.delete(due[0]);
            }
          }
          const next = Math.min(...[...model.values()].map(({ deadlineMs }) => deadlineMs));
          expect(table.nextDeadlineMs() ?? Number.POSITIVE_INFINITY).toBe(next);
        }
      }),
    );
  });
});
