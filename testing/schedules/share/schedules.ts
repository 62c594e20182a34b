// Random schedules of a share partition and the shard that keeps its state, beside the most obvious model: one object for each record. Members fetch,
// acknowledge, stall and leave; writes are late, lost or refused; the partition is loaded anew at any moment, and after every step a fresh replay
// of the shard's records must say what the shard says.
import { strict as assert } from "node:assert";
import type { Uuid } from "@blumfeld/core/base";
import { seededRandom } from "@blumfeld/core/base";
import {
  acknowledgeTypes,
  deliveryStates,
  SharePartition,
  type ShareStateDecision,
  ShareStateShard,
  type ShareTransition,
  UndoLog,
} from "@blumfeld/core/coordinator";
import type { ShareCoordinatorRecord } from "@blumfeld/core/protocol";

const stepsMin = 20;
const stepsSpread = 60;
const memberCount = 3;
const logEnd = 40;
const batchSize = 3;
const key = { groupId: "group", topicId: "AAAAAAAAAAAAAAAAAAAAAQ" as Uuid, partition: 0 };
const { acknowledged, acquired, archived, archiving, available } = deliveryStates;

interface Known {
  state: number;
  count: number;
  member: string | null;
  lockUntilMs: number;
  isPending: boolean;
  /** As it was last written: what a reload finds. */
  storedState: number;
  storedCount: number;
}

interface InFlight {
  readonly transition: ShareTransition;
  readonly after: readonly { readonly offset: number; readonly state: number; readonly count: number }[];
}

type Change = (record: Known) => { readonly state: number; readonly count: number };

class ShareWorld {
  private readonly random: ReturnType<typeof seededRandom>;
  private readonly limits: {
    recordLockCountMax: number;
    recordLockMs: number;
    deliveryCountMax: number;
    hasDeadLetters: boolean;
  };
  private readonly config: { readonly updateRecordsPerSnapshot: number };
  private readonly shard: ShareStateShard;
  private readonly written: { key: Buffer; value: Buffer | null }[] = [];
  private readonly model: Known[] = [];
  private share: SharePartition;
  private inFlight: InFlight[] = [];
  private nowMs = 0;
  private checkedCount = 0;

  constructor(seed: number) {
    const random = seededRandom(seed);
    this.random = random;
    this.limits = {
      ...{ recordLockCountMax: 4 + random.below(16), recordLockMs: 100, deliveryCountMax: 1 + random.below(4) },
      hasDeadLetters: random.below(2) === 0,
    };
    this.config = { updateRecordsPerSnapshot: random.below(5) };
    this.shard = new ShareStateShard({ undo: new UndoLog(), config: this.config });
    this.apply(this.shard.initialize(key, { stateEpoch: 1, startOffset: 0 }, 0));
    for (let offset = 0; offset < logEnd; offset++)
      this.model.push({
        ...{ state: available, count: 0, member: null, lockUntilMs: 0, isPending: false },
        ...{ storedState: available, storedCount: 0 },
      });
    this.share = this.loaded();
  }

  run(): void {
    const count = stepsMin + this.random.below(stepsSpread);
    for (let step = 0; step < count; step++) {
      this.step();
      this.check();
    }
    this.drain();
  }

  private step(): void {
    const kind = this.random.below(100);
    if (kind < 30) this.acquire();
    else if (kind < 60) this.acknowledge();
    else if (kind < 80) this.settle();
    else if (kind < 85) this.leave();
    else if (kind < 92) this.time(1 + this.random.below(80));
    else if (kind < 97) this.deadLetters();
    else this.reload();
  }

  private get member(): string {
    return `m${this.random.below(memberCount)}`;
  }

  private acquire(): void {
    const { limits, model, random, share } = this;
    const fetchOffset = share.nextFetchOffset();
    if (fetchOffset >= logEnd || !share.canAcquire(limits)) return;
    const batches: { first: number; last: number }[] = [];
    for (let first = fetchOffset - (fetchOffset % batchSize); first < logEnd; first += batchSize)
      batches.push({ first, last: Math.min(first + batchSize, logEnd) - 1 });
    const { member: memberId } = this;
    const recordCountMax = 1 + random.below(8);
    const isStrict = random.below(2) === 0;
    const ask = {
      ...{ memberId, fetchOffset, batches, recordCountMax, isStrict },
      batchRecordCount: 1 + random.below(4),
    };
    let count = 0;
    for (const { deliveryCount, firstOffset, lastOffset } of share.acquire(ask, limits, this.nowMs)) {
      for (let offset = firstOffset; offset <= lastOffset; offset++, count++) {
        const record = model[offset]!;
        assert.equal(record.state, available, `record ${offset} is given though it is not available`);
        const after = { state: acquired, count: record.count + 1, member: memberId };
        assert.equal(deliveryCount, after.count, `record ${offset} is told with another delivery count`);
        assert.ok(after.count <= limits.deliveryCountMax, `record ${offset} is delivered too often`);
        Object.assign(record, after, { lockUntilMs: this.nowMs + limits.recordLockMs });
      }
    }
    assert.ok(count > 0, "what can be fetched is not given");
    assert.ok(count <= recordCountMax + (isStrict ? 0 : batchSize - 1), "more is given than was asked for");
  }

