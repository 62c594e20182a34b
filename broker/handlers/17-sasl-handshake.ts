// SaslHandshake v0–1, when it comes to a handler: on a listener without SASL, or after authentication has ended. Either way it comes at the
// wrong time: 34, as Kafka answers. Where SASL is due, the session takes the request before it gets here.
import { type ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import type { Handler } from "../request-context.ts";

export const onSaslHandshake: Handler<typeof ApiKey.SaslHandshake> = () => ({
  errorCode: ErrorCode.ILLEGAL_SASL_STATE,
  mechanisms: [],
});
