// Keeps the assigned partitions filled, ahead of what the program has taken, within the byte budget. Looks up positions that are not known.
// Decodes nothing.
//
// A fetch that finds nothing waits at the broker, and the requests behind it on its connection wait with it. So each broker has two lanes, a
// session and a connection each: while the first waits, a partition that was sought or used up meanwhile is fetched by the second, which
// waits only briefly.

import { uuidZero } from "@blumfeld/core/base";
import { numberFromInt64, topicPartitionKey } from "@blumfeld/core/model";
import { ApiKey, ErrorCode, errorOf, type FetchResponse } from "@blumfeld/core/protocol";
import type { ClusterClient } from "../connection/cluster-client.ts";
import { clientError, errorFromCode, KafkaError } from "../errors.ts";
import { lookUpOffsets, offsetSpecs } from "../offset-lookup.ts";
import type { AssignedPartition, ResetTarget } from "./assigned-partition.ts";
import { FetchSession, type FetchTarget } from "./fetch-session.ts";
import type { ResolvedConsumerOptions } from "./options.ts";

type PartitionData = FetchResponse["responses"][number]["partitions"][number];

interface FetchLane {
  readonly nodeId: number;
  readonly lane: "fetch" | "fetch-second";
  session: FetchSession;
  isBusy: boolean;
}

interface Flight {
  readonly partition: AssignedPartition;
  readonly generation: number;
}

const versionWithTopicIds = 13;
/** A partition is asked for more while it has less than this many times partitionBytesMax buffered. */
const prefetchDepth = 2;
/** The second lane waits this many times less than fetchWaitMsMax. */
const secondLaneHaste = 10;

export class Fetcher {
  readonly partitions = new Map<string, AssignedPartition>();
  readonly #cluster: ClusterClient;
  readonly #options: ResolvedConsumerOptions;
  readonly #onData: () => void;
  readonly #lanes = new Map<number, readonly [FetchLane, FetchLane]>();
  readonly #abort = new AbortController();
  readonly #stopListening: () => void;
  #bufferedBytes = 0;
  /** Asked for and not yet here. */
  #requestedBytes = 0;
  #isScheduled = false;
  #closed = false;
  /** What the program must hear; cleared when it has. */
  error: KafkaError | null = null;

