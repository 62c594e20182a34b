// The share session with one broker (KIP-932): which partitions are fetched there, the acknowledgements that go along, one request at a time with the next
// epoch each. A session that is lost takes the acquired records with it: the broker gives them to others.
import type { Uuid } from "@blumfeld/core/base";
import { ApiKey, ErrorCode, type RequestInitOf, type ResponseOf } from "@blumfeld/core/protocol";
import type { ClusterClient } from "../connection/cluster-client.ts";
import { errorFromCode, KafkaError } from "../errors.ts";
import { Acknowledgements } from "./acknowledgements.ts";
import type { ResolvedShareOptions } from "./options.ts";

export interface SharePartition {
  readonly topic: string;
  readonly topicId: Uuid;
  readonly partition: number;
}

export type ShareFetchAnswer = ResponseOf<typeof ApiKey.ShareFetch>;
type Topics = RequestInitOf<typeof ApiKey.ShareFetch>["topics"];
type Acked = SharePartition & { readonly offsets: readonly number[] };

const epochInitial = 0;
const epochFinal = -1;
const epochMax = 0x7fff_ffff;
const closeMsMax = 1000;

export const shareKey = ({ partition, topicId }: { readonly partition: number; readonly topicId: Uuid }): string =>
  `${topicId}:${partition}`;

