// One request between its frame and its answer. Keeps no byte of the frame.
import type { Api, ApiKey, ResponseInitOf } from "@blumfeld/core/protocol";
import type { RequestContext } from "../request-context.ts";
import type { Principal } from "../security-seam.ts";
import type { Session } from "./session.ts";

export class RequestInWork implements RequestContext<ApiKey> {
  readonly api: Api;
  readonly apiVersion: number;
  readonly correlationId: number;
  readonly clientId: string | null;
  readonly connection: Session;
  readonly receivedMs: number;
  readonly nowMs: number;
  readonly requestBytes: number;
  /** What is to be sent once the requests before it are answered. Undefined: not answered; null: nothing is sent. */
  chunks: Buffer[] | null | undefined = undefined;
  sent: (() => void) | undefined = undefined;
  /** It waits for others (records, members, the controller): its time says nothing about this broker. */
  isWaiting = false;

  constructor(
    connection: Session,
    api: Api,
    head: { readonly version: number; readonly correlationId: number; readonly clientId: string | null },
    receivedMs: number,
    nowMs: number,
    requestBytes: number,
  ) {
    this.connection = connection;
    this.api = api;
    this.apiVersion = head.version;
    this.correlationId = head.correlationId;
    this.clientId = head.clientId;
    this.receivedMs = receivedMs;
    this.nowMs = nowMs;
    this.requestBytes = requestBytes;
  }

  get apiKey(): ApiKey {
    return this.api.key;
  }
  get principal(): Principal {
    return this.connection.principal;
  }
  get listenerName(): string {
    return this.connection.listenerName;
  }
  get clientAddress(): string {
    return this.connection.clientAddress;
  }

  answer(response: ResponseInitOf<ApiKey> | null, sent?: () => void): void {
    if (sent !== undefined) this.onSent(sent);
    this.connection.answer(this, response);
  }

  onSent(callback: () => void): void {
    const before = this.sent;
    this.sent =
      before === undefined
        ? callback
        : () => {
            before();
            callback();
          };
  }
}
