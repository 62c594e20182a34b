// The shards of one kind of coordinator on this broker: one for each partition of the internal topic that is led here. Loads them, appends what
// they decide, tells them what is committed, gives them the time. Decides nothing.
import { type Clock, type Logger, MalformedMessage, type TimerHandle, type Timers } from "@blumfeld/core/base";
import { type Decision, type Reply, type Shard, ShardRuntime, TimerTable, UndoLog } from "@blumfeld/core/coordinator";
import { ErrorCode } from "@blumfeld/core/protocol";
import type { Partition } from "../partition/partition.ts";
import type { PartitionManager, PartitionObserver } from "../partition/partition-manager.ts";
import type { MetadataSource } from "../parts.ts";
import { javaStringHash } from "./java-string-hash.ts";
import { loadShard } from "./shard-loader.ts";

/** Due timers that one shard works off before others have their turn. */
export const dueTimersPerTurnMax = 500;

export interface ShardHostParts {
  readonly partitions: PartitionManager;
  readonly metadata: MetadataSource;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}

export interface ShardKind<S extends Shard<Entry, Timer>, Entry, Timer> {
  /** The internal topic. */
  readonly topic: string;
  readonly create: (own: {
    readonly undo: UndoLog;
    readonly timers: TimerTable<Timer>;
    readonly partition: Partition;
  }) => S;
}

interface Running<S extends Shard<Entry, Timer>, Entry, Timer> {
  readonly partition: Partition;
  readonly runtime: ShardRuntime<S, Entry, Timer>;
  isFlushQueued: boolean;
}

export class ShardHost<S extends Shard<Entry, Timer>, Entry, Timer> implements PartitionObserver {
  readonly kind: ShardKind<S, Entry, Timer>;
  private readonly parts: ShardHostParts;
  private readonly running = new Map<number, Running<S, Entry, Timer>>();
  private timer: TimerHandle | null = null;
  private timerDeadlineMs = Number.POSITIVE_INFINITY;

  constructor(kind: ShardKind<S, Entry, Timer>, parts: ShardHostParts) {
    this.kind = kind;
    this.parts = parts;
    parts.partitions.observe(kind.topic, this);
  }

  // --- who is asked ----------------------------------------------------------------------------

  /** Null while the internal topic is not there. */
  partitionOf(key: string): number | null {
    const topic = this.parts.metadata.image.topics.get(this.kind.topic);
    return topic === undefined ? null : javaPartition(key, topic.partitions.length);
  }

  /** The shard that owns `key`. Null: it is not here. */
  shardOf(key: string): ShardRuntime<S, Entry, Timer> | null {
    const partition = this.partitionOf(key);
    return partition === null ? null : this.shardAt(partition);
  }

  shardAt(partition: number): ShardRuntime<S, Entry, Timer> | null {
    return this.running.get(partition)?.runtime ?? null;
  }

  /** Every shard that is led here, also those that still load. */
  *shards(): Generator<ShardRuntime<S, Entry, Timer>> {
    for (const { runtime } of this.running.values()) yield runtime;
  }

  /** Asks the owner of `key`; NOT_COORDINATOR where it is not here. */
  write<Answer>(
    key: string,
    what: string,
    decide: (shard: S, nowMs: number) => Decision<Answer, Entry>,
    reply: Reply<Answer>,
  ): void {
    const shard = this.shardOf(key);
    if (shard === null) reply({ errorCode: ErrorCode.NOT_COORDINATOR });
    else shard.write(what, decide, reply);
  }

  // --- partitions come and go ------------------------------------------------------------------

  onLeader(partition: Partition): void {
    this.end(partition.index);
    const { clock, logger, timers } = this.parts;
    const undo = new UndoLog();
    const timerTable = new TimerTable<Timer>(
      () => clock.monotonicMs(),
      (deadlineMs) => this.arm(deadlineMs),
    );
    const running: Running<S, Entry, Timer> = {
      partition,
      isFlushQueued: false,
      runtime: new ShardRuntime<S, Entry, Timer>({
        shard: this.kind.create({ undo, timers: timerTable, partition }),
        undo,
        timers: timerTable,
        log: {
          append: (batch, version) => this.append(running, batch, version),
          batchBytesMax: batchBytesMaxOf(partition),
        },
        requestFlush: () => this.queueFlush(running),
        wallMs: () => clock.wallMs(),
        onFault: (error, what) =>
          logger.error(
            { partition: partition.name, what, err: error },
            `a coordinator contradicted itself: ${error instanceof Error ? error.stack : String(error)}`,
          ),
      }),
    };
    this.running.set(partition.index, running);
    running.runtime.startLoading();
    void loadShard(running.runtime, partition, { clock, timers, logger }).catch((error: unknown) => {
      if (running.runtime.currentState !== "loading") return;
      running.runtime.failLoading();
      const reason = error instanceof MalformedMessage ? error.message : String(error);
      logger.error({ partition: partition.name, err: error }, `the coordinator's log cannot be read: ${reason}`);
    });
  }

