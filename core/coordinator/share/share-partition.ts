// One partition as a share group sees it (KIP-932): who has which record, how often each was delivered, and from where on anything is left to
// deliver. Decides only: what has to be persisted is handed out as a write, and the state moves when that is confirmed.
//
//   available     → acquired      a member fetched it; the delivery counts
//   acquired      → acknowledged  accepted
//   acquired      → archived      rejected, a gap, or its last delivery failed
//   acquired      → archiving     rejected, or its last delivery failed, where the group has a dead-letter topic (KIP-1191)
//   archiving     → archived      its dead letter is written
//   acquired      → available     released, its lock ran out, or its member left
//
// A run whose next state waits to be persisted stays acquired by nobody else meanwhile, so that no record is ever finished twice.
import { ErrorCode } from "../../protocol/index.ts";
import { isFinalState, type OffsetSpan, type ShareRun, ShareRuns } from "./share-runs.ts";
import { deliveryStates, type StateBatch } from "./state-batches.ts";
import type { ShareState } from "./state-shard.ts";

/** As ShareFetch and ShareAcknowledge number them. */
export const acknowledgeTypes = { gap: 0, accept: 1, release: 2, reject: 3, renew: 4 } as const;

export interface SharePartitionLimits {
  /** From the start offset on, finished records among them. */
  readonly recordLockCountMax: number;
  readonly recordLockMs: number;
  readonly deliveryCountMax: number;
  /** What cannot be delivered is archived once its dead letter is written. */
  readonly hasDeadLetters?: boolean;
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

/** Records that wait for their dead letters. */
export interface DeadLetterRange extends OffsetSpan {
  readonly deliveryCount: number;
  /** By a member; else the last of the deliveries failed. */
  readonly isRejected: boolean;
}

/** To be persisted; `confirm` or `refuse` it once that is decided. */
export interface ShareTransition {
  readonly startOffset: number;
  readonly deliveryCompleteCount: number;
  /** In rising order, disjoint. */
  readonly batches: readonly StateBatch[];
  /** To be written once it is confirmed. */
  readonly deadLetters: readonly DeadLetterRange[];
}

interface Change {
  readonly state: number;
  readonly deliveryCount: number;
  readonly isRejected?: boolean;
}

interface Pending {
  readonly transition: ShareTransition;
  readonly change: Change;
}

type Run = ShareRun<Pending>;
type ChangeSpan = OffsetSpan & { readonly change: (run: Run) => Change };

export interface AcquireAsk {
  readonly memberId: string;
  /** Where the fetch began: what lies between it and the first batch is not in the log any more. */
  readonly fetchOffset: number;
  readonly batches: readonly OffsetSpan[];
  readonly recordCountMax: number;
  readonly batchRecordCount: number;
  readonly isStrict: boolean;
}

const { available, acquired, acknowledged, archived, archiving } = deliveryStates;

export class SharePartition {
  private readonly runs: ShareRuns<Pending>;
  /** No lock runs out before; infinite where nothing is locked. */
  private lockFromMs = Number.POSITIVE_INFINITY;

  /** `startOffset`: the stored one, or where a group that begins here is to begin. */
  constructor(state: Pick<ShareState, "batches"> | null, startOffset: number) {
    const runs = new ShareRuns<Pending>(startOffset);
    this.runs = runs;
    for (const { firstOffset, lastOffset, deliveryState, deliveryCount } of state?.batches ?? []) {
      if (lastOffset < runs.end) continue;
      // What nothing was written about was delivered and never finished.
      runs.append(firstOffset - 1, available, 0);
      const isOpen = deliveryState === available || deliveryState === acquired;
      runs.append(lastOffset, isOpen ? available : deliveryState, deliveryCount);
    }
    runs.dropFinished();
  }

  get startOffset(): number {
    return this.runs.start;
  }

  get endOffset(): number {
    return this.runs.end;
  }

  /** For tests and for people: what is known of each range. */
  states(): { first: number; last: number; state: number; deliveryCount: number; memberId: string | null }[] {
    return [...this.runs].map(({ first, last, state, deliveryCount, memberId }) => ({
      ...{ first, last, state, deliveryCount, memberId },
    }));
  }

