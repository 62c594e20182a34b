// DescribeDelegationToken v1–3. Refused: 64 for a client that is not authenticated, else 61.
import type { ApiKey } from "@blumfeld/core/protocol";
import type { Handler } from "../request-context.ts";
import { tokenRefusal } from "./delegation-token-rules.ts";

export const onDescribeDelegationToken: Handler<typeof ApiKey.DescribeDelegationToken> = (_request, context) => ({
  errorCode: tokenRefusal(context),
  tokens: [],
  throttleTimeMs: 0,
});
