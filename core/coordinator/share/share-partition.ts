// One partition as a share group sees it (KIP-932): who has which record, how often each was delivered, and from where on anything is left to
// deliver. Decides only: what has to be persisted is handed out as a write, and the state moves when that is confirmed.
//
//   available     → acquired      a member fetched it; the delivery counts
//   acquired      → acknowledged  accepted
//   acquired      → archived      rejected, a gap, or its last delivery failed
//   acquired      → available     released, its lock ran out, or its member left
//
// Records are kept as runs of offsets, sorted and without holes from the start offset to the end offset; neighbours that say the same are joined.
// A run whose next state waits to be persisted stays acquired by nobody else meanwhile, so that no record is ever finished twice.
import { assert } from "../../base/index.ts";
import { ErrorCode } from "../../protocol/index.ts";
import { deliveryStates, type StateBatch } from "./state-batches.ts";
import type { ShareState } from "./state-shard.ts";

/** As ShareFetch and ShareAcknowledge number them. */
export const acknowledgeTypes = { gap: 0, accept: 1, release: 2, reject: 3, renew: 4 } as const;

export interface SharePartitionLimits {
  /** From the start offset on, finished records among them. */
  readonly recordLockCountMax: number;
  readonly recordLockMs: number;
  readonly deliveryCountMax: number;
}

export interface AcknowledgementBatch {
  readonly firstOffset: number;
  readonly lastOffset: number;
  /** One for all, or one for each offset. */
  readonly types: readonly number[];
}

export interface AcquiredRange {
  readonly firstOffset: number;
  readonly lastOffset: number;
  readonly deliveryCount: number;
}

/** To be persisted; `confirm` or `refuse` it once that is decided. */
export interface ShareTransition {
  readonly startOffset: number;
  readonly deliveryCompleteCount: number;
  readonly batches: readonly StateBatch[];
}

interface Change {
  readonly state: number;
  readonly deliveryCount: number;
}

interface Run {
  first: number;
  last: number;
  state: number;
  deliveryCount: number;
  /** Null unless acquired. */
  memberId: string | null;
  lockUntilMs: number;
  /** What it becomes once persisted. */
  pending: { readonly transition: ShareTransition; readonly change: Change } | null;
}

const { available, acquired, acknowledged, archived } = deliveryStates;

export class SharePartition {
  private runs: Run[] = [];
  private start: number;
  /** The offset after the last run. */
  private next: number;

  /** `startOffset`: the stored one, or where a group that begins here is to begin. */
  constructor(state: Pick<ShareState, "batches"> | null, startOffset: number) {
    this.start = startOffset;
    this.next = startOffset;
    for (const batch of state?.batches ?? []) {
      if (batch.lastOffset < this.next) continue;
      const first = Math.max(batch.firstOffset, this.next);
      // What nothing was written about was delivered and never finished.
      if (first > this.next) this.push(this.next, first - 1, available, 0);
      const isOpen = batch.deliveryState === available || batch.deliveryState === acquired;
      this.push(first, batch.lastOffset, isOpen ? available : batch.deliveryState, batch.deliveryCount);
    }
    this.advanceStart();
  }

  private push(first: number, last: number, state: number, deliveryCount: number): void {
    this.runs.push({ first, last, state, deliveryCount, memberId: null, lockUntilMs: 0, pending: null });
    this.next = last + 1;
  }

  get startOffset(): number {
    return this.start;
  }

  get endOffset(): number {
    return this.next;
  }

  /** For tests and for people: what is known of each range. */
  states(): { first: number; last: number; state: number; deliveryCount: number; memberId: string | null }[] {
    return this.runs.map(({ first, last, state, deliveryCount, memberId }) => ({
      ...{ first, last, state, deliveryCount, memberId },
    }));
  }

  // --- fetching --------------------------------------------------------------------------------

  /** From where a member is to be served next. */
  nextFetchOffset(): number {
    for (const run of this.runs) if (run.state === available) return run.first;
    return this.next;
  }

  /** False while all that may be in flight is: then nothing new is delivered. */
  canAcquire(limits: SharePartitionLimits): boolean {
    if (this.next - this.start < limits.recordLockCountMax) return true;
    return this.runs.some(({ state }) => state === available);
  }

