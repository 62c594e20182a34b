// What the cleaner knows of transactions while it goes through a log: which batches belong to aborted ones, and whether a marker still has data
// before it. Fed batch by batch in the order of their offsets; touches no disk.

import type { RecordCursor } from "../../model/index.ts";
import { batchIsTransactional, batchLastOffset, batchProducerId, parseControlKey } from "../../model/index.ts";
import type { AbortedEntry } from "../segment-indexes.ts";

interface AbortedSeen {
  readonly entry: AbortedEntry;
  /** A batch of it was come across: its marker is still needed. */
  hasData: boolean;
}

export class CleanedTransactions {
  /** Ascending by first offset. */
  private coming: AbortedEntry[] = [];
  private readonly aborted = new Map<number, AbortedSeen>();
  private readonly committed = new Set<number>();
  private readonly keep: (entry: AbortedEntry) => void;

  /** `keep` is told of each aborted transaction whose marker stays: its entry belongs into the new segment's index. */
  constructor(keep: (entry: AbortedEntry) => void = () => {}) {
    this.keep = keep;
  }

  /** Before the batches of the range that they touch. */
  add(entries: readonly AbortedEntry[]): void {
    if (entries.length === 0) return;
    this.coming.push(...entries);
    this.coming.sort((one, other) => one.firstOffset - other.firstOffset);
  }

  /** Takes the batch into account. True: nothing in it is needed, for it is of an aborted transaction. */
  onData(header: Buffer, at: number): boolean {
    this.begin(batchLastOffset(header, at));
    if (!batchIsTransactional(header, at)) return false;
    const producerId = batchProducerId(header, at);
    const seen = this.aborted.get(producerId);
    if (seen === undefined) {
      this.committed.add(producerId);
      return false;
    }
    seen.hasData = true;
    return true;
  }

  /** Takes a marker into account; `cursor` is before its record. True: no data of its transaction was come across. */
  onControl(header: Buffer, at: number, cursor: RecordCursor): boolean {
    this.begin(batchLastOffset(header, at));
    // Cleaned before: nothing but the empty batch is left.
    if (!cursor.next()) return true;
    const type = parseControlKey(cursor.buffer, cursor.keyPosition, cursor.keyLength)?.type ?? null;
    const producerId = batchProducerId(header, at);
    if (type === "commit") return !this.committed.delete(producerId);
    if (type !== "abort") return false;
    const seen = this.aborted.get(producerId);
    this.aborted.delete(producerId);
    if (seen === undefined || !seen.hasData) return true;
    this.keep(seen.entry);
    return false;
  }

  private begin(upTo: number): void {
    let begun = 0;
    for (; begun < this.coming.length && this.coming[begun]!.firstOffset <= upTo; begun++) {
      const entry = this.coming[begun]!;
      // Transactions that span segments are announced for each of them.
      if (!this.aborted.has(entry.producerId)) this.aborted.set(entry.producerId, { entry, hasData: false });
    }
    if (begun > 0) this.coming.splice(0, begun);
  }
}
