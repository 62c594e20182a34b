// RenewDelegationToken v1–2. Refused: 64 for a client that is not authenticated, else 61.
import type { ApiKey } from "@blumfeld/core/protocol";
import type { Handler } from "../request-context.ts";
import { noTokenTimeMs, tokenRefusal } from "./delegation-token-rules.ts";

export const onRenewDelegationToken: Handler<typeof ApiKey.RenewDelegationToken> = (_request, context) => ({
  errorCode: tokenRefusal(context),
  expiryTimestampMs: noTokenTimeMs,
  throttleTimeMs: 0,
});
