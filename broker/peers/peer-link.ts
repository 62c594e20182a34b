// One connection to one node, made when it is needed and made again when it is gone. Answers come in the order of the requests, so one that is
// late, malformed or of another request ends the connection, and what is in flight fails with it.
//
//   idle → waiting: a request while the back-off lasts     waiting → connecting: it is over     idle → connecting: a request
//   connecting → negotiating: the socket is open           negotiating → ready: ApiVersions answered
//   any → idle: closed by either side; connecting and negotiating that fail lengthen the back-off, an answer of a request ends it
import type {
  Clock,
  Connection,
  ConnectionHandler,
  Logger,
  Network,
  Random,
  TimerHandle,
  Timers,
} from "@blumfeld/core/base";
import { limits, mebibyte } from "@blumfeld/core/base";
import {
  ApiKey,
  type ApiVersionsResponse,
  apiOf,
  decodeCorrelationId,
  decodeResponseFrame,
  ErrorCode,
  encodeRequestFrame,
  type RequestInitOf,
  type ResponseOf,
  UnsupportedVersion,
} from "@blumfeld/core/protocol";
import { PeerFailure, type PeerFailureKind } from "./peer-failure.ts";
import type { PeerAddress, PeerRequestOptions } from "./peers.ts";

/** Requests that wait for one connection or its answers. */
export const peerRequestCountMax = 1_000;
/** What one node has not taken yet; a request beyond it is refused. */
export const peerUnsentBytesMax = 64 * mebibyte;

const correlationIdMax = 0x7fff_ffff;
const backoffGrowth = 2;
const backoffJitter = 0.2;

export interface PeerLinkOptions {
  readonly clientId: string;
  readonly network: Network;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  readonly reconnectMsMin: number;
  readonly reconnectMsMax: number;
  readonly connectMsMax: number;
}

interface Waiting {
  readonly key: ApiKey;
  readonly body: RequestInitOf<ApiKey>;
  readonly versionMax: number;
  readonly resolve: (answer: ResponseOf<ApiKey>) => void;
  readonly reject: (error: unknown) => void;
  deadline: TimerHandle | null;
}

interface InFlight {
  readonly correlationId: number;
  readonly key: ApiKey;
  readonly version: number;
  readonly resolve: (answer: ResponseOf<ApiKey>) => void;
  readonly reject: (error: unknown) => void;
  readonly deadline: TimerHandle | null;
}

type State = "idle" | "waiting" | "connecting" | "negotiating" | "ready" | "closed";

export class PeerLink {
  readonly address: PeerAddress;
  private readonly options: PeerLinkOptions;
  private readonly waiting = new Set<Waiting>();
  private readonly inFlight: InFlight[] = [];
  private state: State = "idle";
  private connection: Connection | null = null;
  private versions: ReadonlyMap<number, { readonly minVersion: number; readonly maxVersion: number }> = new Map();
  private correlationId = 0;
  private failureCount = 0;
  private nextAttemptMs = 0;
  private attemptTimer: TimerHandle | null = null;
  /** Counts attempts, so that what belongs to an earlier one is known as such. */
  private attempt = 0;

  constructor(address: PeerAddress, options: PeerLinkOptions) {
    this.address = address;
    this.options = options;
  }

  get isIdle(): boolean {
    return this.waiting.size === 0 && this.inFlight.length === 0;
  }

  request<Key extends ApiKey>(
    key: Key,
    body: RequestInitOf<Key>,
    { timeoutMs, versionMax }: PeerRequestOptions,
  ): Promise<ResponseOf<Key>> {
    if (this.state === "closed") return Promise.reject(this.failure("closed", "the connection was given up"));
    if (this.waiting.size + this.inFlight.length >= peerRequestCountMax)
      return Promise.reject(this.failure("overloaded", `${peerRequestCountMax} requests wait for it already`));
    if ((this.connection?.unsentBytes ?? 0) > peerUnsentBytesMax)
      return Promise.reject(this.failure("overloaded", `it has not taken ${peerUnsentBytesMax} bytes yet`));
    return new Promise((resolve, reject) => {
      const entry: Waiting = {
        key,
        body: body as RequestInitOf<ApiKey>,
        versionMax: versionMax ?? Number.MAX_SAFE_INTEGER,
        resolve: resolve as Waiting["resolve"],
        reject,
        deadline: null,
      };
      entry.deadline = this.options.timers.after(timeoutMs, () => this.onDeadline(entry, timeoutMs));
      this.waiting.add(entry);
      if (this.state === "ready") this.sendWaiting();
      else if (this.state === "idle") this.connectWhenDue();
    });
  }

