// Membership of a share group (KIP-932): heartbeats say which topics, their answers which partitions to fetch from. Nothing is handed over between
// members: records are acquired one by one, so a partition may be several members' at once.
import { randomUuid, type TimerHandle, type Uuid } from "@blumfeld/core/base";
import { ApiKey, ErrorCode, type RequestInitOf } from "@blumfeld/core/protocol";
import type { ClusterClient } from "../connection/cluster-client.ts";
import { errorFromCode, KafkaError } from "../errors.ts";
import type { ResolvedShareOptions } from "./options.ts";

export interface AssignedTopic {
  readonly topicId: Uuid;
  readonly partitions: readonly number[];
}

const epochJoining = 0;
const epochLeaving = -1;
const leaveMsMax = 1000;
/** A new member asks again soon: brokers gather joins before they divide. */
const earlyBeats = 5;
const earlyBeatMs = 250;

export class ShareMembership {
  readonly memberId: string;
  readonly #cluster: ClusterClient;
  readonly #options: ResolvedShareOptions;
  readonly #onChange: () => void;
  #topics: readonly string[] = [];
  #epoch = epochJoining;
  #isTopicsNew = true;
  #earlyBeatsLeft = earlyBeats;
  #heartbeatMs = 0;
  #timer: TimerHandle | null = null;
  #isStarted = false;
  #isClosed = false;
  assigned: readonly AssignedTopic[] = [];
  /** What no later heartbeat mends. */
  fatal: KafkaError | null = null;

  constructor(cluster: ClusterClient, options: ResolvedShareOptions, onChange: () => void) {
    this.#cluster = cluster;
    this.#options = options;
    this.#onChange = onChange;
    this.memberId = randomUuid(cluster.context.random);
  }

  subscribe(topics: readonly string[]): void {
    this.#topics = topics;
    this.#isTopicsNew = true;
    if (!this.#isStarted) {
      this.#isStarted = true;
      void this.#beat();
    } else this.#arm(0);
  }

  async leave(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    if (this.#epoch <= epochJoining) return;
    await this.#send({ memberEpoch: epochLeaving }, leaveMsMax).catch(() => {});
  }

  async #beat(): Promise<void> {
    const { requestTimeoutMs, retryBackoffMs } = this.#cluster.context.options;
    const isJoining = this.#epoch === epochJoining;
    const hasTopics = isJoining || this.#isTopicsNew;
    this.#isTopicsNew = false;
    try {
      const answer = await this.#send(
        {
          memberEpoch: this.#epoch,
          ...(isJoining && this.#options.rack !== null ? { rackId: this.#options.rack } : {}),
          ...(hasTopics ? { subscribedTopicNames: [...this.#topics] } : {}),
        },
        requestTimeoutMs,
      );
      if (this.#isClosed) return;
      if (answer.errorCode !== ErrorCode.NONE)
        throw errorFromCode(answer.errorCode, `share group ${this.#options.groupId}`, answer.errorMessage);
      this.#epoch = answer.memberEpoch;
      this.#heartbeatMs = answer.heartbeatIntervalMs;
      if (answer.assignment !== null) {
        this.assigned = answer.assignment.topicPartitions;
        this.#onChange();
      }
      this.#arm(this.#nextBeatMs());
    } catch (error) {
      this.#isTopicsNew ||= hasTopics;
      if (!this.#isClosed && !this.#cluster.isClosed) this.#onError(error, retryBackoffMs);
    }
  }

  #nextBeatMs(): number {
    if (this.assigned.length > 0 || this.#earlyBeatsLeft === 0) return this.#heartbeatMs;
    const delayMs = earlyBeatMs * (1 + earlyBeats - this.#earlyBeatsLeft);
    this.#earlyBeatsLeft--;
    return Math.min(this.#heartbeatMs, delayMs);
  }

  #send(body: Omit<RequestInitOf<typeof ApiKey.ShareGroupHeartbeat>, "groupId" | "memberId">, timeoutMs: number) {
    const { groupId } = this.#options;
    const request = { groupId, memberId: this.memberId, ...body };
    return this.#cluster.requestCoordinator("group", groupId, ApiKey.ShareGroupHeartbeat, request, { timeoutMs });
  }

  #onError(error: unknown, backoffMs: number): void {
    if (!(error instanceof KafkaError)) throw error;
    const isOut = error.code === "UNKNOWN_MEMBER_ID" || error.code === "FENCED_MEMBER_EPOCH";
    if (isOut) {
      this.#epoch = epochJoining;
      this.#earlyBeatsLeft = earlyBeats;
    } else if (error.retriable) this.#cluster.forgetCoordinator("group", this.#options.groupId);
    else {
      this.fatal = error;
      return this.#onChange();
    }
    this.#arm(backoffMs);
  }

  #arm(delayMs: number): void {
    this.#timer?.cancel();
    if (this.#isClosed) return;
    this.#timer = this.#cluster.context.deadlines.after(delayMs, () => void this.#beat());
  }
}
