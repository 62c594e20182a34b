// The network port. It speaks in frames: Kafka's 4-byte big-endian size, then that many bytes; the size is the transport's affair.
// A connection never buffers more than what has arrived: a declared size costs nothing until its bytes come.

export interface Network {
  /** Binds and accepts. Rejects with the system's code (`EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`). Port 0 takes a free one. */
  listen(options: ListenOptions, accept: (connection: Connection) => ConnectionHandler): Promise<NetworkListener>;
  /** Rejects with the system's code, or `ETIMEDOUT` after `timeoutMs`. */
  connect(options: ConnectOptions, handlerOf: (connection: Connection) => ConnectionHandler): Promise<Connection>;
}

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  readonly backlog?: number;
  /** Asked for each peer before anything is read from it: negative closes at once, else the connection begins after so many ms. */
  readonly admit?: (remoteAddress: string) => number;
  /** An admitted peer went before its connection began: `accept` is not called for it. */
  readonly dismissed?: (remoteAddress: string) => void;
}

export interface ConnectOptions {
  readonly host: string;
  readonly port: number;
  readonly timeoutMs: number;
  /**
   * "turn": a frame is a view of a buffer that is reused; it is valid until the end of the turn it came in, copy to keep.
   * "own": each frame has memory of its own, for as long as it is referenced. Default "own"; a listener's connections have "turn".
   */
  readonly frames?: "turn" | "own";
}

export interface NetworkListener {
  readonly host: string;
  readonly port: number;
  /** Stops accepting; connections live on. */
  close(): Promise<void>;
}

export interface Connection {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  /**
   * Queues one frame's chunks (size prefix included by the caller). All that one turn queues leaves in one system call at the turn's end.
   * The chunks belong to the connection until they are sent; `sent` is called then (or when the connection ends).
   */
  send(chunks: readonly Uint8Array[], sent?: () => void): void;
  /** Bytes queued and not yet taken by the system. */
  readonly unsentBytes: number;
  /** No `onFrame` from now on, not even for frames already received; the peer is stopped by TCP. */
  pause(): void;
  /** `onFrame` goes on, from the next turn at the earliest when it is called inside `onFrame`. */
  resume(): void;
  /** Sends what is queued, then closes. */
  close(): void;
  /** Closes at once and drops what is queued. */
  destroy(): void;
}

export interface ConnectionHandler {
  /** The largest frame that is accepted at this moment; asked when a size arrives. A larger or negative size ends the connection. */
  frameBytesMax(): number;
  onFrame(frame: Buffer): void;
  /** `unsentBytes` went back to zero after having been above the transport's high-water mark. */
  onDrain?(): void;
  /** Once, whatever the cause: `reason` says it for the log ("peer closed", "frame size 1195725856 > 104857600", "ECONNRESET" …). */
  onClose(reason: string): void;
}
