// CreateDelegationToken v1–3. Refused: 64 for a client that is not authenticated, else 61.
import type { ApiKey } from "@blumfeld/core/protocol";
import type { Handler } from "../request-context.ts";
import { noTokenTimeMs, tokenRefusal } from "./delegation-token-rules.ts";

/** From this version on the answer tells requester and owner apart. */
const requesterFrom = 3;

export const onCreateDelegationToken: Handler<typeof ApiKey.CreateDelegationToken> = (request, context) => {
  const { principalType, name } = context.principal;
  // A requester may make a token for somebody else (KIP-373).
  const isForAnother = request.ownerPrincipalName !== null && request.ownerPrincipalName !== "";
  return {
    errorCode: tokenRefusal(context),
    principalType: isForAnother ? (request.ownerPrincipalType ?? principalType) : principalType,
    principalName: isForAnother ? request.ownerPrincipalName! : name,
    ...(context.apiVersion >= requesterFrom
      ? { tokenRequesterPrincipalType: principalType, tokenRequesterPrincipalName: name }
      : {}),
    issueTimestampMs: noTokenTimeMs,
    expiryTimestampMs: noTokenTimeMs,
    maxTimestampMs: noTokenTimeMs,
    tokenId: "",
    hmac: Buffer.alloc(0),
    throttleTimeMs: 0,
  };
};
