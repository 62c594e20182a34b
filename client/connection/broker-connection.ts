// One connection to one broker: negotiates versions, correlates answers with requests, gives each a deadline. Never reconnects and never
// chooses a broker: the pool does. Answers come in the order of the requests (Kafka's promise), so one that is late makes the connection
// useless: it is closed and everything in flight fails with it, as in Kafka's own client.
//
//   connecting → negotiating: the socket is open        negotiating → ready: ApiVersions (and authentication) done
//   any → closed: peer, deadline, malformed answer, idle, close()
//
// An answer's Buffers are views of memory of their own: whoever keeps one keeps its frame.
import {
  ByteWriter,
  type Connection,
  type ConnectionHandler,
  MalformedMessage,
  type TimerHandle,
} from "@blumfeld/core/base";
import {
  ApiKey,
  type ApiVersionsResponse,
  apiOf,
  decodeCorrelationId,
  decodeResponseFrame,
  encodeRequestFrame,
  type RequestInitOf,
  type ResponseOf,
  UnsupportedVersion,
} from "@blumfeld/core/protocol";
import { clientError, errorFromCode, KafkaError } from "../errors.ts";
import type { BrokerAddress } from "./addresses.ts";
import type { ClientContext } from "./context.ts";

export interface RequestOptions {
  /** Default: the client's requestTimeoutMs. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Not above this version: the request names what later ones cannot carry. */
  readonly versionMax?: number;
  /** This version and no other, also one that Kafka still calls unstable: the request means something else in those before it. */
  readonly versionExact?: number;
  /** Produce with acks 0: the broker sends nothing back; resolves when the bytes have left. */
  readonly noAnswer?: boolean;
}

/** An answer and the version it came in. */
export interface Answer<Key extends ApiKey> {
  readonly version: number;
  readonly body: ResponseOf<Key>;
}

export interface VersionRange {
  readonly minVersion: number;
  readonly maxVersion: number;
}

/** What an authentication mechanism may do with a connection before anyone else uses it. */
export interface AuthenticationSession {
  readonly address: BrokerAddress;
  request<Key extends ApiKey>(key: Key, body: RequestInitOf<Key>): Promise<ResponseOf<Key>>;
}

/** Runs on each new connection after the versions are known; rejects to refuse the connection. */
export type Authenticator = (session: AuthenticationSession) => Promise<void>;

interface InFlight {
  readonly correlationId: number;
  readonly key: ApiKey;
  readonly version: number;
  /** Null when nobody waits any more: the answer is dropped. */
  settle: { resolve(answer: Answer<ApiKey>): void; reject(error: unknown): void } | null;
  deadline: TimerHandle;
}

const correlationIdMax = 0x7fff_ffff;
const errorUnsupportedVersion = 35;

export class BrokerConnection {
  readonly address: BrokerAddress;
  /** Null once closed: by whom and why. */
  closedReason: string | null = null;
  /** What the broker says it serves; empty until it is ready. */
  versions: ReadonlyMap<number, VersionRange> = new Map();
  apiVersions: ApiVersionsResponse | null = null;
  lastUsedMs: number;
  readonly #context: ClientContext;
  readonly #writer = new ByteWriter(512);
  readonly #inFlight: InFlight[] = [];
  readonly #onClosed: (connection: BrokerConnection, reason: string) => void;
  #socket: Connection | null = null;
  #ready = false;
  #correlationId = 0;

  private constructor(
    context: ClientContext,
    address: BrokerAddress,
    onClosed: (connection: BrokerConnection, reason: string) => void,
  ) {
    this.#context = context;
    this.address = address;
    this.#onClosed = onClosed;
    this.lastUsedMs = context.clock.monotonicMs();
  }

