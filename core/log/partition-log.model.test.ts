// The log against the most obvious model of one: a list of batches. Random histories of appends, rolls, cuts, deletions and restarts, read at
// every offset after each step.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { asClient, type LogWorld, logWorld, plainBatch } from "../../testing/log/fixtures.ts";
import { batchBaseOffset, type Offset } from "../model/index.ts";
import type { PartitionLog } from "./index.ts";

interface ModelBatch {
  readonly offset: number;
  readonly count: number;
  readonly timestamp: number;
  readonly producerId: number;
  readonly sequence: number;
  readonly epoch: number;
  readonly bytes: Buffer;
}

type Step =
  | {
      readonly do: "append";
      readonly counts: readonly number[];
      readonly producerId: number;
      readonly timestamp: number;
    }
  | { readonly do: "roll" }
  | { readonly do: "truncate"; readonly at: number }
  | { readonly do: "deleteRecords"; readonly at: number }
  | { readonly do: "retain"; readonly keptBytes: number }
  | { readonly do: "newEpoch" }
  | { readonly do: "restart"; readonly clean: boolean; readonly known: number };

const fraction = fc.integer({ min: 0, max: 1000 }).map((value) => value / 1000);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("append" as const),
      counts: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 }),
      producerId: fc.integer({ min: -1, max: 2 }),
      timestamp: fc.integer({ min: 0, max: 5000 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: "roll" as const }) },
  { weight: 1, arbitrary: fraction.map((at) => ({ do: "truncate" as const, at })) },
  { weight: 1, arbitrary: fraction.map((at) => ({ do: "deleteRecords" as const, at })) },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 0, max: 3000 }).map((keptBytes) => ({ do: "retain" as const, keptBytes })),
  },
  { weight: 1, arbitrary: fc.constant({ do: "newEpoch" as const }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("restart" as const), clean: fc.boolean(), known: fraction }),
  },
);

class Run {
  readonly world: LogWorld = logWorld({ segmentBytes: 1500, indexIntervalBytes: 120, segmentMs: 3000 });
  log: PartitionLog = this.world.create();
  batches: ModelBatch[] = [];
  start = 0;
  end = 0;
  epoch = 0;

  apply(step: Step): void {
    switch (step.do) {
      case "append":
        return this.append(step);
      case "roll":
        this.log.roll();
        return this.log.writePending();
      case "truncate":
        return this.truncate(this.offsetAt(step.at));
      case "deleteRecords": {
        const offset = this.offsetAt(step.at);
        expect(this.log.deleteRecordsBefore(offset as Offset)).toEqual({ kind: "deleted", logStartOffset: offset });
        this.start = offset;
        return;
      }
      case "retain":
        return this.retain(step.keptBytes);
      case "newEpoch":
        this.epoch++;
        return this.log.assignLeaderEpoch(this.epoch, this.log.logEndOffset);
      case "restart":
        return this.restart(step.clean, step.known);
    }
  }

  private offsetAt(share: number): number {
    return this.start + Math.floor((this.end - this.start) * share);
  }

  private append({ counts, producerId, timestamp }: Step & { do: "append" }): void {
    for (const count of counts) {
      const last = this.batches.findLast((batch) => batch.producerId === producerId && producerId >= 0);
      const sequence = producerId < 0 ? -1 : last === undefined ? 0 : last.sequence + last.count;
      const bytes = plainBatch(count, timestamp, {
        producerId,
        producerEpoch: producerId < 0 ? -1 : 0,
        baseSequence: sequence,
      });
      const outcome = this.log.append(bytes, asClient(this.world, { leaderEpoch: this.epoch }));
      // A producer that lost its tail to a truncation may go on where the log stands, and that is what the model sends.
      expect(outcome).toMatchObject({ kind: "appended", firstOffset: this.end, lastOffset: this.end + count - 1 });
      this.batches.push({ offset: this.end, count, timestamp, producerId, sequence, epoch: this.epoch, bytes });
      this.end += count;
    }
    expect(this.log.writtenEndOffset).toBe(this.end - counts.reduce((sum, count) => sum + count, 0));
    this.log.writePending();
    this.log.setHighWatermark(this.log.logEndOffset);
  }

  /** A cut inside a batch takes the whole of it, as in Kafka. */
  private truncate(offset: number): void {
    const holder = this.batches.find((batch) => batch.offset < offset && offset < batch.offset + batch.count);
    const target = holder?.offset ?? offset;
    this.log.truncateTo(target as Offset);
    this.batches = this.batches.filter((batch) => batch.offset + batch.count <= target);
    this.end = Math.min(this.end, target);
    this.start = Math.min(this.start, target);
  }

