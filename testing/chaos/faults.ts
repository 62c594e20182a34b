// What happens to the cluster and when: drawn from the seed. One fault at a time, healed before the next; which node it hits depends on who leads then.
import { setTimeout as sleep } from "node:timers/promises";
import type { Admin } from "@blumfeld/client";
import type { seededRandom } from "@blumfeld/core/base";
import { chaosPartitions, chaosTopic, readerGroup } from "./load.ts";
import { type ListenerName, type Nodes, nodeIds } from "./nodes.ts";

export const faultKinds = [
  "kill-leader",
  "kill-controller",
  "kill-coordinator",
  "kill-all",
  "pause",
  "cut-off",
] as const;
export type FaultKind = (typeof faultKinds)[number];

const pauseMsMin = 3_000;
const pauseMsMax = 30_000;
const quietMsMin = 2_000;
const quietMsMax = 8_000;
const lookMsMax = 3_000;

export class Faults {
  readonly counts = new Map<FaultKind, number>();
  /** What was done, in order. */
  readonly story: string[] = [];
  private readonly nodes: Nodes;
  private readonly admin: Admin;
  private readonly random: ReturnType<typeof seededRandom>;
  private readonly kinds: readonly FaultKind[];
  private readonly startedMs = performance.now();

  constructor(nodes: Nodes, admin: Admin, random: ReturnType<typeof seededRandom>, kinds: readonly FaultKind[]) {
    this.nodes = nodes;
    this.admin = admin;
    this.random = random;
    this.kinds = kinds;
  }

  /** Faults until the time is over; every one is healed when it resolves. */
  async run(untilMs: number): Promise<void> {
    while (performance.now() < untilMs) {
      await sleep(quietMsMin + this.random.below(quietMsMax - quietMsMin));
      if (performance.now() >= untilMs) return;
      // Drawn first, so that the same seed goes the same way whatever the cluster does.
      const kind = this.kinds[this.random.below(this.kinds.length)]!;
      const draw = this.random.below(1 << 30);
      const lengthMs = pauseMsMin + this.random.below(pauseMsMax - pauseMsMin);
      await this.inflict(kind, draw, Math.min(lengthMs, Math.max(pauseMsMin, untilMs - performance.now())));
    }
  }

  private async inflict(kind: FaultKind, draw: number, lengthMs: number): Promise<void> {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    const anyone = nodeIds[draw % nodeIds.length]!;
    switch (kind) {
      case "kill-leader":
        return this.kill(kind, (await this.leaderOf(draw % chaosPartitions)) ?? anyone);
      case "kill-controller":
        return this.kill(kind, (await this.controller()) ?? anyone);
      case "kill-coordinator":
        return this.kill(kind, (await this.coordinator()) ?? anyone);
      case "kill-all":
        this.tell("all nodes killed");
        for (const id of nodeIds) this.nodes.kill(id);
        return;
      case "pause":
        this.tell(`node ${anyone} paused for ${Math.round(lengthMs / 1000)} s`);
        this.nodes.pause(anyone);
        await sleep(lengthMs);
        this.nodes.resume(anyone);
        return;
      case "cut-off":
        return this.cutOff(anyone, draw, lengthMs);
    }
  }

  private async cutOff(id: number, draw: number, lengthMs: number): Promise<void> {
    const choices: readonly (readonly ListenerName[])[] = [
      ["INTERNAL"],
      ["CONTROLLER"],
      ["INTERNAL", "CONTROLLER"],
      ["CLIENT", "INTERNAL", "CONTROLLER"],
    ];
    const listeners = choices[(draw >> 4) % choices.length]!;
    const how = (draw >> 8) % 2 === 0 ? "reset" : "hang";
    this.tell(`nobody reaches node ${id} at ${listeners.join(", ")} for ${Math.round(lengthMs / 1000)} s (${how})`);
    this.nodes.cutOff(id, listeners, how);
    await sleep(lengthMs);
    this.nodes.restore(id);
  }

  private kill(kind: FaultKind, id: number): void {
    this.tell(`${kind}: node ${id} killed`);
    this.nodes.kill(id);
  }

  private tell(what: string): void {
    this.story.push(`${((performance.now() - this.startedMs) / 1000).toFixed(1)} s: ${what}`);
  }

  private async leaderOf(partition: number): Promise<number | null> {
    return this.look(async () => {
      const [topic] = await this.admin.describeTopics([chaosTopic], { timeoutMs: lookMsMax });
      return topic?.partitions[partition]?.leader ?? -1;
    });
  }

  private async controller(): Promise<number | null> {
    return this.look(async () => (await this.admin.describeQuorum({ timeoutMs: lookMsMax })).leaderId);
  }

  private async coordinator(): Promise<number | null> {
    return this.look(async () => {
      const [group] = await this.admin.describeGroups([readerGroup], { timeoutMs: lookMsMax });
      return group?.coordinatorId ?? -1;
    });
  }

  /** Null where nobody can say now. */
  private async look(ask: () => Promise<number>): Promise<number | null> {
    try {
      const id = await ask();
      return nodeIds.some((one) => one === id) ? id : null;
    } catch {
      return null;
    }
  }
}
