// One TCP connection as the network port has it: bytes in are cut into frames, chunks out leave in one write a turn.
//
// Receiving. The socket reads straight into memory that `nextRegion` names; frames are views of it. A quiet connection reads into the shared
// landing buffer; what came is moved to the turn's memory (small) or to a buffer of its own (large). A connection with its own buffer
// reads behind what is there, so frames are cut in place; only a frame that straddles the buffer's end is moved, once, and one that is larger
// than the buffer moves as it doubles. Buffers are exchanged inside read callbacks alone: the system holds a pointer between them.
//
// Sending. `send` queues; `flush` at the turn's end hands everything to the socket at once; while that is in flight the queue grows.
import type { Socket } from "node:net";
import type { Connection, ConnectionHandler } from "@blumfeld/core/base";
import { WheelTimer } from "../process/timer-wheel.ts";
import type { ReceiveMemory } from "./receive-memory.ts";
import { SendQueue } from "./send-queue.ts";
import { landingCopyBytesMax, ownBufferBytesMax, ownBufferBytesMin, type TcpLimits } from "./tcp-limits.ts";

/** What a connection needs of its network. */
export interface ConnectionHost {
  readonly limits: TcpLimits;
  readonly memory: ReceiveMemory;
  /** Bytes queued by all connections. */
  unsentBytes: number;
  /** Counts turns: views given out under another number are no longer valid. */
  readonly turn: number;
  /** `flush` is called at the end of this turn. */
  flushLater(connection: TcpConnection): void;
  /** `resumeFrames` is called in the next turn. */
  resumeLater(connection: TcpConnection): void;
  watch(connection: TcpConnection, delayMs: number): void;
  unwatch(connection: TcpConnection): void;
  /** Memory for unsent bytes is exhausted. */
  shed(): void;
  ended(connection: TcpConnection): void;
}

const frameSizeBytes = 4;

export class TcpConnection extends WheelTimer implements Connection {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  private readonly host: ConnectionHost;
  private readonly ownFrames: boolean;
  private readonly socket: Socket;
  private handler!: ConnectionHandler;
  private readonly queue: SendQueue;

  /** Null: the next read goes to the landing buffer. Unparsed bytes lie from `start` to `end`. */
  private own: Buffer | null = null;
  private start = 0;
  private end = 0;
  private isReading = false;
  private lastReadBytes = 0;
  private fullReads = 0;
  private isPaused = false;
  private isSocketPaused = false;
  /** After a pause: frames go on in the next turn. */
  private isResuming = false;
  private isClosing = false;
  private isEnded = false;
  /** Bytes in and out since the deadline was last looked at. */
  private activity = 0;
  /** For the network: stands in its list of this turn. */
  isFlushQueued = false;
  /** Bytes of the frame that has begun, as they were when the deadline was last looked at; -1: none had begun. */
  private progressAt = -1;
  private receivedBytes = 0;

  constructor(socket: Socket, host: ConnectionHost, ownFrames: boolean) {
    super();
    this.socket = socket;
    this.host = host;
    this.ownFrames = ownFrames;
    this.remoteAddress = plainAddress(socket.remoteAddress ?? "");
    this.remotePort = socket.remotePort ?? 0;
    this.localAddress = plainAddress(socket.localAddress ?? "");
    this.localPort = socket.localPort ?? 0;
    this.queue = new SendQueue(socket, host.limits.unsentHighWaterBytes, (bytes, error) =>
      this.onWritten(bytes, error),
    );
    socket.on("error", (error: NodeJS.ErrnoException) => this.finish(error.code ?? error.message));
    socket.on("end", () => this.finish("peer closed"));
    socket.on("close", () => this.finish("closed"));
  }

  begin(handler: ConnectionHandler): void {
    this.handler = handler;
    this.host.watch(this, this.host.limits.connectionIdleMs);
  }

  get hasEnded(): boolean {
    return this.isEnded;
  }

  // --- receiving -------------------------------------------------------------------------------

  /** Where the next read goes. Called by the socket after each read callback, and once before the first. */
  nextRegion(): Buffer {
    const memory = this.host.memory;
    const own = this.own;
    if (this.isEnded || own === null) return memory.landing;
    const rest = this.end - this.start;
    if (rest > 0) return this.regionBehind(own, rest);
    if (this.lastReadBytes <= landingCopyBytesMax) {
      this.dropOwn();
      return memory.landing;
    }
    if (own.length - this.end >= own.length >>> 1) return own.subarray(this.end);
    const wanted = this.fullReads >= 2 ? Math.min(own.length * 2, ownBufferBytesMax) : own.length;
    this.dropOwn();
    return this.takeOwn(Math.min(wanted, ownBufferBytesMax));
  }

