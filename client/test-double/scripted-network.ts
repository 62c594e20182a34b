// A network in memory whose other end is a function: each request is decoded, answered (or not) and delivered in virtual time. Requests of one
// connection are answered in their order, as Kafka promises.
import type {
  Connection,
  ConnectionHandler,
  ConnectOptions,
  ListenOptions,
  Network,
  NetworkListener,
} from "@blumfeld/core/base";
import { type ApiKey, decodeRequestHead, encodeResponseFrame, type ResponseInitOf } from "@blumfeld/core/protocol";
import type { VirtualTime } from "./virtual-time.ts";

export interface ScriptedRequest {
  /** `host:port` that was connected to. */
  readonly address: string;
  readonly connectionId: number;
  readonly key: ApiKey;
  readonly version: number;
  readonly clientId: string | null;
  readonly body: unknown;
  /** The whole request as it came. */
  readonly frame: Buffer;
}

/** What the other end does with a request. */
export type Reaction =
  | { readonly answer: unknown; readonly afterMs?: number; readonly version?: number }
  /** The bytes after the size, as they are. */
  | { readonly rawAnswer: Buffer; readonly afterMs?: number }
  /** Nothing comes back; with acks 0 that is right. */
  | "silence"
  /** The connection ends. */
  | "close";

export type Script = (request: ScriptedRequest) => Reaction | Promise<Reaction>;

const latencyMs = 1;

export class ScriptedNetwork implements Network {
  readonly #time: VirtualTime;
  readonly #script: Script;
  readonly #open = new Set<ScriptedConnection>();
  /** Addresses where nobody listens. */
  readonly refused = new Set<string>();
  connectCount = 0;

  constructor(time: VirtualTime, script: Script) {
    this.#time = time;
    this.#script = script;
  }

  get openCount(): number {
    return this.#open.size;
  }

  listen(_options: ListenOptions): Promise<NetworkListener> {
    return Promise.reject(new Error("the scripted network only connects"));
  }

  async connect(
    options: ConnectOptions,
    handlerOf: (connection: Connection) => ConnectionHandler,
  ): Promise<Connection> {
    const address = `${options.host}:${options.port}`;
    this.connectCount++;
    await new Promise<void>((resolve) => this.#time.after(latencyMs, resolve));
    if (this.refused.has(address)) throw Object.assign(new Error(`connect ${address}`), { code: "ECONNREFUSED" });
    const connection = new ScriptedConnection(this.#time, this.#script, address, this.connectCount, () =>
      this.#open.delete(connection),
    );
    this.#open.add(connection);
    connection.handler = handlerOf(connection);
    return connection;
  }

  /** Ends every connection to the address. */
  cut(address: string): void {
    for (const connection of [...this.#open]) if (connection.address === address) connection.end("peer closed");
  }
}

class ScriptedConnection implements Connection {
  readonly remoteAddress = "scripted";
  readonly remotePort = 1;
  readonly localAddress = "scripted";
  readonly localPort = 2;
  readonly unsentBytes = 0;
  readonly address: string;
  handler: ConnectionHandler | null = null;
  readonly #time: VirtualTime;
  readonly #script: Script;
  readonly #id: number;
  readonly #onEnd: () => void;
  #last: Promise<void> = Promise.resolve();
  #isOpen = true;

  constructor(time: VirtualTime, script: Script, address: string, id: number, onEnd: () => void) {
    this.#time = time;
    this.#script = script;
    this.address = address;
    this.#id = id;
    this.#onEnd = onEnd;
  }

  send(chunks: readonly Uint8Array[], sent?: () => void): void {
    const frame = Buffer.concat(chunks).subarray(4);
    this.#last = this.#last.then(() => this.#handle(frame));
    if (sent !== undefined) this.#time.after(0, sent);
  }

  pause(): void {}
  resume(): void {}

  close(): void {
    this.end("closed here");
  }

  destroy(): void {
    this.end("closed here");
  }

  end(reason: string): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#onEnd();
    this.handler?.onClose(reason);
  }

  async #handle(frame: Buffer): Promise<void> {
    if (!this.#isOpen) return;
    const head = decodeRequestHead(frame, true);
    if ("unsupported" in head)
      throw new Error(`a request of ${head.unsupported} ${head.apiKey} version ${head.version}`);
    const { api, version, correlationId, clientId } = head;
    const body = api.decodeRequest(head.reader, version);
    const { address } = this;
    const reaction = await this.#script({
      address,
      connectionId: this.#id,
      key: api.key,
      version,
      clientId,
      body,
      frame,
    });
    if (reaction === "silence" || !this.#isOpen) return;
    if (reaction === "close") return this.end("peer closed");
    const answer =
      "rawAnswer" in reaction
        ? reaction.rawAnswer
        : Buffer.concat(
            encodeResponseFrame(
              api.key,
              reaction.version ?? version,
              correlationId,
              reaction.answer as ResponseInitOf<ApiKey>,
            ),
          ).subarray(4);
    await new Promise<void>((resolve) => this.#time.after(reaction.afterMs ?? latencyMs, resolve));
    if (this.#isOpen) this.handler?.onFrame(answer);
  }
}
