// Compaction against the most obvious model of Kafka's rules: lists of batches and records, searched from end to end. Random histories of plain,
// idempotent and transactional producers, rolls, time and restarts; after each pass every record, header and aborted transaction is compared.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { asClient, type LogWorld, logWorld, manualTimers, quietLogger } from "../../../testing/log/fixtures.ts";
import { codecById, readBatchRecords } from "../../compression/index.ts";
import {
  batchDamage,
  controlKey,
  endTxnMarkerValue,
  iterateBatches,
  type Offset,
  RecordBatchBuilder,
} from "../../model/index.ts";
import type { LogConfig, PartitionLog } from "../index.ts";
import { type CleanerSettings, cleanerSettingsDefault, LogCleaner } from "./log-cleaner.ts";

interface ModelRecord {
  readonly offset: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly timestamp: number;
}

interface ModelBatch {
  readonly base: number;
  readonly last: number;
  readonly producerId: number;
  readonly isTransactional: boolean;
  readonly marker: "commit" | "abort" | null;
  records: readonly ModelRecord[];
  horizon: number | null;
}

interface Producer {
  sequence: number;
  transactionStart: number;
}

const settingsUnbounded: CleanerSettings = { ...cleanerSettingsDefault, ioBufferBytes: 8192 };
const deleteRetentionMs = 5_000;
const config: Partial<LogConfig> = {
  segmentBytes: 900,
  indexIntervalBytes: 100,
  cleanupPolicy: { delete: false, compact: true },
  deleteRetentionMs,
  minCleanableDirtyRatio: 0,
};

/** What Kafka's cleaner does, by plain searching. Returns the batches that are left. */
class Model {
  batches: ModelBatch[] = [];
  firstDirty = 0;

  /** The transaction that a data batch is part of, if it was aborted. */
  private isAborted(batch: ModelBatch): boolean {
    if (!batch.isTransactional || batch.marker !== null) return false;
    const marker = this.batches.find(
      (other) => other.base > batch.base && other.producerId === batch.producerId && other.marker !== null,
    );
    return this.abortedStarts.has(`${batch.producerId} ${marker?.base}`);
  }
  /** `producer id, offset of the marker` of aborted transactions. */
  readonly abortedStarts = new Set<string>();
  readonly starts = new Map<string, number>();

  clean(end: number, nowMs: number, lastOf: (producerId: number) => number | "marker" | null): void {
    const latest = new Map<string, number>();
    for (const batch of this.batches) {
      if (batch.base >= end || batch.marker !== null || this.isAborted(batch)) continue;
      for (const record of batch.records)
        if (record.key !== null && record.offset >= this.firstDirty) latest.set(record.key, record.offset);
    }
    const left: ModelBatch[] = [];
    for (const batch of this.batches) {
      if (batch.base >= end) {
        left.push(batch);
        continue;
      }
      const last = batch.producerId < 0 ? null : lastOf(batch.producerId);
      const keepsHeader = batch.last + 1 === end || last === batch.last || (last === "marker" && batch.marker !== null);
      const cleaned = this.cleanBatch(batch, latest, nowMs);
      if (cleaned.records.length > 0 || keepsHeader) left.push(cleaned);
    }
    this.batches = left;
    this.firstDirty = end;
  }

  private cleanBatch(batch: ModelBatch, latest: ReadonlyMap<string, number>, nowMs: number): ModelBatch {
    const none = { ...batch, records: [], horizon: null };
    if (batch.marker !== null) {
      // Data of its transaction that the pass came across, emptied or not: what was there before it.
      const start = this.starts.get(`${batch.producerId} ${batch.base}`) ?? batch.base;
      const hasData = this.batches.some(
        (other) =>
          other.base >= start &&
          other.base < batch.base &&
          other.producerId === batch.producerId &&
          other.isTransactional &&
          other.marker === null,
      );
      const canDiscard = !hasData || batch.records.length === 0;
      if (!canDiscard) return batch;
      if (batch.horizon !== null && batch.horizon <= nowMs) return none;
      if (batch.records.length === 0) return none;
      return { ...batch, horizon: batch.horizon ?? nowMs + deleteRetentionMs };
    }
    if (this.isAborted(batch)) return none;
    const records = batch.records.filter((record) => {
      if (record.key === null) return false;
      if (record.value === null && batch.horizon !== null && nowMs >= batch.horizon) return false;
      return record.offset >= (latest.get(record.key) ?? -1);
    });
    if (records.length === 0) return none;
    const hasTombstone = records.some(({ value }) => value === null);
    return { ...batch, records, horizon: batch.horizon ?? (hasTombstone ? nowMs + deleteRetentionMs : null) };
  }
}

