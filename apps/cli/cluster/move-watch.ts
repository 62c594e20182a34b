// Watches moves of replicas to their end: a bar for whoever looks, throttles that are set before and lifted after.
import type { Admin } from "@blumfeld/client";
import type { SingleBar } from "cli-progress";
import type { CliIo } from "../io.ts";
import type { PlannedMove } from "./balance-plan.ts";

const pollMs = 300;
const rateSettings = ["leader.replication.throttled.rate", "follower.replication.throttled.rate"];
const replicaSettings = ["leader.replication.throttled.replicas", "follower.replication.throttled.replicas"];

export class MoveWatch {
  private readonly io: CliIo;
  private readonly admin: Admin;
  private readonly wanted: readonly PlannedMove[];

  constructor(io: CliIo, admin: Admin, wanted: readonly PlannedMove[]) {
    this.io = io;
    this.admin = admin;
    this.wanted = wanted;
  }

  /** Every replica of the topics that move counts, at every broker that has or gets one. */
  async throttle(bytesPerSecond: number): Promise<void> {
    await this.alter(String(bytesPerSecond), "*");
  }

  async liftThrottle(): Promise<void> {
    await this.alter(null, null);
  }

  private async alter(rate: string | null, replicas: string | null): Promise<void> {
    const topics = new Set(this.wanted.map(({ topic }) => topic));
    const brokers = new Set(this.wanted.flatMap(({ from, replicas: to }) => [...from, ...to]));
    const changes = (names: readonly string[], value: string | null) =>
      names.map((name) =>
        value === null ? { name, operation: "delete" as const } : { name, operation: "set" as const, value },
      );
    const altered = await this.admin.alterConfigs([
      ...[...brokers].map((id) => ({
        type: "broker" as const,
        name: String(id),
        changes: changes(rateSettings, rate),
      })),
      ...[...topics].map((name) => ({ type: "topic" as const, name, changes: changes(replicaSettings, replicas) })),
    ]);
    const refused = altered.find(({ error }) => error !== null);
    if (refused !== undefined) throw refused.error!;
  }

  async untilDone(): Promise<void> {
    const total = this.wanted.length;
    let bar: SingleBar | null = null;
    if (this.io.isTerminal) {
      const { default: cliProgress } = await import("cli-progress");
      bar = new cliProgress.SingleBar(
        { format: "moving partitions {bar} {value} of {total}, {eta_formatted} left", clearOnComplete: true },
        cliProgress.Presets.shades_classic,
      );
      bar.start(total, 0);
    }
    try {
      for (;;) {
        const ongoing = new Set(
          (await this.admin.listReassignments()).map(({ partition, topic }) => `${topic}-${partition}`),
        );
        const left = this.wanted.filter(({ partition, topic }) => ongoing.has(`${topic}-${partition}`)).length;
        bar?.update(total - left);
        if (left === 0) return;
        await new Promise((wake) => setTimeout(wake, pollMs));
      }
    } finally {
      bar?.stop();
    }
  }
}