  constructor(cluster: ClusterClient, options: ResolvedConsumerOptions, onData: () => void) {
    this.#cluster = cluster;
    this.#options = options;
    this.#onData = onData;
    this.#stopListening = cluster.metadata.onUpdate(() => this.schedule());
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /** Something changed: positions, pauses, room. Looks for what to fetch at the end of the turn. */
  schedule(): void {
    if (this.#isScheduled || this.#closed) return;
    this.#isScheduled = true;
    this.#cluster.context.timers.atTurnEnd(() => {
      this.#isScheduled = false;
      if (!this.#closed) this.#pump();
    });
  }

  /** Bytes that were handed out or dropped. */
  freed(bytes: number): void {
    this.#bufferedBytes -= bytes;
    this.schedule();
  }

  /** Ends the sessions and whatever is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#stopListening();
    this.#abort.abort(clientError("CLIENT_CLOSED", "the consumer is closed"));
    for (const lane of [...this.#lanes.values()].flat()) {
      const session = lane.session.closing();
      const connection = this.#cluster.readyConnection(lane.nodeId, lane.lane);
      if (session === null || connection === null || lane.isBusy) continue;
      const body = { ...session, maxWaitMs: 0, minBytes: 0, maxBytes: 0 };
      await connection.request(ApiKey.Fetch, body, { timeoutMs: 1000 }).catch(() => {});
    }
  }

  #pump(): void {
    const { clock, deadlines } = this.#cluster.context;
    const now = clock.monotonicMs();
    const byNode = new Map<number, AssignedPartition[]>();
    const toReset: AssignedPartition[] = [];
    for (const partition of this.partitions.values()) {
      const isWanted = partition.reset === null ? this.#isFetchable(partition) : !partition.isResetting;
      if (!isWanted) continue;
      if (partition.notBeforeMs > now) {
        deadlines.after(partition.notBeforeMs - now, () => this.schedule());
        continue;
      }
      if (partition.reset !== null) {
        toReset.push(partition);
        continue;
      }
      const nodeId = this.#nodeFor(partition, now);
      if (nodeId < 0) continue;
      const group = byNode.get(nodeId);
      if (group === undefined) byNode.set(nodeId, [partition]);
      else group.push(partition);
    }
    if (toReset.length > 0) void this.#reset(toReset);
    for (const [nodeId, partitions] of byNode) {
      const lane = this.#lanesOf(nodeId).find(({ isBusy }) => !isBusy);
      if (lane !== undefined) void this.#fetch(lane, partitions);
    }
  }

  #isFetchable(partition: AssignedPartition): boolean {
    if (partition.isPaused || partition.isFetching || partition.isStarting) return false;
    if (partition.fetchOffset < 0) {
      this.#fail(clientError("CLIENT_NO_POSITION", `${partition.key} has no position and autoOffsetReset is none`));
      partition.notBeforeMs = this.#cluster.context.clock.monotonicMs() + this.#cluster.context.options.retryBackoffMs;
      return false;
    }
    return partition.bufferedBytes < this.#options.partitionBytesMax * prefetchDepth;
  }

  #lanesOf(nodeId: number): readonly [FetchLane, FetchLane] {
    let lanes = this.#lanes.get(nodeId);
    if (lanes === undefined) {
      lanes = [
        { nodeId, lane: "fetch", session: new FetchSession(), isBusy: false },
        { nodeId, lane: "fetch-second", session: new FetchSession(), isBusy: false },
      ];
      this.#lanes.set(nodeId, lanes);
    }
    return lanes;
  }

  /** The leader, or the follower that it named; -1 while none is known. */
  #nodeFor(partition: AssignedPartition, now: number): number {
    const { metadata } = this.#cluster;
    if (partition.preferredReplica >= 0) {
      const isGood = partition.preferredReplicaUntilMs > now && metadata.brokers.has(partition.preferredReplica);
      if (isGood) return partition.preferredReplica;
      partition.preferredReplica = -1;
    }
    metadata.touch(partition.topic);
    const leaderId = metadata.partition(partition.topic, partition.partition)?.leaderId ?? -1;
    if (leaderId >= 0) return leaderId;
    const refusal = metadata.refusal(partition.topic);
    if (refusal !== undefined && !refusal.retriable) this.#fail(refusal);
    metadata.requestRefresh();
    return -1;
  }

  async #fetch(lane: FetchLane, partitions: readonly AssignedPartition[]): Promise<void> {
    const { fetchBytesMin, fetchWaitMsMax, fetchBytesMax, partitionBytesMax, bufferBytes } = this.#options;
    const room = bufferBytes - this.#bufferedBytes - this.#requestedBytes;
    if (room <= 0) return;
    const maxBytes = Math.min(fetchBytesMax, room);
    const flights = new Map<string, Flight>();
    const targets: FetchTarget[] = partitions.map((partition) => {
      flights.set(partition.key, { partition, generation: partition.generation });
      partition.isFetching = true;
      return {
        topic: partition.topic,
        topicId: this.#cluster.metadata.topic(partition.topic)?.id ?? uuidZero,
        partition: partition.partition,
        fetchOffset: partition.fetchOffset,
        leaderEpoch: this.#cluster.metadata.partition(partition.topic, partition.partition)?.leaderEpoch ?? -1,
        bytesMax: partitionBytesMax,
      };
    });
    lane.isBusy = true;
    const expectedBytes = Math.min(maxBytes, partitionBytesMax * targets.length);
    this.#requestedBytes += expectedBytes;
    try {
      const connection = await this.#cluster.connection(lane.nodeId, lane.lane, this.#abort.signal);
      const body = {
        maxWaitMs: lane.lane === "fetch" ? fetchWaitMsMax : Math.ceil(fetchWaitMsMax / secondLaneHaste),
        minBytes: fetchBytesMin,
        maxBytes,
        isolationLevel: this.#options.isReadCommitted ? 1 : 0,
        rackId: this.#options.rack,
        ...lane.session.build(targets),
      };
      const versionMax = lane.session.hasAllTopicIds ? undefined : versionWithTopicIds - 1;
      const timeoutMs = this.#cluster.context.options.requestTimeoutMs + fetchWaitMsMax;
      const answer = await connection.request(ApiKey.Fetch, body, { versionMax, timeoutMs });
      this.#requestedBytes -= expectedBytes;
      this.#land(flights);
      if (!this.#closed) this.#onAnswer(lane, flights, answer.body);
    } catch (error) {
      this.#requestedBytes -= expectedBytes;
      this.#land(flights);
      this.#onFailure(lane, flights, error);
    } finally {
      lane.isBusy = false;
      this.schedule();
    }
  }

