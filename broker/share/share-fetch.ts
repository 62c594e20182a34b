// One ShareFetch on its way: what of each partition its member may have is read, acquired and named; a fetch that finds nothing waits for records, for
// those that come back, or for its deadline. Its bytes are the answer's.
import type { AcquiredRange } from "@blumfeld/core/coordinator";
import { ErrorCode, type ShareFetchRequest } from "@blumfeld/core/protocol";
import { WheelTimer } from "@blumfeld/host/process";
import { FetchItem } from "../fetch/fetch-item.ts";
import { planFetch } from "../fetch/fetch-plan.ts";
import { readItems } from "../fetch/fetch-read.ts";
import type { WaitingFetch } from "../partition/waiting.ts";
import type { BrokerParts } from "../parts.ts";
import type { ConnectionContext } from "../request-context.ts";
import type { HostedSharePartition, ShareWaiter } from "./hosted-partition.ts";
import { abortedRanges, fetchedBatches, rangesWithout } from "./share-batches.ts";
import type { FoundShare } from "./share-broker.ts";
import type { ShareSessionItem } from "./share-session.ts";

/** Read of one partition at a time: a poll's records rarely need more, and what is read in vain costs. */
export const shareReadBytesMax = 1024 * 1024;
export const shareFetchWaitMsMax = 300_000;
const acquireModeRecordLimit = 1;
const noBytes = Buffer.alloc(0);

export class ShareFetchItem {
  readonly item: ShareSessionItem;
  readonly topic: string;
  readonly hosted: HostedSharePartition | null;
  errorCode: number;
  records: Buffer = noBytes;
  acquired: readonly AcquiredRange[] = [];
  wasLookedAt = false;

  constructor(item: ShareSessionItem, found: FoundShare) {
    this.item = item;
    this.topic = found.topic;
    this.hosted = "hosted" in found ? found.hosted : null;
    this.errorCode = "hosted" in found ? ErrorCode.NONE : found.errorCode;
  }
}

export interface ShareFetchAsk {
  readonly memberId: string;
  readonly request: ShareFetchRequest;
  readonly isReadCommitted: boolean;
  readonly connection: ConnectionContext;
  readonly onSent: (callback: () => void) => void;
}

export class ShareFetch extends WheelTimer implements WaitingFetch, ShareWaiter {
  private readonly parts: BrokerParts;
  private readonly ask: ShareFetchAsk;
  private readonly items: readonly ShareFetchItem[];
  private readonly done: () => void;
  private readonly failed: (error: unknown) => void;
  private isParked = false;
  private isReading = false;
  private isDone = false;
  private acquiredCount = 0;
  private forgetClose: (() => void) | null = null;

  private constructor(
    parts: BrokerParts,
    ask: ShareFetchAsk,
    items: readonly ShareFetchItem[],
    done: () => void,
    failed: (error: unknown) => void,
  ) {
    super();
    this.parts = parts;
    this.ask = ask;
    this.items = items;
    this.done = done;
    this.failed = failed;
  }

  /** Resolves once the items hold what the answer is to have. */
  static run(parts: BrokerParts, ask: ShareFetchAsk, items: readonly ShareFetchItem[]): Promise<void> {
    return new Promise((resolve, reject) => new ShareFetch(parts, ask, items, resolve, reject).begin());
  }

  private begin(): void {
    const waitMs = Math.min(this.ask.request.maxWaitMs, shareFetchWaitMsMax);
    if (this.items.length === 0) return this.finish();
    this.forgetClose = this.ask.connection.whenClosed(() => this.finish());
    if (waitMs > 0) this.parts.requestWheel.set(this, waitMs);
    this.park();
    this.look();
    if (waitMs <= 0 && !this.isReading) this.finish();
  }

  private park(): void {
    this.isParked = true;
    for (const { hosted } of this.items) {
      if (hosted === null) continue;
      hosted.waiting.add(this);
      hosted.partition.park(this);
      if (hosted.state === null) void hosted.loaded.then(() => this.onReadable());
    }
  }

  onReadable(): void {
    if (!this.isDone && !this.isReading) this.look();
  }

  override onDeadline(): void {
    if (!this.isReading) this.finish();
    else this.isOverdue = true;
  }

  private isOverdue = false;

  private finish(): void {
    if (this.isDone) return;
    this.isDone = true;
    if (this.isParked) {
      for (const { hosted } of this.items) {
        hosted?.waiting.delete(this);
        hosted?.partition.unpark(this);
      }
    }
    this.parts.requestWheel.cancel(this);
    this.forgetClose?.();
    this.done();
  }

  // --- reading -----------------------------------------------------------------------------------