  private acknowledge(): void {
    const { limits, model, random, share } = this;
    const { member: memberId } = this;
    const firstOffset = share.startOffset + random.below(10);
    const length = 1 + random.below(5);
    const isEach = random.below(2) === 0;
    const types = Array.from({ length: isEach ? length : 1 }, () => random.below(5));
    const lastOffset = firstOffset + length - 1;
    let isHeld = lastOffset < share.endOffset;
    for (let offset = firstOffset; isHeld && offset <= lastOffset; offset++) {
      const { isPending, member, state } = model[offset]!;
      isHeld = state === acquired && member === memberId && !isPending;
    }
    const outcome = share.acknowledge(memberId, [{ firstOffset, lastOffset, types }], limits, this.nowMs);
    assert.equal(
      outcome.errorCode === 0,
      isHeld,
      `acknowledging ${firstOffset} to ${lastOffset} answers ${outcome.errorCode}`,
    );
    if (!("transition" in outcome)) return;
    const changes = new Map<number, Change>();
    for (let offset = firstOffset; offset <= lastOffset; offset++) {
      const type = types[isEach ? offset - firstOffset : 0]!;
      if (type === acknowledgeTypes.renew) model[offset]!.lockUntilMs = this.nowMs + limits.recordLockMs;
      else changes.set(offset, this.changeOf(type));
    }
    this.begin(outcome.transition, changes);
  }

  private changeOf(type: number): Change {
    const undelivered = this.limits.hasDeadLetters ? archiving : archived;
    return ({ count }) => {
      if (type === acknowledgeTypes.accept) return { state: acknowledged, count };
      if (type === acknowledgeTypes.gap) return { state: archived, count };
      if (type === acknowledgeTypes.reject) return { state: undelivered, count };
      return { state: count >= this.limits.deliveryCountMax ? undelivered : available, count };
    };
  }

  private begin(transition: ShareTransition | null, changes: ReadonlyMap<number, Change>): void {
    const told = new Map<number, { state: number; count: number }>();
    for (const { deliveryCount, deliveryState, firstOffset, lastOffset } of transition?.batches ?? [])
      for (let offset = firstOffset; offset <= lastOffset; offset++)
        told.set(offset, { state: deliveryState, count: deliveryCount });
    const after = [...changes].map(([offset, change]) => {
      const record = this.model[offset]!;
      assert.ok(!record.isPending, `record ${offset} is changed while another change waits`);
      assert.ok(record.state !== acknowledged && record.state !== archived, `record ${offset} is finished twice`);
      record.isPending = true;
      return { offset, ...change(record) };
    });
    assert.deepEqual(told, new Map(after.map(({ count, offset, state }) => [offset, { state, count }])));
    if (transition !== null) this.inFlight.push({ transition, after });
  }

  /** The oldest write is kept or refused. */
  private settle(isKept = this.random.below(4) > 0): void {
    const one = this.inFlight.shift();
    if (one === undefined) return;
    if (isKept) this.write(one);
    for (const { count, offset, state } of one.after) {
      const record = this.model[offset]!;
      record.isPending = false;
      if (isKept) Object.assign(record, { state, count, member: null, lockUntilMs: 0 });
    }
    if (isKept) this.share.confirm(one.transition);
    else this.share.refuse(one.transition);
  }

  private write({ after, transition }: InFlight): void {
    const { batches: stateBatches, deliveryCompleteCount, startOffset } = transition;
    const write = { stateEpoch: 1, leaderEpoch: 0, startOffset, deliveryCompleteCount, stateBatches };
    const answer = this.apply(this.shard.write(key, write, this.nowMs));
    assert.equal(answer.errorCode, 0);
    for (const { count, offset, state } of after) {
      const record = this.model[offset]!;
      const isLater = count !== record.storedCount ? count > record.storedCount : state > record.storedState;
      if (isLater) Object.assign(record, { storedState: state, storedCount: count });
    }
  }

