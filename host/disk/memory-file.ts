// The content of a file in memory: pieces of a fixed size, of which only the first grows, so that small files stay small and large ones
// are never copied as a whole.

/** All pieces but the first have this size. */
const pieceBytes = 256 * 1024;
const firstPieceBytes = 256;

export class MemoryContent {
  sizeBytes = 0;
  /** What survives a crash: the size when it was last synced. */
  durableBytes = 0;
  modifiedMs = 0;
  private readonly pieces: Buffer[] = [];

  read(target: Uint8Array, position: number): number {
    const count = Math.min(target.length, Math.max(this.sizeBytes - position, 0));
    for (let done = 0; done < count; ) {
      const at = position + done;
      const piece = this.pieces[Math.floor(at / pieceBytes)]!;
      const from = at % pieceBytes;
      const length = Math.min(piece.length - from, count - done);
      target.set(piece.subarray(from, from + length), done);
      done += length;
    }
    return count;
  }

  write(bytes: Uint8Array, position: number): void {
    this.reserve(position + bytes.length);
    for (let done = 0; done < bytes.length; ) {
      const at = position + done;
      const piece = this.pieces[Math.floor(at / pieceBytes)]!;
      const from = at % pieceBytes;
      const length = Math.min(piece.length - from, bytes.length - done);
      piece.set(bytes.subarray(done, done + length), from);
      done += length;
    }
    this.sizeBytes = Math.max(this.sizeBytes, position + bytes.length);
  }

  /** Grows with zeros, as files do. */
  truncate(sizeBytes: number): void {
    if (sizeBytes > this.sizeBytes) {
      this.reserve(sizeBytes);
    } else {
      this.pieces.length = Math.ceil(sizeBytes / pieceBytes);
      const last = this.pieces.at(-1);
      // What lies past the end must read as zeros when the file grows again.
      if (last !== undefined) last.fill(0, sizeBytes - (this.pieces.length - 1) * pieceBytes);
    }
    this.sizeBytes = sizeBytes;
    this.durableBytes = Math.min(this.durableBytes, sizeBytes);
  }

  private reserve(sizeBytes: number): void {
    if (sizeBytes === 0) return;
    if (this.pieces.length === 0) this.pieces.push(Buffer.alloc(0));
    const first = this.pieces[0]!;
    const firstNeeded = Math.min(sizeBytes, pieceBytes);
    if (first.length < firstNeeded) {
      const larger = Buffer.alloc(Math.min(Math.max(firstNeeded, first.length * 2, firstPieceBytes), pieceBytes));
      first.copy(larger);
      this.pieces[0] = larger;
    }
    while (this.pieces.length * pieceBytes < sizeBytes) this.pieces.push(Buffer.alloc(pieceBytes));
  }
}
