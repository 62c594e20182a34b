// The content of a file as a process sees it (the page cache), as the device has it, and what lies between: the changes since the last sync, in
// order. A crash keeps of those what its dice say, sector by sector.
import type { Random } from "@blumfeld/core/base";

/** A device writes whole sectors, or tears one. */
export const sectorBytes = 512;

type Change =
  | { readonly kind: "write"; readonly position: number; readonly bytes: Buffer }
  | { readonly kind: "truncate"; readonly sizeBytes: number };

export type LostWrites =
  /** Nothing that was not synced is left. */
  | "all"
  /** A prefix in the order of writing is left; the last sector may be torn. */
  | "tail"
  /** Each sector by itself is left or not: the device wrote in its own order. What lies before one that is left reads as zeros, or as it was. */
  | "any"
  /** Everything is left: only the process died. */
  | "none";

class Image {
  sizeBytes = 0;
  private bytes = Buffer.alloc(256);

  write(bytes: Uint8Array, position: number): void {
    const end = position + bytes.length;
    if (bytes.length === 0) return;
    this.reserve(end);
    this.bytes.set(bytes, position);
    this.sizeBytes = Math.max(this.sizeBytes, end);
  }

  truncate(sizeBytes: number): void {
    if (sizeBytes > this.sizeBytes) this.reserve(sizeBytes);
    else this.bytes.fill(0, sizeBytes, this.sizeBytes);
    this.sizeBytes = sizeBytes;
  }

  view(): Buffer {
    return this.bytes.subarray(0, this.sizeBytes);
  }

  private reserve(sizeBytes: number): void {
    if (sizeBytes <= this.bytes.length) return;
    const larger = Buffer.alloc(Math.max(sizeBytes, this.bytes.length * 2));
    this.bytes.copy(larger, 0, 0, this.sizeBytes);
    this.bytes = larger;
  }
}

export class FaultyContent {
  modifiedMs = 0;
  private cached = new Image();
  private readonly device = new Image();
  private changes: Change[] = [];

  get sizeBytes(): number {
    return this.cached.sizeBytes;
  }

  get isSynced(): boolean {
    return this.changes.length === 0;
  }

  read(target: Uint8Array, position: number): number {
    const from = Math.min(position, this.sizeBytes);
    const count = Math.min(target.length, this.sizeBytes - from);
    target.set(this.cached.view().subarray(from, from + count));
    return count;
  }

  write(bytes: Uint8Array, position: number): void {
    if (bytes.length === 0) return;
    const copy = Buffer.from(bytes);
    this.cached.write(copy, position);
    this.changes.push({ kind: "write", position, bytes: copy });
  }

  truncate(sizeBytes: number): void {
    this.cached.truncate(sizeBytes);
    this.changes.push({ kind: "truncate", sizeBytes });
  }

  sync(): void {
    for (const change of this.changes) apply(this.device, change);
    this.changes = [];
  }

  /**
   * A sync that failed: the system forgets that the pages are dirty, so the next one succeeds without them. Reads still see them until the
   * cache drops them.
   */
  loseDirtyPages(): void {
    this.changes = [];
  }

  /** As a bad device does: flips one bit that reads see, and that stays. */
  flipBit(position: number, bit: number): void {
    for (const image of [this.cached, this.device]) if (position < image.sizeBytes) image.view()[position]! ^= 1 << bit;
  }

  crash(lost: LostWrites, random: Random): void {
    if (lost === "none") this.sync();
    else if (lost === "tail") this.keepPrefix(random);
    else if (lost === "any") this.keepAny(random);
    this.changes = [];
    this.cached = new Image();
    this.cached.write(this.device.view(), 0);
    this.cached.truncate(this.device.sizeBytes);
  }

  private keepPrefix(random: Random): void {
    const kept = random.uint32() % (this.changes.length + 1);
    for (const change of this.changes.slice(0, kept)) apply(this.device, change);
    const torn = this.changes[kept];
    if (torn?.kind !== "write") return;
    const bytes = random.uint32() % (torn.bytes.length + 1);
    this.device.write(torn.bytes.subarray(0, bytes), torn.position);
  }

  private keepAny(random: Random): void {
    for (const change of this.changes) {
      if (change.kind === "truncate") {
        if (random.uint32() % 2 === 0) apply(this.device, change);
        continue;
      }
      for (const { at, end } of sectorsOf(change)) {
        const dice = random.uint32() % 8;
        if (dice < 4) this.device.write(change.bytes.subarray(at, end), change.position + at);
        // The size reached the device and the bytes did not.
        else if (dice < 6 && change.position + end > this.device.sizeBytes) this.device.truncate(change.position + end);
        else if (dice === 6) {
          const half = at + (random.uint32() % (end - at));
          this.device.write(change.bytes.subarray(at, half), change.position + at);
        }
      }
    }
  }
}

function apply(image: Image, change: Change): void {
  if (change.kind === "write") image.write(change.bytes, change.position);
  else image.truncate(change.sizeBytes);
}

/** The parts of a write, cut where the file's sectors are. */
function* sectorsOf({ bytes, position }: Change & { kind: "write" }): Generator<{ at: number; end: number }> {
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + sectorBytes - ((position + at) % sectorBytes));
    yield { at, end };
    at = end;
  }
}