  /**
   * Connects, negotiates and authenticates. Rejects with a KafkaError, the connection being closed then. `onCreated` gets it before it is
   * ready, so that it can be closed on the way there.
   */
  static async open(
    context: ClientContext,
    address: BrokerAddress,
    connectTimeoutMs: number,
    onClosed: (connection: BrokerConnection, reason: string) => void,
    onCreated: (connection: BrokerConnection) => void,
  ): Promise<BrokerConnection> {
    const connection = new BrokerConnection(context, address, onClosed);
    onCreated(connection);
    try {
      const socket = await context.network.connect(
        { host: address.host, port: address.port, timeoutMs: connectTimeoutMs, frames: "own" },
        (opened) => {
          connection.#socket = opened;
          return connection.#handler();
        },
      );
      connection.#socket = socket;
      if (connection.closedReason !== null) {
        socket.destroy();
        throw connection.#disconnected();
      }
      await connection.#negotiate();
      await context.authenticator?.({
        address,
        request: async (key, body) => (await connection.#send(key, body, connection.#versionFor(key), {})).body,
      });
      connection.#ready = true;
      return connection;
    } catch (error) {
      const where = `${address.host}:${address.port}`;
      const failure =
        error instanceof KafkaError ? error : clientError("NETWORK_EXCEPTION", `${where}: ${causeText(error)}`, error);
      connection.close(failure.message);
      throw failure;
    }
  }

  get isReady(): boolean {
    return this.#ready && this.closedReason === null;
  }

  get inFlightCount(): number {
    return this.#inFlight.length;
  }

  /** The version that a request of `key` will have; throws UNSUPPORTED_VERSION where the broker and we share none. */
  versionOf(key: ApiKey, versionMax?: number): number {
    return this.#versionFor(key, versionMax);
  }

  /** One request. Rejects with a KafkaError; the broker's own error codes inside the body are the caller's affair. */
  request<Key extends ApiKey>(key: Key, body: RequestInitOf<Key>, options: RequestOptions = {}): Promise<Answer<Key>> {
    if (this.closedReason !== null) return Promise.reject(this.#disconnected());
    try {
      const { versionExact, versionMax } = options;
      const version = versionExact === undefined ? this.#versionFor(key, versionMax) : this.#exactly(key, versionExact);
      return this.#send(key, body, version, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Everything in flight fails; harmless when it is closed already. */
  close(reason: string): void {
    if (this.closedReason !== null) return;
    this.#onClose(reason);
    this.#socket?.destroy();
  }

  #handler(): ConnectionHandler {
    return {
      frameBytesMax: () => this.#context.options.responseBytesMax,
      onFrame: (frame) => this.#onFrame(frame),
      onClose: (reason) => this.#onClose(reason),
    };
  }

  async #negotiate(): Promise<void> {
    const newest = apiOf(ApiKey.ApiVersions).latestStableVersion;
    const body = { clientSoftwareName: "blumfeld", clientSoftwareVersion: this.#context.softwareVersion };
    let answer = await this.#send(ApiKey.ApiVersions, body, newest, {});
    if (answer.body.errorCode === errorUnsupportedVersion) {
      const offered = answer.body.apiKeys.find((api) => api.apiKey === ApiKey.ApiVersions);
      const version = Math.min(offered?.maxVersion ?? 0, newest);
      answer = await this.#send(ApiKey.ApiVersions, body, version, {});
    }
    if (answer.body.errorCode !== 0) throw errorFromCode(answer.body.errorCode, "ApiVersions");
    this.apiVersions = answer.body;
    this.versions = new Map(answer.body.apiKeys.map((api) => [api.apiKey, api]));
  }

  #versionFor(key: ApiKey, versionMax = 0x7fff): number {
    const facts = apiOf(key);
    const offered = this.versions.get(key);
    const version = Math.min(offered?.maxVersion ?? -1, facts.latestStableVersion, versionMax);
    if (offered === undefined || version < offered.minVersion || version < facts.minVersion) {
      const theirs = offered === undefined ? "none" : `${offered.minVersion} to ${offered.maxVersion}`;
      const ours = `${facts.minVersion} to ${Math.min(facts.latestStableVersion, versionMax)}`;
      throw clientError(
        "UNSUPPORTED_VERSION",
        `${facts.name}: the broker ${this.address.host}:${this.address.port} serves versions ${theirs}, needed are ${ours}`,
      );
    }
    return version;
  }

  #exactly(key: ApiKey, version: number): number {
    const offered = this.versions.get(key);
    if (offered !== undefined && offered.minVersion <= version && version <= offered.maxVersion) return version;
    const { host, port } = this.address;
    throw clientError(
      "UNSUPPORTED_VERSION",
      `${apiOf(key).name}: the broker ${host}:${port} does not serve version ${version}, which this needs`,
    );
  }

  #send<Key extends ApiKey>(
    key: Key,
    body: RequestInitOf<Key>,
    version: number,
    options: RequestOptions,
  ): Promise<Answer<Key>> {
    const { signal } = options;
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    const socket = this.#socket;
    if (socket === null || this.closedReason !== null) return Promise.reject(this.#disconnected());
    this.#correlationId = this.#correlationId === correlationIdMax ? 1 : this.#correlationId + 1;
    const correlationId = this.#correlationId;
    const chunks = this.#encode(key, body, version, correlationId);
    this.lastUsedMs = this.#context.clock.monotonicMs();
    if (options.noAnswer === true) {
      return new Promise((resolve, reject) => {
        socket.send(chunks, () => {
          if (this.closedReason !== null) reject(this.#disconnected());
          else resolve({ version, body: undefined as unknown as ResponseOf<Key> });
        });
      });
    }
    const timeoutMs = options.timeoutMs ?? this.#context.options.requestTimeoutMs;
    return new Promise<Answer<Key>>((resolve, reject) => {
      const entry: InFlight = {
        correlationId,
        key,
        version,
        settle: { resolve: resolve as (answer: Answer<ApiKey>) => void, reject },
        deadline: this.#context.deadlines.after(timeoutMs, () => this.#onTimeout(entry, timeoutMs)),
      };
      this.#inFlight.push(entry);
      if (signal !== undefined) abandonOnAbort(entry, signal);
      socket.send(chunks);
    });
  }

  #encode<Key extends ApiKey>(key: Key, body: RequestInitOf<Key>, version: number, correlationId: number): Buffer[] {
    const writer = this.#writer;
    const head = { correlationId, clientId: this.#context.options.clientId };
    try {
      return encodeRequestFrame(key, version, head, body, writer);
    } catch (error) {
      writer.discard();
      if (error instanceof UnsupportedVersion) throw clientError("UNSUPPORTED_VERSION", error.message, error);
      throw error;
    }
  }

  #onFrame(frame: Buffer): void {
    const entry = this.#inFlight.shift();
    if (entry === undefined) return this.close("an answer that nobody asked for");
    entry.deadline.cancel();
    let body: ResponseOf<ApiKey>;
    try {
      const correlationId = decodeCorrelationId(frame);
      if (correlationId !== entry.correlationId) {
        throw new MalformedMessage(`answer ${correlationId} where ${entry.correlationId} was due`);
      }
      body = decodeResponseFrame(entry.key, entry.version, frame);
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error;
      entry.settle?.reject(this.#malformed(error.reason));
      return this.close(`an answer that is none: ${error.reason}`);
    }
    this.lastUsedMs = this.#context.clock.monotonicMs();
    entry.settle?.resolve({ version: entry.version, body });
  }

  #onTimeout(entry: InFlight, timeoutMs: number): void {
    const { name } = apiOf(entry.key);
    const where = `${this.address.host}:${this.address.port}`;
    entry.settle?.reject(clientError("REQUEST_TIMED_OUT", `${name} to ${where}: no answer within ${timeoutMs} ms`));
    entry.settle = null;
    this.close(`no answer to ${name} within ${timeoutMs} ms`);
  }

  #onClose(reason: string): void {
    if (this.closedReason !== null) return;
    this.closedReason = reason;
    const waiting = this.#inFlight.splice(0);
    for (const entry of waiting) {
      entry.deadline.cancel();
      entry.settle?.reject(this.#disconnected());
    }
    this.#onClosed(this, reason);
  }

  #disconnected(): KafkaError {
    const { host, port } = this.address;
    return clientError("NETWORK_EXCEPTION", `${host}:${port}: disconnected (${this.closedReason ?? "not connected"})`);
  }

  #malformed(reason: string): KafkaError {
    return clientError(
      "NETWORK_EXCEPTION",
      `${this.address.host}:${this.address.port} sent what is no answer: ${reason}`,
    );
  }
}

function abandonOnAbort(entry: InFlight, signal: AbortSignal): void {
  const { settle } = entry;
  if (settle === null) return;
  const onAbort = (): void => {
    entry.settle = null;
    settle.reject(signal.reason);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  const finished = (): void => signal.removeEventListener("abort", onAbort);
  entry.settle = {
    resolve: (answer) => {
      finished();
      settle.resolve(answer);
    },
    reject: (error) => {
      finished();
      settle.reject(error);
    },
  };
}

function causeText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = (error as { code?: unknown }).code;
  return typeof code === "string" && !error.message.includes(code) ? `${code} ${error.message}` : error.message;
}