  private failure(kind: PeerFailureKind, reason: string, cause?: unknown): PeerFailure {
    return new PeerFailure(kind, this.address, reason, cause);
  }

  private onDeadline(entry: Waiting, timeoutMs: number): void {
    const reason = `no answer within ${timeoutMs} ms`;
    if (this.waiting.delete(entry)) {
      entry.reject(this.failure(this.state === "ready" ? "timeout" : "unreachable", reason));
      // Nobody wants the connection any more.
      if (this.waiting.size === 0 && this.state === "waiting") this.becomeIdle();
      return;
    }
    const at = this.inFlight.findIndex((one) => one.resolve === entry.resolve);
    if (at < 0) return;
    const [late] = this.inFlight.splice(at, 1);
    late!.reject(this.failure("timeout", reason));
    this.end("closed", "an answer was late");
  }

  // --- connecting --------------------------------------------------------------------------------

  private connectWhenDue(): void {
    const delayMs = this.nextAttemptMs - this.options.clock.monotonicMs();
    if (delayMs <= 0) return this.connect();
    this.state = "waiting";
    this.attemptTimer = this.options.timers.after(delayMs, () => this.connect());
  }

  private becomeIdle(): void {
    this.attemptTimer?.cancel();
    this.attemptTimer = null;
    this.state = "idle";
  }

  private connect(): void {
    const { connectMsMax, network } = this.options;
    const { host, port } = this.address;
    const attempt = ++this.attempt;
    this.attemptTimer = null;
    this.state = "connecting";
    network
      .connect({ host, port, timeoutMs: connectMsMax, frames: "turn" }, () => this.handler(attempt))
      .then(
        (connection) => {
          if (this.attempt !== attempt || this.state !== "connecting") return connection.destroy();
          this.connection = connection;
          this.state = "negotiating";
          this.negotiate(attempt);
        },
        (error: unknown) => {
          if (this.attempt === attempt) this.end("unreachable", codeOf(error), error);
        },
      );
  }

  private handler(attempt: number): ConnectionHandler {
    return {
      frameBytesMax: () => limits.requestBytesMax,
      onFrame: (frame) => {
        if (this.attempt === attempt) this.onFrame(frame);
      },
      onClose: (reason) => {
        if (this.attempt !== attempt) return;
        this.connection = null;
        this.end(this.state === "ready" ? "closed" : "unreachable", reason);
      },
    };
  }

  /** Asks for the versions in the newest one; who does not know it says which one to ask in. */
  private negotiate(attempt: number): void {
    const { connectMsMax, timers } = this.options;
    const deadline = timers.after(connectMsMax, () => {
      if (this.attempt === attempt && this.state === "negotiating")
        this.end("unreachable", "it did not tell its versions");
    });
    const ask = (version: number, isAgain: boolean): void => {
      const body = { clientSoftwareName: "blumfeld", clientSoftwareVersion: "0.1.0" };
      const resolve = (answer: ResponseOf<ApiKey>): void => {
        const { apiKeys, errorCode } = answer as ApiVersionsResponse;
        const own = apiKeys.find(({ apiKey }) => apiKey === ApiKey.ApiVersions);
        if (errorCode === ErrorCode.UNSUPPORTED_VERSION && !isAgain) {
          return ask(Math.min(version, own?.maxVersion ?? 0), true);
        }
        deadline.cancel();
        if (errorCode !== ErrorCode.NONE)
          return this.end("unreachable", `it refused ApiVersions with error ${errorCode}`);
        this.versions = new Map(
          apiKeys.map(({ apiKey, maxVersion, minVersion }) => [apiKey, { maxVersion, minVersion }]),
        );
        this.state = "ready";
        this.sendWaiting();
      };
      this.send(ApiKey.ApiVersions, version, body, { resolve, reject: () => deadline.cancel(), deadline: null });
    };
    ask(apiOf(ApiKey.ApiVersions).latestStableVersion, false);
  }