export class ShareNode {
  readonly nodeId: number;
  isFetching = false;
  notBeforeMs = 0;
  readonly #cluster: ClusterClient;
  readonly #options: ResolvedShareOptions;
  readonly #memberId: string;
  #epoch = epochInitial;
  /** What the broker has in the session. */
  readonly #known = new Map<string, SharePartition>();
  readonly #pending = new Map<string, { readonly where: SharePartition; readonly acks: Acknowledgements }>();
  /** Requests go one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(cluster: ClusterClient, options: ResolvedShareOptions, memberId: string, nodeId: number) {
    this.#cluster = cluster;
    this.#options = options;
    this.#memberId = memberId;
    this.nodeId = nodeId;
  }

  get hasAcknowledgements(): boolean {
    return this.#pending.size > 0;
  }

  acknowledgementsOf(where: SharePartition): Acknowledgements {
    const key = shareKey(where);
    let entry = this.#pending.get(key);
    if (entry === undefined) {
      entry = { where, acks: new Acknowledgements() };
      this.#pending.set(key, entry);
    }
    return entry.acks;
  }

  /** What is there of these partitions; acknowledgements go along. Rejects where the whole request went wrong. */
  fetch(targets: readonly SharePartition[]): Promise<ShareFetchAnswer> {
    return this.#inTurn(async () => {
      // Partitions that this member has no more: what it still says of them goes first.
      const wanted = new Map(targets.map((target) => [shareKey(target), target]));
      if (this.#epoch !== epochInitial && [...this.#pending.keys()].some((key) => !wanted.has(key)))
        await this.#acknowledge(this.#epoch, false);
      return this.#fetch(wanted);
    });
  }

  /** Sends what was acknowledged. Rejects with the first refusal. */
  commit(): Promise<void> {
    if (!this.hasAcknowledgements) return Promise.resolve();
    return this.#inTurn(() => this.#acknowledge(this.#epoch, false));
  }

  renew(where: SharePartition, offset: number): Promise<void> {
    return this.#inTurn(async () => {
      const acks = new Acknowledgements();
      acks.set(offset, "renew");
      await this.#sendAcknowledgements([{ where, acks }], this.#epoch, true);
    });
  }

  /** Says what is left to say and ends the session: what is still acquired is released. */
  async close(): Promise<void> {
    if (this.#epoch === epochInitial) return;
    const ready = this.#cluster.readyConnection(this.nodeId, "fetch");
    if (ready === null) return;
    await this.#inTurn(() => this.#acknowledge(epochFinal, false, closeMsMax)).catch(() => {});
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#last.then(work, work);
    this.#last = done.catch(() => {});
    return done;
  }

  async #fetch(wanted: ReadonlyMap<string, SharePartition>): Promise<ShareFetchAnswer> {
    const isNew = this.#epoch === epochInitial;
    if (isNew) this.#dropAcknowledgements("SHARE_SESSION_NOT_FOUND");
    const { entries, topics } = this.#topics([...wanted.values()], isNew);
    const forgotten = [...this.#known].filter(([key]) => !wanted.has(key)).map(([, known]) => known);
    const { acquireMode, fetchBytesMax, fetchBytesMin, fetchWaitMsMax, groupId, pollRecordsMax } = this.#options;
    const body = {
      ...{ groupId, memberId: this.#memberId, shareSessionEpoch: this.#epoch, shareAcquireMode: acquireMode },
      ...{ maxWaitMs: fetchWaitMsMax, minBytes: fetchBytesMin, maxBytes: fetchBytesMax },
      ...{ maxRecords: pollRecordsMax, batchSize: pollRecordsMax, topics },
      forgottenTopicsData: byTopic(forgotten).map(([topicId, list]) => ({
        topicId,
        partitions: list.map(({ partition }) => partition),
      })),
    };
    const timeoutMs = this.#cluster.context.options.requestTimeoutMs + fetchWaitMsMax;
    try {
      const answer = await this.#cluster.request(this.nodeId, ApiKey.ShareFetch, body, { lane: "fetch", timeoutMs });
      const { errorCode, errorMessage, responses } = answer.body;
      if (errorCode !== ErrorCode.NONE) throw errorFromCode(errorCode, `share fetch from ${this.nodeId}`, errorMessage);
      this.#advance(wanted);
      this.#tell(entries, (topicId, partition) => {
        const found = responses.find((topic) => topic.topicId === topicId);
        return found?.partitions.find((one) => one.partitionIndex === partition)?.acknowledgeErrorCode ?? 0;
      });
      return answer.body;
    } catch (error) {
      this.#onFailure(entries, error);
      throw error;
    }
  }

  #acknowledge(epoch: number, isRenewAck: boolean, timeoutMs?: number): Promise<void> {
    const entries = [...this.#pending.values()];
    this.#pending.clear();
    return this.#sendAcknowledgements(entries, epoch, isRenewAck, timeoutMs);
  }

  async #sendAcknowledgements(
    list: readonly { readonly where: SharePartition; readonly acks: Acknowledgements }[],
    epoch: number,
    isRenewAck: boolean,
    timeoutMs?: number,
  ): Promise<void> {
    const taken = list.map(({ acks, where }) => ({ where, ...acks.take() }));
    const entries = taken.map(({ offsets, where }): Acked => ({ ...where, offsets }));
    const topics = byTopic(taken.map((one) => ({ ...one.where, batches: one.batches }))).map(([topicId, all]) => ({
      topicId,
      partitions: all.map(({ batches, partition }) => ({
        partitionIndex: partition,
        acknowledgementBatches: [...batches],
      })),
    }));
    const { groupId } = this.#options;
    const body = {
      groupId,
      memberId: this.#memberId,
      shareSessionEpoch: epoch,
      topics,
      ...(isRenewAck ? { isRenewAck } : {}),
    };
    try {
      if (epoch === epochInitial) throw errorFromCode(ErrorCode.SHARE_SESSION_NOT_FOUND, "acknowledgement");
      const answer = await this.#cluster.request(this.nodeId, ApiKey.ShareAcknowledge, body, {
        lane: "fetch",
        timeoutMs,
      });
      const { errorCode, errorMessage, responses } = answer.body;
      if (errorCode !== ErrorCode.NONE)
        throw errorFromCode(errorCode, `acknowledgement to ${this.nodeId}`, errorMessage);
      if (epoch === epochFinal) this.#reset();
      else this.#advance(this.#known);
      const refusal = this.#tell(entries, (topicId, partition) => {
        const found = responses.find((topic) => topic.topicId === topicId);
        return found?.partitions.find((one) => one.partitionIndex === partition)?.errorCode ?? 0;
      });
      if (refusal !== null) throw refusal;
    } catch (error) {
      if (!(error instanceof AcknowledgementRefused)) this.#onFailure(entries, error);
      throw error instanceof AcknowledgementRefused ? error.refusal : error;
    }
  }

  /** The partitions that the session has to learn of, and those with something to acknowledge. */
  #topics(wanted: readonly SharePartition[], isNew: boolean): { topics: Topics; entries: Acked[] } {
    const entries: Acked[] = [];
    const named: (SharePartition & { readonly batches: readonly object[] })[] = [];
    for (const target of wanted) {
      const pending = this.#pending.get(shareKey(target));
      this.#pending.delete(shareKey(target));
      const taken = pending?.acks.take();
      if (taken !== undefined) entries.push({ ...target, offsets: taken.offsets });
      if (isNew || taken !== undefined || !this.#known.has(shareKey(target)))
        named.push({ ...target, batches: taken?.batches ?? [] });
    }
    const topics = byTopic(named).map(([topicId, list]) => ({
      topicId,
      partitions: list.map(({ batches, partition }) => ({
        partitionIndex: partition,
        acknowledgementBatches: batches,
      })),
    })) as Topics;
    return { topics, entries };
  }

  #advance(known: ReadonlyMap<string, SharePartition>): void {
    const next = new Map(known);
    this.#known.clear();
    for (const [key, where] of next) this.#known.set(key, where);
    this.#epoch = this.#epoch === epochMax ? 1 : this.#epoch + 1;
  }

  #reset(): void {
    this.#epoch = epochInitial;
    this.#known.clear();
  }

  /** The session is over, or what became of the request is unknown: the next one begins anew. */
  #onFailure(entries: readonly Acked[], error: unknown): void {
    if (!(error instanceof KafkaError)) return;
    this.#reset();
    for (const { offsets, partition, topic } of entries)
      if (offsets.length > 0) this.#options.onAcknowledged({ topic, partition, offsets, error });
  }

  #dropAcknowledgements(code: "SHARE_SESSION_NOT_FOUND"): void {
    for (const { acks, where } of this.#pending.values()) {
      const { offsets } = acks.take();
      const error = errorFromCode(ErrorCode[code], `${where.topic}-${where.partition}`);
      this.#options.onAcknowledged({ topic: where.topic, partition: where.partition, offsets, error });
    }
    this.#pending.clear();
  }

  /** Says of each acknowledgement whether it was taken; answers with the first refusal. */
  #tell(
    entries: readonly Acked[],
    codeOf: (topicId: Uuid, partition: number) => number,
  ): AcknowledgementRefused | null {
    let refusal: AcknowledgementRefused | null = null;
    for (const { offsets, partition, topic, topicId } of entries) {
      if (offsets.length === 0) continue;
      const code = codeOf(topicId, partition);
      const error = code === ErrorCode.NONE ? null : errorFromCode(code, `acknowledgement of ${topic}-${partition}`);
      if (error !== null) refusal ??= new AcknowledgementRefused(error);
      this.#options.onAcknowledged({ topic, partition, offsets, error });
    }
    return refusal;
  }
}

/** Told apart from a request that failed: the session goes on. */
class AcknowledgementRefused extends Error {
  readonly refusal: KafkaError;
  constructor(refusal: KafkaError) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

function byTopic<Item extends SharePartition>(items: readonly Item[]): [Uuid, Item[]][] {
  const topics = new Map<Uuid, Item[]>();
  for (const item of items) {
    const list = topics.get(item.topicId);
    if (list === undefined) topics.set(item.topicId, [item]);
    else list.push(item);
  }
  return [...topics];
}
