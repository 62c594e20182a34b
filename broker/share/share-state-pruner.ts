// Keeps `__share_group_state` short: its log is never compacted, and only the last snapshot of each share partition and what follows it counts. At each
// pass every share partition without a snapshot since the pass before is written one; then nothing below that pass is needed, and the log begins
// there. Knows no offsets of records, and looks at no log.
import type { TimerHandle } from "@blumfeld/core/base";
import type { ShareKey, ShareStateShard } from "@blumfeld/core/coordinator";
import { offsetOf, shareGroupStateTopic } from "@blumfeld/core/model";
import { ErrorCode, type ShareCoordinatorRecord } from "@blumfeld/core/protocol";
import type { Partition } from "../partition/partition.ts";
import type { PartitionObserver } from "../partition/partition-manager.ts";
import type { BrokerParts } from "../parts.ts";
import type { ShardHost } from "../shards/shard-host.ts";

/** Less than so many records, and twice as many as share partitions, stay where they are: the snapshots would cost more. */
export const prunedCountMin = 100;
/** Snapshots that are written in one turn. */
export const snapshotsPerTurnMax = 500;

type Host = ShardHost<ShareStateShard, ShareCoordinatorRecord, never>;
type Runtime = NonNullable<ReturnType<Host["shardAt"]>>;

/** What a pass found: the log's end then, and how many snapshots each share partition had. */
interface Pass {
  readonly endOffset: number;
  readonly epochs: ReadonlyMap<string, number>;
}

export class ShareStatePruner implements PartitionObserver {
  private readonly parts: Pick<BrokerParts, "cluster" | "logger" | "partitions" | "timers">;
  private readonly host: Host;
  private readonly led = new Set<Partition>();
  private readonly passes = new WeakMap<Runtime, Pass>();
  private timer: TimerHandle | null = null;

  /** Observes after the host does, so that a partition that is led has its shard. */
  constructor(parts: Pick<BrokerParts, "cluster" | "logger" | "partitions" | "timers">, host: Host) {
    this.parts = parts;
    this.host = host;
    parts.partitions.observe(shareGroupStateTopic, this);
  }

  onLeader(partition: Partition): void {
    this.led.add(partition);
    this.arm();
  }

  onResigned(partition: Partition): void {
    this.led.delete(partition);
    if (this.led.size > 0) return;
    this.timer?.cancel();
    this.timer = null;
  }

  onHighWatermark(): void {}

  private arm(): void {
    if (this.timer !== null || this.led.size === 0) return;
    const intervalMs = this.parts.cluster.settings.get("share.coordinator.state.topic.prune.interval.ms");
    this.timer = this.parts.timers.after(intervalMs, () => void this.onTime());
  }

  private async onTime(): Promise<void> {
    for (const partition of [...this.led]) {
      try {
        await this.prune(partition);
      } catch (error) {
        this.parts.logger.error({ partition: partition.name, err: error }, `share state is not pruned: ${error}`);
      }
    }
    this.timer = null;
    this.arm();
  }

  private async prune(partition: Partition): Promise<void> {
    const runtime = this.host.shardAt(partition.index);
    const { log } = partition;
    if (runtime === null || runtime.currentState !== "active" || log === null || !this.led.has(partition)) return;
    const before = this.passes.get(runtime);
    // Its answer comes once all that it speaks of is committed.
    const found = await asked(runtime, (shard) => {
      const epochs = shard.snapshotEpochs();
      const cold = before === undefined ? [] : shard.keysWithoutSnapshotSince(before.epochs);
      return { pass: { endOffset: log.logEndOffset, epochs }, cold };
    });
    if (found === null) return;
    const isWorthwhile =
      before !== undefined && before.endOffset - log.logStartOffset >= prunedCountMin + 2 * found.pass.epochs.size;
    if (!isWorthwhile) {
      this.passes.set(runtime, found.pass);
      return;
    }
    for (let at = 0; at < found.cold.length; at += snapshotsPerTurnMax) {
      const isWritten = await snapshots(runtime, found.cold.slice(at, at + snapshotsPerTurnMax));
      if (!isWritten) return;
    }
    this.passes.set(runtime, found.pass);
    if (this.host.shardAt(partition.index) !== runtime || !partition.isLeader || partition.log !== log) return;
    const { kind } = log.deleteRecordsBefore(offsetOf(before.endOffset));
    if (kind === "deleted") partition.wakeFetches();
    else this.parts.logger.warn({ partition: partition.name }, `share state is not pruned: ${kind}`);
  }
}

/** Null where the shard is not here any more. */
function asked<Answer>(runtime: Runtime, look: (shard: ShareStateShard) => Answer): Promise<Answer | null> {
  return new Promise((resolve) =>
    runtime.write(
      "share state pruning",
      (shard) => ({ records: [], answer: look(shard) }),
      (outcome) => resolve("answer" in outcome ? outcome.answer : null),
    ),
  );
}

/** One decision for each, as a batch may not hold all. */
async function snapshots(runtime: Runtime, keys: readonly ShareKey[]): Promise<boolean> {
  const codes = await Promise.all(
    keys.map(
      (key) =>
        new Promise<number>((resolve) =>
          runtime.write(
            "share state snapshot",
            (shard, nowMs) => shard.snapshot(key, nowMs),
            ({ errorCode }) => resolve(errorCode),
          ),
        ),
    ),
  );
  return codes.every((code) => code === ErrorCode.NONE);
}