  /**
   * Gives what is available of `batches` (first and last offsets, in order) to the member. Batches are taken whole and the last may pass
   * `recordCountMax`, unless `isStrict`.
   */
  acquire(
    ask: {
      readonly memberId: string;
      /** Where the fetch began: what lies between it and the first batch is not in the log any more. */
      readonly fetchOffset: number;
      readonly batches: readonly { readonly first: number; readonly last: number }[];
      readonly recordCountMax: number;
      readonly batchRecordCount: number;
      readonly isStrict: boolean;
    },
    limits: SharePartitionLimits,
    nowMs: number,
  ): AcquiredRange[] {
    const { batches, isStrict, memberId, recordCountMax } = ask;
    const lastBatch = batches[batches.length - 1];
    if (lastBatch === undefined) return [];
    this.skipHole(ask.fetchOffset, batches[0]!.first);
    this.extend(batches, ask, limits);
    const taken: Run[] = [];
    let count = 0;
    const from = this.indexAt(batches[0]!.first);
    for (let index = from; index < this.runs.length && count < recordCountMax; index++) {
      const run = this.runs[index]!;
      if (run.first > lastBatch.last) break;
      if (run.state !== available) continue;
      const first = Math.max(run.first, batches[0]!.first);
      let last = Math.min(run.last, lastBatch.last);
      const strictLast = first + (recordCountMax - count) - 1;
      if (last > strictLast) last = isStrict ? strictLast : Math.min(last, batchEndOf(batches, strictLast));
      const own = this.cut(first, last);
      index = this.runs.indexOf(own, from);
      own.state = acquired;
      own.deliveryCount++;
      own.memberId = memberId;
      own.lockUntilMs = nowMs + limits.recordLockMs;
      taken.push(own);
      count += last - first + 1;
    }
    return rangesOf(taken, batches, Math.max(1, ask.batchRecordCount));
  }

  /** Nobody can be given what is not there: it is finished. Not persisted, as every reader finds the same hole. */
  private skipHole(from: number, first: number): void {
    if (from >= first) return;
    for (const run of this.runsIn(from, first - 1)) if (run.state === available) run.state = archived;
    if (this.next < first) this.push(this.next, first - 1, archived, 0);
    this.advanceStart();
  }

  /** New offsets become available, as far as the bounds on what is in flight let them. */
  private extend(
    batches: readonly { readonly first: number; readonly last: number }[],
    ask: { readonly recordCountMax: number; readonly isStrict: boolean },
    limits: SharePartitionLimits,
  ): void {
    const last = batches[batches.length - 1]!.last;
    const room = limits.recordLockCountMax - (this.next - this.start);
    if (last < this.next || room <= 0) return;
    // With an empty window it begins where the log goes on.
    const newMax = Math.max(1, Math.min(room, ask.recordCountMax));
    const strictLast = this.next + newMax - 1;
    const end = last <= strictLast ? last : ask.isStrict ? strictLast : batchEndOf(batches, strictLast);
    this.push(this.next, Math.min(end, last), available, 0);
  }

  // --- acknowledging ---------------------------------------------------------------------------

  /** Renews locks; what else the batches say is to be persisted. Nothing changes where any of them is refused. */
  acknowledge(
    memberId: string,
    batches: readonly AcknowledgementBatch[],
    limits: SharePartitionLimits,
    nowMs: number,
  ): { readonly errorCode: number } | { readonly errorCode: 0; readonly transition: ShareTransition | null } {
    for (const batch of batches) {
      const problem = this.problemOf(memberId, batch);
      if (problem !== ErrorCode.NONE) return { errorCode: problem };
    }
    const changes: { first: number; last: number; change: (run: Run) => Change }[] = [];
    for (const { firstOffset, lastOffset, types } of batches) {
      // What lies below the start offset is finished already.
      for (const { first, last, type } of typedRanges(firstOffset, lastOffset, types)) {
        if (last < this.start) continue;
        const from = Math.max(first, this.start);
        if (type === acknowledgeTypes.renew) this.renew(from, last, nowMs + limits.recordLockMs);
        else changes.push({ first: from, last, change: (run) => changeFor(type, run.deliveryCount, limits) });
      }
    }
    return { errorCode: 0, transition: this.begin(changes) };
  }

