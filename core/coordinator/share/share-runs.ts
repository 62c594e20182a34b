// What is known of a share partition's records, as runs of offsets: sorted, without holes from the start offset to the end offset, neighbours that
// say the same joined. A run is found by halving; a change cuts and joins only the runs that it spans, in one pass, however many pieces it has.
// Counts what is available and what is finished as it goes, so that nobody has to look through all runs for that.
import { assert } from "../../base/index.ts";
import { deliveryStates } from "./state-batches.ts";

export interface OffsetSpan {
  readonly first: number;
  readonly last: number;
}

export interface ShareRun<Pending> {
  first: number;
  last: number;
  state: number;
  deliveryCount: number;
  /** Null unless acquired. */
  memberId: string | null;
  lockUntilMs: number;
  /** What it becomes once persisted. */
  pending: Pending | null;
}

/** Above this a list is put together anew: so many values do not fit into one call. */
const spliceCountMax = 10_000;

export function isFinalState(state: number): boolean {
  return state === deliveryStates.acknowledged || state === deliveryStates.archived;
}

export class ShareRuns<Pending> {
  private list: ShareRun<Pending>[] = [];
  private startOffset: number;
  private endOffset: number;
  private available = 0;
  private finished = 0;
  /** Nothing below is available: where the next search begins. */
  private availableFrom: number;
  /** Records by who holds them. */
  private readonly heldCounts = new Map<string, number>();

  constructor(startOffset: number) {
    this.startOffset = startOffset;
    this.endOffset = startOffset;
    this.availableFrom = startOffset;
  }

  get start(): number {
    return this.startOffset;
  }

  /** The offset after the last run. */
  get end(): number {
    return this.endOffset;
  }

  get runCount(): number {
    return this.list.length;
  }

  get availableCount(): number {
    return this.available;
  }

  /** Acknowledged or archived, from the start offset on. */
  get finishedCount(): number {
    return this.finished;
  }

  heldCount(memberId: string): number {
    return this.heldCounts.get(memberId) ?? 0;
  }

  [Symbol.iterator](): ArrayIterator<ShareRun<Pending>> {
    return this.list[Symbol.iterator]();
  }

  /** The lowest that is available; null where nothing is. */
  firstAvailable(): number | null {
    if (this.available === 0) return null;
    for (let index = this.indexAt(this.availableFrom); index < this.list.length; index++) {
      const run = this.list[index]!;
      if (run.state !== deliveryStates.available) continue;
      this.availableFrom = run.first;
      return run.first;
    }
    return null;
  }

  /** The runs that reach into the span, uncut. */
  *overlapping({ first, last }: OffsetSpan): Generator<ShareRun<Pending>> {
    for (let index = this.indexAt(first); index < this.list.length; index++) {
      const run = this.list[index]!;
      if (run.first > last) return;
      yield run;
    }
  }

  append(last: number, state: number, deliveryCount: number): void {
    if (last < this.endOffset) return;
    const run = { first: this.endOffset, last, state, deliveryCount, memberId: null, lockUntilMs: 0, pending: null };
    this.count(run, 1);
    pushJoined(this.list, run);
    this.endOffset = last + 1;
  }

  /** Lets `change` change what lies in the spans (in rising order, disjoint), run by run. */
  update<Span extends OffsetSpan>(spans: readonly Span[], change: (run: ShareRun<Pending>, span: Span) => void): void {
    if (spans.length === 0) return;
    const { list } = this;
    const from = Math.max(0, this.indexAt(spans[0]!.first) - 1);
    const lastOffset = spans[spans.length - 1]!.last;
    const rebuilt: ShareRun<Pending>[] = [];
    let at = 0;
    let index = from;
    for (; index < list.length; index++) {
      at = this.cutRun(list[index]!, spans, at, rebuilt, change);
      if (list[index]!.first > lastOffset) {
        index++;
        break;
      }
    }
    this.replace(from, index - from, rebuilt);
  }