  // --- fetching --------------------------------------------------------------------------------

  /** From where a member is to be served next. */
  nextFetchOffset(): number {
    return this.runs.firstAvailable() ?? this.runs.end;
  }

  /** False while all that may be in flight is: then nothing new is delivered. */
  canAcquire(limits: SharePartitionLimits): boolean {
    return this.runs.end - this.runs.start < limits.recordLockCountMax || this.runs.availableCount > 0;
  }

  /**
   * Gives what is available of `batches` (first and last offsets, in order) to the member. Batches are taken whole and the last may pass
   * `recordCountMax`, unless `isStrict`.
   */
  acquire(ask: AcquireAsk, limits: SharePartitionLimits, nowMs: number): AcquiredRange[] {
    const { batches, isStrict, memberId, recordCountMax } = ask;
    const lastBatch = batches[batches.length - 1];
    if (lastBatch === undefined) return [];
    this.skipHole(ask.fetchOffset, batches[0]!.first);
    this.extend(batches, ask, limits);
    const spans: OffsetSpan[] = [];
    let count = 0;
    for (const run of this.runs.overlapping({ first: batches[0]!.first, last: lastBatch.last })) {
      if (count >= recordCountMax) break;
      if (run.state !== available) continue;
      const first = Math.max(run.first, batches[0]!.first);
      let last = Math.min(run.last, lastBatch.last);
      const strictLast = first + (recordCountMax - count) - 1;
      if (last > strictLast) last = isStrict ? strictLast : Math.min(last, batchEndOf(batches, strictLast));
      spans.push({ first, last });
      count += last - first + 1;
    }
    const lockUntilMs = nowMs + limits.recordLockMs;
    const taken: (OffsetSpan & { readonly deliveryCount: number })[] = [];
    this.runs.update(spans, (run) => {
      run.state = acquired;
      run.deliveryCount++;
      run.memberId = memberId;
      run.lockUntilMs = lockUntilMs;
      taken.push({ first: run.first, last: run.last, deliveryCount: run.deliveryCount });
    });
    if (taken.length > 0) this.lockFromMs = Math.min(this.lockFromMs, lockUntilMs);
    return rangesOf(taken, batches, Math.max(1, ask.batchRecordCount));
  }

  /** Nobody can be given what is not there: it is finished. Not persisted, as every reader finds the same hole. */
  private skipHole(from: number, first: number): void {
    if (from >= first) return;
    this.runs.update([{ first: from, last: first - 1 }], (run) => {
      if (run.state === available) run.state = archived;
    });
    this.runs.append(first - 1, archived, 0);
    this.runs.dropFinished();
  }

  /** New offsets become available, as far as the bounds on what is in flight let them. */
  private extend(
    batches: readonly OffsetSpan[],
    ask: { readonly recordCountMax: number; readonly isStrict: boolean },
    limits: SharePartitionLimits,
  ): void {
    const { end, start } = this.runs;
    const last = batches[batches.length - 1]!.last;
    const room = limits.recordLockCountMax - (end - start);
    if (last < end || room <= 0) return;
    // With an empty window it begins where the log goes on.
    const newMax = Math.max(1, Math.min(room, ask.recordCountMax));
    const strictLast = end + newMax - 1;
    const newLast = last <= strictLast ? last : ask.isStrict ? strictLast : batchEndOf(batches, strictLast);
    this.runs.append(Math.min(newLast, last), available, 0);
  }

  // --- acknowledging ---------------------------------------------------------------------------

  /** Renews locks; what else the batches (in rising order) say is to be persisted. Nothing changes where any of them is refused. */
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
    const changes: ChangeSpan[] = [];
    const renewed: OffsetSpan[] = [];
    for (const { firstOffset, lastOffset, types } of batches) {
      // What lies below the start offset is finished already.
      for (const { first, last, type } of typedRanges(firstOffset, lastOffset, types)) {
        if (last < this.startOffset) continue;
        const span = { first: Math.max(first, this.startOffset), last };
        if (type === acknowledgeTypes.renew) renewed.push(span);
        else changes.push({ ...span, change: (run) => changeFor(type, run.deliveryCount, limits) });
      }
    }
    this.runs.update(renewed, (run) => {
      run.lockUntilMs = nowMs + limits.recordLockMs;
    });
    return { errorCode: 0, transition: this.begin(changes) };
  }