  private problemOf(memberId: string, { firstOffset, lastOffset }: AcknowledgementBatch): number {
    if (lastOffset < this.start) return ErrorCode.NONE;
    if (lastOffset >= this.next) return ErrorCode.INVALID_REQUEST;
    for (let index = this.indexAt(Math.max(firstOffset, this.start)); index < this.runs.length; index++) {
      const run = this.runs[index]!;
      if (run.first > lastOffset) break;
      if (run.state !== acquired || run.pending !== null || run.memberId !== memberId)
        return ErrorCode.INVALID_RECORD_STATE;
    }
    return ErrorCode.NONE;
  }

  private renew(first: number, last: number, untilMs: number): void {
    for (const run of this.runsIn(first, last)) run.lockUntilMs = untilMs;
  }

  /** What a member that leaves had and did not finish comes back; it may not have seen it, so that the delivery does not count. */
  releaseMember(memberId: string): ShareTransition | null {
    const held = this.runs.filter((run) => run.memberId === memberId && run.pending === null);
    return this.begin(
      held.map(({ first, last }) => ({
        ...{ first, last },
        change: (run: Run) => ({ state: available, deliveryCount: Math.max(0, run.deliveryCount - 1) }),
      })),
    );
  }

  /** Locks that have run out. */
  expireLocks(limits: SharePartitionLimits, nowMs: number): ShareTransition | null {
    const due = this.runs.filter((run) => run.state === acquired && run.pending === null && run.lockUntilMs <= nowMs);
    return this.begin(
      due.map(({ first, last }) => ({
        ...{ first, last },
        change: (run: Run) => changeFor(acknowledgeTypes.release, run.deliveryCount, limits),
      })),
    );
  }

  /** When the next lock runs out; null while nothing is locked. */
  nextLockMs(): number | null {
    let next: number | null = null;
    for (const { state, pending, lockUntilMs } of this.runs)
      if (state === acquired && pending === null && (next === null || lockUntilMs < next)) next = lockUntilMs;
    return next;
  }

  /** Records that nobody may see (aborted transactions): finished without being delivered. */
  archive(ranges: readonly { readonly first: number; readonly last: number }[]): ShareTransition | null {
    return this.begin(
      ranges.map(({ first, last }) => ({
        first: Math.max(first, this.start),
        last: Math.min(last, this.next - 1),
        change: (run: Run) => ({ state: archived, deliveryCount: run.deliveryCount }),
      })),
    );
  }

  /** The log begins later now: what was below is gone. */
  moveStart(logStartOffset: number): void {
    if (logStartOffset <= this.start) return;
    this.splitBefore(logStartOffset);
    this.runs = this.runs.filter(({ last }) => last >= logStartOffset);
    this.start = logStartOffset;
    this.next = Math.max(this.next, logStartOffset);
    this.advanceStart();
  }

  // --- persisting ------------------------------------------------------------------------------

  private begin(
    changes: readonly { readonly first: number; readonly last: number; readonly change: (run: Run) => Change }[],
  ): ShareTransition | null {
    const batches: StateBatch[] = [];
    const transition = { startOffset: this.start, deliveryCompleteCount: 0, batches };
    for (const { first, last, change } of changes) {
      for (const run of this.runsIn(first, last)) {
        if (run.pending !== null) continue;
        const next = change(run);
        run.pending = { transition, change: next };
        const { state, deliveryCount } = next;
        const before = batches[batches.length - 1];
        const joins =
          before !== undefined &&
          before.lastOffset + 1 === run.first &&
          before.deliveryState === state &&
          before.deliveryCount === deliveryCount;
        if (joins) batches[batches.length - 1] = { ...before, lastOffset: run.last };
        else batches.push({ firstOffset: run.first, lastOffset: run.last, deliveryState: state, deliveryCount });
      }
    }
    if (batches.length === 0) return null;
    transition.deliveryCompleteCount = this.completeCount(transition);
    return transition;
  }

  /** What is finished, with what `transition` finishes. */
  private completeCount(transition: ShareTransition): number {
    let count = 0;
    for (const run of this.runs) {
      const state = run.pending?.transition === transition ? run.pending.change.state : run.state;
      if (isFinal(state)) count += run.last - run.first + 1;
    }
    return count;
  }

  confirm(transition: ShareTransition): void {
    for (const run of this.runs) {
      if (run.pending?.transition !== transition) continue;
      const { state, deliveryCount } = run.pending.change;
      Object.assign(run, { state, deliveryCount, memberId: null, lockUntilMs: 0, pending: null });
    }
    this.join();
    this.advanceStart();
  }

