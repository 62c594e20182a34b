// A broker's life in its cluster, told to the active controller by heartbeats (KIP-631). Keeps trying while controllers come and go; decides
// nothing: what the broker may be is the controller's answer.
//
//   new → registered: the controller gave a broker epoch; fenced, heartbeats want the fence while logs are opened
//   registered → wanting in: unfence()                      wanting in → active: an answer without a fence, and the image says so too
//   active → fenced by the controller: it was silent; the next heartbeat wants in again
//   any → leaving: leave(); heartbeats want to stop until the controller lets it      leaving → gone: it may stop, or nobody answered in time
import type { Clock, Logger, Random, TimerHandle, Timers, Uuid } from "@blumfeld/core/base";
import type { RegisteredEndpoint, SupportedRange } from "@blumfeld/core/controller";
import {
  ApiKey,
  type BrokerHeartbeatResponseInit,
  type BrokerRegistrationRequest,
  ErrorCode,
  errorOf,
} from "@blumfeld/core/protocol";
import type { ControllerChannel } from "../parts.ts";
import { RequestError } from "../request-context.ts";
import { ownOrigin } from "./controller-requests.ts";

export interface BrokerEntry {
  /** Advertised. */
  readonly endpoints: readonly RegisteredEndpoint[];
  /** What the last clean stop left; -1 where it left nothing. */
  readonly previousBrokerEpoch: number;
}

export interface BrokerLifecycleOptions {
  readonly nodeId: number;
  readonly clusterId: string;
  readonly incarnationId: Uuid;
  readonly rack: string | null;
  readonly directoryIds: readonly Uuid[];
  readonly features: ReadonlyMap<string, SupportedRange>;
  readonly channel: ControllerChannel;
  /** Of the last metadata record that this node has replayed. */
  readonly metadataOffset: () => number;
  /** Whether the replayed metadata says that this broker takes part. */
  readonly isUnfenced: () => boolean;
  /** Directories that have failed since the start. */
  readonly offlineDirectories: () => readonly Uuid[];
  readonly cordonedDirectories: () => readonly Uuid[];
  /** broker.heartbeat.interval.ms, broker.session.timeout.ms, initial.broker.registration.timeout.ms */
  readonly heartbeatMs: number;
  readonly sessionMs: number;
  readonly registrationMs: number;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
}

/** Waits between tries: doubled from the first to the second, with a fifth of chance. */
const retryMsMin = 100;
const retryMsMax = 1_000;
/** While it leaves, and while it wants in, the broker asks this often. */
const eagerHeartbeatMs = 100;
/** A controlled shutdown takes no longer, whatever the controller says. */
export const leaveMsMax = 60_000;
/** Nor does it wait longer for a controller that does not answer at all: the last nodes of a cluster have none. */
export const leaveSilenceMsMax = 5_000;

type Wish = "fence" | "in" | "out";

export class BrokerLifecycle {
  private readonly options: BrokerLifecycleOptions;
  private registeredEpoch = -1;
  private wish: Wish = "fence";
  private timer: TimerHandle | null = null;
  private isBeating = false;
  private isDueAgain = false;
  private isClosed = false;
  private failureCount = 0;
  private lastAnswerMs = 0;
  private hasLeft: (() => void) | null = null;
  private readonly waitingForEntry: (() => void)[] = [];

  constructor(options: BrokerLifecycleOptions) {
    this.options = options;
  }

  /** Of the present registration; -1 before it. */
  get brokerEpoch(): number {
    return this.registeredEpoch;
  }

  // --- entry -------------------------------------------------------------------------------------

  /** Fenced at first. Rejects with RequestError where the controller refuses for good, or nobody accepted it in time. */
  async register(entry: BrokerEntry): Promise<number> {
    const { clock, logger, nodeId, registrationMs } = this.options;
    const deadlineMs = clock.monotonicMs() + registrationMs;
    for (let attempt = 0; ; attempt++) {
      const problem = await this.tryRegistration(entry);
      if (problem === null) break;
      if (isFinal(problem.errorCode) || this.isClosed) throw problem;
      if (clock.monotonicMs() >= deadlineMs) throw problem;
      if (attempt === 0)
        logger.warn({ nodeId, error: problem.message }, "the broker is not registered yet: it tries again");
      await this.pause(this.retryMs(attempt));
    }
    this.schedule(0);
    return this.registeredEpoch;
  }

