// Walks the batches of a segment file by their headers, in pieces of bounded size: no batch is ever read whole, whatever its length says.
// Synchronous; the walk's position and header are valid until its next step.
import type { DiskFile } from "../base/index.ts";
import {
  batchAt,
  batchBaseOffset,
  batchHeaderBytes,
  batchLastOffset,
  batchMagic,
  batchSizeAt,
  crc32c,
} from "../model/index.ts";

/** Holds the headers of one index interval's small batches. */
const headerPieceBytes = 8 * 1024;
/** For walks that read every byte. */
const wholePieceBytes = 1024 * 1024;

/** One buffer for all walks by headers: they are synchronous and none is inside another. */
const sharedPiece = Buffer.allocUnsafeSlow(headerPieceBytes);

export class HeaderWalk {
  /** Where the header of the current batch is, and at which position of it. */
  readonly piece: Buffer = sharedPiece;
  at = 0;
  /** Of the current batch, in the file. */
  position = 0;
  sizeBytes = 0;
  private readonly file: DiskFile;
  private readonly end: number;
  private pieceStart = 0;
  private pieceEnd = 0;
  private nextPosition: number;

  /** From the batch that begins at `position` to `end`. */
  constructor(file: DiskFile, position: number, end: number) {
    this.file = file;
    this.nextPosition = position;
    this.end = end;
  }

  /** False at the end, at a batch that is cut, and where there is no batch. */
  next(): boolean {
    const position = this.nextPosition;
    if (position + batchHeaderBytes > this.end) return false;
    if (position < this.pieceStart || position + batchHeaderBytes > this.pieceEnd) {
      const wanted = Math.min(this.piece.length, this.end - position);
      const count = this.file.read(this.piece.subarray(0, wanted), position);
      this.pieceStart = position;
      this.pieceEnd = position + count;
      if (count < batchHeaderBytes) return false;
    }
    const at = position - this.pieceStart;
    const size = batchSizeAt(this.piece, at);
    if (size < batchHeaderBytes || position + size > this.end) return false;
    this.at = at;
    this.position = position;
    this.sizeBytes = size;
    this.nextPosition = position + size;
    return true;
  }

  get baseOffset(): number {
    return batchBaseOffset(this.piece, this.at);
  }
  get lastOffset(): number {
    return batchLastOffset(this.piece, this.at);
  }
  /** The header, copied. */
  header(): Buffer {
    return Buffer.from(this.piece.subarray(this.at, this.at + batchHeaderBytes));
  }
}

export interface CheckedBatch {
  readonly position: number;
  readonly sizeBytes: number;
  /** At least the header and the first `keptBytes` of the batch. Valid until the walk goes on. */
  readonly head: Buffer;
}

/** Enough of a batch for the one record of a transaction marker. */
const keptBytes = 1024;

/**
 * Every batch from `position` on that is whole and whose checksum is right; ends before the first that is not. Reads each byte once, in
 * pieces, so that a length field that lies costs nothing.
 */
export function* checkedBatches(
  file: DiskFile,
  position: number,
  end: number,
): Generator<CheckedBatch, void, undefined> {
  const piece = Buffer.allocUnsafeSlow(Math.min(wholePieceBytes, Math.max(end - position, batchHeaderBytes)));
  let pieceStart = position;
  let pieceEnd = position;
  const fill = (from: number): void => {
    pieceStart = from;
    pieceEnd = from + file.read(piece.subarray(0, Math.min(piece.length, Math.max(end - from, 0))), from);
  };
  const head = Buffer.allocUnsafeSlow(keptBytes);
  let at = position;
  while (at + batchHeaderBytes <= end) {
    const headBytes = Math.min(keptBytes, end - at);
    if (at + headBytes > pieceEnd) fill(at);
    if (at + batchHeaderBytes > pieceEnd) return;
    piece.copy(head, 0, at - pieceStart, Math.min(at + keptBytes, pieceEnd) - pieceStart);
    const size = batchSizeAt(head, 0);
    if (size < batchHeaderBytes || at + size > end || head.readInt8(batchAt.magic) !== batchMagic) return;
    let checksum = 0;
    for (let from = at + batchAt.attributes; from < at + size; ) {
      if (from >= pieceEnd || from < pieceStart) fill(from);
      const to = Math.min(at + size, pieceEnd);
      if (to <= from) return;
      checksum = crc32c(piece.subarray(from - pieceStart, to - pieceStart), checksum);
      from = to;
    }
    if (checksum !== head.readUInt32BE(batchAt.crc)) return;
    yield { position: at, sizeBytes: size, head: head.subarray(0, Math.min(size, keptBytes)) };
    at += size;
  }
}
