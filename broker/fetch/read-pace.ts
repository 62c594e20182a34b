// Whether what a fetch wants is in the page cache can be told only by reading: cached pages come in microseconds. So a small piece is read
// here and now, and its time decides about the rest. A piece that was slow held up the loop; none is tried for twenty times as long, so
// that cold reads take a twentieth of the loop at most.

/** The piece that is tried. */
export const probeBytes = 64 * 1024;
/** Slower than this, it came from the device. */
export const probeQuickMs = 0.3;
/** Once a probe was quick, the rest is read in pieces of this size, as long as each is quick for its size. */
export const pieceBytes = 1024 * 1024;
export const pieceQuickMs = 3;
export const pauseFactor = 20;

export class ReadPace {
  private probeAgainMs = 0;

  /** False: read on the thread pool. */
  mayTry(nowMs: number): boolean {
    return nowMs >= this.probeAgainMs;
  }

  /** True where the rest may be read at once too. */
  note(startMs: number, endMs: number, quickMs: number): boolean {
    const tookMs = endMs - startMs;
    if (tookMs <= quickMs) return true;
    this.probeAgainMs = endMs + tookMs * pauseFactor;
    return false;
  }
}
