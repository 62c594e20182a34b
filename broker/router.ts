// From a request's head to its handler, and from a handler's result to bytes. One for the listeners of clients and brokers, one for those
// of controllers; holds what all sessions share.
import {
  ByteReader,
  ByteWriter,
  type Clock,
  type Counter,
  type Logger,
  MalformedMessage,
  type Meter,
  type Timers,
} from "@blumfeld/core/base";
import {
  type Api,
  ApiKey,
  apiVersionsRefusal,
  apiVersionsRefusalVersion,
  ErrorCode,
  encodeResponseFrame,
  type ListenerKind,
  type RequestOf,
  type ResponseInitOf,
} from "@blumfeld/core/protocol";
import { errorResponseOf } from "./handlers/error-response.ts";
import type { HandlerTable } from "./handlers/handler-table.ts";
import { noQuota, type QuotaHook } from "./parts.ts";
import { type Handler, RequestError } from "./request-context.ts";
import { LimitedLog } from "./session/limited-log.ts";
import type { RequestInWork } from "./session/request-in-work.ts";
import { type ApiMetrics, createApiMetrics } from "./session/request-metrics.ts";
import type { Session } from "./session/session.ts";

/** Answers of a turn are written one behind the other into buffers of this size. */
const answerBufferBytes = 16 * 1024;

export interface RouterParts {
  readonly handlers: HandlerTable;
  /** Whose requests are taken: an API that is not for these listeners ends the connection. */
  readonly listenerKind: ListenerKind;
  readonly requestBytesMax: number;
  readonly isUnstableApiVersionsEnabled: boolean;
  /** Requests slower than this are logged, with their API and client. Null: none. */
  readonly slowRequestMs: number | null;
  readonly quotas: QuotaHook;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly meter: Meter;
  /** Runs the write turn now. */
  readonly runWriteTurn: () => void;
}

export class Router {
  readonly requestBytesMax: number;
  readonly isUnstableApiVersionsEnabled: boolean;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: LimitedLog;
  readonly runWriteTurn: () => void;
  private readonly parts: RouterParts;
  private readonly metricsOf: (key: number) => ApiMetrics;
  private readonly closedConnections: Counter;
  private readonly failedRequests: Counter;
  private writer = new ByteWriter(answerBufferBytes);
  private turnSessions: Session[] = [];

  constructor(parts: RouterParts) {
    this.parts = parts;
    this.requestBytesMax = parts.requestBytesMax;
    this.isUnstableApiVersionsEnabled = parts.isUnstableApiVersionsEnabled;
    this.clock = parts.clock;
    this.timers = parts.timers;
    this.runWriteTurn = parts.runWriteTurn;
    this.log = new LimitedLog(parts.logger, parts.clock);
    this.metricsOf = createApiMetrics(parts.meter);
    this.closedConnections = parts.meter.counter("blumfeld_connections_closed_total", "Connections that ended.");
    this.failedRequests = parts.meter.counter("blumfeld_requests_failed_total", "Requests that a handler threw on.");
  }

  /** Undefined where the API is not for this listener's clients, or not served at all. */
  handlerFor(api: Api): Handler<ApiKey> | undefined {
    return api.listeners.includes(this.parts.listenerKind) ? this.parts.handlers.get(api.key) : undefined;
  }

  /** `session.onTurnEnd` is called behind this turn's writes. */
  checkAtTurnEnd(session: Session): void {
    if (session.isTurnEndQueued) return;
    session.isTurnEndQueued = true;
    this.turnSessions.push(session);
    if (this.turnSessions.length === 1) this.timers.atTurnEnd(this.endTurn);
  }

  private readonly endTurn = (): void => {
    const sessions = this.turnSessions;
    this.turnSessions = [];
    for (const session of sessions) session.onTurnEnd();
  };

  /** The whole frame. What cannot be encoded is our own mistake: logged, answered as such where that can be, else the connection ends. */
  encode(request: RequestInWork, response: ResponseInitOf<ApiKey>): Buffer[] | null {
    try {
      return encodeResponseFrame(request.apiKey, request.apiVersion, request.correlationId, response, this.writer);
    } catch (error) {
      this.writer = new ByteWriter(answerBufferBytes);
      this.logFailure(error, request);
      request.connection.close("an answer could not be encoded");
      return null;
    }
  }

  note(request: RequestInWork): void {
    const metrics = this.metricsOf(request.apiKey);
    metrics.requests.add(1);
    metrics.requestBytes.add(request.requestBytes);
    if (request.chunks) {
      let bytes = 0;
      for (const chunk of request.chunks) bytes += chunk.length;
      metrics.responseBytes.add(bytes);
    }
    const elapsedMs = this.clock.monotonicMs() - request.receivedMs;
    metrics.seconds.observe(elapsedMs / 1000);
    const { slowRequestMs } = this.parts;
    if (slowRequestMs !== null && elapsedMs > slowRequestMs && !request.isWaiting) {
      const { api, apiVersion, clientId } = request;
      this.log.warn(
        `slow ${api.name}`,
        { api: api.name, apiVersion, clientId, elapsedMs: Math.round(elapsedMs) },
        "slow request",
      );
    }
  }

  noteClosed(_session: Session, _reason: string): void {
    this.closedConnections.add(1);
  }

  /** What the client must wait for; written into the answer. */
  throttleMs(request: RequestInWork, response: ResponseInitOf<ApiKey>): number {
    const { quotas } = this.parts;
    const answer = response as { throttleTimeMs?: number };
    if (quotas === noQuota) return answer.throttleTimeMs ?? 0;
    const handlerMs = this.clock.monotonicMs() - request.receivedMs;
    const throttleMs = Math.max(answer.throttleTimeMs ?? 0, quotas.onRequest(request, request.clientId, handlerMs));
    if (throttleMs > 0) answer.throttleTimeMs = throttleMs;
    return throttleMs;
  }

  errorResponse(error: unknown, message: RequestOf<ApiKey>, request: RequestInWork): ResponseInitOf<ApiKey> | null {
    const isRefusal = error instanceof RequestError;
    if (!isRefusal) this.logFailure(error, request);
    const code = isRefusal ? error.errorCode : ErrorCode.UNKNOWN_SERVER_ERROR;
    const response = errorResponseOf(request.apiKey, message, code, isRefusal ? error.message : null);
    if (response === null) request.connection.close(`${request.api.name} failed and has no answer that says so`);
    return response;
  }

  private logFailure(error: unknown, request: RequestInWork): void {
    this.failedRequests.add(1);
    const { api, apiVersion, clientId } = request;
    this.log.error(`failed ${api.name}`, { api: api.name, apiVersion, clientId }, () => {
      return `request failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
    });
  }

  /** Version 0, error 35, the range of ApiVersions alone. Null where the header is not one of version 2. */
  apiVersionsTooNew(correlationId: number, frame: Buffer): Buffer[] | null {
    const reader = new ByteReader(frame, 8);
    try {
      reader.nullableString();
      reader.skipTaggedFields();
    } catch (error) {
      if (error instanceof MalformedMessage) return null;
      throw error;
    }
    return encodeResponseFrame(ApiKey.ApiVersions, apiVersionsRefusalVersion, correlationId, apiVersionsRefusal());
  }
}