  private async tryRegistration(entry: BrokerEntry): Promise<RequestError | null> {
    try {
      const answer = await this.options.channel.request(
        ApiKey.BrokerRegistration,
        this.registration(entry),
        ownOrigin(this.options.sessionMs),
      );
      if (answer.errorCode !== ErrorCode.NONE) return registrationProblem(answer.errorCode ?? 0, this.options);
      this.registeredEpoch = Number(answer.brokerEpoch ?? -1);
      return null;
    } catch (error) {
      if (error instanceof RequestError) return error;
      throw error;
    }
  }

  private registration(entry: BrokerEntry): BrokerRegistrationRequest {
    const { clusterId, directoryIds, features, incarnationId, nodeId, rack } = this.options;
    return {
      ...{ brokerId: nodeId, clusterId, incarnationId, rack },
      listeners: entry.endpoints.map(({ host, name, port, securityProtocol }) => ({
        host,
        name,
        port,
        securityProtocol,
      })),
      features: [...features].map(([name, { maxVersion, minVersion }]) => ({
        ...{ name, minSupportedVersion: minVersion, maxSupportedVersion: maxVersion },
      })),
      isMigratingZkBroker: false,
      logDirs: [...directoryIds],
      previousBrokerEpoch: BigInt(entry.previousBrokerEpoch),
    };
  }

  /** The broker takes part from now on; resolves when its partitions have their leader. */
  unfence(): Promise<void> {
    this.wish = "in";
    const entered = new Promise<void>((resolve) => this.waitingForEntry.push(resolve));
    this.schedule(0);
    return entered;
  }

  /** The metadata has moved: entry may be complete. */
  onMetadata(): void {
    if (this.waitingForEntry.length === 0 || !this.options.isUnfenced()) return;
    for (const resolve of this.waitingForEntry.splice(0)) resolve();
  }

  /** A directory failed: the controller hears at once, and others lead what was there. */
  onDirectoryFailure(): void {
    if (this.registeredEpoch >= 0) this.schedule(0);
  }

  // --- heartbeats --------------------------------------------------------------------------------

  private schedule(delayMs: number): void {
    if (this.isClosed) return;
    if (this.isBeating) {
      if (delayMs === 0) this.isDueAgain = true;
      return;
    }
    this.timer?.cancel();
    if (delayMs === 0) {
      this.timer = null;
      void this.beat();
    } else this.timer = this.options.timers.after(delayMs, () => void this.beat());
  }

  private async beat(): Promise<void> {
    this.isBeating = true;
    this.isDueAgain = false;
    const nextMs = await this.askOnce();
    this.isBeating = false;
    this.schedule(this.isDueAgain ? 0 : nextMs);
  }

  /** One heartbeat; the wait until the next. */
  private async askOnce(): Promise<number> {
    const { channel, logger, metadataOffset, nodeId, offlineDirectories, sessionMs } = this.options;
    const wish = this.wish;
    try {
      const answer = await channel.request(
        ApiKey.BrokerHeartbeat,
        {
          brokerId: nodeId,
          brokerEpoch: BigInt(this.registeredEpoch),
          currentMetadataOffset: BigInt(metadataOffset()),
          wantFence: wish === "fence",
          wantShutDown: wish === "out",
          offlineLogDirs: [...offlineDirectories()],
          cordonedLogDirs: [...this.options.cordonedDirectories()],
        },
        ownOrigin(Math.max(1, sessionMs / 2)),
      );
      if (answer.errorCode !== undefined && answer.errorCode !== ErrorCode.NONE) {
        throw new RequestError(answer.errorCode, errorOf(answer.errorCode).message);
      }
      this.failureCount = 0;
      return this.onAnswer(answer, wish);
    } catch (error) {
      if (this.isClosed) return retryMsMax;
      if (!(error instanceof RequestError)) logger.error({ nodeId, error: String(error) }, "a heartbeat failed");
      else if (this.failureCount === 0) logger.warn({ nodeId, error: error.message }, "a heartbeat was not accepted");
      return this.retryMs(this.failureCount++);
    }
  }

