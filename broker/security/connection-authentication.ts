// How far one connection has come with SASL (KIP-43, KIP-152, KIP-368). Before it is through, nothing but its next step is served.
//
//   state       → state       cause
//   begin       → handshaken  SaslHandshake with a mechanism of the listener
//   handshaken  → handshaken  a token that asks for another
//   handshaken  → through     the last token was right
//   through     → handshaken  SaslHandshake again: the same mechanism, and in the end the same principal
//   any         → failed      a wrong token, a mechanism that is none, a step out of order: the connection ends
import type { Clock } from "@blumfeld/core/base";
import { ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import { type SaslServer, type SaslStep, saslTokenBytesMax } from "@blumfeld/core/security";
import type { Principal } from "../security-seam.ts";

/** A connection that authenticates anew sooner is told 34, as by Kafka. */
export const reauthenticationIntervalMsMin = 1000;

export interface SaslMechanisms {
  /** A server for one exchange, by the mechanism's name. */
  readonly byName: ReadonlyMap<string, () => SaslServer>;
  /** connections.max.reauth.ms; 0: sessions do not end. */
  readonly sessionMsMax: number;
  /** connection.failed.authentication.delay.ms */
  readonly failureDelayMs: number;
  readonly clock: Clock;
}

export type TokenOutcome =
  | { readonly kind: "continue"; readonly bytes: Buffer }
  | {
      readonly kind: "through";
      readonly bytes: Buffer;
      readonly principal: Principal;
      readonly sessionLifetimeMs: number;
    }
  | { readonly kind: "failed"; readonly message: string; readonly reason: string };

export class ConnectionAuthentication {
  private readonly mechanisms: SaslMechanisms;
  private state: "begin" | "handshaken" | "through" | "failed" = "begin";
  private mechanism = "";
  private server: SaslServer | null = null;
  private principal: Principal | null = null;
  private sessionEndMs = Number.POSITIVE_INFINITY;
  private lastHandshakeMs = Number.NEGATIVE_INFINITY;
  private isRaw = false;

  constructor(mechanisms: SaslMechanisms) {
    this.mechanisms = mechanisms;
  }

  /** How long a refusal waits before it is told. */
  get failureDelayMs(): number {
    return this.mechanisms.failureDelayMs;
  }

  /** After SaslHandshake v0 frames are tokens, without a header, until the exchange ends. */
  get takesTokens(): boolean {
    return this.isRaw && this.state === "handshaken";
  }

  mayServe(key: ApiKey): boolean {
    switch (this.state) {
      case "begin":
        return key === ApiKey.ApiVersions || key === ApiKey.SaslHandshake;
      case "handshaken":
        return key === ApiKey.SaslAuthenticate && !this.isRaw;
      case "through":
        return key === ApiKey.SaslHandshake || this.mechanisms.clock.monotonicMs() < this.sessionEndMs;
      case "failed":
        return false;
    }
  }

  onHandshake(mechanism: string, version: number): { readonly errorCode: ErrorCode; readonly mechanisms: string[] } {
    const names = [...this.mechanisms.byName.keys()];
    const nowMs = this.mechanisms.clock.monotonicMs();
    const isAgain = this.state === "through";
    const isTooSoon = isAgain && nowMs - this.lastHandshakeMs < reauthenticationIntervalMsMin;
    if (isTooSoon || (this.state !== "begin" && !isAgain))
      return { errorCode: ErrorCode.ILLEGAL_SASL_STATE, mechanisms: [] };
    const create = this.mechanisms.byName.get(mechanism);
    if (create === undefined || (isAgain && mechanism !== this.mechanism)) {
      this.state = "failed";
      return { errorCode: ErrorCode.UNSUPPORTED_SASL_MECHANISM, mechanisms: names };
    }
    this.lastHandshakeMs = nowMs;
    this.mechanism = mechanism;
    this.server = create();
    this.isRaw = version === 0;
    this.state = "handshaken";
    return { errorCode: ErrorCode.NONE, mechanisms: names };
  }

  /** Null: a token is not what is due. */
  onToken(token: Buffer): TokenOutcome | Promise<TokenOutcome> | null {
    const { server } = this;
    if (this.state !== "handshaken" || server === null) return null;
    if (token.length > saslTokenBytesMax) return this.fail(`a token of ${token.length} bytes`);
    const step = server.step(token);
    return step instanceof Promise ? step.then((settled) => this.settle(settled)) : this.settle(step);
  }

  private settle(step: SaslStep): TokenOutcome {
    if (step.kind === "continue") return step;
    if (step.kind === "refused") return this.fail(step.reason);
    const principal: Principal = { principalType: "User", name: step.user.name };
    if (this.principal !== null && this.principal.name !== principal.name)
      return this.fail(`authenticated anew as ${principal.name}, was ${this.principal.name}`);
    this.principal = principal;
    this.server = null;
    this.isRaw = false;
    this.state = "through";
    const { clock, sessionMsMax } = this.mechanisms;
    const untilExpiryMs =
      step.user.expiresMs === null ? Number.POSITIVE_INFINITY : Math.max(0, step.user.expiresMs - clock.wallMs());
    const lifetimeMs = Math.min(untilExpiryMs, sessionMsMax > 0 ? sessionMsMax : Number.POSITIVE_INFINITY);
    this.sessionEndMs = clock.monotonicMs() + lifetimeMs;
    const sessionLifetimeMs = Number.isFinite(lifetimeMs) ? lifetimeMs : 0;
    return { kind: "through", bytes: step.bytes, principal, sessionLifetimeMs };
  }

  /** Whatever was wrong, who asks hears one sentence. */
  private fail(reason: string): TokenOutcome {
    this.state = "failed";
    this.server = null;
    const message = `Authentication failed during authentication due to invalid credentials with SASL mechanism ${this.mechanism}`;
    return { kind: "failed", message, reason };
  }
}