  #land(flights: ReadonlyMap<string, Flight>): void {
    for (const { partition, generation } of flights.values()) {
      // Sought meanwhile: another fetch may be under way for it.
      if (partition.generation === generation) partition.isFetching = false;
    }
  }

  #onFailure(lane: FetchLane, flights: ReadonlyMap<string, Flight>, error: unknown): void {
    if (this.#closed) return;
    if (!(error instanceof KafkaError)) throw error;
    lane.session.onFailure();
    if (!error.retriable) return this.#fail(error);
    this.#cluster.metadata.requestRefresh();
    this.#delay(flights, (flight) => {
      flight.partition.preferredReplica = -1;
    });
  }

  #delay(flights: ReadonlyMap<string, Flight>, also?: (flight: Flight) => void): void {
    const { clock, options } = this.#cluster.context;
    for (const flight of flights.values()) {
      flight.partition.notBeforeMs = clock.monotonicMs() + options.retryBackoffMs;
      also?.(flight);
    }
  }

  #onAnswer(lane: FetchLane, flights: ReadonlyMap<string, Flight>, answer: FetchResponse): void {
    if (!lane.session.onAnswer(answer.errorCode, answer.sessionId)) {
      const { retriable } = errorOf(answer.errorCode);
      if (!retriable) this.#fail(errorFromCode(answer.errorCode, "Fetch"));
      if (answer.errorCode !== ErrorCode.FETCH_SESSION_ID_NOT_FOUND) {
        this.#cluster.metadata.requestRefresh();
        this.#delay(flights);
      }
      return;
    }
    let hasData = false;
    for (const response of answer.responses) {
      const topic = response.topic !== "" ? response.topic : lane.session.topicName(response.topicId);
      if (topic === undefined) continue;
      for (const data of response.partitions) {
        const flight = flights.get(topicPartitionKey(topic, data.partitionIndex));
        if (flight === undefined || flight.partition.isRevoked) continue;
        if (flight.partition.generation !== flight.generation) continue;
        hasData = this.#onPartition(flight.partition, data, answer) || hasData;
      }
    }
    if (hasData) this.#onData();
  }

  /** True where there is something new for the program. */
  #onPartition(partition: AssignedPartition, data: PartitionData, answer: FetchResponse): boolean {
    if (data.errorCode !== ErrorCode.NONE) {
      this.#onPartitionError(partition, data, answer);
      return false;
    }
    if (data.preferredReadReplica >= 0) {
      const { clock, options } = this.#cluster.context;
      partition.preferredReplica = data.preferredReadReplica;
      partition.preferredReplicaUntilMs = clock.monotonicMs() + options.metadataAgeMsMax;
    }
    const aborted = (data.abortedTransactions ?? []).map(({ producerId, firstOffset }) => ({
      producerId: Number(producerId),
      firstOffset: Number(firstOffset),
    }));
    const added = partition.addRecords(data.records ?? Buffer.alloc(0), aborted, {
      highWatermark: numberFromInt64(data.highWatermark) ?? -1,
      lastStableOffset: numberFromInt64(data.lastStableOffset) ?? -1,
      logStartOffset: numberFromInt64(data.logStartOffset) ?? -1,
    });
    if (added instanceof KafkaError) {
      this.#fail(added);
      this.#delay(new Map([["", { partition, generation: 0 }]]));
      return false;
    }
    this.#bufferedBytes += added;
    // Told without records too: an end that moved back or a high watermark may be what the program waits for.
    return true;
  }

  #onPartitionError(partition: AssignedPartition, data: PartitionData, answer: FetchResponse): void {
    const { clock, options } = this.#cluster.context;
    const error = errorFromCode(data.errorCode, `${partition.key} at offset ${partition.fetchOffset}`);
    partition.notBeforeMs = clock.monotonicMs() + options.retryBackoffMs;
    if (data.errorCode === ErrorCode.OFFSET_OUT_OF_RANGE) return this.#outOfRange(partition, error);
    const { leaderId, leaderEpoch } = data.currentLeader;
    const endpoint = answer.nodeEndpoints.find(({ nodeId }) => nodeId === leaderId) ?? null;
    const hint = { leaderId, leaderEpoch, endpoint };
    if (this.#cluster.metadata.applyLeaderHint(partition.topic, partition.partition, hint)) partition.notBeforeMs = 0;
    else if (error.retriable) this.#cluster.metadata.requestRefresh();
    partition.preferredReplica = -1;
    if (!error.retriable || data.errorCode === ErrorCode.CORRUPT_MESSAGE) this.#fail(error);
  }

  /** Of a follower it may only mean that it lags; of the leader that retention or a truncation took the offset away. */
  #outOfRange(partition: AssignedPartition, error: KafkaError): void {
    if (partition.preferredReplica >= 0) {
      partition.preferredReplica = -1;
      return;
    }
    // What is buffered lies before the hole and is still to be handed out.
    if (partition.hasData) return;
    const target = this.resetTarget();
    if (target === null) return this.#fail(error);
    this.#cluster.context.logger.info(
      { topic: partition.topic, partition: partition.partition, offset: partition.fetchOffset },
      "the offset is out of range: resetting",
    );
    this.freed(partition.requireReset(target));
  }

  /** What autoOffsetReset says now; null for "none". */
  resetTarget(): ResetTarget | null {
    const { autoOffsetReset } = this.#options;
    if (autoOffsetReset === "none") return null;
    if (typeof autoOffsetReset === "string") return autoOffsetReset;
    return { timestamp: this.#cluster.context.clock.wallMs() - autoOffsetReset.byDurationMs };
  }

  async #reset(partitions: readonly AssignedPartition[]): Promise<void> {
    const asked = partitions.map((partition) => ({ partition, generation: partition.generation }));
    for (const { partition } of asked) partition.isResetting = true;
    try {
      const questions = partitions.map(({ topic, partition, reset }) => ({
        topic,
        partition,
        timestamp: specOf(reset!),
      }));
      const { isReadCommitted } = this.#options;
      const answers = await lookUpOffsets(this.#cluster, questions, { isReadCommitted, signal: this.#abort.signal });
      const missing = asked.filter((_, index) => answers[index]!.offset < 0);
      const ends = await lookUpOffsets(
        this.#cluster,
        missing.map(({ partition }) => ({ topic: partition.topic, partition: partition.partition, timestamp: -1 })),
        { isReadCommitted, signal: this.#abort.signal },
      );
      asked.forEach(({ partition, generation }, index) => {
        if (partition.isRevoked || partition.generation !== generation) return;
        const found = answers[index]!.offset;
        // No record at or after the timestamp: what comes next is at the end.
        const at = missing.findIndex((one) => one.partition === partition);
        this.freed(partition.seek(found >= 0 ? found : ends[at]!.offset));
      });
      this.#onData();
    } catch (error) {
      if (this.#closed) return;
      if (!(error instanceof KafkaError)) throw error;
      for (const { partition, generation } of asked) {
        if (partition.generation !== generation) continue;
        partition.isResetting = false;
        partition.notBeforeMs =
          this.#cluster.context.clock.monotonicMs() + this.#cluster.context.options.retryBackoffMs;
      }
      this.#fail(error);
    }
    this.schedule();
  }

  #fail(error: KafkaError): void {
    this.error ??= error;
    this.#onData();
  }
}

function specOf(target: ResetTarget): number {
  if (target === "earliest") return offsetSpecs.earliest;
  return target === "latest" ? offsetSpecs.latest : target.timestamp;
}
