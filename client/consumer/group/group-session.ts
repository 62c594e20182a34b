// A consumer in its group: what it is subscribed to, what it may commit, what happens when partitions come and go. Between the membership, which
// knows no positions, and the consumer, which knows no group.
//
// Consumed is what the program has asked past: a message counts when the next one is asked for, so that what is still being worked on is not
// committed behind the program's back.
import type { TimerHandle } from "@blumfeld/core/base";
import { ApiKey } from "@blumfeld/core/protocol";
import type { ClusterClient } from "../../connection/cluster-client.ts";
import { clientError, KafkaError } from "../../errors.ts";
import type { TopicPartitionInput } from "../../records.ts";
import type { AssignedPartition } from "../assigned-partition.ts";
import { type CommittedOffset, commitOffsets, fetchCommitted, type GroupMetadata } from "./group-offsets.ts";
import type { Partitions, RebalanceEvent } from "./membership.ts";
import { NegotiatedMembership } from "./negotiated-membership.ts";
import type { ResolvedGroupOptions } from "./options.ts";

/** Told as partitions come and go, before messages of new ones are handed out and before old ones are another's. */
export interface RebalanceListener {
  /** The place to seek, for programs that keep their offsets elsewhere. */
  onAssigned?(partitions: readonly TopicPartitionInput[]): void | Promise<void>;
  onRevoked?(partitions: readonly TopicPartitionInput[]): void | Promise<void>;
  /** They may already be another's: nothing can be committed for them. Default: as `onRevoked`. */
  onLost?(partitions: readonly TopicPartitionInput[]): void | Promise<void>;
  /** A rebalance is over for this member: what moved, and why. */
  onRebalance?(event: RebalanceEvent): void;
}

/** A pattern that the brokers resolve (RE2, the whole name); with the classic protocol this client does, as for a RegExp. */
export interface BrokerPattern {
  readonly pattern: string;
}

export type Subscription = readonly string[] | RegExp | BrokerPattern;

/** What the group does with the consumer's partitions. */
export interface GroupHost {
  assigned(): readonly AssignedPartition[];
  /** Where the program is in each: what a commit without offsets says. */
  done(): readonly CommittedOffset[];
  /** Makes them, without positions yet. */
  add(partitions: readonly TopicPartitionInput[]): readonly AssignedPartition[];
  remove(partitions: readonly TopicPartitionInput[]): void;
  /** To the committed offset, or where autoOffsetReset says when it is null. */
  start(partition: AssignedPartition, offset: number | null): void;
  /** Before the offsets of these are committed for the last time: what is still being worked on is waited for, but for its result where it is lost. */
  settle(partitions: Partitions, isLost: boolean): Promise<void>;
  wake(): void;
}

const commitMsMax = 5000;
const staleRetriesMax = 10;

export class GroupSession {
  readonly #cluster: ClusterClient;
  readonly #options: ResolvedGroupOptions;
  readonly #host: GroupHost;
  readonly #membership: NegotiatedMembership;
  readonly #committed = new Map<string, number>();
  #subscription: Subscription | null = null;
  #listener: RebalanceListener = {};
  #topics: readonly string[] = [];
  #partitionCounts = "";
  #commitTimer: TimerHandle | null = null;
  #topicsTimer: TimerHandle | null = null;
  #isCommitDue = false;
  #stopListening: () => void = () => {};

  constructor(cluster: ClusterClient, options: ResolvedGroupOptions, host: GroupHost) {
    this.#cluster = cluster;
    this.#options = options;
    this.#host = host;
    this.#membership = new NegotiatedMembership(cluster, options, {
      topics: () => this.#currentTopics(),
      pattern: () => (isBrokerPattern(this.#subscription) ? this.#subscription.pattern : null),
      rebalanced: (event) => this.#listener.onRebalance?.(event),
      owned: () => host.assigned().map(({ topic, partition }) => ({ topic, partition })),
      revoke: (partitions, isLost) => this.#revoke(partitions, isLost),
      take: (partitions) => this.#take(partitions),
      wake: () => host.wake(),
    });
  }

  get metadata(): GroupMetadata {
    return this.#membership.committer;
  }

  get isSubscribed(): boolean {
    return this.#subscription !== null;
  }

  /** Whether `prepare` has something to do. */
  get needsWork(): boolean {
    return this.#isCommitDue || (this.#subscription !== null && this.#membership.needsWork);
  }