type Step =
  | { readonly do: "data"; readonly producer: number; readonly keys: readonly number[]; readonly codec: number }
  | { readonly do: "end"; readonly producer: number; readonly isAbort: boolean }
  | { readonly do: "roll" }
  | { readonly do: "wait"; readonly ms: number }
  | { readonly do: "clean" }
  | { readonly do: "restart"; readonly clean: boolean };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("data" as const),
      // 0: no producer id; 1: idempotent; from 2 on in transactions.
      producer: fc.integer({ min: 0, max: 4 }),
      keys: fc.array(fc.integer({ min: 0, max: 11 }), { minLength: 1, maxLength: 6 }),
      codec: fc.constantFrom(0, 0, 1, 3),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("end" as const),
      producer: fc.integer({ min: 2, max: 4 }),
      isAbort: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ do: "roll" as const }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 8000 }).map((ms) => ({ do: "wait" as const, ms })) },
  { weight: 3, arbitrary: fc.constant({ do: "clean" as const }) },
  { weight: 1, arbitrary: fc.boolean().map((clean) => ({ do: "restart" as const, clean })) },
);

class Run {
  readonly world: LogWorld = logWorld(config);
  readonly model = new Model();
  log: PartitionLog = this.world.create();
  private readonly producers = new Map<number, Producer>();

  async apply(one: Step): Promise<void> {
    const { log, world } = this;
    world.nowMs += 7;
    switch (one.do) {
      case "data":
        return this.append(one);
      case "end":
        return this.end(one.producer, one.isAbort);
      case "roll":
        log.roll();
        return log.writePending();
      case "wait":
        world.nowMs += one.ms;
        return;
      case "clean":
        return this.clean();
      case "restart":
        return this.restart(one.clean);
    }
  }

  private append({ producer, keys, codec }: Step & { do: "data" }): void {
    const { log, world, model } = this;
    const base = log.logEndOffset;
    const builder = new RecordBatchBuilder();
    const records = keys.map((key, index): ModelRecord => {
      const record = {
        offset: base + index,
        key: `k${key % 6}`,
        value: key >= 10 ? null : `value ${base + index}`.padEnd(20 + key, "."),
        timestamp: world.nowMs + index,
      };
      builder.append(record.timestamp, record.key, record.value);
      return record;
    });
    const isTransactional = producer >= 2;
    const state = this.producers.get(producer) ?? { sequence: 0, transactionStart: -1 };
    this.producers.set(producer, state);
    const bytes = builder.build({
      compressor: codecById(codec)!,
      ...(producer === 0 ? {} : { producerId: producer, producerEpoch: 0, baseSequence: state.sequence }),
      transactional: isTransactional,
    });
    expect(log.append(bytes, asClient(world))).toMatchObject({ kind: "appended", firstOffset: base });
    state.sequence += keys.length;
    if (isTransactional && state.transactionStart < 0) state.transactionStart = base;
    model.batches.push({
      base,
      last: base + keys.length - 1,
      producerId: producer === 0 ? -1 : producer,
      isTransactional,
      marker: null,
      records,
      horizon: null,
    });
    this.settle();
  }

  private end(producer: number, isAbort: boolean): void {
    const { log, world, model } = this;
    const state = this.producers.get(producer);
    if (state === undefined || state.transactionStart < 0) return;
    const builder = new RecordBatchBuilder();
    const marker = isAbort ? "abort" : "commit";
    builder.append(world.nowMs, controlKey(marker), endTxnMarkerValue(0));
    const bytes = builder.build({ producerId: producer, producerEpoch: 0, transactional: true, control: true });
    const base = log.logEndOffset;
    expect(log.append(bytes, asClient(world, { origin: "coordinator" })).kind).toBe("appended");
    model.batches.push({
      base,
      last: base,
      producerId: producer,
      isTransactional: true,
      marker,
      records: [{ offset: base, key: marker, value: "", timestamp: world.nowMs }],
      horizon: null,
    });
    model.starts.set(`${producer} ${base}`, state.transactionStart);
    if (isAbort) model.abortedStarts.add(`${producer} ${base}`);
    state.transactionStart = -1;
    this.settle();
  }

  private settle(): void {
    this.log.writePending();
    this.log.setHighWatermark(this.log.logEndOffset);
  }

