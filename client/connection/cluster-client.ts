// One client's view of a cluster: asks any broker, a certain one, the controller or a coordinator, and keeps the metadata fresh. What
// producer, consumer and admin stand on. Retries only what `retrying` is given; a single request fails as it fails.
import type { Timers } from "@blumfeld/core/base";
import { ApiKey, type MetadataResponse, type RequestInitOf, type ResponseOf } from "@blumfeld/core/protocol";
import { systemClock, systemRandom, systemTimers } from "@blumfeld/host/process";
import { TcpNetwork } from "@blumfeld/host/transport";
import { clientError, errorFromCode, KafkaError } from "../errors.ts";
import { saslAuthenticator } from "../security/sasl.ts";
import { version as softwareVersion } from "../version.ts";
import type { BrokerAddress } from "./addresses.ts";
import { backoffMs } from "./backoff.ts";
import type { Answer, BrokerConnection, RequestOptions } from "./broker-connection.ts";
import { ConnectionPool, type Lane } from "./connection-pool.ts";
import { type ClientContext, silentLogger } from "./context.ts";
import { Deadlines } from "./deadlines.ts";
import { Metadata, type MetadataOptions, type MetadataQuestion } from "./metadata.ts";
import { type ClientOptions, resolveClientOptions } from "./options.ts";

export type CoordinatorKind = "group" | "transaction" | "share";
const coordinatorKeyTypes: Readonly<Record<CoordinatorKind, number>> = { group: 0, transaction: 1, share: 2 };

export interface NodeRequestOptions extends RequestOptions {
  readonly lane?: Lane;
}

export interface RetryOptions {
  readonly signal?: AbortSignal;
  /** Default: the client's apiTimeoutMs. */
  readonly timeoutMs?: number;
  /** Called before each repetition, to forget what was wrong. */
  readonly beforeRetry?: (error: KafkaError) => void;
}

interface Candidate {
  readonly node: string;
  readonly address: BrokerAddress;
}

export class ClusterClient {
  readonly context: ClientContext;
  readonly metadata: Metadata;
  readonly pool: ConnectionPool;
  readonly #coordinators = new Map<string, number>();
  #lastHeardMs: number;
  #closed = false;