  // --- requests and answers ----------------------------------------------------------------------

  private sendWaiting(): void {
    for (const entry of this.waiting) {
      this.waiting.delete(entry);
      const version = this.versionFor(entry);
      try {
        if (version === null)
          throw this.failure("unsupported-version", `no common version of ${apiOf(entry.key).name}`);
        this.send(entry.key, version, entry.body, entry);
      } catch (error) {
        entry.deadline?.cancel();
        const isVersion = error instanceof UnsupportedVersion;
        entry.reject(isVersion ? this.failure("unsupported-version", error.message, error) : error);
      }
    }
  }

  private versionFor({ key, versionMax }: Waiting): number | null {
    const theirs = this.versions.get(key);
    const ours = apiOf(key);
    if (theirs === undefined) return null;
    const version = Math.min(theirs.maxVersion, ours.latestStableVersion, versionMax);
    return version < Math.max(theirs.minVersion, ours.minVersion) ? null : version;
  }

  private send(
    key: ApiKey,
    version: number,
    body: RequestInitOf<ApiKey>,
    { deadline, reject, resolve }: Pick<InFlight, "deadline" | "reject" | "resolve">,
  ): void {
    const correlationId = this.correlationId;
    this.correlationId = correlationId === correlationIdMax ? 0 : correlationId + 1;
    const frame = encodeRequestFrame(key, version, { correlationId, clientId: this.options.clientId }, body);
    this.inFlight.push({ correlationId, key, version, resolve, reject, deadline });
    this.connection!.send(frame);
  }

  private onFrame(frame: Buffer): void {
    const first = this.inFlight[0];
    let answer: ResponseOf<ApiKey>;
    try {
      if (first === undefined) throw new Error("an answer that nobody asked for");
      const correlationId = decodeCorrelationId(frame);
      if (correlationId !== first.correlationId)
        throw new Error(`the answer of request ${correlationId} came for ${first.correlationId}`);
      answer = decodeResponseFrame(first.key, first.version, frame);
    } catch (error) {
      this.options.logger.warn({ peer: this.address, error: String(error) }, "an answer of a node cannot be read");
      return this.end("malformed", String(error), error);
    }
    this.inFlight.shift();
    first.deadline?.cancel();
    if (this.state === "ready") this.failureCount = 0;
    first.resolve(answer);
  }

  // --- the end -----------------------------------------------------------------------------------

  private end(kind: PeerFailureKind, reason: string, cause?: unknown): void {
    const { clock, random, reconnectMsMax, reconnectMsMin } = this.options;
    const connection = this.connection;
    this.attempt++;
    this.connection = null;
    this.attemptTimer?.cancel();
    this.attemptTimer = null;
    const wasReady = this.state === "ready";
    if (this.state !== "closed") this.state = "idle";
    const plainMs = Math.min(reconnectMsMin * backoffGrowth ** Math.min(this.failureCount, 30), reconnectMsMax);
    const spread = 1 - backoffJitter + (random.uint32() / 0x1_0000_0000) * 2 * backoffJitter;
    this.nextAttemptMs = clock.monotonicMs() + plainMs * spread;
    this.failureCount++;
    connection?.destroy();
    const failure = this.failure(kind, reason, cause);
    const inFlight = this.inFlight.splice(0);
    const waiting = wasReady ? [] : [...this.waiting];
    for (const entry of waiting) this.waiting.delete(entry);
    for (const entry of [...inFlight, ...waiting]) {
      entry.deadline?.cancel();
      entry.reject(failure);
    }
    if (this.state === "idle" && this.waiting.size > 0) this.connectWhenDue();
  }

  close(reason: string): void {
    if (this.state === "closed") return;
    this.state = "closed";
    this.end("closed", reason);
  }
}

function codeOf(error: unknown): string {
  const { code } = error as { readonly code?: unknown };
  return typeof code === "string" ? code : String(error);
}