  /** Room behind the beginning of a frame: to the frame's end where it fits, else in a larger buffer to which what came is moved. */
  private regionBehind(own: Buffer, rest: number): Buffer {
    const size = rest >= frameSizeBytes ? Math.max(0, own.readInt32BE(this.start)) + frameSizeBytes : ownBufferBytesMin;
    const isWhole = rest >= size;
    if (isWhole ? own.length > this.end : this.start + size <= own.length) return own.subarray(this.end);
    const capacity = isWhole ? rest * 2 : Math.min(size, rest * 2);
    if (!this.mayHold(capacity)) {
      this.fail(`no memory for a frame of ${size} bytes: ${this.host.memory.givenBytes} bytes are held`);
      return this.host.memory.landing;
    }
    const start = this.start;
    this.own = null;
    const region = this.takeOwn(capacity, own.subarray(start, start + rest));
    this.host.memory.retire(own);
    return region;
  }

  private mayHold(bytes: number): boolean {
    return bytes <= ownBufferBytesMin || this.host.memory.givenBytes + bytes <= this.host.limits.receiveBytesMax;
  }

  private takeOwn(bytesMin: number, content?: Buffer): Buffer {
    const own = this.host.memory.take(bytesMin);
    this.own = own;
    this.start = 0;
    this.end = content === undefined ? 0 : content.copy(own);
    return own.subarray(this.end);
  }

  private dropOwn(): void {
    if (this.own !== null) this.host.memory.retire(this.own);
    this.own = null;
    this.start = 0;
    this.end = 0;
  }

  /** `length` bytes were read into the region that was named last. False stops reading. */
  onRead(length: number, region: Buffer): boolean {
    if (this.isEnded) return false;
    this.host.flushLater(this);
    this.activity++;
    this.receivedBytes += length;
    this.lastReadBytes = length;
    this.fullReads = length === region.length ? this.fullReads + 1 : 0;
    this.isReading = true;
    if (this.own !== null) {
      this.end += length;
      this.setStart(this.cutFrames(this.own, this.start, this.end));
    } else if (length <= landingCopyBytesMax) {
      const kept = this.host.memory.keepForTurn(region, length);
      const at = this.cutFrames(kept, 0, length);
      if (at < length && !this.isEnded) this.takeOwn(Math.max(length - at, ownBufferBytesMin), kept.subarray(at));
    } else {
      this.takeOwn(ownBufferBytesMin, region.subarray(0, length));
      this.setStart(this.cutFrames(this.own!, 0, this.end));
    }
    this.isReading = false;
    if (this.isEnded) return false;
    this.noteProgress();
    if (!(this.isPaused || this.isResuming) || this.start === this.end) return true;
    // Bytes wait for a handler that wants none: TCP holds the peer from now on.
    this.isSocketPaused = true;
    return false;
  }

  private setStart(at: number): void {
    // The buffer may have been handed over as a frame.
    if (this.own !== null) this.start = at;
  }

  /** Bytes that came in a buffer of their own, as from TLS. */
  onChunk(chunk: Buffer): void {
    for (let at = 0; at < chunk.length && !this.isEnded; ) {
      const region = this.nextRegion();
      const length = Math.min(region.length, chunk.length - at);
      chunk.copy(region, 0, at, at + length);
      at += length;
      if (!this.onRead(length, region)) this.socket.pause();
    }
  }

