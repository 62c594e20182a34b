// One connection of a client: its requests in order, one at a time, its answers in the same order.
//
//   frame → header → handler → answer in this turn                           most requests
//                            → answer at the turn's end, more frames taken    produce and commits, so that pipelined ones share one write
//                            → answer later, no frame taken until then        a parked fetch, what the controller decides
//
// A frame that comes while none may be taken is copied and held, and the connection is paused: so at most one is held.
import { type Connection, type ConnectionHandler, MalformedMessage } from "@blumfeld/core/base";
import {
  type Api,
  ApiKey,
  apis,
  decodeRequestHead,
  type RequestHead,
  type RequestUnsupported,
  type ResponseInitOf,
} from "@blumfeld/core/protocol";
import {
  answerAtTurnEnd,
  answerLater,
  type ConnectionContext,
  type Handler,
  type HandlerResult,
} from "../request-context.ts";
import type { Router } from "../router.ts";
import type { ConnectionAuthentication } from "../security/connection-authentication.ts";
import { tokenAnswer } from "../security/token-answer.ts";
import { anonymousPrincipal, type Principal } from "../security-seam.ts";
import { RequestInWork } from "./request-in-work.ts";

/** While more than this waits to be sent, no further request of the connection is taken up. */
export const unsentBytesHigh = 1024 * 1024;

export interface SessionOptions {
  readonly id: number;
  readonly listenerName: string;
  readonly isInterBroker: boolean;
  /** Null: whoever connects is served. */
  readonly authentication: ConnectionAuthentication | null;
}

export class Session implements ConnectionHandler, ConnectionContext {
  readonly id: number;
  readonly listenerName: string;
  readonly isInterBroker: boolean;
  principal: Principal = anonymousPrincipal;
  readonly authentication: ConnectionAuthentication | null;
  clientSoftwareName = "unknown";
  clientSoftwareVersion = "unknown";
  isOpen = true;
  private readonly connection: Connection;
  private readonly router: Router;
  private readonly ended: (session: Session) => void;
  /** In the order they came; the first is the next to be answered. */
  private readonly inWork: RequestInWork[] = [];
  /** Of those in work, how many let further frames be taken. */
  private turnEndCount = 0;
  private heldFrame: Buffer | null = null;
  private isPaused = false;
  private mutedUntilMs = 0;
  private readonly closeListeners = new Set<() => void>();
  /** For the router: stands in its list of this turn. */
  isTurnEndQueued = false;

  constructor(connection: Connection, router: Router, options: SessionOptions, ended: (session: Session) => void) {
    this.connection = connection;
    this.router = router;
    this.id = options.id;
    this.listenerName = options.listenerName;
    this.isInterBroker = options.isInterBroker;
    this.authentication = options.authentication;
    this.ended = ended;
  }

  get clientAddress(): string {
    return this.connection.remoteAddress;
  }
  get clientPort(): number {
    return this.connection.remotePort;
  }

  // --- frames ----------------------------------------------------------------------------------

  frameBytesMax(): number {
    return this.router.requestBytesMax;
  }

  onFrame(received: Buffer): void {
    if (this.authentication?.takesTokens === true) {
      this.onToken(this.authentication, received);
      return;
    }
    // Member metadata, assignments and the like are kept by those who get them; a produce's records are not, a fetch has no bytes.
    const frame = received.length < 2 || received.readInt16BE(0) <= ApiKey.Fetch ? received : Buffer.from(received);
    let head: RequestHead;
    try {
      const decoded = decodeRequestHead(frame, this.router.isUnstableApiVersionsEnabled);
      if ("unsupported" in decoded) {
        this.onUnsupported(decoded, frame);
        return;
      }
      head = decoded;
    } catch (error) {
      this.onMalformed(error, null);
      return;
    }
    if (this.mayTake(head.api.key)) this.take(head, frame.length);
    else {
      this.heldFrame = Buffer.from(frame);
      this.pause();
    }
  }

  private mayTake(key: number): boolean {
    if (this.mutedUntilMs > 0 || this.connection.unsentBytes > unsentBytesHigh) return false;
    if (this.inWork.length > this.turnEndCount) return false;
    if (key === ApiKey.Produce || key === ApiKey.OffsetCommit) return true;
    // It has to see what the produces before it appended.
    if (this.isTurnEndQueued) this.router.runWriteTurn();
    return this.inWork.length === 0;
  }

