// An incremental fetch session with one broker (KIP-227): the broker remembers the partitions, requests name only what changed. Pure state:
// builds requests and takes answers' session facts.
import type { Uuid } from "@blumfeld/core/base";
import { uuidZero } from "@blumfeld/core/base";
import { topicPartitionKey } from "@blumfeld/core/model";
import { ErrorCode, type FetchRequestInit } from "@blumfeld/core/protocol";

export interface FetchTarget {
  readonly topic: string;
  readonly topicId: Uuid;
  readonly partition: number;
  readonly fetchOffset: number;
  readonly leaderEpoch: number;
  readonly bytesMax: number;
}

export type FetchTopics = Pick<FetchRequestInit, "sessionId" | "sessionEpoch" | "topics" | "forgottenTopicsData">;

const epochFinal = -1;
const epochInitial = 0;
const epochMax = 0x7fff_ffff;

const resetErrors: ReadonlySet<number> = new Set([
  ErrorCode.FETCH_SESSION_ID_NOT_FOUND,
  ErrorCode.INVALID_FETCH_SESSION_EPOCH,
  ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR,
  ErrorCode.UNKNOWN_TOPIC_ID,
  ErrorCode.INCONSISTENT_TOPIC_ID,
]);

export class FetchSession {
  #sessionId = 0;
  #epoch = epochInitial;
  #known = new Map<string, FetchTarget>();

  /** What to ask for so that the broker's set is `targets`. */
  build(targets: readonly FetchTarget[]): FetchTopics {
    const next = new Map(targets.map((target) => [topicPartitionKey(target.topic, target.partition), target]));
    const before = this.#known;
    this.#known = next;
    if (this.#epoch === epochInitial) {
      return this.#request([...next.values()], []);
    }
    const changed: FetchTarget[] = [];
    const forgotten: FetchTarget[] = [];
    for (const [key, target] of next) {
      const known = before.get(key);
      if (known === undefined || !sameTarget(known, target)) changed.push(target);
      if (known !== undefined && known.topicId !== target.topicId) forgotten.push(known);
    }
    for (const [key, known] of before) if (!next.has(key)) forgotten.push(known);
    return this.#request(changed, forgotten);
  }

  /** The topic that an answer names by id. */
  topicName(id: Uuid): string | undefined {
    for (const target of this.#known.values()) if (target.topicId === id) return target.topic;
    return undefined;
  }

  get hasAllTopicIds(): boolean {
    for (const target of this.#known.values()) if (target.topicId === uuidZero) return false;
    return true;
  }

  /** Takes an answer's facts. False where the session is gone and the next request is a full one. */
  onAnswer(errorCode: number, sessionId: number): boolean {
    if (errorCode !== ErrorCode.NONE) {
      if (errorCode === ErrorCode.FETCH_SESSION_ID_NOT_FOUND || !resetErrors.has(errorCode)) this.#sessionId = 0;
      this.#epoch = epochInitial;
      return false;
    }
    if (sessionId === 0) {
      // The broker has no room for a session: each request names everything.
      this.#sessionId = 0;
      this.#epoch = epochInitial;
      return true;
    }
    this.#sessionId = sessionId;
    this.#epoch = this.#epoch === epochMax ? 1 : this.#epoch + 1;
    return true;
  }

  /** The answer never came: what the broker remembers is unknown; begin again, closing what may be there. */
  onFailure(): void {
    this.#epoch = epochInitial;
  }

  /** The request that ends the session, or null where there is none. */
  closing(): FetchTopics | null {
    if (this.#sessionId === 0) return null;
    return { sessionId: this.#sessionId, sessionEpoch: epochFinal, topics: [], forgottenTopicsData: [] };
  }

  #request(changed: readonly FetchTarget[], forgotten: readonly FetchTarget[]): FetchTopics {
    return {
      sessionId: this.#sessionId,
      sessionEpoch: this.#epoch,
      topics: byTopic(changed).map(({ topic, topicId, targets }) => ({
        topic,
        topicId,
        partitions: targets.map((target) => ({
          partition: target.partition,
          currentLeaderEpoch: target.leaderEpoch,
          fetchOffset: target.fetchOffset,
          partitionMaxBytes: target.bytesMax,
        })),
      })),
      forgottenTopicsData: byTopic(forgotten).map(({ topic, topicId, targets }) => ({
        topic,
        topicId,
        partitions: targets.map(({ partition }) => partition),
      })),
    };
  }
}

function sameTarget(one: FetchTarget, other: FetchTarget): boolean {
  return (
    one.fetchOffset === other.fetchOffset &&
    one.leaderEpoch === other.leaderEpoch &&
    one.bytesMax === other.bytesMax &&
    one.topicId === other.topicId
  );
}

function byTopic(targets: readonly FetchTarget[]): { topic: string; topicId: Uuid; targets: FetchTarget[] }[] {
  const topics = new Map<Uuid | string, { topic: string; topicId: Uuid; targets: FetchTarget[] }>();
  for (const target of targets) {
    const key = target.topicId === uuidZero ? target.topic : target.topicId;
    const known = topics.get(key);
    if (known === undefined) topics.set(key, { topic: target.topic, topicId: target.topicId, targets: [target] });
    else known.targets.push(target);
  }
  return [...topics.values()];
}