  private retain(keptBytes: number): void {
    this.log.updateConfig({ ...this.world.config, retentionMs: -1, retentionBytes: keptBytes });
    this.log.deleteOldSegments(this.world.nowMs);
    this.start = this.log.logStartOffset;
    expect(this.start).toBeLessThanOrEqual(this.end);
    if (this.log.segmentCount > 1) expect(this.log.sizeBytes).toBeLessThan(keptBytes + 1500 * 2);
  }

  private restart(clean: boolean, known: number): void {
    const recoveryPoint = (clean ? this.end : Math.min(this.log.recoveryPoint, Math.floor(this.end * known))) as Offset;
    const { logStartOffset, highWatermark } = this.log;
    if (clean) this.log.close();
    else this.log.release();
    this.log = this.world.load({ hadCleanShutdown: clean, recoveryPoint, logStartOffset, highWatermark });
  }

  check(): void {
    const { log } = this;
    expect([log.logStartOffset, log.logEndOffset, log.writtenEndOffset]).toEqual([this.start, this.end, this.end]);
    for (let offset = this.start; offset < this.end; offset++) {
      const wanted = this.batches.find((batch) => offset < batch.offset + batch.count)!;
      const outcome = log.read(offset as Offset, { bytesMax: 1, upTo: this.end as Offset, minOneBatch: true });
      if (outcome.kind !== "slice") throw new Error(`${outcome.kind} at ${offset}`);
      const bytes = Buffer.alloc(outcome.sizeBytes);
      outcome.file.read(bytes, outcome.position);
      expect(batchBaseOffset(bytes, 0)).toBe(wanted.offset);
      expect(outcome.firstBatchOffset).toBe(wanted.offset);
      expect(bytes.equals(wanted.bytes)).toBe(true);
      expect(log.epochForOffset(offset as Offset)).toBe(wanted.epoch);
    }
    this.checkRanges();
    this.checkTimes();
    expect(log.read(this.end as Offset, { bytesMax: 100, upTo: this.end as Offset, minOneBatch: true }).kind).toBe(
      "empty",
    );
    expect(
      log.read((this.end + 1) as Offset, { bytesMax: 100, upTo: this.end as Offset, minOneBatch: true }).kind,
    ).toBe("out-of-range");
  }

  /** Reading on and on up to a bound gives every batch below it once. */
  private checkRanges(): void {
    const upTo = this.batches[Math.floor(this.batches.length / 2)]?.offset ?? this.end;
    let offset = this.start;
    const seen: number[] = [];
    while (offset < upTo) {
      const outcome = this.log.read(offset as Offset, { bytesMax: 700, upTo: upTo as Offset, minOneBatch: true });
      if (outcome.kind !== "slice") throw new Error(`${outcome.kind} at ${offset}`);
      const bytes = Buffer.alloc(outcome.sizeBytes);
      outcome.file.read(bytes, outcome.position);
      let at = 0;
      while (at + 12 <= bytes.length && at + 12 + bytes.readInt32BE(at + 8) <= bytes.length) {
        const batch = this.batches.find((one) => one.offset === batchBaseOffset(bytes, at))!;
        seen.push(batch.offset);
        offset = batch.offset + batch.count;
        at += batch.bytes.length;
      }
      expect(at).toBeGreaterThan(0);
    }
    const wanted = this.batches.filter((batch) => batch.offset + batch.count > this.start && batch.offset < upTo);
    expect(seen).toEqual(wanted.map((batch) => batch.offset));
  }

  private checkTimes(): void {
    const records = this.batches.flatMap((batch) =>
      Array.from({ length: batch.count }, (_unused, index) => ({
        offset: batch.offset + index,
        timestamp: batch.timestamp + index,
      })),
    );
    const readable = records.filter((record) => record.offset >= this.start);
    for (const timestamp of [0, 1000, 2500, 4999, 5008]) {
      const wanted = readable.find((record) => record.timestamp >= timestamp) ?? null;
      const found = this.log.offsetForTimestamp(timestamp);
      expect(found === null ? null : { offset: found.offset, timestamp: found.timestamp }).toEqual(wanted);
    }
  }
}

describe("a partition's log", () => {
  test("is what the model says, whatever happens to it", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 25 }), (steps) => {
        const run = new Run();
        for (const one of steps) {
          run.apply(one);
          run.check();
        }
      }),
      { numRuns: 150 },
    );
  });
});
