// Fetches from one leader for some of the partitions that it leads: one request at a time, in a session, whose answer is appended in the turn in
// which it comes. The next request leaves when those records are written: what it asks for is an acknowledgement of all before.
//
//   asking → writing: an answer     writing → asking: written     asking → pausing: no answer, or nothing to ask
//   pausing → asking: time, or a partition came
import type { Clock, Logger, TimerHandle, Timers, Uuid } from "@blumfeld/core/base";
import { ApiKey, ErrorCode, errorOf, type FetchResponse } from "@blumfeld/core/protocol";
import { type FetchedSpan, FetchSessionClient } from "@blumfeld/core/replication";
import type { PeerAddress, Peers } from "../peers/peers.ts";
import type { FetchEntry } from "./fetch-entry.ts";

/** Settings that may change while it runs. */
export interface FetcherSettings {
  readonly waitMsMax: () => number;
  readonly bytesMin: () => number;
  /** Of one partition, and of an answer. */
  readonly bytesMax: () => number;
  readonly responseBytesMax: () => number;
  readonly backoffMs: () => number;
  /** replica.socket.timeout.ms: a leader that does not answer for so long is taken for gone. */
  readonly timeoutMs: () => number;
}

export interface ReplicaFetcherParts {
  readonly nodeId: number;
  readonly brokerEpoch: () => number;
  readonly peers: Peers;
  /** Null where the metadata has no address of it. */
  readonly addressOf: (brokerId: number) => PeerAddress | null;
  readonly settings: FetcherSettings;
  readonly isHeldBack: (entry: FetchEntry) => boolean;
  readonly onBytes: (entry: FetchEntry, bytes: number) => void;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}

/** How often a partition that the throttle holds back is looked at again. */
export const heldBackRetryMs = 100;

const latestTimestamp = -1n;
const earliestLocalTimestamp = -4n;

export class ReplicaFetcher {
  readonly leaderId: number;
  readonly lane: string;
  private readonly parts: ReplicaFetcherParts;
  private readonly session = new FetchSessionClient<FetchEntry>();
  private readonly byTopic = new Map<Uuid, Map<number, FetchEntry>>();
  /** Not to be asked for before their time; looked at before each request. */
  private readonly delayed = new Set<FetchEntry>();
  private isRunning = false;
  private isClosed = false;
  private wake: (() => void) | null = null;
  private hasFailed = false;
  /** Got records with the last answer. */
  private appended: FetchEntry[] = [];

  constructor(leaderId: number, fetcherId: number, parts: ReplicaFetcherParts) {
    this.leaderId = leaderId;
    this.lane = `replica-${fetcherId}`;
    this.parts = parts;
  }

  get size(): number {
    return this.session.keyCount;
  }

  entries(): IterableIterator<FetchEntry> {
    return this.session.keys();
  }

  add(entry: FetchEntry): void {
    const { index, topicId } = entry.partition;
    let entries = this.byTopic.get(topicId);
    if (entries === undefined) {
      entries = new Map();
      this.byTopic.set(topicId, entries);
    }
    entries.set(index, entry);
    entry.begin();
    this.session.add(entry);
    if (!this.isRunning) this.start();
    else this.wake?.();
  }

  remove(entry: FetchEntry): void {
    const { index, topicId } = entry.partition;
    this.session.remove(entry);
    this.delayed.delete(entry);
    const entries = this.byTopic.get(topicId);
    if (entries?.get(index) !== entry) return;
    entries.delete(index);
    if (entries.size === 0) this.byTopic.delete(topicId);
  }

  close(): void {
    this.isClosed = true;
    this.wake?.();
  }

  private start(): void {
    if (this.isClosed) return;
    this.isRunning = true;
    // Those that come in this turn go with the first request.
    this.parts.timers.atTurnEnd(() => {
      void this.run().catch((error: unknown) => {
        this.isRunning = false;
        this.parts.logger.error(
          { leader: this.leaderId, err: error },
          `a replica fetcher failed: ${error instanceof Error ? error.stack : String(error)}`,
        );
        if (!this.isClosed) this.parts.timers.after(this.parts.settings.backoffMs(), () => this.startAgain());
      });
    });
  }

  private startAgain(): void {
    this.session.reset(true);
    if (!this.isRunning && this.session.keyCount > 0) this.start();
  }

