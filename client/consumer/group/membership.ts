// What both protocols of group membership have in common: what they ask of the consumer, what they tell, and the watch over a program that does not
// ask for messages any more.
import type { Clock } from "@blumfeld/core/base";
import { topicPartitionKey } from "@blumfeld/core/model";
import type { KafkaError } from "../../errors.ts";
import type { TopicPartitionInput } from "../../records.ts";
import type { GroupMetadata } from "./group-offsets.ts";

export type Partitions = readonly TopicPartitionInput[];

/** A rebalance as it ended for this member. */
export interface RebalanceEvent {
  /** Why it came about, as far as this member knows. */
  readonly reason: string;
  readonly protocol: "classic" | "consumer";
  readonly memberId: string;
  /** The group's generation, or this member's epoch. */
  readonly generation: number;
  /** What this member has now. */
  readonly owned: Partitions;
  /** Of that, what it did not have before. */
  readonly assigned: Partitions;
  /** What it had and has no more; `isLost`: they may have been another's before it was known. */
  readonly revoked: Partitions;
  readonly isLost: boolean;
  /** Member ids; only the leader of a classic group is told of the others. */
  readonly members: {
    readonly all: readonly string[];
    readonly joined: readonly string[];
    readonly left: readonly string[];
  } | null;
}

/** What the membership asks of the consumer. */
export interface MembershipOwner {
  /** The topics subscribed to, as they are now. */
  topics(signal?: AbortSignal): Promise<readonly string[]>;
  /** A pattern for the brokers to resolve; null: the topics. */
  pattern(): string | null;
  owned(): Partitions;
  /** Let go of these: they may already be another's where `isLost`. */
  revoke(partitions: Partitions, isLost: boolean): Promise<void>;
  take(partitions: Partitions): Promise<void>;
  rebalanced(event: RebalanceEvent): void;
  /** Something has to be done the next time the program asks. */
  wake(): void;
}

export interface GroupMembership {
  /** Whether there is something to do before messages are handed out. */
  readonly needsWork: boolean;
  /** Who commits offsets for this member. */
  readonly committer: GroupMetadata;
  readonly watch: PollWatch;
  /** The topics changed: tell the group. */
  rejoin(reason: string): void;
  /** Resolves when this member has its partitions. Rejects with what joining again does not mend. */
  ensureStable(): Promise<void>;
  /** A commit was refused because this member is out: learn it now rather than by the next heartbeat. */
  onRefusedCommit(error: KafkaError): void;
  /** Tells the coordinator that this member goes. */
  leave(): Promise<void>;
}

/** Whether the program still asks for messages: one that does not must not keep its partitions. */
export class PollWatch {
  /** The program asked for messages since the last look. Costs a flag: it may come a million times a second. */
  wasAsked = false;
  readonly #clock: Clock;
  #askingCount = 0;
  #lastAskedMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The program asks for messages, and waits until `asked` is called. */
  asking(): void {
    this.#askingCount++;
    this.#lastAskedMs = this.#clock.monotonicMs();
  }

  asked(): void {
    this.#askingCount--;
    this.#lastAskedMs = this.#clock.monotonicMs();
  }

  isLate(intervalMsMax: number): boolean {
    const nowMs = this.#clock.monotonicMs();
    if (this.wasAsked) this.#lastAskedMs = nowMs;
    this.wasAsked = false;
    return this.#askingCount === 0 && nowMs - this.#lastAskedMs > intervalMsMax;
  }
}

/** Those of `all` that `others` has not. */
export function without(all: Partitions, others: Partitions): TopicPartitionInput[] {
  const keys = new Set(others.map(({ partition, topic }) => topicPartitionKey(topic, partition)));
  return all.filter(({ partition, topic }) => !keys.has(topicPartitionKey(topic, partition)));
}

export const tooSlowReason = "the program did not ask for messages in time";
export const closedReason = "the consumer was closed";