  private look(): void {
    const reads: { readonly share: ShareFetchItem; readonly fetch: FetchItem }[] = [];
    let hasError = false;
    for (const share of this.items) {
      const fetch = this.fetchItemOf(share);
      if (share.errorCode !== ErrorCode.NONE) hasError = true;
      if (fetch !== null) reads.push({ share, fetch });
    }
    const available = Math.min(this.ask.request.maxBytes, this.parts.responseBuffers.availableBytes);
    const bounds = {
      bytesMax: available,
      isReadCommitted: this.ask.isReadCommitted,
      replicaId: -1,
      onlyFromLeader: true,
    };
    const fetches = reads.map(({ fetch }) => fetch);
    const { bytes } = planFetch(fetches, bounds);
    for (const { share, fetch } of reads) if (this.noteProblem(share, fetch)) hasError = true;
    if (bytes === 0) {
      if (hasError) this.finish();
      return;
    }
    const found = reads.filter(({ fetch }) => fetch.slice !== null);
    const { responseBuffers } = this.parts;
    const buffer = responseBuffers.take(bytes);
    const reading = readItems(fetches, buffer, this.parts);
    const end = (): void => {
      for (const { share } of found) share.hosted!.isBusy = false;
      let isAny = false;
      for (const { share, fetch } of found) if (this.acquire(share, fetch)) isAny = true;
      this.isReading = false;
      if (isAny) this.ask.onSent(() => responseBuffers.give(buffer));
      else responseBuffers.give(buffer);
      if (isAny || hasError || this.isOverdue) this.finish();
    };
    if (reading === null) return end();
    this.isReading = true;
    for (const { share } of found) share.hosted!.isBusy = true;
    reading.then(end, (error: unknown) => {
      for (const { share } of found) share.hosted!.isBusy = false;
      this.isDone = true;
      this.failed(error);
    });
  }

  /** What is to be read of the partition; null where there is nothing to give now. */
  private fetchItemOf(share: ShareFetchItem): FetchItem | null {
    const { hosted } = share;
    if (hosted === null) return null;
    if (hosted.isClosed || hosted.state === null) {
      if (hosted.isClosed) share.errorCode = ErrorCode.NOT_LEADER_OR_FOLLOWER;
      else share.errorCode = hosted.errorCode;
      return null;
    }
    share.wasLookedAt = true;
    if (hosted.isBusy) return null;
    const { partition, state } = hosted;
    state.moveStart(partition.log?.logStartOffset ?? 0);
    if (!state.canAcquire(hosted.limits)) return null;
    const fetch = new FetchItem(share.topic, share.item.topicId, share.item.partition);
    fetch.partition = partition;
    fetch.fetchOffset = state.nextFetchOffset();
    fetch.bytesMax = shareReadBytesMax;
    return fetch;
  }

  private noteProblem(share: ShareFetchItem, fetch: FetchItem): boolean {
    const { errorCode } = fetch;
    // The log was cut back behind what was delivered: there will be more by and by.
    if (errorCode === ErrorCode.NONE || errorCode === ErrorCode.OFFSET_OUT_OF_RANGE) return false;
    share.errorCode = errorCode;
    return true;
  }

  private acquire(share: ShareFetchItem, fetch: FetchItem): boolean {
    const { records } = fetch;
    const { hosted } = share;
    if (this.noteProblem(share, fetch) || records === null || hosted?.state == null || this.isDone) return false;
    const { memberId, request } = this.ask;
    const batches = fetchedBatches(records, fetch.fetchOffset);
    const left = request.maxRecords - this.acquiredCount;
    if (batches.length === 0 || left <= 0) return false;
    const now = this.parts.clock.monotonicMs();
    const acquired = hosted.state.acquire(
      {
        memberId,
        batches,
        fetchOffset: fetch.fetchOffset,
        recordCountMax: left,
        batchRecordCount: request.batchSize,
        isStrict: request.shareAcquireMode === acquireModeRecordLimit,
      },
      hosted.limits,
      now,
    );
    hosted.timeLocks();
    const hidden = fetch.abortedTransactions?.length ? abortedRanges(records, batches, fetch.abortedTransactions) : [];
    share.acquired = hidden.length === 0 ? acquired : this.withoutHidden(hosted, acquired, hidden);
    this.acquiredCount += countOf(share.acquired);
    const first = share.acquired[0];
    const last = share.acquired[share.acquired.length - 1];
    if (first === undefined || last === undefined) return false;
    const from = batches.find((batch) => batch.last >= first.firstOffset)?.position ?? 0;
    let to = from;
    for (const batch of batches) if (batch.first <= last.lastOffset) to = batch.end;
    share.records = records.subarray(from, to);
    return true;
  }

  /** Records of aborted transactions are finished at once, for everybody. */
  private withoutHidden(
    hosted: HostedSharePartition,
    acquired: readonly AcquiredRange[],
    hidden: readonly { readonly first: number; readonly last: number }[],
  ): AcquiredRange[] {
    const own: { first: number; last: number }[] = [];
    for (const { firstOffset, lastOffset } of acquired) {
      for (const { first, last } of hidden) {
        const range = { first: Math.max(first, firstOffset), last: Math.min(last, lastOffset) };
        if (range.first <= range.last) own.push(range);
      }
    }
    const transition = hosted.state!.archive(own);
    if (transition !== null) void hosted.persist(transition);
    return rangesWithout(acquired, hidden);
  }
}

function countOf(acquired: readonly AcquiredRange[]): number {
  let count = 0;
  for (const { firstOffset, lastOffset } of acquired) count += lastOffset - firstOffset + 1;
  return count;
}
