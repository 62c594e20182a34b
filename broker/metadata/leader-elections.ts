// The active controller's regular elections: back to preferred leaders, and unclean ones where topics allow them. Its timers run while this
// node leads; the decisions are core's.
import type { Logger, TimerHandle, Timers } from "@blumfeld/core/base";
import {
  type BalanceAnswer,
  balanceLeaders,
  type Controller,
  type DecideContext,
  type Decision,
  electUncleanLeaders,
} from "@blumfeld/core/controller";
import type { BrokerSettings } from "@blumfeld/core/model/settings";

/** Between two bounded decisions of one run: other requests come in between. */
const continueMs = 10;

type Decide = (context: DecideContext) => Decision<BalanceAnswer>;

export interface LeaderElectionsOptions {
  readonly controller: Controller;
  readonly settings: BrokerSettings;
  readonly timers: Timers;
  readonly logger: Logger;
}

export class LeaderElections {
  private readonly options: LeaderElectionsOptions;
  private timers: TimerHandle[] = [];
  /** Counts the times that this node began or ceased to lead: a run of an earlier time does not go on in a later one. */
  private term = 0;

  constructor(options: LeaderElectionsOptions) {
    this.options = options;
    options.controller.observe({ onActive: () => this.start(), onStandby: () => this.stop() });
  }

  private start(): void {
    const { settings } = this.options;
    this.stop();
    const balanceMs = settings.get("leader.imbalance.check.interval.seconds") * 1000;
    if (settings.get("auto.leader.rebalance.enable")) this.repeat(0, balanceMs, "preferred leaders", balanceLeaders);
    const uncleanMs = settings.get("unclean.leader.election.interval.ms");
    this.repeat(1, uncleanMs, "unclean leaders", electUncleanLeaders);
  }

  private repeat(slot: number, everyMs: number, what: string, decide: Decide): void {
    const { term } = this;
    const runAfter = (delayMs: number): void => {
      if (term !== this.term) return;
      this.timers[slot] = this.options.timers.after(delayMs, () => {
        const { controller, logger } = this.options;
        controller.execute(decide).then(
          ({ electionCount, hasMore }) => {
            if (electionCount > 0) logger.info({ electionCount }, `elected ${what}`);
            runAfter(hasMore ? continueMs : everyMs);
          },
          (error: unknown) => {
            if (controller.isActive) logger.warn({ error: String(error) }, `cannot elect ${what}`);
            runAfter(everyMs);
          },
        );
      });
    };
    runAfter(everyMs);
  }

  stop(): void {
    this.term++;
    for (const timer of this.timers) timer?.cancel();
    this.timers = [];
  }
}