  private async run(): Promise<void> {
    while (!this.isClosed && this.session.keyCount > 0) {
      const leader = this.parts.addressOf(this.leaderId);
      if (leader === null) {
        await this.pause(this.parts.settings.backoffMs());
        continue;
      }
      const request = this.nextRequest();
      if (request === null) {
        await this.pause(this.nextReadyMs());
        continue;
      }
      const answer = await this.ask(leader, request);
      if (answer === null) {
        await this.pause(this.parts.settings.backoffMs());
        continue;
      }
      const out = this.onAnswer(answer);
      await this.written();
      if (out.length > 0) await this.resolve(leader, out);
    }
    this.isRunning = false;
  }

  // --- asking ------------------------------------------------------------------------------------

  private nextRequest() {
    const { brokerEpoch, clock, nodeId, settings } = this.parts;
    const nowMs = clock.monotonicMs();
    for (const entry of this.delayed) {
      if (entry.position.readyAtMs > nowMs) continue;
      this.delayed.delete(entry);
      this.session.touch(entry);
    }
    const bytesMax = settings.bytesMax();
    const { forgotten, named, sessionEpoch, sessionId } = this.session.request((entry) =>
      this.spanOf(entry, nowMs, bytesMax),
    );
    if (this.session.toldCount === 0) {
      this.session.reset(true);
      return null;
    }
    return {
      replicaState: { replicaId: nodeId, replicaEpoch: brokerEpoch() },
      maxWaitMs: settings.waitMsMax(),
      minBytes: settings.bytesMin(),
      maxBytes: settings.responseBytesMax(),
      ...{ sessionId, sessionEpoch },
      topics: this.byTopicId(named, ({ key }) => key).map(([topicId, spans]) => ({
        topicId,
        partitions: spans.map(({ key, span }) => ({
          partition: key.partition.index,
          currentLeaderEpoch: span.leaderEpoch,
          fetchOffset: span.fetchOffset,
          lastFetchedEpoch: span.lastFetchedEpoch,
          logStartOffset: span.logStartOffset,
          partitionMaxBytes: span.bytesMax,
        })),
      })),
      forgottenTopicsData: this.byTopicId(forgotten, (key) => key).map(([topicId, keys]) => ({
        topicId,
        partitions: keys.map(({ partition }) => partition.index),
      })),
    };
  }

  private byTopicId<Item>(items: readonly Item[], keyOf: (item: Item) => FetchEntry): [Uuid, Item[]][] {
    const byId = new Map<Uuid, Item[]>();
    for (const item of items) {
      const { topicId } = keyOf(item).partition;
      const known = byId.get(topicId);
      if (known === undefined) byId.set(topicId, [item]);
      else known.push(item);
    }
    return [...byId];
  }

  private spanOf(entry: FetchEntry, nowMs: number, bytesMax: number): FetchedSpan | null {
    const { log, position } = entry;
    if (log === null || position.state === "fenced" || position.state === "failed") return null;
    if (!entry.isReady(nowMs)) {
      this.delayed.add(entry);
      return null;
    }
    // Only who is behind is held back.
    if (entry.lagOffsets !== 0 && this.parts.isHeldBack(entry)) {
      entry.delay(heldBackRetryMs);
      this.delayed.add(entry);
      return null;
    }
    const { fetchOffset, lastFetchedEpoch, leaderEpoch } = position;
    return { fetchOffset, lastFetchedEpoch, leaderEpoch, logStartOffset: log.logStartOffset, bytesMax };
  }

  private async ask(leader: PeerAddress, request: NonNullable<ReturnType<ReplicaFetcher["nextRequest"]>>) {
    const { logger, peers, settings } = this.parts;
    try {
      const timeoutMs = settings.timeoutMs();
      const answer = await peers.request(leader, ApiKey.Fetch, request, { timeoutMs, lane: this.lane });
      if (this.hasFailed) logger.info({ leader: this.leaderId }, "a leader answers again");
      this.hasFailed = false;
      return answer;
    } catch (error) {
      if (!this.hasFailed && !this.isClosed)
        logger.warn({ leader: this.leaderId, error: String(error) }, "a leader does not answer; asked again");
      this.hasFailed = true;
      this.session.reset(true);
      return null;
    }
  }

  // --- answers -----------------------------------------------------------------------------------