  subscribe(subscription: Subscription, listener: RebalanceListener): void {
    this.#subscription = subscription;
    this.#listener = listener;
    this.#armCommit();
    this.#stopListening();
    this.#stopListening = this.#cluster.metadata.onUpdate(() => this.#onMetadata());
    if (!Array.isArray(subscription)) this.#armTopics();
    this.#membership.rejoin("joined the group, or subscribed anew");
  }

  /** The program asked for a message that was at hand. Costs a flag: it may come a million times a second. */
  touch(): void {
    this.#membership.watch.wasAsked = true;
  }

  /** The program asks for messages until `asked`. */
  asking(): void {
    this.#membership.asking();
  }

  asked(): void {
    this.#membership.asked();
  }

  /** What is due before messages are handed out: joining, committing. */
  async prepare(): Promise<void> {
    if (this.#isCommitDue) {
      this.#isCommitDue = false;
      this.#armCommit();
      void this.#commitConsumed().catch((error: unknown) => this.#tellFailedCommit(error));
    }
    if (this.#subscription !== null && this.#membership.needsWork) await this.#membership.ensureStable();
  }

  /** Commits these, or the positions of all partitions: what was handed out counts as done. */
  async commit(offsets: readonly CommittedOffset[] | null, signal?: AbortSignal): Promise<void> {
    const list = offsets ?? this.#host.done();
    await this.#commit(list, { signal });
    const byKey = new Map(list.map(({ topic, partition, offset }) => [`${topic}-${partition}`, offset]));
    // What the program says is done is done: a later automatic commit must not take it back.
    for (const partition of this.#host.assigned()) partition.consumed = byKey.get(partition.key) ?? partition.consumed;
  }

  committed(partitions: readonly TopicPartitionInput[], signal?: AbortSignal): Promise<(CommittedOffset | null)[]> {
    const { groupId, requireStable } = this.#options;
    return fetchCommitted(this.#cluster, groupId, partitions, { requireStable, signal });
  }

  /** Sets the partitions' first positions from what is committed. */
  async startFromCommitted(partitions: readonly AssignedPartition[]): Promise<void> {
    const generations = partitions.map(({ generation }) => generation);
    const found = await this.committed(partitions);
    partitions.forEach((partition, index) => {
      // The program sought meanwhile, in onAssigned for one.
      if (partition.isRevoked || partition.generation !== generations[index]) return;
      const offset = found[index]?.offset ?? null;
      if (offset !== null) this.#committed.set(partition.key, offset);
      this.#host.start(partition, offset);
    });
  }

  /** Commits what was consumed, leaves the group. */
  async close(): Promise<void> {
    this.#stopListening();
    this.#commitTimer?.cancel();
    this.#topicsTimer?.cancel();
    if (this.#options.autoCommit) await this.#commitConsumed().catch((error: unknown) => this.#tellFailedCommit(error));
    await this.#membership.leave();
  }

  async #commit(
    offsets: readonly CommittedOffset[],
    options: { readonly signal?: AbortSignal; readonly timeoutMs?: number },
  ): Promise<void> {
    for (let retry = 0; ; retry++) {
      const committer = this.#membership.committer;
      try {
        await commitOffsets(this.#cluster, committer, offsets, options);
        break;
      } catch (error) {
        if (!(error instanceof KafkaError)) throw error;
        // Another answer has raised the member's epoch meanwhile, or is about to: the partitions are still its own.
        const isStale = error.code === "STALE_MEMBER_EPOCH" && retry < staleRetriesMax;
        if (!isStale) {
          this.#membership.onRefusedCommit(error);
          throw error;
        }
        const { deadlines, options: settings } = this.#cluster.context;
        if (this.#membership.committer.generation === committer.generation)
          await deadlines.sleep(settings.retryBackoffMs, options.signal);
      }
    }
    for (const { topic, partition, offset } of offsets) this.#committed.set(`${topic}-${partition}`, offset);
  }

  /** Bounded: handing partitions over or closing must not wait for a coordinator that is gone. */
  async #commitConsumed(among: readonly AssignedPartition[] = this.#host.assigned()): Promise<void> {
    if (!this.#options.autoCommit) return;
    const offsets = among
      .filter(({ key, consumed }) => consumed >= 0 && this.#committed.get(key) !== consumed)
      .map(({ topic, partition, consumed, leaderEpochLast }) => ({
        topic,
        partition,
        offset: consumed,
        leaderEpoch: leaderEpochLast,
      }));
    await this.#commit(offsets, { timeoutMs: commitMsMax });
  }

  #tellFailedCommit(error: unknown): void {
    this.#cluster.context.logger.warn(
      { groupId: this.#options.groupId, error: String(error) },
      "offsets not committed",
    );
  }

  async #revoke(partitions: readonly TopicPartitionInput[], isLost: boolean): Promise<void> {
    if (partitions.length === 0) return;
    const keys = new Set(partitions.map(({ topic, partition }) => `${topic}-${partition}`));
    await this.#host.settle(partitions, isLost);
    const leaving = this.#host.assigned().filter(({ key }) => keys.has(key));
    if (!isLost) await this.#commitConsumed(leaving).catch((error: unknown) => this.#tellFailedCommit(error));
    const listener = this.#listener;
    if (isLost && listener.onLost !== undefined) await listener.onLost(partitions);
    else await listener.onRevoked?.(partitions);
    this.#host.remove(partitions);
    for (const key of keys) this.#committed.delete(key);
  }

  async #take(partitions: readonly TopicPartitionInput[]): Promise<void> {
    if (partitions.length === 0) return;
    const added = this.#host.add(partitions);
    await this.#listener.onAssigned?.(partitions);
    await this.startFromCommitted(added.filter(({ position, reset }) => position < 0 && reset === null));
  }

  async #currentTopics(): Promise<readonly string[]> {
    const subscription = this.#subscription;
    if (subscription === null) throw clientError("CLIENT_INVALID_ARGUMENT", "subscribe first");
    this.#topics = isNames(subscription) ? subscription : await this.#matching(patternOf(subscription));
    for (const topic of this.#topics) this.#cluster.metadata.touch(topic);
    if (this.#topics.some((topic) => this.#cluster.metadata.topic(topic) === undefined)) {
      await this.#cluster.metadata.refresh();
    }
    this.#partitionCounts = this.#countText();
    return this.#topics;
  }

  /** Topics whose whole name the pattern describes; internal ones stay out. */
  async #matching(pattern: RegExp): Promise<string[]> {
    const answer = await this.#cluster.requestAny(ApiKey.Metadata, { topics: null, allowAutoTopicCreation: false });
    return answer.topics
      .filter((topic) => topic.errorCode === 0 && topic.name !== null && !topic.isInternal)
      .map((topic) => topic.name!)
      .filter((name) => {
        const match = new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, "")).exec(name);
        return match !== null && match[0].length === name.length;
      })
      .sort();
  }

