// What a connection has still to send. One write is in flight at a time, of everything that was queued before it; small chunks are joined.
// Owns the chunks until `sent` is called.
import type { Socket } from "node:net";
import { joinedChunkBytesMax, writevChunksMax } from "./tcp-limits.ts";

export class SendQueue {
  /** Queued or in flight. */
  bytes = 0;
  private readonly socket: Socket;
  private readonly written: (bytes: number, error: Error | null | undefined) => void;
  private chunks: Uint8Array[] = [];
  private chunksBytes = 0;
  private callbacks: (() => void)[] = [];
  private inFlightBytes = 0;
  private inFlightCallbacks: (() => void)[] = [];
  private readonly onWrite: (error?: Error | null) => void;
  private wasHigh = false;
  private readonly highWaterBytes: number;

  constructor(
    socket: Socket,
    highWaterBytes: number,
    written: (bytes: number, error: Error | null | undefined) => void,
  ) {
    this.socket = socket;
    this.highWaterBytes = highWaterBytes;
    this.written = written;
    this.onWrite = (error) => this.onWriteDone(error);
  }

  /** The bytes that were added. */
  add(chunks: readonly Uint8Array[], sent: (() => void) | undefined): number {
    let bytes = 0;
    for (const chunk of chunks) {
      if (chunk.length === 0) continue;
      bytes += chunk.length;
      this.addChunk(chunk);
    }
    this.chunksBytes += bytes;
    this.bytes += bytes;
    if (this.bytes > this.highWaterBytes) this.wasHigh = true;
    if (sent !== undefined) this.callbacks.push(sent);
    return bytes;
  }

  /** Answers of one turn are written one behind the other by the same writer: such neighbours are one chunk. */
  private addChunk(chunk: Uint8Array): void {
    const last = this.chunks[this.chunks.length - 1];
    if (last !== undefined && last.buffer === chunk.buffer && last.byteOffset + last.length === chunk.byteOffset) {
      this.chunks[this.chunks.length - 1] = Buffer.from(last.buffer, last.byteOffset, last.length + chunk.length);
    } else this.chunks.push(chunk);
  }

  /** Whether `bytes` was above the high-water mark since it was asked last. */
  takeWasHigh(): boolean {
    const wasHigh = this.wasHigh;
    this.wasHigh = false;
    return wasHigh;
  }

  flush(): void {
    if (this.inFlightBytes > 0) return;
    const chunks = this.chunks;
    if (chunks.length === 0) {
      // Nothing but empty sends.
      if (this.callbacks.length > 0) this.callBack(this.takeCallbacks());
      return;
    }
    this.chunks = [];
    this.inFlightBytes = this.chunksBytes;
    this.chunksBytes = 0;
    this.inFlightCallbacks = this.takeCallbacks();
    if (chunks.length === 1) {
      this.socket.write(chunks[0]!, this.onWrite);
      return;
    }
    const joined = joinSmall(chunks);
    const last = joined.length - 1;
    this.socket.cork();
    for (let index = 0; index < last; index++) this.socket.write(joined[index]!);
    this.socket.write(joined[last]!, this.onWrite);
    this.socket.uncork();
  }

  private takeCallbacks(): (() => void)[] {
    const callbacks = this.callbacks;
    if (callbacks.length > 0) this.callbacks = [];
    return callbacks.length > 0 ? callbacks : noCallbacks;
  }

  private onWriteDone(error?: Error | null): void {
    const bytes = this.inFlightBytes;
    if (bytes === 0) return;
    this.inFlightBytes = 0;
    this.bytes -= bytes;
    const callbacks = this.inFlightCallbacks;
    this.inFlightCallbacks = noCallbacks;
    this.callBack(callbacks);
    this.written(bytes, error);
  }

  private callBack(callbacks: (() => void)[]): void {
    for (const callback of callbacks) callback();
  }

  /** The connection has ended: nothing more is sent, and everything is given back. The bytes that were held. */
  drop(): number {
    const bytes = this.bytes;
    this.bytes = 0;
    this.inFlightBytes = 0;
    this.chunksBytes = 0;
    this.chunks = [];
    const inFlight = this.inFlightCallbacks;
    const queued = this.takeCallbacks();
    this.inFlightCallbacks = noCallbacks;
    this.callBack(inFlight);
    this.callBack(queued);
    return bytes;
  }
}

const noCallbacks: (() => void)[] = [];

/** Runs of small chunks in one; no more than one writev takes. */
function joinSmall(chunks: readonly Uint8Array[]): Uint8Array[] {
  const joined: Uint8Array[] = [];
  for (let from = 0; from < chunks.length; ) {
    let to = from;
    let bytes = 0;
    while (
      to < chunks.length &&
      (chunks[to]!.length <= joinedChunkBytesMax || chunks.length > writevChunksMax) &&
      bytes < 65_536
    )
      bytes += chunks[to++]!.length;
    if (to - from > 1) joined.push(Buffer.concat(chunks.slice(from, to), bytes));
    else {
      joined.push(chunks[from]!);
      to = from + 1;
    }
    from = to;
  }
  return joined;
}
