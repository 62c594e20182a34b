// What several tests of the log share: batches, a world of ports, a logger that says nothing.

import { type Disk, type Logger, seededRandom, type Timers } from "@blumfeld/core/base";
import {
  type AppendOptions,
  createLog,
  type LoadOptions,
  type LogConfig,
  type LogEnvironment,
  loadLog,
  logConfigDefaults,
  type PartitionLog,
  standaloneEnvironment,
} from "@blumfeld/core/log";
import { type BatchBuildOptions, RecordBatchBuilder, type TopicPartition } from "@blumfeld/core/model";
import { MemoryDisk } from "@blumfeld/host/disk";

export const quietLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => quietLogger,
};

export interface ManualTimers extends Timers {
  /** Calls what is due `ms` from the last call on, in order, and what that asks for. */
  advance(ms: number): void;
}

/** Timers that stand still, but for those of no delay, which run with the loop. */
export function manualTimers(): ManualTimers {
  let nowMs = 0;
  let waiting: { dueMs: number; callback: () => void }[] = [];
  return {
    after(delayMs, callback) {
      const entry = { dueMs: nowMs + delayMs, callback };
      if (delayMs === 0) setImmediate(callback);
      else waiting.push(entry);
      return {
        cancel() {
          waiting = waiting.filter((other) => other !== entry);
        },
      };
    },
    atTurnEnd(callback) {
      setImmediate(callback);
    },
    advance(ms) {
      nowMs += ms;
      for (;;) {
        const due = waiting.filter((entry) => entry.dueMs <= nowMs).sort((one, other) => one.dueMs - other.dueMs)[0];
        if (due === undefined) return;
        waiting = waiting.filter((entry) => entry !== due);
        due.callback();
      }
    },
  };
}

export interface TestRecord {
  readonly timestamp?: number;
  readonly key?: string | null;
  readonly value?: string | Buffer;
}

/** A batch as a producer would send it. */
export function batchOf(records: readonly TestRecord[], options: BatchBuildOptions = {}): Buffer {
  const builder = new RecordBatchBuilder({ bytesInitial: 512 });
  for (const record of records) builder.append(record.timestamp ?? 1000, record.key ?? null, record.value ?? "v");
  return builder.build(options);
}

/** A batch of `count` small records. */
export function plainBatch(count: number, timestamp = 1000, options: BatchBuildOptions = {}): Buffer {
  return batchOf(
    Array.from({ length: count }, (_unused, index) => ({ timestamp: timestamp + index, value: `value ${index}` })),
    options,
  );
}

export const topicPartition = { topic: "topic", partition: 0 } as TopicPartition;

export interface LogWorld {
  readonly disk: Disk;
  readonly environment: LogEnvironment;
  nowMs: number;
  config: LogConfig;
  create(): PartitionLog;
  load(options?: Partial<LoadOptions>): PartitionLog;
}

/** A partition's folder on a disk, and a clock that the test moves. */
export function logWorld(config: Partial<LogConfig> = {}, disk: Disk = new MemoryDisk(), root = "/data"): LogWorld {
  disk.makeDirectory(root);
  const place = { topicPartition, directory: root, folder: `${root}/topic-0` };
  const world: LogWorld = {
    disk,
    nowMs: 1_700_000_000_000,
    config: { ...logConfigDefaults, ...config },
    environment: standaloneEnvironment({
      disk,
      clock: { wallMs: () => world.nowMs, monotonicMs: () => world.nowMs },
      random: seededRandom(7),
    }),
    create: () => createLog(world.environment, place, world.config, null),
    load: (options = {}) =>
      loadLog(world.environment, place, world.config, {
        hadCleanShutdown: false,
        recoveryPoint: 0 as LoadOptions["recoveryPoint"],
        logStartOffset: 0 as LoadOptions["logStartOffset"],
        highWatermark: 0 as LoadOptions["highWatermark"],
        ...options,
      }).log,
  };
  return world;
}

export const asClient = (world: LogWorld, options: Partial<AppendOptions> = {}): AppendOptions => ({
  origin: "client",
  leaderEpoch: 0,
  nowMs: world.nowMs,
  ...options,
});