  /** Topics that grew, went or came change what there is to divide. */
  #onMetadata(): void {
    if (this.#subscription === null || this.#membership.needsWork) return;
    const text = this.#countText();
    if (text === this.#partitionCounts) return;
    this.#partitionCounts = text;
    this.#membership.rejoin("a topic came, went or has more partitions");
  }

  #countText(): string {
    return this.#topics
      .map((topic) => `${topic}:${this.#cluster.metadata.topic(topic)?.partitions.length ?? 0}`)
      .join(",");
  }

  #armCommit(): void {
    this.#commitTimer?.cancel();
    if (!this.#options.autoCommit) return;
    this.#commitTimer = this.#cluster.context.deadlines.after(this.#options.autoCommitIntervalMs, () => {
      this.#isCommitDue = true;
      this.#host.wake();
    });
  }

  #armTopics(): void {
    const { deadlines, options } = this.#cluster.context;
    this.#topicsTimer?.cancel();
    this.#topicsTimer = deadlines.after(options.metadataAgeMsMax, () => {
      this.#armTopics();
      const subscription = this.#subscription;
      if (subscription === null || isNames(subscription)) return;
      this.#matching(patternOf(subscription)).then(
        (names) => {
          if (names.join() !== [...this.#topics].sort().join())
            this.#membership.rejoin("other topics match the pattern");
        },
        () => {},
      );
    });
  }
}

function isNames(subscription: Subscription): subscription is readonly string[] {
  return Array.isArray(subscription);
}

function isBrokerPattern(subscription: Subscription | null): subscription is BrokerPattern {
  return subscription !== null && !isNames(subscription) && !(subscription instanceof RegExp);
}

function patternOf(subscription: RegExp | BrokerPattern): RegExp {
  return subscription instanceof RegExp ? subscription : new RegExp(subscription.pattern);
}
