// One request on its way: what a handler is given, what it may return. One object per request, pooled by nobody: it dies young.
// What a request holds is its own and may be kept, but for a produce's records: those are views of the frame, valid to the turn's end.
import type { ApiKey, RequestOf, ResponseInitOf } from "@blumfeld/core/protocol";
import type { ConnectionAuthentication } from "./security/connection-authentication.ts";
import type { Principal } from "./security-seam.ts";

/** A handler's result where the answer comes through `context.answer` at the end of this turn (a produce after the write turn). */
export const answerAtTurnEnd: unique symbol = Symbol("answer at turn end");
/** A handler's result where the answer comes through `context.answer` some time later (a parked fetch). */
export const answerLater: unique symbol = Symbol("answer later");

/**
 * What a handler returns. A response: sent in this turn. A promise: sent when it settles; until then no other request of the
 * connection is handled. `answerAtTurnEnd`, `answerLater`: the handler keeps the context and calls `answer` once. null: nothing is
 * ever sent (acks=0).
 */
export type HandlerResult<Key extends ApiKey> =
  | ResponseInitOf<Key>
  | Promise<ResponseInitOf<Key> | null>
  | typeof answerAtTurnEnd
  | typeof answerLater
  | null;

/**
 * Authorises, validates, acts, answers; what is unknown is answered per item. What it throws becomes UNKNOWN_SERVER_ERROR in the
 * API's own shape, and a logged error. A refusal of the whole request is thrown as `RequestError`.
 */
export type Handler<Key extends ApiKey> = (request: RequestOf<Key>, context: RequestContext<Key>) => HandlerResult<Key>;

/** Refuses the whole request with an error of the table, in the API's own shape. */
export class RequestError extends Error {
  override name = "RequestError";
  readonly errorCode: number;
  constructor(errorCode: number, message: string) {
    super(message);
    this.errorCode = errorCode;
  }
}

/** What is known of the connection that a request came on. Lives as long as the connection. */
export interface ConnectionContext {
  /** Unique among the connections of this process. */
  readonly id: number;
  readonly listenerName: string;
  readonly clientAddress: string;
  readonly clientPort: number;
  /** True where brokers and controllers talk to each other; a client listener refuses what only they may ask. */
  readonly isInterBroker: boolean;
  readonly principal: Principal;
  /** How far it has come with SASL; null where its listener asks for none. */
  readonly authentication: ConnectionAuthentication | null;
  /** It has proved who it is. */
  onAuthenticated(principal: Principal): void;
  /** From ApiVersions; "unknown" until then, as Kafka reports it. */
  clientSoftwareName: string;
  clientSoftwareVersion: string;
  readonly isOpen: boolean;
  /** Called once when the connection ends; the answers of its requests then go nowhere. Returns a function that forgets it. */
  whenClosed(callback: () => void): () => void;
  /** Ends the connection after what was answered before has been sent. */
  close(reason: string): void;
}

export interface RequestContext<Key extends ApiKey = ApiKey> {
  readonly apiKey: Key;
  readonly apiVersion: number;
  readonly correlationId: number;
  readonly clientId: string | null;
  readonly connection: ConnectionContext;
  /** Monotonic time at which the frame was taken up. */
  readonly receivedMs: number;
  /** Wall time of this turn: what an append gets as its time. */
  readonly nowMs: number;
  readonly principal: Principal;
  readonly listenerName: string;
  readonly clientAddress: string;
  /** Once, after `answerAtTurnEnd` or `answerLater`. Null: nothing is sent. Harmless when the connection has ended. */
  answer(response: ResponseInitOf<Key> | null, sent?: () => void): void;
  /** For a response returned at once: called when its bytes have left, or never will. */
  onSent(callback: () => void): void;
}