  private take(head: RequestHead, frameBytes: number): void {
    const { api } = head;
    const { router } = this;
    if (this.authentication !== null && !this.authentication.mayServe(api.key)) {
      this.close(`${api.name} before the connection is authenticated, or after its session has ended`);
      return;
    }
    const handler = router.handlerFor(api);
    if (handler === undefined) {
      router.log.warn(
        `api ${api.key}`,
        this.logFields(api),
        `closed: ${api.name} is not served on listener ${this.listenerName}`,
      );
      this.connection.close();
      return;
    }
    const request = new RequestInWork(this, api, head, router.clock.monotonicMs(), router.clock.wallMs(), frameBytes);
    let message: Parameters<Handler<ApiKey>>[0];
    try {
      message = api.decodeRequest(head.reader, head.version);
    } catch (error) {
      this.onMalformed(error, api);
      return;
    }
    this.inWork.push(request);
    let result: HandlerResult<ApiKey>;
    try {
      result = handler(message, request);
    } catch (error) {
      result = router.errorResponse(error, message, request);
    }
    this.settle(request, message, result);
  }

  /** After SaslHandshake v0: the frame is a token, and so is what it is answered by. */
  private onToken(authentication: ConnectionAuthentication, token: Buffer): void {
    this.pause();
    void tokenAnswer(this.router.timers, authentication, Buffer.from(token)).then((answer) => {
      if (!this.isOpen) return;
      if ("reason" in answer) return this.close(answer.reason);
      if (answer.outcome.kind === "through") this.onAuthenticated(answer.outcome.principal);
      const size = Buffer.alloc(4);
      size.writeInt32BE(answer.bytes.length);
      this.connection.send([size, answer.bytes]);
      this.goOn();
    });
  }

  onAuthenticated(principal: Principal): void {
    this.principal = principal;
  }

  private settle(request: RequestInWork, message: Parameters<Handler<ApiKey>>[0], result: HandlerResult<ApiKey>): void {
    const isFirst = this.inWork[0] === request;
    if (result === answerAtTurnEnd) {
      if (request.chunks !== undefined && isFirst) return;
      this.turnEndCount++;
      this.router.checkAtTurnEnd(this);
    } else if (result instanceof Promise) {
      result.then(
        (response) => this.answer(request, response),
        (error: unknown) => this.answer(request, this.router.errorResponse(error, message, request)),
      );
      this.pauseForWork(request);
    } else if (result === answerLater) this.pauseForWork(request);
    else if (result === null) {
      this.router.checkAtTurnEnd(this);
      this.endInWork(request, null, isFirst);
    } else this.endInWork(request, result, isFirst);
  }

  private endInWork(request: RequestInWork, response: ResponseInitOf<ApiKey> | null, isFirst: boolean): void {
    // Answered, but not its turn: it stands behind a produce, as another produce does.
    if (!isFirst) this.turnEndCount++;
    this.answer(request, response);
  }

  private pauseForWork(request: RequestInWork): void {
    if (request.chunks !== undefined) return;
    request.isWaiting = true;
    this.pause();
  }

  /** The turn is over: whatever is not answered now is waited for. */
  onTurnEnd(): void {
    this.isTurnEndQueued = false;
    if (this.inWork.length > 0) this.pause();
  }

  private pause(): void {
    if (this.isPaused) return;
    this.isPaused = true;
    this.connection.pause();
  }

  // --- answers ---------------------------------------------------------------------------------

  /** Once for each request. */
  answer(request: RequestInWork, response: ResponseInitOf<ApiKey> | null): void {
    if (request.chunks !== undefined) return;
    if (!this.isOpen) {
      request.chunks = null;
      request.sent?.();
      return;
    }
    const { router } = this;
    if (response !== null) {
      const throttleMs = router.throttleMs(request, response);
      if (throttleMs > 0) this.mute(throttleMs);
    }
    request.chunks = response === null ? null : router.encode(request, response);
    router.note(request);
    this.sendAnswered();
  }