  private problemOf(memberId: string, { firstOffset, lastOffset }: AcknowledgementBatch): number {
    const { end, start } = this.runs;
    if (lastOffset < start) return ErrorCode.NONE;
    if (lastOffset >= end) return ErrorCode.INVALID_REQUEST;
    for (const run of this.runs.overlapping({ first: Math.max(firstOffset, start), last: lastOffset }))
      if (run.state !== acquired || run.pending !== null || run.memberId !== memberId)
        return ErrorCode.INVALID_RECORD_STATE;
    return ErrorCode.NONE;
  }

  /** What a member that leaves had and did not finish comes back; it may not have seen it, so that the delivery does not count. */
  releaseMember(memberId: string): ShareTransition | null {
    if (this.runs.heldCount(memberId) === 0) return null;
    return this.release(
      (run) => run.memberId === memberId,
      ({ deliveryCount }) => ({ state: available, deliveryCount: Math.max(0, deliveryCount - 1) }),
    );
  }

  /** Locks that have run out. */
  expireLocks(limits: SharePartitionLimits, nowMs: number): ShareTransition | null {
    if (this.lockFromMs > nowMs) return null;
    const transition = this.release(
      (run) => run.lockUntilMs <= nowMs,
      ({ deliveryCount }) => changeFor(acknowledgeTypes.release, deliveryCount, limits),
    );
    // Seldom: a look through all runs costs less than a queue of locks, nearly all of which are given back long before.
    this.lockFromMs = Number.POSITIVE_INFINITY;
    for (const run of this.runs) this.noteLock(run);
    return transition;
  }

  private noteLock({ lockUntilMs, pending, state }: Run): void {
    if (state === acquired && pending === null && lockUntilMs < this.lockFromMs) this.lockFromMs = lockUntilMs;
  }

  private release(isMeant: (run: Run) => boolean, change: (run: Run) => Change): ShareTransition | null {
    const changes: ChangeSpan[] = [];
    for (const run of this.runs)
      if (run.state === acquired && run.pending === null && isMeant(run))
        changes.push({ first: run.first, last: run.last, change });
    return this.begin(changes);
  }

  /** No lock runs out before; null while nothing is locked. */
  nextLockMs(): number | null {
    return this.lockFromMs === Number.POSITIVE_INFINITY ? null : this.lockFromMs;
  }

  /** Records that nobody may see (aborted transactions), in rising order: finished without being delivered. */
  archive(ranges: readonly OffsetSpan[]): ShareTransition | null {
    return this.finish(ranges, () => true);
  }

  /** Their dead letters are written. */
  finishDeadLetters(ranges: readonly OffsetSpan[]): ShareTransition | null {
    return this.finish(ranges, ({ state }) => state === archiving);
  }

  private finish(ranges: readonly OffsetSpan[], isMeant: (run: Run) => boolean): ShareTransition | null {
    const change = ({ deliveryCount, state }: Run): Change => ({
      state: isFinalState(state) ? state : archived,
      deliveryCount,
    });
    const spans: ChangeSpan[] = [];
    for (const { first, last } of ranges) {
      const span = { first: Math.max(first, this.startOffset), last: Math.min(last, this.endOffset - 1) };
      for (const run of this.runs.overlapping(span)) {
        if (run.pending !== null || !isMeant(run)) continue;
        spans.push({ first: Math.max(run.first, span.first), last: Math.min(run.last, span.last), change });
      }
    }
    return this.begin(spans);
  }

