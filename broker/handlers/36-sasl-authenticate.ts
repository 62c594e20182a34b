// SaslAuthenticate v0–2: one token. Out of order, or on a listener without SASL: 34, as Kafka answers. A refusal is told after
// connection.failed.authentication.delay.ms, so that guessing is slow, and ends the connection.
import type { Timers } from "@blumfeld/core/base";
import { type ApiKey, ErrorCode, type ResponseInitOf } from "@blumfeld/core/protocol";
import type { Handler, RequestContext } from "../request-context.ts";
import type { ConnectionAuthentication, TokenOutcome } from "../security/connection-authentication.ts";
import { pause } from "../security/token-answer.ts";

const noBytes = Buffer.alloc(0);

export function createSaslAuthenticateHandler(parts: {
  readonly timers: Timers;
}): Handler<typeof ApiKey.SaslAuthenticate> {
  return (request, context) => {
    const { authentication } = context.connection;
    const outcome = authentication?.onToken(request.authBytes) ?? null;
    if (authentication === null || outcome === null) return outOfOrder;
    if (!(outcome instanceof Promise) && outcome.kind !== "failed") return answerOf(outcome, context);
    return later(parts.timers, authentication, outcome, context);
  };
}

const outOfOrder: ResponseInitOf<typeof ApiKey.SaslAuthenticate> = {
  errorCode: ErrorCode.ILLEGAL_SASL_STATE,
  errorMessage: "SaslAuthenticate request received after successful authentication",
  authBytes: noBytes,
};

async function later(
  timers: Timers,
  authentication: ConnectionAuthentication,
  outcome: TokenOutcome | Promise<TokenOutcome>,
  context: RequestContext<typeof ApiKey.SaslAuthenticate>,
): Promise<ResponseInitOf<typeof ApiKey.SaslAuthenticate>> {
  const settled = await outcome;
  if (settled.kind === "failed") await pause(timers, authentication.failureDelayMs);
  return answerOf(settled, context);
}

function answerOf(
  outcome: TokenOutcome,
  context: RequestContext<typeof ApiKey.SaslAuthenticate>,
): ResponseInitOf<typeof ApiKey.SaslAuthenticate> {
  switch (outcome.kind) {
    case "continue":
      return { errorCode: ErrorCode.NONE, errorMessage: null, authBytes: outcome.bytes };
    case "through":
      context.connection.onAuthenticated(outcome.principal);
      return {
        errorCode: ErrorCode.NONE,
        errorMessage: null,
        authBytes: outcome.bytes,
        sessionLifetimeMs: BigInt(Math.floor(outcome.sessionLifetimeMs)),
      };
    case "failed":
      context.onSent(() => context.connection.close(`authentication failed: ${outcome.reason}`));
      return { errorCode: ErrorCode.SASL_AUTHENTICATION_FAILED, errorMessage: outcome.message, authBytes: noBytes };
  }
}