  private sendAnswered(): void {
    const { inWork } = this;
    while (inWork.length > 0 && inWork[0]!.chunks !== undefined) {
      const request = inWork.shift()!;
      if (request.chunks !== null) this.connection.send(request.chunks!, request.sent);
      else request.sent?.();
      // A request that was not counted comes only alone.
      if (this.turnEndCount > 0) this.turnEndCount--;
    }
    this.goOn();
  }

  /** Takes up the held frame, or frames again, once nothing stands against it. */
  private goOn(): void {
    if (!this.isPaused || !this.isOpen || this.inWork.length > 0) return;
    if (this.mutedUntilMs > 0 || this.connection.unsentBytes > unsentBytesHigh) return;
    const held = this.heldFrame;
    if (held !== null) {
      this.heldFrame = null;
      this.onFrame(held);
      if (this.heldFrame !== null || this.inWork.length > 0 || !this.isOpen) return;
    }
    this.isPaused = false;
    this.connection.resume();
  }

  /** A quota is passed: the answer is sent, further requests wait. */
  private mute(throttleMs: number): void {
    const until = this.router.clock.monotonicMs() + throttleMs;
    if (until <= this.mutedUntilMs) return;
    this.mutedUntilMs = until;
    this.pause();
    const handle = this.router.timers.after(throttleMs, () => {
      if (this.mutedUntilMs > until) return;
      this.mutedUntilMs = 0;
      forget();
      this.goOn();
    });
    const forget = this.whenClosed(() => handle.cancel());
  }

  onDrain(): void {
    this.goOn();
  }

  // --- what is no request ------------------------------------------------------------------------

  private onUnsupported(head: RequestUnsupported, frame: Buffer): void {
    if (head.apiKey === ApiKey.ApiVersions && head.version > 0) {
      // KIP-511: the client learns the range from an answer in version 0 and asks again.
      const chunks = this.router.apiVersionsTooNew(head.correlationId, frame);
      if (chunks !== null) {
        this.answerUnread(head, chunks, frame.length);
        return;
      }
    }
    const fields = { ...this.logFields(null), apiKey: head.apiKey, apiVersion: head.version };
    this.router.log.warn(
      `unsupported ${head.unsupported}`,
      fields,
      `closed: a request of an unknown ${head.unsupported}`,
    );
    this.connection.close();
  }

  /** An answer made without a handler, in its turn. */
  private answerUnread(head: RequestUnsupported, chunks: Buffer[], frameBytes: number): void {
    const { clock } = this.router;
    const request = new RequestInWork(
      this,
      apis.get(ApiKey.ApiVersions)!,
      head,
      clock.monotonicMs(),
      clock.wallMs(),
      frameBytes,
    );
    request.chunks = chunks;
    if (this.inWork.length > 0) this.turnEndCount++;
    this.inWork.push(request);
    this.router.note(request);
    this.sendAnswered();
  }

  private onMalformed(error: unknown, api: Api | null): void {
    if (!(error instanceof MalformedMessage)) throw error;
    this.router.log.warn("malformed", this.logFields(api), `closed: ${error.message}`);
    this.connection.close();
  }

  private logFields(api: Api | null): object {
    return { listener: this.listenerName, client: this.clientAddress, ...(api === null ? {} : { api: api.name }) };
  }

  // --- the end -----------------------------------------------------------------------------------

  whenClosed(callback: () => void): () => void {
    this.closeListeners.add(callback);
    return () => void this.closeListeners.delete(callback);
  }

  onClose(reason: string): void {
    this.isOpen = false;
    this.heldFrame = null;
    const listeners = [...this.closeListeners];
    this.closeListeners.clear();
    for (const listener of listeners) listener();
    for (const request of this.inWork.splice(0)) if (request.chunks !== undefined) request.sent?.();
    this.router.noteClosed(this, reason);
    this.ended(this);
  }

  /** The broker stops. */
  end(): void {
    this.connection.close();
  }

  close(reason: string): void {
    if (!this.isOpen) return;
    this.router.log.warn(`close ${reason}`, this.logFields(null), `closed: ${reason}`);
    this.connection.close();
  }
}
