// The offsets of one topic in one group. Most groups commit to many topics of few partitions: one offset is kept without a map around it.
import type { UndoLog } from "../../runtime/index.ts";
import type { StoredOffset } from "./offset-store.ts";

export class PartitionOffsets {
  private readonly undo: UndoLog;
  private only: StoredOffset | undefined;
  private onlyPartition = -1;
  private more: Map<number, StoredOffset> | null = null;

  constructor(undo: UndoLog) {
    this.undo = undo;
  }

  get size(): number {
    return this.more?.size ?? (this.only === undefined ? 0 : 1);
  }

  get(partition: number): StoredOffset | undefined {
    if (this.more !== null) return this.more.get(partition);
    return partition === this.onlyPartition ? this.only : undefined;
  }

  has(partition: number): boolean {
    return this.get(partition) !== undefined;
  }

  set(partition: number, stored: StoredOffset): void {
    this.remember(partition);
    this.put(partition, stored);
  }

  delete(partition: number): void {
    this.remember(partition);
    this.take(partition);
  }

  private remember(partition: number): void {
    if (!this.undo.isRecording) return;
    const before = this.get(partition);
    this.undo.remember(() => {
      if (before === undefined) this.take(partition);
      else this.put(partition, before);
    });
  }

  private put(partition: number, stored: StoredOffset): void {
    if (this.more !== null) this.more.set(partition, stored);
    else if (this.only === undefined || this.onlyPartition === partition) {
      this.only = stored;
      this.onlyPartition = partition;
    } else {
      this.more = new Map([
        [this.onlyPartition, this.only],
        [partition, stored],
      ]);
      this.only = undefined;
      this.onlyPartition = -1;
    }
  }

  private take(partition: number): void {
    if (this.more !== null) this.more.delete(partition);
    else if (this.onlyPartition === partition) {
      this.only = undefined;
      this.onlyPartition = -1;
    }
  }

  *[Symbol.iterator](): Generator<[number, StoredOffset]> {
    if (this.more !== null) yield* this.more;
    else if (this.only !== undefined) yield [this.onlyPartition, this.only];
  }

  *keys(): Generator<number> {
    for (const [partition] of this) yield partition;
  }
}