  onResigned(partition: Partition): void {
    this.end(partition.index);
    if (this.running.size > 0 || this.timer === null) return;
    this.timer.cancel();
    this.timer = null;
    this.timerDeadlineMs = Number.POSITIVE_INFINITY;
  }

  onHighWatermark(partition: Partition): void {
    const running = this.running.get(partition.index);
    if (running?.partition === partition) running.runtime.onHighWatermark(partition.log?.highWatermark ?? 0);
  }

  private end(index: number): void {
    const running = this.running.get(index);
    if (running === undefined) return;
    this.running.delete(index);
    running.runtime.close();
  }

  // --- appending -------------------------------------------------------------------------------

  private queueFlush(running: Running<S, Entry, Timer>): void {
    if (running.isFlushQueued) return;
    running.isFlushQueued = true;
    this.parts.timers.atTurnEnd(() => {
      running.isFlushQueued = false;
      running.runtime.flush();
    });
  }

  private append(
    running: Running<S, Entry, Timer>,
    batch: Buffer,
    transactionVersion?: number,
  ): { kind: "appended"; endOffset: number } | { kind: "refused"; errorCode: number } {
    const { partition, runtime } = running;
    const problem = partition.leaderProblem(-1);
    if (problem !== ErrorCode.NONE) return { kind: "refused", errorCode: problem };
    if (partition.isBelowMinIsr) return { kind: "refused", errorCode: ErrorCode.NOT_ENOUGH_REPLICAS };
    const nowMs = this.parts.clock.wallMs();
    const marker = transactionVersion === undefined ? {} : { transactionVersion };
    const outcome = partition.append(batch, { origin: "coordinator", nowMs, ...marker });
    if (outcome.kind === "refused") {
      this.parts.logger.error({ partition: partition.name, code: outcome.errorCode }, outcome.message);
      return { kind: "refused", errorCode: outcome.errorCode };
    }
    const endOffset = outcome.lastOffset + 1;
    partition.wait({
      requiredOffset: endOffset,
      needsCommit: true,
      onAppendDone: (errorCode) => {
        // Committed is what the high watermark says; a lost leadership closes the shard. What is left is a write that failed.
        if (errorCode !== ErrorCode.KAFKA_STORAGE_ERROR) return;
        runtime.onAppendLost(partition.log?.logEndOffset ?? 0, errorCode);
      },
    });
    return { kind: "appended", endOffset };
  }

  // --- time ------------------------------------------------------------------------------------

  private arm(deadlineMs: number): void {
    if (deadlineMs >= this.timerDeadlineMs) return;
    this.timer?.cancel();
    this.timerDeadlineMs = deadlineMs;
    const delayMs = Math.max(0, deadlineMs - this.parts.clock.monotonicMs());
    this.timer = this.parts.timers.after(delayMs, this.onTime);
  }

  private readonly onTime = (): void => {
    this.timer = null;
    this.timerDeadlineMs = Number.POSITIVE_INFINITY;
    for (const { runtime } of [...this.running.values()]) runtime.onTime(dueTimersPerTurnMax);
    for (const { runtime } of this.running.values()) {
      const deadlineMs = runtime.nextDeadlineMs();
      if (deadlineMs !== null) this.arm(deadlineMs);
    }
  };
}

function batchBytesMaxOf(partition: Partition): number {
  return partition.log?.config.messageBytesMax ?? 1024 * 1024;
}

/** As Kafka: the hash with its sign cut off, modulo. */
export function javaPartition(key: string, partitionCount: number): number {
  const hash = javaStringHash(key);
  return (hash === -0x8000_0000 ? 0 : Math.abs(hash)) % partitionCount;
}
