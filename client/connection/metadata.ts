// What this client knows of the cluster: brokers, topics by name and by id, leaders and their epochs. Sends nothing itself: it is given a way
// to ask. One question is under way at a time; questions that come meanwhile wait for the next one together.
//
// A leader with an older epoch never replaces a newer one: an answer from a broker that lags would send requests back to a deposed leader.
import { type TimerHandle, type Uuid, uuidZero } from "@blumfeld/core/base";
import type { MetadataResponse } from "@blumfeld/core/protocol";
import { clientError, errorFromCode, KafkaError } from "../errors.ts";
import type { BrokerAddress } from "./addresses.ts";
import { backoffMs } from "./backoff.ts";
import type { ClientContext } from "./context.ts";

export interface BrokerInfo extends BrokerAddress {
  readonly nodeId: number;
  readonly rack: string | null;
}

export interface PartitionInfo {
  readonly partition: number;
  /** -1 where there is none. */
  leaderId: number;
  /** -1 where the broker does not say. */
  leaderEpoch: number;
  readonly replicas: readonly number[];
  readonly isr: readonly number[];
  readonly offlineReplicas: readonly number[];
}

export interface TopicInfo {
  readonly name: string;
  /** `uuidZero` from brokers before 2.8. */
  readonly id: Uuid;
  readonly isInternal: boolean;
  /** By partition number, without gaps. */
  readonly partitions: readonly PartitionInfo[];
}

export interface MetadataQuestion {
  /** Null: all topics. */
  readonly topics: readonly string[] | null;
  readonly allowAutoTopicCreation: boolean;
}

/** A leader that an answer of Produce or Fetch names beside its refusal (KIP-951). */
export interface LeaderHint {
  readonly leaderId: number;
  readonly leaderEpoch: number;
  readonly endpoint: BrokerInfo | null;
}

export interface MetadataOptions {
  readonly allowAutoTopicCreation: boolean;
  /** A topic that nobody asked about for this long is no longer refreshed. */
  readonly topicIdleMsMax: number;
}

const errorRebootstrapRequired = 129;

export class Metadata {
  clusterId: string | null = null;
  controllerId = -1;
  /** Why the last refresh failed; null where it did not. */
  lastFailure: KafkaError | null = null;
  brokers: ReadonlyMap<number, BrokerInfo> = new Map();
  readonly #context: ClientContext;
  readonly #ask: (question: MetadataQuestion) => Promise<MetadataResponse>;
  readonly #options: MetadataOptions;
  readonly #topics = new Map<string, TopicInfo>();
  readonly #namesById = new Map<Uuid, string>();
  /** Topics to refresh, and when each was last used. */
  readonly #wanted = new Map<string, number>();
  readonly #refusals = new Map<string, KafkaError>();
  readonly #listeners = new Set<() => void>();
  #current: Promise<void> | null = null;
  #next: Promise<void> | null = null;
  #ageTimer: TimerHandle | null = null;
  #background: TimerHandle | null = null;
  #failures = 0;
  #closed = false;

  constructor(
    context: ClientContext,
    options: MetadataOptions,
    ask: (question: MetadataQuestion) => Promise<MetadataResponse>,
  ) {
    this.#context = context;
    this.#options = options;
    this.#ask = ask;
  }

  /** As last heard; undefined where nothing is known. */
  topic(name: string): TopicInfo | undefined {
    return this.#topics.get(name);
  }

  topicName(id: Uuid): string | undefined {
    return this.#namesById.get(id);
  }