  /** Hands over the whole frames between `at` and `end`; the position of the first byte that was not handed over. */
  private cutFrames(buffer: Buffer, from: number, end: number): number {
    let at = from;
    while (end - at >= frameSizeBytes && !this.isPaused && !this.isResuming && !this.isEnded && !this.isClosing) {
      const size = buffer.readInt32BE(at);
      const bytesMax = this.handler.frameBytesMax();
      if (size < 0 || size > bytesMax) {
        this.fail(size < 0 ? `frame size ${size}` : `frame size ${size} > ${bytesMax}`);
        return end;
      }
      const frameEnd = at + frameSizeBytes + size;
      if (frameEnd > end) break;
      const frame = this.ownFrames
        ? this.ownFrame(buffer, at + frameSizeBytes, frameEnd)
        : buffer.subarray(at + frameSizeBytes, frameEnd);
      at = frameEnd;
      try {
        this.handler.onFrame(frame);
      } catch (error) {
        this.fail(`frame handler failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
        return end;
      }
    }
    // What comes after a close is not looked at.
    return this.isClosing ? end : at;
  }

  /** A frame with memory of its own: the buffer itself where the frame fills most of it, else a copy. */
  private ownFrame(buffer: Buffer, start: number, end: number): Buffer {
    if (this.isReading && buffer === this.own && end === this.end && end - start > buffer.length >>> 1) {
      this.host.memory.forget(buffer);
      this.own = null;
      this.start = 0;
      this.end = 0;
      return buffer.subarray(start, end);
    }
    return Buffer.from(buffer.subarray(start, end));
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    if (!this.isPaused || this.isEnded) return;
    this.isPaused = false;
    if (this.isResuming) return;
    this.isResuming = true;
    this.host.resumeLater(this);
  }

  /** Frames that came before or during a pause. */
  resumeFrames(): void {
    this.isResuming = false;
    if (this.isEnded || this.isPaused) return;
    if (this.own !== null && this.start < this.end) {
      const at = this.cutFrames(this.own, this.start, this.end);
      if (this.isEnded) return;
      this.start = at;
      this.noteProgress();
      this.host.flushLater(this);
      if ((this.isPaused || this.isResuming) && this.start < this.end) return;
    }
    if (!this.isSocketPaused) return;
    this.isSocketPaused = false;
    this.socket.resume();
  }

  // --- sending ---------------------------------------------------------------------------------

  get unsentBytes(): number {
    return this.queue.bytes;
  }

  send(chunks: readonly Uint8Array[], sent?: () => void): void {
    if (this.isEnded || this.isClosing) {
      sent?.();
      return;
    }
    const bytes = this.queue.add(chunks, sent);
    this.host.unsentBytes += bytes;
    if (this.queue.bytes > this.host.limits.connectionUnsentBytesMax) {
      this.fail(`${this.queue.bytes} bytes are not taken by the peer`);
      return;
    }
    if (this.host.unsentBytes > this.host.limits.unsentBytesMax) this.host.shed();
    this.host.flushLater(this);
  }

  flush(): void {
    if (this.isEnded) return;
    this.queue.flush();
    if (this.isClosing && this.queue.bytes === 0) this.socket.destroySoon();
  }

  private onWritten(bytes: number, error: Error | null | undefined): void {
    this.host.unsentBytes -= bytes;
    if (error !== null && error !== undefined) return;
    this.activity++;
    if (this.isEnded) return;
    if (this.queue.bytes > 0) {
      this.flush();
      return;
    }
    if (this.isClosing) this.socket.destroySoon();
    else if (this.queue.takeWasHigh()) this.handler.onDrain?.();
  }

  // --- deadlines and the end -------------------------------------------------------------------

  /** A frame that has begun is watched more closely than an idle connection. */
  private noteProgress(): void {
    const hasBegun = this.start < this.end && !this.isPaused;
    if (hasBegun === this.progressAt >= 0) return;
    this.progressAt = hasBegun ? this.receivedBytes : -1;
    if (hasBegun) this.host.watch(this, this.host.limits.frameProgressMs);
  }

  override onDeadline(): void {
    const limits = this.host.limits;
    if (this.progressAt >= 0 && !this.isPaused) {
      if (this.receivedBytes - this.progressAt < limits.frameProgressBytesMin) {
        this.fail(`a frame that has begun made no progress in ${limits.frameProgressMs} ms`);
        return;
      }
      this.progressAt = this.receivedBytes;
      this.activity = 0;
      this.host.watch(this, limits.frameProgressMs);
      return;
    }
    if (this.activity === 0) {
      this.fail(`idle for ${limits.connectionIdleMs} ms`);
      return;
    }
    this.activity = 0;
    this.host.watch(this, limits.connectionIdleMs);
  }

  close(): void {
    if (this.isClosing || this.isEnded) return;
    this.isClosing = true;
    this.host.flushLater(this);
  }

  destroy(): void {
    this.fail("destroyed");
  }

  fail(reason: string): void {
    if (this.isEnded) return;
    this.finish(reason);
  }

  private finish(reason: string): void {
    if (this.isEnded) return;
    this.isEnded = true;
    this.socket.destroy();
    this.dropOwn();
    this.host.unwatch(this);
    this.host.unsentBytes -= this.queue.drop();
    this.host.ended(this);
    this.handler?.onClose(reason);
  }
}

/** An IPv4 address that came in IPv6 clothes, as it is written everywhere else. */
export function plainAddress(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}
