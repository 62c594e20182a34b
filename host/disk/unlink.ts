// Takes files away without holding the loop. The name goes at once; the blocks and cached pages of a large file, some 100 ms for a gigabyte, are given
// back by whoever closes its last descriptor: that is done on the thread pool, one file at a time, so that reads and syncs there have room too.
import { close, closeSync, existsSync, openSync, readdirSync, rmdirSync, statSync, unlinkSync } from "node:fs";

/** A smaller file is gone quicker than a descriptor is opened for it. */
const releaseLaterBytesMin = 1024 * 1024;
/** Descriptors that wait for their turn; what comes above is released in the caller's turn. */
export const releaseCountMax = 64;

export class Unlinker {
  private waiting: number[] = [];
  private isReleasing = false;

  /** Throws what the system says where the name cannot be taken away. */
  file(path: string): void {
    if (this.waiting.length >= releaseCountMax || statSync(path).size < releaseLaterBytesMin) {
      unlinkSync(path);
      return;
    }
    const descriptor = openSync(path, "r");
    try {
      unlinkSync(path);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
    this.waiting.push(descriptor);
    this.releaseNext();
  }

  /** With all that is in it; harmless where nothing is. A link in it is taken away, not followed. */
  directory(path: string): void {
    if (!existsSync(path)) return;
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      const inside = `${path}/${entry.name}`;
      if (entry.isDirectory()) this.directory(inside);
      else if (entry.isFile()) this.file(inside);
      else unlinkSync(inside);
    }
    rmdirSync(path);
  }

  private releaseNext(): void {
    if (this.isReleasing) return;
    const descriptor = this.waiting.shift();
    if (descriptor === undefined) return;
    this.isReleasing = true;
    // A descriptor for reading has nothing left to write: closing it can fail only where there is nothing to be done about it.
    close(descriptor, () => {
      this.isReleasing = false;
      this.releaseNext();
    });
  }
}