  topicNames(): string[] {
    return [...this.#topics.keys()];
  }

  partition(topic: string, partition: number): PartitionInfo | undefined {
    return this.#topics.get(topic)?.partitions[partition];
  }

  /** Why the last refresh has no such topic. */
  refusal(topic: string): KafkaError | undefined {
    return this.#refusals.get(topic);
  }

  /** Keeps the topic refreshed while it is used. */
  touch(topic: string): void {
    this.#wanted.set(topic, this.#context.clock.monotonicMs());
  }

  /** Calls back after each refresh and each leader hint; returns the way to stop. */
  onUpdate(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Asks once, and again for those who came while a question was under way. Rejects with what the brokers or the network said. */
  refresh(): Promise<void> {
    if (this.#closed) return Promise.reject(clientError("CLIENT_CLOSED", "the client is closed"));
    if (this.#current === null) {
      this.#current = this.#run().finally(() => {
        this.#current = null;
      });
      return this.#current;
    }
    this.#next ??= this.#current
      .catch(() => {})
      .then(() => {
        this.#next = null;
        return this.refresh();
      });
    return this.#next;
  }

  /** Something is out of date: refresh in the background, no sooner than the back-off allows. */
  requestRefresh(): void {
    if (this.#background !== null || this.#closed) return;
    const { options, random, deadlines } = this.#context;
    const policy = { initialMs: options.retryBackoffMs, maxMs: options.retryBackoffMsMax };
    const delayMs = backoffMs(policy, this.#failures, random);
    this.#background = deadlines.after(this.#failures === 0 ? delayMs / 2 : delayMs, () => {
      this.#background = null;
      this.refresh().catch((error: unknown) => {
        this.#context.logger.debug({ error: String(error) }, "metadata refresh failed");
        this.requestRefresh();
      });
    });
  }

  /** Resolves with the topic once it is known; rejects at `deadlineMs` (monotonic) or with an error that waiting does not mend. */
  async waitForTopic(name: string, deadlineMs: number, signal?: AbortSignal): Promise<TopicInfo> {
    this.touch(name);
    const { clock, deadlines, options, random } = this.#context;
    const policy = { initialMs: options.retryBackoffMs, maxMs: options.retryBackoffMsMax };
    let last: unknown;
    for (let attempt = 0; ; attempt++) {
      const known = this.#topics.get(name);
      if (known !== undefined) return known;
      signal?.throwIfAborted();
      const leftMs = deadlineMs - clock.monotonicMs();
      if (leftMs <= 0) throw missingTopic(name, last);
      try {
        await deadlines.within(this.refresh(), leftMs, () => missingTopic(name, last));
        last = this.#refusals.get(name);
      } catch (error) {
        if (signal?.aborted === true) throw error;
        last = error;
      }
      if (this.#topics.has(name)) continue;
      if (last instanceof KafkaError && !last.retriable) throw last;
      const pauseMs = Math.min(backoffMs(policy, attempt, random), Math.max(0, deadlineMs - clock.monotonicMs()));
      await deadlines.sleep(pauseMs, signal);
    }
  }

  /** Takes a newer leader from a refusal; false where it is not newer than what is known. */
  applyLeaderHint(topic: string, partition: number, hint: LeaderHint): boolean {
    const known = this.partition(topic, partition);
    if (known === undefined || hint.leaderId < 0 || hint.leaderEpoch <= known.leaderEpoch) return false;
    if (hint.endpoint !== null) {
      this.brokers = new Map(this.brokers).set(hint.endpoint.nodeId, hint.endpoint);
    }
    if (!this.brokers.has(hint.leaderId)) return false;
    known.leaderId = hint.leaderId;
    known.leaderEpoch = hint.leaderEpoch;
    this.#notify();
    return true;
  }

  /** Forgets the brokers, keeps the topics: they will be asked from the bootstrap addresses. */
  forgetBrokers(): void {
    this.brokers = new Map();
    this.controllerId = -1;
  }

  close(): void {
    this.#closed = true;
    this.#ageTimer?.cancel();
    this.#background?.cancel();
    this.#listeners.clear();
  }

  async #run(): Promise<void> {
    const now = this.#context.clock.monotonicMs();
    for (const [name, usedMs] of this.#wanted) {
      if (now - usedMs <= this.#options.topicIdleMsMax) continue;
      this.#wanted.delete(name);
      this.#forgetTopic(name);
    }
    const topics = [...this.#wanted.keys()];
    try {
      const answer = await this.#ask({ topics, allowAutoTopicCreation: this.#options.allowAutoTopicCreation });
      this.apply(answer, topics);
      this.#failures = 0;
      this.lastFailure = null;
    } catch (error) {
      this.#failures++;
      if (error instanceof KafkaError) this.lastFailure = error;
      throw error;
    }
  }

  /** Takes an answer over. `asked` are the topics it speaks for: those it does not name are gone. */
  apply(answer: MetadataResponse, asked: readonly string[]): void {
    if (answer.errorCode === errorRebootstrapRequired) throw errorFromCode(answer.errorCode, "Metadata");
    this.clusterId = answer.clusterId ?? this.clusterId;
    this.controllerId = answer.controllerId;
    this.brokers = new Map(
      answer.brokers.map(({ nodeId, host, port, rack }) => [nodeId, { nodeId, host, port, rack }]),
    );
    const missing = new Set(asked);
    let isStale = false;
    for (const topic of answer.topics) {
      const name = topic.name ?? this.#namesById.get(topic.topicId);
      if (name === undefined || name === null) continue;
      missing.delete(name);
      if (topic.errorCode !== 0) {
        const refusal = errorFromCode(topic.errorCode, `topic ${name}`);
        this.#refusals.set(name, refusal);
        if (!refusal.retriable || refusal.code === "UNKNOWN_TOPIC_OR_PARTITION") this.#forgetTopic(name);
        isStale ||= refusal.retriable;
        continue;
      }
      this.#refusals.delete(name);
      isStale = this.#applyTopic(name, topic) || isStale;
    }
    for (const name of missing) this.#forgetTopic(name);
    this.#armAge();
    this.#notify();
    if (isStale && this.#wanted.size > 0) this.requestRefresh();
  }

  /** True where a partition has no leader: the refresh has to come again. */
  #applyTopic(name: string, topic: MetadataResponse["topics"][number]): boolean {
    const known = this.#topics.get(name);
    const sameTopic = known !== undefined && (known.id === topic.topicId || topic.topicId === uuidZero);
    const partitions: PartitionInfo[] = [];
    let isStale = false;
    for (const from of topic.partitions) {
      if (from.partitionIndex < 0 || from.partitionIndex >= topic.partitions.length) continue;
      const before = sameTopic ? known.partitions[from.partitionIndex] : undefined;
      const isOlder = before !== undefined && from.leaderEpoch >= 0 && from.leaderEpoch < before.leaderEpoch;
      const leaderId = isOlder ? before.leaderId : from.leaderId;
      if (leaderId < 0 || from.errorCode === 5) isStale = true;
      partitions[from.partitionIndex] = {
        partition: from.partitionIndex,
        leaderId,
        leaderEpoch: isOlder ? before.leaderEpoch : from.leaderEpoch,
        replicas: from.replicaNodes,
        isr: from.isrNodes,
        offlineReplicas: from.offlineReplicas,
      };
    }
    for (let index = 0; index < topic.partitions.length; index++) {
      partitions[index] ??= {
        partition: index,
        leaderId: -1,
        leaderEpoch: -1,
        replicas: [],
        isr: [],
        offlineReplicas: [],
      };
    }
    if (known !== undefined && known.id !== topic.topicId) this.#namesById.delete(known.id);
    this.#topics.set(name, { name, id: topic.topicId, isInternal: topic.isInternal, partitions });
    if (topic.topicId !== uuidZero) this.#namesById.set(topic.topicId, name);
    return isStale;
  }

  #forgetTopic(name: string): void {
    const known = this.#topics.get(name);
    if (known === undefined) return;
    this.#topics.delete(name);
    this.#namesById.delete(known.id);
  }

  #armAge(): void {
    this.#ageTimer?.cancel();
    this.#ageTimer = this.#context.deadlines.after(this.#context.options.metadataAgeMsMax, () => this.requestRefresh());
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

/** Why a topic is not known after all the waiting; `last` is what was last heard of it. */
export function missingTopic(name: string, last: unknown): KafkaError {
  if (last instanceof KafkaError && last.code === "UNKNOWN_TOPIC_OR_PARTITION") {
    return clientError(last.code, `the cluster has no topic ${name}`, last);
  }
  const detail = last instanceof Error ? `: ${last.message}` : "";
  return clientError("CLIENT_TIMEOUT", `topic ${name}: no metadata in time${detail}`, last);
}
