// A data partition of the world: a real log on a disk in memory, and beside it the most obvious model of it, a list of what was written and how each
// transaction ended here. Readers of committed records must see what the model shows, from any offset.
import { strict as assert } from "node:assert";
import {
  batchNextOffset,
  controlKey,
  endTxnMarkerValue,
  iterateBatches,
  iterateRecords,
  type Offset,
  parseControlKey,
  RecordBatchBuilder,
} from "@blumfeld/core/model";
import { ErrorCode } from "@blumfeld/core/protocol";
import { asClient, batchOf, type LogWorld, logWorld } from "../../log/fixtures.ts";
import type { WorldTransaction } from "./world-transaction.ts";

type Log = ReturnType<LogWorld["create"]>;

interface Entry {
  readonly value: string;
  readonly offset: number;
  readonly producerId: bigint;
  /** Null: written outside of transactions. */
  readonly transaction: WorldTransaction | null;
  /** As markers in this partition say. */
  end: "open" | "commit" | "abort";
}

export interface BatchToWrite {
  readonly value: string;
  readonly producerId: bigint;
  readonly producerEpoch: number;
  readonly sequence: number;
  readonly transaction: WorldTransaction | null;
}

export interface MarkerToWrite {
  readonly producerId: bigint;
  readonly producerEpoch: number;
  readonly coordinatorEpoch: number;
  readonly isCommit: boolean;
  readonly clientVersion: number;
  /** Null: of an abort of nothing. */
  readonly transaction: WorldTransaction | null;
}

export class WorldPartition {
  readonly entries: Entry[] = [];
  private readonly world: LogWorld = logWorld({ segmentBytes: 700, indexIntervalBytes: 120 });
  private log: Log = this.world.create();

  hasOngoing(producerId: bigint, producerEpoch: number): boolean {
    return this.log.hasOngoingTransaction(Number(producerId), producerEpoch);
  }

  /** 0, or why the log does not take it. */
  append(batch: BatchToWrite): number {
    const { producerEpoch, producerId, sequence, transaction, value } = batch;
    const identity =
      transaction === null
        ? {}
        : { producerId: Number(producerId), producerEpoch, baseSequence: sequence, transactional: true };
    const bytes = batchOf([{ value }], identity);
    const end = this.log.logEndOffset;
    const outcome = this.log.append(bytes, asClient(this.world, { verification: "verified" }));
    if (outcome.kind === "refused") return outcome.errorCode;
    this.written();
    // A repeat is answered with where it lies, and adds nothing.
    if (this.log.logEndOffset === end) return ErrorCode.NONE;
    this.entries.push({ value, offset: end, producerId, transaction, end: transaction === null ? "commit" : "open" });
    return ErrorCode.NONE;
  }

  mark(marker: MarkerToWrite): number {
    const { clientVersion, coordinatorEpoch, isCommit, producerEpoch, producerId, transaction } = marker;
    const builder = new RecordBatchBuilder({ bytesInitial: 128 });
    builder.append(this.world.nowMs, controlKey(isCommit ? "commit" : "abort"), endTxnMarkerValue(coordinatorEpoch));
    const bytes = builder.build({
      ...{ transactional: true, control: true, baseSequence: -1 },
      ...{ producerId: Number(producerId), producerEpoch },
    });
    const how = { origin: "coordinator" as const, transactionVersion: clientVersion };
    const outcome = this.log.append(bytes, asClient(this.world, how));
    if (outcome.kind === "refused") return outcome.errorCode;
    this.written();
    for (const entry of this.entries) {
      if (entry.end !== "open" || entry.producerId !== producerId) continue;
      assert.equal(entry.transaction, transaction, `${entry.value} is ended by the marker of another transaction`);
      assert.equal(isCommit, transaction?.decision === "commit", `${entry.value}: a marker against the decision`);
      entry.end = isCommit ? "commit" : "abort";
    }
    return ErrorCode.NONE;
  }

  /** The process ends, cleanly or not, and opens the log again: all of it is on the disk, what stood beside it may be stale. */
  restart(isClean: boolean): void {
    const { highWatermark, logEndOffset, logStartOffset, recoveryPoint } = this.log;
    if (isClean) this.log.close();
    else this.log.release();
    this.log = this.world.load({
      hadCleanShutdown: isClean,
      recoveryPoint: isClean ? logEndOffset : recoveryPoint,
      logStartOffset,
      highWatermark,
    });
    this.log.setHighWatermark(this.log.logEndOffset);
  }

  roll(): void {
    this.log.roll();
    this.log.writePending();
  }

  private written(): void {
    this.log.writePending();
    this.log.setHighWatermark(this.log.logEndOffset);
  }

  /** What the model shows to readers of committed records from `offset` on. */
  private visible(offset: number): string[] {
    const firstOpen = this.entries.find(({ end }) => end === "open")?.offset ?? Number.MAX_SAFE_INTEGER;
    return this.entries
      .filter((entry) => entry.offset >= offset && entry.offset < firstOpen && entry.end === "commit")
      .map(({ value }) => value);
  }

  /** A reader's way through the log, in fetches of `bytesMax`. */
  holdReaders(share: number, bytesMax: number): void {
    const { lastStableOffset, logEndOffset } = this.log;
    const firstOpen = this.entries.find(({ end }) => end === "open")?.offset;
    assert.equal(lastStableOffset, firstOpen ?? logEndOffset, "the last stable offset is before the first open record");
    const from = Math.floor(lastStableOffset * share);
    const seen: string[] = [];
    for (let offset = from; offset < lastStableOffset; ) {
      const slice = this.log.read(offset as Offset, { bytesMax, upTo: lastStableOffset, minOneBatch: true });
      assert.equal(slice.kind, "slice");
      if (slice.kind !== "slice") return;
      const bytes = Buffer.alloc(slice.sizeBytes);
      slice.file.read(bytes, slice.position);
      const whole = wholeBatches(bytes);
      const next = batchNextOffset(whole.bytes, whole.lastAt);
      const aborted = this.log.abortedTransactions(offset as Offset, next as Offset);
      seen.push(...committedOf(whole.bytes, aborted, offset));
      assert.ok(next > offset, "a fetch moves the reader on");
      offset = next;
    }
    assert.deepEqual(seen, this.visible(from), `readers of committed records from offset ${from} on`);
  }
}

function wholeBatches(bytes: Buffer): { readonly bytes: Buffer; readonly lastAt: number } {
  let [at, lastAt] = [0, 0];
  while (at + 12 <= bytes.length && at + 12 + bytes.readInt32BE(at + 8) <= bytes.length) {
    lastAt = at;
    at += 12 + bytes.readInt32BE(at + 8);
  }
  return { bytes: bytes.subarray(0, at), lastAt };
}

/** As every client reads: the list of aborted transactions goes with the batches in their order. */
function committedOf(
  bytes: Buffer,
  transactions: readonly { readonly producerId: number; readonly firstOffset: number }[],
  from: number,
): string[] {
  const waiting = [...transactions].sort((one, other) => one.firstOffset - other.firstOffset);
  const aborted = new Set<number>();
  const values: string[] = [];
  for (const batch of iterateBatches(bytes)) {
    while (waiting[0] !== undefined && waiting[0].firstOffset <= batch.lastOffset)
      aborted.add(Number(waiting.shift()!.producerId));
    for (const record of iterateRecords(batch)) {
      if (batch.isControl) {
        if (parseControlKey(record.key!)?.type === "abort") aborted.delete(batch.producerId);
      } else if (record.offset >= from && !(batch.isTransactional && aborted.has(batch.producerId)))
        values.push(String(record.value));
    }
  }
  return values;
}