  /** Returns the partitions that the leader found out of range. */
  private onAnswer(answer: FetchResponse): FetchEntry[] {
    const { errorCode, responses, sessionId } = answer;
    if (errorCode !== ErrorCode.NONE) {
      this.parts.logger.info(
        { leader: this.leaderId, error: errorOf(errorCode).name },
        "a leader ended the fetch session; another is begun",
      );
      this.session.reset(errorCode !== ErrorCode.FETCH_SESSION_ID_NOT_FOUND);
      return [];
    }
    this.session.onAnswer(sessionId);
    const outOfRange: FetchEntry[] = [];
    for (const { partitions, topicId } of responses) {
      const entries = this.byTopic.get(topicId);
      if (entries === undefined) continue;
      for (const fetched of partitions) {
        const entry = entries.get(fetched.partitionIndex);
        if (entry === undefined || !this.session.isTold(entry)) continue;
        const bytes = entry.onFetched(fetched);
        if (bytes > 0) {
          this.appended.push(entry);
          this.parts.onBytes(entry, bytes);
        }
        if (entry.position.state === "resolving") outOfRange.push(entry);
        this.session.touch(entry);
      }
    }
    return outOfRange;
  }

  /** After the write turn, and after the thread pool where a disk is slow. */
  private async written(): Promise<void> {
    await new Promise<void>((resolve) => this.parts.timers.atTurnEnd(resolve));
    const waits: Promise<void>[] = [];
    for (const entry of this.appended.splice(0)) {
      const { partition } = entry;
      const { log } = partition;
      if (log === null || (!partition.isWriting && !log.hasPending)) continue;
      const requiredOffset = log.logEndOffset;
      waits.push(
        new Promise((resolve) =>
          partition.wait({ requiredOffset, needsCommit: false, onAppendDone: () => this.onWritten(entry, resolve) }),
        ),
      );
    }
    if (waits.length > 0) await Promise.all(waits);
  }

  /** A write that failed has taken its records back. */
  private onWritten(entry: FetchEntry, resolve: () => void): void {
    const { log, position } = entry;
    if (log !== null && position.state === "fetching") {
      position.fetchOffset = log.logEndOffset;
      position.lastFetchedEpoch = log.latestLeaderEpoch;
      this.session.touch(entry);
    }
    resolve();
  }

  /** Asks the leader where the logs of these partitions begin and end, and has them follow. */
  private async resolve(leader: PeerAddress, entries: readonly FetchEntry[]): Promise<void> {
    const ends = await this.listOffsets(leader, entries, latestTimestamp);
    const starts = ends === null ? null : await this.listOffsets(leader, entries, earliestLocalTimestamp);
    for (const entry of entries) {
      const endOffset = ends?.get(entry);
      const startOffset = starts?.get(entry);
      if (endOffset === undefined || startOffset === undefined) entry.onNoRange();
      else entry.onLeaderRange({ startOffset, endOffset });
      this.session.touch(entry);
    }
  }

  private async listOffsets(
    leader: PeerAddress,
    entries: readonly FetchEntry[],
    timestamp: bigint,
  ): Promise<Map<FetchEntry, number> | null> {
    const { nodeId, peers, settings } = this.parts;
    const byName = new Map<string, FetchEntry[]>();
    for (const entry of entries)
      byName.set(entry.partition.topic, [...(byName.get(entry.partition.topic) ?? []), entry]);
    const topics = Array.from(byName, ([name, some]) => ({
      name,
      partitions: some.map(({ partition, position }) => ({
        partitionIndex: partition.index,
        currentLeaderEpoch: position.leaderEpoch,
        timestamp,
      })),
    }));
    try {
      const options = { timeoutMs: settings.timeoutMs(), lane: this.lane };
      const answer = await peers.request(leader, ApiKey.ListOffsets, { replicaId: nodeId, topics }, options);
      const found = new Map<FetchEntry, number>();
      for (const { name, partitions } of answer.topics) {
        for (const { errorCode, offset, partitionIndex } of partitions) {
          const entry = byName.get(name)?.find(({ partition }) => partition.index === partitionIndex);
          if (entry !== undefined && errorCode === ErrorCode.NONE) found.set(entry, Number(offset));
        }
      }
      return found;
    } catch {
      return null;
    }
  }

  // --- pausing -----------------------------------------------------------------------------------

  private nextReadyMs(): number {
    const { clock, settings } = this.parts;
    const nowMs = clock.monotonicMs();
    let untilMs = nowMs + settings.backoffMs();
    for (const { position } of this.delayed) untilMs = Math.min(untilMs, position.readyAtMs);
    return Math.max(1, untilMs - nowMs);
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        handle.cancel();
        this.wake = null;
        resolve();
      };
      const handle: TimerHandle = this.parts.timers.after(ms, finish);
      this.wake = finish;
    });
  }
}
