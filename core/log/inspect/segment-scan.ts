// Reads a segment file from end to end, every byte once: which batches are whole, where they lie, and what lies between them. Goes on behind damage
// where a whole batch is found again, so that what was lost can be told from what was not. Keeps a few numbers a batch.
import type { DiskFile } from "../../base/index.ts";
import {
  batchBaseOffset,
  batchDamage,
  batchHeaderBytes,
  batchIsControl,
  batchLastOffset,
  batchLeaderEpoch,
  batchMagic,
  batchMagicByte,
  batchMaxTimestamp,
  batchProducerId,
  batchSizeAt,
  parseControlKey,
  RecordCursor,
} from "../../model/index.ts";

export interface ScannedBatch {
  readonly position: number;
  readonly sizeBytes: number;
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly leaderEpoch: number;
  readonly maxTimestamp: number;
  readonly producerId: number;
  /** The marker that it holds. */
  readonly marker: "commit" | "abort" | null;
}

export interface DamagedRange {
  readonly start: number;
  readonly end: number;
  readonly what: string;
  /** Nothing whole comes after it. */
  readonly isTail: boolean;
}

export interface SegmentScan {
  readonly batches: readonly ScannedBatch[];
  readonly damaged: readonly DamagedRange[];
}

/** Above any batch that a broker takes: a length field above it is damage. */
const batchBytesMax = 128 * 1024 * 1024;
const pieceBytes = 4 * 1024 * 1024;

export function scanSegment(file: DiskFile, onBytes: (bytes: number) => void = () => {}): SegmentScan {
  const size = file.sizeBytes();
  const window = new Window(file, size);
  const batches: ScannedBatch[] = [];
  const damaged: DamagedRange[] = [];
  let at = 0;
  let told = 0;
  while (at < size) {
    const what = window.damageAt(at);
    if (what === null) {
      const batch = window.batchAt(at);
      batches.push(batch);
      at += batch.sizeBytes;
    } else {
      const next = window.nextWhole(at + 1);
      damaged.push({ start: at, end: next ?? size, what, isTail: next === null });
      at = next ?? size;
    }
    if (at - told >= pieceBytes) {
      onBytes(at - told);
      told = at;
    }
  }
  onBytes(size - told);
  return { batches, damaged };
}

/** A piece of the file, which moves on and grows to the largest batch. */
class Window {
  private readonly file: DiskFile;
  private readonly size: number;
  private bytes = Buffer.allocUnsafeSlow(64 * 1024);
  private start = 0;
  private end = 0;
  private readonly cursor = new RecordCursor();

  constructor(file: DiskFile, size: number) {
    this.file = file;
    this.size = size;
    if (size > this.bytes.length) this.bytes = Buffer.allocUnsafeSlow(Math.min(pieceBytes, size));
  }

  /** Null where a whole, undamaged batch begins at `at`. */
  damageAt(at: number): string | null {
    const left = this.size - at;
    if (left < batchHeaderBytes) {
      this.need(at, left);
      return this.isZero(at, left) ? "zeros" : `${left} bytes, less than a header`;
    }
    this.need(at, batchHeaderBytes);
    const size = batchSizeAt(this.bytes, at - this.start, this.end - this.start);
    const magic = batchMagicByte(this.bytes, at - this.start);
    if (this.isZero(at, batchHeaderBytes)) return "zeros where a batch should begin";
    if (magic !== batchMagic)
      return magic === 0 || magic === 1 ? `a message of format ${magic}, older than 0.11` : `magic ${magic}, not 2`;
    if (size < batchHeaderBytes || size > batchBytesMax) return `a length field of ${size} bytes`;
    if (size > left) return `a batch of ${size} bytes, cut at ${left}`;
    this.need(at, size);
    const damage = batchDamage(this.bytes, at - this.start, this.end - this.start);
    if (damage !== null) return damage === "crc-mismatch" ? "a checksum that does not fit its batch" : damage;
    const base = batchBaseOffset(this.bytes, at - this.start);
    return Number.isSafeInteger(base) && base >= 0 ? null : "a base offset out of range";
  }

  batchAt(at: number): ScannedBatch {
    const { bytes } = this;
    const from = at - this.start;
    return {
      position: at,
      sizeBytes: batchSizeAt(bytes, from, this.end - this.start),
      baseOffset: batchBaseOffset(bytes, from),
      lastOffset: batchLastOffset(bytes, from),
      leaderEpoch: batchLeaderEpoch(bytes, from),
      maxTimestamp: batchMaxTimestamp(bytes, from),
      producerId: batchProducerId(bytes, from),
      marker: this.markerAt(from),
    };
  }

  private markerAt(from: number): ScannedBatch["marker"] {
    if (!batchIsControl(this.bytes, from)) return null;
    const cursor = this.cursor.openBatch(this.bytes, from);
    if (!cursor.next()) return null;
    const type = parseControlKey(this.bytes, cursor.keyPosition, cursor.keyLength)?.type;
    return type === "commit" || type === "abort" ? type : null;
  }

  /** Where the next whole batch begins; null where there is none. Tries every place that could be the magic of one. */
  nextWhole(from: number): number | null {
    for (let at = from; at + batchHeaderBytes <= this.size; at++) {
      this.need(at, Math.min(batchHeaderBytes, this.size - at));
      const magicAt = this.bytes.indexOf(batchMagic, at - this.start + 16);
      if (magicAt < 0 || magicAt >= this.end - this.start) {
        at = Math.max(this.end - 17, at);
        continue;
      }
      at = this.start + magicAt - 16;
      // The sign bits of an offset and of a length are a cheap sieve.
      const high = this.bytes[at - this.start]!;
      if (high === 0 && at + batchHeaderBytes <= this.size && this.damageAt(at) === null) return at;
    }
    return null;
  }

  private isZero(at: number, length: number): boolean {
    return this.bytes.subarray(at - this.start, at - this.start + length).every((byte) => byte === 0);
  }

  private need(at: number, length: number): void {
    if (at >= this.start && at + length <= this.end) return;
    if (length > this.bytes.length) this.bytes = Buffer.allocUnsafeSlow(length);
    const count = this.file.read(this.bytes.subarray(0, Math.min(this.bytes.length, this.size - at)), at);
    this.start = at;
    this.end = at + count;
    this.bytes.fill(0, count);
  }
}