  private onAnswer(answer: BrokerHeartbeatResponseInit, wish: Wish): number {
    this.lastAnswerMs = this.options.clock.monotonicMs();
    if (wish === "out") {
      if (answer.shouldShutDown) this.hasLeft?.();
      return eagerHeartbeatMs;
    }
    if (wish === "fence" || !answer.isFenced) {
      this.onMetadata();
      return this.options.heartbeatMs;
    }
    return Math.min(eagerHeartbeatMs, this.options.heartbeatMs);
  }

  private retryMs(attempt: number): number {
    const plainMs = Math.min(retryMsMin * 2 ** Math.min(attempt, 20), retryMsMax);
    return plainMs * (0.9 + (this.options.random.uint32() / 0x1_0000_0000) * 0.2);
  }

  private pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.options.timers.after(delayMs, resolve));
  }

  // --- leaving -----------------------------------------------------------------------------------

  /**
   * As a broker that stops (KIP-631's controlled shutdown): it leads nothing any more when this resolves with true. False: no controller
   * answered in time, and others learn that it is gone by its silence.
   */
  leave(): Promise<boolean> {
    if (this.registeredEpoch < 0 || this.isClosed) return Promise.resolve(true);
    const { clock, logger, nodeId, timers } = this.options;
    const startMs = clock.monotonicMs();
    this.lastAnswerMs = startMs;
    this.wish = "out";
    return new Promise((resolve) => {
      let watch: TimerHandle | null = null;
      const end = (isComplete: boolean): void => {
        watch?.cancel();
        this.close();
        if (!isComplete)
          logger.warn({ nodeId }, "the broker stops without the controller's leave: nobody answered in time");
        resolve(isComplete);
      };
      const check = (): void => {
        const nowMs = clock.monotonicMs();
        if (nowMs - this.lastAnswerMs > leaveSilenceMsMax || nowMs - startMs > leaveMsMax) end(false);
        else watch = timers.after(eagerHeartbeatMs, check);
      };
      this.hasLeft = () => end(true);
      check();
      this.schedule(0);
    });
  }

  close(): void {
    this.isClosed = true;
    this.timer?.cancel();
  }
}

/** No later try can end otherwise: somebody has to change something. */
function isFinal(errorCode: number): boolean {
  return (
    errorCode === ErrorCode.INCONSISTENT_CLUSTER_ID ||
    errorCode === ErrorCode.UNSUPPORTED_VERSION ||
    errorCode === ErrorCode.INVALID_REGISTRATION ||
    errorCode === ErrorCode.CLUSTER_AUTHORIZATION_FAILED
  );
}

function registrationProblem(errorCode: number, options: BrokerLifecycleOptions): RequestError {
  const { clusterId, nodeId } = options;
  switch (errorCode) {
    case ErrorCode.DUPLICATE_BROKER_REGISTRATION:
      return new RequestError(
        errorCode,
        `another broker is registered with node.id=${nodeId} and is alive. Stop it, or give this node an id of its own and a directory formatted for it`,
      );
    case ErrorCode.INCONSISTENT_CLUSTER_ID:
      return new RequestError(
        errorCode,
        `the controllers belong to another cluster than ${clusterId}, which this node's directories were formatted for. Name this cluster's controllers in controller.quorum.bootstrap.servers, or use directories of theirs`,
      );
    case ErrorCode.INVALID_REGISTRATION:
      return new RequestError(
        errorCode,
        `the controller refused the log directories of node ${nodeId}: one of their directory.id belongs to another broker, or is there twice. A copied directory needs a meta.properties of its own`,
      );
    case ErrorCode.UNSUPPORTED_VERSION:
      return new RequestError(
        errorCode,
        `the cluster has finalized a feature at a level that this release does not support. Use a newer release, or downgrade the feature with kafka-features`,
      );
    default:
      return new RequestError(
        errorCode,
        `the controller refused the registration of node ${nodeId}: ${errorOf(errorCode).message}`,
      );
  }
}