  /** What waits for its dead letter, as far as nothing is on its way to be persisted. The reason is not kept: it shows in the count. */
  deadLetters({ deliveryCountMax }: SharePartitionLimits): DeadLetterRange[] {
    const ranges: DeadLetterRange[] = [];
    for (const { deliveryCount, first, last, pending, state } of this.runs)
      if (state === archiving && pending === null)
        ranges.push({ first, last, deliveryCount, isRejected: deliveryCount < deliveryCountMax });
    return ranges;
  }

  /** The log begins later now: what was below is gone. */
  moveStart(logStartOffset: number): void {
    this.runs.dropBefore(logStartOffset);
  }

  // --- persisting ------------------------------------------------------------------------------

  private begin(changes: readonly ChangeSpan[]): ShareTransition | null {
    const batches: StateBatch[] = [];
    const deadLetters: DeadLetterRange[] = [];
    const { finishedCount, start } = this.runs;
    const transition = { startOffset: start, deliveryCompleteCount: finishedCount, batches, deadLetters };
    this.runs.update(changes, (run, span) => {
      if (run.pending !== null) return;
      const { first, last } = run;
      const change = span.change(run);
      run.pending = { transition, change };
      const { deliveryCount, isRejected, state } = change;
      pushBatch(batches, { firstOffset: first, lastOffset: last, deliveryState: state, deliveryCount });
      if (state === archiving) deadLetters.push({ first, last, deliveryCount, isRejected: isRejected === true });
      if (isFinalState(state) && !isFinalState(run.state)) transition.deliveryCompleteCount += last - first + 1;
    });
    return batches.length === 0 ? null : transition;
  }

  confirm(transition: ShareTransition): void {
    this.runs.update(spansOf(transition), (run) => {
      if (run.pending?.transition !== transition) return;
      const { state, deliveryCount } = run.pending.change;
      Object.assign(run, { state, deliveryCount, memberId: null, lockUntilMs: 0, pending: null });
    });
    this.runs.dropFinished();
  }

  /** It could not be persisted: who had the records has them still, until the locks run out. */
  refuse(transition: ShareTransition): void {
    this.runs.update(spansOf(transition), (run) => {
      if (run.pending?.transition !== transition) return;
      run.pending = null;
      this.noteLock(run);
    });
  }
}

function spansOf({ batches }: ShareTransition): OffsetSpan[] {
  return batches.map(({ firstOffset, lastOffset }) => ({ first: firstOffset, last: lastOffset }));
}

function pushBatch(batches: StateBatch[], batch: StateBatch): void {
  const last = batches[batches.length - 1];
  const joins =
    last !== undefined &&
    last.lastOffset + 1 === batch.firstOffset &&
    last.deliveryState === batch.deliveryState &&
    last.deliveryCount === batch.deliveryCount;
  if (joins) batches[batches.length - 1] = { ...last, lastOffset: batch.lastOffset };
  else batches.push(batch);
}

function changeFor(type: number, deliveryCount: number, limits: SharePartitionLimits): Change {
  const undelivered = limits.hasDeadLetters === true ? archiving : archived;
  switch (type) {
    case acknowledgeTypes.accept:
      return { state: acknowledged, deliveryCount };
    case acknowledgeTypes.release:
      return { state: deliveryCount >= limits.deliveryCountMax ? undelivered : available, deliveryCount };
    case acknowledgeTypes.reject:
      return { state: undelivered, deliveryCount, isRejected: true };
    default:
      return { state: archived, deliveryCount };
  }
}

/** The ranges of one type each. */
function* typedRanges(
  firstOffset: number,
  lastOffset: number,
  types: readonly number[],
): Generator<OffsetSpan & { readonly type: number }> {
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
function batchEndOf(batches: readonly OffsetSpan[], offset: number): number {
  let from = 0;
  let end = batches.length;
  while (from < end) {
    const middle = (from + end) >> 1;
    if (batches[middle]!.last < offset) from = middle + 1;
    else end = middle;
  }
  return batches[from]?.last ?? offset;
}

/** What the member is told: cut at batches' ends once `batchRecordCount` is reached, so that it can acknowledge in such pieces. */
function rangesOf(
  taken: readonly (OffsetSpan & { readonly deliveryCount: number })[],
  batches: readonly OffsetSpan[],
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
