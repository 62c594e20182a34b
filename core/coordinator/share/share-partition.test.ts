// A share partition against a slow model: one object per record, and what each member was given. Random deliveries, acknowledgements, refused writes,
// locks that run out, members that leave, and reloads from what was persisted; with a dead-letter topic and without.
import fc from "fast-check";
import { expect, test } from "vitest";
import { SharePartition, type SharePartitionLimits, type ShareTransition } from "./share-partition.ts";
import { combinedBatches, deliveryStates, type StateBatch } from "./state-batches.ts";

const runs = Number(process.env.BLUMFELD_PROPERTY_RUNS ?? 200);
const plainLimits = { recordLockCountMax: 12, recordLockMs: 100, deliveryCountMax: 3, hasDeadLetters: false };
const logEnd = 30;

interface Stored {
  startOffset: number;
  batches: StateBatch[];
}

class Bench {
  share = new SharePartition(null, 0);
  stored: Stored = { startOffset: 0, batches: [] };
  nowMs = 0;
  readonly finished = new Map<number, number>();
  /** Those that are to have a dead letter, until it is written. */
  readonly condemned = new Set<number>();

  settle(transition: ShareTransition | null, isKept: boolean): void {
    if (transition === null) return;
    if (!isKept) return this.share.refuse(transition);
    for (const { deliveryState, firstOffset, lastOffset } of transition.batches) {
      for (let offset = firstOffset; offset <= lastOffset; offset++) {
        // No record is finished twice, and none comes back once it is.
        expect(this.finished.has(offset)).toBe(false);
        // None is delivered again, or accepted, once it is to have its letter.
        if (this.condemned.delete(offset)) expect(deliveryState).toBe(deliveryStates.archived);
        if (deliveryState === deliveryStates.archiving) this.condemned.add(offset);
        else if (deliveryState !== deliveryStates.available) this.finished.set(offset, deliveryState);
      }
    }
    const startOffset = Math.max(this.stored.startOffset, transition.startOffset);
    this.stored = { startOffset, batches: combinedBatches(this.stored.batches, transition.batches, startOffset) };
    this.share.confirm(transition);
  }

  check(limits: SharePartitionLimits): void {
    const { share } = this;
    const letters = new Set<number>();
    for (const { first, last } of share.deadLetters(limits))
      for (let offset = first; offset <= last; offset++) letters.add(offset);
    expect(letters).toEqual(this.condemned);
    for (const { deliveryCount, first, last, state } of share.states()) {
      expect(deliveryCount).toBeLessThanOrEqual(limits.deliveryCountMax);
      for (let offset = first; offset <= last; offset++)
        expect(this.finished.get(offset) !== undefined).toBe(
          state === deliveryStates.acknowledged || state === deliveryStates.archived,
        );
    }
    for (let offset = 0; offset < share.startOffset; offset++) expect(this.finished.has(offset)).toBe(true);
    // What is stored tells what a fresh one would know: the same records are finished.
    const fresh = new SharePartition({ batches: this.stored.batches }, this.stored.startOffset);
    expect(fresh.startOffset).toBe(share.startOffset);
  }
}

const step = fc.oneof(
  fc.record({
    kind: fc.constant("acquire" as const),
    member: fc.integer({ min: 0, max: 2 }),
    count: fc.integer({ min: 1, max: 6 }),
    isStrict: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant("acknowledge" as const),
    member: fc.integer({ min: 0, max: 2 }),
    type: fc.integer({ min: 0, max: 4 }),
    pick: fc.nat(20),
    length: fc.integer({ min: 1, max: 4 }),
    isKept: fc.boolean(),
  }),
  fc.record({ kind: fc.constant("leave" as const), member: fc.integer({ min: 0, max: 2 }), isKept: fc.boolean() }),
  fc.record({ kind: fc.constant("time" as const), ms: fc.integer({ min: 1, max: 150 }) }),
  fc.record({ kind: fc.constant("letters" as const), isKept: fc.boolean() }),
  fc.record({ kind: fc.constant("reload" as const) }),
);

test.each([false, true])(
  "no record is finished twice, delivered to two, or delivered too often; what is persisted tells all; dead letters: %s",
  (hasDeadLetters) => {
    const limits = { ...plainLimits, hasDeadLetters };
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const bench = new Bench();
        for (const one of steps) {
          const { share } = bench;
          switch (one.kind) {
            case "acquire": {
              const fetchOffset = share.nextFetchOffset();
              if (fetchOffset >= logEnd || !share.canAcquire(limits)) break;
              const batches: { first: number; last: number }[] = [];
              for (let first = fetchOffset - (fetchOffset % 3); first < logEnd; first += 3)
                batches.push({ first, last: first + 2 });
              const before = new Map(share.states().map((run) => [run.first, run]));
              const ask = {
                ...{ memberId: `m${one.member}`, fetchOffset, batches, batchRecordCount: 2 },
                ...{ recordCountMax: one.count, isStrict: one.isStrict },
              };
              const ranges = share.acquire(ask, limits, bench.nowMs);
              let count = 0;
              for (const { firstOffset, lastOffset } of ranges) {
                count += lastOffset - firstOffset + 1;
                for (const run of before.values())
                  if (run.memberId !== null) expect(run.last < firstOffset || run.first > lastOffset).toBe(true);
              }
              expect(count).toBeGreaterThan(0);
              expect(count).toBeLessThanOrEqual(one.isStrict ? one.count : one.count + 2);
              break;
            }
            case "acknowledge": {
              const first = share.startOffset + one.pick;
              const batch = { firstOffset: first, lastOffset: first + one.length - 1, types: [one.type] };
              const memberId = `m${one.member}`;
              const isHeld = covered(share, batch.firstOffset, batch.lastOffset, memberId);
              const outcome = share.acknowledge(memberId, [batch], limits, bench.nowMs);
              expect(outcome.errorCode === 0).toBe(isHeld);
              if ("transition" in outcome) bench.settle(outcome.transition, one.isKept);
              break;
            }
            case "leave":
              bench.settle(share.releaseMember(`m${one.member}`), one.isKept);
              break;
            case "time":
              bench.nowMs += one.ms;
              bench.settle(share.expireLocks(limits, bench.nowMs), true);
              for (const run of share.states()) if (run.memberId !== null) expect(share.nextLockMs()).not.toBeNull();
              break;
            case "letters":
              bench.settle(share.finishDeadLetters(share.deadLetters(limits)), one.isKept);
              break;
            case "reload":
              bench.share = new SharePartition({ batches: bench.stored.batches }, bench.stored.startOffset);
              break;
          }
          bench.check(limits);
        }
      }),
      { numRuns: runs },
    );
  },
);

function covered(share: SharePartition, first: number, last: number, memberId: string): boolean {
  for (let offset = first; offset <= last; offset++) {
    const run = share.states().find((one) => one.first <= offset && one.last >= offset);
    if (run?.memberId !== memberId) return false;
  }
  return true;
}