  /** Returns the index of the first span that may concern the next run. */
  private cutRun<Span extends OffsetSpan>(
    whole: ShareRun<Pending>,
    spans: readonly Span[],
    from: number,
    rebuilt: ShareRun<Pending>[],
    change: (run: ShareRun<Pending>, span: Span) => void,
  ): number {
    let run = whole;
    for (let at = from; ; at++) {
      const span = spans[at];
      if (span === undefined || span.first > run.last) {
        pushJoined(rebuilt, run);
        return at;
      }
      assert(at === 0 || span.first > spans[at - 1]!.last, "spans out of order");
      if (span.last < run.first) continue;
      if (span.first > run.first) {
        pushJoined(rebuilt, { ...run, last: span.first - 1 });
        run = { ...run, first: span.first };
      }
      const rest = span.last < run.last ? { ...run, first: span.last + 1 } : null;
      if (rest !== null) run = { ...run, last: span.last };
      this.count(run, -1);
      change(run, span);
      this.count(run, 1);
      pushJoined(rebuilt, run);
      if (rest === null) return at;
      run = rest;
    }
  }

  private replace(from: number, count: number, rebuilt: ShareRun<Pending>[]): void {
    const { list } = this;
    if (rebuilt.length === count) for (let index = 0; index < count; index++) list[from + index] = rebuilt[index]!;
    else if (rebuilt.length <= spliceCountMax) list.splice(from, count, ...rebuilt);
    else this.list = [...list.slice(0, from), ...rebuilt, ...list.slice(from + count)];
  }

  /** The start moves over what is finished. */
  dropFinished(): void {
    const { list } = this;
    let done = 0;
    while (done < list.length && isFinalState(list[done]!.state)) done++;
    if (done === 0) return;
    for (let index = 0; index < done; index++) this.count(list[index]!, -1);
    this.startOffset = list[done - 1]!.last + 1;
    list.splice(0, done);
  }

  /** The start moves up to `offset`, whatever lies below. */
  dropBefore(offset: number): void {
    if (offset <= this.startOffset) return;
    const { list } = this;
    const gone = this.indexAt(offset);
    for (let index = 0; index < gone; index++) this.count(list[index]!, -1);
    const cut = list[gone];
    if (cut !== undefined && cut.first < offset) {
      this.count(cut, -1);
      cut.first = offset;
      this.count(cut, 1);
    }
    list.splice(0, gone);
    this.startOffset = offset;
    this.endOffset = Math.max(this.endOffset, offset);
    this.dropFinished();
  }

  /** The first run that ends at or after `offset`. */
  private indexAt(offset: number): number {
    let from = 0;
    let end = this.list.length;
    while (from < end) {
      const middle = (from + end) >> 1;
      if (this.list[middle]!.last < offset) from = middle + 1;
      else end = middle;
    }
    return from;
  }

  private count(run: ShareRun<Pending>, sign: 1 | -1): void {
    const size = sign * (run.last - run.first + 1);
    if (run.state === deliveryStates.available) {
      this.available += size;
      if (sign === 1 && run.first < this.availableFrom) this.availableFrom = run.first;
    } else if (isFinalState(run.state)) this.finished += size;
    const { memberId } = run;
    if (memberId === null) return;
    const held = (this.heldCounts.get(memberId) ?? 0) + size;
    if (held === 0) this.heldCounts.delete(memberId);
    else this.heldCounts.set(memberId, held);
  }
}

/** One run where both say the same. */
function pushJoined<Pending>(runs: ShareRun<Pending>[], run: ShareRun<Pending>): void {
  const last = runs[runs.length - 1];
  const isSame =
    last !== undefined &&
    last.pending === null &&
    run.pending === null &&
    last.state === run.state &&
    last.deliveryCount === run.deliveryCount &&
    last.memberId === run.memberId &&
    last.lockUntilMs === run.lockUntilMs;
  if (isSame) last.last = run.last;
  else runs.push(run);
}
