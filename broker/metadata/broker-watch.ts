// The active controller's watch over the other brokers: takes their heartbeats, fences those that fall silent. Its timers run while this node
// leads; the decisions are core's.
import type { Clock, Logger, TimerHandle, Timers, Uuid } from "@blumfeld/core/base";
import {
  BrokerSessions,
  brokerHeartbeat,
  type Controller,
  fenceBroker,
  type Heartbeat,
  type HeartbeatAnswer,
} from "@blumfeld/core/controller";
import { NotLeader } from "@blumfeld/core/quorum";

/** Silence is noticed within an eighth of a session more than it takes. */
const checksInSession = 8;

export interface BrokerWatchOptions {
  readonly controller: Controller;
  /** Of this process, whose broker is never taken for silent: it ends with it. One that was here before it is. */
  readonly ownIncarnationId: Uuid;
  /** broker.session.timeout.ms */
  readonly sessionMs: number;
  /** Of the last committed record. */
  readonly committedOffset: () => number;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}

export class BrokerWatch {
  private readonly options: BrokerWatchOptions;
  private sessions: BrokerSessions;
  private timer: TimerHandle | null = null;

  constructor(options: BrokerWatchOptions) {
    this.options = options;
    this.sessions = new BrokerSessions(options.sessionMs);
    options.controller.observe({ onActive: () => this.start(), onStandby: () => this.stop() });
  }

  /** Whoever takes part has a whole session from now on. */
  private start(): void {
    const { clock, controller, sessionMs } = this.options;
    this.stop();
    this.sessions = new BrokerSessions(sessionMs);
    for (const { fenced, id } of controller.image.cluster.brokers.values()) {
      if (!fenced) this.sessions.touch(id, clock.monotonicMs(), -1);
    }
    this.schedule();
  }

  /** Rejects with what the decision refuses. */
  async heartbeat(heartbeat: Heartbeat): Promise<HeartbeatAnswer> {
    const { clock, committedOffset, controller } = this.options;
    const { brokerId, currentMetadataOffset } = heartbeat;
    const answer = await controller.execute((context) =>
      brokerHeartbeat(context, heartbeat, {
        shutdownOffset: this.sessions.shutdownOffset(brokerId),
        lowestActiveOffset: this.sessions.lowestActiveOffset,
      }),
    );
    if (answer.isFenced) this.sessions.forget(brokerId);
    else this.sessions.touch(brokerId, clock.monotonicMs(), currentMetadataOffset);
    if (answer.state === "controlled shutdown") this.sessions.onControlledShutdown(brokerId, committedOffset());
    return answer;
  }

  private schedule(): void {
    const { sessionMs, timers } = this.options;
    this.timer = timers.after(Math.max(1, sessionMs / checksInSession), () => this.check());
  }

  private check(): void {
    const { clock, controller, logger, ownIncarnationId } = this.options;
    for (const brokerId of this.sessions.expired(clock.monotonicMs())) {
      // The process is its own witness: it was held up as a whole, and its broker's next heartbeat is as late as this check.
      if (controller.image.cluster.broker(brokerId)?.incarnationId === ownIncarnationId) continue;
      this.sessions.forget(brokerId);
      logger.warn({ brokerId }, "the broker fell silent and is fenced: others lead its partitions");
      controller
        .execute((context) => fenceBroker(context, brokerId))
        .catch((error: unknown) => {
          // Whoever leads now finds out by itself.
          if (error instanceof NotLeader) return;
          logger.error({ brokerId, error: String(error) }, "cannot fence a silent broker");
        });
    }
    this.schedule();
  }

  private stop(): void {
    this.timer?.cancel();
    this.timer = null;
  }
}