  private apply<Answer>(decision: ShareStateDecision<Answer>): Answer {
    for (const record of decision.records) {
      this.written.push(this.shard.encode(record));
      this.shard.replay(record);
    }
    return decision.answer;
  }

  private leave(): void {
    const { member: memberId } = this;
    const changes = new Map<number, Change>();
    this.model.forEach(({ isPending, member, state }, offset) => {
      if (state === acquired && member === memberId && !isPending)
        changes.set(offset, ({ count }) => ({ state: available, count: count - 1 }));
    });
    this.begin(this.share.releaseMember(memberId), changes);
  }

  private time(ms: number): void {
    this.nowMs += ms;
    const changes = new Map<number, Change>();
    let nextMs = Number.POSITIVE_INFINITY;
    this.model.forEach(({ isPending, lockUntilMs, state }, offset) => {
      if (state !== acquired || isPending) return;
      if (lockUntilMs <= this.nowMs) changes.set(offset, this.changeOf(acknowledgeTypes.release));
      else nextMs = Math.min(nextMs, lockUntilMs);
    });
    this.begin(this.share.expireLocks(this.limits, this.nowMs), changes);
    assert.ok((this.share.nextLockMs() ?? Number.POSITIVE_INFINITY) <= nextMs, "a lock is not looked for in time");
  }

  private deadLetters(): void {
    const ranges = this.share.deadLetters(this.limits);
    const waiting = this.model.flatMap(({ isPending, state }, offset) =>
      state === archiving && !isPending ? [offset] : [],
    );
    const told = ranges.flatMap(({ first, last }) =>
      Array.from({ length: last - first + 1 }, (_, index) => first + index),
    );
    assert.deepEqual(told, waiting);
    const changes = new Map<number, Change>(
      waiting.map((offset) => [offset, ({ count }) => ({ state: archived, count })]),
    );
    this.begin(this.share.finishDeadLetters(ranges), changes);
  }

  /** What was under way is written before or lost. */
  private reload(): void {
    for (let left = this.random.below(this.inFlight.length + 1); left > 0; left--) this.settle(true);
    this.inFlight = [];
    for (const record of this.model) {
      const isOpen = record.storedState === available;
      const isFinal = record.state === acknowledged || record.state === archived;
      if (isFinal) assert.ok(!isOpen && record.storedState !== archiving, "what was finished was not written");
      Object.assign(record, { member: null, lockUntilMs: 0, isPending: false });
      Object.assign(record, { state: record.storedState, count: record.storedCount });
    }
    this.share = this.loaded();
  }

  private loaded(): SharePartition {
    const state = this.shard.stateOf(key);
    assert.ok(state !== null);
    return new SharePartition(state, state.startOffset);
  }

  private check(): void {
    const { model, share } = this;
    const isFinal = (offset: number): boolean =>
      model[offset]!.state === acknowledged || model[offset]!.state === archived;
    for (let offset = 0; offset < share.startOffset; offset++) assert.ok(isFinal(offset), `record ${offset} is lost`);
    let next = share.startOffset;
    for (const { deliveryCount, first, last, memberId, state } of share.states()) {
      assert.equal(first, next, "there is a hole");
      next = last + 1;
      for (let offset = first; offset <= last; offset++) {
        const { count, member, state: known } = model[offset]!;
        const isSame = state === known && deliveryCount === count && memberId === member;
        if (!isSame) assert.deepEqual([offset, state, deliveryCount, memberId], [offset, known, count, member]);
      }
    }
    assert.equal(next, share.endOffset);
    for (let offset = next; offset < logEnd; offset++) assert.equal(model[offset]!.state, available);
    if (this.checkedCount === this.written.length) return;
    this.checkedCount = this.written.length;
    this.checkReplay();
  }

  /** A fresh replay knows the same. Looked at where something was written. */
  private checkReplay(): void {
    const fresh = new ShareStateShard({ undo: new UndoLog(), config: this.config });
    for (const { key: keyBytes, value } of this.written)
      fresh.replay(fresh.decode(keyBytes, value) as ShareCoordinatorRecord);
    assert.deepEqual(fresh.stateOf(key), this.shard.stateOf(key));
  }

  /** In the end every record is acknowledged or archived: none stays behind. */
  private drain(): void {
    for (let round = 0; this.share.startOffset < logEnd; round++) {
      assert.ok(round < 1000, `the start stays at ${this.share.startOffset}`);
      while (this.inFlight.length > 0) this.settle(true);
      this.acquire();
      this.time(this.limits.recordLockMs);
      while (this.inFlight.length > 0) this.settle(true);
      this.deadLetters();
    }
    this.check();
  }
}

export function shareSchedule(seed: number): void {
  new ShareWorld(seed).run();
}
