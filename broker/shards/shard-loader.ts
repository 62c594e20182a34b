// Reads a coordinator's partition from its start to its end into the shard, in slices: between them the loop serves others.
import type { Clock, Logger, Timers } from "@blumfeld/core/base";
import { batchRecordsBytesLater, DecompressionProblem } from "@blumfeld/core/compression";
import type { Shard, ShardRuntime, TransactionalWriter } from "@blumfeld/core/coordinator";
import {
  batchHeaderBytes,
  batchSizeAt,
  type Offset,
  parseControlKey,
  RecordBatchView,
  RecordCursor,
} from "@blumfeld/core/model";
import type { Partition } from "../partition/partition.ts";

/** One read of the log. */
export const loadSliceBytesMax = 1024 * 1024;
/** After this much work the loop goes on with others. */
export const loadStallMsMax = 15;
/** Largest decompressed batch: the log's own bound on batches, times what JSON-like records compress to. */
export const loadBatchBytesMax = 64 * 1024 * 1024;

interface LoadPorts {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}

type Runtime = ShardRuntime<Shard<unknown, unknown>, unknown, unknown>;

/** Rejects where a record cannot be read; ends early when the shard was closed meanwhile. */
export async function loadShard<S extends Shard<Entry, Timer>, Entry, Timer>(
  runtime: ShardRuntime<S, Entry, Timer>,
  partition: Partition,
  ports: LoadPorts,
): Promise<void> {
  const { log } = partition;
  if (log === null) throw new Error(`${partition.name} is offline`);
  const { clock, timers, logger } = ports;
  const startedMs = clock.monotonicMs();
  const endOffset = log.logEndOffset;
  const load = new Load(runtime as unknown as Runtime, clock, timers);
  let offset = log.logStartOffset;
  while (offset < endOffset) {
    const slice = log.read(offset, { bytesMax: loadSliceBytesMax, upTo: endOffset, minOneBatch: true });
    if (slice.kind === "out-of-range") throw new Error(`${partition.name} has no offset ${offset}`);
    if (slice.kind === "empty") break;
    const bytes = Buffer.allocUnsafe(slice.sizeBytes);
    const count = await slice.file.readLater(bytes, slice.position);
    if (runtime.currentState !== "loading") return;
    const next = await load.batches(bytes.subarray(0, count), offset, endOffset);
    if (runtime.currentState !== "loading") return;
    if (next === offset) throw new Error(`${partition.name} has no whole batch at offset ${offset}`);
    offset = next;
  }
  const loadMs = Math.round(clock.monotonicMs() - startedMs);
  if (load.recordCount > 0)
    logger.info({ partition: partition.name, records: load.recordCount, loadMs }, "the coordinator's log is loaded");
  runtime.finishLoading(log.highWatermark);
}

class Load {
  recordCount = 0;
  private readonly runtime: Runtime;
  private readonly clock: Clock;
  private readonly timers: Timers;
  private readonly cursor = new RecordCursor();
  private sliceStartMs: number;

  constructor(runtime: Runtime, clock: Clock, timers: Timers) {
    this.runtime = runtime;
    this.clock = clock;
    this.timers = timers;
    this.sliceStartMs = clock.monotonicMs();
  }

  /** The offset after the last whole batch. */
  async batches(bytes: Buffer, from: Offset, endOffset: Offset): Promise<Offset> {
    let next = from;
    let position = 0;
    for (;;) {
      const size = batchSizeAt(bytes, position);
      if (size < batchHeaderBytes || position + size > bytes.length) return next;
      const batch = new RecordBatchView(bytes, position);
      if (batch.baseOffset >= endOffset) return endOffset;
      await this.batch(batch, from);
      if (this.runtime.currentState !== "loading") return next;
      next = batch.nextOffset;
      position += size;
    }
  }

  private async batch(batch: RecordBatchView, from: Offset): Promise<void> {
    const { cursor, runtime } = this;
    if (batch.codecId === 0) cursor.openBatch(batch.buffer, batch.position);
    else {
      const records = await batchRecordsBytesLater(batch, { outputBytesMax: loadBatchBytesMax });
      if (records instanceof DecompressionProblem) throw records;
      cursor.openRecords(batch, records);
    }
    const { isControl, isTransactional } = batch;
    const writer: TransactionalWriter | null = isTransactional
      ? { producerId: batch.producerId, producerEpoch: batch.producerEpoch }
      : null;
    while (cursor.next()) {
      if (cursor.offset < from) continue;
      const { key } = cursor;
      if (isControl) this.marker(key, writer);
      else if (key !== null) {
        runtime.load(key, cursor.value, cursor.timestamp, writer);
        this.recordCount++;
      }
      if ((this.recordCount & 63) === 0 && this.clock.monotonicMs() - this.sliceStartMs > loadStallMsMax) {
        await this.giveWay();
        if (runtime.currentState !== "loading") return;
      }
    }
    if (cursor.problem !== null) throw cursor.problem;
  }

  private marker(key: Buffer | null, writer: TransactionalWriter | null): void {
    const type = key === null ? null : (parseControlKey(key)?.type ?? null);
    if (writer !== null && (type === "commit" || type === "abort"))
      this.runtime.loadTransactionEnd(writer, type === "commit");
  }

  private async giveWay(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.timers.after(0, resolve);
    });
    this.sliceStartMs = this.clock.monotonicMs();
  }
}