  constructor(options: ClientOptions, metadataOptions: MetadataOptions) {
    const clock = options.ports?.clock ?? systemClock;
    const timers: Timers = options.ports?.timers ?? systemTimers;
    const random = options.ports?.random ?? systemRandom;
    this.context = {
      network: options.ports?.network ?? new TcpNetwork(),
      clock,
      timers,
      random,
      options: resolveClientOptions(options),
      deadlines: new Deadlines(clock, timers),
      logger: options.logger ?? silentLogger,
      authenticator:
        options.authenticator ?? (options.sasl === undefined ? null : saslAuthenticator(options.sasl, random)),
      softwareVersion,
    };
    this.pool = new ConnectionPool(this.context);
    this.#lastHeardMs = clock.monotonicMs();
    this.metadata = new Metadata(this.context, metadataOptions, (question) => this.#askMetadata(question));
    this.metadata.onUpdate(() => this.pool.retain(this.#addresses()));
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** The ready connection to a broker, or null: for those who must not wait. */
  readyConnection(nodeId: number, lane: Lane = "main"): BrokerConnection | null {
    return this.pool.ready(String(nodeId), lane);
  }

  /** Opens (after the back-off that is due) the connection to a broker that metadata names. */
  async connection(nodeId: number, lane: Lane = "main", signal?: AbortSignal): Promise<BrokerConnection> {
    const broker = this.metadata.brokers.get(nodeId);
    if (broker === undefined) {
      this.metadata.requestRefresh();
      throw clientError("BROKER_NOT_AVAILABLE", `broker ${nodeId} is not in the cluster's metadata`, undefined, true);
    }
    return this.pool.connect(String(nodeId), broker, lane, signal);
  }

  /** One request to one broker. */
  async request<Key extends ApiKey>(
    nodeId: number,
    key: Key,
    body: RequestInitOf<Key>,
    options: NodeRequestOptions = {},
  ): Promise<Answer<Key>> {
    const connection = await this.connection(nodeId, options.lane ?? "main", options.signal);
    return connection.request(key, body, options);
  }

  /** One request to whichever broker is the least busy. Tries the others where one cannot be reached. */
  async requestAny<Key extends ApiKey>(
    key: Key,
    body: RequestInitOf<Key>,
    options: NodeRequestOptions = {},
  ): Promise<ResponseOf<Key>> {
    let failure: unknown;
    for (const candidate of this.#candidates()) {
      options.signal?.throwIfAborted();
      let connection: BrokerConnection;
      try {
        connection = await this.pool.connect(candidate.node, candidate.address, "main", options.signal);
      } catch (error) {
        if (this.#closed || options.signal?.aborted === true) throw error;
        failure = error;
        continue;
      }
      const answer = await connection.request(key, body, options);
      this.#lastHeardMs = this.context.clock.monotonicMs();
      return answer.body;
    }
    this.#rebootstrapWhenDue();
    throw failure ?? clientError("NETWORK_EXCEPTION", "no broker to ask");
  }

  /** One request to the broker that metadata names as controller: it serves or forwards what only the controller decides. */
  async requestController<Key extends ApiKey>(
    key: Key,
    body: RequestInitOf<Key>,
    options: NodeRequestOptions = {},
  ): Promise<ResponseOf<Key>> {
    if (!this.metadata.brokers.has(this.metadata.controllerId)) await this.metadata.refresh();
    const { controllerId, brokers } = this.metadata;
    if (!brokers.has(controllerId)) return this.requestAny(key, body, options);
    return (await this.request(controllerId, key, body, options)).body;
  }

  /** One request to the coordinator of a group or a transactional id. Its place is remembered until `forgetCoordinator`. */
  async requestCoordinator<Key extends ApiKey>(
    kind: CoordinatorKind,
    id: string,
    key: Key,
    body: RequestInitOf<Key>,
    options: NodeRequestOptions = {},
  ): Promise<ResponseOf<Key>> {
    const nodeId = await this.coordinator(kind, id, options.signal);
    return (await this.request(nodeId, key, body, { lane: "coordinator", ...options })).body;
  }

  async coordinator(kind: CoordinatorKind, id: string, signal?: AbortSignal): Promise<number> {
    const known = this.#coordinators.get(`${kind}:${id}`);
    if (known !== undefined && this.metadata.brokers.has(known)) return known;
    const body = { key: id, keyType: coordinatorKeyTypes[kind], coordinatorKeys: [id] };
    const answer = await this.#findCoordinator(body, signal);
    const found = answer.coordinators.find((coordinator) => coordinator.key === id) ?? { ...answer, key: id };
    if (found.errorCode !== 0) throw errorFromCode(found.errorCode, `coordinator of ${kind} ${id}`, found.errorMessage);
    if (!this.metadata.brokers.has(found.nodeId)) await this.metadata.refresh();
    this.#coordinators.set(`${kind}:${id}`, found.nodeId);
    return found.nodeId;
  }

  forgetCoordinator(kind: CoordinatorKind, id: string): void {
    this.#coordinators.delete(`${kind}:${id}`);
  }

  /**
   * Repeats `attempt` while it rejects with a retriable KafkaError, with back-off, until the time is over; then rejects with the last error.
   * What an error says to do first (refresh the metadata, find the coordinator) is done.
   */
  async retrying<Result>(attempt: (leftMs: number) => Promise<Result>, options: RetryOptions = {}): Promise<Result> {
    const { clock, deadlines, random, options: settings } = this.context;
    const deadlineMs = clock.monotonicMs() + (options.timeoutMs ?? settings.apiTimeoutMs);
    const policy = { initialMs: settings.retryBackoffMs, maxMs: settings.retryBackoffMsMax };
    for (let retry = 0; ; retry++) {
      try {
        return await attempt(Math.max(1, deadlineMs - clock.monotonicMs()));
      } catch (error) {
        if (!(error instanceof KafkaError) || !error.retriable || this.#closed) throw error;
        const pauseMs = backoffMs(policy, retry, random);
        if (clock.monotonicMs() + pauseMs >= deadlineMs) throw error;
        options.beforeRetry?.(error);
        if (error.recovery === "refresh-metadata") this.metadata.refresh().catch(() => {});
        await deadlines.sleep(pauseMs, options.signal);
      }
    }
  }

  /** Closes every connection and timer. What is under way rejects. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.metadata.close();
    this.pool.close();
    this.context.deadlines.close();
  }

  async #findCoordinator(
    body: { key: string; keyType: number; coordinatorKeys: string[] },
    signal?: AbortSignal,
  ): Promise<ResponseOf<typeof ApiKey.FindCoordinator>> {
    const { key, keyType, coordinatorKeys } = body;
    try {
      return await this.requestAny(ApiKey.FindCoordinator, { keyType, coordinatorKeys }, { signal });
    } catch (error) {
      // Before version 4 the request names one key; the fields of one form are refused by the other.
      if (!(error instanceof KafkaError) || error.code !== "UNSUPPORTED_VERSION") throw error;
      return this.requestAny(ApiKey.FindCoordinator, { key, keyType }, { signal, versionMax: 3 });
    }
  }

  async #askMetadata(question: MetadataQuestion): Promise<MetadataResponse> {
    const topics = question.topics?.map((name) => ({ name })) ?? null;
    try {
      return await this.requestAny(ApiKey.Metadata, {
        topics,
        allowAutoTopicCreation: question.allowAutoTopicCreation,
      });
    } catch (error) {
      this.#rebootstrapWhenDue();
      throw error;
    }
  }

  /** Ready connections first, the least busy before the others; then brokers whose back-off is over, in random order; then the rest. */
  *#candidates(): Iterable<Candidate> {
    const { random } = this.context;
    const all = [...this.#addresses()].map(([node, address]) => {
      const ready = this.pool.ready(node, "main");
      const backoffLeftMs = this.pool.backoffLeftMs(node, "main");
      const rank = ready === null ? 1000 + backoffLeftMs : Math.min(ready.inFlightCount, 999);
      return { node, address, rank, tie: random.uint32() };
    });
    all.sort((a, b) => a.rank - b.rank || a.tie - b.tie);
    yield* all;
    // Every known broker failed: the bootstrap addresses may still answer.
    if (this.metadata.brokers.size > 0) yield* this.#bootstrap();
  }

  #addresses(): Map<string, BrokerAddress> {
    const addresses = new Map<string, BrokerAddress>();
    for (const broker of this.metadata.brokers.values()) addresses.set(String(broker.nodeId), broker);
    if (addresses.size === 0) for (const { node, address } of this.#bootstrap()) addresses.set(node, address);
    return addresses;
  }

  #bootstrap(): Candidate[] {
    return this.context.options.bootstrapServers.map((address, index) => ({ node: `bootstrap-${index}`, address }));
  }

  #rebootstrapWhenDue(): void {
    const silentMs = this.context.clock.monotonicMs() - this.#lastHeardMs;
    if (silentMs < this.context.options.rebootstrapAfterMs || this.metadata.brokers.size === 0) return;
    this.context.logger.warn(
      { silentMs },
      "no broker of the cluster answers: starting again from the bootstrap addresses",
    );
    this.#lastHeardMs = this.context.clock.monotonicMs();
    this.metadata.forgetBrokers();
  }
}
