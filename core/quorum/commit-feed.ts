// Hands committed batches to the listeners, in the order of the log, each once. What this node has appended itself it still holds decoded;
// everything else is read back from the log.
import type { Offset } from "../model/index.ts";
import type { CommittedBatch } from "./metadata-quorum.ts";
import type { QuorumLog } from "./quorum-log.ts";
import { type MetadataBatch, readMetadataBatches, SnapshotDamaged } from "./snapshot-reader.ts";

/** Read from the log at once. */
const feedPieceBytes = 4 * 1024 * 1024;

export class CommitFeed {
  private readonly log: QuorumLog;
  private readonly deliver: (batches: readonly CommittedBatch[]) => void;
  /** Appended here and not delivered yet, one after another. */
  private appended: CommittedBatch[] = [];
  /** The listeners have seen everything before. */
  nextOffset: number;

  constructor(log: QuorumLog, nextOffset: number, deliver: (batches: readonly CommittedBatch[]) => void) {
    this.log = log;
    this.nextOffset = nextOffset;
    this.deliver = deliver;
  }

  /** A batch that this node has just appended; control batches without records. */
  onAppended(batch: CommittedBatch): void {
    this.appended.push(batch);
  }

  /** What was appended here may be cut off: it is read back when it is committed after all. */
  forgetAppended(): void {
    this.appended = [];
  }

  /** The listeners have been given a snapshot that ends there. */
  jumpTo(offset: number): void {
    this.appended = [];
    this.nextOffset = offset;
  }

  /** All before `highWatermark` is committed. */
  advance(highWatermark: number): void {
    while (this.nextOffset < highWatermark) {
      const batches = this.takeAppended(highWatermark) ?? this.readBatches(highWatermark);
      if (batches.length === 0) return;
      this.nextOffset = batches.at(-1)!.lastOffset + 1;
      const withRecords = batches.filter(({ records }) => records.length > 0);
      if (withRecords.length > 0) this.deliver(withRecords);
    }
  }

  private takeAppended(highWatermark: number): CommittedBatch[] | null {
    const { appended } = this;
    if (appended[0]?.baseOffset !== this.nextOffset) return null;
    const after = appended.findIndex(({ lastOffset }) => lastOffset >= highWatermark);
    return appended.splice(0, after === -1 ? appended.length : after);
  }

  private readBatches(highWatermark: number): CommittedBatch[] {
    const { log, nextOffset } = this;
    const end = Math.min(highWatermark, this.appended[0]?.baseOffset ?? highWatermark);
    const slice = log.read(nextOffset as Offset, {
      ...{ bytesMax: feedPieceBytes, upTo: end as Offset, minOneBatch: true },
    });
    if (slice.kind !== "slice")
      throw new SnapshotDamaged(log.path, nextOffset, `no records from offset ${nextOffset} on`);
    const { file, position, sizeBytes } = slice;
    const batches: CommittedBatch[] = [];
    // A slice may end inside a batch: the whole batches before that are read.
    for (const batch of readMetadataBatches(file, position, position + sizeBytes, file.path, true)) {
      if (batch.lastOffset >= end) break;
      if (batch.lastOffset < nextOffset) continue;
      batches.push(nextOffset > batch.baseOffset ? batchFrom(batch, nextOffset) : batch);
    }
    return batches;
  }
}

/** A snapshot may end inside a batch: what it has is not replayed again. */
function batchFrom(batch: MetadataBatch, offset: number): CommittedBatch {
  return { ...batch, baseOffset: offset, records: batch.records.slice(offset - batch.baseOffset) };
}
