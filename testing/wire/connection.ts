// A connection that speaks frames: for tests that send what no client sends. Reads what comes, keeps every answer until it is asked for, and
// knows how the connection ended. Judges nothing.
import { connect, type Socket } from "node:net";
import {
  type ApiKey,
  decodeCorrelationId,
  decodeResponseFrame,
  encodeRequestFrame,
  type RequestInitOf,
  type ResponseOf,
} from "@blumfeld/core/protocol";

/** How long an answer may take: the machine is shared. */
export const answerMsMax = 10_000;

export class ConnectionEnded extends Error {
  override name = "ConnectionEnded";
}

export class WireConnection {
  readonly socket: Socket;
  clientId: string | null = "wire";
  /** Ended by the peer, whether politely or not. */
  isEnded = false;
  bytesReceived = 0;
  private buffered: Buffer = Buffer.alloc(0);
  private readonly frames: Buffer[] = [];
  private waiting: (() => void)[] = [];
  private nextCorrelationId = 1;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (bytes) => this.take(bytes));
    socket.on("error", () => {});
    socket.on("end", () => this.end());
    socket.on("close", () => this.end());
  }

  static open(port: number, host = "127.0.0.1"): Promise<WireConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port, noDelay: true });
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        resolve(new WireConnection(socket));
      });
    });
  }

  write(...pieces: readonly Uint8Array[]): void {
    this.socket.write(pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces));
  }

  /** Sends a request and returns its correlation id. */
  send<Key extends ApiKey>(key: Key, version: number, message: RequestInitOf<Key>): number {
    const correlationId = this.nextCorrelationId++;
    this.write(...encodeRequestFrame(key, version, { correlationId, clientId: this.clientId }, message));
    return correlationId;
  }

  /** The next answer without its size; null when the connection ended first. Rejects when neither happens in time. */
  async frame(msMax = answerMsMax): Promise<Buffer | null> {
    await this.until(() => this.frames.length > 0 || this.isEnded, msMax, "no answer");
    return this.frames.shift() ?? null;
  }

  /** Sends and reads the answer, which must come next. Rejects with ConnectionEnded when the peer closes instead. */
  async ask<Key extends ApiKey>(
    key: Key,
    version: number,
    message: RequestInitOf<Key>,
    msMax = answerMsMax,
  ): Promise<ResponseOf<Key>> {
    const correlationId = this.send(key, version, message);
    const frame = await this.frame(msMax);
    if (frame === null) throw new ConnectionEnded(`API ${key} version ${version}: the connection was closed`);
    const answered = decodeCorrelationId(frame);
    if (answered !== correlationId) throw new Error(`answer ${answered} came for request ${correlationId}`);
    return decodeResponseFrame(key, version, frame);
  }

  /** Resolves when the peer has ended the connection; rejects when it has not in time. Whole answers stay to be read. */
  ended(msMax = answerMsMax): Promise<void> {
    return this.until(() => this.isEnded, msMax, "the connection stayed open");
  }

  /** Answers that came and were not asked for yet. */
  get framesWaiting(): number {
    return this.frames.length;
  }

  /** Sends FIN. */
  finish(): void {
    this.socket.end();
  }

  /** Sends RST. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  destroy(): void {
    this.socket.destroy();
  }

  private take(bytes: Buffer): void {
    this.bytesReceived += bytes.length;
    this.buffered = this.buffered.length === 0 ? bytes : Buffer.concat([this.buffered, bytes]);
    while (this.buffered.length >= 4) {
      const end = this.buffered.readInt32BE(0) + 4;
      if (this.buffered.length < end) break;
      this.frames.push(this.buffered.subarray(4, end));
      this.buffered = this.buffered.subarray(end);
    }
    this.wake();
  }

  private end(): void {
    this.isEnded = true;
    this.wake();
  }

  private wake(): void {
    const waiting = this.waiting;
    this.waiting = [];
    for (const each of waiting) each();
  }

  private async until(isDone: () => boolean, msMax: number, what: string): Promise<void> {
    const untilMs = performance.now() + msMax;
    while (!isDone()) {
      const leftMs = untilMs - performance.now();
      if (leftMs <= 0) throw new Error(`${what} within ${msMax} ms`);
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.waiting.push(resolve);
        timer = setTimeout(resolve, leftMs);
      });
      clearTimeout(timer);
    }
  }
}