  /** It could not be persisted: who had the records has them still, until the locks run out. */
  refuse(transition: ShareTransition): void {
    for (const run of this.runs) if (run.pending?.transition === transition) run.pending = null;
  }

  private advanceStart(): void {
    let finished = 0;
    while (finished < this.runs.length && isFinal(this.runs[finished]!.state)) finished++;
    if (finished === 0) return;
    this.start = this.runs[finished - 1]!.last + 1;
    this.runs.splice(0, finished);
  }

  private join(): void {
    const joined: Run[] = [];
    for (const run of this.runs) {
      const last = joined[joined.length - 1];
      const isSame =
        last !== undefined &&
        last.pending === null &&
        run.pending === null &&
        last.state === run.state &&
        last.deliveryCount === run.deliveryCount &&
        last.memberId === run.memberId &&
        last.lockUntilMs === run.lockUntilMs;
      if (isSame) last.last = run.last;
      else joined.push(run);
    }
    this.runs = joined;
  }

  // --- runs ------------------------------------------------------------------------------------

  /** The first run that ends at or after `offset`. */
  private indexAt(offset: number): number {
    let from = 0;
    let end = this.runs.length;
    while (from < end) {
      const middle = (from + end) >> 1;
      if (this.runs[middle]!.last < offset) from = middle + 1;
      else end = middle;
    }
    return from;
  }

  /** Cuts runs so that `first` to `last` are whole ones. */
  private runsIn(first: number, last: number): Run[] {
    if (first > last) return [];
    this.splitBefore(first);
    this.splitBefore(last + 1);
    const from = this.indexAt(first);
    let to = from;
    while (to < this.runs.length && this.runs[to]!.last <= last) to++;
    return this.runs.slice(from, to);
  }

  /** One run for a range that lies in one. */
  private cut(first: number, last: number): Run {
    const run = this.runsIn(first, last)[0];
    assert(run !== undefined && run.first === first, `no run at ${first}`);
    return run;
  }

  private splitBefore(offset: number): void {
    const index = this.indexAt(offset);
    const run = this.runs[index];
    if (run === undefined || run.first >= offset) return;
    this.runs.splice(index, 1, { ...run, last: offset - 1 }, { ...run, first: offset });
  }
}

function isFinal(state: number): boolean {
  return state === acknowledged || state === archived;
}

function changeFor(type: number, deliveryCount: number, limits: SharePartitionLimits): Change {
  switch (type) {
    case acknowledgeTypes.accept:
      return { state: acknowledged, deliveryCount };
    case acknowledgeTypes.release:
      return { state: deliveryCount >= limits.deliveryCountMax ? archived : available, deliveryCount };
    default:
      return { state: archived, deliveryCount };
  }
}

/** The ranges of one type each. */
function* typedRanges(
  firstOffset: number,
  lastOffset: number,
  types: readonly number[],
): Generator<{ first: number; last: number; type: number }> {
  if (types.length === 1) {
    yield { first: firstOffset, last: lastOffset, type: types[0]! };
    return;
  }
  let from = 0;
  for (let index = 1; index <= types.length; index++) {
    if (index < types.length && types[index] === types[from]) continue;
    yield { first: firstOffset + from, last: firstOffset + index - 1, type: types[from]! };
    from = index;
  }
}

/** The end of the batch that holds `offset`. */
function batchEndOf(batches: readonly { readonly first: number; readonly last: number }[], offset: number): number {
  for (const { last } of batches) if (last >= offset) return last;
  return offset;
}

/** What the member is told: cut at batches' ends once `batchRecordCount` is reached, so that it can acknowledge in such pieces. */
function rangesOf(
  taken: readonly Run[],
  batches: readonly { readonly first: number; readonly last: number }[],
  batchRecordCount: number,
): AcquiredRange[] {
  const ranges: AcquiredRange[] = [];
  for (const { first, last, deliveryCount } of taken) {
    let from = first;
    while (from <= last) {
      const end = Math.min(last, batchEndOf(batches, Math.min(last, from + batchRecordCount - 1)));
      ranges.push({ firstOffset: from, lastOffset: end, deliveryCount });
      from = end + 1;
    }
  }
  return ranges;
}
