// Who may ask for delegation tokens at all. A client that nobody has authenticated may not (64); a broker without a secret key has none
// (61, `delegation.token.secret.key`).
import { ErrorCode } from "@blumfeld/core/protocol";
import type { RequestContext } from "../request-context.ts";
import { anonymousPrincipal } from "../security-seam.ts";

/** Where a token's times are not known because there is none. */
export const noTokenTimeMs = -1;

export function tokenRefusal(context: RequestContext): ErrorCode {
  const { principalType, name } = context.principal;
  const isAnonymous = principalType === anonymousPrincipal.principalType && name === anonymousPrincipal.name;
  return isAnonymous ? ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED : ErrorCode.DELEGATION_TOKEN_AUTH_DISABLED;
}