  private async clean(): Promise<void> {
    const { log, world, model } = this;
    const before = log.cleanedOffset;
    const lastOf = new Map(
      log.activeProducers().map(({ producerId, lastSequence }) => [producerId as number, lastSequence] as const),
    );
    const lastData = (producerId: number): number | "marker" | null => {
      if (!lastOf.has(producerId)) return null;
      const entry = log.forCleaner.producers.entry(producerId)!;
      return entry.batches.at(-1)?.lastOffset ?? "marker";
    };
    const nowMs = world.nowMs;
    let passes = 0;
    const cleaner = new LogCleaner({
      clock: { wallMs: () => nowMs, monotonicMs: () => 0 },
      timers: manualTimers(),
      logger: quietLogger,
      settings: () => settingsUnbounded,
      logs: () => (passes++ === 0 ? [log] : []),
      saveOffsets: () => {},
    });
    await cleaner.tick();
    expect(cleaner.uncleanableIn(log.directory).partitionCount).toBe(0);
    if (cleaner.figures.passCount === 0) {
      expect(log.cleanedOffset).toBe(before);
      return;
    }
    model.clean(log.cleanedOffset!, nowMs, lastData);
  }

  private restart(clean: boolean): void {
    const { highWatermark, logStartOffset, cleanedOffset } = this.log;
    const recoveryPoint = (clean ? this.log.logEndOffset : this.log.recoveryPoint) as Offset;
    if (clean) this.log.close();
    else this.log.release();
    this.log = this.world.load({
      hadCleanShutdown: clean,
      recoveryPoint,
      highWatermark,
      logStartOffset,
      cleanedOffset: cleanedOffset ?? undefined,
    });
  }

  check(): void {
    const { log, model } = this;
    const seen: ModelBatch[] = [];
    for (const segment of log.forCleaner.segments) {
      if (segment.writtenBytes === 0) continue;
      const bytes = Buffer.alloc(segment.writtenBytes);
      segment.log.read(bytes, 0);
      for (const batch of iterateBatches(bytes)) {
        expect(batchDamage(bytes, batch.position)).toBeNull();
        const records = readBatchRecords(batch, { outputBytesMax: 1e6 });
        if (!Array.isArray(records)) throw new Error(String(records));
        const control = batch.isControl;
        const isTold = model.batches.find(({ base }) => base === batch.baseOffset);
        seen.push({
          base: batch.baseOffset,
          last: batch.lastOffset,
          producerId: batch.producerId,
          isTransactional: batch.isTransactional,
          marker: control ? (isTold?.marker ?? null) : null,
          records: records.map((record) => ({
            offset: record.offset,
            key: control ? isTold!.marker : (record.key?.toString() ?? null),
            value: control ? "" : (record.value?.toString() ?? null),
            timestamp: record.timestamp,
          })),
          horizon: batch.deleteHorizon,
        });
      }
    }
    expect(seen).toEqual(model.batches);
    this.checkCommitted();
  }

  /** A reader of committed records skips what the index of aborted transactions names, up to the marker. */
  private checkCommitted(): void {
    const { log, model } = this;
    const stable = log.lastStableOffset;
    const aborted = log.abortedTransactions(0 as Offset, stable);
    const skipped = new Set<number>();
    const read: number[] = [];
    for (const batch of model.batches) {
      if (batch.base >= stable) break;
      for (const { producerId, firstOffset } of aborted)
        if (firstOffset <= batch.last) {
          const marker = [...model.starts].find(
            ([name, start]) => name.startsWith(`${producerId} `) && start === firstOffset,
          )!;
          if (batch.base <= Number(marker[0].split(" ")[1])) skipped.add(producerId);
        }
      if (batch.marker !== null) skipped.delete(batch.producerId);
      else if (!skipped.has(batch.producerId)) read.push(...batch.records.map(({ offset }) => offset));
    }
    const wanted = model.batches
      .filter((batch) => batch.base < stable && batch.marker === null)
      .filter((batch) => !batch.isTransactional || !this.wasAborted(batch))
      .flatMap(({ records }) => records.map(({ offset }) => offset));
    expect(read).toEqual(wanted);
  }

  private wasAborted(batch: ModelBatch): boolean {
    for (const name of this.model.abortedStarts) {
      const [producerId, marker] = name.split(" ").map(Number);
      const start = this.model.starts.get(name)!;
      if (producerId === batch.producerId && batch.base >= start && batch.base < marker!) return true;
    }
    return false;
  }
}

describe("compaction", () => {
  test("leaves what Kafka's rules say, whatever happened before", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
        const run = new Run();
        for (const one of steps) {
          await run.apply(one);
          if (one.do === "clean" || one.do === "restart") run.check();
        }
      }),
      { numRuns: 300 },
    );
  }, 60_000);
});
